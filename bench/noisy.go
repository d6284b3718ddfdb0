package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

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
	Quiet NoisySide `json:"quiet"`
	Noisy NoisySide `json:"noisy"`
	// Ratio is Noisy over Quiet of the reply's p99, EngineRatio of the engine's share
	// of it.
	Ratio       float64 `json:"ratio"`
	EngineRatio float64 `json:"engine_ratio"`
	// Invalid says why the figures must not be used; empty when they may.
	Invalid string `json:"invalid,omitempty"`
}

// NoisySide is what the other tenants get.
type NoisySide struct {
	// Reply is from a webhook's writing to the call of Graph that answers it, in ms;
	// Engine is that without the model's time and the quiet period.
	Reply  Quantiles `json:"reply"`
	Engine Quantiles `json:"engine"`
	// Messages of the others were acknowledged, and Replies answer them; All is the
	// messages of every tenant.
	Messages int64 `json:"messages"`
	Replies  int64 `json:"replies"`
	All      int64 `json:"all_messages"`
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
	var quiet, noisy noisySide
	quiet.make()
	noisy.make()
	for i := range noisyRounds {
		order := []struct {
			side  *noisySide
			times int
		}{{&quiet, 1}, {&noisy, noisyTimes}}
		if i%2 == 1 {
			order[0], order[1] = order[1], order[0]
		}
		for _, o := range order {
			invalid, err := r.noisyRound(ctx, o.side, o.times)
			if err != nil {
				return err
			}
			if n.Invalid == "" {
				n.Invalid = invalid
			}
		}
	}
	n.Quiet, n.Noisy = quiet.result(), noisy.result()
	if n.Quiet.Reply.P99 > 0 && n.Quiet.Engine.P99 > 0 {
		n.Ratio, n.EngineRatio = n.Noisy.Reply.P99/n.Quiet.Reply.P99, n.Noisy.Engine.P99/n.Quiet.Engine.P99
	}
	r.report.Noisy = n
	r.logf("noisy: others' reply p99 %.0f ms quiet, %.0f ms beside a tenant with %d times their messages: %.2f x (engine's share %.1f and %.1f ms) %s",
		n.Quiet.Reply.P99, n.Noisy.Reply.P99, n.Times, n.Ratio, n.Quiet.Engine.P99, n.Noisy.Engine.P99, n.Invalid)
	return nil
}

// noisySide collects the rounds of one side.
type noisySide struct {
	NoisySide
	reply, engine *hdrhistogram.Histogram
}

func (s *noisySide) make() { s.reply, s.engine = newHistogram(), newHistogram() }

func (s *noisySide) result() NoisySide {
	s.Reply, s.Engine = quantiles(s.reply), quantiles(s.engine)
	return s.NoisySide
}

// noisyRound is one load with a first tenant that gets times as much as each other one.
func (r *runner) noisyRound(ctx context.Context, side *noisySide, times int) (invalid string, err error) {
	w := Workload{Tenants: noisyTenants + 1, Conversations: noisyPeople, Noise: times, Instagram: r.o.Instagram, Seed: r.o.Seed}
	rate := noisyRate * float64(noisyTenants+times)
	n := int(rate * (r.o.Warm + noisyFor).Seconds())
	watch := &replyWatch{quiet: r.o.ReplyQuiet, model: map[int]time.Duration{}, graph: map[int]time.Time{}}
	world := child.NewWorld(w.Tenants)
	sims, err := newSimulators(world, r.o.Seed, simOptions{watch: watch, latency: noisyModel})
	if err != nil {
		return "", err
	}
	defer sims.close()
	requests := BuildRequests(world, w, n, time.Now())
	other := func(i int) bool { return requests.Conversation(i)%w.Tenants != 0 }
	s, err := r.start(ctx, TargetEngine, r.o.ReplyQuiet.String(), sims)
	if err != nil {
		return "", err
	}
	defer s.Kill()
	sims.graph.SetHooks("http://" + s.Edge)
	load := Load{Requests: requests, Conns: r.o.Conns, Rate: rate, Poisson: true, Seed: r.o.Seed, Warm: r.o.Warm, Measure: noisyFor, Limit: n,
		OnDone: func() { watch.waitFor(ctx, n, replyDrain) }}
	round, sample, err := r.load(ctx, s, load, sims)
	if err != nil {
		return "", err
	}
	first := int(rate * r.o.Warm.Seconds())
	watch.each(sample, first, func(i int, took time.Duration) {
		if other(i) {
			side.Replies++
			record(side.reply, took)
			record(side.engine, took-watch.quiet-watch.model[i])
		}
	})
	side.All += sample.Acks
	for i := first; i < n; i++ {
		if other(i) && sample.Acked.Has(i) {
			side.Messages++
		}
	}
	r.logf("noisy x %-3d %s", times, round.line(r.report.Failed()))
	return round.Invalid, nil
}

func (n *NoisyResult) text(b io.Writer) {
	if n == nil {
		return
	}
	fmt.Fprintf(b, "Replies of %d tenants with %.0f messages/s each, beside one with as many and beside one with %d times as many\n", n.Tenants, n.Rate, n.Times)
	for _, s := range []struct {
		name string
		side *NoisySide
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
