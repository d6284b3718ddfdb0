package persistence

import (
	"context"
	"sync/atomic"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// group is one unit of commitment. The committer is the only writer of
// everything the group owns.
type group struct {
	store *Store
	id    chat.Group
	epoch atomic.Uint64

	// stager and staging are owned by the committer's goroutine. staging is true
	// while the group has writes in the batch under construction.
	stager  *stager
	staging bool

	// begun counts batches with writes of this group that were handed to Pebble,
	// and so are visible to readers; synced counts those that are durable. Rises
	// of synced wake settled.
	begun, synced atomic.Uint64
	settled       signal

	agenda agendaWatch
}

func newGroup(s *Store, id chat.Group, epoch chat.Epoch) *group {
	g := &group{store: s, id: id}
	g.epoch.Store(uint64(epoch))
	g.stager = newStager(id, s)
	return g
}

// propose queues a prepared commit and waits until it is answered. An error
// means that it was not queued. When ctx ends first the answer is Unknown and
// the commit may still become durable.
func (g *group) propose(ctx context.Context, c *recordpb.Commit) (outcome, error) {
	const op = "journal.Append"
	s := g.store
	p := s.newProposal(g, c)
	s.gate.RLock()
	if s.closed || s.opts.ReadOnly {
		s.gate.RUnlock()
		return outcome{}, chat.E(op, chat.KindUnavailable, "the store is closed for writing", nil)
	}
	select {
	case s.committer.queue <- p:
		s.gate.RUnlock()
	default:
		s.gate.RUnlock()
		return outcome{}, chat.E(op, chat.KindBusy, "too many commits wait", nil)
	}
	select {
	case <-p.done:
		out := p.outcome
		p.group, p.commit, p.outcome = nil, nil, outcome{}
		s.proposals.Put(p)
		return out, nil
	case <-ctx.Done():
		return outcome{answer: chat.Unknown}, nil
	}
}

// publish advances what readers may see, after a sync.
func (g *group) publish(p *part) {
	for _, k := range p.erased {
		switch k.kind {
		case kindAddress:
			g.store.places.drop(addressRow{k.tenant, k.id})
		case kindKey:
			g.store.contacts.drop(keyHolder{k.tenant, k.id})
		}
	}
	for _, at := range p.tenants {
		if t, ok := g.store.tenants.Load(at.tenant); ok {
			t := t.(*tenant)
			t.durable.Store(uint64(at.last))
			t.moved.wake()
		}
	}
	g.synced.Add(1)
	g.settled.wake()
	if p.dated {
		g.agenda.add(p.due)
	}
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
