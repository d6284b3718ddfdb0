package persistence

import (
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// FormatVersion numbers what the bytes of a store mean. A store is opened by
// the version that wrote it or a newer one, which migrates it; never by an
// older one.
type FormatVersion uint32

// The format versions. Each is described by what it changed.
const (
	// FormatFirst is the keyspace of this package's doc, comparer chumi.v1,
	// records of recordpb, sealed with AES-256-GCM under a key per contact.
	FormatFirst FormatVersion = 1

	// FormatNewest is what this binary writes.
	FormatNewest = FormatFirst
)

// openFormat writes the format and the key's fingerprint into an empty store,
// or holds those of an existing one against this binary and its key. The error
// names what differs and the fix.
func (s *Store) openFormat() error {
	const op = "persistence.Open"
	version, found, err := s.get(keyFormat())
	if err != nil {
		return err
	}
	if !found {
		return s.createFormat()
	}
	if len(version) != 4 {
		return chat.E(op, chat.KindCorrupt, "the format version is not a number", nil)
	}
	if v := FormatVersion(binary.BigEndian.Uint32(version)); v > FormatNewest {
		return chat.E(op, chat.KindInvalid, "the data directory has format "+strconv.Itoa(int(v))+
			", this binary knows formats up to "+strconv.Itoa(int(FormatNewest))+"; start the newer binary that wrote it", nil)
	}
	stored, _, err := s.get(keyFingerprint())
	if err != nil {
		return err
	}
	if given := s.opts.KEK.Fingerprint(); string(stored) != given {
		return chat.E(op, chat.KindInvalid, "the data directory was created with key-encryption key "+string(stored)+
			", the key given is "+given+"; set keys.file (CHUMI_KEYS__FILE) to the file of the first, or restore secrets/kek", nil)
	}
	return nil
}

// createFormat makes an empty store one of this version. A directory that
// holds rows but no format was not written by this engine.
func (s *Store) createFormat() error {
	const op = "persistence.Open"
	it, err := s.db.NewIter(nil)
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read the store", err)
	}
	foreign := it.First()
	if err := it.Close(); err != nil {
		return chat.E(op, chat.KindCorrupt, "cannot read the store", err)
	}
	if foreign {
		return chat.E(op, chat.KindCorrupt, "the data directory holds data without a format version", nil)
	}
	if s.opts.ReadOnly {
		return nil
	}
	b := s.db.NewBatch()
	err = errors.Join(
		b.Set(keyFormat(), binary.BigEndian.AppendUint32(nil, uint32(FormatNewest)), nil),
		b.Set(keyFingerprint(), []byte(s.opts.KEK.Fingerprint()), nil))
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return chat.E(op, chat.KindUnavailable, "cannot write the format version", err)
	}
	return nil
}
