package persistence

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

func TestDirectory_RotationKeepsTwoSecrets(t *testing.T) {
	d, ctx := directoryOf(t, storeOn(t, vfs.NewMem())), t.Context()
	app := testApp
	app.MetaID, app.InstagramID, app.InstagramSecret = "77", "88", "ig-secret"
	mustPut(t, d.PutApp(ctx, app))
	secrets := func() []chat.Secret { a, _ := d.App("meta"); return a.Secrets }
	mustPut(t, d.RotateSecret(ctx, "meta", "second"))
	mustPut(t, d.RotateSecret(ctx, "meta", "second"))
	if got := secrets(); !slices.Equal(got, []chat.Secret{"second", "app-secret"}) {
		t.Errorf("%d secrets after a rotation", len(got))
	}
	if err := d.RotateSecret(ctx, "meta", "third"); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("a third secret: %v", err)
	}
	mustPut(t, d.RetireSecret(ctx, "meta"))
	if got := secrets(); !slices.Equal(got, []chat.Secret{"second"}) {
		t.Errorf("%d secrets after the old one was retired", len(got))
	}
	a, _ := d.App("meta")
	if signing := a.Signing(); len(signing) != 2 || signing[1] != "ig-secret" || a.MetaID != "77" || a.InstagramID != "88" {
		t.Errorf("%+v", a)
	}
	if err := d.RotateSecret(ctx, "none", "x"); chat.KindOf(err) != chat.KindNotFound {
		t.Error(err)
	}
}

// A declaration is applied at every start. While it says the same it undoes
// neither a rotation nor a new token.
func TestDirectory_DeclarationKeepsNewerSecrets(t *testing.T) {
	fs, ctx := vfs.NewMem(), t.Context()
	s := storeOn(t, fs)
	d := directoryOf(t, s)
	ch := chat.Channel{ID: "acme-wa", Tenant: "acme", App: "meta", Kind: chat.WhatsApp, Account: "7001", Token: "declared"}
	declare := func(d *Directory, secret, token chat.Secret) {
		mustPut(t, d.Change(ctx, func(c *Change) error {
			if err := c.DeclareApp(chat.App{ID: "meta", Secrets: []chat.Secret{secret}, VerifyToken: "v"}); err != nil {
				return err
			}
			if err := c.PutTenant(chat.Tenant{ID: "acme", Name: "Acme"}); err != nil {
				return err
			}
			ch.Token = token
			return c.DeclareChannel(ch)
		}))
	}
	declare(d, "one", "declared")
	mustPut(t, d.ReplaceToken(ctx, "acme-wa", "declared", "refreshed"))
	if err := d.ReplaceToken(ctx, "acme-wa", "declared", "late"); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("a token was replaced that is not there any more: %v", err)
	}
	mustPut(t, d.RotateSecret(ctx, "meta", "two"))
	mustPut(t, s.Close())
	d = directoryOf(t, storeOn(t, fs))
	declare(d, "one", "declared")
	got, _ := d.ChannelByID("acme-wa")
	if a, _ := d.App("meta"); got.Token != "refreshed" || !slices.Equal(a.Secrets, []chat.Secret{"two", "one"}) {
		t.Errorf("the same declaration again: token %q, %d secrets", got.Token.Reveal(), len(a.Secrets))
	}
	declare(d, "three", "newer")
	got, _ = d.ChannelByID("acme-wa")
	if a, _ := d.App("meta"); got.Token != "newer" || !slices.Equal(a.Secrets, []chat.Secret{"three"}) {
		t.Errorf("another declaration: token %q, %d secrets", got.Token.Reveal(), len(a.Secrets))
	}
}
