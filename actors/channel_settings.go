package actors

import (
	"context"

	"github.com/chumiai/chumi/chat"
)

// Settings returns a channel of a tenant with what the business has set for it.
func (c *Channels) Settings(t chat.TenantID, id chat.ChannelID) (chat.Channel, chat.ChannelSettings, error) {
	ch, _, err := c.Channel(t, id)
	if err != nil {
		return ch, chat.ChannelSettings{}, err
	}
	value, _, err := c.sys.opt.Documents.Doc(t, chat.DocSettings, string(id))
	return ch, chat.SettingsOf(chat.Doc{Noun: chat.DocSettings, ID: string(id), Value: value}), err
}

// SetSettings replaces the settings of a channel and returns them with their new
// version. KindConflict means that s does not name the latest version.
func (c *Channels) SetSettings(ctx context.Context, t chat.TenantID, id chat.ChannelID, s chat.ChannelSettings) (chat.ChannelSettings, error) {
	ch, _, err := c.Channel(t, id)
	if err != nil {
		return s, err
	}
	if !c.sys.asking.enter() {
		return s, errDraining
	}
	defer c.sys.asking.leave()
	s.Channel = id
	a := c.sys.ask(ctx, c.sys.about(ch, chat.SettingsChange{Settings: s}))
	switch {
	case a.err != nil:
		return s, a.err
	case a.verdicts[0].Kind == chat.VerdictRefused:
		return s, chat.E("channels", chat.KindConflict, a.verdicts[0].Reason, nil)
	}
	_, s, err = c.Settings(t, id)
	return s, err
}
