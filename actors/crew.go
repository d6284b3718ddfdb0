package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// crewIdleMax is how many idle workers a crew keeps. Their stacks are the cost:
// some 8 KB each.
const crewIdleMax = 512

// crewThroughput is how many messages an actor handles before it lets others
// run.
const crewThroughput = 300

// inline runs a mailbox on the goroutine of whoever posts to it while it is
// idle. It is for actors that only forward and never block, routers and tenants:
// a goroutine of its own for each hop would cost more than the hop.
var inline = actor.NewSynchronizedDispatcher(crewThroughput)

// crew is a dispatcher that runs mailboxes on goroutines it keeps. A fresh
// goroutine per idle-to-busy turn would grow its stack anew for every mail: Step
// and the commit behind it are deep. It has no bound: a worker blocks while its
// conversation's commit is appended, and others must not wait for it.
type crew struct {
	mu     sync.Mutex // guards the fields below
	idle   []*hand
	closed bool
}

// hand is one goroutine of a crew.
type hand struct{ job chan func() }

// Schedule implements actor.Dispatcher.
func (c *crew) Schedule(f func()) {
	c.mu.Lock()
	var h *hand
	if n := len(c.idle); n > 0 {
		h, c.idle[n-1] = c.idle[n-1], nil
		c.idle = c.idle[:n-1]
	}
	c.mu.Unlock()
	if h == nil {
		go c.work(&hand{job: make(chan func(), 1)}, f)
		return
	}
	h.job <- f
}

// Throughput implements actor.Dispatcher.
func (*crew) Throughput() int { return crewThroughput }

func (c *crew) work(h *hand, f func()) {
	for f != nil {
		f()
		if !c.rest(h) {
			return
		}
		f = <-h.job
	}
}

// rest puts h among the idle; false tells it to end.
func (c *crew) rest(h *hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= crewIdleMax {
		return false
	}
	c.idle = append(c.idle, h)
	return true
}

// close ends the idle workers; those at work end when they are done.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, h := range c.idle {
		close(h.job)
	}
	c.idle = nil
}
