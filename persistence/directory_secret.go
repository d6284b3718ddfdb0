package persistence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

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
		case ch.Token == token:
			return nil
		case ch.Token != was:
			return chat.E(op, chat.KindConflict, "channel "+string(id)+" got another token meanwhile", nil)
		}
		ch.Token = token
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

// DeclareApp is PutApp for a declaration that is applied again and again: while it
// says the same, secrets that were rotated since are kept.
func (c *Change) DeclareApp(a chat.App) error {
	sum := sha256.New()
	for _, s := range a.Secrets {
		_, _ = sum.Write([]byte(s.Reveal() + "\x00"))
	}
	a.Declared = hex.EncodeToString(sum.Sum(nil)[:8])
	if old, ok := c.next.apps[a.ID]; ok && old.Declared == a.Declared {
		a.Secrets = old.Secrets
	}
	return c.PutApp(a)
}

// DeclareChannel is PutChannel for a declaration that is applied again and again:
// while it says the same, a token that replaced it since is kept.
func (c *Change) DeclareChannel(ch chat.Channel) error {
	ch.Declared = chat.TokenDigest(ch.Token)
	if old, ok := c.next.channels[ch.ID]; ok && old.Declared == ch.Declared {
		ch.Token = old.Token
	}
	return c.PutChannel(ch)
}
