package actors

import (
	"context"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

// gate lets the requests of one channel leave no faster than Meta takes them.
//
// A sender paces what it asks for. Between that and the request lie a mail, a
// commit and a goroutine: where there is more to do than a machine can, what was
// asked for in time is ready late, and together. The gate stands where requests
// leave, with the sender's buckets once more. What comes as the sender paced it
// passes at once; what comes in a bunch is spread again, in the order it came.
//
// Persons have no gate. One attempt of a conversation is in flight at a time, so
// that its lateness adds one message to what anyone gets in a span, and
// pairBurst+freshPair+1 is not above Meta's.
//
// Safe for concurrent use.
type gate struct {
	clock Clock

	mu   sync.Mutex // guards the fields below
	flow flow
	// queue holds who waits, in the order they came.
	queue []passage
	// stop ends the timer that serves the queue next; nil before the first.
	stop func() bool
}

// passage is one request that waits, at most until a time. It is told whether it
// may leave; opened has room for that.
type passage struct {
	lane   chat.Lane
	until  time.Time
	opened chan bool
}

func newGate(kind chat.ChannelKind, clock Clock) *gate {
	return &gate{clock: clock, flow: newFlow(kind, clock.Now())}
}

// pass returns true when a request of a lane may leave. It returns false when that
// would be after the given time, or when ctx ended.
func (g *gate) pass(ctx context.Context, lane chat.Lane, until time.Time) bool {
	opened := make(chan bool, 1)
	g.mu.Lock()
	g.queue = append(g.queue, passage{lane, until, opened})
	g.serve()
	g.mu.Unlock()
	select {
	case ok := <-opened:
		return ok
	case <-ctx.Done():
		return false
	}
}

// rate sets how many messages a second Meta allows the channel; 0 keeps what it is.
func (g *gate) rate(now time.Time, perSecond int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if perSecond > 0 {
		g.flow.rate(now, perSecond)
	}
}

// hear takes for messages that customers wrote.
func (g *gate) hear(now time.Time, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flow.hear(now, n)
}

// serve lets go whoever may leave now, gives up who could only leave too late, and
// comes again for the others. REQUIRES: mu is held.
func (g *gate) serve() {
	now := g.clock.Now()
	var next time.Time
	left := g.queue[:0]
	for _, p := range g.queue {
		at := g.flow.next(now, p.lane)
		switch {
		case at.After(p.until):
			p.opened <- false
		case at.After(now):
			next = sooner(next, at)
			left = append(left, p)
		default:
			g.flow.spend(now, p.lane)
			p.opened <- true
		}
	}
	clear(g.queue[len(left):])
	g.queue = left
	if g.stop != nil {
		g.stop()
	}
	if !next.IsZero() {
		g.stop = g.clock.AfterFunc(next.Sub(now), func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.serve()
		})
	}
}
