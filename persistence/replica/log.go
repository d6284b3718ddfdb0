package replica

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// place is a position in a group's log.
type place struct{ index, term uint64 }

// groupLog is one group's log: what Raft calls Storage. What it says counts what
// is in batches on their way to the disk as written; Raft is told of the rest.
//
// Invariant: entries truncated.index+1 to last are either in Pebble, in cache, or
// both; those above stored are in cache only.
type groupLog struct {
	db    *pebble.DB
	group chat.Group

	hard    raftpb.HardState
	members *raftpb.ConfState
	// truncated is the entry before the first one kept, applied the one applied
	// last, last the index of the last one.
	truncated, applied place
	last               uint64
	// stored is the last index that Pebble has.
	stored uint64
	// change is an index behind which no entry changes members.
	change uint64
	// cache holds the entries from cacheFrom on, without gaps, up to last.
	cache     []*raftpb.Entry
	cacheFrom uint64
	// key and row are room for what is read or written.
	key, row []byte
	// fault is 0 but in tests.
	fault fault
}

// cacheMin is how many applied entries stay in memory for followers that are
// nearly up to date; at twice as many the older half goes, so that a pass seldom
// moves them.
const cacheMin = 256

// openLog reads what the store has of a group. A group that was never replicated
// begins with the given members, at the epoch it had reached.
func openLog(s *persistence.Store, g chat.Group, o *Options, b *pebble.Batch) (*groupLog, error) {
	l := &groupLog{db: s.DB(), group: g}
	applied, err := l.read(persistence.AppendApplied(nil, g))
	if err != nil {
		return nil, err
	}
	if applied == nil {
		epoch, err := s.EpochBefore(g)
		if err != nil {
			return nil, err
		}
		return l, l.begin(max(epoch, 1), o, b)
	}
	return l, l.load(applied)
}

// begin makes the log of a new group: members, as if entry 1 had made them so. A
// node that joins knows nothing of entry 1: were its log to match there, it would
// take the entries after it and count changes from the wrong members. It begins
// before all entries, where only a snapshot helps.
func (l *groupLog) begin(term uint64, o *Options, b *pebble.Batch) error {
	first := place{1, term}
	if !slices.Contains(o.Voters, o.ID) {
		first = place{}
	}
	l.truncated, l.applied, l.last, l.stored, l.cacheFrom = first, first, first.index, first.index, first.index+1
	l.hard.Term, l.hard.Commit = new(term), new(first.index)
	l.members = &raftpb.ConfState{}
	for _, v := range o.Voters {
		l.members.Voters = append(l.members.Voters, uint64(v))
	}
	return errors.Join(l.writeHard(b), l.writeMembers(b), l.writeTruncated(b), l.writeApplied(b))
}

func (l *groupLog) load(applied []byte) error {
	hard, err := l.read(persistence.AppendHardState(nil, l.group))
	if err != nil {
		return err
	}
	truncated, err := l.read(persistence.AppendTruncated(nil, l.group))
	if err != nil {
		return err
	}
	members, err := l.read(persistence.AppendMembers(nil, l.group))
	if err != nil {
		return err
	}
	if len(applied) != 16 || len(hard) != 24 || len(truncated) != 16 {
		return l.corrupt("what the replica says about itself is unreadable")
	}
	l.applied, l.truncated = readPlace(applied), readPlace(truncated)
	l.members = &raftpb.ConfState{}
	if proto.Unmarshal(members, l.members) != nil {
		return l.corrupt("the members are unreadable")
	}
	if l.last, err = l.lastStored(); err != nil {
		return err
	}
	if l.applied.index > l.last {
		// What a sole voter applied was never written to the log.
		l.truncated, l.last = l.applied, l.applied.index
	}
	if l.last < l.truncated.index {
		return l.corrupt("the log ends before it begins")
	}
	l.stored, l.cacheFrom, l.change = l.last, l.last+1, l.last
	l.hard.Term, l.hard.Vote = new(binary.BigEndian.Uint64(hard)), new(binary.BigEndian.Uint64(hard[8:]))
	// What was applied was committed: the hard state may say less, because it is
	// not written for the commit index alone. It may say more than the log has: the
	// index of a snapshot that a crash kept from being put in place.
	l.hard.Commit = new(max(min(binary.BigEndian.Uint64(hard[16:]), l.last), l.applied.index))
	return nil
}

// lastStored is the index of the last entry in Pebble, or that of truncated.
func (l *groupLog) lastStored() (uint64, error) {
	prefix := persistence.AppendLog(nil, l.group)
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: persistence.PrefixEnd(prefix)})
	if err != nil {
		return 0, l.failed(err)
	}
	last := l.truncated.index
	if it.Last() {
		last = max(last, binary.BigEndian.Uint64(it.Key()[len(prefix):]))
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return 0, l.failed(err)
	}
	return last, nil
}

// InitialState implements raft.Storage.
func (l *groupLog) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return &raftpb.HardState{Term: l.hard.Term, Vote: l.hard.Vote, Commit: l.hard.Commit}, l.members, nil
}

// FirstIndex implements raft.Storage.
func (l *groupLog) FirstIndex() (uint64, error) { return l.truncated.index + 1, nil }

// LastIndex implements raft.Storage.
func (l *groupLog) LastIndex() (uint64, error) { return l.last, nil }

// Term implements raft.Storage.
func (l *groupLog) Term(i uint64) (uint64, error) {
	switch {
	case i == l.truncated.index:
		return l.truncated.term, nil
	case i == l.applied.index:
		return l.applied.term, nil
	case i < l.truncated.index:
		return 0, raft.ErrCompacted
	case i > l.last:
		return 0, raft.ErrUnavailable
	case i >= l.cacheFrom:
		return l.cache[i-l.cacheFrom].GetTerm(), nil
	}
	e, err := l.entry(i)
	return e.GetTerm(), err
}

// Entries implements raft.Storage.
func (l *groupLog) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	switch {
	case lo <= l.truncated.index:
		return nil, raft.ErrCompacted
	case hi > l.last+1:
		return nil, raft.ErrUnavailable
	}
	var out []*raftpb.Entry
	var size uint64
	for i := lo; i < hi; i++ {
		var e *raftpb.Entry
		if i >= l.cacheFrom {
			e = l.cache[i-l.cacheFrom]
		} else {
			var err error
			if e, err = l.entry(i); err != nil {
				return nil, err
			}
		}
		if size += uint64(len(e.GetData())) + entryOverhead; size > maxSize && len(out) > 0 {
			break
		}
		out = append(out, e)
	}
	return out, nil
}

// entryOverhead is about what an entry takes besides its data.
const entryOverhead = 16

// Snapshot implements raft.Storage: it says only up to where a snapshot would
// go; the bytes are streamed by whoever sends it.
func (l *groupLog) Snapshot() (*raftpb.Snapshot, error) {
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		ConfState: l.members, Index: new(l.applied.index), Term: new(l.applied.term)}}, nil
}

func (l *groupLog) entry(i uint64) (*raftpb.Entry, error) {
	l.key = persistence.AppendLogEntry(l.key[:0], l.group, i)
	v, err := l.read(l.key)
	if err != nil {
		return nil, err
	}
	e := new(raftpb.Entry)
	if v == nil || proto.Unmarshal(v, e) != nil || e.GetIndex() != i {
		return nil, l.corrupt("an entry of the log is missing or unreadable")
	}
	return e, nil
}

// append adds entries after the one before the first of them; what stood there
// gives way. They are in memory until flush.
func (l *groupLog) append(b *pebble.Batch, entries []*raftpb.Entry) error {
	first := entries[0].GetIndex()
	if first <= l.stored {
		if l.fault != faultTailKept {
			// Entries beyond the new last one would be taken for the log's end.
			l.key = persistence.AppendLogEntry(l.key[:0], l.group, first)
			end := persistence.AppendLogEntry(nil, l.group, l.stored+1)
			if err := b.DeleteRange(l.key, end, nil); err != nil {
				return l.failed(err)
			}
		}
		l.stored = first - 1
	}
	if first < l.cacheFrom {
		l.cache, l.cacheFrom = l.cache[:0], first
	}
	l.cache = append(l.cache[:first-l.cacheFrom], entries...)
	l.last = entries[len(entries)-1].GetIndex()
	for _, e := range entries {
		if e.GetType() != raftpb.EntryNormal {
			l.change = e.GetIndex()
		}
	}
	return nil
}

// changing reports whether a change of members may be in the log and not applied.
// As long as it is, the commit index is written: a member that took the next
// change, which its leader proposes once this one is committed, must not wake up
// without either, and be elected by those whom both removed.
func (l *groupLog) changing() bool { return l.change > l.applied.index }

// flush writes the entries that Pebble does not have. set copies what it is given.
func (l *groupLog) flush(set func(key, value []byte) error) error {
	for l.stored < l.last {
		e := l.cache[l.stored+1-l.cacheFrom]
		var err error
		if l.row, err = (proto.MarshalOptions{}).MarshalAppend(l.row[:0], e); err != nil {
			return l.failed(err)
		}
		l.key = persistence.AppendLogEntry(l.key[:0], l.group, e.GetIndex())
		if err := set(l.key, l.row); err != nil {
			return l.failed(err)
		}
		l.stored++
	}
	return nil
}

// into puts rows into a batch.
func into(b *pebble.Batch) func(key, value []byte) error {
	return func(key, value []byte) error { return b.Set(key, value, nil) }
}

// vote notes term and vote; false when both are known.
func (l *groupLog) vote(term, vote, commit uint64) bool {
	same := l.hard.GetTerm() == term && l.hard.GetVote() == vote
	l.hard.Term, l.hard.Vote, l.hard.Commit = new(term), new(vote), new(commit)
	return !same
}

// forget ends the log at what was applied, which is its last entry: everything up
// to there is state. A sole voter does so every pass, without a row: where the log
// ends before the applied index, it begins behind it.
func (l *groupLog) forget() {
	l.truncated, l.stored = l.applied, l.applied.index
	clear(l.cache)
	l.cache, l.cacheFrom = l.cache[:0], l.applied.index+1
}

// open makes the log begin behind what was applied, in writing: entries after it
// are there for others, or for a later pass. REQUIRES: those are in the cache, or
// Pebble has them.
func (l *groupLog) open(b *pebble.Batch) error {
	rest, err := l.Entries(l.applied.index+1, l.last+1, math.MaxUint64)
	if err != nil {
		return err
	}
	l.forget()
	l.cache = append(l.cache, rest...)
	from := persistence.AppendLog(nil, l.group)
	return errors.Join(b.DeleteRange(from, persistence.PrefixEnd(from), nil), l.writeTruncated(b), l.flush(into(b)))
}

// trim drops entries up to and including to from the log, and writes that.
func (l *groupLog) trim(b *pebble.Batch, to uint64) error {
	if to <= l.truncated.index || to > l.applied.index {
		return nil
	}
	term, err := l.Term(to)
	if err != nil {
		return err
	}
	from := persistence.AppendLogEntry(nil, l.group, l.truncated.index+1)
	l.truncated = place{to, term}
	l.key = persistence.AppendLogEntry(l.key[:0], l.group, to+1)
	return errors.Join(b.DeleteRange(from, l.key, nil), l.writeTruncated(b))
}

// shrink forgets cached entries that are stored and applied.
func (l *groupLog) shrink() {
	if len(l.cache) < 2*cacheMin {
		return
	}
	n := 0
	for len(l.cache)-n > cacheMin && l.cacheFrom+uint64(n) <= min(l.stored, l.applied.index) {
		n++
	}
	if n > 0 {
		l.cache = append([]*raftpb.Entry(nil), l.cache[n:]...)
		l.cacheFrom += uint64(n)
	}
}

func (l *groupLog) writeHard(b *pebble.Batch) error {
	if l.fault == faultVoteUnwritten && l.hard.GetVote() != 0 || l.fault == faultTermUnwritten && l.hard.GetVote() == 0 {
		return nil
	}
	l.key = persistence.AppendHardState(l.key[:0], l.group)
	return b.Set(l.key, l.hardRow(), nil)
}

func (l *groupLog) hardRow() []byte {
	v := make([]byte, 24)
	binary.BigEndian.PutUint64(v, l.hard.GetTerm())
	binary.BigEndian.PutUint64(v[8:], l.hard.GetVote())
	binary.BigEndian.PutUint64(v[16:], l.hard.GetCommit())
	return v
}

func (l *groupLog) membersRow() ([]byte, error) {
	v, err := proto.Marshal(l.members)
	if err != nil {
		return nil, l.failed(err)
	}
	return v, nil
}

func (l *groupLog) writeMembers(b *pebble.Batch) error {
	v, err := l.membersRow()
	if err != nil {
		return err
	}
	l.key = persistence.AppendMembers(l.key[:0], l.group)
	return b.Set(l.key, v, nil)
}

func (l *groupLog) writeTruncated(b *pebble.Batch) error {
	l.key = persistence.AppendTruncated(l.key[:0], l.group)
	return l.truncated.write(b, l.key)
}

func (l *groupLog) writeApplied(b *pebble.Batch) error {
	l.key = persistence.AppendApplied(l.key[:0], l.group)
	return l.applied.write(b, l.key)
}

func (p place) write(b *pebble.Batch, key []byte) error { return b.Set(key, p.row(), nil) }

func (p place) row() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), p.index), p.term)
}

func readPlace(v []byte) place {
	return place{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}
}

// read returns a copy of a row, nil for none.
func (l *groupLog) read(key []byte) ([]byte, error) {
	v, closer, err := l.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, l.failed(err)
	}
	v = append([]byte{}, v...)
	return v, closer.Close()
}

func (l *groupLog) failed(err error) error {
	return chat.E("replica.log", chat.KindOther, "cannot read or write a log", err)
}

func (l *groupLog) corrupt(detail string) error {
	return chat.E("replica.log", chat.KindCorrupt, detail, nil)
}
