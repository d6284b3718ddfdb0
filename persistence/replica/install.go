package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/persistence"
)

// incomingDir, below the store, holds the tables of snapshots that are being
// received. What a crash leaves there is removed at the next start.
const incomingDir = "incoming"

// incomingTableSize is when a received table is finished and the next begun. Only
// tests set it, to make several of little.
var incomingTableSize uint64 = 64 << 20

// incoming is a received snapshot: tables on the disk, synced, that no reader
// sees yet.
type incoming struct {
	message Message
	// format is the newest of any row.
	format persistence.FormatVersion
	dir    string
	files  []string
	// done is told when the snapshot was installed or refused.
	done chan error
}

// install is a snapshot to be put in the place of a group, at the end of a pass.
type install struct {
	member *member
	from   *incoming
}

// ReceiveSnapshot takes a snapshot that another node streams and returns when it
// is installed, or refused because this node went on without it. It holds little
// in memory, whatever the size.
func (n *Node) ReceiveSnapshot(ctx context.Context, header []byte, body io.Reader) error {
	m, format, err := readSnapshotHeader(header)
	if err == nil {
		err = n.store.Understands(format)
	}
	if err != nil {
		return err
	}
	if _, ok := n.core.members[m.Group]; !ok {
		return errSnapshot("a snapshot of a group there is not")
	}
	in := &incoming{message: m, format: format, done: make(chan error, 1),
		dir: n.store.FS().PathJoin(n.store.Dir(), incomingDir, fmt.Sprintf("%d-%d", m.Group, n.received.Add(1)))}
	fs := n.store.FS()
	defer func() { _ = fs.RemoveAll(in.dir) }()
	if err := in.receive(fs, n.store.TableOptions(), body); err != nil {
		return err
	}
	failpoint.Hit(failpoint.SnapshotReceived)
	if !n.do(func(c *core) { c.stepSnapshot(in) }) {
		return errUnled(m.Group)
	}
	// The files are the pass's until it has answered.
	select {
	case err := <-in.done:
		return err
	case <-n.ended:
		return errUnled(m.Group)
	}
}

// receive writes the rows into tables.
func (in *incoming) receive(fs vfs.FS, o sstable.WriterOptions, body io.Reader) error {
	if err := fs.MkdirAll(in.dir, 0o700); err != nil {
		return errInstall("cannot make a place for a snapshot", err)
	}
	var w *sstable.Writer
	finish := func() error {
		if w == nil {
			return nil
		}
		err := w.Close()
		w = nil
		return err
	}
	place, placed := persistence.AppendApplied(nil, in.message.Group), false
	err := readRows(body, in.message.Group, func(key, value []byte) error {
		if bytes.Equal(key, place) {
			meta := in.message.GetSnapshot().GetMetadata()
			placed = len(value) == 16 && readPlace(value).index == meta.GetIndex() && readPlace(value).term == meta.GetTerm()
		}
		if w != nil && w.Raw().EstimatedSize() >= incomingTableSize {
			if err := finish(); err != nil {
				return err
			}
		}
		if w == nil {
			var err error
			if w, err = in.table(fs, o); err != nil {
				return err
			}
		}
		failpoint.Hit(failpoint.SnapshotReceiving)
		return w.Set(key, value)
	})
	if err = errors.Join(err, finish()); err != nil {
		return errInstall("a snapshot was not received", err)
	}
	if !placed {
		return errSnapshot("the rows of a snapshot are not of the place that its header names")
	}
	return nil
}

// table begins another table of the snapshot.
func (in *incoming) table(fs vfs.FS, o sstable.WriterOptions) (*sstable.Writer, error) {
	name := fs.PathJoin(in.dir, fmt.Sprintf("%06d.sst", len(in.files)))
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	in.files = append(in.files, name)
	return sstable.NewWriter(objstorageprovider.NewFileWritable(file), o), nil
}

// stepSnapshot offers a received snapshot to Raft, which takes it or leaves it.
func (c *core) stepSnapshot(in *incoming) {
	m := c.members[in.message.Group]
	if m.incoming != nil {
		in.done <- errSnapshot("another snapshot of the group is being installed")
		return
	}
	m.incoming = in
	_ = m.raft.Step(in.message.Message)
	c.touch(m)
}

// restore notes that Raft wants a snapshot in the place of the group. From here on
// the log is what the snapshot says; the flight brings the rows there.
func (c *core) restore(m *member, s *raftpb.Snapshot, f *flight) error {
	in, meta := m.incoming, s.GetMetadata()
	if in == nil || in.message.GetSnapshot().GetMetadata().GetIndex() != meta.GetIndex() {
		return errSnapshot("Raft restores a snapshot that did not come")
	}
	m.incoming = nil
	at := place{meta.GetIndex(), meta.GetTerm()}
	l := m.log
	l.applied, l.truncated, l.last, l.stored = at, at, at.index, at.index
	l.cache, l.cacheFrom, l.members = nil, at.index+1, meta.GetConfState()
	l.hard.Commit = new(max(l.hard.GetCommit(), at.index))
	m.sole, m.opened, m.restored = m.alone(l.members), false, true
	f.installs = append(f.installs, install{m, in})
	// The batch is synced before the tables come in.
	return c.store.AdoptFormat(f.batch, in.format)
}

// refuseSnapshot answers a snapshot that Raft had no use for.
func (m *member) refuseSnapshot() {
	if m.incoming != nil {
		m.incoming.done <- errSnapshot("the group went on without the snapshot")
		m.incoming = nil
	}
}

// put replaces everything this node has of a group by a received snapshot, in
// one step: the tables come in, the group's span is excised, and so are log and
// hard state of before. REQUIRES: the batch of the pass is in Pebble, synced.
func (c *core) put(i install) error {
	fs, l := c.store.FS(), i.member.log
	own, err := i.from.table(fs, c.store.TableOptions())
	if err != nil {
		return errInstall("cannot write the log of a snapshot", err)
	}
	if err := errors.Join(l.writeOwn(own), own.Close()); err != nil {
		return errInstall("cannot write the log of a snapshot", err)
	}
	i.member.restored = false
	start, end := persistence.GroupSpan(l.group)
	failpoint.Hit(failpoint.SnapshotInstalling)
	_, err = c.store.DB().IngestAndExcise(context.Background(), i.from.files, nil, nil, pebble.KeyRange{Start: start, End: end})
	if err != nil {
		return errInstall("cannot take in a snapshot", err)
	}
	failpoint.Hit(failpoint.SnapshotInstalled)
	if c.fault == faultSnapshotUnplaced {
		_ = c.store.DB().Delete(persistence.AppendApplied(nil, l.group), pebble.NoSync)
	}
	return c.store.Replaced(l.group)
}

// writeOwn writes what of the log stands outside the group's span: its hard state,
// where it begins, and that it holds nothing but what came behind the snapshot in
// the same pass. In a table of its own the range goes before all entries in it.
func (l *groupLog) writeOwn(w *sstable.Writer) error {
	prefix := persistence.AppendLog(nil, l.group)
	if l.fault == faultLogKept {
		prefix = persistence.AppendLogEntry(nil, l.group, math.MaxUint64)
	}
	return errors.Join(
		w.DeleteRange(prefix, persistence.PrefixEnd(prefix)),
		w.Set(persistence.AppendHardState(nil, l.group), l.hardRow()),
		l.flush(func(key, value []byte) error { return w.Set(key, value) }),
		w.Set(persistence.AppendTruncated(nil, l.group), l.truncated.row()))
}

func errInstall(detail string, err error) error {
	return chat.E("replica.install", chat.KindUnavailable, detail, err)
}
