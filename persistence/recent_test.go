package persistence

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

func TestFilter_KnowsWhatWasAdded(t *testing.T) {
	r := newRecent(1<<20, false)
	var key [8]byte
	const keys = 2000
	for i := range uint64(keys) {
		binary.BigEndian.PutUint64(key[:], i)
		r.add(key[:])
	}
	wrong := 0
	for i := range uint64(2 * keys) {
		binary.BigEndian.PutUint64(key[:], i)
		may, _ := r.mayHave(key[:])
		if i < keys && !may {
			t.Fatalf("key %d was added and is not known", i)
		}
		if i >= keys && may {
			wrong++
		}
	}
	if wrong > keys/20 {
		t.Errorf("%d of %d absent keys are taken for present", wrong, keys)
	}
}

func TestRecent_KeepsAKeyForAWholeGeneration(t *testing.T) {
	r := newRecent(1000, false)
	key := []byte("key")
	r.add(key)
	r.wrote(999)
	r.wrote(1) // ends the first generation
	if may, n := r.mayHave(key); !may || n != 1 {
		t.Errorf("after one generation: %v, %d", may, n)
	}
	r.wrote(1000)
	if may, n := r.mayHave(key); may || n != 2 {
		t.Errorf("after two generations: %v, %d", may, n)
	}
}

func TestRecent_AbsentRowsAreForgottenWhenPut(t *testing.T) {
	r, h, key := newRecent(1000, false), id16{1, 2, 3}, []byte("row")
	if r.stillAbsent(h, key) {
		t.Error("a row nobody looked for is known to be absent")
	}
	_, n := r.mayHave(key)
	r.missed(h, n)
	if !r.stillAbsent(h, key) {
		t.Error("a row just found absent is not known to be")
	}
	r.wrote(1000)
	if !r.stillAbsent(h, key) {
		t.Error("one generation later it is not known any more")
	}
	r.wrote(1000)
	if r.stillAbsent(h, key) {
		t.Error("two generations later it is still believed")
	}
	_, n = r.mayHave(key)
	r.missed(h, n)
	r.add(key)
	if r.stillAbsent(h, key) {
		t.Error("a row that was put is believed absent")
	}
}

// A snapshot brings rows that no filter notes.
func TestRecent_NothingIsKnownToBeAbsentAfterASnapshot(t *testing.T) {
	r, h, key := newRecent(1000, false), id16{1, 2, 3}, []byte("row")
	_, n := r.mayHave(key)
	r.missed(h, n)
	if !r.stillAbsent(h, key) {
		t.Fatal("a row that was looked for is not known to be absent")
	}
	r.replaced()
	if r.stillAbsent(h, key) {
		t.Error("a row is known to be absent that a snapshot may have brought")
	}
	r.missed(h, n) // somebody who looked before
	if r.stillAbsent(h, key) {
		t.Error("a row is known to be absent by a look before the snapshot")
	}
}

// Rows are found wherever they are: in a memtable, on disk, rewritten, deleted,
// over many generations and a restart.
func TestLookup_FindsRowsWhereverTheyAre(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(t, fs)
	o.MemTableSize = 64 << 10
	s := openTest(t, o)
	ctx, value := context.Background(), make([]byte, 4<<10)
	want := map[int]byte{}
	key := func(i int) []byte { return realmOf(0, "acme").row(nil, id16{byte(i), byte(i >> 8)}) }
	check := func(i int) {
		t.Helper()
		v, found, err := s.lookup(key(i))
		if err != nil {
			t.Fatal(err)
		}
		if mark, there := want[i]; found != there || found && v[0] != mark {
			t.Fatalf("row %d: found %v, want %v", i, found, there)
		}
	}
	for round := range 6 {
		for i := range 120 {
			w := &recordpb.Write{Key: key(i), Value: append([]byte{byte(round)}, value...)}
			switch {
			case (i+round)%5 == 0:
				w = &recordpb.Write{Key: key(i), Delete: true}
				delete(want, i)
			case (i+round)%3 == 0:
				continue
			default:
				want[i] = byte(round)
			}
			if err := s.write(ctx, 0, []*recordpb.Write{w}); err != nil {
				t.Fatal(err)
			}
			check(i)
		}
		for i := range 130 {
			check(i)
		}
		if round == 3 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openTest(t, o)
		}
	}
	if g := s.recent.gens.Load(); g.n == 0 {
		t.Error("no generation ended: the test proves too little")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store opened for reading finds what is still in the log only.
func TestOpen_ReadOnlySeesTheLog(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openTest(t, testOptions(t, fs))
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "one")
	o := testOptions(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.ReadOnly = true
	r := openTest(t, o)
	defer r.Close()
	if events, err := r.Events("acme", k.place.Conversation, 0, 10); err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
	if p, err := r.Locate("acme", "wa", []chat.Address{k.addr}); err != nil || !p.Found {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := r.Append(context.Background(), k.next("two")); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("an append to a store opened for reading: %v", err)
	}
}
