package persistence

import (
	"errors"
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
			if err := c.DeclareApp(chat.App{ID: "meta", Secrets: []chat.Secret{secret}, VerifyTokens: []chat.Secret{"v"}}); err != nil {
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

// An app's settings change one at a time, outlive a restart, and are not undone by a
// declaration that says what it said before.
func TestDirectory_SettingsOfAnApp(t *testing.T) {
	fs, ctx := vfs.NewMem(), t.Context()
	s := storeOn(t, fs)
	d := directoryOf(t, s)
	declare := func(d *Directory, metaID string) {
		mustPut(t, d.Change(ctx, func(c *Change) error {
			return c.DeclareApp(chat.App{ID: "meta", Secrets: []chat.Secret{"s"}, VerifyTokens: []chat.Secret{"v"}, MetaID: metaID})
		}))
	}
	of := func(v string) *string { return &v }
	secret := chat.Secret("ig-secret")
	declare(d, "")
	mustPut(t, d.SetApp(ctx, "meta", chat.AppSettings{MetaID: of("77")}))
	mustPut(t, d.SetApp(ctx, "meta", chat.AppSettings{InstagramID: of("88"), InstagramSecret: &secret}))
	mustPut(t, d.AddVerifyToken(ctx, "meta", "of-a-number"))
	mustPut(t, d.AddVerifyToken(ctx, "meta", "of-a-number"))
	mustPut(t, d.RotateSecret(ctx, "meta", "s2"))
	for name, tc := range map[string]struct {
		err  error
		kind chat.ErrorKind
	}{
		"no id of Meta's":        {d.SetApp(ctx, "meta", chat.AppSettings{MetaID: of("my app")}), chat.KindInvalid},
		"half of a pair":         {d.SetApp(ctx, "meta", chat.AppSettings{InstagramID: of("")}), chat.KindInvalid},
		"no such app":            {d.SetApp(ctx, "none", chat.AppSettings{}), chat.KindNotFound},
		"an empty token":         {d.AddVerifyToken(ctx, "meta", ""), chat.KindInvalid},
		"a token it has not":     {d.RetireVerifyToken(ctx, "meta", "x"), chat.KindNotFound},
		"a token of no such app": {d.AddVerifyToken(ctx, "none", "x"), chat.KindNotFound},
	} {
		if chat.KindOf(tc.err) != tc.kind {
			t.Errorf("%s: %v", name, tc.err)
		}
	}
	mustPut(t, s.Close())
	d = directoryOf(t, storeOn(t, fs))
	declare(d, "")
	a, _ := d.App("meta")
	if a.MetaID != "77" || a.InstagramID != "88" || a.InstagramSecret != "ig-secret" || len(a.Secrets) != 2 ||
		!slices.Equal(a.VerifyTokens, []chat.Secret{"v", "of-a-number"}) {
		t.Errorf("after a restart with the same declaration: %+v, %d verify tokens", a, len(a.VerifyTokens))
	}
	mustPut(t, d.RetireVerifyToken(ctx, "meta", "v"))
	if err := d.RetireVerifyToken(ctx, "meta", "of-a-number"); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("the last verify token was retired: %v", err)
	}
	declare(d, "99")
	if a, _ = d.App("meta"); a.MetaID != "99" || len(a.Secrets) != 2 || !slices.Equal(a.VerifyTokens, []chat.Secret{"v"}) {
		t.Errorf("after another declaration: %+v, %d secrets", a, len(a.Secrets))
	}
}

// A channel that is given up keeps nothing that could be used: its token is gone, its
// account is another's to bind, and its WABA leads elsewhere. A restart and the same
// declaration change nothing of it.
func TestDirectory_UnbindsAChannel(t *testing.T) {
	fs, ctx := vfs.NewMem(), t.Context()
	s := storeOn(t, fs)
	d := directoryOf(t, s)
	first := chat.Channel{ID: "acme-1", Tenant: "acme", App: "meta", Kind: chat.WhatsApp, Account: "7001", WABA: "9001", Token: "one"}
	second := first
	second.ID, second.Account = "acme-2", "7002"
	declare := func(d *Directory) {
		mustPut(t, d.Change(ctx, func(c *Change) error {
			return errors.Join(c.PutApp(testApp), c.PutTenant(chat.Tenant{ID: "acme"}), c.PutTenant(chat.Tenant{ID: "bolt"}),
				c.DeclareChannel(first), c.DeclareChannel(second))
		}))
	}
	declare(d)
	mustPut(t, d.Unbind(ctx, "acme-1", 1700))
	mustPut(t, d.Unbind(ctx, "acme-1", 1800))
	mustPut(t, s.Close())
	s = storeOn(t, fs)
	d = directoryOf(t, s)
	declare(d)
	if got, ok := d.ChannelByID("acme-1"); !ok || got.Token != "" || got.Disconnected != 1700 {
		t.Errorf("given up: %+v", got)
	}
	if _, ok := d.Channel("meta", chat.WhatsApp, "7001", "9001"); ok {
		t.Error("a channel that was given up is still routed to")
	}
	if got, ok := d.Channel("meta", chat.WhatsApp, "", "9001"); !ok || got.ID != "acme-2" {
		t.Errorf("its WABA leads to %q", got.ID)
	}
	if err := d.ReplaceToken(ctx, "acme-1", "", "new"); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("a token for a channel that was given up: %v", err)
	}
	if err := d.Unbind(ctx, "none", 1); chat.KindOf(err) != chat.KindNotFound {
		t.Error(err)
	}
	// The account is free: whoever binds it has it.
	other := chat.Channel{ID: "bolt-1", Tenant: "bolt", App: "meta", Kind: chat.WhatsApp, Account: "7001", WABA: "9009", Token: "theirs"}
	mustPut(t, d.PutChannel(ctx, other))
	if err := d.PutChannel(ctx, first); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("an account was bound twice: %v", err)
	}
	mustPut(t, d.Unbind(ctx, "bolt-1", 1900))
	mustPut(t, d.PutChannel(ctx, first))
	if got, ok := d.Channel("meta", chat.WhatsApp, "7001", ""); !ok || got.ID != "acme-1" || got.Disconnected != 0 {
		t.Errorf("bound again: %+v", got)
	}
}
