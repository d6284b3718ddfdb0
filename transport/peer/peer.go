package peer

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/valyala/fasthttp"
	"google.golang.org/grpc"

	"github.com/chumiai/chumi/chat"
)

// Transport is the port of one node. New builds it, Start serves a listener,
// SetPeers says where the others are, Attach connects the actors, Close ends it.
// All methods but Attach may be called by many goroutines.
type Transport struct {
	// Immutable after New.
	o      Options
	self   chat.NodeID
	types  types
	limit  *limiter
	server *grpc.Server
	served chan error
	// ctx ends with Close.
	ctx  context.Context
	stop context.CancelFunc
	// wg counts the goroutines of links, the reporter, snapshot readers and the
	// connections whose calls are served.
	wg sync.WaitGroup
	// snapshots has a place per snapshot that may be received.
	snapshots chan struct{}
	// calls serves what other nodes call; places has one per connection with
	// calls that may be open.
	calls   *fasthttp.Server
	places  chan struct{}
	reports reports
	flights flights

	// system is set by Attach; until then mail is answered Unavailable.
	system atomic.Pointer[actor.ActorSystem]

	// roads are the links by node. It is replaced as a whole under mu, which is
	// held by SetPeers and Close only.
	roads  atomic.Pointer[map[chat.NodeID]*road]
	mu     sync.Mutex
	closed bool
}

// road is all that leads to one node.
type road struct {
	addr  string
	raft  *link[GroupMessage]
	mail  *link[letter]
	calls *lanes
}

// New returns a Transport that does not listen and knows nobody yet. The error
// names the option that is wrong.
func New(o Options) (*Transport, error) {
	o = o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	listed, err := mailTypes(o.MailTypes)
	if err != nil {
		return nil, err
	}
	t := &Transport{
		o: o, self: o.Credentials.Identity().Node, types: listed,
		limit:     newLimiter(o.Now, o.LogEvery),
		served:    make(chan error, 1),
		snapshots: make(chan struct{}, o.SnapshotsMax),
		places:    make(chan struct{}, o.CallsMax),
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.roads.Store(&map[chat.NodeID]*road{})
	t.reports.init()
	t.server = t.newServer()
	t.calls = t.newCallServer()
	t.wg.Go(t.report)
	return t, nil
}

// Self is the number of this node.
func (t *Transport) Self() chat.NodeID { return t.self }

// Start serves ln until Close, which closes it; it returns at once. A listener
// that fails on its own is reported by Failed.
func (t *Transport) Start(ln net.Listener) {
	ln = &capped{Listener: ln, t: t, free: make(chan struct{}, t.o.ConnMax)}
	go func() {
		err := t.server.Serve(ln)
		if errors.Is(err, grpc.ErrServerStopped) {
			err = nil // Close came first
		}
		t.served <- err
	}()
}

// Failed yields what serving returned: nil after Close, an error when the
// listener broke. Only one receiver gets it.
func (t *Transport) Failed() <-chan error { return t.served }

// SetPeers says which nodes there are and where each is, as host:port. What is
// known already stays connected unless its address changed; what is gone is
// disconnected, and what waited for it is dropped; only calls under way end as
// they would have. This node's own entry is ignored. After Close it does nothing.
//
// A node that is not listed may still dial this one, because a node that joins
// speaks before it is a member; Options.Admit can say otherwise.
func (t *Transport) SetPeers(peers map[chat.NodeID]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	old, next := *t.roads.Load(), make(map[chat.NodeID]*road, len(peers))
	for node, addr := range peers {
		if node == t.self || node == 0 || addr == "" {
			continue
		}
		r := old[node]
		switch {
		case r == nil:
			r = &road{addr: addr, raft: t.raftLink(node, addr), mail: t.mailLink(node, addr), calls: t.newLanes(node, addr)}
		case r.addr != addr:
			r.raft.move(addr)
			r.mail.move(addr)
			r.calls.end()
			r = &road{addr: addr, raft: r.raft, mail: r.mail, calls: t.newLanes(node, addr)}
		}
		next[node] = r
	}
	t.roads.Store(&next)
	for node, r := range old {
		if next[node] == nil {
			r.end()
		}
	}
}

// end disconnects. It does not wait.
func (r *road) end() {
	r.raft.end()
	r.mail.end()
	r.calls.end()
}

func (t *Transport) roadTo(node chat.NodeID) *road { return (*t.roads.Load())[node] }

// Close stops listening, cuts every connection and waits until no callback runs
// and none will: a Receive, Snapshot or Calls that does not return holds it up.
// Mail sent afterwards is a dead letter, Raft messages are dropped, and calls fail.
func (t *Transport) Close() {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.closed = true
	for _, r := range *t.roads.Load() {
		r.end()
	}
	t.roads.Store(&map[chat.NodeID]*road{})
	t.mu.Unlock()
	t.stop()
	t.server.Stop()
	t.wg.Wait()
}

// reports gathers the nodes to call Unreachable for. Send must not call it: the
// caller of Send is often who would have to answer.
type reports struct {
	mu    sync.Mutex
	nodes map[chat.NodeID]bool
	ready chan struct{}
}

func (r *reports) init() { r.nodes, r.ready = map[chat.NodeID]bool{}, make(chan struct{}, 1) }

// unreachable has Unreachable(node) called soon.
func (t *Transport) unreachable(node chat.NodeID) {
	r := &t.reports
	r.mu.Lock()
	r.nodes[node] = true
	r.mu.Unlock()
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

func (t *Transport) report() {
	r := &t.reports
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-r.ready:
		}
		r.mu.Lock()
		nodes := r.nodes
		r.nodes = map[chat.NodeID]bool{}
		r.mu.Unlock()
		for node := range nodes {
			if t.o.Unreachable != nil && t.ctx.Err() == nil {
				t.o.Unreachable(node)
			}
		}
	}
}
