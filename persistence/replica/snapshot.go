package replica

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// A snapshot is everything a group owns at one applied index, what it has applied
// and its members included. On the wire it is a header, group16, the format32 of the
// rows and the Raft message that announces it, and a body of rows in order:
//
//	uvarint key length, key, uvarint value length, value; ends with a length of 0
//
// Whoever carries it checks the bytes.
const (
	// snapshotKeyMax and snapshotValueMax bound what a receiver believes.
	snapshotKeyMax   = 4 << 10
	snapshotValueMax = 64 << 20
)

// sendSnapshot streams a group to the node that a message is for, and tells Raft
// how that went. It reads one view of the store, so the place it is of is read
// from that too.
func (n *Node) sendSnapshot(ctx context.Context, m Message) {
	err := n.streamSnapshot(ctx, m)
	status := raft.SnapshotFinish
	if err != nil {
		status = raft.SnapshotFailure
		n.opt.Logger.Warn("a snapshot was not installed; the leader tries again",
			"group", m.Group, "node", m.GetTo(), "err", err)
	}
	n.do(func(c *core) {
		g := c.members[m.Group]
		g.raft.ReportSnapshot(m.GetTo(), status)
		c.touch(g)
	})
}

func (n *Node) streamSnapshot(ctx context.Context, m Message) error {
	select {
	case n.sending <- struct{}{}:
		defer func() { <-n.sending }()
	case <-ctx.Done():
		return ctx.Err()
	}
	view := snapshotView(n.store, m.Group)
	// After the view: nothing in it is of a newer format than the store has now.
	header, err := snapshotHeader(view, n.store.Format(), m)
	if err != nil {
		return errors.Join(err, view.Close())
	}
	body, feed := io.Pipe()
	n.work.Go(func() {
		_ = feed.CloseWithError(errors.Join(writeRows(feed, view, m.Group), view.Close()))
	})
	err = n.opt.Transport.SendSnapshot(ctx, chat.NodeID(m.GetTo()), header, body)
	_ = body.CloseWithError(err)
	return err
}

// snapshotView is one moment of a group, to be sent to another node. It fails to
// read when the group is replaced meanwhile; a plain snapshot of the store would
// go on with half of each.
func snapshotView(s *persistence.Store, g chat.Group) pebble.Reader {
	start, end := persistence.GroupSpan(g)
	return s.DB().NewEventuallyFileOnlySnapshot([]pebble.KeyRange{{Start: start, End: end}})
}

// snapshotHeader is the announcement of what view holds of a group, nothing of it of a
// newer format than v.
func snapshotHeader(view pebble.Reader, v persistence.FormatVersion, m Message) ([]byte, error) {
	applied, err := viewRow(view, persistence.AppendApplied(nil, m.Group))
	if err != nil {
		return nil, err
	}
	members, err := viewRow(view, persistence.AppendMembers(nil, m.Group))
	if err != nil {
		return nil, err
	}
	var c raftpb.ConfState
	if len(applied) != 16 || proto.Unmarshal(members, &c) != nil {
		return nil, errEntry("what a group says of itself is unreadable")
	}
	at := readPlace(applied)
	msg := proto.Clone(m.Message).(*raftpb.Message)
	msg.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: &c, Index: &at.index, Term: &at.term}}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, uint16(m.Group)), uint32(v))
	return proto.MarshalOptions{}.MarshalAppend(header, msg)
}

func readSnapshotHeader(header []byte) (Message, persistence.FormatVersion, error) {
	if len(header) < 6 {
		return Message{}, 0, errSnapshot("the header of a snapshot is cut")
	}
	m := Message{Group: chat.Group(binary.BigEndian.Uint16(header)), Message: new(raftpb.Message)}
	if proto.Unmarshal(header[6:], m.Message) != nil || m.GetType() != raftpb.MsgSnap || raft.IsEmptySnap(m.GetSnapshot()) {
		return Message{}, 0, errSnapshot("the header of a snapshot is unreadable")
	}
	return m, persistence.FormatVersion(binary.BigEndian.Uint32(header[2:])), nil
}

func viewRow(view pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := view.Get(key)
	if err != nil {
		return nil, chat.E("replica.snapshot", chat.KindOther, "cannot read a group", err)
	}
	v = append([]byte{}, v...)
	return v, closer.Close()
}

// writeRows writes everything a group owns to w.
func writeRows(w io.Writer, view pebble.Reader, g chat.Group) error {
	start, end := persistence.GroupSpan(g)
	it, err := view.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	var room [binary.MaxVarintLen64]byte
	bytes := func(b []byte) error {
		if _, err := out.Write(room[:binary.PutUvarint(room[:], uint64(len(b)))]); err != nil {
			return err
		}
		_, err := out.Write(b)
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			err = errors.Join(bytes(it.Key()), bytes(v))
		}
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return err
	}
	return errors.Join(bytes(nil), out.Flush())
}

// readRows reads rows of a group and gives them to put, in order, each key after
// the one before and within the group's span, until the end of r. The slices are
// put's until it returns.
func readRows(r io.Reader, g chat.Group, put func(key, value []byte) error) error {
	start, end := persistence.GroupSpan(g)
	in := bufio.NewReaderSize(r, 64<<10)
	read := func(room []byte, most uint64) ([]byte, error) {
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return nil, err
		}
		if n > most {
			return nil, errSnapshot("a row of a snapshot is too long")
		}
		room = append(room[:0], make([]byte, n)...)
		_, err = io.ReadFull(in, room)
		return room, err
	}
	var key, value, last []byte
	for {
		var err error
		if key, err = read(key, snapshotKeyMax); err != nil {
			return errors.Join(errSnapshot("a snapshot is cut"), err)
		}
		if len(key) == 0 {
			// Whatever carries the stream checks it at its end.
			if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
				return errors.Join(errSnapshot("something follows a snapshot"), err)
			}
			return nil
		}
		if value, err = read(value, snapshotValueMax); err != nil {
			return errors.Join(errSnapshot("a snapshot is cut"), err)
		}
		if string(key) < string(start) || string(key) >= string(end) || string(key) <= string(last) {
			return errSnapshot("a row of a snapshot stands where it cannot")
		}
		if err := put(key, value); err != nil {
			return err
		}
		last = append(last[:0], key...)
	}
}

func errSnapshot(detail string) error {
	return chat.E("replica.snapshot", chat.KindCorrupt, detail, nil)
}
