package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/metrics/failpoint"
)

const (
	// clockLookEvery is how often the wall clock is looked at.
	clockLookEvery = time.Second
	// clockStepMin is the least step that counts: what keeps clocks right moves them by
	// less, a little at a time.
	clockStepMin = time.Second
)

// clockWatch notices that the wall clock was set: messages are dated, claims forgotten
// and windows closed by it.
type clockWatch struct {
	met *metrics.Node
	log *slog.Logger
	// wall and mono are the latest readings of both clocks.
	wall time.Time
	mono time.Duration
}

// look takes a reading of both clocks: mono counts from any fixed moment.
func (w *clockWatch) look(wall time.Time, mono time.Duration) {
	// Without its monotonic reading a time is what the clock on the wall says.
	wall = wall.Round(0)
	if !w.wall.IsZero() {
		if step := wall.Sub(w.wall) - (mono - w.mono); step.Abs() > clockStepMin {
			w.met.Jumps.Inc()
			w.log.Warn("the wall clock was set", "by", step)
		}
	}
	w.wall, w.mono = wall, mono
	w.met.Clock.Set(float64(wall.UnixMilli()) / 1000)
}

// run looks until ctx ends.
func (w *clockWatch) run(ctx context.Context) {
	began := failpoint.Now()
	tick := time.NewTicker(clockLookEvery)
	defer tick.Stop()
	for {
		now := failpoint.Now()
		w.look(now, now.Sub(began))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
