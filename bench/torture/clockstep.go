package torture

import (
	"context"
	"net/http"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/metrics/failpoint"
)

const (
	// clockStep is how far the clock is set, in either direction.
	clockStep = 2 * time.Hour
	// seriesJumps counts what the engine noticed of that.
	seriesJumps = "chumi_clock_jumps_total"
	// noticedIn is how soon it must be counted: the clock is looked at once a second.
	noticedIn = 5 * time.Second
)

// stepClock sets the clock ahead and back under load, and posts again what was
// acknowledged before each step. In every second trial it then kills the engine
// while the clock is behind, and sets it right while it is down.
func stepClock(ctx context.Context, x *ordeal) error {
	offsets := []time.Duration{clockStep, 0, -clockStep}
	if x.number%4 > 1 {
		offsets = []time.Duration{-clockStep, 0, clockStep, 0}
	}
	x.busy(ctx, 2*time.Second)
	for _, by := range offsets {
		if err := x.step(ctx, by); err != nil {
			return err
		}
	}
	if x.number%2 == 0 {
		judgeOwed(x.out, x.owed(ctx))
		return x.farthest(ctx)
	}
	x.down()
	if err := x.up(ctx); err != nil {
		return err
	}
	x.repost(ctx)
	x.busy(ctx, 2*time.Second)
	x.down()
	if _, err := x.orders.set(failpoint.Order{}); err != nil {
		return err
	}
	if err := x.up(ctx); err != nil {
		return err
	}
	x.repost(ctx)
	// A process that begins behind the clock of the one before waits for what that
	// one has dated.
	x.v.Outcomes["sends and conversations left waiting by a process whose clock had been ahead"] += x.owed(ctx)
	return x.farthest(ctx)
}

// step sets the clock of the running engine, and expects that it notices.
func (x *ordeal) step(ctx context.Context, by time.Duration) error {
	before, err := bench.Scrape(ctx, x.engine.Ops)
	if err != nil {
		return err
	}
	if _, err := x.orders.give(ctx, failpoint.Order{Clock: by}); err != nil {
		return err
	}
	x.repost(ctx)
	x.busy(ctx, 2*time.Second)
	noticed := false
	for began := time.Now(); !noticed && time.Since(began) < noticedIn; pause(ctx, 100*time.Millisecond) {
		now, err := bench.Scrape(ctx, x.engine.Ops)
		noticed = err == nil && now[seriesJumps] > before[seriesJumps]
	}
	judgeStep(x.out, by, noticed)
	return ctx.Err()
}

// settled is far above what a reply of a trial takes, and far below a step.
const settled = 10 * time.Second

// owed ends the traffic, and counts the sends without an end and the conversations
// without an answer that are left a moment later.
func (x *ordeal) owed(ctx context.Context) int64 {
	x.traffic.end()
	x.writers.Wait()
	for began := time.Now(); ; pause(ctx, 100*time.Millisecond) {
		n := int64(0)
		for _, f := range x.feeds {
			open, waiting, _ := f.debts()
			n += int64(open + waiting)
		}
		if n == 0 || time.Since(began) > settled || ctx.Err() != nil {
			return n
		}
	}
}

// farthest sets the clock as far ahead as it ever was, so that whatever still
// waits can end and be audited.
func (x *ordeal) farthest(ctx context.Context) error {
	_, err := x.orders.give(ctx, failpoint.Order{Clock: clockStep})
	return err
}

// skewed says that the engine's times are not those of the ledgers.
func skewed(_ *ordeal, b *Book) { b.Skewed = true }

func judgeOwed(t *Tally, owed int64) {
	t.Chances[ChanceBacks]++
	if owed > 0 {
		t.breach(StoodStill, "%d sends and conversations waited for the clock to be where it had been", owed)
	}
}

func judgeStep(t *Tally, by time.Duration, noticed bool) {
	t.Chances[ChanceSteps]++
	if !noticed {
		t.breach(StepUnnoticed, "the clock was set to %v off, and nobody counted it", by)
	}
}

// repost posts again what was acknowledged. What comes of it, the audit says.
func (x *ordeal) repost(ctx context.Context) {
	for _, d := range x.answers.old() {
		if status, err := x.post(ctx, d); err == nil && status == http.StatusOK {
			x.out.Chances[ChanceReposted]++
		}
	}
}
