package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/chumiai/chumi/metrics"
)

// TestClockWatch_CountsSteps sets the wall clock forth and back; a clock that is
// slewed, and a process that did not run for a while, are no steps.
func TestClockWatch_CountsSteps(t *testing.T) {
	m := metrics.New(nil)
	w := clockWatch{met: &m.Node, log: slog.New(slog.DiscardHandler)}
	wall, mono := time.Unix(1_800_000_000, 0), time.Duration(0)
	for _, step := range []struct {
		what       string
		wall, mono time.Duration
		want       float64
	}{
		{"begins", 0, 0, 0},
		{"goes on", time.Second, time.Second, 0},
		{"is slewed", 1100 * time.Millisecond, time.Second, 0},
		{"stood still", time.Minute, time.Minute, 0},
		{"is set forth", time.Hour + time.Second, time.Second, 1},
		{"goes on again", time.Second, time.Second, 1},
		{"is set back", -time.Minute, time.Second, 2},
	} {
		wall, mono = wall.Add(step.wall), mono+step.mono
		w.look(wall, mono)
		if got := testutil.ToFloat64(m.Node.Jumps); got != step.want {
			t.Errorf("the clock %s: %v steps, want %v", step.what, got, step.want)
		}
		if got := testutil.ToFloat64(m.Node.Clock); got != float64(wall.Unix())+float64(wall.Nanosecond())/1e9 {
			t.Errorf("the clock %s: shown as %v", step.what, got)
		}
	}
}
