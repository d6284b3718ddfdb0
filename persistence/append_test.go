package persistence

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/chumiai/chumi/chat"
)

func appendTest(t testing.TB, s *Store, c chat.Commit) chat.Receipt {
	t.Helper()
	r, err := s.Append(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAppend_SixAnswers(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)

	if r := k.say(t, "one"); r.Pos != 2 {
		t.Errorf("pos %d after two events, want 2", r.Pos)
	}
	if r := k.say(t, "two"); r.Pos != 3 {
		t.Errorf("pos %d, want 3", r.Pos)
	}

	stale := k.next("three")
	stale.Epoch--
	if r := appendTest(t, s, stale); r.Answer != chat.StaleEpoch {
		t.Errorf("an older epoch is answered %v", r.Answer)
	}
	future := k.next("three")
	future.Epoch++
	if r := appendTest(t, s, future); r.Answer != chat.StaleEpoch {
		t.Errorf("a newer epoch is answered %v", r.Answer)
	}

	behind := newTalker(t, s, "acme", 1)
	if r := appendTest(t, s, behind.next("again")); r.Answer != chat.WrongSeq {
		t.Errorf("another start of the conversation is answered %v", r.Answer)
	}

	repeated := k.next("three")
	first := chat.Seq(2)
	repeated.Rows[0].Remote = k.remote(first)
	r := appendTest(t, s, repeated)
	want := chat.Original{Conversation: k.place.Conversation, Message: chat.MessageIDAt(k.place.Conversation, first), Seq: first}
	if r.Answer != chat.Duplicate || r.Original != want {
		t.Errorf("a known remote id is answered %v, %+v; want duplicate of %+v", r.Answer, r.Original, want)
	}

	limited := k.next("three")
	limited.Reserve = []chat.Reservation{{Counter: "turns/2026-11-01", Amount: 2, Limit: 3}}
	if r := appendTest(t, s, limited); r.Answer != chat.Applied {
		t.Fatalf("within the limit: %v", r.Answer)
	}
	k.state = *limited.State
	limited = k.next("four")
	limited.Reserve = []chat.Reservation{{Counter: "other", Amount: 1}, {Counter: "turns/2026-11-01", Amount: 2, Limit: 3}}
	if r := appendTest(t, s, limited); r.Answer != chat.LimitReached || r.Counter != "turns/2026-11-01" {
		t.Errorf("past the limit: %v of %q", r.Answer, r.Counter)
	}

	// Nothing of the refused ones happened.
	k.say(t, "four")
	events, err := s.Events("acme", k.place.Conversation, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i, e := range events {
		if e.Seq != chat.Seq(i+1) {
			t.Errorf("event %d has seq %d", i, e.Seq)
		}
		if e.Message != nil {
			texts = append(texts, e.Message.Text)
		}
	}
	if diff := cmp.Diff([]string{"one", "two", "three", "four"}, texts); diff != "" {
		t.Error(diff)
	}
	state, found, err := s.Load("acme", k.place.Conversation)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	if diff := cmp.Diff(k.state, state); diff != "" {
		t.Error(diff)
	}
	if n := counterOf(t, s, "acme", "turns/2026-11-01"); n != 2 {
		t.Errorf("the counter is %d, want 2", n)
	}
	mustCheck(t, s)
}

func counterOf(t testing.TB, s *Store, tenant chat.TenantID, word string) int64 {
	t.Helper()
	v, found, err := s.get(realmOf(s.Group(tenant), tenant).counter(nil, word))
	if err != nil || !found {
		t.Fatal(word, found, err)
	}
	n, err := readCounter(v)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAppend_EventsWithoutAConversation(t *testing.T) {
	s := openMem(t, "acme")
	now := epoch0
	c := chat.Commit{Tenant: "acme", Channel: "wa", Epoch: s.Epoch(s.Group("acme")), Now: now,
		Events: []chat.Event{{Kind: chat.UpdateReceived, Time: now, Tenant: "acme", Channel: "wa",
			Update: &chat.Update{Type: "account_update", Raw: []byte(`{"secret":1}`)}}},
		Claims: []chat.Claim{{Kind: chat.ClaimDigest, Key: "digest-1", Day: now.Unix()/86400 + 8}}}
	if r := appendTest(t, s, c); r.Answer != chat.Applied || r.Pos != 1 {
		t.Fatalf("%+v", r)
	}
	if r := appendTest(t, s, c); r.Answer != chat.Duplicate {
		t.Errorf("the repeated update is answered %v", r.Answer)
	}
	if _, found, err := s.Claimed("acme", chat.ClaimDigest, "digest-1"); err != nil || !found {
		t.Error(found, err)
	}
	if _, found, err := s.Claimed("acme", chat.ClaimIdempotency, "digest-1"); err != nil || found {
		t.Error("a claim is found under another kind", found, err)
	}
	for _, row := range dump(t, s) {
		if bytes.Contains([]byte(row), []byte(fmt.Sprintf("%x", "secret"))) {
			t.Errorf("plain text in %s", row)
		}
	}

	// Its claim is forgotten after its day, and only then.
	day := time.Unix((c.Claims[0].Day)*86400, 0)
	for _, step := range []struct {
		now   time.Time
		found bool
	}{{day.Add(23 * time.Hour), true}, {day.Add(24 * time.Hour), false}} {
		if err := s.forgetClaims(context.Background(), step.now); err != nil {
			t.Fatal(err)
		}
		if _, found, err := s.Claimed("acme", chat.ClaimDigest, "digest-1"); err != nil || found != step.found {
			t.Errorf("at %v the claim is found: %v, %v", step.now, found, err)
		}
	}
	mustCheck(t, s)
}

func TestAppend_RefusesCommitsThatContradictThemselves(t *testing.T) {
	s := openMem(t, "acme", "bolt")
	for name, change := range map[string]func(*chat.Commit){
		"another tenant's event": func(c *chat.Commit) { c.Events[0].Tenant = "bolt" },
		"a gap in the seqs":      func(c *chat.Commit) { c.Events[1].Seq++ },
		"another state":          func(c *chat.Commit) { c.State.ID = testConversation },
		"no state":               func(c *chat.Commit) { c.State = nil },
		"a foreign id":           func(c *chat.Commit) { c.Conversation = "conv_x" },
	} {
		c := newTalker(t, s, "acme", 1).next("x")
		change(&c)
		if _, err := s.Append(context.Background(), c); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	c := newTalker(t, s, "acme", 1).next("x")
	c.Tenant = "nobody"
	if _, err := s.Append(context.Background(), c); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("an unknown tenant: %v, want not found", err)
	}
}

func TestAppend_DiskReserve(t *testing.T) {
	free := uint64(10 << 30)
	o := testOptions(t, vfs.NewMem())
	o.DiskReserve, o.DiskFree, o.DiskPoll = 1<<30, func() (uint64, error) { return free, nil }, time.Hour
	s := openTest(t, o)
	defer s.Close()
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "one")
	free = 1<<30 - 1
	s.pollDisk()
	if _, err := s.Append(context.Background(), k.next("two")); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("below the reserve: %v, want unavailable", err)
	}
	ensure(t, s, "bolt") // what is not an ordinary commit goes on
	free = 1 << 30
	s.pollDisk()
	k.say(t, "two")
}
