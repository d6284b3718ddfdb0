package metasim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// graphOf makes a Graph request and returns the answer and its error code.
func graphOf(t *testing.T, s *Server, method, target, token, body string) (answer map[string]any, code, subcode int) {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Result().Body)
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s: %v: %s", method, target, err, text)
	}
	if e, ok := answer["error"].(map[string]any); ok {
		c, _ := e["code"].(float64)
		sub, _ := e["error_subcode"].(float64)
		return answer, int(c), int(sub)
	}
	return answer, 0, 0
}

const textTo = `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+15550100001","type":"text","text":{"body":"hi"}}`

func TestOffice_TokensEnd(t *testing.T) {
	clock := handAt(time.Unix(1_790_000_000, 0))
	s := New(Options{Accounts: []Account{number, gram}, Seed: 1, Now: clock.now})
	defer s.Close()
	send := func(token string) (code, subcode int) {
		_, code, subcode = graphOf(t, s, "POST", "/v25.0/"+number.ID+"/messages", token, textTo)
		return code, subcode
	}
	if code, _ := send("token-wa"); code != 0 {
		t.Fatalf("a good token: %d", code)
	}
	if code, sub := send("nobody"); code != 190 || sub != 0 {
		t.Errorf("an unknown token: %d/%d", code, sub)
	}
	if code, sub := send("token-ig"); code != 100 || sub != 33 {
		t.Errorf("another account's token: %d/%d", code, sub)
	}
	fresh := s.IssueToken(number.ID, time.Hour)
	if code, _ := send(fresh); code != 0 {
		t.Errorf("a second token: %d", code)
	}
	clock.pass(time.Hour)
	if code, sub := send(fresh); code != 190 || sub != 463 {
		t.Errorf("a token that has ended: %d/%d", code, sub)
	}
	s.RevokeToken("token-wa", 467)
	if code, sub := send("token-wa"); code != 190 || sub != 467 {
		t.Errorf("a revoked token: %d/%d", code, sub)
	}
	if _, code, sub := graphOf(t, s, "GET", "/v25.0/"+number.ID+"?fields=id", "token-wa", ""); code != 190 || sub != 467 {
		t.Errorf("a management call with it: %d/%d", code, sub)
	}
}

func TestOffice_Codes(t *testing.T) {
	own := number
	own.AppID = "4711"
	s := New(Options{Accounts: []Account{own}, Seed: 1})
	defer s.Close()
	answer, _, _ := graphOf(t, s, "POST", "/simulator/api/codes", "", `{"channel":"shop-wa"}`)
	code, _ := answer["code"].(string)
	if code == "" || s.AppID("main") != "4711" {
		t.Fatalf("%v, app %s", answer, s.AppID("main"))
	}
	target := "/v25.0/oauth/access_token?client_id=4711&client_secret=sim-secret&code=" + code
	if answer, code, _ := graphOf(t, s, "GET", target, "", ""); code != 0 || answer["access_token"] == "" {
		t.Errorf("%v", answer)
	}
	if _, code, _ := graphOf(t, s, "GET", target, "", ""); code != 100 {
		t.Errorf("the code was good twice: %d", code)
	}
}

func TestOffice_RestrictedAccountRefusesSends(t *testing.T) {
	e := newEngine(t, nil)
	s := New(Options{Accounts: []Account{number}, Seed: 1, Hooks: e.URL})
	defer s.Close()
	if err := s.Restrict(context.Background(), number, true); err != nil {
		t.Fatal(err)
	}
	if _, code, _ := graphOf(t, s, "POST", "/v25.0/"+number.ID+"/messages", "token-wa", textTo); code != 131031 {
		t.Errorf("a send: %d", code)
	}
	if sends := s.Sends(); len(sends) != 1 || sends[0].Accepted || sends[0].Code != 131031 {
		t.Errorf("the ledger: %+v", sends)
	}
	if posts := e.posts(); len(posts) != 1 || !strings.Contains(string(posts[0]), `"waba_ban_state":"DISABLE"`) {
		t.Errorf("posted %q", posts)
	}
	n, _, _ := graphOf(t, s, "GET", "/v25.0/"+number.ID+"?fields=health_status", "token-wa", "")
	if h, _ := n["health_status"].(map[string]any); h["can_send_message"] != "BLOCKED" {
		t.Errorf("%v", n)
	}
}

func TestOffice_PostsNothingUnasked(t *testing.T) {
	e := newEngine(t, nil)
	s := New(Options{Accounts: []Account{number}, Seed: 1, Hooks: e.URL, Subscriptions: true})
	defer s.Close()
	if err := s.Deliver(context.Background(), s.Text(number, ada, "lost")); err != nil {
		t.Fatal(err)
	}
	if n := len(e.posts()); n != 0 {
		t.Errorf("%d posts to who never subscribed", n)
	}
	if answer, code, _ := graphOf(t, s, "POST", "/v25.0/"+number.WABA+"/subscribed_apps", "token-wa", ""); code != 0 || answer["success"] != true {
		t.Fatalf("%v", answer)
	}
	if err := s.Deliver(context.Background(), s.Text(number, ada, "heard")); err != nil {
		t.Fatal(err)
	}
	if n := len(e.posts()); n != 1 {
		t.Errorf("%d posts after subscribing", n)
	}
	if answer, _, _ := graphOf(t, s, "GET", "/v25.0/"+number.WABA+"/subscribed_apps", "token-wa", ""); len(answer["data"].([]any)) != 1 {
		t.Errorf("%v", answer)
	}
}

// The list's next page is named with the token in it, as Meta does.
func TestOffice_TemplatesInPages(t *testing.T) {
	e := newEngine(t, nil)
	s := New(Options{Accounts: []Account{number}, Seed: 1, Hooks: e.URL})
	defer s.Close()
	for _, name := range strings.Fields("a b c") {
		if err := s.PutTemplate(context.Background(), number, Template{Name: name, Language: "de", Status: "APPROVED"}); err != nil {
			t.Fatal(err)
		}
	}
	if posts := e.posts(); len(posts) != 3 || strings.Contains(string(posts[0]), `"message_template_id":"`) {
		t.Errorf("a template's id is a number: %q", posts)
	}
	page, _, _ := graphOf(t, s, "GET", "/v25.0/"+number.WABA+"/message_templates?limit=2", "token-wa", "")
	paging := page["paging"].(map[string]any)
	if next, _ := paging["next"].(string); len(page["data"].([]any)) != 2 || !strings.Contains(next, "access_token=token-wa") {
		t.Errorf("%v", page)
	}
	after := paging["cursors"].(map[string]any)["after"].(string)
	page, _, _ = graphOf(t, s, "GET", "/v25.0/"+number.WABA+"/message_templates?limit=2&after="+after, "token-wa", "")
	if _, more := page["paging"].(map[string]any)["next"]; len(page["data"].([]any)) != 2 || more {
		t.Errorf("%v", page)
	}
	if err := s.PutTemplate(context.Background(), number, Template{Name: "a", Language: "de", Status: "DELETED"}); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Templates(number)); n != 3 {
		t.Errorf("%d templates left", n)
	}
	if _, code, _ := graphOf(t, s, http.MethodGet, "/v25.0/999/message_templates", "token-wa", ""); code != 100 {
		t.Errorf("a WABA nobody has: %d", code)
	}
}
