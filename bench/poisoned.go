package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// PoisonResult compares what good traffic gets beside a flood of poison with what it gets
// alone. Poison is written to a tenant of its own where it names one.
type PoisonResult struct {
	// Rate is good messages a second over so many Numbers, Flood poison a second, in
	// Rounds rounds of each side.
	Rate    float64 `json:"rate"`
	Numbers int     `json:"numbers"`
	Flood   float64 `json:"flood_rate"`
	Rounds  int     `json:"rounds"`
	// Answers are those to each kind of poison.
	Answers []PoisonAnswers `json:"answers"`
	// Quarantined is what the engine says it kept aside meanwhile, by reason.
	Quarantined map[string]int64 `json:"quarantined"`
	Quiet       Side             `json:"quiet"`
	Flooded     Side             `json:"flooded"`
	// The ratios are Flooded over Quiet at p99.
	AckRatio    float64 `json:"ack_ratio"`
	ReplyRatio  float64 `json:"reply_ratio"`
	EngineRatio float64 `json:"engine_ratio"`
	// Invalid says why the figures must not be used; empty when they may.
	Invalid string `json:"invalid,omitempty"`
}

// PoisonAnswers are the answers to one kind of poison. Want is the only status that is
// right; 0 in Got is a connection that ended without an answer.
type PoisonAnswers struct {
	Kind string        `json:"kind"`
	Want int           `json:"want"`
	Got  map[int]int64 `json:"got"`
}

// wrong counts answers that are not what they should be.
func (a *PoisonAnswers) wrong() int64 {
	var n int64
	for status, count := range a.Got {
		if status != a.Want {
			n += count
		}
	}
	return n
}

// A run beside poison: the good traffic is that of the part reply, for floodFor.
const (
	floodTimes  = 4
	floodRounds = 2
	floodFor    = 10 * time.Second
	floodConns  = 64
)

// goodTraffic is what is measured beside a flood, for a world that has more tenants than
// it writes to.
func (r *runner) goodTraffic(name string, more int) traffic {
	w := r.o.replyWorkload()
	return traffic{name: name, workload: w, world: child.NewWorld(w.Tenants + more), rate: r.o.ReplyRate, length: floodFor}
}

// poison runs both sides in turn: quiet, flooded, flooded, quiet.
func (r *runner) poison(ctx context.Context) error {
	p := &PoisonResult{Rate: r.o.ReplyRate, Flood: floodTimes * r.o.ReplyRate, Rounds: floodRounds, Quarantined: map[string]int64{}}
	for _, k := range poisons() {
		p.Answers = append(p.Answers, PoisonAnswers{Kind: k.Name, Want: k.Status, Got: map[int]int64{}})
	}
	quiet, flooded := newSideRounds(), newSideRounds()
	var err error
	p.Invalid, err = alternate(floodRounds, func(beside bool) (string, error) {
		t := r.goodTraffic("poison, without", 1)
		p.Numbers = t.workload.Tenants
		if !beside {
			t.end = func(s *server) error { return quiet.heap(ctx, s) }
			return r.beside(ctx, quiet, t)
		}
		t.name = "poison, with"
		f := &poisoned{runner: r, result: p, side: flooded}
		t.begin, t.end = func(s *server) { f.begin(ctx, s, t) }, func(s *server) error { return f.end(ctx, s) }
		why, err := r.beside(ctx, flooded, t)
		return cmp.Or(why, f.invalid), err
	})
	if err != nil {
		return err
	}
	p.Quiet, p.Flooded = quiet.result(), flooded.result()
	p.AckRatio, p.ReplyRatio = ratio(p.Flooded.Ack, p.Quiet.Ack), ratio(p.Flooded.Reply, p.Quiet.Reply)
	p.EngineRatio = ratio(p.Flooded.Engine, p.Quiet.Engine)
	r.report.Poison = p
	r.logf("poison: others' ack p99 %.2f ms quiet, %.2f ms beside %.0f poison a second: %.2f x; reply p99 %.2f x %s",
		p.Quiet.Ack.P99, p.Flooded.Ack.P99, p.Flood, p.AckRatio, p.ReplyRatio, p.Invalid)
	return nil
}

// poisoned is one round's flood.
type poisoned struct {
	*runner
	result  *PoisonResult
	side    *sideRounds
	before  Metrics
	flood   sync.WaitGroup
	invalid string
	err     error

	mu sync.Mutex // guards what result.Answers count
}

// begin starts the flood, which lasts as long as the traffic.
func (p *poisoned) begin(ctx context.Context, s *server, t traffic) {
	if p.before, p.err = Scrape(ctx, s.Ops); p.err != nil {
		return
	}
	const spare = 100
	n := int(p.result.Flood*(p.o.Warm+t.length).Seconds()) + spare
	poison := NewPoisonFlood(t.world, n, p.o.Seed, time.Now())
	load := Load{Addrs: s.edges(), Requests: poison, Conns: floodConns, Rate: p.result.Flood, Seed: p.o.Seed, Measure: p.o.Warm + t.length,
		OnAnswer: func(i, status int) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.result.Answers[poison.of[i]].Got[status]++
		}}
	p.flood.Go(func() {
		sample, err := load.Run(ctx)
		if err != nil {
			p.err = err
			return
		}
		if done := sample.Elapsed - load.Measure; done > load.Measure/10 {
			p.invalid = fmt.Sprintf("poison was still being answered %v after the last was due", done.Round(time.Millisecond))
		}
	})
}

// end waits for the flood and counts what it left.
func (p *poisoned) end(ctx context.Context, s *server) error {
	p.flood.Wait()
	if p.err != nil {
		return p.err
	}
	after, err := Scrape(ctx, s.Ops)
	if err != nil {
		return err
	}
	for reason, n := range after.labels("chumi_quarantined_total", "reason", p.before) {
		p.result.Quarantined[reason] += n
	}
	return p.side.heap(ctx, s)
}

func (p *PoisonResult) text(b io.Writer) {
	if p == nil {
		return
	}
	fmt.Fprintf(b, "%.0f messages/s over %d numbers, alone and beside %.0f poisonous requests/s\n", p.Rate, p.Numbers, p.Flood)
	p.Quiet.line(b, "quiet")
	p.Flooded.line(b, "flooded")
	fmt.Fprintf(b, "  flooded over quiet at p99: ack %.2f x, reply %.2f x (the engine's share: %.2f x)\n", p.AckRatio, p.ReplyRatio, p.EngineRatio)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for i := range p.Answers {
		a := &p.Answers[i]
		fmt.Fprintf(w, "    %s\tanswered %s", a.Kind, counts(a.Got))
		if n := a.wrong(); n > 0 {
			fmt.Fprintf(w, "\tWRONG: %d are not %d", n, a.Want)
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // the report's writer does not fail
	var kept []string
	for _, reason := range slices.Sorted(maps.Keys(p.Quarantined)) {
		kept = append(kept, fmt.Sprintf("%s %d", reason, p.Quarantined[reason]))
	}
	fmt.Fprintf(b, "  quarantined: %s\n", strings.Join(kept, ", "))
	if p.Invalid != "" {
		fmt.Fprintf(b, "  INVALID: %s\n", p.Invalid)
	}
	fmt.Fprintln(b)
}

// counts are answers by status.
func counts(by map[int]int64) string {
	var out []string
	for _, status := range slices.Sorted(maps.Keys(by)) {
		name := strconv.Itoa(status)
		if status == 0 {
			name = "nothing"
		}
		out = append(out, fmt.Sprintf("%s: %d", name, by[status]))
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ", ")
}
