package bench

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// FlightResult is the cost of a turn in flight: its request has reached the model, and
// the model has not answered. The model holds every request until all are there, and
// then answers them at once.
type FlightResult struct {
	// Turns were in flight at once; HTTP2 tells that they shared connections, and
	// Descriptors how many files and sockets the engine then had open, of DescriptorsMax
	// it may have.
	Turns          int  `json:"turns"`
	HTTP2          bool `json:"http2"`
	Descriptors    int  `json:"descriptors"`
	DescriptorsMax int  `json:"descriptors_max"`
	// Live is live heap and goroutine stacks per turn after a collection, without what
	// Pebble holds; RSS is what the process grew by. Both include the conversation, which
	// became resident.
	Live float64 `json:"live_bytes"`
	RSS  float64 `json:"rss_bytes"`
	// Rise is how long it took from the first webhook to the last turn in flight, Fall
	// from the first answer of the model to the last reply that Graph accepted.
	Rise time.Duration `json:"rise_ns"`
	Fall time.Duration `json:"fall_ns"`
	// Replies came, of the Turns; Again counts requests to the model beyond one for each.
	Replies int64 `json:"replies"`
	Again   int64 `json:"again"`
}

// What a run with turns in flight is like: each number writes so many messages, at a
// rate in all, that the pace of its replies does not matter; it fails when turns are not
// all in flight after flightRise, and gives up on replies after flightFall.
const (
	flightShare = 100
	flightRate  = 2_500
	flightQuiet = 100 * time.Millisecond
	flightRise  = 40 * time.Second
	flightFall  = 2 * time.Minute
)

// flight measures turns in flight. The model's calls share connections over HTTP/2: over
// HTTP/1.1 each would need a descriptor of its own.
func (r *runner) flight(ctx context.Context) error {
	n := r.o.Flights
	w := Workload{Tenants: int(math.Ceil(float64(n) / flightShare)), Conversations: flightShare, InTurn: true, Seed: r.o.Seed}
	world := child.NewWorld(w.Tenants)
	hold := make(chan struct{})
	sims, err := newSimulators(world, r.o.Seed, simOptions{hold: hold})
	if err != nil {
		return err
	}
	release := func() {
		if hold != nil {
			close(hold)
			hold = nil
		}
	}
	defer sims.close()
	defer release()
	requests := BuildRequests(world, w, n, time.Now())
	s, err := r.startWith(ctx, TargetEngine, child.Config{QuietPeriod: flightQuiet.String(), HTTP2: true, CallsMax: n}, sims)
	if err != nil {
		return err
	}
	defer s.Kill()
	sims.graph.SetHooks("http://" + s.Edge)
	before, err := readHeap(ctx, s)
	if err != nil {
		return err
	}
	f := &FlightResult{HTTP2: true}
	began := time.Now()
	load := Load{Addrs: []string{s.Edge}, Requests: requests, Conns: r.o.Conns, Rate: flightRate, Seed: r.o.Seed, Measure: time.Hour, Limit: n}
	sample, err := load.Run(ctx)
	if err == nil && sample.Failed() > 0 {
		err = fmt.Errorf("bench: %d messages were not acknowledged (%v)", sample.Failed(), sample.LastError)
	}
	if err != nil {
		return err
	}
	if err := await(ctx, "turns in flight", n, flightRise, sims.model.InFlight); err != nil {
		return err
	}
	f.Turns, f.Rise = sims.model.InFlight(), time.Since(began)
	after, err := readHeap(ctx, s)
	if err != nil {
		return err
	}
	if f.Descriptors, f.DescriptorsMax, err = descriptors(s.Pid()); err != nil {
		return err
	}
	per := func(a, b float64) float64 { return (a - b) / float64(f.Turns) }
	f.Live, f.RSS = per(after.own+after.stacks, before.own+before.stacks), per(after.rss, before.rss)
	began = time.Now()
	release()
	err = await(ctx, "replies", n, flightFall, func() int { return int(sims.acceptedSends()) })
	f.Fall, f.Replies = time.Since(began), sims.acceptedSends()
	f.Again = sims.modelCalls() - int64(n)
	if err != nil {
		return err
	}
	if err := s.Terminate(); err != nil {
		return err
	}
	v, err := r.compare(ctx, s, sample.Acked)
	if err != nil {
		return err
	}
	if v.Lost+v.Twice == 0 {
		_ = os.RemoveAll(s.dir)
	}
	r.report.Flight = f
	r.logf("flight: %d turns in flight, %.1f KB live each (%.1f KB RSS), %d descriptors; %.0f turns/s up, %.0f down; %d calls again",
		f.Turns, f.Live/1000, f.RSS/1000, f.Descriptors, f.perSecond(f.Rise), f.perSecond(f.Fall), f.Again)
	return nil
}

func (f *FlightResult) perSecond(d time.Duration) float64 { return float64(f.Turns) / d.Seconds() }

func (f *FlightResult) text(b io.Writer) {
	if f == nil {
		return
	}
	fmt.Fprintf(b, "%d turns in flight at once, their requests on the wire to the model (HTTP/2; %d descriptors open of %d)\n",
		f.Turns, f.Descriptors, f.DescriptorsMax)
	fmt.Fprintf(b, "  each: %.1f KB of live heap and stack outside the store's buffers, with its conversation (sampled; RSS %.1f KB)\n",
		f.Live/1000, f.RSS/1000)
	fmt.Fprintf(b, "  %.0f turns/s begun while webhooks came at %d/s; when the model answered all at once, %.0f replies/s until the last of %d; %d calls repeated\n\n",
		f.perSecond(f.Rise), flightRate, f.perSecond(f.Fall), f.Replies, f.Again)
}

// await returns when count has come to n, and fails when it has not within limit.
func await(ctx context.Context, what string, n int, limit time.Duration, count func() int) error {
	const step = 10 * time.Millisecond
	for deadline := time.Now().Add(limit); count() < n; {
		if time.Now().After(deadline) {
			return fmt.Errorf("bench: after %v there are %d of %d %s", limit, count(), n, what)
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// descriptors are those a process has open, and how many it may have. It needs Linux.
func descriptors(pid int) (open, most int, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return 0, 0, fmt.Errorf("bench: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "limits"))
	if err != nil {
		return 0, 0, fmt.Errorf("bench: %w", err)
	}
	return len(files), openFilesMax(string(b)), nil
}

// openFilesMax finds the soft limit of open files in a table of a process's limits.
func openFilesMax(limits string) int {
	for line := range strings.Lines(limits) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.Atoi(f[0]) // "unlimited" is 0: no limit
				return n
			}
		}
	}
	return 0
}
