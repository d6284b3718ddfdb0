package persistence

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// arm appends a message whose conversation is due at the given time, with work
// that dies with the process when live.
func arm(t *testing.T, k *talker, due time.Time, live bool) {
	t.Helper()
	c := k.next("x")
	c.State.Armed = due
	c.State.Turn = chat.Turn{}
	if live {
		c.State.Turn.Phase = chat.TurnRunning
	}
	if r := appendTest(t, k.store, c); r.Answer != chat.Applied {
		t.Fatal(r.Answer)
	}
	k.state = *c.State
}

func TestAgenda_ListsOneRowPerConversation(t *testing.T) {
	s := openMem(t, "acme")
	g := s.Group("acme")
	a, b, c := newTalker(t, s, "acme", 1), newTalker(t, s, "acme", 2), newTalker(t, s, "acme", 3)
	arm(t, a, epoch0.Add(3*time.Second), false)
	arm(t, b, epoch0.Add(1*time.Second), true)
	arm(t, c, epoch0.Add(2*time.Second), false)
	arm(t, a, epoch0.Add(5*time.Second), true) // moves
	arm(t, c, time.Time{}, false)              // owes nothing any more
	b2 := b.state.Armed

	rows, next, err := s.Due(g, epoch0.Add(time.Minute), nil, 1)
	if err != nil || len(rows) != 1 || rows[0].Conversation != b.place.Conversation || !rows[0].At.Equal(b2) {
		t.Fatal(rows, err)
	}
	rows, next, err = s.Due(g, epoch0.Add(time.Minute), next, 10)
	if err != nil || len(rows) != 1 || rows[0].Conversation != a.place.Conversation || !rows[0].At.Equal(epoch0.Add(5*time.Second)) {
		t.Fatal(rows, err)
	}
	if rows, _, err = s.Due(g, epoch0.Add(time.Minute), next, 10); err != nil || len(rows) != 0 {
		t.Fatal(rows, err)
	}
	if rows, _, err = s.Due(g, epoch0.Add(4*time.Second), nil, 10); err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	rows, next, err = s.Live(g, nil, 1)
	if err != nil || len(rows) != 1 || rows[0].Conversation != b.place.Conversation {
		t.Fatal(rows, err)
	}
	if rows, _, err = s.Live(g, next, 10); err != nil || len(rows) != 1 || rows[0].Conversation != a.place.Conversation {
		t.Fatal(rows, err)
	}
	arm(t, a, a.state.Armed, false) // only the flag changes
	if rows, _, err = s.Live(g, next, 10); err != nil || len(rows) != 0 {
		t.Fatal(rows, err)
	}
}

func TestAgenda_EarliestWakesOnceForEachEarlierRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, testOptions(t, vfs.NewMem()))
		defer s.Close()
		ensure(t, s, "acme")
		g := s.Group("acme")
		k := newTalker(t, s, "acme", 1)
		wait := func(than time.Time) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return s.Earliest(ctx, g, than)
		}
		if err := wait(epoch0.Add(time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an empty agenda woke: %v", err)
		}
		arm(t, k, epoch0.Add(2*time.Second), false)
		if err := wait(epoch0.Add(time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a later row woke: %v", err)
		}
		if err := wait(epoch0.Add(time.Hour)); err != nil {
			t.Errorf("an earlier row did not wake: %v", err)
		}
		if err := wait(epoch0.Add(time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the same row woke again: %v", err)
		}
		// Reading the agenda from its start notes what lies beyond.
		if rows, _, err := s.Due(g, epoch0, nil, 10); err != nil || len(rows) != 0 {
			t.Fatal(rows, err)
		}
		if err := wait(epoch0.Add(time.Hour)); err != nil {
			t.Errorf("a row beyond the one asked for is forgotten: %v", err)
		}
		woken := make(chan error, 1)
		go func() { woken <- s.Earliest(t.Context(), g, epoch0.Add(time.Hour)) }()
		synctest.Wait()
		arm(t, k, epoch0.Add(time.Second), false)
		if err := <-woken; err != nil {
			t.Error(err)
		}
	})
}

func TestLocate_AgreesBeforeAndAfterTheFirstCommit(t *testing.T) {
	s := openMem(t, "acme", "bolt")
	phone, bsuid := chat.Address{Kind: chat.WaID, Value: "491511"}, chat.Address{Kind: chat.BSUID, Value: "DE.1"}
	name := chat.Address{Kind: chat.Username, Value: "ada"}
	locate := func(tenant chat.TenantID, a ...chat.Address) chat.Place {
		t.Helper()
		p, err := s.Locate(tenant, "wa", a)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := locate("acme", name, phone, bsuid)
	if before.Found || len(before.Missing) != 2 || before.Missing[0] != phone {
		t.Fatalf("%+v", before)
	}
	if other := locate("bolt", phone); other.Conversation == before.Conversation || other.Contact == before.Contact {
		t.Error("two tenants agree on the ids of a phone number")
	}
	if only := locate("acme", name); only.Conversation != "" {
		t.Error("a username makes a conversation")
	}
	k := newTalker(t, s, "acme", 1)
	k.addr, k.place = phone, before
	k.say(t, "one")
	for range 2 { // from the store, then from memory
		after := locate("acme", bsuid, phone)
		if !after.Found || after.Conversation != before.Conversation || after.Contact != before.Contact {
			t.Errorf("%+v, want %+v", after, before)
		}
		if len(after.Missing) != 1 || after.Missing[0] != bsuid {
			t.Errorf("missing %v, want the new address only", after.Missing)
		}
	}
	if from := locate("acme", chat.Address{Kind: chat.Phone, Value: phone.Value}); from.Conversation != before.Conversation || len(from.Missing) != 0 {
		t.Errorf("the same number without a contact leads to %+v", from)
	}
	if who, err := s.Contact("acme", before.Contact); err != nil || who.Name != "Ada" {
		t.Error(who, err)
	}
}

// A walk must never begin behind a row: not behind one that was added while it
// ran, and not behind one that was on its way when it began.
func TestAgendaWatch_FloorStaysBelowEveryRow(t *testing.T) {
	var w agendaWatch
	floor := func() int64 { f, _, _ := w.start(); return f }

	_, mark, whole := w.start()
	if !whole {
		t.Fatal("nothing is on its way, yet the walk is not whole")
	}
	w.raise(500, mark)
	if floor() != 500 {
		t.Fatalf("floor %d after a walk that found 500 first", floor())
	}

	_, mark, _ = w.start()
	w.lower(300)
	w.landed()
	w.raise(500, mark)
	if floor() != 300 {
		t.Fatalf("floor %d, and a row at 300 came during the walk", floor())
	}

	w.lower(200)
	if _, _, whole = w.start(); whole {
		t.Fatal("a row is on its way, yet the walk counts as whole")
	}
	w.landed()
	if floor() != 200 {
		t.Fatalf("floor %d, and there is a row at 200", floor())
	}
}
