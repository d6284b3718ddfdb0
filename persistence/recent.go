package persistence

import (
	"errors"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/chumiai/chumi/chat"
)

// recent tells which condition keys may be in a memtable.
//
// Nearly every condition asks for a row that is absent: a message is new. In a
// full memtable such a search costs more than all else in a commit, while on
// disk a bloom filter answers. So every condition key put since Open is noted
// in a filter; a key that is not in it can only be on disk, and the memtables
// are passed over.
//
// Filters come in generations. One ends when more bytes were written than
// memtables can hold; when the next one ends, the keys of the first are all on
// disk and it is dropped.
//
// Invariant: a key in a memtable is in one of the two generations. Committers
// hold mu for reading from the first add of a batch until Pebble has applied
// it, so that no batch spans the end of its generation.
type recent struct {
	mu    sync.RWMutex
	gens  atomic.Pointer[generations]
	bytes atomic.Int64
	limit int64
	seed  maphash.Seed
	// blind makes every key one that a memtable may have: a store opened for
	// reading keeps there what it found in the log.
	blind bool
	// absent remembers remote-id rows that were looked for and not found.
	absent [absentStripes]absentStripe
}

// generations are the filter being filled and the one before.
type generations struct {
	n         uint64
	cur, prev *filter
}

// newRecent sizes the filters for memtables of the given total size. A commit
// of 300 bytes with one condition key gets 16 bits per key.
func newRecent(memtables int64, blind bool) *recent {
	r := &recent{limit: memtables, seed: maphash.MakeSeed(), blind: blind}
	size := int(memtables / 20)
	r.gens.Store(&generations{cur: newFilter(size), prev: newFilter(0)})
	return r
}

// add notes a key that is about to be put. REQUIRES: mu held for reading.
func (r *recent) add(key []byte) { r.gens.Load().cur.add(maphash.Bytes(r.seed, key)) }

// wrote counts the bytes of an applied batch and ends a generation that is
// full. It follows the batch at once: bytes counted late would end the next
// generation before as many were written. REQUIRES: mu not held.
func (r *recent) wrote(n int) {
	if r.bytes.Add(int64(n)) < r.limit {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes.Load() < r.limit {
		return
	}
	r.bytes.Store(0)
	g := r.gens.Load()
	r.gens.Store(&generations{n: g.n + 1, cur: newFilter(len(g.cur.words) * 64), prev: g.cur})
}

// mayHave reports whether key may be in a memtable, and the generation asked.
func (r *recent) mayHave(key []byte) (bool, uint64) {
	g, h := r.gens.Load(), maphash.Bytes(r.seed, key)
	return r.blind || g.cur.has(h) || g.prev.has(h), g.n
}

// replaced follows rows that came in as tables: no filter notes them, so nothing
// that was absent before is known to be absent. Two steps are further than anybody
// trusts what was asked before. REQUIRES: mu not held.
func (r *recent) replaced() {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.gens.Load()
	r.gens.Store(&generations{n: g.n + 2, cur: g.cur, prev: g.prev})
}

// filter is a bloom filter of one cache line per key. Safe for concurrent use.
type filter struct{ words []atomic.Uint64 }

const lineWords = 8

// newFilter has at least one line, and a power of two of them.
func newFilter(size int) *filter {
	lines := 1 << bits.Len(uint(max(size/(64*lineWords), 1))-1)
	return &filter{words: make([]atomic.Uint64, lines*lineWords)}
}

// line returns the words a hash may set and the bits left to choose with.
func (f *filter) line(h uint64) ([]atomic.Uint64, uint64) {
	lines := uint64(len(f.words) / lineWords)
	at := (h >> 40) & (lines - 1) * lineWords
	return f.words[at : at+lineWords], h
}

// Each of the four probes takes 9 bits of the hash: a word and a bit of it.
func (f *filter) add(h uint64) {
	line, h := f.line(h)
	for range 4 {
		line[h&7].Or(1 << (h >> 3 & 63))
		h >>= 9
	}
}

func (f *filter) has(h uint64) bool {
	line, h := f.line(h)
	for range 4 {
		if line[h&7].Load()&(1<<(h>>3&63)) == 0 {
			return false
		}
		h >>= 9
	}
	return true
}

const (
	absentStripes = 64
	absentSlots   = 512
)

type absentStripe struct {
	mu    sync.Mutex
	slots [absentSlots]absentSlot
}

// absentSlot holds a row hash that was absent in generation n.
type absentSlot struct {
	hash id16
	n    uint64
}

func (r *recent) slot(h id16) (*absentStripe, *absentSlot) {
	stripe := &r.absent[h[0]%absentStripes]
	return stripe, &stripe.slots[(int(h[1])|int(h[2])<<8)%absentSlots]
}

// missed notes that the remote-id row h was absent, asked in generation n.
func (r *recent) missed(h id16, n uint64) {
	stripe, slot := r.slot(h)
	stripe.mu.Lock()
	*slot = absentSlot{h, n}
	stripe.mu.Unlock()
}

// stillAbsent reports that the remote-id row h with the given key is known to
// be absent: it was looked for and not found, and no put since then can have
// been of it. False means that it must be read.
func (r *recent) stillAbsent(h id16, key []byte) bool {
	stripe, slot := r.slot(h)
	stripe.mu.Lock()
	seen := *slot
	stripe.mu.Unlock()
	if seen.hash != h {
		return false
	}
	may, n := r.mayHave(key)
	return !may && n-seen.n <= 1
}

// keyRoom is room for the key of a look-up, which Pebble's interfaces would
// else have made anew for each.
type keyRoom struct{ key []byte }

var keyRooms = sync.Pool{New: func() any { return new(keyRoom) }}

// lookup is get for keys that recent notes. It skips the memtables when the key
// cannot be there.
func (s *Store) lookup(key []byte) (value []byte, found bool, err error) {
	value, _, err = s.lookupIn(key)
	return value, value != nil, err
}

// lookupIn returns a copy of a row, nil for none, and the generation asked.
func (s *Store) lookupIn(key []byte) (value []byte, n uint64, err error) {
	may, n := s.recent.mayHave(key)
	// A store open for reading has the rows of its logs in memtables.
	if may || s.opts.ReadOnly {
		v, found, err := s.get(key)
		if found && v == nil {
			v = []byte{}
		}
		return v, n, err
	}
	r := s.tables.take(n)
	if r == nil {
		if r, err = s.tables.open(s.db, n); err != nil {
			return nil, n, err
		}
	}
	if value, err = r.get(key); err != nil {
		err = errors.Join(err, r.it.Close())
	} else {
		err = s.tables.give(r)
	}
	if err != nil {
		return nil, n, chat.E("persistence.lookup", chat.KindCorrupt, "cannot read a row", err)
	}
	return value, n, nil
}
