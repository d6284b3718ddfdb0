package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/bench/netns"
)

// The ports of every node; each has an address of its own.
const (
	portEdge = 8080 + iota
	portAPI
	portOps
	portPeer
)

// node is one node of the cluster: a process that comes and goes, on addresses
// and a data directory that stay.
type node struct {
	number int
	place  *netns.Node
	start  child.Options
	// orders reach it when Options.orders is set.
	orders *orders
	// harmed counts faults under way that may keep it from answering or knowing.
	harmed atomic.Int32

	mu     sync.Mutex
	engine *child.Engine // nil while it is down
	// readyMax is the longest start.
	readyMax time.Duration
}

// newNode writes the configuration of node n of the cluster whose secrets are
// in a directory.
func newNode(s *stage, place *netns.Node, n int, secrets string) (*node, error) {
	dir := filepath.Join(s.dir, fmt.Sprintf("node-%d", n))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	c := s.config
	c.Node = &child.NodeConfig{Secrets: child.NodeSecrets(secrets, n), PerIPMax: connsPerIP}
	if s.o.CatchUp > 0 {
		c.Node.LogEntries = catchUpLog
	}
	config, bootstrap, err := child.WriteFiles(dir, s.world, c)
	if err != nil {
		return nil, err
	}
	env := s.o.env
	told := newOrders(dir)
	if s.o.orders {
		env = append(env[:len(env):len(env)], told.env())
	}
	return &node{number: n, place: place, orders: told, start: child.Options{
		Binary: s.o.Binary, DataDir: filepath.Join(dir, "data"), Config: config, Bootstrap: bootstrap, Env: env,
		Within: place.Within(), ReadyIn: nodeReadyIn,
		Listen: child.Addrs{Edge: place.At(portEdge), API: place.At(portAPI), Ops: place.At(portOps), Peer: place.At(portPeer)},
	}}, nil
}

const (
	// connsPerIP leaves room for all that wait while no group has a leader: the
	// balancer is one client.
	connsPerIP = 4096
	// nodeReadyIn is longer than any partition: a node may start inside one.
	nodeReadyIn = 2 * time.Minute
)

// up starts the node, with members it may join; nil makes it the first.
func (n *node) up(ctx context.Context, join []string) error {
	o := n.start
	o.Join, o.Found = join, join == nil
	e, err := child.Start(ctx, o)
	if err != nil {
		return fmt.Errorf("torture: node %d: %w", n.number, err)
	}
	n.mu.Lock()
	n.engine = e
	n.readyMax = max(n.readyMax, e.Ready.Sub(e.Began))
	n.mu.Unlock()
	return nil
}

// running is the node's process, nil while it is down.
func (n *node) running() *child.Engine {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.engine
}

// kill ends the process and returns when it is gone; at is when it was alive
// last.
func (n *node) kill() (at time.Time) {
	n.mu.Lock()
	e := n.engine
	n.engine = nil
	n.mu.Unlock()
	at = time.Now()
	if e != nil {
		e.Kill()
	}
	return at
}

// died is an error when the process has ended without being told to.
func (n *node) died() error {
	e := n.running()
	if e == nil {
		return nil
	}
	select {
	case <-e.Done():
	default:
		return nil
	}
	if n.running() != e {
		return nil // it was killed meanwhile
	}
	return fmt.Errorf("torture: node %d ended by itself; see %s", n.number, n.start.DataDir+".log")
}

// wipe removes the store of a node that is down.
func (n *node) wipe() error {
	if err := os.RemoveAll(n.start.DataDir); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	return nil
}

func (n *node) readySlowest() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.readyMax
}
