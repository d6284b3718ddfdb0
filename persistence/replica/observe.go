package replica

import "github.com/chumiai/chumi/chat"

// observeTicks is how many ticks lie between two looks at the groups for the
// instruments. A leader forgets whom it has heard once in an election time, and hears of
// those who live within the next few ticks: two looks that are neither a multiple of that
// time apart, nor nearly so, do not both fall into this gap.
const observeTicks = 7

// observe sets the instruments of all groups. It costs a look at each.
func (c *core) observe() {
	var leading, following, leaderless, silent int
	var term, behind, unapplied, kept uint64
	for _, m := range c.order {
		s := m.status()
		switch {
		case s.Left(c.opt.ID):
			continue
		case s.Leader == c.opt.ID:
			leading++
		case s.Leader == 0:
			leaderless++
		default:
			following++
		}
		term = max(term, s.Term)
		unapplied = max(unapplied, s.Last-min(s.Applied, s.Last))
		kept = max(kept, s.Last-min(s.First, s.Last))
		for id, n := range s.Behind {
			behind = max(behind, n)
			if !s.Heard[id] && m.unheard[id] {
				silent++
			}
		}
		m.unheard = map[chat.NodeID]bool{}
		for id, heard := range s.Heard {
			m.unheard[id] = !heard
		}
	}
	r := &c.opt.Metrics.Raft
	r.Groups.WithLabelValues("leading").Set(float64(leading))
	r.Groups.WithLabelValues("following").Set(float64(following))
	r.Groups.WithLabelValues("leaderless").Set(float64(leaderless))
	r.Term.Set(float64(term))
	r.Behind.Set(float64(behind))
	r.Silent.Set(float64(silent))
	r.Unapplied.Set(float64(unapplied))
	r.Log.Set(float64(kept))
}
