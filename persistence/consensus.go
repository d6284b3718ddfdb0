package persistence

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

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
func (s *Store) Lead(g chat.Group, epoch chat.Epoch) { s.groupAt(g).epoch.Store(uint64(epoch)) }

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
