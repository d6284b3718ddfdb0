package replica_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

func TestNode_LeadsAloneAndRaisesEveryEpochWhenItStarts(t *testing.T) {
	fs := vfs.NewMem()
	before := map[chat.Group]chat.Epoch{}
	for range 3 {
		s := start(t, options(t, fs), replica.Options{})
		for _, g := range s.GroupIDs() {
			if e := s.Epoch(g); e <= before[g] {
				t.Errorf("group %d has epoch %d, it had %d before", g, e, before[g])
			}
			before[g] = s.Epoch(g)
		}
		closed(t, s)
	}
}

// The commit of an activation born before a restart is refused after it.
func TestNode_FencesTheProcessBefore(t *testing.T) {
	fs := vfs.NewMem()
	s := start(t, options(t, fs), replica.Options{})
	admit(t, s, "acme")
	p := person(t, s, "acme", 1)
	say(t, p, "one")
	stale := p.Message("two")
	closed(t, s)
	s = start(t, options(t, fs), replica.Options{})
	defer closed(t, s)
	if r, err := s.Append(context.Background(), stale); err != nil || r.Answer != chat.StaleEpoch {
		t.Errorf("answer %v (%v), want stale epoch", r.Answer, err)
	}
}

// A store that was never replicated goes on above the epochs it had.
func TestNode_AdoptsAStoreFromBefore(t *testing.T) {
	fs := vfs.NewMem()
	s := start(t, options(t, fs), replica.Options{})
	admit(t, s, "acme")
	p := person(t, s, "acme", 1)
	say(t, p, "from before")
	// What a store of format 2 has: an epoch per group, nothing of Raft.
	const epoch = 41
	b := s.DB().NewBatch()
	for _, g := range s.GroupIDs() {
		raft := persistence.AppendRaft(nil, g)
		for _, err := range []error{
			b.DeleteRange(raft, persistence.PrefixEnd(raft), nil),
			b.Delete(persistence.AppendApplied(nil, g), nil), b.Delete(persistence.AppendMembers(nil, g), nil),
			b.Set([]byte{0, 'g', byte(g >> 8), byte(g)}, []byte{0, 0, 0, 0, 0, 0, 0, epoch}, nil),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
	closed(t, s)

	s = start(t, options(t, fs), replica.Options{})
	defer closed(t, s)
	if e := s.Epoch(s.Group("acme")); e <= epoch {
		t.Errorf("epoch %d, want one above %d", e, epoch)
	}
	p.Store = s
	say(t, p, "and after")
	if got := texts(t, p); !slices.Equal(got, []string{"from before", "and after"}) {
		t.Errorf("messages: %q", got)
	}
}

// A group of one keeps no log: the batch that would hold an entry holds what it
// did.
func TestNode_AloneWritesNoEntries(t *testing.T) {
	fs := vfs.NewMem()
	s := start(t, options(t, fs), replica.Options{})
	admit(t, s, "acme")
	p := person(t, s, "acme", 1)
	for range 10 {
		say(t, p, "hello")
	}
	for _, g := range s.GroupIDs() {
		if n := rows(t, s, persistence.AppendLog(nil, g)); n != 0 {
			t.Errorf("group %d has %d entries in its log", g, n)
		}
	}
	closed(t, s)
	s = start(t, options(t, fs), replica.Options{})
	defer closed(t, s)
	p.Store = s
	say(t, p, "again")
	if n := len(texts(t, p)); n != 11 {
		t.Errorf("%d messages after a restart, want 11", n)
	}
}

// A full queue is answered, not waited for.
func TestNode_BusyWhenTheQueueIsFull(t *testing.T) {
	gate := newGate(vfs.NewMem())
	s := start(t, options(t, gate), replica.Options{QueueLen: 1})
	defer closed(t, s)
	admit(t, s, "acme")
	release := gate.shut()
	// While no sync returns, a bounded number of passes is taken.
	const most = 5000
	var applied, busy atomic.Int32
	var wg sync.WaitGroup
	for i := 0; busy.Load() == 0 && i < most; i++ {
		c := person(t, s, "acme", i).Message("x")
		wg.Go(func() {
			r, err := s.Append(context.Background(), c)
			switch {
			case chat.KindOf(err) == chat.KindBusy:
				busy.Add(1)
			case err == nil && r.Answer == chat.Applied:
				applied.Add(1)
			default:
				t.Error(r.Answer, err)
			}
		})
		runtime.Gosched()
	}
	if applied.Load() > 0 || busy.Load() == 0 {
		t.Errorf("before a sync returned: %d applied, %d busy", applied.Load(), busy.Load())
	}
	release()
	wg.Wait()
	if applied.Load() == 0 {
		t.Error("nothing was applied after the sync")
	}
}

// No answer and no feed row before the sync has returned; both after it.
func TestNode_TellsNothingThatIsNotDurable(t *testing.T) {
	gate := newGate(vfs.NewMem())
	s := start(t, options(t, gate), replica.Options{})
	defer closed(t, s)
	admit(t, s, "acme")
	p := person(t, s, "acme", 1)
	say(t, p, "one")
	release := gate.shut()
	c := p.Message("two")
	answered := make(chan chat.Receipt, 1)
	go func() {
		r, err := s.Append(context.Background(), c)
		if err != nil {
			t.Error(err)
		}
		answered <- r
	}()
	gate.waitBlocked()
	if got := texts(t, p); len(got) != 1 {
		t.Errorf("messages while the disk works: %q", got)
	}
	select {
	case r := <-answered:
		t.Errorf("answered %v while the disk works", r.Answer)
	default:
	}
	release()
	if r := <-answered; r.Answer != chat.Applied {
		t.Errorf("answer %v", r.Answer)
	}
	if got := texts(t, p); len(got) != 2 {
		t.Errorf("messages after the sync: %q", got)
	}
}

// Close answers everybody who waits, and nothing is taken after it.
func TestNode_CloseAnswersWhoWaits(t *testing.T) {
	s, err := persistence.Open(options(t, vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, s)
	n, err := replica.Start(s, replica.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	admit(t, s, "acme")
	var wg sync.WaitGroup
	for i := range 200 {
		c := person(t, s, "acme", i).Message(fmt.Sprint(i))
		wg.Go(func() {
			r, err := s.Append(context.Background(), c)
			switch {
			case err == nil && (r.Answer == chat.Applied || r.Answer == chat.Unknown):
			case chat.KindOf(err) == chat.KindUnavailable:
			default:
				t.Errorf("%v, %v", r.Answer, err)
			}
		})
	}
	late := person(t, s, "acme", 1000).Message("late")
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if _, err := s.Append(context.Background(), late); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("after Close: %v", err)
	}
}
