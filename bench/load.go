package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Source is a sequence of complete HTTP requests, headers and bodies, which must not
// be changed. Safe for concurrent use.
type Source interface {
	Len() int
	At(i int) []byte
}

// Load drives one server with requests in order, over a fixed number of
// connections.
type Load struct {
	// Addrs are where connections go, in turn.
	Addrs    []string
	Requests Source
	// First is the request to begin with.
	First int
	Conns int
	// PerConn is after how many requests a connection is closed and opened anew; 0 keeps
	// it open.
	PerConn int
	// Rate is requests per second; 0 drives each connection as fast as it is
	// answered (closed loop), which finds the limit and says nothing of latency
	// at a given rate.
	Rate float64
	// Poisson draws exponential gaps instead of equal ones.
	Poisson bool
	Seed    uint64
	// Warm runs before Measure and is not recorded.
	Warm, Measure time.Duration
	// Limit ends the load after so many requests, 0 when time alone does.
	Limit int
	// Wrap begins again when requests run out; for servers without a memory.
	Wrap bool
	// OnBegin is called before the first request is due; nil is allowed.
	OnBegin func()
	// OnAnswer is called with each answer's status, 0 when there was none, from many
	// goroutines at once; nil is allowed.
	OnAnswer func(i, status int)
	// OnMeasure is called once when Warm is over; nil is allowed.
	OnMeasure func()
	// OnDone is called when the last answer has come; nil is allowed.
	OnDone func()
}

// Sample is what a load saw.
type Sample struct {
	// Next is the first request that was not sent.
	Next int
	// Acked has a bit for every request answered 200, warm-up included.
	Acked *Bitset
	// Acks is 200s in Measure; Elapsed is how long that was.
	Acks    int64
	Elapsed time.Duration
	// Refused counts other answers by status; Broken counts exchanges without one.
	Refused map[int]int64
	Broken  int64
	// LastError is one of the broken exchanges' errors.
	LastError error
	// Ack is the latency of 200s: from the time a request was due in an open
	// loop, from its writing in a closed one.
	Ack *hdrhistogram.Histogram
	// Lag is how late the generator itself was: due to written, of requests
	// that found a free connection. Queued is the same of those that had to
	// wait for one, which is the server's doing. Both empty in a closed loop.
	Lag, Queued *hdrhistogram.Histogram
	// Wrote is when each request was written, from First; zero when it was not.
	// Kept only when Limit is set.
	Wrote []time.Time
	// Exhausted is true when requests ran out before the time did.
	Exhausted bool
}

// Throughput is acknowledgements per second.
func (s *Sample) Throughput() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Acks) / s.Elapsed.Seconds()
}

// Failed is the number of requests that were not answered 200.
func (s *Sample) Failed() int64 {
	n := s.Broken
	for _, c := range s.Refused {
		n += c
	}
	return n
}

// ticket is one request due at a time. Free tells whether a connection was
// idle when it was issued.
type ticket struct {
	index int
	due   time.Time
	free  bool
}

type loadRun struct {
	*Load
	next     atomic.Int64
	idle     atomic.Int64
	warm     time.Time
	end      time.Time
	last     int
	tickets  chan ticket
	wroteAt  []time.Time
	measured sync.Once
}

// Run sends until time or requests are over and every answer has come.
func (l *Load) Run(ctx context.Context) (*Sample, error) {
	if l.Conns < 1 || l.First >= l.Requests.Len() {
		return nil, fmt.Errorf("bench: a load needs connections and requests")
	}
	if l.OnBegin != nil {
		l.OnBegin()
	}
	begin := time.Now()
	run := &loadRun{Load: l, warm: begin.Add(l.Warm), end: begin.Add(l.Warm + l.Measure), last: l.Requests.Len()}
	if l.Limit > 0 {
		run.last = min(run.last, l.First+l.Limit)
		run.wroteAt = make([]time.Time, run.last-l.First)
	}
	run.next.Store(int64(l.First))
	workers := make([]*worker, l.Conns)
	var wg sync.WaitGroup
	if l.Rate > 0 {
		run.tickets = make(chan ticket, run.room())
		wg.Go(func() { run.schedule(ctx, begin) })
	}
	acked := NewBitset(l.Requests.Len())
	for i := range workers {
		w := &worker{run: run, wire: wire{addr: l.Addrs[i%len(l.Addrs)]}, acked: acked,
			ack: newHistogram(), lag: newHistogram(), queued: newHistogram(), refused: map[int]int64{}}
		workers[i] = w
		wg.Go(func() { w.drive(ctx) })
	}
	if l.OnMeasure != nil {
		timer := time.AfterFunc(l.Warm, func() { run.measured.Do(l.OnMeasure) })
		defer timer.Stop()
	}
	wg.Wait()
	if l.OnDone != nil {
		l.OnDone()
	}
	return run.sample(workers, acked), ctx.Err()
}

func (r *loadRun) sample(workers []*worker, acked *Bitset) *Sample {
	s := &Sample{Acked: acked, Refused: map[int]int64{}, Wrote: r.wroteAt,
		Ack: newHistogram(), Lag: newHistogram(), Queued: newHistogram()}
	s.Next = min(int(r.next.Load()), r.last)
	s.Exhausted = s.Next >= r.last && r.Limit == 0 && !r.Wrap
	var done time.Time
	for _, w := range workers {
		s.Acks += w.acks
		s.Broken += w.broken
		for code, n := range w.refused {
			s.Refused[code] += n
		}
		if w.err != nil {
			s.LastError = w.err
		}
		s.Ack.Merge(w.ack)
		s.Lag.Merge(w.lag)
		s.Queued.Merge(w.queued)
		if w.done.After(done) {
			done = w.done
		}
	}
	if s.Elapsed = r.Measure; s.Exhausted || r.Limit > 0 || done.After(r.end) && r.Rate > 0 {
		s.Elapsed = done.Sub(r.warm)
	}
	return s
}

// room is that of every request an open loop can send, so that its schedule never
// waits for the server: those there are, and no more than the time allows, with so
// much on top that no draw of gaps is nearer.
func (r *loadRun) room() int {
	room := r.last - r.First
	if r.Limit == 0 {
		const spare, atLeast = 1.1, 1000
		room = min(room, atLeast+int(spare*r.Rate*(r.Warm+r.Measure).Seconds()))
	}
	return room
}

// schedule issues tickets at their due times, whatever the server does.
func (r *loadRun) schedule(ctx context.Context, begin time.Time) {
	defer close(r.tickets)
	rng := rand.New(rand.NewPCG(r.Seed, 0x6172726976616c))
	gap := float64(time.Second) / r.Rate
	due := float64(0)
	clock := newSleeper()
	defer clock.close()
	for ctx.Err() == nil {
		if r.Poisson {
			due += rng.ExpFloat64() * gap
		} else {
			due += gap
		}
		at := begin.Add(time.Duration(due))
		if at.After(r.end) && r.Limit == 0 {
			return
		}
		i := int(r.next.Load())
		if i >= r.last {
			return
		}
		clock.until(at)
		r.next.Store(int64(i + 1))
		r.tickets <- ticket{index: i, due: at, free: int(r.idle.Load()) > len(r.tickets)}
	}
}

// worker is one connection's goroutine; its fields are its own until it ends.
type worker struct {
	run     *loadRun
	wire    wire
	acked   *Bitset
	sent    int
	acks    int64
	refused map[int]int64
	broken  int64
	err     error
	done    time.Time

	ack, lag, queued *hdrhistogram.Histogram
}

func (w *worker) drive(ctx context.Context) {
	defer w.wire.close()
	r := w.run
	if r.tickets == nil {
		for ctx.Err() == nil && time.Now().Before(r.end) {
			i := int(r.next.Add(1) - 1)
			if r.Wrap {
				i = r.First + (i-r.First)%(r.last-r.First)
			}
			if i >= r.last {
				return
			}
			w.exchange(ticket{index: i})
		}
		return
	}
	r.idle.Add(1)
	for t := range r.tickets {
		r.idle.Add(-1)
		if ctx.Err() == nil {
			w.exchange(t)
		}
		r.idle.Add(1)
	}
}

func (w *worker) exchange(t ticket) {
	r := w.run
	wrote := time.Now()
	if r.wroteAt != nil {
		r.wroteAt[t.index-r.First] = wrote
	}
	status, err := w.wire.post(r.Requests.At(t.index))
	w.done = time.Now()
	if w.sent++; r.PerConn > 0 && w.sent%r.PerConn == 0 {
		w.wire.close()
	}
	if r.OnAnswer != nil {
		r.OnAnswer(t.index, status)
	}
	switch {
	case err != nil:
		w.broken++
		w.err = err
		return
	case status != http.StatusOK:
		w.refused[status]++
		return
	}
	w.acked.Set(t.index)
	from := t.due
	if from.IsZero() {
		from = wrote
	}
	if from.Before(r.warm) || t.due.IsZero() && w.done.After(r.end) {
		return
	}
	w.acks++
	record(w.ack, w.done.Sub(from))
	if !t.due.IsZero() {
		if t.free {
			record(w.lag, wrote.Sub(t.due))
		} else {
			record(w.queued, wrote.Sub(t.due))
		}
	}
}
