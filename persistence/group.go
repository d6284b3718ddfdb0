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

var proposals = sync.Pool{New: func() any { return &proposal{done: make(chan struct{}, 1)} }}

func newGroup(s *Store, id chat.Group, epoch chat.Epoch) *group {
	g := &group{store: s, id: id, queue: make(chan *proposal, s.opts.QueueLen)}
	g.epoch.Store(uint64(epoch))
	g.stager = newStager(id, s)
	return g
}

// propose queues a prepared commit and waits until it is answered. An error
// means that it was not queued. When ctx ends first the answer is Unknown and
// the commit may still become durable.
func (g *group) propose(ctx context.Context, c *recordpb.Commit) (outcome, error) {
	const op = "journal.Append"
	p := proposals.Get().(*proposal)
	p.commit = c
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
		proposals.Put(p)
		return out, nil
	case <-ctx.Done():
		return outcome{answer: chat.Unknown}, nil
	}
}

// run is the committer. It ends when the queue is closed and empty.
func (g *group) run() {
	var pending []*proposal
	for p := range g.queue {
		g.store.recent.mu.RLock()
		g.stager.begin(chat.Epoch(g.epoch.Load()))
		pending = append(pending[:0], p)
		if !g.stage(p) {
			return
		}
	drain:
		for len(pending) < batchCommitsMax && g.stager.writes.size() < batchBytesMax {
			select {
			case p, open := <-g.queue:
				if !open {
					break drain
				}
				pending = append(pending, p)
				if !g.stage(p) {
					return
				}
			default:
				break drain
			}
		}
		if !g.commit(len(pending)) {
			return
		}
		for i, p := range pending {
			p.done <- struct{}{}
			pending[i] = nil
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

// commit makes the staged batch durable and tells whoever waits for that. False
// means that it did not become durable and the process ends.
func (g *group) commit(commits int) bool {
	batch := g.store.db.NewBatchWithSize(g.stager.writes.size() + g.stager.writes.size()/4)
	defer batch.Close()
	if err := g.stager.finish(batch); err != nil {
		g.fatal("a batch cannot be finished", err)
		return false
	}
	failpoint.Hit(failpoint.BatchStaged)
	if batch.Empty() {
		g.store.recent.mu.RUnlock()
		return true
	}
	mode := pebble.Sync
	if failpoint.Planted(failpoint.BugNoSync) {
		mode = pebble.NoSync
	}
	due, dated := g.stager.earliestDue()
	if dated {
		g.agenda.lower(due)
	}
	size, from := batch.Len(), time.Now()
	g.begun.Add(1)
	err := batch.Commit(mode)
	g.store.recent.mu.RUnlock()
	if dated {
		g.agenda.landed()
	}
	if err != nil {
		g.fatal("a write did not become durable", err)
		return false
	}
	if g.store.dead.Load() {
		return false
	}
	failpoint.Hit(failpoint.BatchSynced)
	g.store.recent.wrote(size)
	m := g.store.opts.Metrics
	m.Sync.Observe(time.Since(from).Seconds())
	m.Batch.Observe(float64(commits))
	m.BatchBytes.Add(float64(size))
	g.publish()
	return true
}

// publish advances what readers may see, after a sync.
func (g *group) publish() {
	for _, k := range g.stager.erased {
		switch k.kind {
		case kindAddress:
			g.store.places.drop(addressRow{k.tenant, k.id})
		case kindKey:
			g.store.contacts.drop(keyHolder{k.tenant, k.id})
		}
	}
	for _, st := range g.stager.touched {
		if t, ok := g.store.tenants.Load(st.id); ok {
			t := t.(*tenant)
			t.durable.Store(uint64(st.last))
			t.moved.wake()
		}
	}
	g.synced.Add(1)
	g.settled.wake()
	if due, ok := g.stager.earliestDue(); ok {
		g.agenda.add(due)
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
