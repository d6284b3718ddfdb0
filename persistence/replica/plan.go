package replica

import (
	"cmp"
	"slices"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

const (
	// copies is how many nodes vote in a group, where there are as many: one may be
	// lost, and a write waits for the faster of the two others.
	copies = 3
	// metaVotersMax is how many nodes vote in the metadata group. Every node holds
	// it; more voters would only make its writes wait for more of them.
	metaVotersMax = 5
)

// Plan says which nodes shall hold each group: those that do now as far as they
// stay, and others so that every node holds about the same. It is a function of
// its arguments, and of its own result it makes the same again. Leaving nodes get
// nothing; with no other there is no plan.
//
// Two nodes both vote. That stops the group when either is lost, and keeps every
// acknowledged write on both disks; one voter and a learner would go on, and lose
// what only the voter had.
func Plan(nodes []persistence.Node, groups []chat.Group, now []persistence.Placement) []persistence.Placement {
	p := planner{held: map[chat.NodeID]int{}, plan: map[chat.Group][]chat.NodeID{}}
	for _, n := range nodes {
		if !n.Leaving {
			p.nodes = append(p.nodes, n.ID)
		}
	}
	slices.Sort(p.nodes)
	if len(p.nodes) == 0 {
		return nil
	}
	was := map[chat.Group]persistence.Placement{}
	for _, place := range now {
		was[place.Group] = place
	}
	for _, g := range groups {
		if g != persistence.MetaGroup {
			p.groups = append(p.groups, g)
			p.keep(g, was[g].Voters)
		}
	}
	slices.Sort(p.groups)
	p.fill()
	p.level()
	out := make([]persistence.Placement, 0, len(groups))
	for _, g := range p.groups {
		slices.Sort(p.plan[g])
		out = append(out, persistence.Placement{Group: g, Voters: p.plan[g]})
	}
	if slices.Contains(groups, persistence.MetaGroup) {
		out = append(out, p.meta(was[persistence.MetaGroup].Voters))
	}
	return out
}

// planner is a plan in the making.
type planner struct {
	nodes  []chat.NodeID
	groups []chat.Group
	plan   map[chat.Group][]chat.NodeID
	// held counts the groups of each node.
	held map[chat.NodeID]int
}

func (p *planner) give(g chat.Group, id chat.NodeID) {
	p.plan[g] = append(p.plan[g], id)
	p.held[id]++
}

func (p *planner) take(g chat.Group, id chat.NodeID) {
	p.plan[g] = slices.DeleteFunc(p.plan[g], func(o chat.NodeID) bool { return o == id })
	p.held[id]--
}

// keep leaves a group with those of its voters that stay.
func (p *planner) keep(g chat.Group, voters []chat.NodeID) {
	for _, id := range voters {
		if slices.Contains(p.nodes, id) && len(p.plan[g]) < copies {
			p.give(g, id)
		}
	}
}

// fill gives every group as many voters as it shall have, the nodes with the least
// first.
func (p *planner) fill() {
	for _, g := range p.groups {
		for len(p.plan[g]) < min(copies, len(p.nodes)) {
			free := slices.DeleteFunc(slices.Clone(p.nodes), func(id chat.NodeID) bool { return slices.Contains(p.plan[g], id) })
			p.give(g, slices.MinFunc(free, p.less))
		}
	}
}

// less orders nodes by what they hold.
func (p *planner) less(a, b chat.NodeID) int {
	return cmp.Or(cmp.Compare(p.held[a], p.held[b]), cmp.Compare(a, b))
}

// level moves groups from the fullest node to the emptiest until no two differ by
// more than one. There is always one to move: the fuller node has more groups, so
// one that the other has not.
func (p *planner) level() {
	for {
		most, least := slices.MaxFunc(p.nodes, p.less), slices.MinFunc(p.nodes, p.less)
		if p.held[most]-p.held[least] <= 1 {
			return
		}
		i := slices.IndexFunc(p.groups, func(g chat.Group) bool {
			return slices.Contains(p.plan[g], most) && !slices.Contains(p.plan[g], least)
		})
		p.take(p.groups[i], most)
		p.give(p.groups[i], least)
	}
}

// meta is the placement of the metadata group: an odd number of voters, unless
// there are two nodes, and everybody else learns.
func (p *planner) meta(was []chat.NodeID) persistence.Placement {
	count := min(len(p.nodes), metaVotersMax)
	if count > 2 && count%2 == 0 {
		count--
	}
	place := persistence.Placement{Group: persistence.MetaGroup}
	for _, list := range [][]chat.NodeID{was, p.nodes} {
		for _, id := range list {
			if len(place.Voters) < count && slices.Contains(p.nodes, id) && !slices.Contains(place.Voters, id) {
				place.Voters = append(place.Voters, id)
			}
		}
	}
	for _, id := range p.nodes {
		if !slices.Contains(place.Voters, id) {
			place.Learners = append(place.Learners, id)
		}
	}
	slices.Sort(place.Voters)
	return place
}

// Transfer is the leadership of a group that shall move.
type Transfer struct {
	Group    chat.Group
	From, To chat.NodeID
}

// Spread says which groups shall get another leader so that each live node leads
// about as many as the others, as far as the votes allow. It moves as few as it
// can and leaves groups without a leader alone.
func Spread(placements []persistence.Placement, leaders map[chat.Group]chat.NodeID, live func(chat.NodeID) bool) (moves []Transfer) {
	s := spreader{leads: map[chat.Group]chat.NodeID{}, count: map[chat.NodeID]int{}}
	for _, p := range placements {
		var fit []chat.NodeID
		for _, id := range p.Voters {
			if live(id) {
				fit = append(fit, id)
				s.count[id] += 0
			}
		}
		if leader := leaders[p.Group]; leader != 0 {
			s.groups = append(s.groups, persistence.Placement{Group: p.Group, Voters: fit})
			s.leads[p.Group] = leader
			s.count[leader]++
		}
	}
	for s.step() {
	}
	for _, g := range s.groups {
		if from, to := leaders[g.Group], s.leads[g.Group]; from != to {
			moves = append(moves, Transfer{g.Group, from, to})
		}
	}
	return moves
}

// spreader moves leadership in thought.
type spreader struct {
	// groups are those that are led, with the voters that may lead them.
	groups []persistence.Placement
	leads  map[chat.Group]chat.NodeID
	count  map[chat.NodeID]int
}

// step takes one group off a node that leads at least two more than another, along
// the shortest way that the votes allow: each node on it hands one on.
func (s *spreader) step() bool {
	nodes := make([]chat.NodeID, 0, len(s.count))
	for id := range s.count {
		nodes = append(nodes, id)
	}
	slices.SortFunc(nodes, func(a, b chat.NodeID) int {
		return cmp.Or(cmp.Compare(s.count[b], s.count[a]), cmp.Compare(a, b))
	})
	for _, from := range nodes {
		if s.relieve(from) {
			return true
		}
	}
	return false
}

// relieve searches breadth first from a node for one that leads less.
func (s *spreader) relieve(from chat.NodeID) bool {
	type hop struct {
		group chat.Group
		by    chat.NodeID
	}
	reached := map[chat.NodeID]hop{from: {}}
	for queue := []chat.NodeID{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, g := range s.groups {
			if s.leads[g.Group] != at {
				continue
			}
			for _, to := range g.Voters {
				if _, seen := reached[to]; seen {
					continue
				}
				reached[to] = hop{g.Group, at}
				queue = append(queue, to)
				if s.count[to] > s.count[from]-2 {
					continue
				}
				s.count[from]--
				s.count[to]++
				for id := to; id != from; id = reached[id].by {
					s.leads[reached[id].group] = id
				}
				return true
			}
		}
	}
	return false
}
