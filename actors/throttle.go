package actors

import (
	"context"
	"math"
	"math/bits"
	"runtime"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
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
	// strainHigh in a single beat cuts the pace. A beat that is strained less is a burst
	// of something else on the machine, or the collector at work, and over when a cut
	// would show, which takes seconds from answers: it cuts when it is one of
	// throttleStrained among the last throttleMemory.
	strainHigh       = 2 * strainMax
	throttleStrained = 2
	throttleMemory   = 10
	// usualMax is what most waits take in a beat of a node that has more to do than
	// processor for it: while deliveries come from 64 connections that never rest three
	// of four take up to 0.3 to 0.5 ms, with 500 messages a second that are answered
	// less than 0.1. Where fewer than throttleFull of the last throttleMemory beats are
	// above it, the node is not full: long waits are of something else, which ends
	// sooner than a cut would.
	usualMax     = 200 * time.Microsecond
	throttleFull = 4
	// throttleCut is what a cut leaves of the pace. What was begun before goes on for
	// a while, so the next cut waits for throttlePatience.
	throttleCut      = 0.6
	throttlePatience = 400 * time.Millisecond
	// throttleGrowth is by how much a beat without strain raises the pace: a third in
	// a second, slower than what was begun takes to show. On a node that is full it is
	// fullGrowth, a thirtieth in a second: deliveries come first.
	throttleGrowth = 1.03
	fullGrowth     = 1.003
	// throttlePerProcessor a second is the highest pace, for each processor: an answer
	// takes one of them longer than a millisecond.
	throttlePerProcessor = 1000.0
	// throttleFloor a second may always begin, so that nobody waits for ever.
	throttleFloor = 16.0
	// throttleIdle is what the first cut leaves at least: what was not at work cannot
	// have been the cause.
	throttleIdle = 100.0
)

// work is what a node begins of its own.
type work uint8

const (
	// workCall is a call of the model, with what leads to it and follows from it.
	workCall work = iota
	// workTick is a look at what is due in a conversation.
	workTick
)

// cost is what work takes, in calls: most ticks find that somebody is still writing.
func (w work) cost() float64 {
	if w == workTick {
		return 0.1
	}
	return 1
}

// Strain is how long goroutines that could run waited for a processor, since it was asked
// for last: Usual is what three of four waits did not exceed, Long what nine of ten did
// not; zero without any.
type Strain struct{ Usual, Long time.Duration }

// throttle paces what a node does of its own, so that deliveries come first where
// there is not enough processor for everything: Meta measures how long they take, and
// repeats those that take too long; what is owed waits in the agenda, which forgets
// nothing.
//
// The measure is how long goroutines that could run wait to run. Strained beats of a full
// node cut the pace by a share of what was begun, beats without strain raise it, up to what
// a node could do at all.
//
// Safe for concurrent use.
type throttle struct {
	clock Clock
	// strain tells how long work waits; nil for a node that never gives way.
	strain func() Strain
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
	// strained and full have a bit for each of the last throttleMemory beats that was.
	strained, full beatBits
	// queues hold who waits; turns are the same, the next to be served first. timed is
	// true while a timer will look at them.
	queues map[errand]*applicants
	turns  []*applicants
	timed  bool
}

// applicants wait for the same errand, in the order they came. Errands are served in
// turns: nobody waits behind a tenant that has more to do than others, and no tick, which
// holds up all that is due in its group, behind calls. Guarded by the throttle's mu.
type applicants struct {
	errand
	waiting []*applicant
}

// errand is one kind of work of a tenant.
type errand struct {
	tenant chat.TenantID
	work   work
}

// applicant waits to begin something. Guarded by the throttle's mu.
type applicant struct {
	gone   bool
	opened chan struct{}
}

// newThrottle makes one for this process.
func newThrottle(clock Clock, strain func() Strain, report func(float64)) *throttle {
	now := clock.Now()
	t := &throttle{clock: clock, strain: strain, report: report, most: throttlePerProcessor * float64(runtime.NumCPU()),
		queues: make(map[errand]*applicants), beat: now, filled: now}
	t.pace = t.most
	report(t.pace)
	return t
}

// pass returns true when work of a tenant may begin, false when ctx ended before.
func (t *throttle) pass(ctx context.Context, tenant chat.TenantID, w work) bool {
	if t.strain == nil {
		return true
	}
	t.mu.Lock()
	t.refill()
	if len(t.turns) == 0 && t.tokens >= w.cost() {
		t.spend(w.cost())
		t.mu.Unlock()
		return true
	}
	a := &applicant{opened: make(chan struct{})}
	t.join(errand{tenant, w}, a)
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

// join lets an applicant wait. REQUIRES: mu is held.
func (t *throttle) join(key errand, a *applicant) {
	q := t.queues[key]
	if q == nil {
		q = &applicants{errand: key}
		t.queues[key] = q
		t.turns = append(t.turns, q)
	}
	q.waiting = append(q.waiting, a)
}

// serve lets go whoever may begin, a queue at a time, and comes again for the others.
// REQUIRES: mu is held, and the tokens are refilled.
func (t *throttle) serve() {
	for len(t.turns) > 0 {
		q := t.turns[0]
		for len(q.waiting) > 0 && q.waiting[0].gone {
			q.leave()
		}
		if len(q.waiting) > 0 {
			if t.tokens < q.work.cost() {
				break
			}
			t.spend(q.work.cost())
			close(q.waiting[0].opened)
			q.leave()
		}
		t.turns[0] = nil
		t.turns = t.turns[1:]
		if len(q.waiting) > 0 {
			t.turns = append(t.turns, q)
		} else {
			delete(t.queues, q.errand)
		}
	}
	if len(t.turns) == 0 || t.timed {
		return
	}
	t.timed = true
	wait := time.Duration((t.turns[0].work.cost() - t.tokens) / t.pace * float64(time.Second))
	t.clock.AfterFunc(min(max(wait, time.Millisecond), throttleBeat), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.timed = false
		t.refill()
		t.serve()
	})
}

// leave takes the first out of a queue.
func (q *applicants) leave() {
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
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
	t.tokens = min(t.tokens+t.pace*now.Sub(t.filled).Seconds(), max(workCall.cost(), t.pace*throttleBeat.Seconds()))
	t.filled = now
}

// adjust ends a beat. REQUIRES: mu is held.
func (t *throttle) adjust(now time.Time, since time.Duration) {
	begun, before := t.begun/since.Seconds(), t.before
	t.begun, t.before, t.beat = 0, begun, now
	pace, strain, beats := t.pace, t.strain(), since/throttleBeat
	t.strained.add(beats, strain.Long > strainMax)
	t.full.add(beats, strain.Usual > usualMax)
	full := t.full.count() >= throttleFull
	switch {
	case strain.Long <= strainMax:
		growth := throttleGrowth
		if full {
			growth = fullGrowth
		}
		pace = min(t.most, pace*math.Pow(growth, float64(since)/float64(throttleBeat)))
	case now.Sub(t.cut) < throttlePatience || !full:
	case strain.Long > strainHigh || t.strained.count() >= throttleStrained:
		t.cut = now
		// In a strained beat less begins than is asked for.
		pace = max(throttleFloor, throttleCut*min(pace, max(begun, before, throttleIdle)))
	}
	if pace != t.pace {
		t.pace = pace
		t.report(pace)
	}
}

// beatBits has a bit for each of the last throttleMemory beats, the latest the lowest.
type beatBits uint16

// add counts what took some beats, of which the last is known.
func (b *beatBits) add(beats time.Duration, is bool) {
	*b <<= min(beats, throttleMemory)
	if is {
		*b |= 1
	}
	*b &= 1<<throttleMemory - 1
}

func (b beatBits) count() int { return bits.OnesCount16(uint16(b)) }
