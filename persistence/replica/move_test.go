package replica_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// moving is a cluster whose nodes tend their groups towards one placement.
type moving struct {
	*cluster
	want  atomic.Pointer[[]persistence.Placement]
	life  context.Context
	tends sync.WaitGroup
}

func newMoving(t testing.TB) *moving {
	m := &moving{cluster: newCluster(t)}
	m.want.Store(new([]persistence.Placement))
	life, stop := context.WithCancel(context.Background())
	m.life = life
	t.Cleanup(func() { // before the nodes close
		stop()
		m.tends.Wait()
	})
	return m
}

// join starts a node that the first one knows of.
func (m *moving) join(id chat.NodeID) *clusterNode {
	n := m.start(id, vfs.NewMem(), replica.Options{Voters: []chat.NodeID{1}})
	m.tends.Go(func() {
		n.node.Tend(m.life, 5*time.Millisecond, func() []persistence.Placement { return *m.want.Load() })
	})
	return n
}

// place plans for the given nodes; those that are not among them leave.
func (m *moving) place(stay ...chat.NodeID) []persistence.Placement {
	var nodes []persistence.Node
	for _, id := range stay {
		nodes = append(nodes, persistence.Node{ID: id})
	}
	list := replica.Plan(nodes, m.nodes[1].store.GroupIDs(), *m.want.Load())
	m.want.Store(&list)
	return list
}

// arrived reports whether every group has the members that it shall have, as its
// leader knows.
func (m *moving) arrived() bool {
	there := 0
	for _, n := range m.nodes {
		for _, s := range n.node.Status() {
			for _, p := range *m.want.Load() {
				slices.Sort(s.Voters)
				slices.Sort(s.Learners)
				if p.Group == s.Group && s.Leader == n.id && n.store.Epoch(s.Group) != 0 &&
					slices.Equal(s.Voters, p.Voters) && slices.Equal(s.Learners, p.Learners) {
					there++
				}
			}
		}
	}
	return there == len(*m.want.Load())
}

// content is a digest of everything that a node has of a group.
func content(t testing.TB, s *persistence.Store, g chat.Group) string {
	t.Helper()
	lower, upper := persistence.GroupSpan(g)
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		for _, b := range [][]byte{it.Key(), it.Value()} {
			h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
			h.Write(b)
		}
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d rows %x", n, h.Sum(nil)[:8])
}

// same waits until all that hold a group hold the same.
func (m *moving) same() {
	m.t.Helper()
	for _, p := range *m.want.Load() {
		m.eventually(fmt.Sprintf("the members of group %d have the same", p.Group), func() bool {
			contents := map[string]bool{}
			for _, id := range slices.Concat(p.Voters, p.Learners) {
				contents[content(m.t, m.nodes[id].store, p.Group)] = true
			}
			return len(contents) == 1
		})
	}
}

// A node becomes two, three, five, two, and three others, while people write: the
// first one leads everything at the beginning and holds nothing at the end. Votes
// are given, taken and given up; some nodes leave and come back.
func TestCluster_MovesWhileItServes(t *testing.T) {
	m := newMoving(t)
	one := m.join(1)
	m.place(1)
	admit(t, one.store, "acme")
	p := person(t, one.store, "acme", 1)
	var said []string
	more := func() {
		said = append(said, fmt.Sprint("message ", len(said)))
		m.say(p, said[len(said)-1])
	}
	more()
	stay := []chat.NodeID{1}
	for _, step := range []struct{ joins, stays []chat.NodeID }{
		{[]chat.NodeID{2}, []chat.NodeID{1, 2}},
		{[]chat.NodeID{3}, []chat.NodeID{1, 2, 3}},
		{[]chat.NodeID{4, 5}, []chat.NodeID{1, 2, 3, 4, 5}},
		{nil, []chat.NodeID{1, 5}},
		{nil, []chat.NodeID{3, 4, 5}},
	} {
		for _, id := range step.joins {
			m.join(id)
		}
		stay = step.stays
		m.place(stay...)
		m.eventually(fmt.Sprint("the groups moved to ", stay), func() bool {
			more()
			return m.arrived()
		})
		more()
		m.same()
	}
	for _, id := range []chat.NodeID{1, 2} {
		for _, s := range m.nodes[id].node.Status() {
			if m.nodes[id].store.Epoch(s.Group) != 0 {
				t.Errorf("node %d left and leads group %d", id, s.Group)
			}
		}
		m.stop(id)
	}
	more()
	more()
	m.agree(p, said)
	m.same()
	for _, n := range m.nodes {
		checked(t, n.store)
	}
}

// A group of one moves to another node, and back to the first, which had left.
func TestCluster_MovesASoleVoter(t *testing.T) {
	m := newMoving(t)
	one := m.join(1)
	admit(t, one.store, "acme")
	p := person(t, one.store, "acme", 1)
	m.say(p, "one")
	two := m.join(2)
	for i, id := range []chat.NodeID{2, 1} {
		m.place(id)
		m.eventually("the groups moved", m.arrived)
		m.say(p, fmt.Sprint("moved ", i))
		m.same()
	}
	here := *p
	here.Store = one.store
	if got := texts(t, &here); !slices.Equal(got, []string{"one", "moved 0", "moved 1"}) {
		t.Errorf("node 1 has %q", got)
	}
	checked(t, one.store)
	checked(t, two.store)
}
