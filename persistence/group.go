package persistence

import (
	"context"
	"sync/atomic"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// group is one unit of commitment and replication. Rounds are the only writers
// of everything the group owns.
type group struct {
	store *Store
	id    chat.Group
	// epoch is what commits must carry; 0 while this node may not propose.
	epoch atomic.Uint64
	// ruled wakes when epoch changes.
	ruled signal

	// stager and staging are owned by whoever stages rounds. staging is true while
	// the group has writes in the round under construction.
	stager  *stager
	staging bool

	// begun counts batches with writes of this group that were handed to Pebble,
	// and so are visible to readers; synced counts those that are durable. Rises
	// of synced wake settled.
	begun, synced atomic.Uint64
	settled       signal

	agenda agendaWatch
}

func newGroup(s *Store, id chat.Group) *group {
	g := &group{store: s, id: id}
	g.stager = newStager(id, s)
	return g
}

// propose makes a prepared commit durable and returns its answer. An error means
// that it was not queued.
func (g *group) propose(ctx context.Context, c *recordpb.Commit) (Outcome, error) {
	p := g.store.proposer.Load()
	if p == nil || g.store.opts.ReadOnly {
		return Outcome{}, chat.E("journal.Append", chat.KindUnavailable, "the store is closed for writing", nil)
	}
	g.store.stamp(c)
	return (*p).Propose(ctx, g.id, c)
}

// publish advances what readers may see.
func (g *group) publish(p *part) {
	for _, k := range p.erased {
		switch k.kind {
		case kindAddress:
			g.store.places.drop(addressRow{k.tenant, k.id})
		case kindKey:
			// Only an erase touches a key that is stored.
			g.store.shreds.owe(k.tenant)
			g.store.contacts.drop(keyHolder{k.tenant, k.id})
		}
	}
	g.store.meeting.RLock()
	defer g.store.meeting.RUnlock()
	for _, at := range p.tenants {
		if t, ok := g.store.tenants.Load(at.tenant); ok {
			t.(*tenant).landed(at.last)
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
