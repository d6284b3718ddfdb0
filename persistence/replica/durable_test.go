package replica_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/persistence/replica"
)

// While a sync has not returned, nothing outside may learn of what it carries:
// no receipt, no event, no feed row, no agenda row, no waiter. Afterwards all
// of them do.
func TestSlowSync_ShowsNothingThatIsNotDurable(t *testing.T) {
	disk := newGate(vfs.NewMem())
	s := start(t, options(t, disk), replica.Options{})
	defer s.Close()
	admit(t, s, "acme")
	k := person(t, s, "acme", 1)
	say(t, k, "one")
	g, ctx := s.Group("acme"), context.Background()
	far := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	if rows, _, err := s.Due(g, far, nil, 10); err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}

	release := disk.shut()
	c := k.Message("two")
	receipts, early := make(chan chat.Receipt, 1), make(chan error, 1)
	fed, settled := make(chan error, 1), make(chan error, 1)
	go func() { early <- s.Earliest(ctx, g, far) }()
	go func() { fed <- s.Views().WaitFeed(ctx, "acme", 2) }()
	go func() {
		r, err := s.Append(ctx, c)
		if err != nil {
			t.Error(err)
		}
		receipts <- r
	}()
	disk.waitBlocked()
	go func() { settled <- s.Barrier(ctx, "acme") }()

	// Pebble shows the commit to whoever reads the rows themselves, soon: its log
	// may reach the sync before the batch is in the memtable.
	for limit := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		state, _, err := s.Load("acme", k.Place.Conversation)
		if err == nil && state.Seq == c.State.Seq {
			break
		}
		if err != nil || time.Now().After(limit) {
			release() // or Close would wait for ever
			t.Fatalf("the batch is not visible (seq %d, %v): the test proves nothing", state.Seq, err)
		}
	}
	if events, err := s.Events("acme", k.Place.Conversation, 0, 10); err != nil || len(events) != 2 {
		t.Errorf("%d events are shown (%v), want the 2 durable ones", len(events), err)
	}
	if feed, err := s.Views().Feed(ctx, "acme", 0, 10); err != nil || len(feed) != 2 {
		t.Errorf("the feed shows %d events (%v), want the 2 durable ones", len(feed), err)
	}
	if rows, _, err := s.Due(g, far, nil, 10); err != nil || len(rows) != 0 {
		t.Errorf("the agenda shows %v (%v): the old row is gone, the new one not durable", rows, err)
	}
	select {
	case r := <-receipts:
		t.Errorf("a receipt before the sync: %+v", r)
	case err := <-early:
		t.Errorf("the agenda woke before the sync: %v", err)
	case err := <-fed:
		t.Errorf("the feed woke before the sync: %v", err)
	case err := <-settled:
		t.Errorf("the barrier fell before the sync: %v", err)
	case <-time.After(20 * time.Millisecond):
	}

	release()
	if r := <-receipts; r.Answer != chat.Applied {
		t.Errorf("answer %v, want applied", r.Answer)
	}
	for _, ch := range []chan error{early, fed, settled} {
		if err := <-ch; err != nil {
			t.Error(err)
		}
	}
	if events, err := s.Events("acme", k.Place.Conversation, 0, 10); err != nil || len(events) != 3 {
		t.Errorf("%d events after the sync (%v)", len(events), err)
	}
	if rows, _, err := s.Due(g, far, nil, 10); err != nil || len(rows) != 1 || !rows[0].At.Equal(c.State.Armed) {
		t.Errorf("the agenda after the sync: %v (%v)", rows, err)
	}
}

// After the first failed sync nothing is acknowledged any more, and the process
// is told to end.
func TestBrokenSync_AcknowledgesNothing(t *testing.T) {
	disk := newGate(vfs.NewMem())
	o := options(t, disk)
	var deaths atomic.Int32
	died := make(chan struct{}, 64)
	o.Fatal = func(string) {
		deaths.Add(1)
		died <- struct{}{}
		select {} // a real process would be gone
	}
	s := start(t, o, replica.Options{})
	ids := []chat.TenantID{"acme", "bolt", "cafe", "dent", "echo"}
	admit(t, s, ids...)
	var talkers []*persistencetest.Person
	for i, id := range ids {
		k := person(t, s, id, i)
		say(t, k, "before")
		talkers = append(talkers, k)
	}
	disk.broken.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for _, k := range talkers {
		wg.Go(func() {
			for range 3 {
				if r, err := s.Append(ctx, k.Message("after")); err == nil && r.Answer == chat.Applied {
					t.Errorf("acknowledged after a failed sync: %+v", r)
				}
			}
		})
	}
	<-died
	cancel()
	wg.Wait()
	if deaths.Load() == 0 {
		t.Error("nobody was told to end the process")
	}
	for _, k := range talkers {
		if events, err := s.Events(k.State.Tenant, k.Place.Conversation, 0, 10); err != nil || len(events) != 2 {
			t.Errorf("%s shows %d events (%v), want the 2 durable ones", k.State.Tenant, len(events), err)
		}
	}
}

func TestNode_UnknownWhenTheCallerGivesUp(t *testing.T) {
	disk := newGate(vfs.NewMem())
	s := start(t, options(t, disk), replica.Options{})
	defer closed(t, s)
	admit(t, s, "acme")
	k := person(t, s, "acme", 1)
	say(t, k, "one")
	release := disk.shut()
	ctx, cancel := context.WithCancel(context.Background())
	answer := make(chan chat.Receipt, 1)
	c := k.Message("two")
	go func() {
		r, err := s.Append(ctx, c)
		if err != nil {
			t.Error(err)
		}
		answer <- r
	}()
	disk.waitBlocked()
	cancel()
	if r := <-answer; r.Answer != chat.Unknown {
		t.Errorf("answer %v, want unknown", r.Answer)
	}
	release()
	if err := s.Barrier(context.Background(), "acme"); err != nil {
		t.Fatal(err)
	}
	// It was applied after all, and the same commit is refused by its seq.
	if r, err := s.Append(context.Background(), c); err != nil || r.Answer != chat.WrongSeq {
		t.Errorf("the repeated commit is answered %v (%v)", r.Answer, err)
	}
}
