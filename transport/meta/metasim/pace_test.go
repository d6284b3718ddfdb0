package metasim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var dawn = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

// one is a plain message of a number to a person.
func one(to string) Message { return Message{Account: number, To: to, Type: "text"} }

func TestPacer_NumberInAnySecond(t *testing.T) {
	p := NewPacer(Pace{PerSecond: 80})
	for i := range 80 {
		if l := p.Send(one(fmt.Sprint(i)), dawn); l != LimitNone {
			t.Fatalf("message %d is over %q", i+1, l)
		}
	}
	if l := p.Send(one("x"), dawn.Add(999*time.Millisecond)); l != LimitNumber {
		t.Errorf("the 81st within a second is over %q", l)
	}
	if l := p.Send(one("y"), dawn.Add(time.Second)); l != LimitNone {
		t.Errorf("a second later it is over %q", l)
	}
	if got := p.Over()[LimitNumber]; got != 1 {
		t.Errorf("%d violations counted, want 1", got)
	}
}

func TestPacer_CustomersCountAgainstTheNumber(t *testing.T) {
	p := NewPacer(Pace{PerSecond: 80})
	for range 50 {
		p.Heard(number, dawn)
	}
	gone := 0
	for i := range 40 {
		if p.Send(one(fmt.Sprint(i)), dawn) == LimitNone {
			gone++
		}
	}
	if gone != 30 {
		t.Errorf("%d messages went beside 50 of customers, want 30", gone)
	}
}

func TestPacer_PairBorrowsFromTheFuture(t *testing.T) {
	p := NewPacer(Pace{PairBurst: 45, PairEvery: 6 * time.Second})
	at := dawn
	for i := range 45 {
		if l := p.Send(one("ada"), at); l != LimitNone {
			t.Fatalf("message %d of the burst is over %q", i+1, l)
		}
	}
	if l := p.Send(one("ada"), at.Add(5*time.Second)); l != LimitPair {
		t.Errorf("the 46th in 5 s is over %q", l)
	}
	if l := p.Send(one("bob"), at); l != LimitNone {
		t.Errorf("another person's first is over %q", l)
	}
	if l := p.Send(one("ada"), at.Add(6*time.Second)); l != LimitNone {
		t.Errorf("after 6 s it is over %q", l)
	}
	if l := p.Send(one("ada"), at.Add(6*time.Second)); l != LimitPair {
		t.Errorf("two after 6 s are over %q", l)
	}
	// All is earned back 45 × 6 s after the burst and what followed it.
	at = at.Add(46 * 6 * time.Second)
	for i := range 45 {
		if l := p.Send(one("ada"), at); l != LimitNone {
			t.Fatalf("message %d of the second burst is over %q", i+1, l)
		}
	}
}

func TestPacer_PortfolioCountsPersonsOfAllItsNumbers(t *testing.T) {
	p := NewPacer(Pace{Tier: 3})
	first, second, other := number, number, number
	first.Portfolio, second.Portfolio, other.Portfolio = "p1", "p1", "p2"
	second.ID, other.ID = "200000000000002", "200000000000003"
	send := func(a Account, to string, at time.Time) Limit {
		return p.Send(Message{Account: a, To: to, Type: "template", Outside: true}, at)
	}
	for i, want := range []struct {
		a    Account
		to   string
		at   time.Time
		over Limit
	}{
		{first, "ada", dawn, LimitNone}, {second, "bob", dawn, LimitNone}, {second, "ada", dawn.Add(time.Hour), LimitNone},
		{first, "eve", dawn.Add(2 * time.Hour), LimitNone}, {first, "kim", dawn.Add(3 * time.Hour), LimitPortfolio},
		{other, "kim", dawn.Add(3 * time.Hour), LimitNone},
		{first, "kim", dawn.Add(24 * time.Hour), LimitNone},                     // bob was a day ago
		{first, "lea", dawn.Add(24*time.Hour + 59*time.Minute), LimitPortfolio}, // ada was written to again
		{first, "lea", dawn.Add(25 * time.Hour), LimitNone},
	} {
		if got := send(want.a, want.to, want.at); got != want.over {
			t.Errorf("%d: to %s at %v: over %q, want %q", i, want.to, want.at.Sub(dawn), got, want.over)
		}
	}
	if l := p.Send(Message{Account: first, To: "zoe", Type: "text"}, dawn.Add(25*time.Hour)); l != LimitNone {
		t.Errorf("inside the window it is over %q", l)
	}
}

func TestPacer_InstagramLanes(t *testing.T) {
	p := NewPacer(StrictPace)
	count := func(m Message, n int, at time.Time) (gone int) {
		for i := range n {
			m.Account, m.To = gram, fmt.Sprint(i)
			if p.Send(m, at) == LimitNone {
				gone++
			}
		}
		return gone
	}
	if n := count(Message{Type: "audio"}, 20, dawn); n != 10 {
		t.Errorf("%d audios in a second, want 10", n)
	}
	if n := count(Message{Type: "text"}, 200, dawn.Add(time.Second)); n != 100 {
		t.Errorf("%d texts in a second, want 100", n)
	}
	gone := 0
	for i := range 60 {
		gone += count(Message{Type: "text", Private: true}, 20, dawn.Add(time.Duration(i+10)*time.Second))
	}
	if gone != 750 {
		t.Errorf("%d private replies in an hour, want 750", gone)
	}
}

// What comes too fast is refused in Meta's words, and the ledger names the limit.
func TestServer_RefusesWhatComesTooFast(t *testing.T) {
	clock := handAt(dawn)
	s := New(Options{Accounts: []Account{number, gram}, Now: clock.now,
		Pace: Pace{PerSecond: 5, PairBurst: 2, PairEvery: 6 * time.Second, Tier: 1, InstagramPerSecond: 1}})
	t.Cleanup(func() { _ = s.Close() })
	text := `{"messaging_product":"whatsapp","to":"+%s","type":"text","text":{"body":"x"}}`
	template := `{"messaging_product":"whatsapp","to":"+%s","type":"template","template":{"name":"hello","language":{"code":"en"}}}`
	s.Text(number, Customer{ID: "15550100001"}, "hi")
	s.Text(number, Customer{ID: "15550100002"}, "hi")
	for i, c := range []struct {
		account, token, body string
		code                 int
	}{
		{number.ID, number.AccessToken, fmt.Sprintf(text, "15550100001"), 0},
		{number.ID, number.AccessToken, fmt.Sprintf(text, "15550100001"), 0},
		{number.ID, number.AccessToken, fmt.Sprintf(text, "15550100001"), 131056},
		{number.ID, number.AccessToken, fmt.Sprintf(text, "15550100002"), 130429}, // two of the five were customers'
		{gram.ID, gram.AccessToken, `{"recipient":{"id":"900000000000001"},"message":{"text":"x"}}`, 0},
		{gram.ID, gram.AccessToken, `{"recipient":{"id":"900000000000002"},"message":{"text":"x"}}`, 613},
	} {
		if got := codeOf(t, s, c.account, c.token, c.body); got != c.code {
			t.Errorf("%d: code %d, want %d", i, got, c.code)
		}
	}
	clock.pass(time.Minute)
	for i, want := range []int{0, 131064} {
		if got := codeOf(t, s, number.ID, number.AccessToken, fmt.Sprintf(template, fmt.Sprint("1555020000", i))); got != want {
			t.Errorf("template %d: code %d, want %d", i, got, want)
		}
	}
	over := map[Limit]int{}
	for _, e := range s.Sends() {
		if e.Over != LimitNone {
			over[e.Over]++
		}
	}
	if over[LimitPair] != 1 || over[LimitNumber] != 2 || over[LimitPortfolio] != 1 {
		t.Errorf("the ledger says %v", over)
	}
}

// codeOf is the Graph error code a request is answered with, 0 for none.
func codeOf(t *testing.T, s *Server, account, token, body string) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v25.0/"+account+"/messages", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var answer struct {
		Error struct{ Code int }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Error.Code
}
