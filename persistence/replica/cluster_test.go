package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/persistence/replica"
)

// cluster is nodes of one process with a network between them that can be cut.
type cluster struct {
	t     testing.TB
	mu    sync.RWMutex
	nodes map[chat.NodeID]*clusterNode
	cut   map[chat.NodeID]bool
	log   uint64
	// snapshot, which can be nil, is told what became of each one.
	snapshot func(err error)
	// builds are what nodes can run under, where that is not what this build can; fatal
	// is told why a node ended. Both can be nil.
	builds map[chat.NodeID]persistence.Formats
	fatal  func(id chat.NodeID, reason string)
}

type clusterNode struct {
	id    chat.NodeID
	fs    vfs.FS
	store *persistence.Store
	node  *replica.Node
}

// wire is a node's end of the network.
type wire struct {
	of   *cluster
	from chat.NodeID
}

func (w wire) peer(to uint64) (*replica.Node, bool) {
	w.of.mu.RLock()
	defer w.of.mu.RUnlock()
	n, ok := w.of.nodes[chat.NodeID(to)]
	if !ok || w.of.cut[w.from] || w.of.cut[chat.NodeID(to)] {
		return nil, false
	}
	return n.node, true
}

// Send implements replica.Transport.
func (w wire) Send(messages []replica.Message) {
	for _, m := range messages {
		if n, ok := w.peer(m.GetTo()); ok && n != nil {
			n.Receive([]replica.Message{{Group: m.Group, Message: proto.Clone(m.Message).(*raftpb.Message)}})
		}
	}
}

// SendSnapshot implements replica.Transport.
func (w wire) SendSnapshot(ctx context.Context, to chat.NodeID, header []byte, body io.Reader) error {
	n, ok := w.peer(uint64(to))
	if !ok || n == nil {
		return errors.New("unreachable")
	}
	err := n.ReceiveSnapshot(ctx, bytes.Clone(header), body)
	if w.of.snapshot != nil {
		w.of.snapshot(err)
	}
	return err
}

func newCluster(t testing.TB) *cluster {
	c := &cluster{t: t, nodes: map[chat.NodeID]*clusterNode{}, cut: map[chat.NodeID]bool{}}
	t.Cleanup(func() {
		for id := range c.nodes {
			c.stop(id)
		}
	})
	return c
}

// start opens a node on fs; o says how its groups begin.
func (c *cluster) start(id chat.NodeID, fs vfs.FS, o replica.Options) *clusterNode {
	c.t.Helper()
	so := options(c.t, fs)
	so.Formats = c.builds[id]
	if c.fatal != nil {
		so.Fatal = func(reason string) { c.fatal(id, reason); runtime.Goexit() }
	}
	s, err := persistence.Open(so)
	if err != nil {
		c.t.Fatal(err)
	}
	o.ID, o.Transport, o.Logger, o.Tick, o.LogLen = id, wire{c, id}, quiet, 20*time.Millisecond, c.log
	n, err := replica.Start(s, o)
	if err != nil {
		c.t.Fatal(err)
	}
	cn := &clusterNode{id: id, fs: fs, store: s, node: n}
	c.mu.Lock()
	c.nodes[id] = cn
	c.mu.Unlock()
	return cn
}

func (c *cluster) stop(id chat.NodeID) vfs.FS {
	c.mu.Lock()
	n := c.nodes[id]
	delete(c.nodes, id)
	c.mu.Unlock()
	if n == nil {
		return nil
	}
	closed(c.t, n.store)
	return n.fs
}

// eventually waits until f holds.
func (c *cluster) eventually(what string, f func() bool) {
	c.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	for id, n := range c.nodes {
		c.t.Logf("node %d: %+v", id, n.node.Status())
	}
	c.t.Fatal("never: " + what)
}

// leader waits for a node that leads g.
func (c *cluster) leader(g chat.Group) (found *clusterNode) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("somebody leads group %d", g), func() bool {
		c.mu.RLock()
		defer c.mu.RUnlock()
		for _, n := range c.nodes {
			if n.store.Epoch(g) != 0 && !c.cut[n.id] {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

// admit makes a tenant known: its rows are of the metadata group and its own,
// which one node must lead.
func (c *cluster) admit(tenant chat.TenantID) {
	c.t.Helper()
	n := c.leader(persistence.MetaGroup)
	c.leadAll(n)
	admit(c.t, n.store, tenant)
}

// leadAll makes n lead every group.
func (c *cluster) leadAll(n *clusterNode) {
	c.t.Helper()
	for _, g := range n.store.GroupIDs() {
		c.eventually("leadership moved", func() bool {
			if l := c.leader(g); l != n {
				l.node.Transfer(g, n.id)
			}
			return n.store.Epoch(g) != 0
		})
	}
}

// say appends a person's message through whoever leads, as an activation would:
// what is not known to have happened is looked up before it is tried again.
func (c *cluster) say(p *persistencetest.Person, text string) {
	c.t.Helper()
	c.eventually("a message is applied", func() bool {
		n := c.leader(p.Store.Group(p.State.Tenant))
		p.Store = n.store
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if n.node.Barrier(ctx, n.store.Group(p.State.Tenant)) != nil {
			return false
		}
		state, found, err := n.store.Load(p.State.Tenant, p.Place.Conversation)
		if err != nil {
			c.t.Fatal(err)
		}
		if found && state.Seq > p.State.Seq {
			p.State = state // the attempt before was applied after all
			return true
		}
		commit := p.Message(text)
		r, err := n.store.Append(ctx, commit)
		if err == nil && r.Answer == chat.Applied {
			p.Adopt(commit)
			return true
		}
		return false
	})
}

// agree waits until every node has the same messages of a person.
func (c *cluster) agree(p *persistencetest.Person, want []string) {
	c.t.Helper()
	for _, n := range c.nodes {
		var got []string
		defer func() {
			if c.t.Failed() && !slices.Equal(got, want) {
				c.t.Logf("node %d has %q of %q, groups %+v", n.id, got, want, n.node.Status())
			}
		}()
		c.eventually(fmt.Sprintf("node %d has what was said", n.id), func() bool {
			here := *p
			here.Store = n.store
			if _, err := n.store.Events(p.State.Tenant, p.Place.Conversation, 0, 1); err == nil {
				got = texts(c.t, &here)
			}
			return slices.Equal(got, want)
		})
	}
}

var three = []chat.NodeID{1, 2, 3}

func TestCluster_SurvivesItsLeader(t *testing.T) {
	c := newCluster(t)
	for _, id := range three {
		c.start(id, vfs.NewMem(), replica.Options{Voters: three})
	}
	c.admit("acme")
	first := c.leader(0).store
	p := person(t, first, "acme", 1)
	group := first.Group("acme")
	var said []string
	for round := range 3 {
		for i := range 5 {
			said = append(said, fmt.Sprint(round, "/", i))
			c.say(p, said[len(said)-1])
		}
		led := c.leader(group)
		fs := c.stop(led.id)
		said = append(said, fmt.Sprint(round, "/after"))
		c.say(p, said[len(said)-1])
		c.start(led.id, fs, replica.Options{Voters: three})
	}
	c.agree(p, said)
	for _, n := range c.nodes {
		checked(t, n.store)
	}
}

// A leader that is cut off answers nobody, not even a read, and what it was
// given is not applied under its epoch when it comes back.
func TestCluster_TheMinorityAcknowledgesNothing(t *testing.T) {
	c := newCluster(t)
	for _, id := range three {
		c.start(id, vfs.NewMem(), replica.Options{Voters: three})
	}
	c.admit("acme")
	p := person(t, c.leader(0).store, "acme", 1)
	c.say(p, "one")
	group := p.Store.Group("acme")
	old := c.leader(group)
	c.mu.Lock()
	c.cut[old.id] = true
	c.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	lonely := *p
	lonely.Store = old.store
	if r, err := old.store.Append(ctx, lonely.Message("lost")); err == nil && r.Answer == chat.Applied {
		t.Error("a leader without a majority acknowledged a message")
	}
	if old.node.Barrier(ctx, group) == nil {
		t.Error("a leader without a majority confirmed a read")
	}
	c.say(p, "two")
	c.mu.Lock()
	delete(c.cut, old.id)
	c.mu.Unlock()
	c.say(p, "three")
	c.agree(p, []string{"one", "two", "three"})
}

// One node becomes three and one again, under way; who joins gets a snapshot,
// because a node alone keeps no log.
func TestCluster_GrowsAndShrinks(t *testing.T) {
	c := newCluster(t)
	c.log = 50
	one := c.start(1, vfs.NewMem(), replica.Options{})
	admit(t, one.store, "acme")
	p := person(t, one.store, "acme", 1)
	var said []string
	more := func(n int) {
		for range n {
			said = append(said, fmt.Sprint("message ", len(said)))
			c.say(p, said[len(said)-1])
		}
	}
	more(20)
	for _, id := range []chat.NodeID{2, 3} {
		c.start(id, vfs.NewMem(), replica.Options{Voters: three[:1]})
		c.change(id, raftpb.ConfChangeAddLearnerNode)
		more(5)
		c.change(id, raftpb.ConfChangeAddNode)
		more(5)
	}
	c.agree(p, said)
	if n := rows(t, one.store, persistence.AppendLog(nil, one.store.Group("acme"))); n == 0 {
		t.Error("a group of three keeps no log")
	}

	// A node that slept through more than the log gets a snapshot too.
	fs := c.stop(3)
	more(300)
	c.start(3, fs, replica.Options{Voters: three[:1]})
	more(5)
	c.agree(p, said)

	c.stop(1) // the first node is not special
	more(5)
	c.agree(p, said)
	for _, n := range c.nodes {
		checked(t, n.store)
	}
}

// change changes one member of every group, at whoever leads it.
func (c *cluster) change(id chat.NodeID, kind raftpb.ConfChangeType) {
	c.t.Helper()
	for _, g := range c.nodes[1].store.GroupIDs() {
		c.eventually("the members changed", func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			one := &raftpb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(uint64(id))}
			return c.leader(g).node.Change(ctx, g, &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{one}}) == nil
		})
	}
}

// What one node changes in the directory the others come to know, also those that
// were not there.
func TestCluster_DirectoriesFollowTheMetadata(t *testing.T) {
	c := newCluster(t)
	for _, id := range three {
		c.start(id, vfs.NewMem(), replica.Options{Voters: three})
	}
	ctx, stop := context.WithCancel(context.Background())
	var following sync.WaitGroup
	defer following.Wait()
	defer stop()
	open := func(n *clusterNode) *persistence.Directory {
		d, err := persistence.OpenDirectory(ctx, n.store, chat.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		following.Go(func() {
			if err := d.Follow(ctx); err != nil {
				t.Error(err)
			}
		})
		return d
	}
	leader := c.leader(persistence.MetaGroup)
	c.leadAll(leader)
	// The leader makes the directory; the others wait for it.
	directories := map[chat.NodeID]*persistence.Directory{leader.id: open(leader)}
	for _, n := range c.nodes {
		if n != leader {
			directories[n.id] = open(n)
		}
	}
	change := func(d *persistence.Directory, number string) error {
		return d.Change(ctx, func(c *persistence.Change) error {
			return errors.Join(
				c.PutApp(chat.App{ID: "meta", Secrets: []chat.Secret{"s"}, VerifyTokens: []chat.Secret{"v"}}),
				c.PutTenant(chat.Tenant{ID: "acme", Name: "Acme"}),
				c.PutChannel(chat.Channel{ID: chat.ChannelID("wa-" + number), Tenant: "acme", App: "meta", Kind: chat.WhatsApp,
					Account: number, WABA: "1", Token: "t"}))
		})
	}
	known := func(number string) {
		t.Helper()
		for id, d := range directories {
			c.eventually(fmt.Sprintf("node %d knows number %s", id, number), func() bool {
				_, found := d.Channel("meta", chat.WhatsApp, number, "")
				return found
			})
		}
	}
	at := func(n *clusterNode, number string) {
		t.Helper()
		c.eventually("a change at the leader", func() bool {
			c.leadAll(n)
			return change(directories[n.id], number) == nil
		})
		known(number)
	}
	at(leader, "100")
	next := c.nodes[leader.id%3+1]
	if next.store.Epoch(persistence.MetaGroup) == 0 {
		if err := change(directories[next.id], "200"); chat.KindOf(err) != chat.KindFenced {
			t.Errorf("a node that does not lead changed the directory: %v", err)
		}
		if _, found := directories[next.id].Channel("meta", chat.WhatsApp, "200", ""); found {
			t.Error("a refused change is seen")
		}
	}
	at(next, "300")
}
