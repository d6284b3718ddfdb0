package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// NoisyResult compares the replies that tenants get beside one that writes Times as much
// as each of them, with those beside one that writes as much as they do.
type NoisyResult struct {
	// Times is how many times as much the noisy tenant gets; Tenants are the others, with
	// Rate messages a second each, in Rounds rounds of each side.
	Times   int     `json:"times"`
	Tenants int     `json:"tenants"`
	Rate    float64 `json:"rate_per_tenant"`
	Rounds  int     `json:"rounds"`
	// Quiet and Noisy are of the others only.
	Quiet Side `json:"quiet"`
	Noisy Side `json:"noisy"`
	// Ratio is Noisy over Quiet of the reply's p99, EngineRatio of the engine's share
	// of it.
	Ratio       float64 `json:"ratio"`
	EngineRatio float64 `json:"engine_ratio"`
	// Invalid says why the figures must not be used; empty when they may.
	Invalid string `json:"invalid,omitempty"`
}

// A run beside a noisy tenant: each other tenant has noisyRate messages a second over
// enough people that a pair's pace does not matter, the model thinks as long as models
// do, and the quiet period is the default.
const (
	noisyTimes   = 100
	noisyTenants = 20
	noisyRate    = 5.0
	noisyPeople  = 2_000
	noisyRounds  = 2
	noisyFor     = 20 * time.Second
)

var noisyModel = openaisim.Latency{Median: 800 * time.Millisecond, Sigma: 0.3, Max: 3 * time.Second}

// noisy runs both sides in turn: quiet, noisy, noisy, quiet.
func (r *runner) noisy(ctx context.Context) error {
	n := &NoisyResult{Times: noisyTimes, Tenants: noisyTenants, Rate: noisyRate, Rounds: noisyRounds}
	quiet, noisy := newSideRounds(), newSideRounds()
	var err error
	n.Invalid, err = alternate(noisyRounds, func(beside bool) (string, error) {
		if beside {
			return r.noisyRound(ctx, noisy, noisyTimes)
		}
		return r.noisyRound(ctx, quiet, 1)
	})
	if err != nil {
		return err
	}
	n.Quiet, n.Noisy = quiet.result(), noisy.result()
	n.Ratio, n.EngineRatio = ratio(n.Noisy.Reply, n.Quiet.Reply), ratio(n.Noisy.Engine, n.Quiet.Engine)
	r.report.Noisy = n
	r.logf("noisy: others' reply p99 %.0f ms quiet, %.0f ms beside a tenant with %d times their messages: %.2f x (engine's share %.1f and %.1f ms) %s",
		n.Quiet.Reply.P99, n.Noisy.Reply.P99, n.Times, n.Ratio, n.Quiet.Engine.P99, n.Noisy.Engine.P99, n.Invalid)
	return nil
}

// noisyRound is one load with a first tenant that gets times as much as each other one.
func (r *runner) noisyRound(ctx context.Context, side *sideRounds, times int) (invalid string, err error) {
	w := Workload{Tenants: noisyTenants + 1, Conversations: noisyPeople, Noise: times, Instagram: r.o.Instagram, Seed: r.o.Seed}
	return r.beside(ctx, side, traffic{
		name: fmt.Sprintf("noisy x %d", times), workload: w, world: child.NewWorld(w.Tenants), rate: noisyRate * float64(noisyTenants+times),
		length: noisyFor, latency: noisyModel,
		counts: func(conversation int) bool { return conversation%w.Tenants != 0 },
	})
}

func (n *NoisyResult) text(b io.Writer) {
	if n == nil {
		return
	}
	fmt.Fprintf(b, "Replies of %d tenants with %.0f messages/s each, beside one with as many and beside one with %d times as many\n", n.Tenants, n.Rate, n.Times)
	for _, s := range []struct {
		name string
		side *Side
	}{{"quiet", &n.Quiet}, {"noisy", &n.Noisy}} {
		fmt.Fprintf(b, "  %s: reply p50 %.0f ms, p99 %.0f ms; the engine's share p50 %.1f ms, p99 %.1f ms; %d replies to %d messages of %d in all\n",
			s.name, s.side.Reply.P50, s.side.Reply.P99, s.side.Engine.P50, s.side.Engine.P99, s.side.Replies, s.side.Messages, s.side.All)
	}
	fmt.Fprintf(b, "  noisy over quiet, p99 of the reply: %.2f x (the engine's share: %.2f x)\n", n.Ratio, n.EngineRatio)
	if n.Invalid != "" {
		fmt.Fprintf(b, "  INVALID: %s\n", n.Invalid)
	}
	fmt.Fprintln(b)
}
