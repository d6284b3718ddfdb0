package metasim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	number = Account{Kind: WhatsApp, ID: "200000000000001", Name: "shop-wa", WABA: "300000000000001",
		Display: "15550199000", App: "main", AppSecret: "sim-secret", AccessToken: "token-wa"}
	gram = Account{Kind: Instagram, ID: "17840000000000001", Name: "shop-ig", App: "main", AppSecret: "sim-secret", AccessToken: "token-ig"}
	ada  = Customer{ID: "15550100001", Name: "Ada"}
	bob  = Customer{ID: "900000000000001", Name: "Bob"}
)

// engine is a webhook receiver that checks signatures and answers as told.
type engine struct {
	t *testing.T
	*httptest.Server
	mu     sync.Mutex
	status func(n int) int
	bodies [][]byte
}

func newEngine(t *testing.T, status func(n int) int) *engine {
	e := &engine{t: t, status: status}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got, want := r.Header.Get("X-Hub-Signature-256"), Sign("sim-secret", body); got != want {
			t.Errorf("signature %q, want %q", got, want)
		}
		if r.URL.Path != "/hooks/main" {
			t.Errorf("posted to %s", r.URL.Path)
		}
		e.mu.Lock()
		e.bodies = append(e.bodies, body)
		n := len(e.bodies)
		e.mu.Unlock()
		if e.status != nil {
			w.WriteHeader(e.status(n))
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *engine) posts() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([][]byte(nil), e.bodies...)
}

// start returns a listening simulator with ids from seed 7 and quick retries.
func start(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	if o.Seed == 0 {
		o.Seed = 7
	}
	o.Backoff, o.BackoffMax = time.Millisecond, 4*time.Millisecond
	if o.Accounts == nil {
		o.Accounts = []Account{number, gram}
	}
	s := New(o)
	addr, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, "http://" + addr
}

type reply struct {
	status int
	body   string
	json   map[string]any
	err    error
}

func send(t *testing.T, url, token, body string) reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	// A fresh connection: net/http repeats a request by itself when a reused
	// connection breaks, which would hide what the simulator did.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	r := reply{status: resp.StatusCode, body: string(b), err: err}
	_ = json.Unmarshal(b, &r.json)
	return r
}

func (r reply) code() int {
	e, _ := r.json["error"].(map[string]any)
	c, _ := e["code"].(float64)
	return int(c)
}

const hello = `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+15550100001","type":"text","text":{"body":"hello"},"biz_opaque_callback_data":"send-1"}`

func settle(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Settle(ctx); err != nil {
		t.Fatal("not settled:", err)
	}
}

func TestServer_AcceptsWhatsAppText(t *testing.T) {
	s, url := start(t, Options{Plan: Plan{Reports: Reports{Off: true}}})
	r := send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", hello)
	got := s.Sends()
	if r.status != 200 || len(got) != 1 {
		t.Fatalf("%d %s, %d in ledger", r.status, r.body, len(got))
	}
	want := `{"contacts":[{"input":"+15550100001","wa_id":"15550100001"}],"messages":[{"id":"` + got[0].RemoteID + `"}],"messaging_product":"whatsapp"}`
	if r.body != want {
		t.Errorf("answer\n%s, want\n%s", r.body, want)
	}
	e := got[0]
	if e.Account != number.ID || e.To != "15550100001" || e.Text != "hello" || e.Callback != "send-1" ||
		e.Attempt != 1 || e.Answer != AnswerAccepted || !e.Accepted || !strings.HasPrefix(e.RemoteID, "wamid.") {
		t.Errorf("ledger entry %+v", e)
	}
	if again := send(t, url+"/"+number.ID+"/messages", "token-wa", hello); again.status != 200 || again.body == r.body {
		t.Errorf("an unversioned second attempt got %d %s", again.status, again.body)
	}
	if got := s.Sends(); got[1].Attempt != 2 || got[1].Receipt <= got[0].Receipt {
		t.Errorf("second attempt %+v", got[1])
	}
}

func TestServer_AcceptsInstagramText(t *testing.T) {
	s, url := start(t, Options{Plan: Plan{Reports: Reports{Off: true}}})
	for _, id := range []string{gram.ID, "me"} {
		r := send(t, url+"/v25.0/"+id+"/messages", "token-ig", `{"recipient":{"id":"900000000000001"},"message":{"text":"hi"}}`)
		if r.status != 200 || r.json["recipient_id"] != "900000000000001" || r.json["message_id"] == "" {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if got := s.Sends(); len(got) != 2 || got[0].Account != gram.ID || got[1].Attempt != 2 {
		t.Errorf("ledger %+v", got)
	}
}

func TestServer_RefusesWhatMetaRefuses(t *testing.T) {
	s, url := start(t, Options{Plan: Plan{Reports: Reports{Off: true}}})
	wa, ig := url+"/v25.0/"+number.ID+"/messages", url+"/v25.0/"+gram.ID+"/messages"
	text := func(body string) string {
		b, _ := json.Marshal(body)
		return `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":` + string(b) + `}}`
	}
	direct := func(body string) string {
		b, _ := json.Marshal(body)
		return `{"recipient":{"id":"9001"},"message":{"text":` + string(b) + `}}`
	}
	for name, c := range map[string]struct {
		url, token, body string
		status, code     int
	}{
		"no token":            {wa, "", hello, 401, 190},
		"wrong token":         {wa, "other", hello, 401, 190},
		"unknown account":     {url + "/v25.0/42/messages", "token-wa", hello, 400, 100},
		"unknown edge":        {url + "/v25.0/" + number.ID + "/messagez", "token-wa", hello, 400, 100},
		"wrong proof":         {wa + "?appsecret_proof=00", "token-wa", hello, 400, 100},
		"not JSON":            {wa, "token-wa", "to=1", 400, 100},
		"two values":          {wa, "token-wa", hello + "{}", 400, 100},
		"unknown key":         {wa, "token-wa", `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"x"},"priority":1}`, 400, 100},
		"product missing":     {wa, "token-wa", `{"to":"15550100001","type":"text","text":{"body":"x"}}`, 400, 100},
		"to missing":          {wa, "token-wa", `{"messaging_product":"whatsapp","type":"text","text":{"body":"x"}}`, 400, 100},
		"to not a number":     {wa, "token-wa", `{"messaging_product":"whatsapp","to":"Ada","type":"text","text":{"body":"x"}}`, 400, 100},
		"type missing":        {wa, "token-wa", `{"messaging_product":"whatsapp","to":"15550100001","text":{"body":"x"}}`, 400, 100},
		"body empty":          {wa, "token-wa", text(""), 400, 100},
		"body of 4097":        {wa, "token-wa", text(strings.Repeat("é", 4097)), 400, 100},
		"callback of 513":     {wa, "token-wa", strings.Replace(hello, "send-1", strings.Repeat("x", 513), 1), 400, 100},
		"ig 1001 bytes":       {ig, "token-ig", direct(strings.Repeat("a", 1001)), 400, 100},
		"ig 501 two-byte":     {ig, "token-ig", direct(strings.Repeat("é", 501)), 400, 100},
		"ig empty":            {ig, "token-ig", direct(""), 400, 100},
		"ig no recipient":     {ig, "token-ig", `{"message":{"text":"x"}}`, 400, 100},
		"ig whatsapp shape":   {ig, "token-ig", hello, 400, 100},
		"ig text and gesture": {ig, "token-ig", `{"recipient":{"id":"9001"},"message":{"text":"x"},"sender_action":"typing_on"}`, 400, 100},
	} {
		if r := send(t, c.url, c.token, c.body); r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	for _, e := range s.Sends() {
		if e.Answer != AnswerRefused || e.Accepted || e.Code != 100 {
			t.Errorf("ledger says %+v", e)
		}
	}
	for _, ok := range []struct{ url, token, body string }{
		{wa, "token-wa", text(strings.Repeat("é", 4096))},
		{wa + "?appsecret_proof=" + strings.TrimPrefix(Sign("sim-secret", []byte("token-wa")), "sha256="), "token-wa", text("proven")},
		{ig, "token-ig", direct(strings.Repeat("é", 500))},
	} {
		if r := send(t, ok.url, ok.token, ok.body); r.status != 200 {
			t.Errorf("at the limit: %d %s", r.status, r.body)
		}
	}
}

func TestServer_AnswersSigns(t *testing.T) {
	s, url := start(t, Options{})
	for _, body := range []string{
		`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.1"}`,
		`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.1","typing_indicator":{"type":"text"}}`,
	} {
		if r := send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", body); r.body != `{"success":true}` {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if r := send(t, url+"/v25.0/"+gram.ID+"/messages", "token-ig", `{"recipient":{"id":"9001"},"sender_action":"typing_on"}`); r.body != `{"recipient_id":"9001"}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	if n := len(s.Sends()); n != 0 {
		t.Errorf("%d signs in the send ledger", n)
	}
	events, _ := s.phone.wait(context.Background(), 0)
	var got []string
	for _, e := range events {
		got = append(got, e.Type)
	}
	if strings.Join(got, " ") != "tick tick typing typing" {
		t.Errorf("phone saw %v", got)
	}
}

func TestServer_ReportsAcceptedMessages(t *testing.T) {
	e := newEngine(t, nil)
	s, url := start(t, Options{Hooks: e.URL})
	send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", hello)
	send(t, url+"/v25.0/"+gram.ID+"/messages", "token-ig", `{"recipient":{"id":"900000000000001"},"message":{"text":"hi"}}`)
	settle(t, s)
	got := map[string]bool{}
	for _, a := range s.Arrivals() {
		if a.Acknowledged == 0 || a.Posts != 1 {
			t.Errorf("arrival %+v", a)
		}
		got[string(a.Kind)+a.Status] = true
	}
	for _, want := range []string{"statussent", "statusdelivered", "statusread", "echo", "read"} {
		if !got[want] {
			t.Errorf("no %s among %v", want, got)
		}
	}
	events, _ := s.phone.wait(context.Background(), 0)
	shown := 0
	for _, e := range events {
		if e.Type == "message" {
			shown++
		}
	}
	if shown != 2 {
		t.Errorf("the phones show %d messages", shown)
	}
	all := string(bytes.Join(e.posts(), nil))
	for _, want := range []string{`"biz_opaque_callback_data":"send-1"`, `"is_echo":true`, `"recipient_id":"15550100001"`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in %s", want, all)
		}
	}
}

func TestServer_RetriesUntil200(t *testing.T) {
	e := newEngine(t, func(n int) int { return []int{503, 500, 204, 200}[min(n-1, 3)] })
	s, _ := start(t, Options{Hooks: e.URL})
	u := s.Text(number, ada, "hi")
	if err := s.Deliver(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	a := s.Arrivals()[0]
	if a.Posts != 4 || a.Acks != 1 || a.Number != 1 || a.Posted == 0 || a.Acknowledged <= a.Posted || a.Conversation != number.ID+"/"+ada.ID {
		t.Errorf("arrival %+v", a)
	}
}

func TestServer_GivesUp(t *testing.T) {
	e := newEngine(t, func(int) int { return 503 })
	s, _ := start(t, Options{Hooks: e.URL, Attempts: 3})
	if err := s.Deliver(context.Background(), s.Text(number, ada, "hi")); !errors.Is(err, ErrGaveUp) {
		t.Fatal(err)
	}
	if a := s.Arrivals()[0]; a.Posts != 3 || a.Acknowledged != 0 || a.LastStatus != 503 {
		t.Errorf("arrival %+v", a)
	}
}

func TestServer_RedeliversWhatWasAcknowledged(t *testing.T) {
	e := newEngine(t, nil)
	s, _ := start(t, Options{Hooks: e.URL})
	d, err := s.NewDelivery(s.Text(number, ada, "one"), s.Text(number, ada, "two"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Post(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range s.Arrivals() {
		if a.Posts != 2 || a.Acks != 2 {
			t.Errorf("arrival %+v", a)
		}
	}
	if p := e.posts(); !bytes.Equal(p[0], p[1]) {
		t.Error("a redelivery has other bytes")
	}
}

func TestServer_Subscribe(t *testing.T) {
	e := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("hub.mode") == "subscribe" && q.Get("hub.verify_token") == "right" {
			_, _ = io.WriteString(w, q.Get("hub.challenge"))
			return
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer e.Close()
	s, _ := start(t, Options{Hooks: e.URL})
	if err := s.Subscribe(context.Background(), "main", "right"); err != nil {
		t.Error(err)
	}
	if err := s.Subscribe(context.Background(), "main", "wrong"); err == nil {
		t.Error("a refused handshake passed")
	}
}

func TestServer_CustomerAPI(t *testing.T) {
	e := newEngine(t, nil)
	s, url := start(t, Options{Hooks: e.URL})
	r := send(t, url+"/simulator/api/messages", "", `{"channel":"shop-wa","from":"15550100001","name":"Ada","text":"hi ✓"}`)
	if r.status != 201 || r.json["acknowledged"] != true || r.json["number"] != 1.0 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	again := send(t, url+"/simulator/api/messages", "", `{"channel":"whatsapp","from":"15550100001","text":"hi ✓","id":"`+r.json["id"].(string)+`"}`)
	if again.status != 201 || again.json["id"] != r.json["id"] {
		t.Errorf("%d %s", again.status, again.body)
	}
	for _, bad := range []string{`{`, `{"channel":"x","from":"15550100001","text":"a"}`, `{"channel":"whatsapp","from":"Ada","text":"a"}`,
		`{"channel":"whatsapp","from":"15550100001","text":" "}`, `{"channel":"whatsapp","from":"15550100001","text":"a","kind":"x"}`} {
		if r := send(t, url+"/simulator/api/messages", "", bad); r.status != 400 {
			t.Errorf("%s: %d %s", bad, r.status, r.body)
		}
	}
	resp, err := http.Post(url+"/simulator/api/messages", "text/plain", strings.NewReader(`{}`))
	if err != nil || resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Error(resp, err)
	}
	resp, err = http.Get(url + "/simulator/api/stream?after=0&wait=0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Events []PhoneEvent
		Next   uint64
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Next != 4 || len(got.Events) != 4 || got.Events[0].Text != "hi ✓" || got.Events[1].Status != "delivered" {
		t.Errorf("stream %+v", got)
	}
	for query, want := range map[string]int{"after=3": 1, "after=4&wait=0": 0, "after=4&run=another": 4, "after=99&run=another&wait=50": 4} {
		resp, err := http.Get(url + "/simulator/api/stream?" + query)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || len(got.Events) != want {
			t.Errorf("%s: %d events, want %d (%v)", query, len(got.Events), want, err)
		}
		_ = resp.Body.Close()
	}
	if n := len(s.Arrivals()); n != 2 {
		t.Errorf("%d arrivals", n)
	}
}

func TestServer_DumpLedger(t *testing.T) {
	e := newEngine(t, nil)
	s, url := start(t, Options{Hooks: e.URL, Plan: Plan{Reports: Reports{Off: true}}})
	if err := s.Deliver(context.Background(), s.Text(number, ada, "hi")); err != nil {
		t.Fatal(err)
	}
	send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", hello)
	resp, err := http.Get(url + "/simulator/api/ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"arrival":{"kind":"text"`) || !strings.HasPrefix(lines[1], `{"send":{"receipt":`) {
		t.Errorf("dump\n%s", b)
	}
}

func TestServer_LedgerMaxForgetsTheOldest(t *testing.T) {
	s, url := start(t, Options{LedgerMax: 4, Plan: Plan{Reports: Reports{Off: true}}})
	for range 9 {
		send(t, url+"/v25.0/"+number.ID+"/messages", "token-wa", hello)
	}
	got := s.Sends()
	if len(got) != 5 || got[4].Receipt < got[0].Receipt {
		t.Errorf("%d kept", len(got))
	}
}

// Several callback addresses get one post each in turn, as behind a load balancer;
// one that is down costs a try and no update.
func TestServer_PostsToSeveralInTurn(t *testing.T) {
	first, second := newEngine(t, nil), newEngine(t, nil)
	gone := newEngine(t, nil)
	gone.Close()
	s, _ := start(t, Options{Hooks: first.URL + ", " + second.URL + "/"})
	for i := range 4 {
		if err := s.Deliver(t.Context(), s.Text(number, ada, fmt.Sprint("text ", i))); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := len(first.posts()), len(second.posts()); a != 2 || b != 2 {
		t.Errorf("%d and %d posts, want 2 each", a, b)
	}
	s.SetHooks(gone.URL + "," + second.URL)
	if err := s.Deliver(t.Context(), s.Text(number, ada, "once more")); err != nil || len(second.posts()) != 3 {
		t.Errorf("with one address down: %v, %d posts", err, len(second.posts()))
	}
}
