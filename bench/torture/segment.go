package torture

import (
	"context"
	"math/rand/v2"
	"os"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// Segment is what one store lived through.
type Segment struct {
	Seed  uint64 `json:"seed"`
	Tally *Tally `json:"tally"`
	// Kills by step counted, Idle those that did not count because nothing was
	// in flight, Unreached how often a step was not reached in time.
	Kills     map[string]int64 `json:"kills"`
	Idle      int64            `json:"idle"`
	Unreached map[string]int64 `json:"unreached,omitempty"`
	// ReadyMax is the longest start, Drain how long the last one took to settle.
	ReadyMax time.Duration `json:"ready_max_ns"`
	Drain    time.Duration `json:"drain_ns"`
	// Cluster is what happened to a cluster; nil for one engine.
	Cluster *ClusterTotals `json:"cluster,omitempty"`
	// Kept is the directory of a red segment.
	Kept string `json:"kept,omitempty"`
}

// Total is the number of kills that counted, or of nodes killed.
func (s *Segment) Total() int64 {
	n := int64(0)
	if s.Cluster != nil {
		n = s.Cluster.Kills
	}
	for _, k := range s.Kills {
		n += k
	}
	return n
}

// nextStep hands out the steps of a segment's kills; ok is false when there
// shall be no more.
type nextStep func() (step Step, ok bool)

// tell is called after every kill.
type tell func(k kill, acked int64)

// runSegment opens a store, kills its engine at the steps it is given, drains
// and audits. The error says why a segment could not be audited; a broken
// promise is in the tally.
func runSegment(ctx context.Context, o Options, seed uint64, next nextStep, told tell) (*Segment, error) {
	s, err := openSlot(o, seed)
	if err != nil {
		return nil, err
	}
	defer s.close()
	seg := &Segment{Seed: seed, Kills: map[string]int64{}, Unreached: map[string]int64{}}
	if err := s.equip(ctx); err != nil {
		return nil, err
	}
	t := s.open(ctx, seed)
	defer s.halt()
	r := rand.New(rand.NewPCG(seed, 0x6b696c6c))
	failed := newTally()
	for {
		step, ok := next()
		if !ok || ctx.Err() != nil {
			break
		}
		acked := s.acked.Load()
		k, err := s.cycle(ctx, step, r)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			failed.breach(NotReady, "%v", err)
			break
		}
		seg.note(k)
		told(k, s.acked.Load()-acked)
	}
	if ctx.Err() != nil {
		_ = os.RemoveAll(s.dir)
		return nil, ctx.Err()
	}
	book, err := s.end(ctx, seg, failed, t, failed.Red(), nil)
	if err != nil {
		return nil, err
	}
	return seg, s.keep(seg, book)
}

// end lets the engine settle, unless it is lost, ends everything, exports, and
// fills the tally of the segment: failed, and what the audit of the book finds,
// amended where amend is not nil. The book is nil when there is none.
func (s *slot) end(ctx context.Context, seg *Segment, failed *Tally, t *traffic, lost bool, amend func(*Book)) (*Book, error) {
	if lost {
		s.engine.Kill()
	} else if err := s.settle(ctx, seg, failed, t); err != nil {
		return nil, err
	}
	t.force()
	s.halt()
	book, err := s.book(ctx, failed)
	if err != nil {
		failed.breach(CheckFailed, "%v", err)
		seg.Tally = failed
		return nil, ctx.Err()
	}
	if amend != nil {
		amend(book)
	}
	if s.o.silent() {
		seg.Tally = book.AuditInbound()
	} else {
		seg.Tally = book.Audit()
	}
	seg.Tally.Add(failed)
	return book, nil
}

func (seg *Segment) note(k kill) {
	if k.at != k.step.Name {
		seg.Unreached[k.step.Name]++
	}
	if k.counted {
		seg.Kills[k.at]++
	} else {
		seg.Idle++
	}
	seg.ReadyMax = max(seg.ReadyMax, k.ready)
}

// settle starts the engine, unless it runs, lets it finish everything and stops it.
func (s *slot) settle(ctx context.Context, seg *Segment, failed *Tally, t *traffic) error {
	began := time.Now()
	if s.at.Load() == nil {
		if err := s.up(ctx); err != nil {
			failed.breach(NotReady, "%v", err)
			return nil
		}
	}
	if err := s.drain(ctx, t); err != nil {
		return err
	}
	seg.Drain = time.Since(began)
	s.at.Store(nil)
	if err := s.engine.Terminate(); err != nil {
		failed.breach(UncleanExit, "%v", err)
	}
	return nil
}

// book checks and exports the store and closes the ledgers.
func (s *slot) book(ctx context.Context, failed *Tally) (*Book, error) {
	if err := child.Check(ctx, s.start); err != nil {
		failed.breach(CheckFailed, "%v", err)
	}
	b := s.ledgers()
	for _, t := range s.world.Tenants {
		err := child.Export(ctx, s.start, t.ID, func(e *child.Event) error {
			b.Exported[t.ID] = append(b.Exported[t.ID], *e)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// removeKept drops a red segment's directory.
func removeKept(seg *Segment) {
	if seg.Kept != "" {
		_ = os.RemoveAll(seg.Kept)
	}
}
