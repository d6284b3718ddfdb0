package bench

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/chumiai/chumi/bench/child"
)

// ReplyTime is the engine's own time per reply: from a webhook to the call it
// makes to Graph, without model time and quiet period.
type ReplyTime struct {
	// Rate is messages per second, over so many Numbers; Quiet the quiet period.
	Rate    float64       `json:"rate"`
	Numbers int           `json:"numbers"`
	Quiet   time.Duration `json:"quiet_ns"`
	// Messages were acknowledged, Replies seen at Graph.
	Messages int64 `json:"messages"`
	Replies  int64 `json:"replies"`
	// Outside is measured by the simulators: the webhook's writing to the
	// receipt of the reply that answers it last, minus the model call (from its
	// receipt to its answer) and the quiet period.
	Outside Quantiles `json:"outside"`
	// InsideP50 and InsideP99 are from the engine's own histogram, in ms; zero
	// when it reported none.
	InsideP50 float64 `json:"inside_p50_ms"`
	InsideP99 float64 `json:"inside_p99_ms"`
	Round     Round   `json:"round"`
}

// replyFor is how long replies are measured, after the warm-up.
const replyFor = 15 * time.Second

// replyDrain is how long replies may come after the last message.
const replyDrain = 10 * time.Second

// What Meta allows a new number, both directions together, and an account to send,
// a second; and how much of that is used while reply time is measured. Nearer to it
// replies wait for the pace, and the queue is what is measured.
const (
	numberPace  = 80
	accountPace = 100
	replyShare  = 0.12
)

// replyMessages is how many messages are written for replies.
func (o *Options) replyMessages() int { return int(o.ReplyRate * (o.Warm + replyFor).Seconds()) }

// replyWorkload has as many conversations as there are messages on average, over as
// many numbers and accounts as it takes to use replyShare of each.
func (o *Options) replyWorkload() Workload {
	w := o.workloadOf(0)
	numbers := 2 * o.ReplyRate * (1 - o.Instagram) / (numberPace * replyShare)
	accounts := o.ReplyRate * o.Instagram / (accountPace * replyShare)
	w.Tenants = max(o.Tenants, int(math.Ceil(max(numbers, accounts))))
	w.Conversations = max(1, o.replyMessages()/w.Tenants)
	return w
}

// reply measures at an open-loop rate, so that neither merging nor pacing hides the
// engine.
func (r *runner) reply(ctx context.Context) error {
	watch := &replyWatch{quiet: r.o.ReplyQuiet, model: map[int]time.Duration{}, graph: map[int]time.Time{}}
	w := r.o.replyWorkload()
	world := child.NewWorld(w.Tenants)
	sims, err := newSimulators(world, r.o.Seed, simOptions{watch: watch})
	if err != nil {
		return err
	}
	defer sims.close()
	n := r.o.replyMessages()
	requests := BuildRequests(world, w, n, time.Now())
	s, err := r.start(ctx, TargetEngine, r.o.ReplyQuiet.String(), sims)
	if err != nil {
		return err
	}
	defer s.Kill()
	sims.graph.SetHooks("http://" + s.Edge)
	before, err := Scrape(ctx, s.Ops)
	if err != nil {
		return err
	}
	result := &ReplyTime{Rate: r.o.ReplyRate, Numbers: w.Tenants, Quiet: r.o.ReplyQuiet}
	load := Load{Requests: requests, Conns: r.o.Conns, Rate: r.o.ReplyRate, Poisson: r.o.Poisson, Seed: r.o.Seed,
		Warm: r.o.Warm, Measure: replyFor, Limit: n}
	load.OnDone = func() {
		watch.waitFor(ctx, n, replyDrain)
		if after, err := Scrape(ctx, s.Ops); err == nil {
			const name = "chumi_reply_engine_seconds"
			p50, _ := after.Quantile(name, 0.5, before)
			p99, _ := after.Quantile(name, 0.99, before)
			result.InsideP50, result.InsideP99 = 1000*p50, 1000*p99
		}
	}
	round, sample, err := r.load(ctx, s, load, sims)
	if err != nil {
		return err
	}
	h := newHistogram()
	result.Replies = watch.measure(sample, int(r.o.ReplyRate*r.o.Warm.Seconds()), h)
	result.Messages, result.Outside = sample.Acks, quantiles(h)
	round.Target, round.Row = TargetEngine, RowReplies
	result.Round = *round
	r.report.Reply = result
	r.logf("reply at %v/s: p50 %.1f ms, p99 %.1f ms over %d replies %s", result.Rate, result.Outside.P50, result.Outside.P99,
		result.Replies, round.Invalid)
	return nil
}

// replyWatch notes when the simulators saw what belongs to a request. A reply
// names the requests it answers as "#<n>". Safe for concurrent use.
type replyWatch struct {
	quiet time.Duration

	mu sync.Mutex
	// model is the duration of the latest model call that named the request,
	// graph the receipt of the first reply that did.
	model map[int]time.Duration
	graph map[int]time.Time
}

// modelAnswered notes a model call that was answered with text.
func (w *replyWatch) modelAnswered(text string, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, ok := lastToken(text); ok {
		w.model[last] = took
	}
}

// graphReceived notes a send request with text.
func (w *replyWatch) graphReceived(text string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := lastToken(text)
	if _, seen := w.graph[last]; ok && !seen {
		w.graph[last] = at
	}
}

// waitFor returns when n replies came, or none came for a second, or time is up.
func (w *replyWatch) waitFor(ctx context.Context, n int, limit time.Duration) {
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.graph)
	}
	deadline := time.Now().Add(limit)
	for last := -1; time.Now().Before(deadline) && ctx.Err() == nil; {
		now := count()
		if now >= n || now == last {
			return
		}
		last = now
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// measure records the engine's time of every reply to a request from first on
// and returns how many there were.
func (w *replyWatch) measure(s *Sample, first int, h *hdrhistogram.Histogram) int64 {
	return w.each(s, first, func(i int, took time.Duration) { record(h, took-w.quiet-w.model[i]) })
}

// each calls f for every reply to a request from first on, with how long it took from the
// webhook, and returns how many there were.
func (w *replyWatch) each(s *Sample, first int, f func(i int, took time.Duration)) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var n int64
	for i, at := range w.graph {
		if i < first || i >= len(s.Wrote) || s.Wrote[i].IsZero() {
			continue
		}
		n++
		f(i, at.Sub(s.Wrote[i]))
	}
	return n
}

// lastToken is the highest n of the "#<n>" in a text.
func lastToken(text string) (int, bool) {
	last, found := 0, false
	for {
		_, rest, ok := strings.Cut(text, "#")
		if !ok {
			return last, found
		}
		end := 0
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if n, err := strconv.Atoi(rest[:end]); err == nil {
			last, found = max(last, n), true
		}
		text = rest[end:]
	}
}

// line is the round in one line of the log. A lossy run prints no throughput.
func (r *Round) line(lossy bool) string {
	if lossy {
		return fmt.Sprintf("checked %d, lost %d, doubled %d", r.Checked, r.Lost, r.Twice)
	}
	s := fmt.Sprintf("%8.0f acks/s  p50 %.2f  p99 %.2f ms  %.0f us/msg  %.0f B/msg", r.Throughput, r.Ack.P50, r.Ack.P99, r.ServerCPU, r.Written)
	if r.Replies > 0 {
		s += fmt.Sprintf("  %d replies", r.Replies)
	}
	if r.Invalid != "" {
		s += "  INVALID: " + r.Invalid
	}
	return s
}
