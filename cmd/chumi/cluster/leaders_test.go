package cluster

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

// What this node's replica knows goes first, then what others said; a guess is
// another holder each time, never this node, and never passes for knowledge.
func TestLeaders_AsksWhoMayKnow(t *testing.T) {
	own := map[chat.Group]chat.NodeID{}
	l := newLeaders(1, func(g chat.Group) chat.NodeID { return own[g] }, func(g chat.Group) []chat.NodeID {
		if g == 9 {
			return []chat.NodeID{1}
		}
		return []chat.NodeID{1, 2, 3}
	})
	want := func(what string, leader, known chat.NodeID) {
		t.Helper()
		if got := l.leader(7); got != leader {
			t.Errorf("%s: asks node %d, want %d", what, got, leader)
		}
		if got := l.known(7); got != known {
			t.Errorf("%s: knows node %d, want %d", what, got, known)
		}
	}
	want("nobody said", 2, 0)
	l.misled(7, 2, 0)
	l.misled(7, 2, 0)
	want("node 2 did not know", 3, 0)
	l.misled(7, 3, 2)
	want("node 3 said", 2, 2)
	l.misled(7, 2, 1) // this node knows better who it is
	want("node 2 was wrong", 2, 0)
	l.tell(7, 3)
	want("told", 3, 3)
	l.tell(7, 0)
	want("told that nobody leads", 2, 0)
	own[7] = 2
	want("by its replica", 2, 2)
	if got := l.leader(9); got != 0 {
		t.Errorf("with nobody else to ask it asks node %d", got)
	}
}

// A node that hears of no leader any more does not go on believing in the last one.
func TestNode_ForgetsLeadersNobodySpeaksOf(t *testing.T) {
	nobody := func(chat.Group) chat.NodeID { return 0 }
	n := &Node{self: 1, leaders: newLeaders(1, nobody, func(chat.Group) []chat.NodeID { return nil })}
	n.hear(&Status{Groups: []GroupState{{Group: 7, Leader: 3}}})
	if got := n.leaders.known(7); got != 3 {
		t.Fatalf("it knows node %d, was told 3", got)
	}
	n.hear(&Status{Groups: []GroupState{{Group: 7}}})
	if got := n.leaders.known(7); got != 0 {
		t.Errorf("it still believes in node %d", got)
	}
}
