package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// MemoryResult is the cost of a resident conversation. The engine is started
// on a store that already holds the conversations, so that none is resident;
// then each gets one message. People hold them: nothing happens by itself. What grew, divided by how many became resident,
// is the cost.
type MemoryResult struct {
	// Resident is how many conversations became resident, by the engine's gauge.
	Resident int64 `json:"resident"`
	// Heap is live heap per conversation after a collection, without what Pebble
	// holds (its memtables and cache grow with writes, not with residents). It
	// comes from the sampled heap profile: trust two digits.
	Heap float64 `json:"heap_bytes"`
	// WholeHeap is the same with Pebble, RSS of the whole process.
	WholeHeap float64 `json:"whole_heap_bytes"`
	RSS       float64 `json:"rss_bytes"`
}

// residentGauge counts resident conversations.
const residentGauge = `chumi_activations{kind="conversation"}`

func (r *runner) memory(ctx context.Context) error {
	sims, err := newSimulators(r.world, r.o.Seed, simOptions{})
	if err != nil {
		return err
	}
	defer sims.close()
	// People hold every conversation. A turn, which waits no longer than 15 s however
	// long the quiet period is, would make conversations resident while a slow machine
	// still writes.
	sims.modelURL = ""
	w := r.o.workloadOf(0)
	w.Conversations = max(1, r.o.Resident/r.o.Tenants)
	w.InTurn = true
	n := w.Conversations * r.o.Tenants
	requests := BuildRequests(r.world, w, 2*n, time.Now())
	s, err := r.start(ctx, TargetEngine, "", sims)
	if err != nil {
		return err
	}
	defer func() { s.Kill() }()
	acked := NewBitset(requests.Len())
	post := func(first int) error {
		l := Load{Addrs: []string{s.Edge}, Requests: requests, First: first, Conns: r.o.Conns, Measure: time.Hour, Limit: n}
		sample, err := l.Run(ctx)
		if err == nil && sample.Failed() > 0 {
			err = fmt.Errorf("bench: %d messages were not acknowledged (%v)", sample.Failed(), sample.LastError)
		}
		if err != nil {
			return err
		}
		for i := range requests.Len() {
			if sample.Acked.Has(i) {
				acked.Set(i)
			}
		}
		return nil
	}
	if err := post(0); err != nil {
		return err
	}
	if err := s.restart(ctx); err != nil {
		return err
	}
	before, err := readHeap(ctx, s)
	if err != nil {
		return err
	}
	if err := post(n); err != nil {
		return err
	}
	after, err := readHeap(ctx, s)
	if err != nil {
		return err
	}
	if err := s.Terminate(); err != nil {
		return err
	}
	v, err := r.compare(ctx, s, acked)
	if err != nil {
		return err
	}
	if v.Lost+v.Twice == 0 {
		_ = os.RemoveAll(s.dir)
	}
	m := &MemoryResult{Resident: after.resident - before.resident}
	if m.Resident < int64(n)/2 {
		return fmt.Errorf("bench: only %d of %d conversations are resident", m.Resident, n)
	}
	per := func(a, b float64) float64 { return (a - b) / float64(m.Resident) }
	m.Heap, m.WholeHeap, m.RSS = per(after.own, before.own), per(after.whole, before.whole), per(after.rss, before.rss)
	r.report.Memory = m
	r.logf("memory: %d resident, %.0f B heap each (%.0f with the store's buffers, %.0f RSS)", m.Resident, m.Heap, m.WholeHeap, m.RSS)
	return nil
}

type heap struct {
	resident int64
	// own, whole and stacks are live bytes: see parseHeapProfile.
	own, whole, stacks, rss float64
}

// readHeap collects garbage in the server and reads what is left.
func readHeap(ctx context.Context, s *server) (heap, error) {
	var h heap
	// The first collection frees what finalizers and pools still held.
	for range 2 {
		if err := h.readProfile(ctx, s.Ops); err != nil {
			return h, err
		}
	}
	m, err := Scrape(ctx, s.Ops)
	if err != nil {
		return h, err
	}
	u, err := ReadUsage(s.Pid())
	h.resident, h.rss = int64(m[residentGauge]), float64(u.RSS)
	return h, err
}

func (h *heap) readProfile(ctx context.Context, ops string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/debug/pprof/heap?gc=1&debug=1", nil)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("bench: heap profile: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("bench: heap profile: status %d", resp.StatusCode)
	}
	p, err := parseHeapProfile(resp.Body, "github.com/cockroachdb/")
	h.own, h.whole, h.stacks = p.own, p.whole, p.stacks
	return err
}

// profile is what a heap profile says: own is the estimated live bytes that were
// allocated where no function's name begins with what is excepted, whole is HeapAlloc,
// stacks is what goroutines stand on.
type profile struct{ own, whole, stacks float64 }

// parseHeapProfile reads the runtime's text form of a heap profile.
func parseHeapProfile(r io.Reader, except string) (p profile, err error) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	var rate, bytes float64
	var excluded bool
	flush := func() {
		if !excluded {
			p.own += bytes
		}
		bytes, excluded = 0, false
	}
	for s.Scan() {
		line := s.Text()
		switch {
		case strings.HasPrefix(line, "heap profile:"):
			if _, v, ok := strings.Cut(line, "@ heap/"); ok {
				rate, err = strconv.ParseFloat(v, 64)
				rate /= 2 // the header holds twice the sampling rate
			}
			if err != nil || rate == 0 {
				return p, fmt.Errorf("bench: heap profile header %q", line)
			}
		case strings.HasPrefix(line, "# HeapAlloc = "):
			p.whole, _ = strconv.ParseFloat(strings.TrimPrefix(line, "# HeapAlloc = "), 64)
		case strings.HasPrefix(line, "# Stack = "):
			inUse, _, _ := strings.Cut(strings.TrimPrefix(line, "# Stack = "), " ")
			p.stacks, _ = strconv.ParseFloat(inUse, 64)
		case strings.HasPrefix(line, "#\t"):
			f := strings.Fields(line)
			excluded = excluded || len(f) > 2 && strings.HasPrefix(f[2], except)
		case line != "" && line[0] >= '0' && line[0] <= '9':
			flush()
			var objects, size float64
			if _, err := fmt.Sscanf(line, "%g: %g", &objects, &size); err != nil {
				return p, fmt.Errorf("bench: heap profile line %q", line)
			}
			if objects > 0 {
				// Each byte is sampled with probability 1/rate, so an object of
				// this size is seen with 1-exp(-size/rate).
				bytes = size / (1 - math.Exp(-size/objects/rate))
			}
		}
	}
	flush()
	if err := s.Err(); err != nil {
		return p, fmt.Errorf("bench: heap profile: %w", err)
	}
	return p, nil
}
