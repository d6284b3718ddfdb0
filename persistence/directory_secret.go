package persistence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// ReplaceToken gives a channel another token. KindConflict means that it has not
// the token was any more: somebody else was first.
func (d *Directory) ReplaceToken(ctx context.Context, id chat.ChannelID, was, token chat.Secret) error {
	const op = "directory.ReplaceToken"
	return d.Change(ctx, func(c *Change) error {
		ch, ok := c.next.channels[id]
		switch {
		case !ok:
			return chat.E(op, chat.KindNotFound, "no such channel", nil)
		case ch.Disconnected != 0:
			return chat.E(op, chat.KindConflict, "channel "+string(id)+" is disconnected; connect it again", nil)
		case ch.Token == token:
			return nil
		case ch.Token != was:
			return chat.E(op, chat.KindConflict, "channel "+string(id)+" got another token meanwhile", nil)
		}
		ch.Token = token
		return c.PutChannel(ch)
	})
}

// Unbind gives a channel up at a time: its token is forgotten, and its account is
// nobody's. PutChannel binds it again. Given up already it stays as it is.
func (d *Directory) Unbind(ctx context.Context, id chat.ChannelID, at chat.Millis) error {
	return d.Change(ctx, func(c *Change) error {
		ch, ok := c.next.channels[id]
		switch {
		case !ok:
			return chat.E("directory.Unbind", chat.KindNotFound, "no such channel", nil)
		case ch.Disconnected != 0:
			return nil
		}
		ch.Token, ch.Disconnected = "", at
		return c.PutChannel(ch)
	})
}

// RotateSecret makes secret the current secret of an app. The one it had stays
// valid beside it until RetireSecret. An app with two has to retire one first.
func (d *Directory) RotateSecret(ctx context.Context, id chat.AppID, secret chat.Secret) error {
	const op = "directory.RotateSecret"
	return d.Change(ctx, func(c *Change) error {
		a, ok := c.next.apps[id]
		switch {
		case !ok:
			return chat.E(op, chat.KindNotFound, "there is no app "+quoted(string(id)), nil)
		case secret == "":
			return chat.E(op, chat.KindInvalid, "the new secret is empty", nil)
		case a.Secrets[0] == secret:
			return nil
		case len(a.Secrets) > 1:
			return chat.E(op, chat.KindConflict, "app "+string(id)+" has two secrets already; retire the old one first", nil)
		}
		a.Secrets = []chat.Secret{secret, a.Secrets[0]}
		return c.PutApp(a)
	})
}

// RetireSecret ends a rotation: only the current secret of an app stays valid.
func (d *Directory) RetireSecret(ctx context.Context, id chat.AppID) error {
	return d.Change(ctx, func(c *Change) error {
		a, ok := c.next.apps[id]
		if !ok {
			return chat.E("directory.RetireSecret", chat.KindNotFound, "there is no app "+quoted(string(id)), nil)
		}
		a.Secrets = a.Secrets[:1]
		return c.PutApp(a)
	})
}

// SetApp changes what an app is besides its secrets and verify tokens.
func (d *Directory) SetApp(ctx context.Context, id chat.AppID, s chat.AppSettings) error {
	const op = "directory.SetApp"
	return d.changeApp(ctx, op, id, func(a *chat.App) error {
		for _, m := range [...]struct {
			to   *string
			from *string
			name string
		}{{&a.MetaID, s.MetaID, "meta_app_id"}, {&a.InstagramID, s.InstagramID, "instagram_app_id"}} {
			if m.from == nil {
				continue
			}
			if strings.Trim(*m.from, "0123456789") != "" || len(*m.from) > wordMax {
				return chat.E(op, chat.KindInvalid, m.name+" is not an id of Meta's, which are digits", nil)
			}
			*m.to = *m.from
		}
		if s.InstagramSecret != nil {
			a.InstagramSecret = *s.InstagramSecret
		}
		if (a.InstagramID == "") != (a.InstagramSecret == "") {
			return chat.E(op, chat.KindInvalid, "instagram_app_id and instagram_app_secret are given together or not at all", nil)
		}
		return nil
	})
}

// AddVerifyToken makes a token valid beside those an app has.
func (d *Directory) AddVerifyToken(ctx context.Context, id chat.AppID, token chat.Secret) error {
	const op = "directory.AddVerifyToken"
	return d.changeApp(ctx, op, id, func(a *chat.App) error {
		if token == "" {
			return chat.E(op, chat.KindInvalid, "the new verify token is empty", nil)
		}
		if !slices.Contains(a.VerifyTokens, token) {
			a.VerifyTokens = append(slices.Clone(a.VerifyTokens), token)
		}
		return nil
	})
}

// RetireVerifyToken takes a verify token no more. The last one stays.
func (d *Directory) RetireVerifyToken(ctx context.Context, id chat.AppID, token chat.Secret) error {
	const op = "directory.RetireVerifyToken"
	return d.changeApp(ctx, op, id, func(a *chat.App) error {
		rest := slices.DeleteFunc(slices.Clone(a.VerifyTokens), func(v chat.Secret) bool { return v == token })
		switch len(rest) {
		case len(a.VerifyTokens):
			return chat.E(op, chat.KindNotFound, "app "+string(id)+" has no such verify token", nil)
		case 0:
			return chat.E(op, chat.KindConflict, "it is the only verify token of app "+string(id)+"; add another first", nil)
		}
		a.VerifyTokens = rest
		return nil
	})
}

func (d *Directory) changeApp(ctx context.Context, op string, id chat.AppID, change func(*chat.App) error) error {
	return d.Change(ctx, func(c *Change) error {
		a, ok := c.next.apps[id]
		if !ok {
			return chat.E(op, chat.KindNotFound, "there is no app "+quoted(string(id)), nil)
		}
		if err := change(&a); err != nil {
			return err
		}
		return c.PutApp(a)
	})
}

// DeclareApp is PutApp for a declaration that is applied again and again: while it
// says the same, secrets that were rotated since are kept, and so is the rest that was
// changed since.
func (c *Change) DeclareApp(a chat.App) error {
	a.Declared = digestOf(a.Secrets...)
	a.DeclaredRest = digestOf(append([]chat.Secret{chat.Secret(a.MetaID), chat.Secret(a.InstagramID), a.InstagramSecret}, a.VerifyTokens...)...)
	old, ok := c.next.apps[a.ID]
	if ok && old.Declared == a.Declared {
		a.Secrets = old.Secrets
	}
	if ok && old.DeclaredRest == a.DeclaredRest {
		a.MetaID, a.InstagramID, a.InstagramSecret, a.VerifyTokens = old.MetaID, old.InstagramID, old.InstagramSecret, old.VerifyTokens
	}
	return c.PutApp(a)
}

// digestOf tells whether a declaration says what it said before.
func digestOf(words ...chat.Secret) string {
	sum := sha256.New()
	for _, w := range words {
		_, _ = sum.Write([]byte(w.Reveal() + "\x00"))
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// DeclareChannel is PutChannel for a declaration that is applied again and again:
// while it says the same, a token that replaced it since is kept, and a channel that
// was disconnected stays so.
func (c *Change) DeclareChannel(ch chat.Channel) error {
	ch.Declared = chat.TokenDigest(ch.Token)
	if old, ok := c.next.channels[ch.ID]; ok && old.Declared == ch.Declared {
		ch.Token, ch.Disconnected = old.Token, old.Disconnected
	}
	return c.PutChannel(ch)
}
