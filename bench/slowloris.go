package bench

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// SlowResult compares what good traffic gets beside connections that only occupy the edge
// with what it gets alone.
type SlowResult struct {
	// Rate is good messages a second over so many Numbers, whose connections carry PerConn
	// requests each; Wanted is how many other connections from so many Addresses were kept
	// open, or tried to be, in Rounds rounds of each side.
	Rate      float64 `json:"rate"`
	Numbers   int     `json:"numbers"`
	PerConn   int     `json:"requests_per_connection"`
	Wanted    int     `json:"connections_wanted"`
	Addresses int     `json:"addresses"`
	Rounds    int     `json:"rounds"`
	// Shapes are what became of them.
	Shapes []SlowShape `json:"shapes"`
	// Held is how many connections the engine had at the end, by its own count; PerHeld
	// and RSSPerHeld what it held more than when it was quiet, for each of them, in bytes.
	Held       int     `json:"held"`
	PerHeld    float64 `json:"live_bytes_per_held"`
	RSSPerHeld float64 `json:"rss_bytes_per_held"`
	// Descriptors are the files and sockets the engine had open, of DescriptorsMax it may.
	Descriptors    int  `json:"descriptors"`
	DescriptorsMax int  `json:"descriptors_max"`
	Quiet          Side `json:"quiet"`
	Occupied       Side `json:"occupied"`
	// The ratios are Occupied over Quiet at p99.
	AckRatio    float64 `json:"ack_ratio"`
	ReplyRatio  float64 `json:"reply_ratio"`
	EngineRatio float64 `json:"engine_ratio"`
	// Invalid says why the figures must not be used; empty when they may.
	Invalid string `json:"invalid,omitempty"`
}

// SlowShape is what became of the connections of one kind.
type SlowShape struct {
	Name string `json:"name"`
	// Opened were taken, and Cut of them closed by the engine, after Held ms; Answered
	// are the statuses that came with it.
	Opened   int64         `json:"opened"`
	Cut      int64         `json:"cut"`
	Held     Quantiles     `json:"held"`
	Answered map[int]int64 `json:"answered"`
	// Refused were answered that there are too many, by status; Failed did not connect.
	Refused map[int]int64 `json:"refused"`
	Failed  int64         `json:"failed"`

	held *hdrhistogram.Histogram
}

// An attack: so many connections, as far as descriptors allow, few enough from each
// address that the bound per address does not end it. Good connections are opened anew
// after slowPerConn requests, since those of Meta do not last either.
const (
	slowRounds     = 2
	slowMost       = 10_000
	slowPerAddress = 250
	slowPerConn    = 10
	// slowSpare is how many descriptors are left to all else.
	slowSpare = 2_000
)

// slowloris runs both sides in turn: quiet, occupied, occupied, quiet.
func (r *runner) slowloris(ctx context.Context) error {
	_, most, err := descriptors(os.Getpid())
	if err != nil {
		return err
	}
	x := &SlowResult{Rate: r.o.ReplyRate, PerConn: slowPerConn, Rounds: slowRounds, Wanted: slowMost}
	if most > 0 {
		x.Wanted = min(slowMost, most-slowSpare)
	}
	if x.Wanted < slowPerAddress {
		return fmt.Errorf("bench: %d descriptors are too few for an attack: raise the limit of open files", most)
	}
	x.Addresses = (x.Wanted + slowPerAddress - 1) / slowPerAddress
	quiet, occupied := newSideRounds(), newSideRounds()
	x.Invalid, err = alternate(slowRounds, func(beside bool) (string, error) {
		t := r.goodTraffic("slowloris, without", 0)
		t.perConn, x.Numbers = slowPerConn, t.workload.Tenants
		if !beside {
			t.end = func(s *server) error { return quiet.heap(ctx, s) }
			return r.beside(ctx, quiet, t)
		}
		t.name = "slowloris, with"
		var conns *slowConns
		t.begin = func(s *server) {
			conns = startSlow(ctx, s.Edge, slowTick, slowRetry, slowShapes(t.world.Apps[0].ID), x.Wanted, slowPerAddress, r.o.Warm)
		}
		t.end = func(s *server) error {
			defer conns.stop()
			return x.note(ctx, s, occupied)
		}
		why, err := r.beside(ctx, occupied, t)
		if conns != nil {
			conns.stop()
			x.add(conns)
		}
		return why, err
	})
	if err != nil {
		return err
	}
	x.Quiet, x.Occupied = quiet.result(), occupied.result()
	if x.Held > 0 {
		x.PerHeld = (x.Occupied.Live - x.Quiet.Live) / float64(x.Held)
		x.RSSPerHeld = (x.Occupied.RSS - x.Quiet.RSS) / float64(x.Held)
	}
	x.AckRatio, x.ReplyRatio = ratio(x.Occupied.Ack, x.Quiet.Ack), ratio(x.Occupied.Reply, x.Quiet.Reply)
	x.EngineRatio = ratio(x.Occupied.Engine, x.Quiet.Engine)
	for i := range x.Shapes {
		x.Shapes[i].Held = quantiles(x.Shapes[i].held)
	}
	r.report.Slow = x
	r.logf("slowloris: ack p99 %.2f ms quiet, %.2f ms beside %d connections: %.2f x; %d held, %.1f KB live each; %d good messages refused %s",
		x.Quiet.Ack.P99, x.Occupied.Ack.P99, x.Wanted, x.AckRatio, x.Held, x.PerHeld/1000, x.Occupied.Refused, x.Invalid)
	return nil
}

// note reads what the engine holds while the attack goes on.
func (x *SlowResult) note(ctx context.Context, s *server, side *sideRounds) error {
	m, err := Scrape(ctx, s.Ops)
	if err != nil {
		return err
	}
	x.Held = max(x.Held, int(m[`chumi_http_connections{listener="hooks"}`]))
	open, most, err := descriptors(s.Pid())
	if err != nil {
		return err
	}
	x.Descriptors, x.DescriptorsMax = max(x.Descriptors, open), most
	return side.heap(ctx, s)
}

// add adds what the connections of a round met.
func (x *SlowResult) add(conns *slowConns) {
	for i := range conns.shapes {
		if i == len(x.Shapes) {
			x.Shapes = append(x.Shapes, SlowShape{Name: conns.shapes[i].name, Answered: map[int]int64{}, Refused: map[int]int64{}, held: newHistogram()})
		}
		to, from := &x.Shapes[i], &conns.seen[i]
		to.Opened, to.Cut, to.Failed = to.Opened+from.opened, to.Cut+from.cut, to.Failed+from.failed
		to.held.Merge(from.held)
		for status, n := range from.answered {
			to.Answered[status] += n
		}
		for status, n := range from.refused {
			to.Refused[status] += n
		}
	}
}

func (x *SlowResult) text(b io.Writer) {
	if x == nil {
		return
	}
	fmt.Fprintf(b, "%.0f messages/s over %d numbers, alone and beside %d connections from %d addresses that are slow or say nothing\n",
		x.Rate, x.Numbers, x.Wanted, x.Addresses)
	x.Quiet.line(b, "quiet")
	x.Occupied.line(b, "occupied")
	fmt.Fprintf(b, "  occupied over quiet at p99: ack %.2f x, reply %.2f x (the engine's share: %.2f x)\n", x.AckRatio, x.ReplyRatio, x.EngineRatio)
	refused := map[int]int64{}
	for i := range x.Shapes {
		s := &x.Shapes[i]
		fmt.Fprintf(b, "    %s: %d taken, %d cut after p50 %.1f s, p99 %.1f s (answered %s); refused %s; not connected %d\n",
			s.Name, s.Opened, s.Cut, s.Held.P50/1000, s.Held.P99/1000, counts(s.Answered), counts(s.Refused), s.Failed)
		for status, n := range s.Refused {
			refused[status] += n
		}
	}
	fmt.Fprintf(b, "  refused in all %s; the engine held %d connections at %.1f KB of live heap and stack each (RSS %.1f KB), %d descriptors of %d\n",
		counts(refused), x.Held, x.PerHeld/1000, x.RSSPerHeld/1000, x.Descriptors, x.DescriptorsMax)
	if x.Invalid != "" {
		fmt.Fprintf(b, "  INVALID: %s\n", x.Invalid)
	}
	fmt.Fprintln(b)
}
