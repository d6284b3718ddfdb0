package torture

import (
	"math/rand/v2"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// catchPlan says where a node that takes in snapshots dies next: at every step
// in turn, in a group drawn from those it still needs.
type catchPlan struct {
	r    *rand.Rand
	turn int
	// near is true after a step was not reached: the next time it is met early.
	near map[failpoint.Point]bool
}

func newCatchPlan(r *rand.Rand) *catchPlan { return &catchPlan{r: r, near: map[failpoint.Point]bool{}} }

// next is the step, and which hit of it shall kill. The node needs snapshots of
// left groups, of about so many messages each. Half of the groups are left for
// the next kills: what was installed stays.
func (p *catchPlan) next(left int, messages int64) (failpoint.Point, int64) {
	points := failpoint.ClusterPoints()
	at := points[p.turn%len(points)]
	groups := int64(max((left+1)/2, 1))
	switch {
	case p.near[at]:
		return at, 1
	case at == failpoint.SnapshotReceiving: // hit by every row, of which a message has several
		return at, 1 + p.r.Int64N(groups*max(messages, 1))
	default:
		return at, 1 + p.r.Int64N(groups)
	}
}

// told notes whether the step was reached. One that was not is tried again.
func (p *catchPlan) told(at failpoint.Point, hit bool) {
	p.near[at] = !hit
	if hit {
		p.turn++
	}
}

// groupsBehind counts the groups of which a node lacks more than so many entries,
// by what their leaders say. False means that some group's is not among them.
func groupsBehind(seen []*child.Cluster, groups []int, node int, entries uint64) (behind int, ok bool) {
	for _, group := range groups {
		led := false
		for _, c := range seen {
			for _, g := range c.Groups {
				if g.Group != group || g.Leader != c.Node {
					continue
				}
				led = true
				if g.Behind[node] > entries {
					behind++
				}
			}
		}
		if !led {
			return 0, false
		}
	}
	return behind, true
}
