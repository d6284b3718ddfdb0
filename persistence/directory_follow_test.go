package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// fleet is the nodes of a cluster that share one order of commits, made by
// whoever proposes. A node has what others proposed once it catches up.
type fleet struct {
	t     testing.TB
	mu    sync.Mutex
	log   []logged
	grown signal
	ships []*ship
	// past is how far the nodes' clocks are past epoch0.
	past atomic.Int64
}

type logged struct {
	group   chat.Group
	commit  *recordpb.Commit
	outcome Outcome
}

// ship is one node: its store has the first applied commits of the log.
type ship struct {
	*Store
	fleet   *fleet
	applied int
	// refuse, when set, is what proposals meet; forget loses their answers.
	refuse error
	forget bool
}

// newFleet has n nodes of which the first answers conditions: it leads.
func newFleet(t testing.TB, n int) *fleet {
	f := &fleet{t: t}
	for i := range n {
		o := testOptions(t, vfs.NewMem())
		o.Clock = func() time.Time { return epoch0.Add(time.Duration(f.past.Load())) }
		s, err := Open(o)
		mustPut(t, err)
		sh := &ship{Store: s, fleet: f}
		s.Serve(sh)
		if i == 0 {
			for _, g := range s.GroupIDs() {
				s.Lead(g, 1)
			}
		}
		f.ships = append(f.ships, sh)
		t.Cleanup(func() { mustPut(t, s.Close()) })
	}
	return f
}

// CutLog implements Proposer: there is no log.
func (*ship) CutLog(context.Context, chat.Group) error { return nil }

// Propose implements Proposer: the first node stages at once.
func (s *ship) Propose(_ context.Context, g chat.Group, c *recordpb.Commit) (Outcome, error) {
	f := s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.refuse != nil {
		return Outcome{}, s.refuse
	}
	f.log = append(f.log, logged{group: g, commit: c})
	f.apply(f.ships[0])
	f.grown.wake()
	if s.forget {
		s.forget = false
		return Outcome{Answer: chat.Unknown}, nil
	}
	return f.log[len(f.log)-1].outcome, nil
}

// Close implements Proposer.
func (s *ship) Close() error { return nil }

// catchUp gives a node what was committed so far.
func (f *fleet) catchUp(s *ship) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apply(s)
}

func (f *fleet) apply(s *ship) {
	for ; s.applied < len(f.log); s.applied++ {
		l := &f.log[s.applied]
		r, b := s.NewRound(), s.db.NewBatch()
		out, err := r.Stage(l.group, 1, l.commit)
		if err = errors.Join(err, r.Write(b)); err == nil {
			err = b.Commit(pebble.Sync)
		}
		r.Applied(b.Len())
		r.Landed()
		if err != nil {
			f.t.Error(err)
		}
		l.outcome = out
	}
}

// directories opens the directory of each node, which has all that was committed.
func (f *fleet) directories() (list []*Directory) {
	for _, s := range f.ships {
		f.catchUp(s)
		list = append(list, directoryOf(f.t, s.Store))
	}
	return list
}

func tenantIDs(d *Directory) (ids []chat.TenantID) {
	for _, t := range d.Tenants() {
		ids = append(ids, t.ID)
	}
	return ids
}

// A node that lags by more than one change must not pass for the next one: what
// it changed rests on what it had seen.
func TestDirectory_LaggingNodesLoseNothing(t *testing.T) {
	ctx := t.Context()
	f := newFleet(t, 2)
	ds := f.directories()
	mustPut(t, ds[0].PutApp(ctx, testApp), ds[0].PutTenant(ctx, chat.Tenant{ID: "acme"}), ds[0].PutTenant(ctx, chat.Tenant{ID: "bolt"}),
		ds[0].PutChannel(ctx, waChannel("acme-wa", "acme", "meta", "1001", "")))

	// The other gives the same account to another tenant. It has not seen any of that.
	runs := 0
	done := make(chan error)
	tried := make(chan struct{}, 1)
	go func() {
		done <- ds[1].Change(ctx, func(c *Change) error {
			if runs++; runs == 1 {
				tried <- struct{}{}
			}
			return errors.Join(c.PutApp(testApp), c.PutTenant(chat.Tenant{ID: "bolt"}),
				c.PutChannel(waChannel("bolt-wa", "bolt", "meta", "1001", "")))
		})
	}()
	<-tried
	f.catchUp(f.ships[1])
	if err := <-done; chat.KindOf(err) != chat.KindConflict || runs < 2 {
		t.Errorf("an account was bound twice: %v after %d runs", err, runs)
	}
	if got := tenantIDs(ds[1]); !slices.Equal(got, []chat.TenantID{"acme", "bolt"}) {
		t.Errorf("the lagging node knows %v", got)
	}
	f.catchUp(f.ships[1])
	mustCheck(t, f.ships[0].Store)
	mustCheck(t, f.ships[1].Store)
}

// What a node was answered its replica may not have yet: reading that does not
// take the change back.
func TestDirectory_NeverGoesBack(t *testing.T) {
	ctx := t.Context()
	f := newFleet(t, 2)
	d := f.directories()[1]
	changed := d.Changed()
	mustPut(t, d.PutTenant(ctx, chat.Tenant{ID: "acme"}))
	select {
	case <-changed:
	default:
		t.Error("a change of this node was not told")
	}
	mustPut(t, d.reload(ctx))
	if len(d.Tenants()) != 1 {
		t.Error("a replica that lags took back what was acknowledged")
	}
	mustPut(t, d.PutTenant(ctx, chat.Tenant{ID: "bolt"}))
	table := d.table.Load()
	f.catchUp(f.ships[1])
	mustPut(t, d.reload(ctx))
	if d.table.Load() != table {
		t.Error("the same directory was replaced")
	}
}

// A change whose answer was lost and which came all the same is not made twice.
func TestDirectory_RepeatsWhatIsUnknown(t *testing.T) {
	ctx := t.Context()
	f := newFleet(t, 2)
	d := f.directories()[1]
	mustPut(t, d.PutTenant(ctx, chat.Tenant{ID: "acme"}))
	f.ships[1].forget = true
	rename := func() error { return d.PutTenant(ctx, chat.Tenant{ID: "acme", Name: "Acme"}) }
	if err := rename(); chat.KindOf(err) != chat.KindUnknown {
		t.Fatalf("got %v", err)
	}
	written := len(f.log)
	done := make(chan error)
	go func() { done <- rename() }()
	// The repetition meets its own first attempt, and then sees it.
	f.catchUp(f.ships[1])
	mustPut(t, <-done)
	if d.Tenants()[0].Name != "Acme" || len(f.log) > written+1 {
		t.Errorf("%+v after %d more commits", d.Tenants(), len(f.log)-written)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := d.PutTenant(gone, chat.Tenant{ID: "bolt"}); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("a caller that is gone: %v", err)
	}
	f.ships[1].refuse = chat.E("test", chat.KindUnavailable, "nobody leads", nil)
	if err := d.PutTenant(ctx, chat.Tenant{ID: "bolt"}); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("without a leader: %v", err)
	}
}

// Every node changes the directory at once; each change counts what it found.
func TestDirectory_ChangesOfAllNodesCount(t *testing.T) {
	ctx := t.Context()
	f := newFleet(t, 3)
	ds := f.directories()
	const each = 20
	var work sync.WaitGroup
	follow, stop := context.WithCancel(ctx)
	for _, d := range ds {
		work.Go(func() {
			for range each {
				mustNot(t, d.Change(ctx, func(c *Change) error {
					return c.PutTenant(chat.Tenant{ID: chat.TenantID(fmt.Sprint("t", len(c.next.tenants)))})
				}))
			}
		})
	}
	var following sync.WaitGroup
	for _, s := range f.ships {
		following.Go(func() {
			for {
				grown := f.grown.wait()
				f.catchUp(s)
				select {
				case <-grown:
				case <-follow.Done():
					return
				}
			}
		})
	}
	following.Go(func() { mustNot(t, ds[2].Follow(follow)) })
	work.Wait()
	stop()
	following.Wait()
	for i, d := range ds {
		f.catchUp(f.ships[i])
		mustPut(t, d.reload(ctx))
		if n := len(d.Tenants()); n != 3*each || d.table.Load().version != uint64(3*each) {
			t.Errorf("node %d knows %d tenants at version %d, want %d", i, n, d.table.Load().version, 3*each)
		}
		mustCheck(t, f.ships[i].Store)
	}
}

func mustNot(t testing.TB, err error) {
	if err != nil {
		t.Error(err)
	}
}

func TestDirectory_RefreshAsksOnceInAWhile(t *testing.T) {
	ctx := t.Context()
	f := newFleet(t, 2)
	pass := func(d time.Duration) { f.past.Add(int64(d)) }
	ds := f.directories()
	asked := 0
	barrier := func(_ context.Context, g chat.Group) error {
		if g != MetaGroup {
			t.Errorf("asked group %d", g)
		}
		asked++
		f.catchUp(f.ships[1])
		return nil
	}
	mustPut(t, ds[0].PutTenant(ctx, chat.Tenant{ID: "acme"}))
	mustPut(t, ds[1].Refresh(ctx, barrier))
	if got := tenantIDs(ds[1]); asked != 1 || len(got) != 1 {
		t.Fatalf("asked %d times, knows %v", asked, got)
	}
	mustPut(t, ds[1].Refresh(ctx, barrier))
	pass(freshFor - 1)
	mustPut(t, ds[1].Refresh(ctx, barrier))
	if asked != 1 {
		t.Error("asked again within the second")
	}
	pass(1)
	mustPut(t, ds[1].Refresh(ctx, barrier))
	pass(-time.Hour) // the clock was set back
	mustPut(t, ds[1].Refresh(ctx, barrier))
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}

	// Who comes while one asks does not ask; an error is nobody else's.
	pass(time.Minute)
	down := errors.New("down")
	if err := ds[1].Refresh(ctx, func(context.Context, chat.Group) error { return down }); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	inside, leave := make(chan struct{}), make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		mustNot(t, ds[1].Refresh(ctx, func(ctx context.Context, g chat.Group) error {
			close(inside)
			<-leave
			return barrier(ctx, g)
		}))
	})
	<-inside
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := ds[1].Refresh(gone, barrier); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("a caller that is gone: %v", err)
	}
	for range 3 {
		work.Go(func() { mustNot(t, ds[1].Refresh(ctx, barrier)) })
	}
	close(leave)
	work.Wait()
	if asked != 4 {
		t.Errorf("asked %d times, want 4", asked)
	}
}

// A tenant can be made on a node that holds no rows of it.
func TestEnsureTenant_WhereItsGroupIsNot(t *testing.T) {
	f := newFleet(t, 2)
	ensure(t, f.ships[0].Store, "acme")
	ensure(t, f.ships[1].Store, "acme", "bolt")
	for range 2 {
		f.catchUp(f.ships[1])
		for _, s := range f.ships {
			for _, id := range []chat.TenantID{"acme", "bolt"} {
				if _, err := s.tenantAt(id); err != nil {
					t.Errorf("tenant %s: %v", id, err)
				}
			}
		}
	}
}
