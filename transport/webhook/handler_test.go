package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/transport/webhook"
	"github.com/valyala/fasthttp"
)

const secret = "one-app-secret-for-tests"

// apps is a registry of apps that a test may change.
type apps struct {
	mu sync.Mutex
	m  map[chat.AppID]chat.App
}

func (a *apps) App(id chat.AppID) (chat.App, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	app, ok := a.m[id]
	return app, ok
}

func (a *apps) set(app chat.App) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.m[app.ID] = app
}

// ingress records what it was given and answers err.
type ingress struct {
	mu      sync.Mutex
	err     error
	updates []chat.Inbound
	calls   int
	hold    chan struct{}
	entered chan struct{}
}

func (i *ingress) Deliver(ctx context.Context, app chat.AppID, updates []chat.Inbound) error {
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("delivered without a deadline")
	}
	if i.hold != nil {
		i.entered <- struct{}{}
		<-i.hold
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	i.updates = append(i.updates, updates...)
	return i.err
}

type fixture struct {
	*webhook.Handler
	apps    *apps
	ingress *ingress
}

func setup(t testing.TB, change func(*webhook.Options)) *fixture {
	t.Helper()
	f := &fixture{
		apps: &apps{m: map[chat.AppID]chat.App{
			"main":   {ID: "main", Secrets: []chat.Secret{secret}, VerifyTokens: []chat.Secret{"verify-me", "", "of-a-number"}},
			"silent": {ID: "silent"},
		}},
		ingress: &ingress{},
	}
	o := webhook.Options{Apps: f.apps, Ingress: f.ingress, Metrics: &metrics.New(nil).Edge, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	h, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.Handler = h
	return f
}

func sign(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func (f *fixture) do(method, uri, signature, body string) *fasthttp.RequestCtx {
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(uri)
	if signature != "" {
		ctx.Request.Header.Set("X-Hub-Signature-256", signature)
	}
	ctx.Request.SetBodyString(body)
	f.Serve(ctx)
	return ctx
}

func (f *fixture) post(body string) int {
	return f.do("POST", "/hooks/main", sign(secret, body), body).Response.StatusCode()
}

func text(id, words string) string {
	return fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"900100","changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550001","phone_number_id":"700100"},`+
		`"contacts":[{"profile":{"name":"Ada"},"wa_id":"4915112345678"}],`+
		`"messages":[{"from":"4915112345678","id":"%s","timestamp":"1790000000","type":"text","text":{"body":"%s"}}]}}]}]}`, id, words)
}

func TestHandler_DeliversSignedMessage(t *testing.T) {
	f := setup(t, nil)
	ctx := f.do("POST", "/hooks/main", sign(secret, text("wamid.A", "hello")), text("wamid.A", "hello"))
	if ctx.Response.StatusCode() != 200 {
		t.Fatalf("answered %d", ctx.Response.StatusCode())
	}
	if len(f.ingress.updates) != 1 {
		t.Fatalf("delivered %d updates, want 1", len(f.ingress.updates))
	}
	if in := f.ingress.updates[0]; in.Kind != chat.InboundMessage || in.Remote != "wamid.A" || in.Text != "hello" || in.Account != "700100" || in.App != "main" {
		t.Errorf("delivered %+v", in)
	}
}

func TestHandler_RefusesBeforeParsing(t *testing.T) {
	body := text("wamid.A", "hello")
	for _, tc := range []struct {
		name, uri, signature string
		want                 int
	}{
		{"no signature", "/hooks/main", "", 401},
		{"other secret", "/hooks/main", sign("other", body), 401},
		{"empty secret", "/hooks/main", sign("", body), 401},
		{"other body", "/hooks/main", sign(secret, body+" "), 401},
		{"upper case", "/hooks/main", "sha256=" + strings.ToUpper(sign(secret, body)[7:]), 401},
		{"sha1 scheme", "/hooks/main", "sha1=" + strings.Repeat("0", 40), 401},
		{"truncated", "/hooks/main", sign(secret, body)[:70], 401},
		{"app without secrets", "/hooks/silent", sign("", body), 401},
		{"unknown app", "/hooks/nobody", sign(secret, body), 404},
		{"no app", "/hooks/", sign(secret, body), 404},
		{"deeper path", "/hooks/main/x", sign(secret, body), 404},
	} {
		f := setup(t, nil)
		ctx := f.do("POST", tc.uri, tc.signature, body)
		if got := ctx.Response.StatusCode(); got != tc.want {
			t.Errorf("%s: answered %d, want %d", tc.name, got, tc.want)
		}
		if len(ctx.Response.Body()) != 0 {
			t.Errorf("%s: the answer has a body: %q", tc.name, ctx.Response.Body())
		}
		if f.ingress.calls != 0 {
			t.Errorf("%s: delivered", tc.name)
		}
	}
}

func TestHandler_AcceptsBothSecretsOfARotation(t *testing.T) {
	f := setup(t, nil)
	body := text("wamid.A", "hello")
	f.apps.set(chat.App{ID: "main", Secrets: []chat.Secret{"new", secret}})
	for _, key := range []string{"new", secret} {
		if got := f.do("POST", "/hooks/main", sign(key, body), body).Response.StatusCode(); got != 200 {
			t.Errorf("secret %q: %d", key, got)
		}
	}
	f.apps.set(chat.App{ID: "main", Secrets: []chat.Secret{"new"}})
	if got := f.post(body); got != 401 {
		t.Errorf("the retired secret still verifies: %d", got)
	}
}

// What is signed is Meta's; whatever it says, another answer than 200 would
// only make it come again.
func TestHandler_KeepsSignedBodiesItCannotRead(t *testing.T) {
	for _, tc := range []struct{ name, body string }{
		{"not json", "hello"},
		{"empty", ""},
		{"truncated", text("wamid.A", "hello")[:100]},
		{"deep", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)},
		{"wrong types", `{"object":7,"entry":{"id":[]}}`},
		{"entry of wrong type", `{"object":"whatsapp_business_account","entry":["x",null,7]}`},
		{"unknown fields", `{"object":"page","new":{"a":1},"entry":[{"id":"1","time":1,"new_thing":[{"x":1}]}]}`},
		{"a number", "7"},
	} {
		f := setup(t, nil)
		if got := f.post(tc.body); got != 200 {
			t.Errorf("%s: answered %d, want 200", tc.name, got)
		}
		if len(f.ingress.updates) == 0 {
			t.Errorf("%s: nothing was kept", tc.name)
		}
		for _, in := range f.ingress.updates {
			if in.Kind != chat.InboundUpdate || in.App != "main" || in.Digest == "" {
				t.Errorf("%s: kept as %+v", tc.name, in)
			}
		}
	}
	for _, nothing := range []string{"null", `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":null}]}`} {
		f := setup(t, nil)
		if got := f.post(nothing); got != 200 || f.ingress.calls != 0 {
			t.Errorf("%s says nothing: answered %d with %d deliveries", nothing, got, f.ingress.calls)
		}
	}
	f := setup(t, nil)
	f.post("hello")
	f.post("hello")
	if u := f.ingress.updates; string(u[0].Raw) != "hello" || u[0].Problem == "" || u[0].Digest != u[1].Digest {
		t.Errorf("kept %+v", u)
	}
}

func TestHandler_Answers503UntilDurable(t *testing.T) {
	f := setup(t, nil)
	f.ingress.err = chat.E("journal.Append", chat.KindUnavailable, "disk reserve", nil)
	body := text("wamid.A", "hello")
	ctx := f.do("POST", "/hooks/main", sign(secret, body), body)
	if ctx.Response.StatusCode() != 503 || len(ctx.Response.Header.Peek("Retry-After")) == 0 {
		t.Errorf("answered %d", ctx.Response.StatusCode())
	}
	if strings.Contains(string(ctx.Response.Body()), "disk") {
		t.Error("the public answer tells about the inside")
	}
	f.ingress.err = nil
	if got := f.post(body); got != 200 {
		t.Errorf("the repetition got %d", got)
	}
}

func TestHandler_RefusesFastWhenFull(t *testing.T) {
	f := setup(t, func(o *webhook.Options) { o.InFlightMax = 1 })
	f.ingress.hold, f.ingress.entered = make(chan struct{}), make(chan struct{})
	first := make(chan int)
	go func() { first <- f.post(text("wamid.A", "one")) }()
	<-f.ingress.entered
	ctx := f.do("POST", "/hooks/main", sign(secret, text("wamid.B", "two")), text("wamid.B", "two"))
	if ctx.Response.StatusCode() != 503 || string(ctx.Response.Header.Peek("Retry-After")) == "" {
		t.Errorf("with the only slot taken: %d", ctx.Response.StatusCode())
	}
	close(f.ingress.hold)
	if got := <-first; got != 200 {
		t.Errorf("the first got %d", got)
	}
	f.ingress.hold = nil
	if got := f.post(text("wamid.B", "two")); got != 200 {
		t.Errorf("with the slot free again: %d", got)
	}
}

// fasthttp writes the next request over the memory of this one. Whatever was
// delivered must not change with it.
func TestHandler_NothingDeliveredAliasesTheRequest(t *testing.T) {
	bodies := []string{
		text("wamid.ALIAS", "a secret of this tenant"),
		strings.ReplaceAll(text("wamid.ALIAS", "x"), `"type":"text"`, `"type":"sticker","sticker":{"id":"77"}`),
		`{"object":"instagram","entry":[{"id":"800100","time":1790000000000,"messaging":[{"sender":{"id":"5550001"},"recipient":{"id":"800100"},"timestamp":1790000000000,"message":{"mid":"mid.ALIAS","text":"a secret"}}]}]}`,
		"a secret that is not JSON",
	}
	for _, body := range bodies {
		f := setup(t, nil)
		ctx := f.do("POST", "/hooks/main", sign(secret, body), body)
		if ctx.Response.StatusCode() != 200 || len(f.ingress.updates) == 0 {
			t.Fatalf("answered %d with %d updates", ctx.Response.StatusCode(), len(f.ingress.updates))
		}
		before := fmt.Sprintf("%+v", f.ingress.updates)
		poison(ctx.PostBody())
		poison(ctx.Request.Header.Peek("X-Hub-Signature-256"))
		poison(ctx.Path())
		poison(ctx.Request.Header.RequestURI())
		if after := fmt.Sprintf("%+v", f.ingress.updates); after != before {
			t.Errorf("delivered updates changed with the request's memory:\n%s\n%s", before, after)
		}
	}
}

func poison(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = 'X'
	}
}

func TestHandler_Handshake(t *testing.T) {
	f := setup(t, nil)
	for _, tc := range []struct {
		name, uri string
		want      int
		body      string
	}{
		{"right", "/hooks/main?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-me", 200, "1158201444"},
		{"the token of an override", "/hooks/main?hub.mode=subscribe&hub.challenge=7&hub.verify_token=of-a-number", 200, "7"},
		{"an empty token among several", "/hooks/main?hub.mode=subscribe&hub.challenge=7&hub.verify_token=", 403, ""},
		{"escaped names", "/hooks/main?hub%2Emode=subscribe&hub%2Echallenge=42&hub%2Everify_token=verify-me", 200, "42"},
		{"wrong token", "/hooks/main?hub.mode=subscribe&hub.challenge=1&hub.verify_token=verify-m", 403, ""},
		{"no token", "/hooks/main?hub.mode=subscribe&hub.challenge=1", 403, ""},
		{"wrong mode", "/hooks/main?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=verify-me", 403, ""},
		{"no challenge", "/hooks/main?hub.mode=subscribe&hub.verify_token=verify-me", 403, ""},
		{"markup", "/hooks/main?hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=verify-me", 403, ""},
		{"long challenge", "/hooks/main?hub.mode=subscribe&hub.challenge=" + strings.Repeat("1", 65) + "&hub.verify_token=verify-me", 403, ""},
		{"longest challenge", "/hooks/main?hub.mode=subscribe&hub.challenge=" + strings.Repeat("a", 64) + "&hub.verify_token=verify-me", 200, strings.Repeat("a", 64)},
		{"unset token", "/hooks/silent?hub.mode=subscribe&hub.challenge=1&hub.verify_token=", 403, ""},
		{"unknown app", "/hooks/nobody?hub.mode=subscribe&hub.challenge=1&hub.verify_token=verify-me", 404, ""},
	} {
		ctx := f.do("GET", tc.uri, "", "")
		if got := ctx.Response.StatusCode(); got != tc.want || string(ctx.Response.Body()) != tc.body {
			t.Errorf("%s: %d %q, want %d %q", tc.name, got, ctx.Response.Body(), tc.want, tc.body)
		}
		if ct := string(ctx.Response.Header.ContentType()); !strings.HasPrefix(ct, "text/plain") {
			t.Errorf("%s: content type %q", tc.name, ct)
		}
	}
	if got := f.do("PUT", "/hooks/main", "", "").Response.StatusCode(); got != 405 {
		t.Errorf("PUT: %d", got)
	}
}

func TestNew_NamesMissingOptions(t *testing.T) {
	if _, err := webhook.New(webhook.Options{}); err == nil || !strings.Contains(err.Error(), "Ingress") {
		t.Errorf("got %v", err)
	}
}

// FuzzHandler: any signed body is answered 200 with something kept or nothing
// said, never a panic.
func FuzzHandler(f *testing.F) {
	for _, s := range []string{"", "{}", "[]", "null", text("wamid.A", "hello"), `{"object":"instagram","entry":[{"messaging":null}]}`,
		`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{"statuses":[{"id":1}]}}]}]}`} {
		f.Add(s)
	}
	fx := setup(f, nil)
	f.Fuzz(func(t *testing.T, body string) {
		fx.ingress.updates = fx.ingress.updates[:0]
		if got := fx.post(body); got != 200 {
			t.Errorf("answered %d to %q", got, body)
		}
	})
}

// signed is a POST of one text, as a client sends it.
func signed() *fasthttp.RequestCtx {
	body := text("wamid.A", "hello")
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.SetRequestURI("/hooks/main")
	ctx.Request.Header.Set("X-Hub-Signature-256", sign(secret, body))
	ctx.Request.SetBodyString(body)
	return ctx
}

func BenchmarkHandler(b *testing.B) {
	f, ctx := setup(b, nil), signed()
	b.ReportAllocs()
	for b.Loop() {
		f.ingress.updates = f.ingress.updates[:0]
		f.Serve(ctx)
	}
}
