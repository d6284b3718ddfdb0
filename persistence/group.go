package persistence

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// The size of one durable write. Larger ones do not raise throughput, they only
// make the first caller wait for the last.
const (
	batchCommitsMax = 512
	batchBytesMax   = 1 << 20
	// flightsMax batches are synced at once; one disk queue holds few more.
	flightsMax = 8
)

// group is one unit of commitment. Its committer, one goroutine, is the only
// writer of everything the group owns.
type group struct {
	store *Store
	id    chat.Group
	epoch atomic.Uint64
	queue chan *proposal

	// stager is owned by the committer's goroutine.
	stager *stager
	// flights are batches that Pebble shows and the disk does not hold yet, in
	// order: the committer stages the next batch while they are synced. A full
	// channel makes the committer wait, and its batches larger.
	flights chan *flight

	// begun counts batches handed to Pebble, and so visible to readers; synced
	// counts those that are durable. Rises of synced wake settled.
	begun, synced atomic.Uint64
	settled       signal

	agenda agendaWatch
}

// proposal is a commit on its way through a committer. Its fields belong to the
// committer from queue to done.
type proposal struct {
	commit  *recordpb.Commit
	outcome outcome
	// done receives exactly one value, when outcome is final.
	done chan struct{}
}

// flight is a batch on its way to the disk, with those who wait for it and what
// readers may see once it is there.
type flight struct {
	batch     *pebble.Batch
	proposals []*proposal
	tenants   []landed
	erased    []realmKey
	due       int64
	dated     bool
	from      time.Time
	size      int
}

// landed is a tenant's position once a flight is durable.
type landed struct {
	tenant chat.TenantID
	last   chat.Pos
}

var flights = sync.Pool{New: func() any { return new(flight) }}

// newProposal takes one from the store's pool. The pool is the store's own
// because a channel made in a synctest bubble must not leave it.
func (s *Store) newProposal(c *recordpb.Commit) *proposal {
	p, ok := s.proposals.Get().(*proposal)
	if !ok {
		p = &proposal{done: make(chan struct{}, 1)}
	}
	p.commit = c
	return p
}

func newGroup(s *Store, id chat.Group, epoch chat.Epoch) *group {
	g := &group{store: s, id: id, queue: make(chan *proposal, s.opts.QueueLen),
		flights: make(chan *flight, flightsMax)}
	g.epoch.Store(uint64(epoch))
	g.stager = newStager(id, s)
	return g
}

// propose queues a prepared commit and waits until it is answered. An error
// means that it was not queued. When ctx ends first the answer is Unknown and
// the commit may still become durable.
func (g *group) propose(ctx context.Context, c *recordpb.Commit) (outcome, error) {
	const op = "journal.Append"
	p := g.store.newProposal(c)
	g.store.gate.RLock()
	if g.store.closed || g.store.opts.ReadOnly {
		g.store.gate.RUnlock()
		return outcome{}, chat.E(op, chat.KindUnavailable, "the store is closed for writing", nil)
	}
	select {
	case g.queue <- p:
		g.store.gate.RUnlock()
	default:
		g.store.gate.RUnlock()
		return outcome{}, chat.E(op, chat.KindBusy, "too many commits wait", nil)
	}
	select {
	case <-p.done:
		out := p.outcome
		p.commit, p.outcome = nil, outcome{}
		g.store.proposals.Put(p)
		return out, nil
	case <-ctx.Done():
		return outcome{answer: chat.Unknown}, nil
	}
}

// run is the committer. It ends when the queue is closed and empty.
func (g *group) run() {
	var landing sync.WaitGroup
	landing.Go(g.land)
	defer landing.Wait()
	defer close(g.flights)
	for p := range g.queue {
		f := flights.Get().(*flight)
		if !g.fill(f, p) || !g.launch(f) {
			return
		}
	}
}

// fill stages p and what waits behind it. False means that the store is
// unreadable and the process ends.
func (g *group) fill(f *flight, p *proposal) bool {
	g.store.recent.mu.RLock()
	g.stager.begin(chat.Epoch(g.epoch.Load()))
	for {
		f.proposals = append(f.proposals, p)
		if !g.stage(p) {
			return false
		}
		if len(f.proposals) >= batchCommitsMax || g.stager.writes.size() >= batchBytesMax {
			return true
		}
		var open bool
		select {
		case p, open = <-g.queue:
			if !open {
				return true
			}
		default:
			return true
		}
	}
}

// stage lets the stager evaluate p. False means that the store is unreadable
// and the process ends.
func (g *group) stage(p *proposal) bool {
	out, err := g.stager.stage(p.commit)
	if err != nil {
		g.fatal("a commit cannot be staged", err)
		return false
	}
	p.outcome = out
	return true
}

// launch puts the staged batch into Pebble, which shows it to readers, and
// sends it on its way to the disk. False means that the process ends.
func (g *group) launch(f *flight) bool {
	st := g.stager
	f.batch = g.store.db.NewBatchWithSize(st.writes.size() + st.writes.size()/4)
	if err := st.finish(f.batch); err != nil {
		g.fatal("a batch cannot be finished", err)
		return false
	}
	failpoint.Hit(failpoint.BatchStaged)
	for _, t := range st.touched {
		f.tenants = append(f.tenants, landed{t.id, t.last})
	}
	f.erased = append(f.erased, st.erased...)
	f.due, f.dated = st.earliestDue()
	f.size, f.from = f.batch.Len(), time.Now()
	if f.batch.Empty() {
		g.store.recent.mu.RUnlock()
		g.flights <- f
		return true
	}
	if f.dated {
		g.agenda.lower(f.due)
	}
	g.begun.Add(1)
	var err error
	if failpoint.Planted(failpoint.BugNoSync) {
		err = f.batch.Commit(pebble.NoSync)
	} else {
		err = g.store.db.ApplyNoSyncWait(f.batch, pebble.Sync)
	}
	g.store.recent.mu.RUnlock()
	if f.dated {
		g.agenda.landed()
	}
	if err != nil {
		g.fatal("a write was refused", err)
		return false
	}
	g.flights <- f
	return true
}

// land waits for each flight to be durable, in order, and only then tells
// whoever waits for it.
func (g *group) land() {
	for f := range g.flights {
		if !f.batch.Empty() && !g.settleFlight(f) {
			continue
		}
		for i, p := range f.proposals {
			p.done <- struct{}{}
			f.proposals[i] = nil
		}
		_ = f.batch.Close()
		*f = flight{proposals: f.proposals[:0], tenants: f.tenants[:0], erased: f.erased[:0]}
		flights.Put(f)
	}
}

// settleFlight waits for one flight's sync. False means that it did not become
// durable and the process ends.
func (g *group) settleFlight(f *flight) bool {
	if !failpoint.Planted(failpoint.BugNoSync) {
		if err := f.batch.SyncWait(); err != nil {
			g.fatal("a write did not become durable", err)
			return false
		}
	}
	if g.store.dead.Load() {
		return false
	}
	failpoint.Hit(failpoint.BatchSynced)
	g.store.recent.wrote(f.size)
	m := g.store.opts.Metrics
	m.Sync.Observe(time.Since(f.from).Seconds())
	m.Batch.Observe(float64(len(f.proposals)))
	m.BatchBytes.Add(float64(f.size))
	g.publish(f)
	return true
}

// publish advances what readers may see, after a sync.
func (g *group) publish(f *flight) {
	for _, k := range f.erased {
		switch k.kind {
		case kindAddress:
			g.store.places.drop(addressRow{k.tenant, k.id})
		case kindKey:
			g.store.contacts.drop(keyHolder{k.tenant, k.id})
		}
	}
	for _, at := range f.tenants {
		if t, ok := g.store.tenants.Load(at.tenant); ok {
			t := t.(*tenant)
			t.durable.Store(uint64(at.last))
			t.moved.wake()
		}
	}
	g.synced.Add(1)
	g.settled.wake()
	if f.dated {
		g.agenda.add(f.due)
	}
}

// fatal ends the process. Callers of the batch are left waiting:
// whether their commits are durable is not known.
func (g *group) fatal(reason string, err error) {
	g.store.opts.Logger.Error("the store cannot go on", "reason", reason, "err", err)
	g.store.die(reason)
}

// settle waits until every batch visible now is durable.
func (g *group) settle(ctx context.Context) error {
	target := g.begun.Load()
	for {
		moved := g.settled.wait()
		if g.synced.Load() >= target {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return chat.E("journal.Barrier", chat.KindUnavailable, "the caller gave up before the disk did its work", ctx.Err())
		}
	}
}
