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

// Side is what traffic gets that is measured beside something else, or alone.
type Side struct {
	// Ack is from when a webhook was due to its 200, in ms, of every message of the load;
	// Reply from a webhook's writing to the call of Graph that answers it, and Engine that
	// without the model's time and the quiet period.
	Ack    Quantiles `json:"ack"`
	Reply  Quantiles `json:"reply"`
	Engine Quantiles `json:"engine"`
	// Messages that count were acknowledged, and Replies answer them; All is the messages
	// of the whole load.
	Messages int64 `json:"messages"`
	Replies  int64 `json:"replies"`
	All      int64 `json:"all_messages"`
	// Refused are messages that were not answered 200.
	Refused int64 `json:"refused"`
	// Live is the engine's live heap and stacks after a collection, without what Pebble
	// holds, and RSS its resident memory, at the end of the load and while what goes on
	// beside it still does: the most of all rounds, in bytes. Zero where nobody asked.
	Live float64 `json:"live_bytes,omitempty"`
	RSS  float64 `json:"rss_bytes,omitempty"`
}

// sideRounds collects the rounds of one side.
type sideRounds struct {
	Side
	ack, reply, engine *hdrhistogram.Histogram
}

func newSideRounds() *sideRounds {
	return &sideRounds{ack: newHistogram(), reply: newHistogram(), engine: newHistogram()}
}

func (s *sideRounds) result() Side {
	s.Ack, s.Reply, s.Engine = quantiles(s.ack), quantiles(s.reply), quantiles(s.engine)
	return s.Side
}

// heap notes what the engine holds now.
func (s *sideRounds) heap(ctx context.Context, engine *server) error {
	h, err := readHeap(ctx, engine)
	s.Live, s.RSS = max(s.Live, h.own+h.stacks), max(s.RSS, h.rss)
	return err
}

// ratio is a over b, 0 when there is no b.
func ratio(a, b Quantiles) float64 {
	if b.P99 <= 0 {
		return 0
	}
	return a.P99 / b.P99
}

// alternate runs both sides in turn, so many rounds of each: A-B-B-A. It returns why the
// first invalid round is.
func alternate(rounds int, run func(beside bool) (invalid string, err error)) (invalid string, err error) {
	for n := 1; n <= rounds; n++ {
		for _, at := range inTurn(n, 2) {
			why, err := run(at == 1)
			if err != nil {
				return "", err
			}
			if invalid == "" {
				invalid = why
			}
		}
	}
	return invalid, nil
}

// traffic is the load of a round that is measured, and what goes on beside it.
type traffic struct {
	name     string
	workload Workload
	world    *child.World
	rate     float64
	length   time.Duration
	perConn  int
	latency  openaisim.Latency
	// counts says which conversations' replies do; nil means all.
	counts func(conversation int) bool
	// begin starts what goes on beside, when the load begins; end is called when replies
	// have come, and ends it. Both can be nil.
	begin func(s *server)
	end   func(s *server) error
}

// beside runs one round of traffic on an engine of its own.
func (r *runner) beside(ctx context.Context, side *sideRounds, t traffic) (invalid string, err error) {
	n := int(t.rate * (r.o.Warm + t.length).Seconds())
	watch := &replyWatch{quiet: r.o.ReplyQuiet, model: map[int]time.Duration{}, graph: map[int]time.Time{}}
	sims, err := newSimulators(t.world, r.o.Seed, simOptions{watch: watch, latency: t.latency})
	if err != nil {
		return "", err
	}
	defer sims.close()
	requests := BuildRequests(t.world, t.workload, n, time.Now())
	counts := func(i int) bool { return t.counts == nil || t.counts(requests.Conversation(i)) }
	s, err := r.start(ctx, TargetEngine, r.o.ReplyQuiet.String(), sims)
	if err != nil {
		return "", err
	}
	defer s.Kill()
	sims.graph.SetHooks("http://" + s.Edge)
	var ended error
	load := Load{Requests: requests, Conns: r.o.Conns, PerConn: t.perConn, Rate: t.rate, Poisson: true, Seed: r.o.Seed,
		Warm: r.o.Warm, Measure: t.length, Limit: n,
		OnDone: func() {
			watch.waitFor(ctx, n, replyDrain)
			if t.end != nil {
				ended = t.end(s)
			}
		}}
	if t.begin != nil {
		load.OnBegin = func() { t.begin(s) }
	}
	round, sample, err := r.load(ctx, s, load, sims)
	if err == nil {
		err = ended
	}
	if err != nil {
		return "", err
	}
	first := int(t.rate * r.o.Warm.Seconds())
	var replies, messages int64
	watch.each(sample, first, func(i int, took time.Duration) {
		if counts(i) {
			replies++
			record(side.reply, took)
			record(side.engine, took-watch.quiet-watch.model[i])
		}
	})
	side.ack.Merge(sample.Ack)
	side.All += sample.Acks
	side.Refused += sample.Failed()
	for i := first; i < n; i++ {
		if counts(i) && sample.Acked.Has(i) {
			messages++
		}
	}
	side.Replies, side.Messages = side.Replies+replies, side.Messages+messages
	if round.Invalid == "" {
		round.Invalid = unanswered(replies, messages)
	}
	r.logf("%-18s %s", t.name, round.line(r.report.Failed()))
	return round.Invalid, nil
}

// repliesLeast is how many messages of a side must have a reply of their own by the end;
// one may answer several messages of a person.
const repliesLeast = 0.9

// unanswered says why the reply times of a round must not be used: those of the replies
// that had not come are not among them.
func unanswered(replies, messages int64) string {
	if float64(replies) >= repliesLeast*float64(messages) {
		return ""
	}
	return fmt.Sprintf("only %d replies to %d messages had come", replies, messages)
}

// line is a side in a line of the report.
func (s *Side) line(b io.Writer, name string) {
	fmt.Fprintf(b, "  %s: ack p50 %.2f ms, p99 %.2f ms; reply p50 %.0f ms, p99 %.0f ms; the engine's share p50 %.1f ms, p99 %.1f ms\n",
		name, s.Ack.P50, s.Ack.P99, s.Reply.P50, s.Reply.P99, s.Engine.P50, s.Engine.P99)
	fmt.Fprintf(b, "    %d messages acknowledged, %d not; %d replies; at the end %.0f MB live, RSS %.0f MB\n",
		s.Messages, s.Refused, s.Replies, s.Live/1e6, s.RSS/1e6)
}
