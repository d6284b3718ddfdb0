package replica

import (
	"maps"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// member is this node's part in one group. Owned by the core's goroutine.
type member struct {
	id    chat.NodeID
	group chat.Group
	raft  *raft.RawNode
	log   *groupLog
	// sole is true while this node is the group's only member.
	sole bool
	// leading is the term this node leads in, 0 when it does not.
	leading uint64
	// led is true while Raft says that this node leads.
	led bool
	// unheard are those whom this node, as the leader, had not heard at the latest look.
	unheard map[chat.NodeID]bool
	// waiting are proposals for the next entry, held those whose entry is on its
	// way, by number.
	waiting []*Proposal
	held    map[uint64][]*Proposal
	waits   waits

	// life counts how often this node has left the group.
	life int
	// incoming is a received snapshot that Raft was offered.
	incoming *incoming
	// cutTo is up to where somebody wants the log cut; 0 for nobody.
	cutTo uint64
	// changing counts changes of members that are applied and on no disk yet.
	changing int

	// --- of the pass under way ---

	dirty bool
	// moved is true when the applied place changed.
	moved bool
	// opened is true when the group stopped being alone.
	opened bool
	// restored is true from when Raft wants a snapshot until that is in place.
	restored bool
	// answered are the followers that answered a sign of life.
	answered []uint64
	// out are messages to others.
	out []Message
}

// Sizes of what Raft keeps and sends.
const (
	// messageBytesMax bounds the entries of one message to a follower.
	messageBytesMax = 1 << 20
	// uncommittedBytesMax bounds what a leader takes while no majority answers.
	uncommittedBytesMax = 64 << 20
	// inflightMax is how many messages are under way to one follower.
	inflightMax = 256
	// heartbeatTicks is between two signs of life of an idle leader.
	heartbeatTicks = 2
)

func newMember(o *Options, l *groupLog) (*member, error) {
	m := &member{id: o.ID, group: l.group, log: l, held: map[uint64][]*Proposal{}, waits: newWaits()}
	m.sole = m.alone(l.members)
	var err error
	m.raft, err = raft.NewRawNode(&raft.Config{
		ID: uint64(o.ID), ElectionTick: o.ElectionTicks, HeartbeatTick: heartbeatTicks,
		Storage: l, Applied: l.applied.index, AsyncStorageWrites: true,
		MaxSizePerMsg: messageBytesMax, MaxCommittedSizePerReady: uncommittedBytesMax,
		MaxUncommittedEntriesSize: uncommittedBytesMax, MaxInflightMsgs: inflightMax,
		CheckQuorum: true, PreVote: true, ReadOnlyOption: raft.ReadOnlySafe,
		DisableProposalForwarding: true, StepDownOnRemoval: true,
		Logger: &raftLogger{log: o.Logger.With("group", int(l.group))},
	})
	if err != nil {
		return nil, chat.E("replica.member", chat.KindOther, "cannot start a group", err)
	}
	return m, nil
}

// alone reports whether the members are this node and nobody else.
func (m *member) alone(c *raftpb.ConfState) bool {
	return len(c.GetVoters()) == 1 && c.GetVoters()[0] == uint64(m.id) &&
		len(c.GetVotersOutgoing())+len(c.GetLearners())+len(c.GetLearnersNext()) == 0
}

// orphan gives up waiting for the entries under way.
func (m *member) orphan() (orphans []*Proposal) {
	for _, number := range slices.Sorted(maps.Keys(m.held)) {
		orphans = append(orphans, m.held[number]...)
	}
	clear(m.held)
	orphans = append(orphans, m.waiting...)
	m.waiting = nil
	return orphans
}

// changed applies a change of the members and returns it. One without data
// leaves a joint configuration.
func (m *member) changed(e *raftpb.Entry) (*raftpb.ConfChangeV2, error) {
	change, err := changeOf(e)
	if err != nil {
		return nil, err
	}
	m.log.members = m.raft.ApplyConfChange(change)
	was := m.sole
	m.sole = m.alone(m.log.members)
	m.opened = m.opened || was && !m.sole
	return change, nil
}

// changeOf decodes an entry of either kind that Raft makes of a change.
func changeOf(e *raftpb.Entry) (*raftpb.ConfChangeV2, error) {
	switch e.GetType() {
	case raftpb.EntryConfChangeV2:
		change := new(raftpb.ConfChangeV2)
		if proto.Unmarshal(e.GetData(), change) == nil {
			return change, nil
		}
	case raftpb.EntryConfChange:
		change := new(raftpb.ConfChange)
		if proto.Unmarshal(e.GetData(), change) == nil {
			return change.AsV2(), nil
		}
	}
	return nil, errEntry("a change of members is unreadable")
}

// live reports whether node takes part in the group.
func (m *member) live(node chat.NodeID) bool {
	c := m.log.members
	for _, list := range [][]uint64{c.GetVoters(), c.GetVotersOutgoing(), c.GetLearners(), c.GetLearnersNext()} {
		if slices.Contains(list, uint64(node)) {
			return true
		}
	}
	return false
}

// onlyCommit reports whether a message only tells a follower that more is committed. The
// next entries say the same, or the next sign of life, and cost no message, no
// answer and no pass of their own. Not so where a change of members is on its way,
// and not in the group that every node follows; and what answers a follower's sign
// of life may be there to find out whether entries were lost.
func (m *member) onlyCommit(msg *raftpb.Message) bool {
	if msg.GetType() != raftpb.MsgApp || len(msg.GetEntries()) > 0 || m.group == persistence.MetaGroup ||
		m.log.changing() || slices.Contains(m.answered, msg.GetTo()) {
		return false
	}
	replicating := false
	m.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		replicating = replicating || id == msg.GetTo() && p.State == tracker.StateReplicate
	})
	return replicating
}
