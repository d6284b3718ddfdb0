package persistence

import (
	"bytes"
	"crypto/sha256"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/seal"
)

// testKEK is the same in every test, so that a store can be opened again.
func testKEK(t testing.TB) *seal.KEK {
	t.Helper()
	kek, err := seal.NewKEK(bytes.Repeat([]byte{7}, seal.KeyLen))
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

// storeOn opens a store on fs; it is closed at the end of the test.
func storeOn(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s := openTest(t, testOptions(t, fs))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func directoryOf(t testing.TB, s *Store) *Directory {
	t.Helper()
	d, err := OpenDirectory(t.Context(), s, chat.Settings{Assistant: true})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustPut(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func waChannel(id, tenant, app, account, waba string) chat.Channel {
	return chat.Channel{ID: chat.ChannelID(id), Tenant: chat.TenantID(tenant), App: chat.AppID(app),
		Kind: chat.WhatsApp, Account: account, WABA: waba, Token: "EAAtoken"}
}

var testApp = chat.App{ID: "meta", Secrets: []chat.Secret{"app-secret"}, VerifyTokens: []chat.Secret{"verify"}}

func TestDirectory_SurvivesReopening(t *testing.T) {
	fs, ctx := vfs.NewMem(), t.Context()
	s := storeOn(t, fs)
	d := directoryOf(t, s)
	ch := waChannel("acme-wa", "acme", "meta", "1001", "2001")
	mustPut(t,
		d.PutApp(ctx, testApp),
		d.PutTenant(ctx, chat.Tenant{ID: "acme", Name: "Acme"}),
		d.PutChannel(ctx, ch),
		d.PutAPIKey(ctx, "acme", "sk-acme", []string{"*"}),
		d.PutMember(ctx, Member{Tenant: "acme", Email: "Ana@Example.com", Role: "owner"}, "correct horse"))
	before := d.table.Load()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d = directoryOf(t, storeOn(t, fs))
	opts := []cmp.Option{cmp.AllowUnexported(table{}, tenantEntry{}, accountKey{}, wabaKey{}, memberKey{}, memberEntry{})}
	if diff := cmp.Diff(before, d.table.Load(), opts...); diff != "" {
		t.Errorf("the directory read back differs:\n%s", diff)
	}
	if got, ok := d.Channel("meta", chat.WhatsApp, "1001", ""); !ok || got != ch {
		t.Errorf("Channel after reopening: %v %v", got, ok)
	}
	p, ok := d.Authenticate("sk-acme")
	if !ok || p.Tenant != "acme" || !slices.Equal(p.Scopes, []string{"*"}) || !strings.HasPrefix(p.Key, "key_") {
		t.Errorf("Authenticate after reopening: %+v %v", p, ok)
	}
	if _, ok := d.Authenticate("sk-acmf"); ok {
		t.Error("a wrong secret was accepted")
	}
	e := d.table.Load().members[memberKey{"acme", "ana@example.com"}]
	if !e.matches("correct horse") || e.matches("wrong horse") {
		t.Error("the password's hash does not tell right from wrong")
	}
}

func TestDirectory_PutIsIdempotent(t *testing.T) {
	ctx := t.Context()
	s := storeOn(t, vfs.NewMem())
	d := directoryOf(t, s)
	fill := func(c *Change) error {
		for _, put := range []func() error{
			func() error { return c.PutApp(testApp) },
			func() error { return c.PutTenant(chat.Tenant{ID: "acme"}) },
			func() error { return c.PutChannel(waChannel("acme-wa", "acme", "meta", "1001", "")) },
			func() error { return c.PutAPIKey("acme", "sk", []string{"*"}) },
			func() error { return c.PutMember(Member{Tenant: "acme", Email: "a@b.c", Role: "owner"}, "pw") },
		} {
			if err := put(); err != nil {
				return err
			}
		}
		return nil
	}
	mustPut(t, d.Change(ctx, fill))
	table := d.table.Load()
	mustPut(t, d.Change(ctx, fill))
	if d.table.Load() != table {
		t.Error("putting the same again changed the directory")
	}
	mustPut(t, d.Change(ctx, func(c *Change) error {
		for _, account := range []string{"9999", "1001"} {
			if err := c.PutChannel(waChannel("acme-wa", "acme", "meta", account, "")); err != nil {
				return err
			}
		}
		return nil
	}))
	if again := directoryOf(t, s); !reflect.DeepEqual(again.table.Load().channels, d.table.Load().channels) {
		t.Error("a change that came back to where it was is stored otherwise")
	}
	ch := waChannel("acme-wa", "acme", "meta", "1002", "")
	mustPut(t, d.PutChannel(ctx, ch))
	if _, ok := d.Channel("meta", chat.WhatsApp, "1001", ""); ok {
		t.Error("the old account still leads to the channel")
	}
	if got, ok := d.Channel("meta", chat.WhatsApp, "1002", ""); !ok || got != ch {
		t.Error("the new account does not lead to the channel")
	}
}

func TestDirectory_RefusesWhatCannotBe(t *testing.T) {
	ctx := t.Context()
	d := directoryOf(t, storeOn(t, vfs.NewMem()))
	mustPut(t, d.PutApp(ctx, testApp), d.PutTenant(ctx, chat.Tenant{ID: "acme"}), d.PutTenant(ctx, chat.Tenant{ID: "bolt"}),
		d.PutChannel(ctx, waChannel("acme-wa", "acme", "meta", "1001", "")),
		d.PutAPIKey(ctx, "acme", "sk", []string{"*"}))
	ig := waChannel("acme-wa", "acme", "meta", "1001", "")
	ig.Kind = chat.Instagram
	cases := map[string]struct {
		err  error
		kind chat.ErrorKind
		says string
	}{
		"upper case":        {d.PutTenant(ctx, chat.Tenant{ID: "Acme"}), chat.KindInvalid, "plain word"},
		"leading dash":      {d.PutTenant(ctx, chat.Tenant{ID: "-acme"}), chat.KindInvalid, "plain word"},
		"too long":          {d.PutTenant(ctx, chat.Tenant{ID: chat.TenantID(strings.Repeat("a", 64))}), chat.KindInvalid, "63"},
		"nul":               {d.PutTenant(ctx, chat.Tenant{ID: "a\x00b"}), chat.KindInvalid, "plain word"},
		"no secret":         {d.PutApp(ctx, chat.App{ID: "x", VerifyTokens: []chat.Secret{"v"}}), chat.KindInvalid, "app secret"},
		"no token":          {d.PutApp(ctx, chat.App{ID: "x", Secrets: []chat.Secret{"s"}}), chat.KindInvalid, "verify token"},
		"unknown tenant":    {d.PutChannel(ctx, waChannel("c", "nobody", "meta", "9", "")), chat.KindInvalid, `no tenant "nobody"`},
		"unknown app":       {d.PutChannel(ctx, waChannel("c", "acme", "nope", "9", "")), chat.KindInvalid, `no app "nope"`},
		"no account":        {d.PutChannel(ctx, waChannel("c", "acme", "meta", "", "")), chat.KindInvalid, "phone_number_id"},
		"account taken":     {d.PutChannel(ctx, waChannel("bolt-wa", "bolt", "meta", "1001", "")), chat.KindConflict, "bound to channel acme-wa"},
		"channel of other":  {d.PutChannel(ctx, waChannel("acme-wa", "bolt", "meta", "1002", "")), chat.KindConflict, "another tenant"},
		"kind changed":      {d.PutChannel(ctx, ig), chat.KindConflict, "whatsapp"},
		"key of other":      {d.PutAPIKey(ctx, "bolt", "sk", []string{"*"}), chat.KindConflict, "another tenant"},
		"key without scope": {d.PutAPIKey(ctx, "acme", "sk2", nil), chat.KindInvalid, "scopes"},
		"empty key":         {d.PutAPIKey(ctx, "acme", "", []string{"*"}), chat.KindInvalid, "empty"},
		"no e-mail":         {d.PutMember(ctx, Member{Tenant: "acme", Email: "ana", Role: "owner"}, "pw"), chat.KindInvalid, "e-mail"},
		"no password":       {d.PutMember(ctx, Member{Tenant: "acme", Email: "a@b.c", Role: "owner"}, ""), chat.KindInvalid, "password"},
	}
	for name, c := range cases {
		if chat.KindOf(c.err) != c.kind || c.err == nil || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: got %v, want kind %v saying %q", name, c.err, c.kind, c.says)
		}
	}
	if _, ok := d.ChannelByID("bolt-wa"); ok {
		t.Error("a refused channel is visible")
	}
}

func TestDirectory_RoutesAccountUpdatesByWABA(t *testing.T) {
	ctx := t.Context()
	d := directoryOf(t, storeOn(t, vfs.NewMem()))
	mustPut(t, d.PutApp(ctx, testApp),
		d.PutApp(ctx, chat.App{ID: "other", Secrets: []chat.Secret{"s"}, VerifyTokens: []chat.Secret{"v"}}),
		d.PutTenant(ctx, chat.Tenant{ID: "acme"}), d.PutTenant(ctx, chat.Tenant{ID: "bolt"}),
		d.PutChannel(ctx, waChannel("b-two", "acme", "meta", "2", "w-shared")),
		d.PutChannel(ctx, waChannel("a-one", "acme", "meta", "1", "w-shared")),
		d.PutChannel(ctx, waChannel("c-torn", "acme", "meta", "3", "w-torn")),
		d.PutChannel(ctx, waChannel("d-torn", "bolt", "meta", "4", "w-torn")))
	for _, c := range []struct {
		app           chat.AppID
		kind          chat.ChannelKind
		account, waba string
		want          chat.ChannelID
	}{
		{"meta", chat.WhatsApp, "2", "w-shared", "b-two"},
		{"meta", chat.WhatsApp, "", "w-shared", "a-one"},
		{"meta", chat.WhatsApp, "", "w-torn", ""},
		{"meta", chat.WhatsApp, "4", "w-torn", "d-torn"},
		{"meta", chat.WhatsApp, "5", "w-shared", ""},
		{"meta", chat.Instagram, "2", "", ""},
		{"meta", chat.Instagram, "", "w-shared", ""},
		{"other", chat.WhatsApp, "2", "", ""},
		{"other", chat.WhatsApp, "", "w-shared", ""},
	} {
		ch, ok := d.Channel(c.app, c.kind, c.account, c.waba)
		if ch.ID != c.want && ok || ok != (c.want != "") {
			t.Errorf("Channel(%s, %s, %q, %q) = %q %v, want %q", c.app, c.kind, c.account, c.waba, ch.ID, ok, c.want)
		}
	}
}

func TestDirectory_SimulatorNeverAnswersForALiveNumber(t *testing.T) {
	ctx := t.Context()
	d := directoryOf(t, storeOn(t, vfs.NewMem()))
	d.SetBase(chat.Settings{Assistant: true, Simulated: true})
	demo := waChannel("demo-wa", "demo", "meta", "1", "")
	demo.Simulated = true
	mustPut(t, d.PutApp(ctx, testApp), d.PutTenant(ctx, chat.Tenant{ID: "acme"}), d.PutTenant(ctx, chat.Tenant{ID: "demo"}),
		d.PutChannel(ctx, waChannel("acme-wa", "acme", "meta", "2", "")), d.PutChannel(ctx, demo))
	if s := d.Settings("demo"); !s.Assistant || !s.Simulated || s.QuietPeriod == 0 {
		t.Errorf("a simulated tenant: %+v", s)
	}
	if s := d.Settings("acme"); s.Assistant || s.Simulated {
		t.Errorf("a tenant with a live number: %+v", s)
	}
	d.SetBase(chat.Settings{Assistant: true})
	if s := d.Settings("acme"); !s.Assistant {
		t.Errorf("with a real model: %+v", s)
	}
}

func TestDirectory_FilesHoldNoSecrets(t *testing.T) {
	ctx, fs := t.Context(), vfs.NewMem()
	s := storeOn(t, fs)
	d := directoryOf(t, s)
	mustPut(t, d.PutApp(ctx, chat.App{ID: "meta", Secrets: []chat.Secret{"canary-app-secret"}, VerifyTokens: []chat.Secret{"canary-verify"}}),
		d.PutTenant(ctx, chat.Tenant{ID: "acme", Name: "canary-name"}),
		d.PutChannel(ctx, chat.Channel{ID: "acme-wa", Tenant: "acme", App: "meta", Kind: chat.WhatsApp,
			Account: "canary-account", WABA: "canary-waba", Token: "canary-token"}),
		d.PutAPIKey(ctx, "acme", "canary-key", []string{"*"}),
		d.PutMember(ctx, Member{Tenant: "acme", Email: "canary@example.com", Role: "owner"}, "canary-password"),
		d.Quarantine().Keep(ctx, "meta", "unbound", &chat.Inbound{Kind: chat.InboundMessage, Text: "canary-text", Raw: []byte("canary-raw")}, strikeDay),
		s.db.Flush())
	digest := sha256.Sum256([]byte("canary-key"))
	for name, content := range filesOf(t, fs, "data") {
		if bytes.Contains(content, []byte("canary")) || bytes.Contains(content, digest[:]) {
			t.Errorf("%s holds a secret in plain", name)
		}
	}
}

// filesOf reads every file under dir.
func filesOf(t testing.TB, fs vfs.FS, dir string) map[string][]byte {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			continue // removed meanwhile
		}
		if info.IsDir() {
			for k, v := range filesOf(t, fs, path) {
				files[k] = v
			}
			continue
		}
		f, err := fs.Open(path)
		if err != nil {
			continue
		}
		content, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		files[path] = content
	}
	return files
}

// TestDirectory_PutIsDurable cuts the power right after each answer.
func TestDirectory_PutIsDurable(t *testing.T) {
	ctx, fs := t.Context(), vfs.NewCrashableMem()
	s := storeOn(t, fs)
	d := directoryOf(t, s)
	q := d.Quarantine()
	in := &chat.Inbound{Account: "404", Raw: []byte("{}")}
	for _, step := range []struct {
		do    func() error
		there func(*Directory) bool
	}{
		{func() error { return d.PutApp(ctx, testApp) }, func(d *Directory) bool { _, ok := d.App("meta"); return ok }},
		{func() error { return d.PutTenant(ctx, chat.Tenant{ID: "acme"}) }, func(d *Directory) bool { return len(d.Tenants()) == 1 }},
		{func() error { return d.PutChannel(ctx, waChannel("acme-wa", "acme", "meta", "1001", "")) },
			func(d *Directory) bool { _, ok := d.ChannelByID("acme-wa"); return ok }},
		{func() error { return d.PutAPIKey(ctx, "acme", "sk", []string{"*"}) },
			func(d *Directory) bool { _, ok := d.Authenticate("sk"); return ok }},
		{func() error { return q.Keep(ctx, "meta", "unbound", in, strikeDay) }, func(d *Directory) bool {
			items, _, err := d.Quarantine().Pending("meta", "", 10)
			return err == nil && len(items) == 1
		}},
	} {
		mustPut(t, step.do())
		cut := storeOn(t, fs.CrashClone(vfs.CrashCloneCfg{}))
		if !step.there(directoryOf(t, cut)) {
			t.Error("an answered change is gone after a power cut")
		}
		mustCheck(t, cut)
	}
}
