package replica_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

var planned = func() (groups []chat.Group) {
	for g := range 16 {
		groups = append(groups, chat.Group(g))
	}
	return append(groups, persistence.MetaGroup)
}()

func members(ids ...chat.NodeID) (nodes []persistence.Node) {
	for _, id := range ids {
		nodes = append(nodes, persistence.Node{ID: id})
	}
	return nodes
}

// However nodes come and go, every group has its copies on distinct nodes that
// stay, no node holds more than one more than another, and planning again changes
// nothing.
func TestPlan_GivesEveryNodeItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var now []persistence.Placement
		present := map[chat.NodeID]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			id := chat.NodeID(rapid.IntRange(1, 8).Draw(t, "node"))
			present[id] = !present[id]
			var nodes []persistence.Node
			stay := 0
			for id, in := range present {
				nodes = append(nodes, persistence.Node{ID: id, Leaving: !in})
				if in {
					stay++
				}
			}
			if stay == 0 {
				if plan := replica.Plan(nodes, planned, now); plan != nil {
					t.Fatalf("without a node there is the plan %v", plan)
				}
				continue
			}
			before := now
			now = replica.Plan(nodes, planned, before)
			if again := replica.Plan(nodes, planned, now); !reflect.DeepEqual(again, now) {
				t.Fatalf("planned again: %v, then %v", now, again)
			}
			held := map[chat.NodeID]int{}
			for _, p := range now {
				want := min(3, stay)
				if p.Group == persistence.MetaGroup {
					if want = min(5, stay); want == 4 {
						want = 3
					}
					if len(p.Voters)+len(p.Learners) != stay {
						t.Fatalf("the metadata group is on %v and %v of %d nodes", p.Voters, p.Learners, stay)
					}
				} else {
					for _, id := range p.Voters {
						held[id]++
					}
				}
				if len(p.Voters) != want || !slices.IsSorted(p.Voters) || len(slices.Compact(slices.Clone(p.Voters))) != want {
					t.Fatalf("group %d has the voters %v, want %d", p.Group, p.Voters, want)
				}
				for _, id := range p.Voters {
					if !present[id] {
						t.Fatalf("group %d is on node %d, which leaves", p.Group, id)
					}
				}
			}
			for a := range held {
				for b, in := range present {
					if in && held[a]-held[b] > 1 {
						t.Fatalf("node %d holds %d groups, node %d %d", a, held[a], b, held[b])
					}
				}
			}
		}
	})
}

// A node that comes gets its share and no more is moved than that.
func TestPlan_MovesLittle(t *testing.T) {
	five := replica.Plan(members(1, 2, 3, 4, 5), planned, replica.Plan(members(1, 2, 3, 4), planned, nil))
	six := replica.Plan(members(1, 2, 3, 4, 5, 6), planned, five)
	moved := 0
	for i, p := range six {
		for _, id := range p.Voters {
			if p.Group != persistence.MetaGroup && !slices.Contains(five[i].Voters, id) {
				moved++
			}
		}
	}
	if moved != 8 { // 48 copies over 6 nodes
		t.Errorf("%d copies moved to a sixth node, want 8", moved)
	}
}

func TestSpread_EvensLeadershipOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := members(1, 2, 3, 4, 5)[:rapid.IntRange(1, 5).Draw(t, "nodes")]
		places := replica.Plan(nodes, planned, nil)
		down := chat.NodeID(rapid.IntRange(0, 5).Draw(t, "down"))
		live := func(id chat.NodeID) bool { return id != down }
		leaders := map[chat.Group]chat.NodeID{}
		for _, p := range places {
			fit := slices.DeleteFunc(slices.Clone(p.Voters), func(id chat.NodeID) bool { return !live(id) })
			if len(fit) > 0 && rapid.IntRange(0, 9).Draw(t, "led") > 0 {
				leaders[p.Group] = rapid.SampledFrom(fit).Draw(t, "leader")
			}
		}
		moves := replica.Spread(places, leaders, live)
		for _, m := range moves {
			i := slices.IndexFunc(places, func(p persistence.Placement) bool { return p.Group == m.Group })
			if leaders[m.Group] != m.From || !slices.Contains(places[i].Voters, m.To) || !live(m.To) {
				t.Fatalf("%+v, led by %d, voters %v", m, leaders[m.Group], places[i].Voters)
			}
			leaders[m.Group] = m.To
		}
		led := map[chat.NodeID]int{}
		for _, id := range leaders {
			led[id]++
		}
		for _, p := range places {
			from := leaders[p.Group]
			for _, to := range p.Voters {
				if from != 0 && live(to) && led[from]-led[to] > 1 {
					t.Fatalf("node %d leads %d groups and could give group %d to node %d, which leads %d", from, led[from], p.Group, to, led[to])
				}
			}
		}
		if again := replica.Spread(places, leaders, live); len(again) > 0 {
			t.Fatalf("spread again: %v", again)
		}
	})
}
