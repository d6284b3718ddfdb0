package meta_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

var (
	simNumber = metasim.Account{Kind: metasim.WhatsApp, ID: "200000000000001", WABA: "300000000000001", Display: "15550199000",
		App: "main", AppSecret: "sim-secret", AccessToken: "token-wa-do-not-print"}
	simOther = metasim.Account{Kind: metasim.WhatsApp, ID: "200000000000002", WABA: "300000000000002", App: "main",
		AppSecret: "sim-secret", AccessToken: "token-other"}
	simGram = metasim.Account{Kind: metasim.Instagram, ID: "17840000000000001", App: "main", AppSecret: "sim-secret", AccessToken: "token-ig"}
)

// desk is a client in front of the simulator, with a clock of the simulator's.
type desk struct {
	*meta.Client
	sim *metasim.Server
	app chat.App

	mu   sync.Mutex
	now  time.Time
	uris []string
}

func newDesk(t *testing.T, change func(*metasim.Options)) *desk {
	t.Helper()
	d := &desk{now: time.Now()}
	o := metasim.Options{Accounts: []metasim.Account{simNumber, simOther, simGram}, Seed: 7, Now: d.clock}
	if change != nil {
		change(&o)
	}
	d.sim = metasim.New(o)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.uris = append(d.uris, r.Method+" "+r.URL.Path)
		d.mu.Unlock()
		d.sim.ServeHTTP(w, r)
	}))
	d.app = chat.App{ID: "main", Secrets: []chat.Secret{"sim-secret"}, MetaID: d.sim.AppID("main"),
		InstagramID: d.sim.AppID("main"), InstagramSecret: "sim-secret"}
	c, err := meta.NewClient(meta.Options{GraphURL: web.URL, InstagramURL: web.URL,
		AppSecret: func(chat.AppID) (chat.Secret, bool) { return "sim-secret", true },
		App:       func(id chat.AppID) (chat.App, bool) { return d.app, id == "main" }})
	if err != nil {
		t.Fatal(err)
	}
	d.Client = c
	t.Cleanup(func() {
		c.Close()
		web.Close()
		_ = d.sim.Close()
	})
	return d
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

func channelOf(a metasim.Account) chat.Channel {
	ch := chat.Channel{ID: "acme", Tenant: "acme", App: "main", Kind: chat.WhatsApp, Account: a.ID, WABA: a.WABA, Token: chat.Secret(a.AccessToken)}
	if a.Kind == metasim.Instagram {
		ch.Kind = chat.Instagram
	}
	return ch
}

func TestManage_Check(t *testing.T) {
	d, ctx := newDesk(t, nil), t.Context()
	ch := channelOf(simNumber)
	r, err := d.Check(ctx, ch)
	if err != nil {
		t.Fatal(err)
	}
	if r.Token == nil || r.Token.Invalid != "" || len(r.Token.Scopes) != 2 || !r.Token.Expires.IsZero() || r.Token.Issued.IsZero() {
		t.Errorf("token %+v", r.Token)
	}
	n := r.Number
	if n == nil || n.Number != "15550199000" || n.Quality != "GREEN" || n.Tier != "TIER_2K" || n.PerSecond != 80 ||
		n.Health != "AVAILABLE" || n.NumberStatus != "CONNECTED" || n.Portfolio == "" {
		t.Errorf("number %+v", n)
	}
	if r.Subscribed == nil || !*r.Subscribed {
		t.Error("not subscribed")
	}
	d.sim.ChangeBusiness(simNumber.ID, func(b *metasim.Business) {
		b.Restricted, b.High, b.Quality, b.Tier, b.Subscribed = true, true, "RED", "TIER_UNLIMITED", false
	})
	if r, err = d.Check(ctx, ch); err != nil || r.Number.Health != "BLOCKED" || !strings.Contains(r.Number.Why, "disabled") ||
		r.Number.PerSecond != 1000 || r.Number.Tier != "TIER_UNLIMITED" || *r.Subscribed {
		t.Errorf("%+v, %v", r.Number, err)
	}
	// A token that ends, one that has ended, one that was revoked, one nobody knows.
	end := d.clock().Add(time.Hour).Truncate(time.Second)
	d.sim.ExpireToken(simNumber.AccessToken, end)
	if r, err = d.Check(ctx, ch); err != nil || !r.Token.Expires.Equal(end) {
		t.Errorf("%+v, %v", r.Token, err)
	}
	d.pass(2 * time.Hour)
	if r, err = d.Check(ctx, ch); err != nil || r.Token.Invalid != "token_expired" || r.Number != nil {
		t.Errorf("%+v, %v", r, err)
	}
	d.sim.RevokeToken(simNumber.AccessToken, 460)
	if r, _ = d.Check(ctx, ch); r.Token.Invalid != "password_changed" {
		t.Errorf("%+v", r.Token)
	}
	ch.Token = "nobody-knows"
	if r, _ = d.Check(ctx, ch); r.Token.Invalid != "token_invalid" {
		t.Errorf("%+v", r.Token)
	}
	// Without the app's id the token is looked at with itself.
	d.app.MetaID = ""
	if r, err = d.Check(ctx, channelOf(simOther)); err != nil || r.Token.Invalid != "" || len(r.Token.Scopes) != 2 {
		t.Errorf("%+v, %v", r.Token, err)
	}
	if r, _ = d.Check(ctx, ch); r.Token.Invalid != "token_invalid" {
		t.Errorf("%+v", r.Token)
	}
}

// What fails for now leaves the rest of the report.
func TestManage_CheckInParts(t *testing.T) {
	d := newDesk(t, nil)
	d.sim.FailManagement(func(_, path string) int {
		if strings.HasSuffix(path, "/subscribed_apps") {
			return 80007
		}
		return 0
	})
	r, err := d.Check(t.Context(), channelOf(simNumber))
	if chat.KindOf(err) != chat.KindBusy || r.Token == nil || r.Number == nil || r.Subscribed != nil {
		t.Errorf("%+v, %v", r, err)
	}
	d.sim.FailManagement(func(_, path string) int {
		if strings.HasSuffix(path, "/debug_token") {
			return 100
		}
		return 0
	})
	if r, err = d.Check(t.Context(), channelOf(simNumber)); err != nil || r.Token == nil || r.Token.Invalid != "" || len(r.Token.Scopes) != 0 {
		t.Errorf("an app that may not look at the token: %+v, %v", r, err)
	}
}

// Something else than Graph answers everything with one body: no token is taken for
// dead because of it.
func TestManage_AnswersThatSayNothing(t *testing.T) {
	for _, body := range []string{`{}`, `{"success":true}`, `{"data":[]}`, `{"messages":[{"id":"wamid.X"}]}`, `{"data":{}}`} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(body)) }))
		c, err := meta.NewClient(meta.Options{GraphURL: web.URL, InstagramURL: web.URL})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []metasim.Account{simNumber, simGram} {
			r, _ := c.Check(t.Context(), channelOf(a))
			if r.Token != nil && r.Token.Invalid != "" || r.Number != nil && r.Number.Health != "" {
				t.Errorf("%s: %+v, %+v", body, r.Token, r.Number)
			}
		}
		c.Close()
		web.Close()
	}
}

// Trap 31: the code lives 30 s and is good once, and whoever brings it must own
// the WABA.
func TestManage_EmbeddedSignup(t *testing.T) {
	d, ctx := newDesk(t, func(o *metasim.Options) { o.Subscriptions = true }), t.Context()
	ch := channelOf(simNumber)
	ch.Token = ""
	code, err := d.sim.IssueCode(simNumber.ID)
	if err != nil {
		t.Fatal(err)
	}
	token, expires, err := d.Exchange(ctx, ch, code, "")
	if err != nil || token == "" || !expires.IsZero() {
		t.Fatalf("%v, %v", expires, err)
	}
	if _, _, err := d.Exchange(ctx, ch, code, ""); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("the code was good twice: %v", err)
	}
	late, _ := d.sim.IssueCode(simNumber.ID)
	d.pass(31 * time.Second)
	if _, _, err := d.Exchange(ctx, ch, late, ""); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("after 31 s: %v", err)
	}
	ch.Token = token
	if account, err := d.Identify(ctx, ch); err != nil || account != simNumber.ID {
		t.Errorf("%q, %v", account, err)
	}
	alone := ch
	alone.Account = ""
	if account, err := d.Identify(ctx, alone); err != nil || account != simNumber.ID {
		t.Errorf("the only number of the WABA: %q, %v", account, err)
	}
	// The ids come from a browser: they may be somebody else's.
	stolen := channelOf(simOther)
	stolen.Token = token
	if _, err := d.Identify(ctx, stolen); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("a token bound another's WABA: %v", err)
	}
	stolen.WABA = simNumber.WABA
	if _, err := d.Identify(ctx, stolen); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("a token bound another's number: %v", err)
	}
	if err := d.Open(ctx, ch, "123456"); err != nil {
		t.Fatal(err)
	}
	if b := d.sim.Business(simNumber.ID); !b.Subscribed || b.PIN != "123456" {
		t.Errorf("%+v", b)
	}
	if err := d.Open(ctx, ch, "654321"); chat.GraphErrorOf(err) == nil || chat.GraphErrorOf(err).Code != 133005 {
		t.Errorf("a wrong pin: %v", err)
	}
	if err := errors.Join(d.Unsubscribe(ctx, ch), d.Deregister(ctx, ch), d.Unsubscribe(ctx, ch)); err != nil {
		t.Fatal(err)
	}
	if b := d.sim.Business(simNumber.ID); b.Subscribed || b.Status != "DISCONNECTED" {
		t.Errorf("%+v", b)
	}
	d.app.MetaID = ""
	if _, _, err := d.Exchange(ctx, ch, "x", ""); chat.KindOf(err) != chat.KindInvalid || !strings.Contains(err.Error(), "meta_app_id") {
		t.Errorf("%v", err)
	}
}

// Trap 32: a token of Instagram can be refreshed after a day and before its end,
// and its owner has two ids.
func TestManage_InstagramLogin(t *testing.T) {
	d, ctx := newDesk(t, nil), t.Context()
	ch := channelOf(simGram)
	ch.Account = ""
	code, err := d.sim.IssueCode(simGram.ID)
	if err != nil {
		t.Fatal(err)
	}
	token, expires, err := d.Exchange(ctx, ch, code+"#_", "https://shop.example/back")
	if err != nil || token == "" {
		t.Fatal(err)
	}
	if left := time.Until(expires); left < 59*24*time.Hour || left > 61*24*time.Hour {
		t.Errorf("it ends in %v", left)
	}
	if _, _, err := d.Exchange(ctx, ch, code, ""); chat.KindOf(err) != chat.KindInvalid || chat.GraphErrorOf(err).Reason != "login_refused" {
		t.Errorf("the code was good twice: %v", err)
	}
	ch.Token = token
	account, err := d.Identify(ctx, ch)
	if err != nil || account != simGram.ID {
		t.Fatalf("webhooks route by %s, not by %q: %v", simGram.ID, account, err)
	}
	ch.Account = account
	if err := d.Open(ctx, ch, ""); err != nil {
		t.Error(err)
	}
	r, err := d.Check(ctx, ch)
	if err != nil || r.Token == nil || r.Number.Name == "" || r.Subscribed == nil || !*r.Subscribed {
		t.Errorf("%+v, %v", r, err)
	}
	if _, _, err := d.Refresh(ctx, ch); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("a token of this minute was refreshed: %v", err)
	}
	d.pass(25 * time.Hour)
	fresh, expires, err := d.Refresh(ctx, ch)
	if err != nil || fresh == "" || fresh == token || expires.IsZero() {
		t.Fatalf("%v", err)
	}
	d.pass(61 * 24 * time.Hour)
	ch.Token = fresh
	if _, _, err := d.Refresh(ctx, ch); chat.GraphErrorOf(err) == nil || chat.GraphErrorOf(err).Reason != "token_invalid" {
		t.Errorf("a token that has ended was refreshed: %v", err)
	}
	if r, _ := d.Check(ctx, ch); r.Token == nil || r.Token.Invalid != "token_expired" {
		t.Errorf("%+v", r.Token)
	}
	if _, _, err := d.Refresh(ctx, channelOf(simNumber)); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("whatsapp: %v", err)
	}
}

// Both shapes of the answer are read, and errors without an envelope.
func TestManage_InstagramCodeShapes(t *testing.T) {
	for _, body := range []string{
		`{"data":[{"access_token":"short","user_id":"102","permissions":"a,b"}]}`,
		`{"access_token":"short","user_id":17840000000000001}`,
	} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/oauth/access_token":
				if err := r.ParseForm(); err != nil || r.PostForm.Get("code") != "c0de" || r.PostForm.Get("redirect_uri") != "https://x" {
					t.Errorf("form %v", r.PostForm)
				}
				_, _ = w.Write([]byte(body))
			case r.URL.Query().Get("access_token") == "short" && r.URL.Query().Get("client_secret") == "s":
				_, _ = w.Write([]byte(`{"access_token":"long","token_type":"bearer","expires_in":5184000}`))
			default:
				t.Errorf("%s", r.URL)
			}
		}))
		c, err := meta.NewClient(meta.Options{GraphURL: web.URL, InstagramURL: web.URL,
			App: func(chat.AppID) (chat.App, bool) {
				return chat.App{ID: "main", Secrets: []chat.Secret{"x"}, InstagramID: "1", InstagramSecret: "s"}, true
			}})
		if err != nil {
			t.Fatal(err)
		}
		token, expires, err := c.Exchange(t.Context(), chat.Channel{App: "main", Kind: chat.Instagram}, "c0de#_", "https://x")
		if err != nil || token != "long" || expires.IsZero() {
			t.Errorf("%s: %q, %v", body, token.Reveal(), err)
		}
		c.Close()
		web.Close()
	}
}

func TestManage_Templates(t *testing.T) {
	d, ctx := newDesk(t, nil), t.Context()
	for n := range 45 {
		t := metasim.Template{Name: fmt.Sprintf("t%02d", n), Language: "de", Status: "APPROVED", Category: "UTILITY", Format: "NAMED",
			Components: []map[string]string{{"type": "BODY", "text": "Hello {{name}}"}}}
		cancelled, cancel := context.WithCancel(ctx)
		cancel() // the webhook goes nowhere
		_ = d.sim.PutTemplate(cancelled, simNumber, t)
	}
	list, err := d.Templates(ctx, channelOf(simNumber))
	if err != nil || len(list) != 46 {
		t.Fatalf("%d templates, %v", len(list), err)
	}
	got := list[45]
	want := chat.Template{ID: got.ID, WABA: simNumber.WABA, Name: "t44", Language: "de", Category: "UTILITY", Status: "APPROVED", Named: true,
		Components: []chat.TemplateComponent{{Type: "BODY", Text: "Hello {{name}}"}}}
	if !reflect.DeepEqual(got, want) || got.ID == "" {
		t.Errorf("%+v", got)
	}
	if _, err := d.Templates(ctx, chat.Channel{App: "main", Kind: chat.WhatsApp, WABA: simOther.WABA, Token: chat.Secret(simNumber.AccessToken)}); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("another's templates: %v", err)
	}
}

func TestManage_Profile(t *testing.T) {
	d, ctx := newDesk(t, nil), t.Context()
	ch := channelOf(simNumber)
	about, sites := "Open 9 to 5.", []string{"https://shop.example"}
	if err := d.SetProfile(ctx, ch, chat.BusinessProfile{About: &about, Websites: &sites}); err != nil {
		t.Fatal(err)
	}
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 3000)...)
	if err := d.SetLogo(ctx, ch, png); err != nil {
		t.Fatal(err)
	}
	p, err := d.Profile(ctx, ch)
	if err != nil || p.About == nil || *p.About != about || p.Websites == nil || !reflect.DeepEqual(*p.Websites, sites) ||
		p.Description != nil || !strings.HasPrefix(p.Picture, "https://") {
		t.Errorf("%+v, %v", p, err)
	}
	address := "1 Main St"
	if err := d.SetProfile(ctx, ch, chat.BusinessProfile{Address: &address}); err != nil {
		t.Fatal(err)
	}
	if p, _ = d.Profile(ctx, ch); p.About == nil || *p.About != about || *p.Address != address {
		t.Errorf("a change of one member changed others: %+v", p)
	}
	empty := ""
	if err := d.SetProfile(ctx, ch, chat.BusinessProfile{About: &empty}); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("%v", err)
	}
	if err := d.SetLogo(ctx, ch, []byte("GIF89a")); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("%v", err)
	}
	if err := d.SetLogo(ctx, ch, append(png, make([]byte, meta.LogoMax)...)); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("%v", err)
	}
	if _, err := d.Profile(ctx, channelOf(simGram)); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("%v", err)
	}
	// An app whose id nobody gave is told by the token.
	d.app.MetaID = ""
	if err := d.SetLogo(ctx, ch, png); err != nil {
		t.Error(err)
	}
}

// Trap 33: no error shows a token, an address or a code.
func TestManage_ErrorsShowNothing(t *testing.T) {
	d, ctx := newDesk(t, nil), t.Context()
	ch := channelOf(simNumber)
	d.sim.FailManagement(func(string, string) int { return 1 })
	errs := []error{}
	_, err := d.Check(ctx, ch)
	errs = append(errs, err)
	_, _, err = d.Exchange(ctx, ch, "code-do-not-print", "")
	errs = append(errs, err)
	_, err = d.Identify(ctx, ch)
	errs = append(errs, err, d.Open(ctx, ch, "123456"))
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err = d.Check(gone, ch)
	errs = append(errs, err)
	for i, err := range errs {
		if err == nil {
			t.Errorf("%d: no error", i)
			continue
		}
		for _, secret := range []string{"do-not-print", "sim-secret", "http", "123456", "appsecret_proof"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%d: %v shows %s", i, err, secret)
			}
		}
	}
}
