package actors

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Disconnect gives a channel up. Meta is asked to post no more webhooks and, with
// deregister, to free the number; then the token is forgotten here, whatever Meta
// answered: left tells what stayed as it was there. The channel's conversations can be
// read as before, its sends are held, and Connect takes it in use again. Repeating it
// changes nothing.
func (c *Channels) Disconnect(ctx context.Context, t chat.TenantID, id chat.ChannelID, deregister bool) (left []chat.Leftover, err error) {
	ch, _, err := c.Channel(t, id)
	if err != nil {
		return nil, err
	}
	o := &c.sys.opt
	if o.Releaser == nil || o.Binder == nil {
		return nil, errNoMeta
	}
	if ch.Disconnected == 0 {
		left = c.release(ctx, ch, deregister)
		now := o.Clock.Now().UTC().Truncate(time.Millisecond)
		if err := o.Binder.Unbind(ctx, id, chat.MillisOf(now)); err != nil {
			return left, err
		}
		if ch, _, err = c.Channel(t, id); err != nil {
			return left, err
		}
	}
	return left, c.bound(ctx, ch)
}

// release undoes at Meta what connecting did. A token that is dead undoes nothing.
func (c *Channels) release(ctx context.Context, ch chat.Channel, deregister bool) (left []chat.Leftover) {
	undo := func(what string, err error) {
		if err == nil {
			return
		}
		reason := "unavailable"
		if g := chat.GraphErrorOf(err); g != nil && g.Reason != "" {
			reason = g.Reason
		}
		left = append(left, chat.Leftover{What: what, Reason: reason})
	}
	if c.sharesWABA(ch) {
		left = append(left, chat.Leftover{What: "subscription", Reason: "shared_waba"})
	} else {
		undo("subscription", c.sys.opt.Releaser.Unsubscribe(ctx, ch))
	}
	if deregister && ch.Kind == chat.WhatsApp {
		undo("registration", c.sys.opt.Releaser.Deregister(ctx, ch))
	}
	return left
}

// sharesWABA tells whether another channel in use, of any tenant, gets its webhooks by
// the same subscription.
func (c *Channels) sharesWABA(ch chat.Channel) bool {
	if ch.WABA == "" || c.sys.opt.Registry == nil {
		return false
	}
	for _, t := range c.sys.opt.Registry.Tenants() {
		for _, o := range c.sys.opt.Registry.Channels(t.ID) {
			if o.ID != ch.ID && o.WABA == ch.WABA && o.App == ch.App && o.Disconnected == 0 {
				return true
			}
		}
	}
	return false
}

// bound tells the tenant whether a channel is in use.
func (c *Channels) bound(ctx context.Context, ch chat.Channel) error {
	return c.sys.ask(ctx, c.sys.about(ch, chat.ChannelBound{Channel: ch.ID, Disconnected: ch.Disconnected.Time()})).err
}

// inUse returns a channel that is bound and was not given up.
func (s *System) inUse(id chat.ChannelID) (chat.Channel, bool) {
	ch, found := s.opt.Directory.ChannelByID(id)
	return ch, found && ch.Disconnected == 0
}

var errDisconnected = chat.E("channels", chat.KindConflict, "the channel is disconnected; connect it again", nil)

// connected returns a tenant's channel that is in use.
func (c *Channels) connected(t chat.TenantID, id chat.ChannelID) (chat.Channel, error) {
	ch, _, err := c.Channel(t, id)
	if err == nil && ch.Disconnected != 0 {
		err = errDisconnected
	}
	return ch, err
}
