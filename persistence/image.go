package persistence

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// imageDir, below the store, holds the image that a backup is being made of. What
// a crash leaves there is removed when the store is opened again.
const imageDir = "image"

// Image is a store at one moment, as files that nobody changes: hard links to the
// tables that the store has anyway, and what it needs besides. It keeps the space of
// tables that the store gives up meanwhile, so it is dropped as soon as it was read.
type Image struct {
	store *Store
	// Dir is where the files are.
	Dir string
}

// NewImage makes an image of the store, which goes on serving. There is one at a
// time: KindConflict for another.
func (s *Store) NewImage() (*Image, error) {
	const op = "persistence.NewImage"
	if !s.imaging.CompareAndSwap(false, true) {
		return nil, chat.E(op, chat.KindConflict, "another backup of this node is under way", nil)
	}
	i := &Image{store: s, Dir: s.imageDir()}
	// What is in tables need not be replayed from a log, which nobody shares.
	err := errors.Join(s.opts.FS.RemoveAll(i.Dir), s.db.Flush())
	if err == nil {
		err = s.db.Checkpoint(i.Dir, pebble.WithFlushedWAL())
	}
	if err != nil {
		return nil, errors.Join(chat.E(op, chat.KindUnavailable, "the image of the store cannot be made", err), i.Drop())
	}
	return i, nil
}

// Drop removes the image.
func (i *Image) Drop() error {
	defer i.store.imaging.Store(false)
	if err := i.store.opts.FS.RemoveAll(i.Dir); err != nil {
		return chat.E("persistence.Image", chat.KindUnavailable, "the image of a backup cannot be removed", err)
	}
	return nil
}

func (s *Store) imageDir() string { return s.opts.FS.PathJoin(s.opts.Dir, imageDir) }

// OpenImage opens the files of an image for reading.
func (s *Store) OpenImage(i *Image) (*Store, error) {
	o := s.opts
	o.Dir, o.FS, o.ReadOnly, o.CacheSize, o.Files = i.Dir, s.fs.FS, true, imageCacheSize, nil
	return Open(o)
}

// imageCacheSize is small: an image is read from its begin to its end.
const imageCacheSize = 8 << 20

// StateSum is what a group's state adds up to: SHA-256 over its rows in order. Two
// stores that hold the same state of a group have the same sum, whatever node they
// are of: what says where the group lives is left out.
type StateSum [sha256.Size]byte

// String is the sum in hexadecimal.
func (s StateSum) String() string { return hex.EncodeToString(s[:]) }

// StateSums adds up the groups named, as of one moment.
func (s *Store) StateSums(ctx context.Context, groups []chat.Group) (map[chat.Group]StateSum, error) {
	view := s.db.NewSnapshot()
	defer func() { _ = view.Close() }()
	sums := map[chat.Group]StateSum{}
	for _, g := range groups {
		sum := sha256.New()
		var room [2 * binary.MaxVarintLen64]byte
		err := stateRows(ctx, view, g, func(key, value []byte) error {
			lengths := binary.AppendUvarint(binary.AppendUvarint(room[:0], uint64(len(key))), uint64(len(value)))
			for _, b := range [][]byte{lengths, key, value} {
				sum.Write(b)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		sums[g] = StateSum(sum.Sum(nil))
	}
	return sums, nil
}

// ParseStateSum is the inverse of String.
func ParseStateSum(s string) (StateSum, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(StateSum{}) {
		return StateSum{}, chat.E("persistence.ParseStateSum", chat.KindCorrupt, "the sum of a state is not one", err)
	}
	return StateSum(b), nil
}

// SumOf is one sum over those of groups.
func SumOf(sums map[chat.Group]StateSum) StateSum {
	all := sha256.New()
	groups := make([]chat.Group, 0, len(sums))
	for g := range sums {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		sum := sums[g]
		all.Write(append(binary.BigEndian.AppendUint16(nil, uint16(g)), sum[:]...))
	}
	return StateSum(all.Sum(nil))
}

// rowsPerLook is how many rows lie between two looks at whether the caller gave up.
const rowsPerLook = 1 << 12

// stateRows calls yield with every row of a group that is the same on whatever node
// holds it, in order.
func stateRows(ctx context.Context, from pebble.Reader, g chat.Group, yield func(key, value []byte) error) error {
	const op = "persistence.stateRows"
	start, end := GroupSpan(g)
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read a group", err)
	}
	n := 0
	for it.First(); it.Valid() && err == nil; it.Next() {
		if n++; n%rowsPerLook == 0 && ctx.Err() != nil {
			err = chat.E(op, chat.KindUnavailable, "the caller gave up", context.Cause(ctx))
			break
		}
		if !placed(it.Key()) {
			err = yield(it.Key(), it.Value())
		}
	}
	if closed := it.Close(); err == nil && closed != nil {
		err = chat.E(op, chat.KindCorrupt, "cannot read a group to its end", closed)
	}
	return err
}

// placed reports whether a row of a group says where the group lives: what it has
// applied of which log, the nodes of the cluster, and that it was restored.
func placed(key []byte) bool {
	switch {
	case len(key) < 5:
		return false
	case key[3] == sectionApplied:
		return true
	case key[3] == sectionMeta:
		switch key[4] {
		case rowCluster, rowNode, rowPlacement, rowHeld:
			return true
		}
	}
	return false
}
