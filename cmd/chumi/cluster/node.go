package cluster

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/transport/peer"
)

// Node is this process among the nodes of its cluster. Its life is Open, Attend,
// Resign, Close; the store must outlive it, and is closed in between: see Close.
// Safe for concurrent use.
type Node struct {
	opt  Options
	self chat.NodeID
	log  *slog.Logger

	transport *peer.Transport
	// replica is set before the peer port serves, and so before anything calls.
	replica *replica.Node
	leaders *leaders

	// Set by Attend and Serve; nil before.
	directory atomic.Pointer[persistence.Directory]
	system    atomic.Pointer[actors.System]
	api       atomic.Pointer[fasthttp.RequestHandler]
	// seeds are the nodes by the account of whoever let this one join: peers until
	// the directory is there.
	seeds map[chat.NodeID]string

	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup
}

// Open connects a store with its cluster: it founds one, joins one, or comes back
// to the one it is in. The store takes commits when it returns. ctx bounds the
// asking; nothing is left open after an error but the store.
func Open(ctx context.Context, o Options) (*Node, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	n := &Node{opt: o, self: o.Credentials.Identity().Node, log: o.Log}
	n.life, n.end = context.WithCancel(context.WithoutCancel(ctx))
	n.leaders = newLeaders(n.self, n.ownLeader, n.holders)
	var err error
	n.transport, err = peer.New(peer.Options{
		Credentials: o.Credentials, Formats: n.formats(), Metrics: &o.Metrics.Peer, Log: o.Log,
		Receive: n.receive, Unreachable: n.unreachable, Snapshot: n.snapshot, Admit: n.admits,
		MailTypes: []string{"chumi.mail.Mail"}, Calls: n.serveCall, OpenPaths: []string{pathJoin},
	})
	if err != nil {
		return nil, err
	}
	if err := n.open(ctx); err != nil {
		n.end()
		n.transport.Close()
		return nil, err
	}
	return n, nil
}

// open starts the replicas, as members of what the store says or the seeds answer,
// and lets the others in.
func (n *Node) open(ctx context.Context) error {
	o := &n.opt
	known, err := persistence.ReadMembership(o.Store)
	if err != nil {
		return err
	}
	peers := map[chat.NodeID]string{}
	for _, m := range known.Nodes {
		peers[m.ID] = m.Addr
	}
	if err := o.begins(known); err != nil {
		return err
	}
	voters := []chat.NodeID{n.self}
	if len(o.Seeds) > 0 && known.Cluster.ID == "" {
		if n.seeds, err = n.join(ctx, known); err != nil {
			return err
		}
		maps.Copy(peers, n.seeds)
		voters = slices.DeleteFunc(slices.Sorted(maps.Keys(n.seeds)), func(id chat.NodeID) bool { return id == n.self })
	}
	n.replica, err = replica.Start(o.Store, replica.Options{ID: n.self, Voters: voters, Transport: wire{n},
		LogLen: o.LogLen, Logger: o.Log, Metrics: &o.Metrics.Journal})
	if err != nil {
		return err
	}
	if known.Cluster.ID == "" && len(o.Seeds) == 0 && !n.founds() {
		return chat.E("cluster.Open", chat.KindInvalid, "this node has data and no cluster: one that was alone is node 1 and needs that certificate, "+
			"one that has not finished joining is started with --join", nil)
	}
	if len(o.Seeds) == 0 && known.Cluster.ID == "" && !o.KeepFormat {
		if err := o.Store.Finalize(); err != nil {
			return err
		}
	}
	if err := o.Store.Writable(); err != nil {
		return err
	}
	o.Store.Serve(&forwarder{n})
	n.transport.SetPeers(peers)
	n.transport.Start(o.Listener)
	if len(o.Seeds) > 0 && known.Cluster.ID != "" {
		n.work.Go(func() { n.rejoin(known) })
	}
	return nil
}

// begins says why a node may not begin with such a store, nil when it may.
func (o *Options) begins(known persistence.Membership) error {
	why := ""
	switch {
	case o.Found && len(o.Seeds) > 0:
		why = "a node founds a cluster or joins one: say --found or --join"
	case o.Found && known.Cluster.ID != "":
		why = "the data directory is of a member of a cluster already: start it without --found"
	case !known.Used && !o.Found && len(o.Seeds) == 0:
		why = "the data directory is empty: the first node of a new cluster is started with --found, once; " +
			"any other, and one whose disk was lost, with --join and the peer address of a member"
	default:
		return nil
	}
	return chat.E("cluster.Open", chat.KindInvalid, why, nil)
}

// founds reports whether this node is the one member of its groups.
func (n *Node) founds() bool {
	for _, s := range n.replica.Status() {
		if !slices.Equal(s.Voters, []chat.NodeID{n.self}) {
			return false
		}
	}
	return true
}

// Self is this node's number.
func (n *Node) Self() chat.NodeID { return n.self }

// Failed yields when the peer port broke.
func (n *Node) Failed() <-chan error { return n.transport.Failed() }

// Attend takes part in what the directory says from now on: it enters this node
// where it is missing or has moved, follows who is a member, and moves the groups
// this node leads to where they shall be.
func (n *Node) Attend(ctx context.Context, d *persistence.Directory) error {
	n.directory.Store(d)
	if err := n.enter(ctx, d); err != nil {
		return err
	}
	n.work.Go(func() { n.follow(d) })
	n.work.Go(func() { n.replica.Tend(n.life, n.opt.Tend, d.Placements) })
	n.work.Go(func() { n.keepHouse(d) })
	return nil
}

// Serve lets other nodes reach the actors and the API of this one.
func (n *Node) Serve(s *actors.System, api fasthttp.RequestHandler) {
	n.system.Store(s)
	n.api.Store(&api)
}

// follow keeps the peers those that the directory lists.
func (n *Node) follow(d *persistence.Directory) {
	for {
		changed := d.Changed()
		peers := map[chat.NodeID]string{}
		for _, m := range d.Nodes() {
			peers[m.ID] = m.Addr
		}
		n.transport.SetPeers(peers)
		select {
		case <-changed:
		case <-n.life.Done():
			return
		}
	}
}

// resignWait bounds the wait until all groups have their next leaders.
const resignWait = 3 * time.Second

// Resign hands over the groups this node leads, and returns when it leads none, or
// nobody else can lead those that are left, or ctx ends.
func (n *Node) Resign(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, resignWait)
	defer cancel()
	for {
		led := 0
		for _, s := range n.replica.Status() {
			if s.Leader != n.self {
				continue
			}
			if to := s.Heir(); to != 0 {
				n.replica.Transfer(s.Group, to)
				led++
			}
		}
		if led == 0 {
			return
		}
		select {
		case <-time.After(forwardPause):
		case <-ctx.Done():
			n.log.Warn("not every group found another leader in time", "groups", led)
			return
		}
	}
}

// Close ends the node: everything but the replicas, which the store ends when it
// closes, and the peer port, which the returned function ends after that.
func (n *Node) Close() (disconnect func() error) {
	n.end()
	n.work.Wait()
	return func() error { n.transport.Close(); return nil }
}

// ownLeader is who leads g by what this node's replica knows.
func (n *Node) ownLeader(g chat.Group) chat.NodeID {
	return n.replica.Leader(g)
}

// holders are the nodes to ask about g.
func (n *Node) holders(g chat.Group) (list []chat.NodeID) {
	if d := n.directory.Load(); d != nil {
		return placesOf(d)[g].Voters
	}
	for id := range n.seeds {
		list = append(list, id)
	}
	return list
}

// admits reports whether a proven node is served: a member, or while this node
// does not know the members, those who let it join.
func (n *Node) admits(id chat.NodeID) bool {
	if d := n.directory.Load(); d != nil {
		if _, ok := d.Node(id); ok {
			return true
		}
	}
	_, ok := n.seeds[id]
	return ok
}

// Leader implements actors.Leaders.
func (n *Node) Leader(g chat.Group) chat.NodeID { return n.leaders.leader(g) }

// Misled implements actors.Leaders.
func (n *Node) Misled(g chat.Group, asked, leader chat.NodeID) { n.leaders.misled(g, asked, leader) }

// Refresh implements actors.Refresher.
func (n *Node) Refresh(ctx context.Context) error {
	d, err := n.attended()
	if err != nil {
		return err
	}
	return d.Refresh(ctx, n.replica.Barrier)
}

// attended is the directory, once Attend was called.
func (n *Node) attended() (*persistence.Directory, error) {
	d := n.directory.Load()
	if d == nil {
		return nil, chat.E("cluster", chat.KindUnavailable, "this node does not know the directory yet", nil)
	}
	return d, nil
}

// Unled names the groups nobody is known to lead: what is sent to them cannot be
// made durable now.
func (n *Node) Unled() (list []chat.Group) {
	for _, g := range n.opt.Store.GroupIDs() {
		if n.leaders.known(g) == 0 {
			list = append(list, g)
		}
	}
	return list
}
