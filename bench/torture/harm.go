package torture

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// harm is a segment of faults.
func (s *siege) harm(ctx context.Context, c *cluster, seg *Segment) error {
	w := &witnesses{c: c, byRemote: map[remoteKey]*trial{}}
	c.onEvent = w.notice
	t := c.open(ctx, seg.Seed)
	defer c.halt()
	c.writers.Go(func() { w.observe(t.writing, t.posting, seg.Seed) })
	p := &prober{c: c}
	book, err := s.play(ctx, seg, t, &nemesis{c: c, prober: p, posting: t.posting, done: seg.Cluster.Faults}, s.faults)
	if err != nil {
		return err
	}
	p.judge(seg.Tally)
	if err := w.judge(seg.Tally); err != nil {
		return err
	}
	return c.keep(seg, book)
}

// play lets a nemesis act, ends the traffic, and fills the segment.
func (s *siege) play(ctx context.Context, seg *Segment, t *traffic, m *nemesis, act func(context.Context, *nemesis) error) (*Book, error) {
	m.c.done.Go(func() { m.c.watch(t.posting) })
	s.attend(m)
	defer s.attend(nil)
	err := act(ctx, m)
	seg.Cluster.Kills, seg.Cluster.HealMax = m.kills.Load(), m.healed
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		seg.Tally.breach(ruleOf(err), "%v", err)
	}
	return s.settle(ctx, m.c, seg, t)
}

// faults deals until the segment or the run is over, and waits after each until
// the cluster is whole and written to.
func (s *siege) faults(ctx context.Context, m *nemesis) error {
	for n := 0; n < s.o.SegmentKills && s.more() && ctx.Err() == nil; n++ {
		f := s.deck.next()
		s.say(f.String())
		began := time.Now()
		if err := m.inflict(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		s.say("healing after " + f.String())
		healing := time.Now()
		if err := m.recovered(ctx); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		fmt.Fprintf(s.o.Log, "%v: %s took %v, healing %v\n", time.Since(s.began).Round(time.Second), f,
			healing.Sub(began).Round(time.Millisecond), time.Since(healing).Round(time.Millisecond))
		s.say("resting")
		pause(ctx, f.Rest)
	}
	return nil
}

// String is the fault for the log.
func (f Fault) String() string {
	text := fmt.Sprintf("%s %v", f.Kind, f.Lasts.Round(time.Millisecond))
	if f.With != nil {
		text += " with " + f.With.String()
	}
	return text
}

// ruleOf is the promise a failed fault broke.
func ruleOf(err error) Rule {
	switch {
	case errors.Is(err, errUnhealed):
		return Unhealed
	case errors.Is(err, errUnwritable):
		return Unwritable
	}
	return NotReady
}

// settle ends the traffic, stops the nodes and fills the tally and the book.
func (s *siege) settle(ctx context.Context, c *cluster, seg *Segment, t *traffic) (*Book, error) {
	s.say("draining")
	began := time.Now()
	if err := c.drain(ctx, t); err != nil {
		return nil, err
	}
	seg.Drain = time.Since(began)
	s.say("reading everything")
	exported, err := c.readAll(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		seg.Tally.breach(NotReady, "%v", err)
	}
	for _, n := range c.nodes {
		c.scrape(ctx, n)
	}
	t.force()
	c.halt()
	c.stopNodes(seg.Tally)
	s.say("auditing")
	seg.Cluster.Appends, seg.Cluster.Mail = c.counters.counted(seriesAppends), c.counters.counted(seriesMail)
	seg.Cluster.Gaps = c.recovery.result()
	for _, n := range c.nodes {
		seg.ReadyMax = max(seg.ReadyMax, n.readySlowest())
	}
	b := c.ledgers()
	if exported == nil {
		return b, nil // the tally says why; without the events there is no audit
	}
	b.Exported = exported
	if s.o.silent() {
		seg.Tally.Add(b.AuditInbound())
	} else {
		seg.Tally.Add(b.Audit())
	}
	c.compareCopies(ctx, b, seg.Tally)
	return b, ctx.Err()
}

// readIn bounds one page, readTries what is tried of a feed: the cluster may not
// be well.
const (
	readIn    = 10 * time.Second
	readTries = 5
)

// readAll reads every tenant's feed through the API.
func (c *cluster) readAll(ctx context.Context) (map[string][]child.Event, error) {
	out := map[string][]child.Event{}
	for _, t := range c.world.Tenants {
		reader := &child.Reader{Client: &http.Client{Timeout: readIn}, Key: c.desk.secrets[t.ID]}
		var last error
		for range readTries {
			var events []child.Event
			if last = reader.Feed(ctx, c.anyAPI(), 0, func(e *child.Event) { events = append(events, *e) }); last == nil {
				out[t.ID] = events
				break
			}
			if pause(ctx, 500*time.Millisecond); ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		if last != nil {
			return nil, fmt.Errorf("torture: the feed of %s cannot be read: %w", t.ID, last)
		}
	}
	return out, nil
}

// stopNodes ends all nodes at once.
func (c *cluster) stopNodes(t *Tally) {
	errs := make([]error, len(c.nodes))
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		if e := n.running(); e != nil {
			wg.Go(func() { errs[i] = e.Terminate() })
		}
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.breach(UncleanExit, "node %d: %v", i+1, err)
		}
	}
}

// errUnwritable is wrapped when a group was not written to after a kill.
var errUnwritable = errors.New("torture: no write was acknowledged after the leader was killed")

// writableIn is generous: an election takes a second or two.
const writableIn = 30 * time.Second

// recovered waits until the cluster is whole and every group whose leader was
// killed was written to again.
func (m *nemesis) recovered(ctx context.Context) error {
	began := time.Now()
	if err := m.c.whole(ctx); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, writableIn)
	defer cancel()
	for m.c.recovery.waiting() > 0 {
		if pause(limited, 20*time.Millisecond); limited.Err() != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w within %v", errUnwritable, writableIn)
		}
	}
	m.healed = max(m.healed, time.Since(began))
	return nil
}
