package replica

import (
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/chumiai/chumi/chat"
)

// Status is what a node knows of a group.
type Status struct {
	Group chat.Group
	// Leader is 0 while nobody is known to lead.
	Leader chat.NodeID
	Term   uint64
	// Applied is the index of the entry applied last, Last that of the last entry,
	// First of the first one that is kept.
	Applied, Last, First uint64
	Voters, Learners     []chat.NodeID
	// Behind is how many entries each other member lacks, as far as the leader
	// knows; nil elsewhere.
	Behind map[chat.NodeID]uint64
	// Heard tells of which other members the leader has heard lately, within the
	// time after which it would look for a majority, and Following which of those
	// take entries as they come, rather than a snapshot; nil elsewhere.
	Heard, Following map[chat.NodeID]bool
	// Unshredded is that of the node's store.
	Unshredded int
}

// Leader is the node that leads g, as far as this one knows: one atomic load. 0
// while it knows of nobody, or has no part in the group.
func (n *Node) Leader(g chat.Group) chat.NodeID {
	if l, ok := n.core.leaders[g]; ok {
		return chat.NodeID(l.Load())
	}
	return 0
}

// Heir is the voter that is best fit to lead next by the account of the leader: one
// it hears of, that lacks least; 0 when there is none.
func (s Status) Heir() (to chat.NodeID) {
	for _, id := range s.Voters {
		if s.Following[id] && (to == 0 || s.Behind[id] < s.Behind[to]) {
			to = id
		}
	}
	return to
}

// Left reports whether a node is no member of the group.
func (s Status) Left(node chat.NodeID) bool {
	return !slices.Contains(s.Voters, node) && !slices.Contains(s.Learners, node)
}

// Status returns what this node knows of every group; nil after Close.
func (n *Node) Status() []Status {
	return n.observe(func(c *core) []*member { return c.order })
}

// statusOf is Status for one group; false after Close.
func (n *Node) statusOf(g chat.Group) (Status, bool) {
	list := n.observe(func(c *core) []*member { return []*member{c.members[g]} })
	if len(list) == 0 {
		return Status{}, false
	}
	return list[0], true
}

// observe returns the status of the members that pick chooses; nil after Close.
func (n *Node) observe(pick func(*core) []*member) []Status {
	seen := make(chan []Status, 1) // the loop answers also who left at the stop
	if !n.do(func(c *core) {
		var all []Status
		for _, m := range pick(c) {
			s := m.status()
			s.Unshredded = n.store.Unshredded(m.group)
			all = append(all, s)
		}
		seen <- all
	}) {
		return nil
	}
	select {
	case all := <-seen:
		return all
	case <-n.stop:
		return nil
	}
}

func (m *member) status() Status {
	basic := m.raft.BasicStatus()
	s := Status{Group: m.group, Leader: chat.NodeID(basic.Lead), Term: basic.HardState.GetTerm(),
		Applied: m.log.applied.index, Last: m.log.last, First: m.log.truncated.index + 1,
		Voters: nodes(m.log.members.GetVoters()), Learners: nodes(m.log.members.GetLearners())}
	if basic.RaftState == raft.StateLeader {
		s.Behind, s.Heard, s.Following = map[chat.NodeID]uint64{}, map[chat.NodeID]bool{}, map[chat.NodeID]bool{}
		m.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
			if id != uint64(m.id) {
				o := chat.NodeID(id)
				s.Behind[o] = m.log.last - min(p.Match, m.log.last)
				s.Heard[o] = p.RecentActive
				s.Following[o] = p.RecentActive && p.State == tracker.StateReplicate
			}
		})
	}
	return s
}

func nodes(ids []uint64) []chat.NodeID {
	list := make([]chat.NodeID, 0, len(ids))
	for _, id := range ids {
		list = append(list, chat.NodeID(id))
	}
	return list
}

// Transfer asks the leader of g, which must be this node, to hand leadership to
// another member. It returns at once; the epoch ends when it happens.
func (n *Node) Transfer(g chat.Group, to chat.NodeID) {
	n.do(func(c *core) {
		if m, ok := c.members[g]; ok {
			m.raft.TransferLeader(uint64(to))
			c.touch(m)
		}
	})
}

// Unreachable tells that messages to a node are being lost.
func (n *Node) Unreachable(node chat.NodeID) {
	n.do(func(c *core) {
		for _, m := range c.order {
			if m.live(node) {
				m.raft.ReportUnreachable(uint64(node))
				c.touch(m)
			}
		}
	})
}

// do runs f in a pass; false when the node has stopped.
func (n *Node) do(f func(*core)) bool {
	select {
	case n.control <- f:
		return true
	case <-n.stop:
		return false
	}
}
