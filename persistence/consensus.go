package persistence

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// What package replica keeps in the store. Its log and hard state stand in the
// Raft space and stay on this node; what it has applied stands in the group's
// own range, beside the state it is about, so that both travel together.
const (
	raftHardState byte = 'h' // term64 vote64 commit64
	raftTruncated byte = 't' // index64 term64 of the entry before the log's first
	raftEntry     byte = 'l' // index64 -> raftpb.Entry

	sectionApplied byte = 'A'
	appliedIndex   byte = 'i' // index64 term64 of the entry applied last
	appliedMembers byte = 'm' // raftpb.ConfState as of that entry
)

// MetaGroup is the group of what belongs to no tenant. Every node holds it.
const MetaGroup = groupMeta

// GroupIDs lists every group, the metadata group last.
func (s *Store) GroupIDs() []chat.Group {
	ids := make([]chat.Group, 0, len(s.groups)+1)
	for _, g := range s.groups {
		ids = append(ids, g.id)
	}
	return append(ids, groupMeta)
}

// DB is the engine below the store, for package replica. What it writes must
// stay within the keys of this file and the batches of rounds.
func (s *Store) DB() *pebble.DB { return s.db }

// Serve makes p take the store's commits until the store closes, which closes p
// first.
func (s *Store) Serve(p Proposer) { s.proposer.Store(&p) }

// Lead publishes the epoch that commits of g must carry from now on; 0 while
// this node may not propose. Activations born under another epoch are fenced.
func (s *Store) Lead(g chat.Group, epoch chat.Epoch) {
	grp := s.groupAt(g)
	if grp.epoch.Swap(uint64(epoch)) != uint64(epoch) {
		grp.ruled.wake()
	}
}

// Changed blocks until the epoch of g is not than, and returns it; or until ctx
// ends, and returns than.
func (s *Store) Changed(ctx context.Context, g chat.Group, than chat.Epoch) chat.Epoch {
	grp := s.groupAt(g)
	for {
		next := grp.ruled.wait()
		if epoch := chat.Epoch(grp.epoch.Load()); epoch != than {
			return epoch
		}
		select {
		case <-next:
		case <-ctx.Done():
			return than
		}
	}
}

// EpochBefore is the epoch a group had reached before it was replicated: terms
// go on above it. 0 for a group that always was.
func (s *Store) EpochBefore(g chat.Group) (uint64, error) {
	v, found, err := s.get(keyEpoch(g))
	if err != nil || !found {
		return 0, err
	}
	if len(v) != 8 {
		return 0, chat.E("persistence.Open", chat.KindCorrupt, "a group's epoch is unreadable", nil)
	}
	return binary.BigEndian.Uint64(v), nil
}

// Fail ends the process: what was written last may not be durable. Should the
// configured end return, as in a test, nothing is told all the same.
func (s *Store) Fail(reason string, err error) {
	s.opts.Logger.Error("the store cannot go on", "reason", reason, "err", err)
	s.die(reason)
}

// Failed reports whether the process must end: nothing may be told any more.
func (s *Store) Failed() bool { return s.dead.Load() }

// AppendRaft appends the prefix of what a group's replica keeps on this node.
func AppendRaft(dst []byte, g chat.Group) []byte {
	return binary.BigEndian.AppendUint16(append(dst, spaceRaft), uint16(g))
}

// AppendHardState appends the key of a group's hard state.
func AppendHardState(dst []byte, g chat.Group) []byte {
	return append(AppendRaft(dst, g), raftHardState)
}

// AppendTruncated appends the key of where a group's log begins.
func AppendTruncated(dst []byte, g chat.Group) []byte {
	return append(AppendRaft(dst, g), raftTruncated)
}

// AppendLog appends the prefix of a group's log entries.
func AppendLog(dst []byte, g chat.Group) []byte { return append(AppendRaft(dst, g), raftEntry) }

// AppendLogEntry appends the key of one entry of a group's log.
func AppendLogEntry(dst []byte, g chat.Group, index uint64) []byte {
	return binary.BigEndian.AppendUint64(AppendLog(dst, g), index)
}

// AppendApplied appends the key of what a group has applied.
func AppendApplied(dst []byte, g chat.Group) []byte {
	return append(appendSection(dst, g, sectionApplied), appliedIndex)
}

// AppendMembers appends the key of a group's members.
func AppendMembers(dst []byte, g chat.Group) []byte {
	return append(appendSection(dst, g, sectionApplied), appliedMembers)
}

// PrefixEnd returns the first key after every key that starts with p.
func PrefixEnd(p []byte) []byte { return prefixEnd(p) }

// GroupSpan is the range of everything a group owns, what it has applied
// included.
func GroupSpan(g chat.Group) (start, end []byte) {
	start = appendGroup(nil, g)
	return start, prefixEnd(start)
}

// FS and Dir are where the store is. A file that Pebble is to take in must be on
// the same file system.
func (s *Store) FS() vfs.FS { return s.opts.FS }

// Dir is the directory of the store.
func (s *Store) Dir() string { return s.opts.Dir }

// TableOptions are those of tables that Pebble is to take in.
func (s *Store) TableOptions() sstable.WriterOptions {
	return s.engineOptions().MakeWriterOptions(0, s.db.TableFormat())
}

// Replaced follows the replacement of everything a group owns: what this process
// knows of it is forgotten. REQUIRES: no round is under construction.
func (s *Store) Replaced(g chat.Group) error {
	grp := s.groupAt(g)
	grp.stager = newStager(g, s)
	s.recent.replaced()
	s.contacts.clear()
	s.places.clear()
	err := s.tables.drain(false)
	s.tenants.Range(func(_, value any) bool {
		t := value.(*tenant)
		if t.group != grp {
			return true
		}
		v, found, readErr := s.get(t.realm.meta(nil))
		if readErr == nil && found {
			var pos chat.Pos
			if pos, _, readErr = decodeMeta(v); readErr == nil {
				pos, readErr = s.lastPos(t.realm, pos)
			}
			t.landed(pos)
		}
		err = errors.Join(err, readErr)
		return true
	})
	grp.agenda.replaced()
	grp.settled.wake()
	return errors.Join(err, s.oweShreds(context.Background(), g))
}
