package replica_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// A member that was removed is not told. It gives up its copy when the leader's
// account says so, and only then; it keeps nothing but its term and vote, across a
// restart too; and it can come back.
func TestCluster_LeavesWhatItIsNoMemberOf(t *testing.T) {
	c := newCluster(t)
	for _, id := range three {
		c.start(id, vfs.NewMem(), replica.Options{Voters: three})
	}
	c.admit("acme")
	c.leadAll(c.nodes[1])
	p := person(t, c.nodes[1].store, "acme", 1)
	c.say(p, "one")
	c.agree(p, []string{"one"})
	g := p.Store.Group("acme")
	statusOf := func(n *clusterNode) replica.Status {
		for _, s := range n.node.Status() {
			if s.Group == g {
				return s
			}
		}
		t.Fatal("there is no such group")
		return replica.Status{}
	}
	before := statusOf(c.leader(g))
	left := func(s replica.Status) bool {
		t.Helper()
		done, err := c.nodes[3].node.Leave(s)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	if left(before) {
		t.Fatal("a member left")
	}
	c.mu.Lock()
	c.cut[3] = true
	c.mu.Unlock()
	c.leadAll(c.nodes[1])
	c.change(3, raftpb.ConfChangeRemoveNode)
	c.say(p, "two")
	c.mu.Lock()
	delete(c.cut, 3)
	c.mu.Unlock()
	if s := statusOf(c.nodes[3]); s.Left(3) {
		t.Fatalf("a member that was cut off knows of its removal: %+v", s)
	}

	stale := statusOf(c.leader(g))
	stale.Term = 1
	if left(stale) {
		t.Error("left by the account of an earlier leader")
	}
	c.eventually("node 3 leaves", func() bool { return left(statusOf(c.leader(g))) })
	if statusOf(c.nodes[3]); left(statusOf(c.leader(g))) {
		t.Error("left twice")
	}
	empty := func() {
		t.Helper()
		start, _ := persistence.GroupSpan(g)
		if n := rows(t, c.nodes[3].store, start); n != 2 { // how far it has applied: nothing, and the members
			t.Errorf("%d rows are left", n)
		}
		if n := rows(t, c.nodes[3].store, persistence.AppendLog(nil, g)); n != 0 {
			t.Errorf("%d entries are left", n)
		}
		if s := statusOf(c.nodes[3]); !s.Left(3) || s.Applied != 0 || s.Term < before.Term {
			t.Errorf("after it has left: %+v, before: %+v", s, before)
		}
	}
	empty()
	c.start(3, c.stop(3), replica.Options{Voters: three})
	empty()

	c.say(p, "three")
	c.change(3, raftpb.ConfChangeAddLearnerNode)
	c.change(3, raftpb.ConfChangeAddNode)
	c.say(p, "four")
	c.agree(p, []string{"one", "two", "three", "four"})
	for _, n := range c.nodes {
		checked(t, n.store)
	}
	if s := statusOf(c.nodes[3]); s.Left(3) || s.Leader == chat.NodeID(0) {
		t.Errorf("back again: %+v", s)
	}
}
