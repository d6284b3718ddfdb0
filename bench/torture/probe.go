package torture

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench"
)

// prober posts to nodes that are a minority. Each message is new and goes to
// that node only, so that nobody else can have made it durable: no 200 may come
// back until the fault is made good. Afterwards the message goes to any node
// until it is acknowledged.
type prober struct {
	c *cluster
	// posts counts answers, or their absence, while the fault lasted; each must
	// not be a 200. acked describes those that were.
	posts atomic.Int64

	mu    sync.Mutex
	acked []string
	next  int
}

// probeIn bounds one POST to a minority: a node that cannot commit may wait
// longer than the fault lasts.
const probeIn = 700 * time.Millisecond

// minority begins to post to nodes that cannot commit from now on, one customer
// of every tenant to each: a node that led a group is the one that may believe
// it still does. The function it returns must be called before anything is made good: it ends the probing
// and leaves the messages to any node.
func (p *prober) minority(ctx context.Context, nodes ...*node) (over func()) {
	var ended atomic.Bool
	var posting sync.WaitGroup
	accounts := bench.Accounts(p.c.world)
	for _, n := range nodes {
		for i := 0; i < len(accounts); i += 2 { // the WhatsApp ones
			p.mu.Lock()
			who := person(accounts[i], firstProbing+p.next)
			p.next++
			p.mu.Unlock()
			posting.Go(func() { p.probe(ctx, n, who, &ended) })
		}
	}
	return func() {
		ended.Store(true)
		posting.Wait()
	}
}

// probe posts one message of a customer who writes only here.
func (p *prober) probe(ctx context.Context, n *node, who correspondent, ended *atomic.Bool) {
	u := p.c.graph.Text(who.account, who.customer, "")
	u.Text = fmt.Sprintf("%s %s tries #%d", who.account.Name, who.customer.ID, u.Number)
	d, err := p.c.graph.NewDelivery(u)
	if err != nil {
		panic(err) // one update always encodes
	}
	p.c.balancer.pin(who.customer.ID, n.number)
	for !ended.Load() && ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, probeIn)
		status, err := p.c.graph.PostOnce(short, d)
		cancel()
		if ended.Load() {
			break // an answer now may be from the time after
		}
		p.posts.Add(1)
		if err == nil && status == http.StatusOK {
			p.mu.Lock()
			p.acked = append(p.acked, fmt.Sprintf("node %d answered 200 to a message only it has seen: %s of %s", n.number, u.RemoteID, who.account.Name))
			p.mu.Unlock()
			break
		}
		pause(ctx, lastWait)
	}
	p.c.balancer.pin(who.customer.ID, 0)
	p.c.writers.Go(func() { p.c.deliver(ctx, d) })
}

// judge adds what was found.
func (p *prober) judge(t *Tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Chances[ChanceMinority] += p.posts.Load()
	for _, what := range p.acked {
		t.breach(MinorityAcked, "%s", what)
	}
}
