package actors

import (
	"context"
	"slices"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// Channels is what people and programs do with a tenant's channels: look, connect,
// give a new token. Every change is durable when it returns. Methods that ask Meta
// need Options.Registry, Accounts and Onboarding. Safe for concurrent use.
type Channels struct{ sys *System }

// Channels returns the way to the channels.
func (s *System) Channels() *Channels { return &Channels{sys: s} }

var (
	errNoChannel = chat.E("channels", chat.KindNotFound, "no such channel", nil)
	errNoMeta    = chat.E("channels", chat.KindInvalid, "this engine cannot ask Meta", nil)
)

// Channel returns a channel of a tenant with its state under its token.
func (c *Channels) Channel(t chat.TenantID, id chat.ChannelID) (chat.Channel, chat.ChannelState, error) {
	ch, ok := c.sys.opt.Directory.ChannelByID(id)
	if !ok || ch.Tenant != t {
		return chat.Channel{}, chat.ChannelState{}, errNoChannel
	}
	return ch, c.sys.standing(ch), nil
}

// List returns a tenant's channels by id with their states.
func (c *Channels) List(t chat.TenantID) ([]chat.Channel, []chat.ChannelState) {
	if c.sys.opt.Registry == nil {
		return nil, nil
	}
	list := c.sys.opt.Registry.Channels(t)
	states := make([]chat.ChannelState, len(list))
	for i := range list {
		states[i] = c.sys.standing(list[i])
	}
	return list, states
}

// Health checks a channel against what is known of it.
func (c *Channels) Health(ctx context.Context, t chat.TenantID, id chat.ChannelID) (chat.Health, error) {
	ch, st, err := c.Channel(t, id)
	if err != nil {
		return chat.Health{}, err
	}
	f := chat.HealthFacts{Channel: ch, State: st, Now: c.sys.opt.Clock.Now()}
	if c.sys.opt.Sightings != nil {
		f.Sighting = c.sys.opt.Sightings.Sighting(ch)
	}
	templates, err := c.templates(ctx, ch)
	if err != nil {
		return chat.Health{}, err
	}
	f.Templates = len(templates)
	for i := range templates {
		if templates[i].Status == "APPROVED" {
			f.Approved++
		}
	}
	if limit, limited := chat.TierLimit(st.Tier); limited && c.sys.opt.Portfolios != nil {
		if f.Reached, f.PlaceAt, err = c.sys.opt.Portfolios.Reached(chat.PortfolioOf(&ch, &st), limit); err != nil {
			return chat.Health{}, err
		}
	}
	return chat.HealthOf(&f), nil
}

// Check asks Meta how a channel stands, having it post webhooks before when
// subscribe is set.
func (c *Channels) Check(ctx context.Context, t chat.TenantID, id chat.ChannelID, subscribe bool) error {
	ch, err := c.connected(t, id)
	if err != nil {
		return err
	}
	if c.sys.opt.Accounts == nil || c.sys.opt.Onboarding == nil {
		return errNoMeta
	}
	if subscribe {
		if err := c.sys.opt.Onboarding.Open(ctx, ch, ""); err != nil {
			return err
		}
	}
	return c.sys.check(ctx, ch)
}

// SyncTemplates fetches the templates of a WhatsApp channel's WABA.
func (c *Channels) SyncTemplates(ctx context.Context, t chat.TenantID, id chat.ChannelID) ([]chat.Template, error) {
	ch, err := c.connected(t, id)
	switch {
	case err != nil:
		return nil, err
	case c.sys.opt.Accounts == nil:
		return nil, errNoMeta
	case ch.WABA == "":
		return nil, chat.E("channels", chat.KindInvalid, "the channel has no waba_id, and templates belong to a WABA", nil)
	}
	// The first channel of a WABA stands for it.
	channels := c.sys.opt.Registry.Channels(t)
	if i := slices.IndexFunc(channels, func(o chat.Channel) bool {
		return o.WABA == ch.WABA && o.App == ch.App && o.Disconnected == 0
	}); i >= 0 {
		first := channels[i]
		first.Token = ch.Token
		ch = first
	}
	if err := c.sys.fetchTemplates(ctx, ch); err != nil {
		return nil, err
	}
	return c.templates(ctx, ch)
}

// templates are the stored ones of a channel's WABA, by key.
func (c *Channels) templates(ctx context.Context, ch chat.Channel) ([]chat.Template, error) {
	if ch.WABA == "" {
		return nil, nil
	}
	docs, err := c.sys.opt.Documents.Docs(ctx, ch.Tenant, chat.DocTemplate)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(docs, func(a, b chat.Doc) int { return strings.Compare(a.ID, b.ID) })
	var list []chat.Template
	for _, d := range docs {
		if t, ok := chat.TemplateFrom(d); ok && t.WABA == ch.WABA {
			list = append(list, t)
		}
	}
	return list, nil
}

// SetToken gives a channel another token, once Meta has accepted it for the
// channel's account. What was held for the old one goes out.
func (c *Channels) SetToken(ctx context.Context, t chat.TenantID, id chat.ChannelID, token chat.Secret) error {
	ch, err := c.connected(t, id)
	if err != nil {
		return err
	}
	if c.sys.opt.Onboarding == nil || c.sys.opt.Accounts == nil {
		return errNoMeta
	}
	was := ch.Token
	ch.Token = token
	account, err := c.sys.opt.Onboarding.Identify(ctx, ch)
	if err != nil {
		return err
	}
	if account != ch.Account {
		return chat.E("channels", chat.KindConflict, "the token is of another account than the channel", nil)
	}
	if err := c.sys.opt.Registry.ReplaceToken(ctx, ch.ID, was, token); err != nil {
		return err
	}
	return c.settled(ctx, ch)
}

// Connect binds an account to a tenant as a channel: a code becomes a token, the
// token must grant the account, Meta is told to post its webhooks, and then it is
// stored. A repetition changes nothing but the token.
func (c *Channels) Connect(ctx context.Context, t chat.TenantID, n chat.Connection) (chat.Channel, error) {
	o := &c.sys.opt
	if o.Onboarding == nil || o.Accounts == nil {
		return chat.Channel{}, errNoMeta
	}
	ch := chat.Channel{ID: n.ID, Tenant: t, App: n.App, Kind: n.Kind, Account: n.Account, WABA: n.WABA, Token: n.Token}
	issued := chat.TokenReport{}
	if n.Code != "" {
		var err error
		if ch.Token, issued.Expires, err = o.Onboarding.Exchange(ctx, ch, n.Code, n.RedirectURI); err != nil {
			return ch, err
		}
		issued.Issued = o.Clock.Now().UTC()
	}
	account, err := o.Onboarding.Identify(ctx, ch)
	if err != nil {
		return ch, err
	}
	ch.Account = account
	if ch.ID == "" {
		ch.ID = chat.ChannelID(idPrefix(ch.Kind) + account)
	}
	again := false
	if old, ok := o.Directory.ChannelByID(ch.ID); ok {
		if old.Tenant != t || old.Kind != ch.Kind || old.Account != ch.Account {
			return ch, chat.E("channels", chat.KindConflict, "this id is a channel of another account; choose another id", nil)
		}
		ch.Simulated, ch.Declared, again = old.Simulated, old.Declared, true
	}
	if err := o.Onboarding.Open(ctx, ch, n.PIN); err != nil {
		return ch, err
	}
	if err := o.Binder.PutChannel(ctx, ch); err != nil {
		return ch, err
	}
	if again {
		if err := c.bound(ctx, ch); err != nil {
			return ch, err
		}
	}
	if n.Code != "" {
		issued.Digest = chat.TokenDigest(ch.Token)
		if err := c.sys.learn(ctx, ch, chat.ChannelReport{Token: &issued}); err != nil {
			return ch, err
		}
	}
	return ch, c.settled(ctx, ch)
}

// settled learns what Meta says about a channel under a token that is stored. What
// cannot be learned now the keeper learns later.
func (c *Channels) settled(ctx context.Context, ch chat.Channel) error {
	if err := c.sys.learn(ctx, ch, chat.ChannelReport{Token: &chat.TokenReport{Digest: chat.TokenDigest(ch.Token)}}); err != nil {
		return err
	}
	if err := c.sys.check(ctx, ch); err != nil {
		c.sys.opt.Logger.Warn("a connected channel could not be checked yet", "channel", ch.ID, "err", err)
		return nil
	}
	if ch.WABA != "" {
		if _, err := c.SyncTemplates(ctx, ch.Tenant, ch.ID); err != nil {
			c.sys.opt.Logger.Warn("the templates of a connected channel could not be fetched yet", "channel", ch.ID, "err", err)
		}
	}
	return nil
}

func idPrefix(k chat.ChannelKind) string {
	if k == chat.Instagram {
		return "ig-"
	}
	return "wa-"
}
