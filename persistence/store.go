package persistence

import (
	"encoding/hex"
	"errors"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/chumiai/chumi/chat"
)

// Store is one node's durable record. It is safe for concurrent use.
//
// Every write goes through the Proposer and comes back as a Round; every method
// that reads says whether it may see what is not yet durable.
type Store struct {
	opts Options
	// fs is opts.FS, by the type that an erase needs.
	fs *turnoverFS
	db *pebble.DB

	// groups has one entry per group; meta is the metadata group. Immutable
	// after Open.
	groups []*group
	meta   *group
	// identity tells this store from every other. Immutable after Open.
	identity []byte
	// format is the FormatVersion of Format. It rises before the row does.
	format atomic.Uint32
	// proposer takes commits; nil while none are taken.
	proposer atomic.Pointer[Proposer]

	// tenants holds the *tenant of every tenant met since Open. Entries stay:
	// a reader tells what is durable from an entry's position.
	tenants sync.Map
	// meeting is held while a tenant is met for the first time, and for reading
	// while a round lands.
	meeting sync.RWMutex
	// contacts are unwrapped keys, places where addresses lead.
	contacts *cache[keyHolder, *contactKey]
	places   *cache[addressRow, lead]
	recent   *recent
	tables   tableReaders

	shreds shreds
	// imaging is true while there is an image of the store.
	imaging atomic.Bool

	closed atomic.Bool
	// reserved is true while free disk space is below the reserve.
	reserved atomic.Bool
	// dead is true once the process must end: nothing is acknowledged after.
	dead atomic.Bool
	stop chan struct{}
	work sync.WaitGroup
}

// Open opens the store in o.Dir, making a new one where there is none. It takes
// no commits until Serve and Lead were called. It refuses a store of a newer
// format, of another key-encryption key, and of another number of groups. A new
// store has the oldest format that the build can write, and Finalize raises it.
func Open(o Options) (*Store, error) {
	const op = "persistence.Open"
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	fs := &turnoverFS{FS: o.FS}
	o.FS = fs
	s := &Store{opts: o, fs: fs, stop: make(chan struct{}),
		contacts: newCache[keyHolder, *contactKey](o.KeyCacheLen),
		places:   newCache[addressRow, lead](placesPerKey * o.KeyCacheLen),
		recent:   newRecent((memTablesMax+2)*int64(o.MemTableSize), o.ReadOnly)}
	db, err := pebble.Open(o.Dir, s.engineOptions())
	if err != nil {
		return nil, chat.E(op, chat.KindOther, "cannot open the store in "+o.Dir, err)
	}
	s.db = db
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// placesPerKey is how many addresses are remembered for each contact key: a person has
// two or three, and each takes a tenth of a key's memory.
const placesPerKey = 4

// memTablesMax is how many memtables may wait for their flush before writes stall.
const memTablesMax = 4

// engineOptions are Pebble's options.
func (s *Store) engineOptions() *pebble.Options {
	o := &s.opts
	log := &engineLogger{log: o.Logger, fatal: s.die, met: &o.Metrics.Pebble}
	e := &pebble.Options{FS: o.FS, Comparer: comparer, Logger: log, EventListener: log.listener(), ReadOnly: o.ReadOnly}
	o.Tune(e)
	return e
}

// Tune sets what makes Pebble fast for a Store with these options: sizes, syncs,
// compactions and tables, and not the order of keys. The sizes are for throughput: a
// full memtable every second or so, and compactions on at most two cores. REQUIRES:
// EnsureDefaults was called.
func (o *Options) Tune(e *pebble.Options) {
	e.FormatMajorVersion = formatMajorVersion
	e.CacheSize = o.CacheSize
	e.MemTableSize, e.MemTableStopWritesThreshold = uint64(o.MemTableSize), memTablesMax
	e.L0CompactionThreshold, e.L0StopWritesThreshold = 4, 24
	e.LBaseMaxBytes = int64(o.MemTableSize)
	e.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
	e.WALMinSyncInterval = func() time.Duration { return o.SyncInterval }
	// A reader of a conversation wants every event: none is kept aside, as Pebble does
	// with what it takes for earlier versions of a key.
	e.Experimental.SpanPolicyFunc = func([]byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{DisableValueSeparationBySuffix: true}, nil, nil
	}
	// A snapshot that is taken in must be in tables when that returns: recent knows
	// nothing of its keys, so look-ups do not search memtables for them.
	e.Experimental.DisableIngestAsFlushable = func() bool { return true }
	// Conditions look for rows that are mostly absent, so the last level has a
	// filter too. A cold conversation is single rows, each in a block of its own:
	// small ones are read and checked sooner. Values are ciphertext: trying to
	// compress them is wasted.
	for i := range e.Levels {
		e.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		e.Levels[i].BlockSize = 4 << 10
	}
	e.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
}

// begin checks what the store says about itself.
func (s *Store) begin() error {
	v, n, err := s.openFormat()
	if err != nil {
		return err
	}
	s.raised(v)
	s.opts.Metrics.FormatNewest.Set(float64(s.opts.Formats.Newest))
	for i := range n {
		s.groups = append(s.groups, newGroup(s, chat.Group(i)))
	}
	s.meta = newGroup(s, groupMeta)
	if s.identity, err = openIdentity(s.db, s.opts.ReadOnly); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		return nil
	}
	if err := s.opts.FS.RemoveAll(s.imageDir()); err != nil {
		return chat.E("persistence.Open", chat.KindUnavailable, "what is left of a backup cannot be removed", err)
	}
	s.pollDisk()
	s.start(s.watchDisk)
	s.start(s.observe)
	s.start(s.sweepClaims)
	s.start(s.shredOwed)
	return nil
}

func (s *Store) start(f func()) {
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		f()
	}()
}

// die ends the process. Should Options.Fatal return, as in a test, nothing is
// acknowledged all the same.
func (s *Store) die(reason string) {
	s.dead.Store(true)
	s.opts.Fatal(reason)
}

// Close ends the proposer, which answers the commits that wait, and closes the
// store.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	var ended error
	if p := s.proposer.Load(); p != nil {
		ended = (*p).Close()
	}
	close(s.stop)
	s.work.Wait()
	if err := errors.Join(ended, s.tables.drain(true), s.db.Close()); err != nil {
		return chat.E("persistence.Close", chat.KindOther, "cannot close the store", err)
	}
	return nil
}

// get returns a copy of the value of key.
func (s *Store) get(key []byte) (value []byte, found bool, err error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, chat.E("persistence.get", chat.KindCorrupt, "cannot read a row", err)
	}
	value = append([]byte(nil), v...)
	return value, true, closer.Close()
}

// groupAt returns the group with the number g.
func (s *Store) groupAt(g chat.Group) *group {
	if g == groupMeta {
		return s.meta
	}
	return s.groups[g]
}

// groupOf is the group of a tenant, or of anything else named by a word.
func groupOf[T ~string](name T, groups int) chat.Group {
	h := fnv.New64a()
	h.Write([]byte(name))
	x := h.Sum64()
	// The low bits of FNV mix poorly over short words.
	x ^= x >> 32
	return chat.Group(x % uint64(groups))
}

// Group returns the group a tenant belongs to.
func (s *Store) Group(t chat.TenantID) chat.Group { return groupOf(t, len(s.groups)) }

// Identity tells this store from every other, also from a later one in the same
// directory: 32 hexadecimal characters.
func (s *Store) Identity() string { return hex.EncodeToString(s.identity) }

// KeyFingerprint is that of the key-encryption key the store was made with.
func (s *Store) KeyFingerprint() string { return s.opts.KEK.Fingerprint() }

// Groups returns the number of groups.
func (s *Store) Groups() int { return len(s.groups) }

// Epoch returns the epoch that rules g: one atomic load.
func (s *Store) Epoch(g chat.Group) chat.Epoch { return chat.Epoch(s.groupAt(g).epoch.Load()) }
