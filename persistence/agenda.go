package persistence

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// agendaWatch holds the earliest due time that became durable, or was passed by, since
// the agenda was last read from its start, and where that start is.
type agendaWatch struct {
	mu    sync.Mutex
	min   int64
	armed bool
	added signal

	// floor is a time no row is due before: a walk from the start begins there
	// and so passes over the rows that were removed since. lowered counts its
	// descents and landing those whose rows are not visible yet, so that a walk
	// that would raise it knows whether it saw all rows.
	floor   int64
	lowered uint64
	landing int
}

// lower makes room for a row due at the given time. It comes before the row is
// visible; landed follows once it is.
func (w *agendaWatch) lower(due int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lowered++
	w.landing++
	w.floor = min(w.floor, due)
}

func (w *agendaWatch) landed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.landing--
}

// start returns where a walk from the start begins, a mark for raise, and
// whether the walk will see every row.
func (w *agendaWatch) start() (floor int64, mark uint64, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.floor, w.lowered, w.landing == 0
}

// raise notes the first row a whole walk found, unless rows were added
// meanwhile.
func (w *agendaWatch) raise(first int64, mark uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lowered == mark {
		w.floor = first
	}
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

// replaced notes that all rows are others than before: a walk begins at the first
// there can be, and whoever waits looks again.
func (w *agendaWatch) replaced() {
	w.mu.Lock()
	w.lowered++
	w.floor = math.MinInt64
	w.min, w.armed = math.MinInt64, true
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

// read forgets the rows noted so far: a walk from the start will find those due up to a
// time. Of those beyond only the next can be said that there may be one.
func (w *agendaWatch) read(until int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.min, w.armed = until+1, true
}

// Due returns up to max rows of g with At <= until that follow the cursor (nil:
// from the start), oldest first, and the cursor to go on from. It shows durable
// rows only: one that is on its way to the disk is left out now and makes
// Earliest return later.
//
// It reads nothing beyond until: what a turn owed a minute ahead, for the case that it
// never ends, is removed when it ends, and a walk to the first row that is left would
// pass over all of those.
func (s *Store) Due(g chat.Group, until time.Time, cursor []byte, max int) (rows []chat.Owed, next []byte, err error) {
	watch := &s.groupAt(g).agenda
	first := cursor == nil
	limit := until.UnixMilli()
	if first {
		watch.read(limit)
	}
	next = cursor
	lower := agendaAfter(g, cursor)
	var floor int64
	var mark uint64
	whole := false
	if first {
		floor, mark, whole = watch.start()
		lower = appendTime(appendDuePrefix(nil, g), floor)
	}
	upper := appendTime(appendDuePrefix(nil, g), limit+1)
	found, err := s.walkAgenda(lower, upper, func(key []byte, _ int64, owed chat.Owed, _ bool) bool {
		if len(rows) == max {
			return false
		}
		rows = append(rows, owed)
		next = append([]byte(nil), key...)
		return true
	})
	if whole && err == nil {
		watch.raise(min(found, limit+1), mark)
	}
	return rows, next, err
}

// agendaAfter is the lower bound of a walk that goes on from a cursor.
func agendaAfter(g chat.Group, cursor []byte) []byte {
	if cursor == nil {
		return appendDuePrefix(nil, g)
	}
	return append(append([]byte(nil), cursor...), 0x00)
}

// Live returns up to max rows of g, of any due time, whose obligation died with
// the process that armed it: a running turn, or a send that was queued or under
// way. It shows durable rows only.
func (s *Store) Live(g chat.Group, cursor []byte, max int) (rows []chat.Owed, next []byte, err error) {
	next = cursor
	_, err = s.walkAgenda(agendaAfter(g, cursor), prefixEnd(appendDuePrefix(nil, g)), func(key []byte, _ int64, owed chat.Owed, live bool) bool {
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

// Earliest blocks until a row of g earlier than `than` became durable since Due last
// read the agenda from its start, or until ctx ends. Each row ends one call. Beyond
// Due's `until` there may have been one before: one call for a later `than` returns at
// once. It reads no row.
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

// walkAgenda visits the durable rows from a key on, in order, up to another or until
// visit returns false, and returns the due time of the first row there is, durable or
// not: math.MaxInt64 for none. key is valid during the call.
func (s *Store) walkAgenda(lower, upper []byte, visit func(key []byte, at int64, owed chat.Owed, live bool) bool) (first int64, err error) {
	const op = "agenda.Due"
	first = math.MaxInt64
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return first, chat.E(op, chat.KindOther, "cannot read the agenda", err)
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
			return first, chat.E(op, chat.KindCorrupt, "an agenda row is unreadable: "+prettyKey(it.Key()).String(), nil)
		}
		first = min(first, at)
		if !s.isDurable(tenant, pos) {
			continue
		}
		owed := chat.Owed{Tenant: tenant, Conversation: c.conversationID(), At: time.UnixMilli(at).UTC()}
		if !visit(it.Key(), at, owed, live) {
			break
		}
	}
	if err := it.Error(); err != nil {
		return first, chat.E(op, chat.KindCorrupt, "cannot read the agenda", err)
	}
	return first, nil
}

// isDurable reports whether what stands at a tenant's position is durable. A
// tenant not met since Open has nothing in flight.
func (s *Store) isDurable(t chat.TenantID, pos chat.Pos) bool {
	known, ok := s.tenants.Load(t)
	return !ok || uint64(pos) <= known.(*tenant).durable.Load()
}
