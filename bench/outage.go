package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/chumiai/chumi/bench/child"
)

// OutageResult is how an engine comes back: for a time no webhook got through, and Meta
// now repeats what came meanwhile, some of it more than once, while people go on writing.
type OutageResult struct {
	// Outage is how long webhooks did not get through, at Rate messages a second; Speed is
	// how many times as fast Meta offers them afterwards; Duplicates of them came again.
	Outage     time.Duration `json:"outage_ns"`
	Rate       float64       `json:"rate"`
	Speed      int           `json:"speed"`
	Messages   int           `json:"messages"`
	Duplicates int64         `json:"duplicates"`
	// Peak is what the engine acknowledges a second when the same messages come as fast as
	// it takes them, without duplicates and on a store of its own; Goodput is messages of
	// the outage a second, duplicates and live messages not counted, of Offered a second
	// that the replay wanted to bring in. Both while replies are made and sent.
	Peak    float64 `json:"peak_acks_per_second"`
	Offered float64 `json:"offered_per_second"`
	Goodput float64 `json:"goodput_per_second"`
	// Refused are answers that were not 200; what they were for was offered again.
	Refused int64 `json:"refused"`
	// Live messages' time to durable before, during and after the replay.
	Before Quantiles `json:"before"`
	During Quantiles `json:"during"`
	After  Quantiles `json:"after"`
	// Recovery is from the end of the replay until a second of live messages was as fast
	// again as recoveryTimes their p99 before, or 10 ms.
	Recovery time.Duration `json:"recovery_ns"`
	RSS      int64         `json:"rss_bytes"`
}

const (
	// duplicateShare of a replay comes again, soon after the first.
	duplicateShare = 0.3
	duplicateSpan  = 5_000
	// liveShare of the normal rate is messages that are written while the replay goes on.
	liveShare = 0.1
	// replayers is how many connections Meta uses for a replay.
	replayers     = 64
	liveConns     = 8
	liveFor       = 5 * time.Second
	peakFor       = time.Minute
	recoveryTimes = 2
	recoveryMax   = 5 * time.Minute
)

// outage measures a replay. The peak is measured first, on a store of its own.
func (r *runner) outage(ctx context.Context) error {
	o := &OutageResult{Outage: r.o.Outage, Speed: r.o.OutageSpeed}
	const unbounded = 1e6 // a second: more than any engine takes
	probe := &OutageResult{Outage: o.Outage, Rate: unbounded, Offered: unbounded, Messages: int(unbounded * peakFor.Seconds())}
	err := r.replay(ctx, probe, 0, func(ctx context.Context, p *replay) error {
		within, cancel := context.WithTimeout(ctx, peakFor)
		defer cancel()
		began := time.Now()
		p.all(within)
		o.Peak = float64(p.unique.Load()) / time.Since(began).Seconds()
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	// What is offered is a little more than the engine takes: else the offer is measured.
	o.Rate = 1.2 * o.Peak / float64(o.Speed)
	o.Offered = o.Rate * float64(o.Speed)
	o.Messages = int(o.Rate * o.Outage.Seconds())
	live := o.Rate * liveShare
	room := int(live*(o.Outage.Seconds()+(2*liveFor+recoveryMax).Seconds())) + 1
	err = r.replay(ctx, o, room, func(ctx context.Context, p *replay) error {
		p.repeats = duplicateShare
		return p.run(ctx, live)
	})
	if err == nil {
		r.report.Outage = o
	}
	return err
}

// replay has do bring messages to an engine of its own, and compares what was
// acknowledged with what is stored.
func (r *runner) replay(ctx context.Context, o *OutageResult, room int, do func(context.Context, *replay) error) error {
	sims, err := newSimulators(r.world, r.o.Seed, simOptions{})
	if err != nil {
		return err
	}
	defer sims.close()
	s, err := r.startWith(ctx, TargetEngine, child.Config{}, sims)
	if err != nil {
		return err
	}
	defer s.Kill()
	sims.graph.SetHooks("http://" + s.Edge)
	p := &replay{runner: r, result: o, edge: s.Edge, acked: NewBitset(o.Messages + room), began: time.Now(),
		w: Workload{Tenants: r.o.Tenants, Conversations: r.o.Conversations, Seed: r.o.Seed}}
	if err := do(ctx, p); err != nil {
		return err
	}
	u, err := ReadUsage(s.Pid())
	if err != nil {
		return err
	}
	o.RSS = u.RSS
	if err := s.Terminate(); err != nil {
		return err
	}
	v, err := r.compare(ctx, s, p.acked)
	if err == nil && v.Lost+v.Twice == 0 {
		_ = os.RemoveAll(s.dir)
	}
	return err
}

// replay is a replay under way.
type replay struct {
	*runner
	result *OutageResult
	edge   string
	w      Workload
	acked  *Bitset
	began  time.Time
	// repeats is how many of the messages come again.
	repeats float64
	// next is the next message of the outage, unique how many of them were acknowledged.
	next, unique, refused, doubled atomic.Int64
}

func (p *replay) run(ctx context.Context, rate float64) error {
	l := &livePeople{replay: p, rate: rate, first: p.result.Messages}
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() { done <- l.run(ctx, stop) }()
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	pause(liveFor)
	p.result.Before = l.take()
	began := time.Now()
	p.all(ctx)
	took := time.Since(began)
	p.result.During = l.take()
	p.result.Goodput = float64(p.unique.Load()) / took.Seconds()
	p.result.Refused, p.result.Duplicates = p.refused.Load(), p.doubled.Load()
	p.logf("outage: %d messages and %d duplicates in %v: %.0f/s of %.0f offered, peak %.0f; %d refused", p.result.Messages, p.result.Duplicates,
		took.Round(time.Second), p.result.Goodput, p.result.Offered, p.result.Peak, p.result.Refused)
	ended := time.Now()
	limit := max(recoveryTimes*p.result.Before.P99, 10)
	var err error
	for err == nil && ctx.Err() == nil {
		pause(time.Second)
		q := l.take()
		p.result.Recovery = time.Since(ended)
		if q.Count > 0 && q.P99 <= limit {
			break
		}
		if p.result.Recovery > recoveryMax {
			err = fmt.Errorf("bench: live messages still take %.0f ms (p99) %v after the replay", q.P99, recoveryMax)
		}
	}
	pause(liveFor)
	p.result.After = l.take()
	close(stop)
	if live := <-done; err == nil {
		err = live
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// all offers every message of the outage until it is acknowledged, at the replay's pace or
// as fast as it is taken.
func (p *replay) all(ctx context.Context) {
	var wg sync.WaitGroup
	began := time.Now()
	for n := range replayers {
		wg.Go(func() { p.offer(ctx, began, rand.New(rand.NewPCG(p.o.Seed, uint64(n)))) })
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-finished:
			return
		case <-tick.C:
			p.logf("outage: %d of %d messages are in, %.0f/s", p.unique.Load(), p.result.Messages, float64(p.unique.Load())/time.Since(began).Seconds())
		}
	}
}

// offer is one of Meta's connections.
func (p *replay) offer(ctx context.Context, began time.Time, rng *rand.Rand) {
	w := signer{replay: p, wire: wire{addr: p.edge}, mac: p.mac()}
	defer w.wire.close()
	for ctx.Err() == nil {
		i := int(p.next.Add(1) - 1)
		if i >= p.result.Messages {
			return
		}
		due := began.Add(time.Duration(float64(i) / p.result.Offered * float64(time.Second)))
		if wait := time.Until(due); wait > time.Millisecond {
			time.Sleep(wait) // the pace of the replay
		}
		for !w.post(i) {
			if p.refused.Add(1); ctx.Err() != nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // Meta repeats later
		}
		p.unique.Add(1)
		if rng.Float64() < p.repeats {
			p.doubled.Add(1)
			w.post(max(0, i-rng.IntN(duplicateSpan)))
		}
	}
}

func (p *replay) mac() hash.Hash { return hmac.New(sha256.New, []byte(p.world.Apps[0].Secret)) }

// signer posts messages by their index.
type signer struct {
	*replay
	wire               wire
	mac                hash.Hash
	body, request, sum []byte
}

// post writes message i, the same bytes each time, and tells whether it was acknowledged.
// Messages of the outage were written evenly over it.
func (w *signer) post(i int) bool {
	at := w.began
	if i < w.result.Messages {
		at = at.Add(-w.result.Outage + time.Duration(float64(i)/w.result.Rate*float64(time.Second)))
	}
	conv := uint64(i) * 2654435761 % uint64(w.w.Tenants*w.w.Conversations)
	w.body = w.w.appendBody(w.body[:0], w.world, conv, i, at)
	w.request, w.sum = appendRequest(w.request[:0], w.world.Apps[0].ID, w.mac, w.sum, w.body)
	status, err := w.wire.post(w.request)
	if err != nil || status != 200 {
		return false
	}
	w.acked.Set(i)
	return true
}

// livePeople write at a steady rate, whatever else goes on.
type livePeople struct {
	*replay
	rate  float64
	first int

	mu   sync.Mutex // guards seen
	seen *hdrhistogram.Histogram
}

func (l *livePeople) run(ctx context.Context, stop <-chan struct{}) error {
	type message struct {
		i   int
		due time.Time
	}
	queue := make(chan message, 1<<16)
	var failed atomic.Int64
	var wg sync.WaitGroup
	for range liveConns {
		wg.Go(func() {
			w := signer{replay: l.replay, wire: wire{addr: l.edge}, mac: l.mac()}
			defer w.wire.close()
			for m := range queue {
				for ctx.Err() == nil && !w.post(m.i) {
					failed.Add(1)
					time.Sleep(10 * time.Millisecond) // Meta repeats later
				}
				l.note(time.Since(m.due))
			}
		})
	}
	clock := newSleeper()
	defer clock.close()
	began := time.Now()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(float64(i) / l.rate * float64(time.Second)))
		clock.until(due)
		select {
		case <-stop:
			close(queue)
			wg.Wait()
			return nil
		case <-ctx.Done():
			close(queue)
			wg.Wait()
			return ctx.Err()
		case queue <- message{l.first + i, due}:
		}
	}
}

func (l *livePeople) note(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = newHistogram()
	}
	record(l.seen, took)
}

// take is what was seen since the last take.
func (l *livePeople) take() Quantiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		return Quantiles{}
	}
	q := quantiles(l.seen)
	l.seen = nil
	return q
}

func (o *OutageResult) text(b io.Writer) {
	if o == nil {
		return
	}
	fmt.Fprintf(b, "An outage of %v at %.0f messages/s, replayed at %d times that with %d duplicates among %d messages, while %.0f messages/s are written\n",
		o.Outage, o.Rate, o.Speed, o.Duplicates, o.Messages, o.Rate*liveShare)
	fmt.Fprintf(b, "  goodput %.0f/s, %.2f of the peak of %.0f/s without duplicates; %d answers were not 200 and repeated; RSS %.1f GB\n",
		o.Goodput, o.Goodput/max(1, o.Peak), o.Peak, o.Refused, float64(o.RSS)/1e9)
	fmt.Fprintf(b, "  live messages' acks p99: before %.1f ms, during %.1f ms, after %.1f ms; as fast as before %.1f s after the replay\n\n",
		o.Before.P99, o.During.P99, o.After.P99, o.Recovery.Seconds())
}
