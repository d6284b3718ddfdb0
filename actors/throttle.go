package actors

import (
	"context"
	"math"
	"math/bits"
	"runtime"
	"sync"
	"time"
)

// How a throttle closes and opens.
const (
	// throttleBeat is how often it looks at the strain.
	throttleBeat = 100 * time.Millisecond
	// strainMax is how long work that could run may wait for a processor. With nothing
	// but deliveries, from 64 connections that never rest, nine waits of ten took up to
	// 2 ms on two processors; a delivery waits several times on its way. Many hundreds
	// of such connections may strain a node by themselves: answers then come at the
	// floor.
	strainMax = 5 * time.Millisecond
	// strainHigh is how long it may not wait in a single beat. One that is strained
	// less is a burst of something else on the machine, or the collector at work, and
	// over when a cut would show, which takes seconds from answers: the pace is cut when
	// it is one of throttleStrained among the last throttleMemory.
	strainHigh       = 2 * strainMax
	throttleStrained = 2
	throttleMemory   = 10
	// throttleCut is what a cut leaves of the pace. What was begun before goes on for
	// a while, so the next cut waits for throttlePatience.
	throttleCut      = 0.6
	throttlePatience = 400 * time.Millisecond
	// throttleGrowth is by how much a beat without strain raises the pace: a third in
	// a second, slower than what was begun takes to show.
	throttleGrowth = 1.03
	// throttlePerProcessor a second is the highest pace, for each processor: an answer
	// takes one of them longer than a millisecond.
	throttlePerProcessor = 1000.0
	// throttleFloor a second may always begin, so that nobody waits for ever.
	throttleFloor = 16.0
	// throttleIdle is what the first cut leaves at least: what was not at work cannot
	// have been the cause.
	throttleIdle = 100.0
)

// What work costs: a call of the model, with what leads to it and follows from it, is
// the unit; most ticks find that somebody is still writing.
const (
	costOfCall = 1.0
	costOfTick = 0.1
)

// throttle paces what a node does of its own, so that deliveries come first where
// there is not enough processor for everything: Meta measures how long they take, and
// repeats those that take too long; what is owed waits in the agenda, which forgets
// nothing.
//
// The measure is how long goroutines that could run wait to run. Strained beats cut the
// pace by a share of what was begun, each other beat raises it, up to what a node could
// do at all.
//
// Safe for concurrent use.
type throttle struct {
	clock Clock
	// strain is how long work waited for a processor since the last call; nil for a
	// node that never gives way.
	strain func() time.Duration
	// most is the highest pace.
	most float64
	// report hears of each new pace.
	report func(perSecond float64)

	mu sync.Mutex // guards the fields below
	// pace is what may begin in a second, by cost; tokens may begin at once, as of
	// filled.
	pace, tokens float64
	filled       time.Time
	// begun is what began since beat, before what began in a second of the beat before
	// it; cut is when the pace was cut last.
	begun, before float64
	beat, cut     time.Time
	// strained has a bit for each of the last throttleMemory beats that was strained.
	strained uint16
	// queue holds who waits, in the order they came; timed is true while a timer will
	// look at them.
	queue []*applicant
	timed bool
}

// applicant waits to begin something. Guarded by the throttle's mu.
type applicant struct {
	cost   float64
	gone   bool
	opened chan struct{}
}

// newThrottle makes one for this process.
func newThrottle(clock Clock, strain func() time.Duration, report func(float64)) *throttle {
	now := clock.Now()
	t := &throttle{clock: clock, strain: strain, report: report, most: throttlePerProcessor * float64(runtime.NumCPU()), beat: now, filled: now}
	t.pace = t.most
	report(t.pace)
	return t
}

// pass returns true when something of a cost may begin, false when ctx ended before.
func (t *throttle) pass(ctx context.Context, cost float64) bool {
	if t.strain == nil {
		return true
	}
	t.mu.Lock()
	t.refill()
	if len(t.queue) == 0 && t.tokens >= cost {
		t.spend(cost)
		t.mu.Unlock()
		return true
	}
	a := &applicant{cost: cost, opened: make(chan struct{})}
	t.queue = append(t.queue, a)
	t.serve()
	t.mu.Unlock()
	select {
	case <-a.opened:
		return true
	case <-ctx.Done():
		t.mu.Lock()
		a.gone = true
		t.mu.Unlock()
		return false
	}
}

// serve lets go whoever may begin and comes again for the others. REQUIRES: mu is
// held, and the tokens are refilled.
func (t *throttle) serve() {
	for len(t.queue) > 0 {
		a := t.queue[0]
		if !a.gone {
			if t.tokens < a.cost {
				break
			}
			t.spend(a.cost)
			close(a.opened)
		}
		t.queue[0] = nil
		t.queue = t.queue[1:]
	}
	if len(t.queue) == 0 || t.timed {
		return
	}
	t.timed = true
	wait := time.Duration((t.queue[0].cost - t.tokens) / t.pace * float64(time.Second))
	t.clock.AfterFunc(min(max(wait, time.Millisecond), throttleBeat), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.timed = false
		t.refill()
		t.serve()
	})
}

func (t *throttle) spend(cost float64) {
	t.tokens -= cost
	t.begun += cost
}

// refill counts what may begin now, and ends the beat when it is over.
// REQUIRES: mu is held.
func (t *throttle) refill() {
	now := t.clock.Now()
	if since := now.Sub(t.beat); since >= throttleBeat {
		t.adjust(now, since)
	}
	t.tokens = min(t.tokens+t.pace*now.Sub(t.filled).Seconds(), max(costOfCall, t.pace*throttleBeat.Seconds()))
	t.filled = now
}

// adjust ends a beat. REQUIRES: mu is held.
func (t *throttle) adjust(now time.Time, since time.Duration) {
	begun, before := t.begun/since.Seconds(), t.before
	t.begun, t.before, t.beat = 0, begun, now
	pace, strain := t.pace, t.strain()
	t.strained <<= min(since/throttleBeat, throttleMemory)
	if strain > strainMax {
		t.strained |= 1
	}
	t.strained &= 1<<throttleMemory - 1
	switch {
	case strain <= strainMax:
		pace = min(t.most, pace*math.Pow(throttleGrowth, float64(since)/float64(throttleBeat)))
	case now.Sub(t.cut) < throttlePatience:
	case strain > strainHigh || bits.OnesCount16(t.strained) >= throttleStrained:
		t.cut = now
		// In a strained beat less begins than is asked for.
		pace = max(throttleFloor, throttleCut*min(pace, max(begun, before, throttleIdle)))
	}
	if pace != t.pace {
		t.pace = pace
		t.report(pace)
	}
}
