package persistence

import (
	"cmp"
	"encoding/binary"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

// The file of strikes. Integers are little endian; the file is local to one
// machine and is thrown away when its first word is not strikesMagic.
//
//	0      magic64
//	64     slotMax  x { fingerprint64, active64 }
//	16448  strikeMax x { fingerprint64, count64, unix seconds64 }
const (
	strikesMagic = 0x6368756d69535431

	// slotMax bounds the updates that are in Step at once and watched. Step runs
	// on a processor, so it never needs more slots than there are processors.
	slotMax  = 1024
	slotSize = 16
	slotsAt  = 64

	// strikeMax bounds the fingerprints remembered; the oldest leave first.
	strikeMax  = 1024
	strikeSize = 24
	strikesAt  = slotsAt + slotMax*slotSize

	strikesLen = strikesAt + strikeMax*strikeSize

	// strikeKept is how long a strike is remembered: as long as Meta may repeat
	// the update.
	strikeKept = 8 * 24 * time.Hour
)

// Strikes remembers, across a crash of the process, which updates were in Step.
// A slot is held only while Step runs, so a kill at random rarely finds an
// innocent update in one; an update that kills the process is found each time.
//
// The slots live in a file that is mapped into memory: a store is enough to
// survive the end of the process, and nothing is synced. A power cut may lose
// or invent marks; strikes are a guard, not a record.
//
// Safe for concurrent use. One process opens the file at a time; the store's
// lock on the data directory sees to that.
type Strikes struct {
	region *region
	// struck is what earlier exits left: fingerprint to count. Immutable after
	// OpenStrikes.
	struck map[uint64]int

	// mu guards free and closed: the holder alone hands out slots.
	mu     sync.Mutex
	free   []int
	closed bool
}

// strike is one row of the table of past strikes.
type strike struct {
	fingerprint, count uint64
	at                 int64
}

// OpenStrikes opens or creates the file at path. Every fingerprint found marked
// was in Step when the process died and gains a strike, dated now.
func OpenStrikes(path string, now time.Time) (*Strikes, error) {
	const op = "strikes.Open"
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, chat.E(op, chat.KindUnavailable, "cannot open the file of strikes", err)
	}
	r, err := openRegion(f, strikesLen)
	if err != nil {
		_ = f.Close()
		return nil, chat.E(op, chat.KindUnavailable, "cannot map the file of strikes", err)
	}
	s := &Strikes{region: r, struck: map[uint64]int{}}
	table := s.collect(now)
	clear(r.mem)
	binary.LittleEndian.PutUint64(r.mem, strikesMagic)
	for i, row := range table {
		at := strikesAt + i*strikeSize
		binary.LittleEndian.PutUint64(r.mem[at:], row.fingerprint)
		binary.LittleEndian.PutUint64(r.mem[at+8:], row.count)
		binary.LittleEndian.PutUint64(r.mem[at+16:], uint64(row.at))
		s.struck[row.fingerprint] = int(row.count)
	}
	if err := r.store(0, strikesLen); err != nil {
		_ = r.close()
		return nil, chat.E(op, chat.KindUnavailable, "cannot write the file of strikes", err)
	}
	s.free = make([]int, slotMax)
	for i := range s.free {
		s.free[i] = slotMax - 1 - i
	}
	return s, nil
}

// collect merges the marks an exit left into the table of past strikes, without
// those that are too old, newest first, at most strikeMax.
func (s *Strikes) collect(now time.Time) []strike {
	mem := s.region.mem
	if binary.LittleEndian.Uint64(mem) != strikesMagic {
		return nil
	}
	rows := map[uint64]strike{}
	for i := range strikeMax {
		at := strikesAt + i*strikeSize
		row := strike{
			fingerprint: binary.LittleEndian.Uint64(mem[at:]),
			count:       binary.LittleEndian.Uint64(mem[at+8:]),
			at:          int64(binary.LittleEndian.Uint64(mem[at+16:])),
		}
		if row.count > 0 && now.Sub(time.Unix(row.at, 0)) < strikeKept {
			rows[row.fingerprint] = row
		}
	}
	marked := map[uint64]bool{}
	for i := range slotMax {
		at := slotsAt + i*slotSize
		if binary.LittleEndian.Uint64(mem[at+8:]) == 1 {
			marked[binary.LittleEndian.Uint64(mem[at:])] = true
		}
	}
	for f := range marked {
		rows[f] = strike{fingerprint: f, count: rows[f].count + 1, at: now.Unix()}
	}
	table := make([]strike, 0, len(rows))
	for _, row := range rows {
		table = append(table, row)
	}
	slices.SortFunc(table, func(a, b strike) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.fingerprint, b.fingerprint))
	})
	return table[:min(len(table), strikeMax)]
}

// Enter marks fingerprint as being processed and returns a slot for Leave and
// how many unclean exits found it marked. When every slot is taken the update
// is not watched and the slot is -1, which Leave accepts.
func (s *Strikes) Enter(fingerprint uint64) (slot int, strikes int) {
	slot = -1
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 && !s.closed {
		slot, s.free = s.free[n-1], s.free[:n-1]
		s.mark(slot, fingerprint, 1)
	}
	return slot, s.struck[fingerprint]
}

// Leave clears the mark of a slot that Enter returned.
func (s *Strikes) Leave(slot int) {
	if slot < 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.mark(slot, 0, 0)
	s.free = append(s.free, slot)
}

// mark writes one slot. REQUIRES: mu is held. A failed write leaves an update
// unwatched, which is no reason to stop serving.
func (s *Strikes) mark(slot int, fingerprint, active uint64) {
	at := slotsAt + slot*slotSize
	binary.LittleEndian.PutUint64(s.region.mem[at:], fingerprint)
	binary.LittleEndian.PutUint64(s.region.mem[at+8:], active)
	_ = s.region.store(at, slotSize)
}

// Close clears every mark, for an exit in good order, and releases the file.
// Enter and Leave may still be called and then do nothing.
func (s *Strikes) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	clear(s.region.mem[slotsAt:strikesAt])
	if err := s.region.store(slotsAt, strikesAt-slotsAt); err != nil {
		_ = s.region.close()
		return chat.E("strikes.Close", chat.KindUnavailable, "cannot clear the file of strikes", err)
	}
	if err := s.region.close(); err != nil {
		return chat.E("strikes.Close", chat.KindUnavailable, "cannot release the file of strikes", err)
	}
	return nil
}
