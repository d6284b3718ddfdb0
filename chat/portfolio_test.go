package chat_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

func TestTierLimit(t *testing.T) {
	for _, tc := range []struct {
		tier    string
		n       int
		limited bool
	}{
		{"TIER_250", 250, true}, {"TIER_2K", 2000, true}, {"TIER_100K", 100_000, true}, {"TIER_5", 5, true},
		{"TIER_UNLIMITED", 0, false}, {"", 250, true}, {"TIER_NOT_SET", 250, true}, {"TIER_-1", 250, true},
	} {
		if n, limited := chat.TierLimit(tc.tier); n != tc.n || limited != tc.limited {
			t.Errorf("%q: %d %v, want %d %v", tc.tier, n, limited, tc.n, tc.limited)
		}
	}
}

func TestPortfolioOf(t *testing.T) {
	ch := chat.Channel{ID: "acme-wa", WABA: "9001"}
	for want, st := range map[string]chat.ChannelState{"77": {Portfolio: "77"}, "waba/9001": {}} {
		if got := chat.PortfolioOf(&ch, &st); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := chat.PortfolioOf(&chat.Channel{ID: "acme-wa"}, &chat.ChannelState{}); got != "channel/acme-wa" {
		t.Errorf("without a WABA: %q", got)
	}
}

func TestContact_Identity(t *testing.T) {
	number, id := chat.Address{Kind: chat.WaID, Value: "49151"}, chat.Address{Kind: chat.BSUID, Value: "DE.1"}
	for _, tc := range []struct {
		have []chat.Address
		want chat.Address
	}{
		{[]chat.Address{number, id}, id}, {[]chat.Address{number}, number},
		{[]chat.Address{{Kind: chat.Phone, Value: "+49151"}}, number}, {nil, chat.Address{}},
	} {
		c := chat.Contact{Addresses: tc.have}
		if got, ok := c.Identity(); got != tc.want || ok != (tc.want.Value != "") {
			t.Errorf("%v: %v", tc.have, got)
		}
	}
}

// Whoever is reserved when, and however late their messages leave, in no 24 hours
// more persons than the limit are written to; and nearly as many can be.
func TestReach_NeverMoreThanTheLimitInAnyDay(t *testing.T) {
	const limit, regulars, people = 40, 12, 2000
	type sent struct {
		who int
		at  time.Time
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		now := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(int64(time.Hour))))
		began := now
		var reach chat.Reach
		in := map[int]chat.Quarter{}
		var list []sent
		for now.Sub(began) < 97*time.Hour {
			now = now.Add(time.Duration(r.Int64N(int64(3 * time.Minute))))
			reach.Expire(now)
			who := r.IntN(people)
			if r.IntN(3) == 0 {
				who = r.IntN(regulars)
			}
			q, ok := reach.Reserve(now, limit, in[who])
			if free := reach.Frees(limit); !ok && !free.After(now) {
				t.Fatalf("refused although a place frees at %v, now is %v", free, now)
			}
			if !ok {
				continue
			}
			in[who] = q
			if r.IntN(30) > 0 {
				list = append(list, sent{who, now.Add(time.Duration(r.Int64N(int64(chat.ReserveSpan))))})
			}
		}
		used := 0
		for _, last := range list {
			within := map[int]bool{}
			for _, s := range list {
				if !s.at.After(last.at) && last.at.Sub(s.at) < chat.TierSpan {
					within[s.who] = true
				}
			}
			if len(within) > limit {
				t.Fatalf("seed %d: %d persons in the 24 hours before %v", seed, len(within), last.at)
			}
			if last.at.Sub(began) > 48*time.Hour {
				used = max(used, len(within))
			}
		}
		if used < limit*9/10 {
			t.Errorf("seed %d: at most %d of %d were used", seed, used, limit)
		}
	}
}

// A message that leaves as late as it may is counted for a whole day from then.
func TestReach_CountsFromWhenTheMessageLeaves(t *testing.T) {
	quarter := time.Date(2026, 11, 1, 9, 15, 0, 0, time.UTC)
	for at := quarter.Add(-2 * chat.ReserveSpan); at.Before(quarter.Add(time.Minute)); at = at.Add(time.Second) {
		var r chat.Reach
		if _, ok := r.Reserve(at, 1, 0); !ok {
			t.Fatal("the first was refused")
		}
		left := at.Add(chat.ReserveSpan)
		r.Expire(left.Add(chat.TierSpan - 1))
		if _, ok := r.Reserve(left.Add(chat.TierSpan-1), 1, 0); ok {
			t.Fatalf("reserved at %v, left at %v: counted for less than a day", at, left)
		}
	}
}

// A template that waits outside the window needs no place once the customer writes;
// an attempt says whether it does.
func TestStep_WindowFreesATemplate(t *testing.T) {
	w := newWorld(chat.WhatsApp)
	w.set.Assistant = false
	w.templates = map[string]chat.Template{"hello": {Name: "hello", Language: "de", Status: "APPROVED"}}
	must := func(f chat.Fact) {
		t.Helper()
		if err := w.do(f); err != nil {
			t.Fatal(err)
		}
	}
	hears := func(remote chat.RemoteID) {
		t.Helper()
		must(&chat.Inbound{Kind: chat.InboundMessage, Remote: remote, Type: chat.TypeText, Text: "hi", Customer: w.customer(), Time: w.now})
	}
	wake := func() (found chat.WakeSender) {
		for _, e := range w.last.Effects {
			if e, ok := e.(chat.WakeSender); ok {
				found = e
			}
		}
		return found
	}
	counted := func() (yes bool) {
		for _, e := range w.last.Effects {
			if e, ok := e.(chat.StartAttempt); ok {
				return e.Counted
			}
		}
		t.Fatal("no attempt began")
		return false
	}
	hello := chat.MemberSend{Type: "template", Content: &chat.Content{Offer: &chat.Offer{Template: &chat.TemplateUse{Name: "hello", Language: chat.TemplateLanguage{Code: "de"}}}}}
	hears("m1")
	w.now = w.now.Add(25 * time.Hour)
	must(hello)
	if e := wake(); e.Lane != chat.LaneTemplate || e.Free.After(w.now) || e.Contact == "" {
		t.Errorf("outside the window: %+v", e)
	}
	hears("m2")
	if e := wake(); e.Message != w.queued[0] || !e.Free.After(w.now) {
		t.Errorf("when the customer has written: %+v", e)
	}
	must(chat.AttemptDue{Message: w.queued[0]})
	if counted() {
		t.Error("an attempt inside the window is counted")
	}
	must(chat.AttemptFinished{Message: w.queued[0], N: 1, Outcome: chat.SendOutcome{Result: chat.SendAccepted, Remote: "out"}})
	w.now = w.now.Add(25 * time.Hour)
	must(hello)
	must(chat.AttemptDue{Message: w.queued[1]})
	if !counted() {
		t.Error("an attempt outside the window is not counted")
	}
}
