package replica

import (
	"cmp"
	"maps"
	"slices"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

const (
	// copiesMax is how many nodes hold a group: one of three may fail.
	copiesMax = 3
	// metaVotersMax bounds the voters of the metadata group, which every node holds:
	// two of five may fail, and more would only make each change slower.
	metaVotersMax = 5
)

// Plan says which nodes shall hold each group, given what they shall hold now. Of
// three nodes or more each group has three voters; every node holds about as many
// groups as every other, the numbers differ by one at most; and of what is placed
// as little moves as that allows. Nodes that leave hold nothing.
//
// A second node alone is a learner: as a voter it would add a copy and take half
// of the times between failures, because two of two must answer. So an even number
// of voters is never planned.
//
// The metadata group is on every node, with one, three or five voters.
//
// Plan is a function of its arguments, their order apart, and changes nothing when
// it is given what it returned. Without nodes that stay it returns nil.
func Plan(nodes []persistence.Node, groups []chat.Group, now []persistence.Placement) []persistence.Placement {
	p := newPlanner(nodes, now)
	if len(p.nodes) == 0 {
		return nil
	}
	var list []persistence.Placement
	var spread []chat.Group
	for _, g := range slices.Compact(slices.Sorted(slices.Values(groups))) {
		if g != persistence.MetaGroup {
			spread = append(spread, g)
			continue
		}
		list = append(list, p.everywhere(g))
	}
	p.keep(spread)
	p.fill(spread)
	p.level(spread)
	for _, g := range spread {
		list = append(list, p.placement(g))
	}
	slices.SortFunc(list, func(a, b persistence.Placement) int { return cmp.Compare(a.Group, b.Group) })
	return list
}

// planner is a plan in the making.
type planner struct {
	// nodes are those that stay, by id.
	nodes []chat.NodeID
	// was is what is placed now, holds who shall hold each group, load how many
	// groups each node shall hold.
	was   map[chat.Group]persistence.Placement
	holds map[chat.Group][]chat.NodeID
	load  map[chat.NodeID]int
	// votes counts the groups that a node votes in where only one does.
	votes map[chat.NodeID]int
}

func newPlanner(nodes []persistence.Node, now []persistence.Placement) *planner {
	p := &planner{was: map[chat.Group]persistence.Placement{}, holds: map[chat.Group][]chat.NodeID{},
		load: map[chat.NodeID]int{}, votes: map[chat.NodeID]int{}}
	for _, n := range nodes {
		if !n.Leaving {
			p.nodes = append(p.nodes, n.ID)
		}
	}
	slices.Sort(p.nodes)
	p.nodes = slices.Compact(p.nodes)
	for _, w := range now {
		p.was[w.Group] = w
	}
	return p
}

// stays are the nodes of a list that stay, by id.
func (p *planner) stays(list []chat.NodeID) []chat.NodeID {
	list = slices.DeleteFunc(slices.Clone(list), func(id chat.NodeID) bool {
		_, stays := slices.BinarySearch(p.nodes, id)
		return !stays
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// before reports whether a node holds a group now.
func (p *planner) before(g chat.Group, id chat.NodeID) bool {
	return slices.Contains(p.was[g].Voters, id) || slices.Contains(p.was[g].Learners, id)
}

// voters is the number of voters of a group that n nodes hold: odd, at most max.
func voters(n, max int) int { return min(n-1+n%2, max) }

// everywhere places a group on every node. Those that vote keep their vote; of the
// others the first by id get one.
func (p *planner) everywhere(g chat.Group) persistence.Placement {
	want := voters(len(p.nodes), metaVotersMax)
	voting := p.stays(p.was[g].Voters)
	voting = voting[:min(len(voting), want)]
	for _, id := range p.nodes {
		if len(voting) < want && !slices.Contains(voting, id) {
			voting = append(voting, id)
		}
	}
	return p.split(g, p.nodes, voting)
}

// split makes a placement of those who hold a group and those of them who vote.
func (p *planner) split(g chat.Group, all, voting []chat.NodeID) persistence.Placement {
	out := persistence.Placement{Group: g}
	for _, id := range all {
		if slices.Contains(voting, id) {
			out.Voters = append(out.Voters, id)
		} else {
			out.Learners = append(out.Learners, id)
		}
	}
	slices.Sort(out.Voters)
	slices.Sort(out.Learners)
	return out
}

// copies is how many nodes hold a group.
func (p *planner) copies() int { return min(len(p.nodes), copiesMax) }

// keep begins with what is placed on nodes that stay. Where that is more than
// needed, learners go first, then whoever holds most.
func (p *planner) keep(groups []chat.Group) {
	for _, g := range groups {
		voting := p.stays(p.was[g].Voters)
		learning := slices.DeleteFunc(p.stays(p.was[g].Learners), func(id chat.NodeID) bool { return slices.Contains(voting, id) })
		p.holds[g] = slices.Concat(voting, learning[:min(len(learning), max(p.copies()-len(voting), 0))])
		for _, id := range p.holds[g] {
			p.load[id]++
		}
	}
	for _, g := range groups {
		for len(p.holds[g]) > p.copies() {
			p.drop(g, slices.MaxFunc(p.holds[g], p.byLoad))
		}
	}
}

func (p *planner) byLoad(a, b chat.NodeID) int {
	return cmp.Or(cmp.Compare(p.load[a], p.load[b]), cmp.Compare(a, b))
}

func (p *planner) drop(g chat.Group, id chat.NodeID) {
	p.holds[g] = slices.DeleteFunc(p.holds[g], func(o chat.NodeID) bool { return o == id })
	p.load[id]--
}

func (p *planner) add(g chat.Group, id chat.NodeID) {
	p.holds[g] = append(p.holds[g], id)
	p.load[id]++
}

// fill gives every group its copies, each on the node that holds least.
func (p *planner) fill(groups []chat.Group) {
	for _, g := range groups {
		for len(p.holds[g]) < p.copies() {
			p.add(g, slices.MinFunc(p.without(g), p.byLoad))
		}
	}
}

// without are the nodes that do not hold a group.
func (p *planner) without(g chat.Group) []chat.NodeID {
	return slices.DeleteFunc(slices.Clone(p.nodes), func(id chat.NodeID) bool { return slices.Contains(p.holds[g], id) })
}

// level moves copies from the node that holds most to the one that holds least
// until they differ by one at most. There is a group to move: the first holds
// more, so not all of its groups are the second's too. Copies that are not where
// they stand yet go first: moving them costs nothing.
func (p *planner) level(groups []chat.Group) {
	for {
		from, to := slices.MaxFunc(p.nodes, p.byLoad), slices.MinFunc(p.nodes, p.byLoad)
		if p.load[from]-p.load[to] <= 1 {
			return
		}
		best, bestCost := chat.Group(0), 3
		for _, g := range groups {
			if !slices.Contains(p.holds[g], from) || slices.Contains(p.holds[g], to) {
				continue
			}
			cost := 0
			if p.before(g, from) {
				cost++
			}
			if !p.before(g, to) {
				cost++
			}
			if cost < bestCost {
				best, bestCost = g, cost
			}
		}
		p.drop(best, from)
		p.add(best, to)
	}
}

// placement says who of those that hold a group votes.
func (p *planner) placement(g chat.Group) persistence.Placement {
	all := p.holds[g]
	if voters(len(all), copiesMax) == len(all) {
		return p.split(g, all, all)
	}
	// One of two: who votes already; else who votes in fewer groups.
	candidates := p.stays(p.was[g].Voters)
	candidates = slices.DeleteFunc(candidates, func(id chat.NodeID) bool { return !slices.Contains(all, id) })
	if len(candidates) == 0 {
		candidates = all
	}
	one := slices.MinFunc(candidates, func(a, b chat.NodeID) int {
		return cmp.Or(cmp.Compare(p.votes[a], p.votes[b]), cmp.Compare(a, b))
	})
	p.votes[one]++
	return p.split(g, all, []chat.NodeID{one})
}

// Transfer is a leadership that shall move.
type Transfer struct {
	Group    chat.Group
	From, To chat.NodeID
}

// Spread says which leaderships to move so that the live nodes lead about as many
// groups as each other, with few transfers: the numbers differ by one at most, or
// by as little as the voters of the groups allow. A leader stays where it is while
// the group has none, or one that is not a live voter: that is the business of
// elections and of Tend.
func Spread(placements []persistence.Placement, leaders map[chat.Group]chat.NodeID, live func(chat.NodeID) bool) []Transfer {
	s := spread{voters: map[chat.Group][]chat.NodeID{}, leads: map[chat.Group]chat.NodeID{}, load: map[chat.NodeID]int{}}
	for _, p := range placements {
		voters := slices.DeleteFunc(slices.Clone(p.Voters), func(id chat.NodeID) bool { return !live(id) })
		for _, id := range voters {
			s.load[id] += 0 // may lead
		}
		if l := leaders[p.Group]; slices.Contains(voters, l) {
			slices.Sort(voters)
			s.voters[p.Group], s.leads[p.Group] = voters, l
			s.load[l]++
			s.groups = append(s.groups, p.Group)
		}
	}
	slices.Sort(s.groups)
	s.groups = slices.Compact(s.groups)
	for s.improve() {
	}
	var list []Transfer
	for _, g := range s.groups {
		if s.leads[g] != leaders[g] {
			list = append(list, Transfer{g, leaders[g], s.leads[g]})
		}
	}
	return list
}

// spread is who leads what, by and by.
type spread struct {
	groups []chat.Group
	voters map[chat.Group][]chat.NodeID
	leads  map[chat.Group]chat.NodeID
	load   map[chat.NodeID]int
}

// improve moves one leadership's worth of load from a node that leads most to one
// that leads at least two less, over as few groups as possible: a group of the
// first to a voter of it, one of that node's to the next, and so on. When no such
// way is left, nothing can be more even.
func (s *spread) improve() bool {
	nodes := slices.SortedFunc(maps.Keys(s.load), func(a, b chat.NodeID) int {
		return cmp.Or(cmp.Compare(s.load[b], s.load[a]), cmp.Compare(a, b))
	})
	var way []Transfer
	for _, from := range nodes {
		if w := s.way(from); len(w) > 0 && (way == nil || len(w) < len(way)) {
			way = w
		}
	}
	for _, t := range way {
		s.leads[t.Group] = t.To
	}
	if len(way) == 0 {
		return false
	}
	s.load[way[0].From]--
	s.load[way[len(way)-1].To]++
	return true
}

// way is the shortest way from a node to one that leads at least two less; of
// those as short, to the one that leads least.
func (s *spread) way(from chat.NodeID) []Transfer {
	came := map[chat.NodeID]Transfer{from: {}}
	for level := []chat.NodeID{from}; len(level) > 0; {
		var next []chat.NodeID
		for _, at := range level {
			for _, g := range s.groups {
				if s.leads[g] != at {
					continue
				}
				for _, to := range s.voters[g] {
					if _, seen := came[to]; !seen {
						came[to] = Transfer{g, at, to}
						next = append(next, to)
					}
				}
			}
		}
		if len(next) > 0 {
			end := slices.MinFunc(next, func(a, b chat.NodeID) int {
				return cmp.Or(cmp.Compare(s.load[a], s.load[b]), cmp.Compare(a, b))
			})
			if s.load[from]-s.load[end] >= 2 {
				var way []Transfer
				for at := end; at != from; at = came[at].From {
					way = append(way, came[at])
				}
				slices.Reverse(way)
				return way
			}
		}
		level = next
	}
	return nil
}
