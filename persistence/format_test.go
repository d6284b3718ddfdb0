package persistence

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/seal"
)

// refused opens a store and expects an error of the kind that says all of it.
func refused(t *testing.T, o Options, kind chat.ErrorKind, says ...string) {
	t.Helper()
	s, err := Open(o)
	if err == nil {
		_ = s.Close()
		t.Fatal("the store was opened")
	}
	if chat.KindOf(err) != kind {
		t.Errorf("kind %v, want %v: %v", chat.KindOf(err), kind, err)
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestFormat_RefusesWhatItCannotRead(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(t, fs)
	s := openTest(t, o)
	mustPut(t, s.Close())

	other := o
	kek, err := seal.NewKEK(bytes.Repeat([]byte{8}, seal.KeyLen))
	mustPut(t, err)
	other.KEK = kek
	refused(t, other, chat.KindInvalid, o.KEK.Fingerprint(), kek.Fingerprint(), "CHUMI_KEYS__FILE")

	other = o
	other.Groups = 5
	refused(t, other, chat.KindInvalid, "4 groups", "5 are configured")

	other.Groups = 0
	s = openTest(t, other)
	if s.Groups() != 4 {
		t.Errorf("%d groups after reopening, want 4", s.Groups())
	}
	mustPut(t, s.db.Set(keyFormat(), binary.BigEndian.AppendUint32(nil, uint32(FormatNewest)+1), pebble.Sync), s.Close())
	refused(t, o, chat.KindInvalid, "format 7", "up to 6", "newer binary")
}

func TestFormat_MigratesAnOlderStore(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(t, fs)
	s := openTest(t, o)
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	told := k.say(t, "hello").Pos
	// Version 1 wrote the position into the meta row with every batch.
	meta := realmOf(s.Group("acme"), "acme").meta(nil)
	v, _, err := s.get(meta)
	mustPut(t, err, s.db.Set(meta, encodeMeta(told, v[8:]), pebble.Sync),
		s.db.Set(keyFormat(), binary.BigEndian.AppendUint32(nil, uint32(FormatFirst)), pebble.Sync), s.Close())

	s = openTest(t, o)
	mustPut(t, s.Finalize())
	k.store = s
	if version, err := readNode(s.db, keyFormat()); err != nil || binary.BigEndian.Uint32(version) != uint32(FormatNewest) {
		t.Errorf("format %x, %v after opening", version, err)
	}
	if pos := k.say(t, "again").Pos; pos != told+1 {
		t.Errorf("position %d after the migration, want %d", pos, told+1)
	}
	mustPut(t, s.Close())
}

func TestFormat_RefusesForeignData(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(t, fs)
	s := openTest(t, o)
	mustPut(t, s.db.Delete(keyFormat(), pebble.Sync), s.Close())
	refused(t, o, chat.KindCorrupt, "without a format version")
}
