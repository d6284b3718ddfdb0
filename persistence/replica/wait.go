package replica

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
)

// wait is somebody waiting for a group: for a read index, or for a change of its
// members.
type wait struct {
	group chat.Group
	// change is nil for a read.
	change *raftpb.ConfChangeV2
	// done receives exactly one value.
	done chan error
	// gone is true once nobody waits any more.
	gone atomic.Bool
}

// waits are those of one group. Owned by the core's goroutine.
type waits struct {
	// fresh reads wait for the next question to the leader, asked ones for its
	// answer, by number; since counts ticks since the oldest question.
	fresh []*wait
	asked map[uint64][]*wait
	since int
	// confirmed reads wait until what the leader named is applied.
	confirmed []confirmed
	// changes under way, by number.
	changes map[uint64]*wait
}

type confirmed struct {
	index uint64
	reads []*wait
}

// settled is a wait with its answer, to be told when the flight has landed.
type settled struct {
	*wait
	err error
}

// readRetryTicks is after how many ticks a question that a lost message or a
// missing leader left open is asked again.
const readRetryTicks = 5

func errUnled(g chat.Group) error {
	return chat.E("replica", chat.KindUnavailable, "the group has no leader that this node can reach; repeat", nil)
}

// await takes a read or a change of members.
func (c *core) await(w *wait) {
	m := c.members[w.group]
	c.touch(m)
	if w.change == nil {
		m.waits.fresh = append(m.waits.fresh, w)
		return
	}
	if reason := m.refuses(w.change); reason != "" {
		w.done <- chat.E("replica.Change", chat.KindInvalid, reason, nil)
		return
	}
	c.number++
	cc := proto.Clone(w.change).(*raftpb.ConfChangeV2)
	cc.Context = appendTicket(nil, ticket{c.opt.Boot, c.number})
	if err := m.raft.ProposeConfChange(cc); err != nil {
		w.done <- errUnled(w.group)
		return
	}
	m.waits.changes[c.number] = w
}

// refuses says why this node does not propose a change, "" for no reason.
//
// A group of one keeps no log, which relies on its majority staying this node
// alone. And a change counts once it is applied: whoever has not applied it needs
// the votes of those it removes, and they, who may have longer logs, refuse theirs
// for ever. So a change keeps its leader, and takes the vote from one member at
// most: those who remain can do without it.
func (m *member) refuses(c *raftpb.ConfChangeV2) string {
	lost := 0
	for _, one := range c.GetChanges() {
		learner := one.GetType() == raftpb.ConfChangeAddLearnerNode
		if m.sole && !learner {
			return "a member of a group of one begins as a learner"
		}
		if one.GetType() == raftpb.ConfChangeAddNode {
			continue
		}
		if one.GetNodeId() == uint64(m.id) {
			return "the leader hands over before it is removed"
		}
		if slices.Contains(m.log.members.GetVoters(), one.GetNodeId()) {
			lost++
		}
	}
	if lost > 1 {
		return "one voter is removed at a time"
	}
	return ""
}

// ask puts the reads that wait into one question to the leader, which answers
// once a majority has confirmed that it still is one. A leader asks itself once its
// first entry is applied: before, it may know less to be committed than was
// answered, and Raft lets a sole voter with learners confirm that.
func (c *core) ask(m *member) {
	if len(m.waits.fresh) == 0 || m.leading == 0 && m.raft.BasicStatus().RaftState == raft.StateLeader {
		return
	}
	if c.fault == faultReadUnconfirmed {
		m.waits.confirmed = append(m.waits.confirmed, confirmed{m.log.applied.index, m.waits.fresh})
		m.waits.fresh = nil
		return
	}
	c.number++
	m.waits.asked[c.number] = m.waits.fresh
	m.waits.fresh, m.waits.since = nil, 0
	m.raft.ReadIndex(appendTicket(nil, ticket{c.opt.Boot, c.number}))
}

// askAgain repeats questions that got no answer.
func (c *core) askAgain(m *member) {
	if len(m.waits.asked) == 0 {
		return
	}
	if m.waits.since++; m.waits.since < readRetryTicks {
		return
	}
	for _, number := range slices.Sorted(maps.Keys(m.waits.asked)) {
		m.waits.fresh = append(m.waits.fresh, m.waits.asked[number]...)
	}
	clear(m.waits.asked)
	// A group may be without a leader for long, and callers come again and again.
	m.waits.fresh = slices.DeleteFunc(m.waits.fresh, func(w *wait) bool { return w.gone.Load() })
}

// confirm notes the leader's answers.
func (c *core) confirm(m *member, states []raft.ReadState) {
	for _, s := range states {
		t, ok := readTicket(s.RequestCtx)
		if !ok || t.boot != c.opt.Boot {
			continue
		}
		if reads := m.waits.asked[t.number]; reads != nil {
			m.waits.confirmed = append(m.waits.confirmed, confirmed{s.Index, reads})
			delete(m.waits.asked, t.number)
		}
	}
}

// release answers the reads whose index is applied.
func (m *member) release(f *flight) {
	kept := m.waits.confirmed[:0]
	for _, r := range m.waits.confirmed {
		if r.index > m.log.applied.index {
			kept = append(kept, r)
			continue
		}
		for _, w := range r.reads {
			f.settled = append(f.settled, settled{w, nil})
		}
	}
	m.waits.confirmed = kept
}

// changeDone answers whoever proposed a change of members that was applied.
func (c *core) changeDone(m *member, cc *raftpb.ConfChangeV2, f *flight) {
	t, ok := readTicket(cc.GetContext())
	if !ok || t.boot != c.opt.Boot {
		return
	}
	if w := m.waits.changes[t.number]; w != nil {
		f.settled = append(f.settled, settled{w, nil})
		delete(m.waits.changes, t.number)
	}
}

// abandonChanges ends the wait for changes whose fate this node will not learn.
func (m *member) abandonChanges(f *flight) {
	for _, number := range slices.Sorted(maps.Keys(m.waits.changes)) {
		f.settled = append(f.settled, settled{m.waits.changes[number], errUnled(m.group)})
	}
	clear(m.waits.changes)
}

// changeRefused answers the change that Raft did not take, because another is
// under way. Changes are answered in their order, so it is the first that waits.
func (m *member) changeRefused(f *flight) {
	if len(m.waits.changes) == 0 {
		return
	}
	number := slices.Min(slices.Collect(maps.Keys(m.waits.changes)))
	f.settled = append(f.settled, settled{m.waits.changes[number],
		chat.E("replica.Change", chat.KindConflict, "another change of the group's members is under way", nil)})
	delete(m.waits.changes, number)
}

// abandonAll ends every wait: the node stops.
func (m *member) abandonAll(f *flight) {
	m.abandonChanges(f)
	reads := m.waits.fresh
	for _, r := range m.waits.confirmed {
		reads = append(reads, r.reads...)
	}
	for _, number := range slices.Sorted(maps.Keys(m.waits.asked)) {
		reads = append(reads, m.waits.asked[number]...)
	}
	for _, w := range reads {
		f.settled = append(f.settled, settled{w, errUnled(m.group)})
	}
	m.waits = newWaits()
}

func newWaits() waits {
	return waits{asked: map[uint64][]*wait{}, changes: map[uint64]*wait{}}
}

// Barrier waits until this node has applied all that was committed in g, on any
// node, when it was called. It asks the leader, who asks a majority: a leader
// that was replaced without noticing cannot answer. KindUnavailable means that
// ctx ended first or the node stops.
func (n *Node) Barrier(ctx context.Context, g chat.Group) error {
	return n.await(ctx, &wait{group: g, done: make(chan error, 1)})
}

// Change changes the members of g and returns when this node, which must lead
// it, has applied that. KindInvalid means that it never does so, see
// member.refuses, KindConflict that another change is under way, KindUnavailable
// that it may or may not happen.
func (n *Node) Change(ctx context.Context, g chat.Group, change *raftpb.ConfChangeV2) error {
	return n.await(ctx, &wait{group: g, change: change, done: make(chan error, 1)})
}

func (n *Node) await(ctx context.Context, w *wait) error {
	if !n.do(func(c *core) { c.await(w) }) {
		return errUnled(w.group)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		w.gone.Store(true)
		return chat.E("replica", chat.KindUnavailable, "the group did not answer in time", context.Cause(ctx))
	}
}
