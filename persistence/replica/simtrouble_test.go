package replica

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// simRows are the rows that make the tenants known, by group, for stores of some
// number of groups. A cluster takes them as commits, because a directory wants to
// write to two groups on one node.
var simRows = map[int]map[chat.Group][]*recordpb.Write{}

// simTemplate makes simRows with a node alone.
func simTemplate(t *testing.T, groups int) {
	if simRows[groups] != nil {
		return
	}
	simRows[groups] = map[chat.Group][]*recordpb.Write{}
	s := newSimulator(t, 1, plan{nodes: 1, groups: groups, first: []NodeID{1}, logLen: 100, calm: true})
	defer s.close()
	n := s.nodes[0]
	n.open()
	var err error
	f := s.start(func(f *fiber) {
		for s.leader(persistence.MetaGroup) == nil {
			f.sleep(10 * time.Millisecond)
		}
		var d *persistence.Directory
		if d, err = persistence.OpenDirectory(f.ctx, n.store, chat.Settings{}); err != nil {
			return
		}
		for _, id := range simTenants {
			if err = d.PutTenant(f.ctx, chat.Tenant{ID: id}); err != nil {
				return
			}
		}
	})
	s.runUntil(time.Minute, func() bool { return f.over })
	if err != nil || !f.over || len(s.broken) > 0 {
		t.Fatalf("no tenants: %v %v", err, s.broken)
	}
	for _, g := range n.store.GroupIDs() {
		applied, members := persistence.AppendApplied(nil, g), persistence.AppendMembers(nil, g)
		err := eachRow(n.store, g, func(k, v []byte) {
			if string(k) != string(applied) && string(k) != string(members) {
				simRows[groups][g] = append(simRows[groups][g],
					&recordpb.Write{Key: append([]byte{}, k...), Value: append([]byte{}, v...), Fresh: true})
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// admit makes the tenants known before the trouble begins.
func (s *simulator) admit() {
	for _, g := range s.nodes[0].store.GroupIDs() {
		rows := simRows[s.plan.groups][g]
		if len(rows) == 0 {
			continue
		}
		f := s.start(func(f *fiber) {
			for {
				f.sleep(20 * time.Millisecond)
				n := s.leader(g)
				if n == nil {
					continue
				}
				out, err := simProposer{n, n.life}.Propose(f.ctx, g, &recordpb.Commit{Epoch: uint64(n.store.Epoch(g)), Writes: rows})
				if err == nil && (out.Answer == chat.Applied || out.Answer == chat.Duplicate) {
					return
				}
			}
		})
		if !s.runUntil(s.now+time.Minute, func() bool { return f.over }) {
			s.violate("g%d takes no commit in a minute of peace", g)
			return
		}
	}
}

// trouble does to the cluster what a bad day does.
func (s *simulator) trouble(f *fiber) {
	s.net.lost, s.net.doubled, s.net.late = s.rng.IntN(8), s.rng.IntN(8), s.rng.IntN(15)
	if s.chance(40) {
		s.net.deadly = s.rng.IntN(60)
		s.net.late += s.rng.IntN(30)
	}
	for !s.ended {
		f.sleep(s.between(50*time.Millisecond, 1500*time.Millisecond))
		if s.ended {
			return
		}
		n := s.nodes[s.rng.IntN(len(s.nodes))]
		switch s.rng.IntN(13) {
		case 0, 1, 2:
			if n.up {
				n.crash(s.between(10*time.Millisecond, 4*time.Second))
			}
		case 3:
			s.part(n, s.between(100*time.Millisecond, 5*time.Second))
		case 4:
			s.oneWay(n, s.nodes[s.rng.IntN(len(s.nodes))], s.between(100*time.Millisecond, 5*time.Second))
		case 5: // a cable that flaps
			for range 1 + s.rng.IntN(6) {
				s.part(n, 150*time.Millisecond)
				f.sleep(s.between(100*time.Millisecond, 400*time.Millisecond))
			}
		case 6:
			s.pause(n, s.between(50*time.Millisecond, 3*time.Second))
		case 7:
			n.slow = s.between(0, 300*time.Millisecond)
			s.after(s.between(time.Second, 5*time.Second), func() { n.slow = 0 })
		case 8:
			// All at once, as when the power of a rack goes.
			if s.chance(40) {
				for _, n := range s.nodes {
					if n.up {
						n.crash(s.between(10*time.Millisecond, time.Second))
					}
				}
			}
		case 9, 10:
			s.transfer()
		case 11:
			// The system writes out what it was not asked to.
			if n.up {
				if err := n.fs.sync(); err != nil {
					s.violate("n%d: %v", n.id, err)
				}
			}
		case 12:
			if n.up {
				for _, m := range n.core.order {
					m.raft.ReportUnreachable(uint64(s.nodes[s.rng.IntN(len(s.nodes))].id))
					n.core.touch(m)
				}
				n.poke()
			}
		}
	}
}

// part cuts a node off from all others, both ways.
func (s *simulator) part(n *simNode, d time.Duration) {
	s.total.partitions++
	s.note("n%d is cut off", n.id)
	for _, o := range s.nodes {
		if o != n {
			s.net.cut[[2]NodeID{n.id, o.id}] = true
			s.net.cut[[2]NodeID{o.id, n.id}] = true
		}
	}
	s.after(d, func() {
		s.note("n%d is back", n.id)
		for _, o := range s.nodes {
			delete(s.net.cut, [2]NodeID{n.id, o.id})
			delete(s.net.cut, [2]NodeID{o.id, n.id})
		}
	})
}

// oneWay loses what a sends to b.
func (s *simulator) oneWay(a, b *simNode, d time.Duration) {
	s.total.partitions++
	s.note("n%d does not hear n%d", b.id, a.id)
	s.net.cut[[2]NodeID{a.id, b.id}] = true
	s.after(d, func() { delete(s.net.cut, [2]NodeID{a.id, b.id}) })
}

func (s *simulator) pause(n *simNode, d time.Duration) {
	s.total.pauses++
	s.note("n%d pauses for %v", n.id, d)
	n.paused = s.now + d
}

// transfer hands the leadership of some group to somebody.
func (s *simulator) transfer() {
	g := s.anyGroup()
	n := s.leader(g)
	if n == nil {
		return
	}
	to := s.nodes[s.rng.IntN(len(s.nodes))].id
	s.total.transfers++
	s.note("n%d g%d hands over to n%d", n.id, g, to)
	m := n.core.members[g]
	m.raft.TransferLeader(uint64(to))
	n.core.touch(m)
	n.poke()
}

func (s *simulator) anyGroup() chat.Group {
	list := simGroups(s.plan.groups)
	return list[s.rng.IntN(len(list))]
}

func simGroups(n int) (list []chat.Group) {
	for g := range n {
		list = append(list, chat.Group(g))
	}
	return append(list, persistence.MetaGroup)
}

// heal ends all trouble.
func (s *simulator) heal() {
	s.healed = true
	s.note("the trouble ends")
	clear(s.net.cut)
	s.net.lost, s.net.doubled, s.net.late, s.net.deadly = 0, 0, 0, 0
	for _, n := range s.nodes {
		n.slow = 0
		n.paused = min(n.paused, s.now)
		if !n.up {
			n.open()
		}
	}
}

// administer changes the members of the groups towards one target after another.
func (s *simulator) administer(f *fiber) {
	targets := [][]NodeID{{1, 2, 3}, {1}, {1, 2, 3}, {2}, {1, 2}, {3}, {2, 3}, {1, 2, 3}}
	if s.chance(50) {
		targets = [][]NodeID{{1, 2}, {2}, {1, 2, 3}, {1, 3}, {1}, {1, 2, 3}}
	}
	if len(s.plan.first) > 1 {
		targets = [][]NodeID{{1, 2}, {1, 2, 3}, {2, 3}, {1, 2, 3}, {3}, {1, 2, 3}}
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
func (s *simulator) approach(f *fiber, g chat.Group, want []NodeID) bool {
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
	add := func(kind raftpb.ConfChangeType, id NodeID) {
		change.Changes = append(change.Changes, &raftpb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(uint64(id))})
	}
	has := func(list []uint64, id NodeID) bool {
		for _, o := range list {
			if o == uint64(id) {
				return true
			}
		}
		return false
	}
	near := func(id NodeID) (near bool) {
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
	if done {
		for _, id := range append(nodes(cs.GetLearners()), nodes(cs.GetVoters())...) {
			if contains(want, id) || len(change.Changes) > 0 && !several {
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

func contains(list []NodeID, id NodeID) bool {
	for _, o := range list {
		if o == id {
			return true
		}
	}
	return false
}

func describeChange(c *raftpb.ConfChangeV2) (text []string) {
	for _, one := range c.GetChanges() {
		text = append(text, one.GetType().String()+" "+string(rune('0'+one.GetNodeId())))
	}
	return text
}
