package replica

import (
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

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
			s.net.cut[[2]chat.NodeID{n.id, o.id}] = true
			s.net.cut[[2]chat.NodeID{o.id, n.id}] = true
		}
	}
	s.after(d, func() {
		s.note("n%d is back", n.id)
		for _, o := range s.nodes {
			delete(s.net.cut, [2]chat.NodeID{n.id, o.id})
			delete(s.net.cut, [2]chat.NodeID{o.id, n.id})
		}
	})
}

// oneWay loses what a sends to b.
func (s *simulator) oneWay(a, b *simNode, d time.Duration) {
	s.total.partitions++
	s.note("n%d does not hear n%d", b.id, a.id)
	s.net.cut[[2]chat.NodeID{a.id, b.id}] = true
	s.after(d, func() { delete(s.net.cut, [2]chat.NodeID{a.id, b.id}) })
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
