package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/valyala/fasthttp"
)

const messages = "/v1/conversations/" + string(ada) + "/messages"

func TestAPI_TenantsDoNotSeeEachOther(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/v1/conversations", "/v1/conversations/" + string(ada) + "/events", "/v1/events?limit=1000", "/v1/sends"} {
		got := s.do(t, "GET", path, "acme-key", "")
		if got.status != 200 || strings.Contains(got.body, "rival") || strings.Contains(got.body, string(other)) || strings.Contains(got.body, "not yours") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	foreign := s.do(t, "GET", "/v1/conversations/"+string(other), "acme-key", "")
	missing := s.do(t, "GET", "/v1/conversations/conv_missing", "acme-key", "")
	strip := func(a answer) string {
		id := a.header.Get("Request-Id")
		return fmt.Sprint(a.status) + strings.ReplaceAll(a.body, id, "")
	}
	if strip(foreign) != strip(missing) {
		t.Errorf("another tenant's conversation is told apart from none: %s, %s", foreign.body, missing.body)
	}
}

func TestMessages_SameKeySameAnswer(t *testing.T) {
	s := start(t, nil)
	body := `{"type":"text","text":"hello \"you\""}`
	first := s.do(t, "POST", messages, "acme-key", body, "Idempotency-Key", "order-7")
	again := s.do(t, "POST", messages, "acme-key", ` { "text":"hello \"you\"", "type":"text" } `, "Idempotency-Key", "order-7")
	if first.status != 201 || again.status != 201 || first.body != again.body {
		t.Errorf("%d %s\n%d %s", first.status, first.body, again.status, again.body)
	}
	if first.header.Get("Idempotent-Replayed") != "" || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("replayed: %q, %q", first.header.Get("Idempotent-Replayed"), again.header.Get("Idempotent-Replayed"))
	}
	for name, other := range map[string]answer{
		"other text":         s.do(t, "POST", messages, "acme-key", `{"type":"text","text":"bye"}`, "Idempotency-Key", "order-7"),
		"other conversation": s.do(t, "POST", "/v1/conversations/"+string(bob)+"/messages", "acme-key", body, "Idempotency-Key", "order-7"),
	} {
		if other.status != 409 || !strings.Contains(other.body, `"idempotency_key_reused"`) {
			t.Errorf("%s: %d %s", name, other.status, other.body)
		}
	}
	a, b := s.do(t, "POST", messages, "acme-key", body), s.do(t, "POST", messages, "acme-key", body)
	if a.header.Get("Idempotency-Key") == "" || a.header.Get("Idempotency-Key") == b.header.Get("Idempotency-Key") || a.body == b.body {
		t.Error("requests without a key were taken for one")
	}
	if m := s.sends["order-7"]; m.Text != `hello "you"` || m.Member != "k_acme" || len(m.Digest) != 64 {
		t.Errorf("the command was %+v", m)
	}
}

func TestMessages_RefusesBadBodies(t *testing.T) {
	s := start(t, nil)
	for _, tc := range []struct{ name, body, code, param string }{
		{"empty", "", "body_missing", ""},
		{"not json", "hello", "body_invalid", ""},
		{"truncated", `{"type":"text","text":"he`, "body_invalid", ""},
		{"array", `[]`, "body_invalid", ""},
		{"null", `null`, "body_invalid", ""},
		{"deep", strings.Repeat(`{"type":`, 50_000), "body_invalid", ""},
		{"two objects", `{"type":"text","text":"a"}{"type":"text","text":"b"}`, "body_invalid", ""},
		{"unknown member", `{"type":"text","text":"a","recipient":"b"}`, "parameter_unknown", "recipient"},
		{"wrong type", `{"type":"text","text":["a"]}`, "parameter_invalid", "text"},
		{"null text", `{"type":"text","text":null}`, "parameter_missing", "text"},
		{"no type", `{"text":"a"}`, "parameter_invalid", "type"},
		{"blank", `{"type":"text","text":" \n\t"}`, "parameter_missing", "text"},
		{"long", `{"type":"text","text":"` + strings.Repeat("a", 4097) + `"}`, "text_too_long", "text"},
	} {
		got := s.do(t, "POST", messages, "acme-key", tc.body)
		var e struct {
			Error struct {
				Code, Message string
				Param         *string
				DocURL        string `json:"doc_url"`
				RequestID     string `json:"request_id"`
			}
		}
		if err := json.Unmarshal([]byte(got.body), &e); err != nil {
			t.Fatalf("%s: %v: %s", tc.name, err, got.body)
		}
		param := ""
		if e.Error.Param != nil {
			param = *e.Error.Param
		}
		if got.status != 400 || e.Error.Code != tc.code || param != tc.param {
			t.Errorf("%s: %d %s", tc.name, got.status, got.body)
		}
		if e.Error.RequestID != got.header.Get("Request-Id") || !strings.HasSuffix(e.Error.DocURL, "#"+tc.code) || e.Error.Message == "" {
			t.Errorf("%s: %s", tc.name, got.body)
		}
	}
	for _, key := range []string{strings.Repeat("k", 256), "schlüssel"} {
		if got := s.do(t, "POST", messages, "acme-key", `{"type":"text","text":"a"}`, "Idempotency-Key", key); got.status != 400 || !strings.Contains(got.body, "idempotency_key_invalid") {
			t.Errorf("key %q: %d", key, got.status)
		}
	}
	if len(s.sends) != 0 {
		t.Errorf("refused bodies were sent: %v", s.sends)
	}
	if got := s.do(t, "POST", messages, "acme-key", `{"type":"text","text":"`+strings.Repeat("a", 1<<20)+`"}`); got.status != 413 {
		t.Errorf("a body above 1 MiB: %d", got.status)
	}
	if got := s.do(t, "POST", messages, "acme-key", "x", "Content-Encoding", "gzip"); got.status != 415 {
		t.Errorf("a compressed body: %d", got.status)
	}
}

func TestMessages_ExplainsRefusals(t *testing.T) {
	for reason, status := range map[string]int{"window_closed": 409, "outbox_full": 409, "text_too_long": 409, "idempotency_key_reused": 409, "no_conversation": 404, "something_new": 409} {
		s := start(t, nil)
		s.refuse = reason
		got := s.do(t, "POST", messages, "acme-key", `{"type":"text","text":"a"}`)
		if got.status != status || status == 409 && !strings.Contains(got.body, `"code":"`+reason+`"`) {
			t.Errorf("%s: %d %s", reason, got.status, got.body)
		}
	}
}

func TestAPI_MapsErrorsWithoutTellingTheInside(t *testing.T) {
	for kind, want := range map[chat.ErrorKind]int{
		chat.KindOther: 500, chat.KindInvalid: 400, chat.KindNotFound: 404, chat.KindConflict: 409, chat.KindBusy: 503,
		chat.KindUnavailable: 503, chat.KindUnknown: 503, chat.KindFenced: 503, chat.KindCorrupt: 500,
	} {
		s := start(t, nil)
		s.fail(chat.E("journal.Append", kind, "the inside", nil))
		for _, got := range []answer{
			s.do(t, "POST", messages, "acme-key", `{"type":"text","text":"a"}`),
			s.do(t, "POST", "/v1/conversations/"+string(ada)+"/takeover", "acme-key", ""),
			s.do(t, "GET", "/v1/conversations/"+string(ada), "acme-key", ""),
		} {
			if got.status != want || strings.Contains(got.body, "inside") || strings.Contains(got.body, "journal") {
				t.Errorf("%s: %d %s", kind, got.status, got.body)
			}
			if want == 503 && got.header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", kind)
			}
		}
		if kind == chat.KindUnknown {
			got := s.do(t, "POST", messages, "acme-key", `{"type":"text","text":"a"}`)
			if got.header.Get("Idempotency-Key") == "" || !strings.Contains(got.body, "outcome_unknown") {
				t.Errorf("an unknown outcome does not name the key to repeat: %v %s", got.header, got.body)
			}
		}
	}
}

func TestAPI_LimitsEachKey(t *testing.T) {
	s := start(t, func(o *api.Options, _ *edge.Limits) { o.RatePerSecond, o.Burst = 0.001, 3 })
	for i := range 3 {
		got := s.do(t, "GET", "/v1/conversations", "acme-key", "")
		if got.status != 200 || got.header.Get("RateLimit-Limit") != "3" || got.header.Get("RateLimit-Remaining") != fmt.Sprint(2-i) {
			t.Errorf("request %d: %d %v", i, got.status, got.header)
		}
	}
	got := s.do(t, "GET", "/v1/conversations", "acme-key", "")
	if got.status != 429 || got.header.Get("Retry-After") == "" || got.header.Get("RateLimit-Remaining") != "0" || !strings.Contains(got.body, "rate_limited") {
		t.Errorf("beyond the burst: %d %v %s", got.status, got.header, got.body)
	}
	if got := s.do(t, "GET", "/v1/conversations", "acme-reader", ""); got.status != 200 {
		t.Errorf("another key of the tenant: %d", got.status)
	}
}

func TestAPI_Authentication(t *testing.T) {
	s := start(t, nil)
	for _, tc := range []struct {
		header string
		want   int
	}{
		{"", 401}, {"Bearer", 401}, {"Bearer ", 401}, {"Basic acme-key", 401}, {"acme-key", 401}, {"Bearer acme-key2", 401},
		{"bearer acme-key", 200}, {"Bearer  acme-key", 200},
	} {
		got := s.do(t, "GET", "/v1/conversations", "", "", "Authorization", tc.header)
		if got.status != tc.want {
			t.Errorf("%q: %d, want %d", tc.header, got.status, tc.want)
		}
		if tc.want == 401 && got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: no WWW-Authenticate", tc.header)
		}
	}
	if got := s.do(t, "GET", "/v1/conversations?access_token=acme-key", "", ""); got.status != 401 {
		t.Errorf("a key in the query, where logs keep it, was accepted: %d", got.status)
	}
}

func TestAPI_Routes(t *testing.T) {
	s := start(t, nil)
	for _, tc := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"DELETE", "/v1/conversations", 405, "GET"},
		{"GET", messages, 405, "POST"},
		{"GET", "/v1", 404, ""},
		{"GET", "/v1/", 404, ""},
		{"GET", "/v1/nothing", 404, ""},
		{"GET", "/v1/conversations/", 404, ""},
		{"GET", "/v1/conversations/a/b/events", 404, ""},
		{"GET", "/v1beta", 404, ""},
		{"GET", "/", 404, ""},
	} {
		got := s.do(t, tc.method, tc.path, "acme-key", "")
		if got.status != tc.want || got.header.Get("Allow") != tc.allow {
			t.Errorf("%s %s: %d Allow=%q", tc.method, tc.path, got.status, got.header.Get("Allow"))
		}
	}
	spec := s.do(t, "GET", "/openapi.json", "", "")
	if spec.status != 200 || !json.Valid([]byte(spec.body)) || !strings.Contains(spec.body, `"openapi": "3.0.3"`) {
		t.Errorf("openapi.json: %d %.80s", spec.status, spec.body)
	}
}

func TestConsole_ServesAssetsUnderAStrictPolicy(t *testing.T) {
	s := start(t, func(o *api.Options, _ *edge.Limits) {
		o.Console = func(path string) ([]byte, string, bool) {
			if path == "/" || path == "/simulator" {
				return []byte("<!doctype html>"), "text/html; charset=utf-8", true
			}
			return nil, "", false
		}
		o.Simulator = func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("simulated " + string(ctx.Path())) }
	})
	for _, path := range []string{"/", "/simulator"} {
		got := s.do(t, "GET", path, "", "")
		csp := got.header.Get("Content-Security-Policy")
		if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(csp, "default-src 'self'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	if got := s.do(t, "GET", "/missing.js", "", ""); got.status != 404 {
		t.Errorf("missing asset: %d", got.status)
	}
	if got := s.do(t, "POST", "/", "", "x"); got.status != 405 {
		t.Errorf("POST to a page: %d", got.status)
	}
	host := strings.TrimPrefix(s.base, "http://")
	for _, tc := range []struct {
		name   string
		header []string
		want   int
	}{
		{"plain", nil, 200},
		{"own page", []string{"Origin", "http://" + host}, 200},
		{"other site", []string{"Origin", "https://evil.example"}, 403},
		{"sandboxed page", []string{"Origin", "null"}, 403},
		{"rebound name", []string{"Host", "evil.example"}, 403},
		{"rebound name with origin", []string{"Host", "evil.example", "Origin", "http://evil.example"}, 403},
		{"image of another site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"typed address", []string{"Sec-Fetch-Site", "none"}, 200},
		{"localhost", []string{"Host", "localhost:8081"}, 200},
		{"loopback v6", []string{"Host", "[::1]:8081"}, 200},
	} {
		if got := s.do(t, "POST", "/simulator/api/say", "", "{}", tc.header...); got.status != tc.want {
			t.Errorf("simulator, %s: %d, want %d", tc.name, got.status, tc.want)
		}
	}
}

func TestNew_NamesMissingOptions(t *testing.T) {
	if _, err := api.New(api.Options{}); err == nil || !strings.Contains(err.Error(), "Commands") {
		t.Errorf("got %v", err)
	}
}
