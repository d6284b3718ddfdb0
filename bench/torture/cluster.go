package torture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/bench/netns"
)

// cluster is the nodes on their stage, for one segment.
type cluster struct {
	*stage
	net      *netns.Network
	nodes    []*node
	balancer *balancer
	counters *meter
	// scraping is held for one scrape: the meter wants them in order.
	scraping sync.Mutex
	recovery *recovery
	// groupOf tells the group of each tenant.
	groupOf map[string]int
}

// The time-outs of clients of a cluster: a try at a node that is paused or cut
// off ends while the next node may still answer.
const (
	clusterPostTimeout = 3 * time.Second
	clusterCallTimeout = 3 * time.Second
	// clusterModelMedian is long enough that turns are under way whenever a
	// leader goes.
	clusterModelMedian = 100 * time.Millisecond
)

// openCluster sets the stage and starts the nodes in their network, which stays
// the caller's. The error says why there is no whole cluster.
func openCluster(ctx context.Context, o Options, seed uint64, net *netns.Network) (*cluster, error) {
	c := &cluster{net: net, counters: newMeter(), groupOf: map[string]int{}}
	c.recovery = &recovery{groupOf: c.groupOf}
	var err error
	c.stage, err = openStage(o, seed, setting{host: net.Host, postTimeout: clusterPostTimeout, callTimeout: clusterCallTimeout,
		modelMedian: clusterModelMedian, api: c.anyAPI, step: func(string) {}})
	if err != nil {
		return nil, err
	}
	c.balancer = newBalancer(c.world, func(x exchange) {
		if x.status == 200 {
			c.recovery.answered(x)
		}
	})
	if err := c.assemble(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// assemble makes the certificates, starts every node and waits for the cluster.
func (c *cluster) assemble(ctx context.Context) error {
	hooks, err := c.balancer.start(c.net.Host)
	if err != nil {
		return err
	}
	c.graph.SetHooks(hooks)
	secrets := filepath.Join(c.dir, "secrets")
	if err := child.InitCluster(ctx, child.Options{Binary: c.o.Binary}, secrets, c.o.Nodes); err != nil {
		return err
	}
	var backends []backend
	for i := 1; i <= c.o.Nodes; i++ {
		n, err := newNode(c.stage, c.net.Node(i), i, secrets)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
		backends = append(backends, backend{n.number, n.start.Listen.Edge})
	}
	c.balancer.use(backends)
	for i, n := range c.nodes {
		var join []string
		if i > 0 { // the first one makes the cluster
			join = []string{c.nodes[0].start.Listen.Peer}
		}
		if err := n.up(ctx, join); err != nil {
			return err
		}
	}
	return c.whole(ctx)
}

// close ends whatever still runs. The network is left healed.
func (c *cluster) close() {
	for _, n := range c.nodes {
		n.kill()
		_ = c.net.Heal(n.number) // it may be healed, and the network goes anyway
	}
	c.balancer.close()
	c.stage.close()
}

// anyAPI is the API of a node at random that is not known to be down.
func (c *cluster) anyAPI() string {
	up := make([]string, 0, len(c.nodes))
	for _, n := range c.nodes {
		if n.running() != nil {
			up = append(up, n.start.Listen.API)
		}
	}
	if len(up) == 0 {
		return ""
	}
	return up[rand.IntN(len(up))]
}

// restart starts a node that was killed; it may join any other.
func (c *cluster) restart(ctx context.Context, n *node) error {
	var join []string
	for _, other := range c.nodes {
		if other != n {
			join = append(join, other.start.Listen.Peer)
		}
	}
	return n.up(ctx, join)
}

// groupsInUse lists the groups that tenants are in, in order.
func (c *cluster) groupsInUse() []int {
	seen := map[int]bool{}
	for _, g := range c.groupOf {
		seen[g] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// askIn bounds one question to a node.
const askIn = 2 * time.Second

// ask returns what the first node that answers says about the cluster, and the
// ops address of that node. A node that is harmed is asked last: it may not
// answer, or not know.
func (c *cluster) ask(ctx context.Context) (seen *child.Cluster, ops string, err error) {
	err = errors.New("torture: no node to ask")
	for _, harmed := range []bool{false, true} {
		for _, n := range c.nodes {
			if n.running() == nil || n.harmed.Load() > 0 != harmed {
				continue
			}
			if seen, err = c.askNode(ctx, n); err == nil {
				return seen, n.start.Listen.Ops, nil
			}
		}
	}
	return nil, "", err
}

func (c *cluster) askNode(ctx context.Context, n *node) (*child.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, askIn)
	defer cancel()
	return child.ReadCluster(ctx, n.start.Listen.Ops)
}

// wholeIn bounds how long a cluster may take to be whole after a fault was made
// good: connections come back within seconds, a wiped node copies its groups.
const wholeIn = 2 * time.Minute

// errUnhealed is wrapped when a cluster did not become whole in time.
var errUnhealed = errors.New("torture: the cluster did not become whole")

// whole waits until every node says that all nodes live, all groups have a
// leader and all nodes have all groups.
func (c *cluster) whole(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, wholeIn)
	defer cancel()
	for {
		ailment := c.ailment(limited)
		if ailment == "" {
			return nil
		}
		for _, n := range c.nodes {
			if err := n.died(); err != nil {
				return err
			}
		}
		if pause(limited, 100*time.Millisecond); limited.Err() != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w within %v: %s", errUnhealed, wholeIn, ailment)
		}
	}
}

func (c *cluster) ailment(ctx context.Context) string {
	for _, n := range c.nodes {
		if n.running() == nil {
			return fmt.Sprintf("node %d is down", n.number)
		}
		seen, err := c.askNode(ctx, n)
		if err != nil {
			return err.Error()
		}
		if a := seen.Ailment(len(c.nodes)); a != "" {
			return a
		}
	}
	return ""
}

// scrape reads the counters of a node, unless it is down or would not answer.
func (c *cluster) scrape(ctx context.Context, n *node) {
	if n.running() == nil || n.harmed.Load() > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askIn)
	defer cancel()
	c.scraping.Lock()
	defer c.scraping.Unlock()
	if m, err := bench.Scrape(ctx, n.start.Listen.Ops); err == nil {
		c.counters.scraped(n.number, m)
	}
}

// watch scrapes every node until ctx ends: what a node counted between its last
// scrape and its death is not seen.
func (c *cluster) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for _, n := range c.nodes {
			c.scrape(ctx, n)
		}
		pause(ctx, time.Second)
	}
}
