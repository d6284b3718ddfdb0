package replica

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

func nodesOf(ids ...chat.NodeID) (list []persistence.Node) {
	for _, id := range ids {
		list = append(list, persistence.Node{ID: id})
	}
	return list
}

func groupsOf(n int) []chat.Group {
	list := []chat.Group{persistence.MetaGroup}
	for g := range n {
		list = append(list, chat.Group(g))
	}
	return list
}

// loads counts the groups of each node, the metadata group apart.
func loads(plan []persistence.Placement) map[chat.NodeID]int {
	n := map[chat.NodeID]int{}
	for _, p := range plan {
		if p.Group != persistence.MetaGroup {
			for _, id := range slices.Concat(p.Voters, p.Learners) {
				n[id]++
			}
		}
	}
	return n
}

// moved counts the copies of groups in after that were not in before.
func moved(before, after []persistence.Placement) (n int) {
	had := map[chat.Group][]chat.NodeID{}
	for _, p := range before {
		had[p.Group] = slices.Concat(p.Voters, p.Learners)
	}
	for _, p := range after {
		for _, id := range slices.Concat(p.Voters, p.Learners) {
			if p.Group != persistence.MetaGroup && !slices.Contains(had[p.Group], id) {
				n++
			}
		}
	}
	return n
}

// sound expects of a plan what Plan promises whatever was placed before.
func sound(t interface{ Fatalf(string, ...any) }, nodes []persistence.Node, groups []chat.Group, plan []persistence.Placement) {
	live := map[chat.NodeID]bool{}
	for _, n := range nodes {
		if !n.Leaving {
			live[n.ID] = true
		}
	}
	if len(live) == 0 {
		if plan != nil {
			t.Fatalf("a plan without nodes: %+v", plan)
		}
		return
	}
	if len(plan) != len(groups) {
		t.Fatalf("%d placements of %d groups", len(plan), len(groups))
	}
	for i, p := range plan {
		if i > 0 && plan[i-1].Group >= p.Group {
			t.Fatalf("not by group: %+v", plan)
		}
		wantCopies, wantVoters := min(len(live), 3), []int{0, 1, 1, 3}[min(len(live), 3)]
		if p.Group == persistence.MetaGroup {
			wantCopies, wantVoters = len(live), []int{0, 1, 1, 3, 3, 5}[min(len(live), 5)]
		}
		if len(p.Voters) != wantVoters || len(p.Voters)+len(p.Learners) != wantCopies {
			t.Fatalf("%d nodes, group %d: %+v", len(live), p.Group, p)
		}
		seen := map[chat.NodeID]bool{}
		for _, list := range [][]chat.NodeID{p.Voters, p.Learners} {
			if !slices.IsSorted(list) {
				t.Fatalf("not sorted: %+v", p)
			}
			for _, id := range list {
				if !live[id] || seen[id] {
					t.Fatalf("node %d in %+v", id, p)
				}
				seen[id] = true
			}
		}
	}
	n := loads(plan)
	least, most := math.MaxInt, 0
	for id := range live {
		least, most = min(least, n[id]), max(most, n[id])
	}
	if most-least > 1 {
		t.Fatalf("uneven: %v", n)
	}
}

func drawNodes(t *rapid.T) (nodes []persistence.Node) {
	for _, id := range rapid.SliceOfNDistinct(rapid.Uint64Range(1, 20), 0, 9, rapid.ID).Draw(t, "nodes") {
		nodes = append(nodes, persistence.Node{ID: chat.NodeID(id), Leaving: rapid.IntRange(0, 4).Draw(t, "leaving") == 0})
	}
	return nodes
}

func shuffled[T any](seed uint64, list []T) []T {
	list = slices.Clone(list)
	rng := rand.New(rand.NewPCG(seed, 0))
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// Whatever is placed, also by hand, the plan is sound, and planning again changes
// nothing, whatever the order of what it is given.
func TestPlan_IsSoundAndSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		groups := groupsOf(rapid.IntRange(0, 20).Draw(t, "groups"))
		var now []persistence.Placement
		for _, g := range groups {
			ids := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 20), 0, 6, rapid.ID).Draw(t, "placed")
			cut := rapid.IntRange(0, len(ids)).Draw(t, "voters")
			p := persistence.Placement{Group: g}
			for i, id := range ids {
				if i < cut {
					p.Voters = append(p.Voters, chat.NodeID(id))
				} else {
					p.Learners = append(p.Learners, chat.NodeID(id))
				}
			}
			now = append(now, p)
		}
		plan := Plan(nodes, groups, now)
		sound(t, nodes, groups, plan)
		seed := rapid.Uint64().Draw(t, "seed")
		if again := Plan(shuffled(seed, nodes), shuffled(seed, groups), shuffled(seed, now)); !reflect.DeepEqual(again, plan) {
			t.Fatalf("the order matters:\n%+v\n%+v", plan, again)
		}
		if again := Plan(nodes, groups, plan); len(plan) > 0 && !reflect.DeepEqual(again, plan) {
			t.Fatalf("planned again:\n%+v\n%+v", plan, again)
		}
	})
}

// One node more takes its share and nothing else moves; one less gives away what
// it had, and next to nothing else moves.
func TestPlan_MovesLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := groupsOf(rapid.IntRange(1, 32).Draw(t, "groups"))
		nodes := nodesOf(1)
		plan := Plan(nodes, groups, nil)
		last := chat.NodeID(1)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			before := plan
			if len(nodes) == 1 || rapid.Bool().Draw(t, "more") {
				last++
				nodes = append(nodes, persistence.Node{ID: last})
				plan = Plan(nodes, groups, before)
				sound(t, nodes, groups, plan)
				// Up to three nodes a group gets a copy more, and nothing moves.
				if n := moved(before, plan); n != loads(plan)[last] {
					t.Fatalf("%d nodes now, %d copies moved, the new node holds %d", len(nodes), n, loads(plan)[last])
				}
				continue
			}
			gone := rapid.IntRange(0, len(nodes)-1).Draw(t, "gone")
			id := nodes[gone].ID
			leaving := slices.Clone(nodes)
			leaving[gone].Leaving = true
			nodes = slices.Delete(nodes, gone, gone+1)
			plan = Plan(leaving, groups, before)
			sound(t, leaving, groups, plan)
			if same := Plan(nodes, groups, before); !reflect.DeepEqual(same, plan) {
				t.Fatalf("a node that leaves is not one that left")
			}
			if n, had := moved(before, plan), loads(before)[id]; n > had+len(nodes) {
				t.Fatalf("%d nodes left, %d copies moved for the %d of node %d", len(nodes), n, had, id)
			}
		}
	})
}

func TestPlan_KeepsVotes(t *testing.T) {
	groups := groupsOf(2)
	plan := Plan(nodesOf(7, 8), groups, []persistence.Placement{{Group: 0, Voters: []chat.NodeID{8}},
		{Group: 1, Voters: []chat.NodeID{7}}, {Group: persistence.MetaGroup, Voters: []chat.NodeID{8}}})
	want := []persistence.Placement{{Group: 0, Voters: []chat.NodeID{8}, Learners: []chat.NodeID{7}},
		{Group: 1, Voters: []chat.NodeID{7}, Learners: []chat.NodeID{8}},
		{Group: persistence.MetaGroup, Voters: []chat.NodeID{8}, Learners: []chat.NodeID{7}}}
	if !reflect.DeepEqual(plan, want) {
		t.Errorf("%+v", plan)
	}
}

// balance is what Spread makes smallest first: the sum of the squares of what each
// node leads.
func balance(leads map[chat.Group]chat.NodeID) (sum int) {
	load := map[chat.NodeID]int{}
	for _, id := range leads {
		load[id]++
	}
	for _, n := range load {
		sum += n * n
	}
	return sum
}

// Against trying everything: nothing is more even, and nothing as even takes fewer
// transfers.
func TestSpread_IsAsEvenAsCanBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const nodes = 4
		dead := chat.NodeID(rapid.IntRange(1, 2*nodes).Draw(t, "dead"))
		live := func(id chat.NodeID) bool { return id != dead }
		var placements []persistence.Placement
		leaders := map[chat.Group]chat.NodeID{}
		var free []chat.Group
		choices := map[chat.Group][]chat.NodeID{}
		for g := range chat.Group(rapid.IntRange(0, 6).Draw(t, "groups")) {
			p := persistence.Placement{Group: g}
			for _, id := range rapid.SliceOfNDistinct(rapid.Uint64Range(1, nodes), 1, 3, rapid.ID).Draw(t, "voters") {
				p.Voters = append(p.Voters, chat.NodeID(id))
				if live(chat.NodeID(id)) {
					choices[g] = append(choices[g], chat.NodeID(id))
				}
			}
			placements = append(placements, p)
			leaders[g] = chat.NodeID(rapid.IntRange(0, nodes).Draw(t, "leader"))
			if slices.Contains(choices[g], leaders[g]) {
				free = append(free, g)
			}
		}
		after := map[chat.Group]chat.NodeID{}
		for _, g := range free {
			after[g] = leaders[g]
		}
		transfers := Spread(placements, leaders, live)
		for _, m := range transfers {
			if !slices.Contains(free, m.Group) || m.From != leaders[m.Group] || m.To == m.From || !slices.Contains(choices[m.Group], m.To) {
				t.Fatalf("%+v of %+v, leaders %v", m, placements, leaders)
			}
			after[m.Group] = m.To
		}
		best, fewest := math.MaxInt, 0
		try := map[chat.Group]chat.NodeID{}
		var each func(i, cost int)
		each = func(i, cost int) {
			if i == len(free) {
				if b := balance(try); b < best || b == best && cost < fewest {
					best, fewest = b, cost
				}
				return
			}
			for _, id := range choices[free[i]] {
				try[free[i]] = id
				more := 1
				if id == leaders[free[i]] {
					more = 0
				}
				each(i+1, cost+more)
			}
		}
		each(0, 0)
		if balance(after) != best || len(transfers) != fewest {
			t.Fatalf("balance %d with %d transfers, best %d with %d\n%+v %v: %+v", balance(after), len(transfers), best, fewest, placements, leaders, transfers)
		}
	})
}

func TestSpread_OfPlansIsEven(t *testing.T) {
	for n := 3; n <= 9; n++ {
		var ids []chat.NodeID
		for id := range n {
			ids = append(ids, chat.NodeID(id+1))
		}
		plan := Plan(nodesOf(ids...), groupsOf(16), nil)
		leaders := map[chat.Group]chat.NodeID{}
		for _, p := range plan {
			leaders[p.Group] = p.Voters[0]
		}
		for _, m := range Spread(plan, leaders, func(chat.NodeID) bool { return true }) {
			leaders[m.Group] = m.To
		}
		load := map[chat.NodeID]int{}
		for _, id := range leaders {
			load[id]++
		}
		least, most := math.MaxInt, 0
		for _, id := range ids {
			least, most = min(least, load[id]), max(most, load[id])
		}
		if most-least > 1 {
			t.Error(fmt.Sprint(n, " nodes lead ", load))
		}
	}
}
