package replica_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// wire is a network without faults within the process.
type wire struct {
	mu    sync.Mutex
	nodes map[replica.NodeID]*replica.Node
}

func (w *wire) node(id replica.NodeID) *replica.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[id]
}

func (w *wire) Send(messages []replica.Message) {
	for _, m := range messages {
		if n := w.node(replica.NodeID(m.GetTo())); n != nil {
			n.Receive([]replica.Message{{Group: m.Group, Message: proto.Clone(m.Message).(*raftpb.Message)}})
		}
	}
}

func (w *wire) SendSnapshot(ctx context.Context, to replica.NodeID, header []byte, body io.Reader) error {
	n := w.node(to)
	if n == nil {
		return chat.E("wire", chat.KindUnavailable, "nobody is there", nil)
	}
	return n.ReceiveSnapshot(ctx, header, body)
}

func (w *wire) start(t *testing.T, id replica.NodeID) (*persistence.Store, *replica.Node) {
	t.Helper()
	s, err := persistence.Open(options(t, vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	n, err := replica.Start(t.Context(), s, replica.Options{ID: id, Voters: []replica.NodeID{1}, Transport: w,
		Tick: 10 * time.Millisecond, LogLen: 50, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.nodes[id] = n
	w.mu.Unlock()
	return s, n
}

// eventually waits for something that real goroutines do.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("in vain: ", what)
		}
	}
}

// The goroutines around the core: a group of one becomes three, hands over, and
// goes on without the first.
func TestNode_GrowsHandsOverAndGoesOn(t *testing.T) {
	w := &wire{nodes: map[replica.NodeID]*replica.Node{}}
	s1, n1 := w.start(t, 1)
	admit(t, s1, "acme")
	p := person(t, s1, "acme", 1)
	say(t, p, "alone")
	s2, n2 := w.start(t, 2)
	s3, n3 := w.start(t, 3)
	defer closed(t, s2)
	defer closed(t, s3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	change := func(kind raftpb.ConfChangeType, ids ...uint64) *raftpb.ConfChangeV2 {
		c := &raftpb.ConfChangeV2{}
		for _, id := range ids {
			c.Changes = append(c.Changes, &raftpb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(id)})
		}
		return c
	}
	for _, g := range s1.GroupIDs() {
		if err := n1.Change(ctx, g, change(raftpb.ConfChangeAddLearnerNode, 2, 3)); err != nil {
			t.Fatal(err)
		}
		for _, id := range []uint64{2, 3} {
			eventually(t, "a voter more", func() bool { return n1.Change(ctx, g, change(raftpb.ConfChangeAddNode, id)) == nil })
		}
	}
	say(t, p, "three")
	g := s1.Group("acme")
	for _, n := range []*replica.Node{n2, n3} {
		if err := n.Barrier(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	p.Store = s3
	if got := texts(t, p); !slices.Equal(got, []string{"alone", "three"}) {
		t.Errorf("the third node has %q", got)
	}

	n1.Transfer(g, 2)
	eventually(t, "the second node leads", func() bool { return s2.Epoch(g) != 0 })
	closed(t, s1)
	p.Store = s2
	say(t, p, "two")
	if err := n3.Barrier(ctx, g); err != nil {
		t.Fatal(err)
	}
	p.Store = s3
	if got := texts(t, p); !slices.Equal(got, []string{"alone", "three", "two"}) {
		t.Errorf("the third node has %q", got)
	}
	checked(t, s2)
	checked(t, s3)
}
