package persistence

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

func TestTableReaders_ServeOneGenerationOnly(t *testing.T) {
	s := openMem(t)
	key := []byte{spaceNode, 'z', 1}
	mustPut(t, s.db.Set(key, []byte("v"), pebble.Sync), s.db.Flush())

	r, err := s.tables.open(s.db, 7)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := r.get(key); string(v) != "v" || err != nil {
		t.Fatalf("%q, %v", v, err)
	}
	mustPut(t, s.tables.give(r))
	again := s.tables.take(7)
	// A pool may drop what it is given, and does so with the race detector.
	for tries := 0; again != r && tries < 50; tries++ {
		if r, err = s.tables.open(s.db, 7); err != nil {
			t.Fatal(err)
		}
		mustPut(t, s.tables.give(r))
		again = s.tables.take(7)
	}
	if again != r {
		t.Fatal("a reader of the generation was kept and is not used again")
	}
	mustPut(t, s.tables.give(again))
	if s.tables.take(8) != nil {
		t.Error("a reader of an earlier generation is used: what was in a memtable at its birth would be taken for absent")
	}
	if s.tables.take(7) != nil {
		t.Error("the refused reader is still kept")
	}
}

func TestTableReaders_LetGoOfTablesWhenDrained(t *testing.T) {
	s := openMem(t)
	key := []byte{spaceNode, 'z', 1}
	mustPut(t, s.db.Set(key, []byte("v"), pebble.Sync), s.db.Flush())
	idle, err := s.tables.open(s.db, 0)
	if err != nil {
		t.Fatal(err)
	}
	busy, err := s.tables.open(s.db, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = busy.get(key)
	mustPut(t, err, s.tables.give(idle))
	open := s.db.Metrics().TableIters
	mustPut(t, s.tables.drain(false), s.tables.give(busy))
	if now := s.db.Metrics().TableIters; open == 0 || now != 0 {
		t.Errorf("%d tables are read after the drain, %d before it", now, open)
	}
	if s.tables.take(0) != nil {
		t.Error("a reader of before the drain is kept")
	}
}

// TestTune_KeepsEventsInPlace: of the events of a conversation only the first would be
// where its key is, if Pebble took the others for older versions of it.
func TestTune_KeepsEventsInPlace(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)
	for range 20 {
		k.say(t, "hello")
	}
	mustPut(t, s.db.Flush(), s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	m := s.db.Metrics().Total()
	if m.TablesCount == 0 || m.Additional.ValueBlocksSize != 0 {
		t.Errorf("%d tables, %d bytes of values kept aside", m.TablesCount, m.Additional.ValueBlocksSize)
	}
}
