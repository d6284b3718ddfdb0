package persistence

import (
	"slices"
	"sync"
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
	// flightsMax batches are synced at once: one is on the disk while the next
	// gathers. More would be smaller and cost more.
	flightsMax = 2
)

// committer makes the commits of all groups durable, in the order they were
// queued. It stages what waits, of whatever group, into one batch: the log and
// its syncs are one, and what is written once per batch (positions, counters,
// the state of a conversation that moved twice) is written less often for it.
// While a batch is on its way to the disk the next one is staged.
//
// Two goroutines: run stages and hands batches to Pebble, land waits for their
// syncs and answers.
type committer struct {
	store *Store
	queue chan *proposal
	// flights are batches that Pebble shows and the disk does not hold yet, in
	// order. A full channel makes run wait, and its batches larger.
	flights chan *flight
	// open lists the groups with writes in the batch under construction.
	open []*group
}

// proposal is a commit on its way through the committer. Its fields belong to
// the committer from queue to done.
type proposal struct {
	group   *group
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
	parts     []part
	from      time.Time
	size      int
}

// part is one group's share of a flight.
type part struct {
	group   *group
	tenants []landed
	erased  []realmKey
	due     int64
	dated   bool
}

// landed is a tenant's position once a flight is durable.
type landed struct {
	tenant chat.TenantID
	last   chat.Pos
}

var flights = sync.Pool{New: func() any { return new(flight) }}

func newCommitter(s *Store) *committer {
	return &committer{store: s, queue: make(chan *proposal, s.opts.QueueLen), flights: make(chan *flight, flightsMax)}
}

// newProposal takes one from the store's pool. The pool is the store's own
// because a channel made in a synctest bubble must not leave it.
func (s *Store) newProposal(g *group, c *recordpb.Commit) *proposal {
	p, ok := s.proposals.Get().(*proposal)
	if !ok {
		p = &proposal{done: make(chan struct{}, 1)}
	}
	p.group, p.commit = g, c
	return p
}

// run ends when the queue is closed and empty.
func (c *committer) run() {
	var landing sync.WaitGroup
	landing.Go(c.land)
	defer landing.Wait()
	defer close(c.flights)
	for p := range c.queue {
		f := flights.Get().(*flight)
		if !c.fill(f, p) || !c.launch(f) {
			return
		}
	}
}

// fill stages p and what waits behind it. False means that the store is
// unreadable and the process ends.
func (c *committer) fill(f *flight, p *proposal) bool {
	c.store.recent.mu.RLock()
	for bytes := 0; ; {
		f.proposals = append(f.proposals, p)
		st := c.stagerOf(p.group)
		before := st.writes.size()
		out, err := st.stage(p.commit)
		if err != nil {
			c.fatal("a commit cannot be staged", err)
			return false
		}
		p.outcome = out
		bytes += st.writes.size() - before
		if len(f.proposals) >= batchCommitsMax || bytes >= batchBytesMax {
			return true
		}
		var open bool
		select {
		case p, open = <-c.queue:
			if !open {
				return true
			}
		default:
			return true
		}
	}
}

// stagerOf returns a group's stager, begun for the batch under construction.
func (c *committer) stagerOf(g *group) *stager {
	if !g.staging {
		g.staging = true
		g.stager.begin(chat.Epoch(g.epoch.Load()))
		c.open = append(c.open, g)
	}
	return g.stager
}

// launch puts the staged writes into Pebble, which shows them to readers, and
// sends them on their way to the disk. False means that the process ends.
func (c *committer) launch(f *flight) bool {
	s := c.store
	size := 0
	for _, g := range c.open {
		size += g.stager.writes.size()
	}
	f.batch = s.db.NewBatchWithSize(size + size/4)
	slices.SortFunc(c.open, func(a, b *group) int { return int(a.id) - int(b.id) })
	for _, g := range c.open {
		if err := c.finish(f, g); err != nil {
			c.fatal("a batch cannot be finished", err)
			return false
		}
	}
	c.open = c.open[:0]
	failpoint.Hit(failpoint.BatchStaged)
	f.size, f.from = f.batch.Len(), time.Now()
	err := c.apply(f)
	s.recent.mu.RUnlock()
	s.recent.wrote(f.size)
	for i := range f.parts {
		if p := &f.parts[i]; p.dated {
			p.group.agenda.landed()
		}
	}
	if err != nil {
		c.fatal("a write was refused", err)
		return false
	}
	c.flights <- f
	return true
}

// finish ends a group's staging and notes its part of the flight.
func (c *committer) finish(f *flight, g *group) error {
	g.staging = false
	st := g.stager
	if err := st.finish(f.batch); err != nil {
		return err
	}
	p := part{group: g, erased: slices.Clone(st.erased)}
	for _, t := range st.touched {
		p.tenants = append(p.tenants, landed{t.id, t.last})
	}
	if p.due, p.dated = st.earliestDue(); p.dated {
		g.agenda.lower(p.due)
	}
	g.begun.Add(1)
	f.parts = append(f.parts, p)
	return nil
}

func (c *committer) apply(f *flight) error {
	switch {
	case f.batch.Empty():
		return nil
	case failpoint.Planted(failpoint.BugNoSync):
		return f.batch.Commit(pebble.NoSync)
	}
	return c.store.db.ApplyNoSyncWait(f.batch, pebble.Sync)
}

// land waits for each flight to be durable, in order, and only then tells
// whoever waits for it.
func (c *committer) land() {
	for f := range c.flights {
		if !c.synced(f) {
			continue
		}
		for i := range f.parts {
			f.parts[i].group.publish(&f.parts[i])
			f.parts[i] = part{}
		}
		for i, p := range f.proposals {
			p.done <- struct{}{}
			f.proposals[i] = nil
		}
		_ = f.batch.Close()
		*f = flight{proposals: f.proposals[:0], parts: f.parts[:0]}
		flights.Put(f)
	}
}

// synced waits for one flight's sync. False means that it did not become
// durable and the process ends.
func (c *committer) synced(f *flight) bool {
	if f.batch.Empty() {
		return true
	}
	if !failpoint.Planted(failpoint.BugNoSync) {
		if err := f.batch.SyncWait(); err != nil {
			c.fatal("a write did not become durable", err)
			return false
		}
	}
	if c.store.dead.Load() {
		return false
	}
	failpoint.Hit(failpoint.BatchSynced)
	m := c.store.opts.Metrics
	m.Sync.Observe(time.Since(f.from).Seconds())
	m.Batch.Observe(float64(len(f.proposals)))
	m.BatchBytes.Add(float64(f.size))
	return true
}

// fatal ends the process. Callers of the batch are left waiting:
// whether their commits are durable is not known.
func (c *committer) fatal(reason string, err error) {
	c.store.opts.Logger.Error("the store cannot go on", "reason", reason, "err", err)
	c.store.die(reason)
}
