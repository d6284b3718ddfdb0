package persistence

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// agendaWatch holds the earliest due time that became durable since the agenda
// was last read from its start.
type agendaWatch struct {
	mu    sync.Mutex
	min   int64
	armed bool
	added signal
}

// add notes that a row with the due time became durable.
func (w *agendaWatch) add(due int64) {
	w.mu.Lock()
	if !w.armed || due < w.min {
		w.min, w.armed = due, true
	}
	w.mu.Unlock()
	w.added.wake()
}

// take reports whether a row earlier than `than` was noted, and forgets it.
func (w *agendaWatch) take(than int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.armed || w.min >= than {
		return false
	}
	w.armed = false
	return true
}

func (w *agendaWatch) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = false
}

// Due returns up to max rows of g with At <= until that follow the cursor (nil:
// from the start), oldest first, and the cursor to go on from. It shows durable
// rows only: one that is on its way to the disk is left out now and makes
// Earliest return later.
func (s *Store) Due(g chat.Group, until time.Time, cursor []byte, max int) (rows []chat.Owed, next []byte, err error) {
	// The first row after `until` is what Earliest shall know of when the rows
	// noted so far are forgotten; so the walk goes one row further.
	watch := &s.groupAt(g).agenda
	first := cursor == nil
	if first {
		watch.reset()
	}
	limit := until.UnixMilli()
	next = cursor
	err = s.walkAgenda(g, cursor, func(key []byte, at int64, owed chat.Owed, _ bool) bool {
		if at > limit {
			if first {
				watch.add(at)
			}
			return false
		}
		if len(rows) == max {
			return false
		}
		rows = append(rows, owed)
		next = append([]byte(nil), key...)
		return true
	})
	return rows, next, err
}

// Live returns up to max rows of g, of any due time, whose obligation died with
// the process that armed it: a running turn, or a send that was queued or under
// way. It shows durable rows only.
func (s *Store) Live(g chat.Group, cursor []byte, max int) (rows []chat.Owed, next []byte, err error) {
	next = cursor
	err = s.walkAgenda(g, cursor, func(key []byte, _ int64, owed chat.Owed, live bool) bool {
		if len(rows) == max {
			return false
		}
		if live {
			rows = append(rows, owed)
			next = append([]byte(nil), key...)
		}
		return true
	})
	return rows, next, err
}

// Earliest blocks until a row of g earlier than `than` became durable, or lay
// beyond `until`, since Due last read the agenda from its start; or until ctx
// ends. Each row ends one call. It reads no row.
func (s *Store) Earliest(ctx context.Context, g chat.Group, than time.Time) error {
	watch := &s.groupAt(g).agenda
	limit := int64(math.MaxInt64)
	if !than.IsZero() {
		limit = than.UnixMilli()
	}
	for {
		added := watch.added.wait()
		if watch.take(limit) {
			return nil
		}
		select {
		case <-added:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// walkAgenda visits the durable rows of g after cursor, in order, until visit
// returns false. key is valid during the call.
func (s *Store) walkAgenda(g chat.Group, cursor []byte, visit func(key []byte, at int64, owed chat.Owed, live bool) bool) error {
	const op = "agenda.Due"
	lower := appendDuePrefix(nil, g)
	upper := prefixEnd(lower)
	if cursor != nil {
		lower = append(append([]byte(nil), cursor...), 0x00)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read the agenda", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		at, tenant, c, fine := parseDue(it.Key())
		v, err := it.ValueAndErr()
		if err != nil {
			break
		}
		live, pos, valid := readOwed(v)
		if !fine || !valid {
			return chat.E(op, chat.KindCorrupt, "an agenda row is unreadable: "+prettyKey(it.Key()).String(), nil)
		}
		if !s.isDurable(tenant, pos) {
			continue
		}
		owed := chat.Owed{Tenant: tenant, Conversation: c.conversationID(), At: time.UnixMilli(at).UTC()}
		if !visit(it.Key(), at, owed, live) {
			break
		}
	}
	if err := it.Error(); err != nil {
		return chat.E(op, chat.KindCorrupt, "cannot read the agenda", err)
	}
	return nil
}

// isDurable reports whether what stands at a tenant's position is durable. A
// tenant not met since Open has nothing in flight.
func (s *Store) isDurable(t chat.TenantID, pos chat.Pos) bool {
	known, ok := s.tenants.Load(t)
	return !ok || uint64(pos) <= known.(*tenant).durable.Load()
}
