package persistence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// Source is a store that groups are taken from.
type Source struct {
	Store  *Store
	Groups []chat.Group
}

// Rebuild makes a new store in o.Dir, which is empty or absent, of groups of other
// stores: each group of exactly one. It is a store of its own: another identity, of
// no cluster, every group with this node as its only voter and terms above all that
// its state has seen. It is held until Directory.Release.
//
// Only what the groups hold is copied, not the files: what was deleted and lay in a
// table still stays behind. After an error the directory is not usable.
func Rebuild(ctx context.Context, o Options, from []Source, held Hold) error {
	parts, err := sorted(from)
	if err != nil {
		return err
	}
	o.Groups = len(parts) - 1
	s, err := Open(o)
	if err != nil {
		return err
	}
	b := rebuild{store: s, dir: s.opts.FS.PathJoin(s.opts.Dir, imageDir)}
	err = s.opts.FS.MkdirAll(b.dir, 0o700)
	for _, p := range parts {
		if err == nil {
			err = b.take(ctx, p.store, p.group)
		}
	}
	if err = errors.Join(err, b.finish()); err == nil && len(b.files) > 0 {
		err = s.db.Ingest(ctx, b.files)
	}
	if err == nil {
		err = b.close(from, held)
	}
	return errors.Join(err, s.opts.FS.RemoveAll(b.dir), s.Close())
}

// sourceGroup is a group and where it is taken from.
type sourceGroup struct {
	store *Store
	group chat.Group
}

// sorted lists the groups in the order of their keys, and refuses sources that do
// not make one whole.
func sorted(from []Source) (parts []sourceGroup, err error) {
	const op = "persistence.Rebuild"
	for _, f := range from {
		for _, g := range f.Groups {
			parts = append(parts, sourceGroup{f.Store, g})
		}
	}
	slices.SortFunc(parts, func(a, b sourceGroup) int { return int(a.group) - int(b.group) })
	if len(from) == 0 {
		return nil, chat.E(op, chat.KindInvalid, "there is nothing to restore", nil)
	}
	want := from[0].Store.GroupIDs()
	for i, g := range want {
		if len(parts) != len(want) || parts[i].group != g {
			return nil, chat.E(op, chat.KindCorrupt, fmt.Sprintf("the parts hold %d groups, want each of %d once", len(parts), len(want)), nil)
		}
	}
	return parts, nil
}

// rebuild writes the tables of a new store.
type rebuild struct {
	store *Store
	dir   string
	files []string
	open  *sstable.Writer
	// terms are the highest that groups have seen.
	terms map[chat.Group]uint64
}

// rebuildTableSize is when a table is finished and the next begun.
const rebuildTableSize = 64 << 20

// take copies a group.
func (b *rebuild) take(ctx context.Context, from *Store, g chat.Group) error {
	term, err := from.lastTerm(g)
	if err != nil {
		return err
	}
	if b.terms == nil {
		b.terms = map[chat.Group]uint64{}
	}
	b.terms[g] = term
	return stateRows(ctx, from.db, g, func(key, value []byte) error {
		if b.open != nil && b.open.Raw().EstimatedSize() >= rebuildTableSize {
			if err := b.finish(); err != nil {
				return err
			}
		}
		if b.open == nil {
			if err := b.begin(); err != nil {
				return err
			}
		}
		return b.open.Set(key, value)
	})
}

func (b *rebuild) begin() error {
	fs := b.store.opts.FS
	name := fs.PathJoin(b.dir, fmt.Sprintf("%06d.sst", len(b.files)))
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	b.files = append(b.files, name)
	b.open = sstable.NewWriter(objstorageprovider.NewFileWritable(file), b.store.TableOptions())
	return nil
}

func (b *rebuild) finish() error {
	if b.open == nil {
		return nil
	}
	err := b.open.Close()
	b.open = nil
	return err
}

// close writes what the new store says of itself.
func (b *rebuild) close(from []Source, held Hold) error {
	s := b.store
	// The newest format of the sources: what is of it may be in any of them.
	format := s.Format()
	for _, f := range from {
		format = max(format, f.Store.Format())
	}
	v, err := readVault(s)
	if err != nil {
		return err
	}
	batch := s.db.NewBatch()
	err = s.AdoptFormat(batch, format)
	for g, term := range b.terms {
		err = errors.Join(err, batch.Set(keyEpoch(g), binary.BigEndian.AppendUint64(nil, term), nil))
	}
	if v != nil {
		at := v.metaKey(directoryRow{kind: rowHeld})
		sealed, sealErr := v.seal(at, held.record())
		err = errors.Join(err, sealErr, batch.Set(at, sealed, nil))
	}
	if err == nil {
		err = batch.Commit(pebble.Sync)
	}
	return errors.Join(err, batch.Close())
}

// lastTerm is the highest term that a group's state, or its log, knows of.
func (s *Store) lastTerm(g chat.Group) (uint64, error) {
	term, err := s.EpochBefore(g)
	if err != nil {
		return 0, err
	}
	for _, row := range []struct {
		key []byte
		at  int
	}{{AppendApplied(nil, g), 8}, {AppendHardState(nil, g), 0}} {
		v, found, err := s.get(row.key)
		switch {
		case err != nil:
			return 0, err
		case found && len(v) < row.at+8:
			return 0, errRecord("what a replica says of itself is unreadable")
		case found:
			term = max(term, binary.BigEndian.Uint64(v[row.at:]))
		}
	}
	return term, nil
}
