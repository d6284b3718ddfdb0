package bench

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// ScaleResult is what millions of stored conversations cost. Each has one message and is
// held by people.
type ScaleResult struct {
	// Small and Large are the same load on as many conversations, with few and with many
	// stored: in Small they are all there are, in Large they lie far apart among the rest.
	// CPU and Acks are Large over Small, of the engine's CPU per message and of
	// acknowledgements per second.
	Small ScaleSide `json:"small"`
	Large ScaleSide `json:"large"`
	CPU   float64   `json:"cpu_ratio"`
	Acks  float64   `json:"acks_ratio"`
	// Cold is a load on conversations drawn from all of the many, so that nearly each
	// message makes one resident and, where there are more than may be, another not;
	// Woken is the same at a rate that leaves the machine time, coldRate a second.
	Cold  ScaleSide `json:"cold"`
	Woken ScaleSide `json:"woken"`
	// Settled is how long the store compacted what the filling wrote, before Large.
	Settled time.Duration `json:"settled_ns"`
	// Filled is how long the store took to fill, in webhooks of batchLen messages; Disk
	// what it then took.
	Filled time.Duration `json:"filled_ns"`
	Disk   int64         `json:"disk_bytes"`
	// Restart is from the start of a process to its ready line, with Owed conversations
	// that wait for a turn, after a kill.
	Restart time.Duration `json:"restart_ns"`
	Owed    int           `json:"owed"`
	// Resident conversations took Heap bytes each of live heap without the store's
	// buffers, and the process RSS bytes in all.
	Resident int64   `json:"resident"`
	Heap     float64 `json:"heap_bytes"`
	RSS      int64   `json:"rss_bytes"`
}

// ScaleSide is a closed loop on a store with so many conversations.
type ScaleSide struct {
	Stored     int       `json:"stored"`
	Throughput float64   `json:"acks_per_second"`
	Ack        Quantiles `json:"ack"`
	ServerCPU  float64   `json:"server_cpu_us_per_message"`
	Written    float64   `json:"written_bytes_per_message"`
	// Activated is how many of the acknowledged made a conversation resident, and
	// Activation how long reading its state took, in ms, by the engine's histogram.
	Activated     float64 `json:"activated_share"`
	ActivationP50 float64 `json:"activation_p50_ms"`
	ActivationP99 float64 `json:"activation_p99_ms"`
	Invalid       string  `json:"invalid,omitempty"`
}

const (
	// scaleSmall is how many conversations the first load meets, scaleOwed how many wait
	// for a turn when the engine is killed.
	scaleSmall, scaleOwed = 10_000, 10_000
	// batchLen is how many messages a webhook of a filling holds, fillers how many are
	// under way.
	batchLen, fillers = 500, 8
	// scaleRate bounds what a load can be acknowledged a second: bodies are signed before.
	scaleRate = 30_000
	// coldRate is how many cold conversations are written to a second to see how long
	// reading one takes.
	coldRate = 500
	// scaleRounds loads are measured of a side; that of the median CPU counts.
	scaleRounds = 3
	// A store has settled when settledTimes looks in a row, settleEvery apart, found no
	// compaction. It is waited for no longer than settleMax.
	settleEvery, settleMax = 5 * time.Second, 15 * time.Minute
	settledTimes           = 3
)

// scale fills a store and measures on it.
func (r *runner) scale(ctx context.Context) error {
	side := int(scaleRate * (r.o.Warm + r.o.Measure).Seconds())
	sides := 2*scaleRounds + 2
	f := &filler{runner: r, world: r.world, w: Workload{Tenants: r.o.Tenants, Conversations: r.o.Stored / r.o.Tenants, Seed: r.o.Seed},
		acked: NewBitset(2*r.o.Stored + scaleOwed + sides*side)}
	sims, err := newSimulators(r.world, r.o.Seed, simOptions{})
	if err != nil {
		return err
	}
	defer sims.close()
	model := sims.modelURL
	sims.modelURL = "" // people hold every conversation
	s, err := r.startWith(ctx, TargetEngine, child.Config{}, sims)
	if err != nil {
		return err
	}
	defer func() { s.Kill() }()
	result := &ScaleResult{Owed: scaleOwed}
	began := time.Now()
	if err := f.fill(ctx, s, 0, min(scaleSmall, r.o.Stored)); err != nil {
		return err
	}
	filled := time.Since(began)
	if result.Small, err = f.rounds(ctx, s, side); err != nil {
		return err
	}
	began = time.Now()
	if err := f.fill(ctx, s, f.stored, r.o.Stored-f.stored); err != nil {
		return err
	}
	result.Filled = filled + time.Since(began)
	if result.Settled, err = f.settled(ctx, s); err != nil {
		return err
	}
	if result.Large, err = f.rounds(ctx, s, side); err != nil {
		return err
	}
	if result.Cold, err = f.measure(ctx, s, side, 1, 0); err != nil {
		return err
	}
	if result.Woken, err = f.measure(ctx, s, side, 1, coldRate); err != nil {
		return err
	}
	if result.Small.ServerCPU > 0 && result.Small.Throughput > 0 {
		result.CPU, result.Acks = result.Large.ServerCPU/result.Small.ServerCPU, result.Large.Throughput/result.Small.Throughput
	}
	if result.Restart, err = f.restart(ctx, s, sims, model); err != nil {
		return err
	}
	result.Disk = dirSize(s.options.DataDir)
	if err := f.reside(ctx, s, sims, result); err != nil {
		return err
	}
	v, err := r.compare(ctx, s, f.acked)
	if err != nil {
		return err
	}
	if v.Lost+v.Twice == 0 {
		_ = os.RemoveAll(s.dir)
	}
	r.report.Scale = result
	return nil
}

// filler posts messages and remembers which were acknowledged.
type filler struct {
	*runner
	world *child.World
	w     Workload
	acked *Bitset
	// next is the index of the next message, stored how many conversations there are.
	next, stored int
}

// fill writes a message to each of n conversations from first on, and says how far it is.
func (f *filler) fill(ctx context.Context, s *server, first, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var at, done atomic.Int64
	begin, began, base := time.Now(), time.Now(), f.next
	var wg sync.WaitGroup
	for range fillers {
		wg.Go(func() {
			p := poster{filler: f, wire: wire{addr: s.Edge}}
			defer p.wire.close()
			for ctx.Err() == nil {
				from := int(at.Add(batchLen) - batchLen)
				if from >= n {
					return
				}
				length := min(batchLen, n-from)
				if err := p.post(first+from, base+from, length); err != nil {
					cancel(err)
					return
				}
				done.Add(int64(length))
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for open := true; open; {
		select {
		case <-finished:
			open = false
		case <-tick.C:
			f.logf("scale: %d of %d conversations written, %.0f/s", done.Load(), n, float64(done.Load())/time.Since(began).Seconds())
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	f.next += n
	f.stored = max(f.stored, first+n)
	f.logf("scale: %d messages in %v", n, time.Since(begin).Round(time.Second))
	return nil
}

// poster is one connection of a filling.
type poster struct {
	*filler
	wire               wire
	body, request, sum []byte
}

// post writes to length conversations from first on; their messages have indexes from i
// on.
func (p *poster) post(first, i, length int) error {
	const tries = 50
	app := &p.world.Apps[0]
	p.body = p.w.appendBatch(p.body[:0], p.world, uint64(first), i, length, time.Now())
	p.request, p.sum = appendRequest(p.request[:0], app.ID, hmac.New(sha256.New, []byte(app.Secret)), p.sum, p.body)
	for try := 1; ; try++ {
		status, err := p.wire.post(p.request)
		if err == nil && status == 200 {
			break
		}
		if try == tries {
			return fmt.Errorf("bench: a webhook of %d messages was not acknowledged: status %d, %v", length, status, err)
		}
		time.Sleep(100 * time.Millisecond) // Meta repeats what is not answered 200, later
	}
	for k := range length {
		p.acked.Set(i + k)
	}
	return nil
}

// settled waits until a server's store compacts no more, and returns how long that took.
func (f *filler) settled(ctx context.Context, s *server) (time.Duration, error) {
	const busy = "chumi_pebble_compactions_in_flight"
	began := time.Now()
	for quiet := 0; quiet < settledTimes; {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(settleEvery):
		}
		m, err := Scrape(ctx, s.Ops)
		if err != nil {
			return 0, err
		}
		if quiet++; m[busy] > 0 {
			quiet = 0
			f.logf("scale: the store compacts, %.1f GB to go", m["chumi_pebble_compaction_debt_bytes"]/1e9)
		}
		if time.Since(began) > settleMax {
			return 0, fmt.Errorf("bench: the store still compacts after %v", settleMax)
		}
	}
	return time.Since(began), nil
}

// rounds loads a server, several times, with single messages to as many conversations as
// were stored at first: those that lie furthest apart.
func (f *filler) rounds(ctx context.Context, s *server, n int) (ScaleSide, error) {
	// One fewer than fit in between has no divisor in common with the number of tenants.
	every := max(1, f.stored/scaleSmall-1)
	var sides []ScaleSide
	for range scaleRounds {
		side, err := f.measure(ctx, s, n, every, 0)
		if err != nil {
			return side, err
		}
		sides = append(sides, side)
	}
	// Rounds that something disturbed count only where there is no other.
	if valid := slices.DeleteFunc(slices.Clone(sides), func(s ScaleSide) bool { return s.Invalid != "" }); len(valid) > 0 {
		sides = valid
	}
	slices.SortFunc(sides, func(a, b ScaleSide) int { return cmp.Compare(a.ServerCPU, b.ServerCPU) })
	return sides[len(sides)/2], nil
}

// measure loads a server with single messages to conversations drawn from each every-th
// that is stored, rate of them a second or, at 0, as many as it takes.
func (f *filler) measure(ctx context.Context, s *server, n, every int, rate float64) (ScaleSide, error) {
	side := ScaleSide{Stored: f.stored}
	w := f.w
	w.Conversations, w.First, w.Every = f.stored/w.Tenants, f.next, every
	w.Seed += uint64(f.next)
	requests := BuildRequests(f.world, w, n, time.Now())
	settleDisk()
	var meter *Meter
	var meterErr error
	before, err := Scrape(ctx, s.Ops)
	if err != nil {
		return side, err
	}
	load := Load{Addrs: []string{s.Edge}, Requests: requests, Conns: f.o.Conns, Rate: rate, Warm: f.o.Warm, Measure: f.o.Measure,
		OnMeasure: func() { meter, meterErr = StartMeter(s.options.DataDir, s.Pid()) }}
	sample, err := load.Run(ctx)
	if err == nil {
		err = meterErr
	}
	if err != nil {
		return side, err
	}
	round := &Round{Ack: quantiles(sample.Ack)}
	if round.Spent, err = meter.Stop(); err != nil {
		return side, err
	}
	after, err := Scrape(ctx, s.Ops)
	if err != nil {
		return side, err
	}
	all := 0
	for i := range n {
		if sample.Acked.Has(i) {
			f.acked.Set(f.next + i)
			all++
		}
	}
	f.next += n
	side.Throughput, side.Ack, side.Invalid = sample.Throughput(), round.Ack, f.invalid(round, sample)
	if sample.Acks > 0 {
		side.ServerCPU = float64(round.Spent.Server.Microseconds()) / float64(sample.Acks)
		side.Written = float64(round.Spent.Written) / float64(sample.Acks)
	}
	const activation = "chumi_activation_load_seconds"
	p50, _ := after.Quantile(activation, 0.5, before)
	p99, _ := after.Quantile(activation, 0.99, before)
	side.ActivationP50, side.ActivationP99 = p50*1e3, p99*1e3
	side.Activated = (after[activation+"_count"] - before[activation+"_count"]) / float64(max(all, 1))
	f.logf("scale: %d stored: %.0f acks/s, p99 %.1f ms, %.0f us and %.0f B a message, %.3f of them to a cold conversation %s", side.Stored,
		side.Throughput, side.Ack.P99, side.ServerCPU, side.Written, side.Activated, side.Invalid)
	return side, nil
}

// restart has new conversations wait for a turn, kills the engine and starts it again.
func (f *filler) restart(ctx context.Context, s *server, sims *simulators, model string) (time.Duration, error) {
	configure := func(c child.Config) error {
		c.GraphURL, c.InstagramURL = sims.graphURL, sims.graphURL
		_, _, err := child.WriteFiles(s.dir, f.world, c)
		return err
	}
	// The turns wait longer than the restart takes: else it would begin and end them.
	if err := configure(child.Config{ModelURL: model, QuietPeriod: neverQuiet}); err != nil {
		return 0, err
	}
	if err := s.restart(ctx); err != nil {
		return 0, err
	}
	if err := f.fill(ctx, s, f.stored, scaleOwed); err != nil {
		return 0, err
	}
	s.Kill()
	if err := configure(child.Config{ResidentMax: f.o.StoredResident + scaleOwed + f.o.StoredResident/10}); err != nil {
		return 0, err
	}
	e, err := child.Start(ctx, s.options)
	if err != nil {
		return 0, err
	}
	s.Engine = e
	took := e.Ready.Sub(e.Began)
	f.logf("scale: ready %.2f s after a kill, with %d stored and %d owed", took.Seconds(), f.stored, scaleOwed)
	return took, nil
}

// reside makes conversations resident, each by a message, and stops the engine.
func (f *filler) reside(ctx context.Context, s *server, sims *simulators, result *ScaleResult) error {
	before, err := readHeap(ctx, s)
	if err != nil {
		return err
	}
	if err := f.fill(ctx, s, 0, min(f.o.StoredResident, f.o.Stored)); err != nil {
		return err
	}
	after, err := readHeap(ctx, s)
	if err != nil {
		return err
	}
	result.Resident, result.RSS = after.resident, int64(after.rss)
	if n := after.resident - before.resident; n > 0 {
		result.Heap = (after.own - before.own) / float64(n)
	}
	f.logf("scale: %d resident, %.0f B heap each, RSS %.1f GB", result.Resident, result.Heap, float64(result.RSS)/1e9)
	return s.Terminate()
}

func (r *ScaleResult) text(b io.Writer) {
	if r == nil {
		return
	}
	fmt.Fprintf(b, "Stored conversations\n")
	for _, s := range []*ScaleSide{&r.Small, &r.Large, &r.Cold, &r.Woken} {
		fmt.Fprintf(b, "  with %d: %.0f acks/s, p99 %.1f ms; engine %.0f us and %.0f B to disk a message, %.1f %% of them to a cold conversation",
			s.Stored, s.Throughput, s.Ack.P99, s.ServerCPU, s.Written, 100*s.Activated)
		if s.Invalid != "" {
			fmt.Fprintf(b, "  INVALID: %s", s.Invalid)
		}
		fmt.Fprintln(b)
	}
	fmt.Fprintf(b, "  many over few, with as many written to: %.2f x the CPU of a message, %.2f x the acks/s\n", r.CPU, r.Acks)
	fmt.Fprintf(b, "  a cold conversation is read in %.2f ms at p50 and %.2f ms at p99 at %d a second, %.2f and %.2f ms when as many come as it takes\n",
		r.Woken.ActivationP50, r.Woken.ActivationP99, coldRate, r.Cold.ActivationP50, r.Cold.ActivationP99)
	fmt.Fprintf(b, "  filled in %v; compacted for %v after that; %.1f GB on disk, %.0f B a conversation\n", r.Filled.Round(time.Second), r.Settled.Round(time.Second), float64(r.Disk)/1e9, float64(r.Disk)/float64(max(1, r.Large.Stored)))
	fmt.Fprintf(b, "  ready %.2f s after a kill, with %d conversations that waited for a turn\n", r.Restart.Seconds(), r.Owed)
	fmt.Fprintf(b, "  %d resident at once: %.0f B live heap each outside the store's buffers, RSS of the process %.1f GB\n\n", r.Resident, r.Heap, float64(r.RSS)/1e9)
}
