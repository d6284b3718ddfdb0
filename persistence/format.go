package persistence

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// FormatVersion numbers what the bytes of a store mean. A store is opened by a build
// that knows its format; never by an older one. A build writes what the active format
// allows and nothing of a newer one, so that nodes of two builds can replicate to one
// another: see finalize.go. What makes stage do something else with a commit that an
// older version can read is a new format as well.
type FormatVersion uint32

// The format versions. Each is described by what it changed.
const (
	// FormatFirst is the keyspace of this package's doc, comparer chumi.v1,
	// records of recordpb, sealed with AES-256-GCM under a key per contact.
	FormatFirst FormatVersion = 1

	// FormatFeedPosition leaves a tenant's last position to its last feed row: the
	// meta row has it only when the commit that took it had no events.
	FormatFeedPosition FormatVersion = 2

	// FormatReplicated makes every group a Raft group: 0x01 holds log and hard state,
	// section A of a group what it has applied. A group of an older store becomes one
	// of a single voter when it is first served, with terms above its last epoch.
	FormatReplicated FormatVersion = 3

	// FormatCluster adds rows to the metadata: the directory's version, the cluster,
	// its nodes and their placements. A version before takes them for damage.
	FormatCluster FormatVersion = 4

	// FormatContent adds kinds of events, the content of messages, and documents of
	// tenants; addresses that were given up; and what messages, remote ids, contacts and
	// states say of messages taken back, links, and threads held elsewhere. A version
	// before takes them for damage.
	FormatContent FormatVersion = 5

	// FormatErasure adds tombstones, which keep away what comes late about somebody who
	// was erased, and a row of the metadata for a store that was restored and is held. An
	// address of somebody who was erased counts as given up. Tenants that come, or came,
	// from an archive have a row of the metadata, which may say that they must not act, and
	// one of their own while they are not whole. A version before takes the rows for
	// damage, and would act where it must not.
	FormatErasure FormatVersion = 6

	// FormatNewest is the newest one that this binary knows.
	FormatNewest = FormatErasure

	// FormatOldest is the oldest one that this binary can write. It reads all before.
	FormatOldest = FormatErasure

	// formatUnsaid is the newest one that commits do not name: when it was made, no
	// commit named its format.
	formatUnsaid = FormatErasure
)

// Formats is the range of formats that a build can run under.
type Formats struct {
	Oldest FormatVersion `json:"oldest"`
	Newest FormatVersion `json:"newest"`
}

// openFormat writes format, key fingerprint and number of groups into an empty
// store, or holds those of an existing one against what the process was given.
// groups is the number wanted, 0 for any; it returns the number the store has, and
// its format. The error names what differs and the fix.
func (s *Store) openFormat() (FormatVersion, int, error) {
	const op = "store.Open"
	fingerprint, groups := s.opts.KEK.Fingerprint(), s.opts.Groups
	v, found, err := readFormat(s.db)
	if err != nil {
		return 0, 0, err
	}
	if !found {
		groups, err = createFormat(s.db, s.opts.Formats.Oldest, fingerprint, groups, s.opts.ReadOnly)
		return s.opts.Formats.Oldest, groups, err
	}
	if newest := s.opts.Formats.Newest; v > newest {
		return 0, 0, chat.E(op, chat.KindInvalid, "the data directory has format "+v.String()+
			", this binary knows formats up to "+newest.String()+"; start the newer binary that wrote it", nil)
	}
	stored, err := readNode(s.db, keyFingerprint())
	if err != nil {
		return 0, 0, err
	}
	if string(stored) != fingerprint {
		return 0, 0, chat.E(op, chat.KindInvalid, "the data directory was created with key-encryption key "+string(stored)+
			", the key given is "+fingerprint+"; set keys.file (CHUMI_KEYS__FILE) to the file of the first, or restore secrets/kek", nil)
	}
	count, err := readNode(s.db, keyGroups())
	if err != nil {
		return 0, 0, err
	}
	if len(count) != 2 || binary.BigEndian.Uint16(count) == 0 {
		return 0, 0, chat.E(op, chat.KindCorrupt, "the number of groups is missing", nil)
	}
	has := int(binary.BigEndian.Uint16(count))
	if groups != 0 && groups != has {
		return 0, 0, chat.E(op, chat.KindInvalid, "the data directory has "+strconv.Itoa(has)+" groups, "+
			strconv.Itoa(groups)+" are configured; the number is fixed when the directory is created: configure "+strconv.Itoa(has), nil)
	}
	return v, has, nil
}

// String is the number.
func (v FormatVersion) String() string { return strconv.Itoa(int(v)) }

// record is the value of the row that keeps it.
func (v FormatVersion) record() []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

// readFormat returns a store's format; not found in one that was not made yet.
func readFormat(db pebble.Reader) (v FormatVersion, found bool, err error) {
	row, err := readNode(db, keyFormat())
	switch {
	case err != nil || row == nil:
		return 0, false, err
	case len(row) != 4:
		return 0, false, chat.E("store.Open", chat.KindCorrupt, "the format version is not a number", nil)
	}
	return FormatVersion(binary.BigEndian.Uint32(row)), true, nil
}

// createFormat makes an empty store one of a format. A directory that
// holds keys but no format was not written by this engine.
func createFormat(db *pebble.DB, v FormatVersion, fingerprint string, groups int, readOnly bool) (int, error) {
	const op = "store.Open"
	it, err := db.NewIter(nil)
	if err != nil {
		return 0, chat.E(op, chat.KindOther, "cannot read the store", err)
	}
	foreign := it.First()
	if err := it.Close(); err != nil {
		return 0, chat.E(op, chat.KindCorrupt, "cannot read the store", err)
	}
	if foreign {
		return 0, chat.E(op, chat.KindCorrupt, "the data directory holds data without a format version", nil)
	}
	if groups == 0 {
		groups = DefaultGroups
	}
	if readOnly {
		return groups, nil
	}
	b := db.NewBatch()
	err = errors.Join(
		b.Set(keyFormat(), v.record(), nil),
		b.Set(keyFingerprint(), []byte(fingerprint), nil),
		b.Set(keyGroups(), binary.BigEndian.AppendUint16(nil, uint16(groups)), nil))
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return 0, chat.E(op, chat.KindUnavailable, "cannot write the format version", err)
	}
	return groups, nil
}

// openIdentity returns what tells a store from every other, and draws it for one
// that has none; empty for such a one that is open for reading only.
func openIdentity(db *pebble.DB, readOnly bool) ([]byte, error) {
	id, err := readNode(db, keyIdentity())
	if err != nil || id != nil || readOnly {
		return id, err
	}
	id = make([]byte, idLen)
	_, _ = rand.Read(id)
	if err := db.Set(keyIdentity(), id, pebble.Sync); err != nil {
		return nil, chat.E("store.Open", chat.KindUnavailable, "cannot write the store's identity", err)
	}
	return id, nil
}

// readNode returns a copy of a node-local value, nil when there is none.
func readNode(db pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, chat.E("store.Open", chat.KindOther, "cannot read "+prettyKey(key).String(), err)
	}
	value = append([]byte{}, value...)
	if err := closer.Close(); err != nil {
		return nil, chat.E("store.Open", chat.KindOther, "cannot read "+prettyKey(key).String(), err)
	}
	return value, nil
}
