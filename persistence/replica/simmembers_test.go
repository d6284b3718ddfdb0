package replica

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/chumiai/chumi/chat"
)

// administer changes the members of the groups towards one target after another.
func (s *simulator) administer(f *fiber) {
	targets := [][]chat.NodeID{{1, 2, 3}, {1}, {1, 2, 3}, {2}, {1, 2}, {3}, {2, 3}, {1, 2, 3}}
	if s.chance(70) {
		for i := range targets {
			some := s.rng.Perm(len(s.nodes))[:1+s.rng.IntN(len(s.nodes))]
			targets[i] = nil
			for _, n := range some {
				targets[i] = append(targets[i], s.nodes[n].id)
			}
		}
	}
	wiped := false
	for i := 0; i < len(targets) && !s.ended; i++ {
		for _, g := range simGroups(s.plan.groups) {
			for !s.ended && !s.approach(f, g, targets[i]) {
				f.sleep(s.between(10*time.Millisecond, 200*time.Millisecond))
			}
		}
		for _, n := range s.nodes {
			if !s.ended && !wiped && n.up && s.chance(60) && s.stranger(n) {
				wiped = true
				s.wipe(n)
			}
		}
		f.sleep(s.between(0, 3*time.Second))
	}
}

// stranger reports whether no group counts on a node's disk: no member's disk
// names it as one.
func (s *simulator) stranger(n *simNode) bool {
	for _, o := range s.nodes {
		if o == n {
			continue
		}
		if !o.up || len(o.flights) > 0 {
			return false
		}
		for _, m := range o.core.order {
			if m.live(n.id) {
				return false
			}
		}
	}
	return true
}

// wipe gives a node an empty disk.
func (s *simulator) wipe(n *simNode) {
	s.total.wipes++
	s.note("n%d loses its disk", n.id)
	n.discard()
	n.disk++
	n.fs = newSimDisk(nil)
	n.open()
}

// approach takes one step of g towards the members wanted, and reports whether
// it is there.
func (s *simulator) approach(f *fiber, g chat.Group, want []chat.NodeID) bool {
	n := s.leader(g)
	if n == nil {
		return false
	}
	m := n.core.members[g]
	cs := m.log.members
	if len(cs.GetVotersOutgoing()) > 0 {
		return false
	}
	var change raftpb.ConfChangeV2
	add := func(kind raftpb.ConfChangeType, id chat.NodeID) {
		change.Changes = append(change.Changes, &raftpb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(uint64(id))})
	}
	has := func(list []uint64, id chat.NodeID) bool { return slices.Contains(list, uint64(id)) }
	near := func(id chat.NodeID) (near bool) {
		m.raft.WithProgress(func(o uint64, _ raft.ProgressType, p tracker.Progress) {
			near = near || o == uint64(id) && p.State == tracker.StateReplicate
		})
		return near
	}
	done := true
	several := s.chance(50)
	for _, id := range want {
		if has(cs.GetVoters(), id) || len(change.Changes) > 0 && !several {
			continue
		}
		done = false
		switch {
		case !has(cs.GetLearners(), id):
			add(raftpb.ConfChangeAddLearnerNode, id)
		case near(id) && !(len(change.Changes) > 0 && len(cs.GetVoters()) == 1 && change.Changes[0].GetType() == raftpb.ConfChangeAddLearnerNode):
			add(raftpb.ConfChangeAddNode, id)
		}
	}
	if several && len(change.Changes) > 0 {
		// One goes for those who come, in one change.
		for _, id := range nodes(cs.GetVoters()) {
			if !slices.Contains(want, id) && id != n.id && len(cs.GetVoters()) > 1 {
				add(raftpb.ConfChangeRemoveNode, id)
				break
			}
		}
	}
	if done {
		for _, id := range append(nodes(cs.GetLearners()), nodes(cs.GetVoters())...) {
			if slices.Contains(want, id) || len(change.Changes) > 0 && !several {
				continue
			}
			done = false
			if id != n.id {
				add(raftpb.ConfChangeRemoveNode, id)
				several = several && !has(cs.GetVoters(), id)
				continue
			}
			if to := want[s.rng.IntN(len(want))]; near(to) && len(change.Changes) == 0 {
				m.raft.TransferLeader(uint64(to))
				n.core.touch(m)
				n.poke()
				return false
			}
		}
	}
	if done {
		return true
	}
	if len(change.Changes) == 0 {
		return false
	}
	err := n.await(f, &wait{group: g, change: &change}, 4*time.Second)
	s.note("n%d g%d changes members by %v: %v", n.id, g, describeChange(&change), err)
	return false
}

func describeChange(c *raftpb.ConfChangeV2) (text []string) {
	for _, one := range c.GetChanges() {
		text = append(text, one.GetType().String()+" "+string(rune('0'+one.GetNodeId())))
	}
	return text
}
