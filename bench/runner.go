package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// neverQuiet is a quiet period beyond any run.
const neverQuiet = "24h"

type runner struct {
	o        Options
	dir      string
	world    *child.World
	requests *Requests
	report   *Report
	servers  int // started so far; numbers their directories
	began    time.Time
}

// mayRetry reports whether there is time to run an invalid round again: most of it is
// for the parts that come after.
func (r *runner) mayRetry() bool { return r.o.Within == 0 || time.Since(r.began) < r.o.Within/4 }

func (r *runner) workload() Workload { return r.o.workloadOf(r.o.Skew) }

func (r *runner) logf(format string, args ...any) {
	fmt.Fprintf(r.o.Log, format+"\n", args...)
}

// server is one started target with all that its round needs.
type server struct {
	*child.Engine
	// more are the other nodes of a cluster, first to be stopped.
	more    []*server
	options child.Options
	engine  bool
	dir     string
}

// start starts a target on an empty store. quiet is the engine's quiet period,
// "" for its default; sims may be nil for a bound.
func (r *runner) start(ctx context.Context, target, quiet string, sims *simulators) (*server, error) {
	return r.startWith(ctx, target, child.Config{QuietPeriod: quiet}, sims)
}

// startWith is start with more of the configuration; where the simulators are is
// filled in.
func (r *runner) startWith(ctx context.Context, target string, config child.Config, sims *simulators) (*server, error) {
	if target == TargetCluster {
		return r.startCluster(ctx, config.QuietPeriod, sims)
	}
	s, err := r.prepare(target, config, sims)
	if err != nil {
		return nil, err
	}
	if s.Engine, err = child.Start(ctx, s.options); err != nil {
		return nil, err
	}
	return s, nil
}

// prepare makes the directory of a target and says how to start it.
func (r *runner) prepare(target string, config child.Config, sims *simulators) (*server, error) {
	r.servers++
	dir := filepath.Join(r.dir, fmt.Sprintf("%03d-%s", r.servers, target))
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	s := &server{engine: target == TargetEngine || target == TargetAgainst, dir: dir}
	s.options = child.Options{Binary: r.o.Binary, DataDir: filepath.Join(dir, "data")}
	if target == TargetAgainst {
		s.options.Binary = r.o.Against
	}
	if !s.engine {
		s.options.DataDir = dir
		s.options.Args = []string{"bench", "bound", "--kind", target, "--addr", "127.0.0.1:0", "--dir", dir}
		return s, nil
	}
	config.GraphURL, config.InstagramURL, config.ModelURL = sims.graphURL, sims.graphURL, sims.modelURL
	file, bootstrap, err := child.WriteFiles(dir, sims.world, config)
	if err != nil {
		return nil, err
	}
	s.options.Config, s.options.Bootstrap = file, bootstrap
	return s, nil
}

// restart stops a server and starts it again on the same store.
func (s *server) restart(ctx context.Context) error {
	if err := s.Terminate(); err != nil {
		return err
	}
	e, err := child.Start(ctx, s.options)
	if err == nil {
		s.Engine = e
	}
	return err
}

// load runs one load on a started server, measures what it used, stops it and,
// for the engine, compares its export. The store is removed unless it was lossy.
func (r *runner) load(ctx context.Context, s *server, l Load, sims *simulators) (*Round, *Sample, error) {
	round, sample, err := r.measure(ctx, s, l, sims)
	if err != nil {
		return nil, nil, err
	}
	if err := s.terminate(); err != nil {
		return nil, nil, err
	}
	if s.engine {
		if err := r.check(ctx, s, round, sample); err != nil {
			return nil, nil, err
		}
	}
	if round.Lost == 0 && round.Twice == 0 {
		_ = os.RemoveAll(s.dir)
	}
	return round, sample, nil
}

// startedIn is how long a machine may take to say what was used until the warm-up was
// over, when the load already is.
const startedIn = 10 * time.Second

// measure runs one load on a started server and measures what it used.
func (r *runner) measure(ctx context.Context, s *server, l Load, sims *simulators) (*Round, *Sample, error) {
	settleDisk()
	var meter *Meter
	var meterErr error
	var accepted int64
	l.Addrs = s.edges()
	if l.Requests == nil {
		l.Requests = r.requests
	}
	started := make(chan struct{})
	l.OnMeasure = func() {
		meter, meterErr = StartMeter(s.data(), s.pids()...)
		accepted = sims.acceptedSends()
		close(started)
	}
	sample, err := l.Run(ctx)
	if err != nil {
		return nil, nil, err
	}
	select {
	case <-started:
	case <-time.After(startedIn):
		return nil, nil, fmt.Errorf("bench: the load ended before its warm-up: %d requests are too few", l.Requests.Len())
	}
	round := &Round{Acks: sample.Acks, Throughput: sample.Throughput(), Refused: sample.Refused, Broken: sample.Broken,
		Ack: quantiles(sample.Ack), Rate: l.Rate, Conns: l.Conns, Replies: sims.acceptedSends() - accepted}
	if meterErr == nil {
		round.Spent, meterErr = meter.Stop()
	}
	if meterErr != nil {
		return nil, nil, meterErr
	}
	if n := float64(sample.Acks); n > 0 {
		round.ServerCPU = float64(round.Spent.Server.Microseconds()) / n
		round.GeneratorCPU = float64(round.Spent.Generator.Microseconds()) / n
		round.Written = float64(round.Spent.Written) / n
		round.Grown = float64(round.Spent.Grown) / n
	}
	if l.Rate > 0 {
		lag := quantiles(sample.Lag)
		round.Lag = &lag
		round.Backlog = float64(sample.Elapsed-l.Measure) / float64(l.Measure)
	}
	round.Invalid = r.invalid(round, sample)
	return round, sample, nil
}

// invalid says why a round's figures must not be used.
func (r *runner) invalid(round *Round, s *Sample) string {
	switch {
	case s.Failed() > 0:
		return fmt.Sprintf("%d requests were not answered 200 (%v)", s.Failed(), s.LastError)
	case s.Acks == 0:
		return "no request was acknowledged"
	case s.Exhausted:
		return "ran out of signed bodies: raise --requests"
	case round.Spent.Other > r.o.OtherMax:
		return fmt.Sprintf("others used %.0f %% of a CPU", 100*round.Spent.Other)
	}
	if round.Lag != nil {
		limit := max(float64(r.o.LagMax)/float64(time.Millisecond), 0.05*round.Ack.P99)
		if round.Lag.P99 > limit {
			return fmt.Sprintf("the generator was late: p99 %.2f ms", round.Lag.P99)
		}
	}
	return ""
}

// check compares the acknowledgements of a round with the export.
func (r *runner) check(ctx context.Context, s *server, round *Round, sample *Sample) error {
	v, err := r.compare(ctx, s, sample.Acked)
	round.Checked, round.Lost, round.Twice = v.Checked, v.Lost, v.Twice
	return err
}

// compare compares acknowledgements with the export and adds to the report.
func (r *runner) compare(ctx context.Context, s *server, acked *Bitset) (Verdict, error) {
	v, err := verify(ctx, s.stores(), acked, acked.Len())
	if err != nil {
		return v, err
	}
	r.report.Acknowledged += v.Checked
	r.report.Lost += v.Lost
	r.report.Twice += v.Twice
	if v.Lost > 0 || v.Twice > 0 {
		r.logf("LOSSY: of %d acknowledged %d are lost, %d doubled; first is request %d; data kept in %s",
			v.Checked, v.Lost, v.Twice, v.First, s.dir)
	}
	return v, nil
}

// headline runs engine and bounds in turn: A-B, B-A, ...
func (r *runner) headline(ctx context.Context) error {
	type side struct{ target, row string }
	var order []side
	for _, b := range r.o.Bounds {
		order = append(order, side{target: b})
	}
	if r.o.Against != "" {
		order = append(order, side{TargetAgainst, RowAcks})
	}
	if r.o.Cluster {
		order = append(order, side{TargetCluster, RowAcks})
	}
	for _, row := range r.o.Rows {
		order = append(order, side{TargetEngine, row})
	}
	for n := 1; n <= r.o.Rounds; n++ {
		for _, at := range inTurn(n, len(order)) {
			if err := r.headlineRound(ctx, n, order[at].target, order[at].row); err != nil {
				return err
			}
		}
	}
	r.report.Headline = headline(r.report.Rounds, r.o.Rounds)
	return nil
}

// inTurn is the order of n sides in a round: there and back, so that what grows
// steadily, like a disk that fills or a machine that warms, favours nobody.
func inTurn(round, n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
		if round%2 == 0 {
			order[i] = n - 1 - i
		}
	}
	return order
}

// headlineRound runs one side, again while it is invalid and tries are left.
func (r *runner) headlineRound(ctx context.Context, n int, target, row string) error {
	for try := 0; ; try++ {
		round, err := r.closedRound(ctx, target, row)
		if err != nil {
			return fmt.Errorf("%s round %d: %w", target, n, err)
		}
		round.Number, round.Target, round.Row = n, target, row
		r.report.Rounds = append(r.report.Rounds, *round)
		r.logf("round %d  %-24s %s", n, target+" "+row, round.line(r.report.Failed()))
		if round.Invalid == "" || try == r.o.Retries || !r.mayRetry() {
			return nil
		}
	}
}

func (r *runner) closedRound(ctx context.Context, target, row string) (*Round, error) {
	sims, err := newSimulators(r.world, r.o.Seed, simOptions{})
	if err != nil {
		return nil, err
	}
	defer sims.close()
	quiet := neverQuiet
	if row == RowReplies {
		quiet = ""
	}
	s, err := r.start(ctx, target, quiet, sims)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	sims.graph.SetHooks("http://" + s.Edge)
	round, _, err := r.load(ctx, s, Load{Conns: r.o.Conns, Warm: r.o.Warm, Measure: r.o.Measure,
		Wrap: target == BoundHMAC}, sims)
	return round, err
}

// open measures ack latency of the engine and the Pebble bound at given rates.
func (r *runner) open(ctx context.Context) error {
	for _, rate := range r.o.Rates {
		for _, target := range []string{BoundPebble, TargetEngine} {
			round, err := r.openRound(ctx, target, rate)
			if err != nil {
				return fmt.Errorf("%s at %v/s: %w", target, rate, err)
			}
			round.Target = target
			if target == TargetEngine {
				round.Row = RowAcks
			}
			r.report.Open = append(r.report.Open, *round)
			r.logf("open %s/s %-16s %s", strconv.FormatFloat(rate, 'f', -1, 64), target, round.line(r.report.Failed()))
		}
	}
	return nil
}

func (r *runner) openRound(ctx context.Context, target string, rate float64) (*Round, error) {
	sims, err := newSimulators(r.world, r.o.Seed, simOptions{})
	if err != nil {
		return nil, err
	}
	defer sims.close()
	s, err := r.start(ctx, target, neverQuiet, sims)
	if err != nil {
		return nil, err
	}
	defer s.Kill()
	round, _, err := r.load(ctx, s, Load{Conns: r.o.Conns, Rate: rate, Poisson: r.o.Poisson, Seed: r.o.Seed,
		Warm: r.o.Warm, Measure: r.o.Measure}, sims)
	return round, err
}
