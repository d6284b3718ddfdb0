package replica

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
)

// network carries messages between simulated nodes. Each may be lost, doubled,
// late and overtaken; a cut is of one direction.
type network struct {
	lost, doubled, late int
	// deadly is the share of votes after which the voter loses power: whether the
	// vote was on its disk shows when another asks for it.
	deadly int
	cut    map[[2]chat.NodeID]bool
}

// send takes messages of n to others.
func (s *simulator) send(n *simNode, list []Message) {
	for _, m := range list {
		s.total.messages++
		from, to := n.id, chat.NodeID(m.GetTo())
		if m.GetType() == raftpb.MsgVoteResp && !m.GetReject() {
			s.book.voted(n, m)
		}
		if to == 0 || int(to) > len(s.nodes) || s.net.cut[[2]chat.NodeID{from, to}] || s.chance(s.net.lost) {
			continue
		}
		if m.GetType() == raftpb.MsgVoteResp && !m.GetReject() && s.chance(s.net.deadly) && !n.doomed {
			n.doomed = true
			s.after(0, func() {
				if n.up && n.doomed {
					n.crash(s.between(time.Millisecond, 20*time.Millisecond))
				}
			})
		}
		copies := 1
		if s.chance(s.net.doubled) {
			copies = 2
		}
		for range copies {
			delay := s.between(200*time.Microsecond, 3*time.Millisecond)
			if s.chance(s.net.late) {
				delay = s.between(5*time.Millisecond, 800*time.Millisecond)
			}
			sent := Message{m.Group, proto.Clone(m.Message).(*raftpb.Message)}
			disks := n.disk + s.node(to).disk
			s.after(delay, func() {
				if n.disk+s.node(to).disk == disks {
					s.deliver(from, to, sent)
				}
			})
		}
	}
}

func (s *simulator) deliver(from, to chat.NodeID, m Message) {
	if s.net.cut[[2]chat.NodeID{from, to}] {
		return
	}
	n := s.node(to)
	if !n.up {
		return
	}
	n.whenAwake(func() {
		s.note("n%d<n%d g%d %s term %d index %d/%d commit %d entries %d reject %v", to, from, m.Group, m.GetType(), m.GetTerm(),
			m.GetIndex(), m.GetLogTerm(), m.GetCommit(), len(m.GetEntries()), m.GetReject())
		n.core.step(m)
		n.poke()
	})
}

// reachable reports whether a connection between two nodes works both ways.
func (s *simulator) reachable(a, b chat.NodeID) bool {
	return !s.net.cut[[2]chat.NodeID{a, b}] && !s.net.cut[[2]chat.NodeID{b, a}]
}
