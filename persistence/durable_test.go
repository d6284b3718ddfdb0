package persistence

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// syncGate is a file system whose log syncs can be held up or made to fail.
type syncGate struct {
	vfs.FS
	mu      sync.Mutex
	open    *sync.Cond
	closed  bool
	blocked chan struct{}
	broken  atomic.Bool
}

func newSyncGate(fs vfs.FS) *syncGate {
	g := &syncGate{FS: fs, blocked: make(chan struct{}, 1024)}
	g.open = sync.NewCond(&g.mu)
	return g
}

// shut holds up log syncs until release is called.
func (g *syncGate) shut() (release func()) {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		g.closed = false
		g.mu.Unlock()
		g.open.Broadcast()
	}
}

// waitBlocked returns when a sync is being held up.
func (g *syncGate) waitBlocked() { <-g.blocked }

func (g *syncGate) pass() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		g.blocked <- struct{}{}
	}
	for g.closed {
		g.open.Wait()
	}
	if g.broken.Load() {
		return errors.New("injected: input/output error")
	}
	return nil
}

func (g *syncGate) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return &gatedFile{File: f, gate: g}, nil
}

func (g *syncGate) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, c)
	return g.wrap(name, f, err)
}

func (g *syncGate) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(from, to, c)
	return g.wrap(to, f, err)
}

type gatedFile struct {
	vfs.File
	gate *syncGate
}

func (f *gatedFile) Sync() error {
	if err := f.gate.pass(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *gatedFile) SyncData() error {
	if err := f.gate.pass(); err != nil {
		return err
	}
	return f.File.SyncData()
}

// While a sync has not returned, nothing outside may learn of what it carries:
// no receipt, no event, no feed row, no agenda row, no waiter. Afterwards all
// of them do.
func TestSlowSync_ShowsNothingThatIsNotDurable(t *testing.T) {
	gate := newSyncGate(vfs.NewMem())
	s := openTest(t, testOptions(t, gate))
	defer s.Close()
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "one")
	g, ctx := s.Group("acme"), context.Background()
	far := epoch0.Add(time.Hour)
	if rows, _, err := s.Due(g, far, nil, 10); err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}

	release := gate.shut()
	c := k.next("two")
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
	gate.waitBlocked()
	go func() { settled <- s.Barrier(ctx, "acme") }()

	// Pebble shows the commit to whoever reads the rows themselves, soon: its log
	// may reach the sync before the batch is in the memtable.
	for limit := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		state, _, err := s.Load("acme", k.place.Conversation)
		if err == nil && state.Seq == c.State.Seq {
			break
		}
		if err != nil || time.Now().After(limit) {
			release() // or Close would wait for ever
			t.Fatalf("the batch is not visible (seq %d, %v): the test proves nothing", state.Seq, err)
		}
	}
	if events, err := s.Events("acme", k.place.Conversation, 0, 10); err != nil || len(events) != 2 {
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
	if events, err := s.Events("acme", k.place.Conversation, 0, 10); err != nil || len(events) != 3 {
		t.Errorf("%d events after the sync (%v)", len(events), err)
	}
	if rows, _, err := s.Due(g, far, nil, 10); err != nil || len(rows) != 1 || !rows[0].At.Equal(c.State.Armed) {
		t.Errorf("the agenda after the sync: %v (%v)", rows, err)
	}
}

// After the first failed sync nothing is acknowledged any more, and the process
// is told to end.
func TestBrokenSync_AcknowledgesNothing(t *testing.T) {
	gate := newSyncGate(vfs.NewMem())
	o := testOptions(t, gate)
	var deaths atomic.Int32
	died := make(chan struct{}, 64)
	o.Fatal = func(string) {
		deaths.Add(1)
		died <- struct{}{}
		select {} // a real process would be gone
	}
	s := openTest(t, o)
	tenants := []chat.TenantID{"acme", "bolt", "cafe", "dent", "echo"}
	ensure(t, s, tenants...)
	var talkers []*talker
	for i, id := range tenants {
		k := newTalker(t, s, id, i)
		k.say(t, "before")
		talkers = append(talkers, k)
	}
	gate.broken.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for _, k := range talkers {
		wg.Go(func() {
			for range 3 {
				if r, err := s.Append(ctx, k.next("after")); err == nil && r.Answer == chat.Applied {
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
		if events, err := s.Events(k.state.Tenant, k.place.Conversation, 0, 10); err != nil || len(events) != 2 {
			t.Errorf("%s shows %d events (%v), want the 2 durable ones", k.state.Tenant, len(events), err)
		}
	}
}
