package persistence

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// How much a stager remembers between batches. Forgetting costs one read each.
const (
	headsMax    = 16384
	countersMax = 4096
)

// stager turns prepared commits into writes of one batch. It is the only writer
// of state, and deterministic: the same commits staged on the same store write
// the same bytes, on any node and at any time.
//
// A batch reads its own writes through heads, tenants and rows. heads and
// tenants outlive the batch: nobody else writes what they mirror, and a batch
// that fails ends the process.
type stager struct {
	group chat.Group
	store *Store

	tenants map[chat.TenantID]*stagedTenant
	heads   map[headKey]head

	// --- of the batch under construction ---

	writes writeSet
	// epoch is of the entry whose commits are staged.
	epoch chat.Epoch
	// rows holds every row put in the batch that a later condition may ask for;
	// nil stands for a deleted one. The values are parts of writes.
	rows    map[string][]byte
	touched []*stagedTenant
	// due is the earliest due time put into the agenda, when hasDue.
	due    int64
	hasDue bool
	// erased lists keys whose rows the batch deletes and that may be cached.
	erased []realmKey
	// key is scratch space.
	key []byte
}

// stagedTenant is what a stager knows of a tenant.
type stagedTenant struct {
	id    chat.TenantID
	realm realm
	// keys is the part of the meta row behind the position.
	keys []byte
	// last is the position allocated last.
	last chat.Pos
	// counters mirrors the counters met; dirty are those the batch changed.
	counters map[string]int64
	dirty    map[string]struct{}
	// touched is true while the tenant is in stager.touched.
	touched bool
}

// realmKey names a row of a tenant by its kind and id.
type realmKey struct {
	tenant chat.TenantID
	kind   byte
	id     id16
}

type headKey struct {
	tenant       *stagedTenant
	conversation id16
}

func newStager(g chat.Group, store *Store) *stager {
	return &stager{group: g, store: store, tenants: map[chat.TenantID]*stagedTenant{},
		heads: map[headKey]head{}, rows: map[string][]byte{}}
}

// begin starts a batch. The one before must be in the database.
func (s *stager) begin() {
	s.writes.reset()
	s.touched, s.erased, s.hasDue = s.touched[:0], s.erased[:0], false
	clear(s.rows)
	if len(s.heads) > headsMax {
		clear(s.heads)
	}
}

// finish adds what is written once per batch, the counters, and puts all writes
// into b.
func (s *stager) finish(b *pebble.Batch) error {
	for _, t := range s.touched {
		for word := range t.dirty {
			s.key = t.realm.counter(s.key[:0], word)
			s.note(s.key)
			var n [8]byte
			binary.BigEndian.PutUint64(n[:], uint64(t.counters[word]))
			s.writes.set(s.key, n[:])
		}
		clear(t.dirty)
		if len(t.counters) > countersMax {
			clear(t.counters)
		}
		t.touched = false
	}
	return s.writes.flush(b)
}

// earliestDue is the earliest due time the batch put into the agenda.
func (s *stager) earliestDue() (ms int64, ok bool) { return s.due, s.hasDue }

// tenant returns what is known of a tenant, or nil for one without a meta row.
func (s *stager) tenant(id chat.TenantID) (*stagedTenant, error) {
	if t, ok := s.tenants[id]; ok {
		return t, nil
	}
	t := &stagedTenant{id: id, realm: realmOf(s.group, id),
		counters: map[string]int64{}, dirty: map[string]struct{}{}}
	v, err := s.read(t.realm.meta(nil))
	if err != nil || v == nil {
		return nil, err
	}
	pos, _, err := decodeMeta(v)
	if err != nil {
		return nil, err
	}
	if t.last, err = s.store.lastPos(t.realm, pos); err != nil {
		return nil, err
	}
	t.keys = v[8:]
	s.tenants[id] = t
	return t, nil
}

func (s *stager) touch(t *stagedTenant) {
	if !t.touched {
		t.touched = true
		s.touched = append(s.touched, t)
	}
}

// read returns a row as the batch sees it, nil when there is none.
func (s *stager) read(key []byte) ([]byte, error) {
	if v, ok := s.rows[string(key)]; ok {
		return v, nil
	}
	v, _, err := s.store.lookup(key)
	return v, err
}

// note tells that a key which conditions may ask for is about to be written.
func (s *stager) note(key []byte) { s.store.recent.add(key) }

// put writes a row that a later condition may ask for.
func (s *stager) put(key, value []byte) {
	s.note(key)
	s.rows[string(key)] = s.writes.set(key, value)
}

func (s *stager) remove(key []byte) {
	s.rows[string(key)] = nil
	s.note(key)
	s.writes.remove(key)
}

// head returns a conversation's head; a zero one when it has no events.
func (s *stager) head(t *stagedTenant, c id16) (head, error) {
	k := headKey{t, c}
	if h, ok := s.heads[k]; ok {
		return h, nil
	}
	s.key = t.realm.state(s.key[:0], c)
	v, found, err := s.store.lookup(s.key)
	if err != nil {
		return head{}, err
	}
	var h head
	if found {
		if h, _, err = readHead(v); err != nil {
			return head{}, err
		}
	}
	s.heads[k] = h
	return h, nil
}

// counter returns a counter's value as the batch sees it.
func (s *stager) counter(t *stagedTenant, word string) (int64, error) {
	if n, ok := t.counters[word]; ok {
		return n, nil
	}
	s.key = t.realm.counter(s.key[:0], word)
	v, err := s.read(s.key)
	if err != nil {
		return 0, err
	}
	var n int64
	if v != nil {
		if n, err = readCounter(v); err != nil {
			return 0, err
		}
	}
	t.counters[word] = n
	return n, nil
}

// readCounter decodes a 'u' row.
func readCounter(v []byte) (int64, error) {
	if len(v) != 8 {
		return 0, chat.E("persistence.counter", chat.KindCorrupt, "a counter is unreadable", nil)
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

func (s *stager) count(t *stagedTenant, word string, amount int64) error {
	n, err := s.counter(t, word)
	if err != nil {
		return err
	}
	t.counters[word] = n + amount
	t.dirty[word] = struct{}{}
	return nil
}
