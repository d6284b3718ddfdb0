package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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
	// Kept is the directory of a red segment.
	Kept string `json:"kept,omitempty"`
}

// Total is the number of kills that counted.
func (s *Segment) Total() int64 {
	n := int64(0)
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
	traffic, forced := s.open(ctx, seed)
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
	if !failed.Red() {
		if err := s.settle(ctx, seg, failed, traffic, forced); err != nil {
			return nil, err
		}
	}
	forced()
	s.halt()
	book, err := s.book(ctx, failed)
	if err != nil {
		failed.breach(CheckFailed, "%v", err)
		seg.Tally = failed
	} else {
		seg.Tally = book.Audit()
		seg.Tally.Add(failed)
	}
	return seg, s.keep(seg, book)
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

// open starts the traffic. traffic ends it gently, so that every message is
// still acknowledged; forced ends it at once.
func (s *slot) open(ctx context.Context, seed uint64) (traffic, forced context.CancelFunc) {
	all, stop := context.WithCancel(ctx)
	s.stop = stop
	gentle, endGentle := context.WithCancel(all)
	hard, endHard := context.WithCancel(all)
	s.desk = newDesk(s)
	for _, k := range s.world.Keys {
		f := newFeed(s, k.Tenant, k.Secret, func(e *child.Event) { s.desk.notice(gentle, e) })
		s.feeds[k.Tenant] = f
		s.done.Go(func() { f.follow(all) })
	}
	people := s.correspondents()
	n := s.o.Traffic.Writers
	for i := range n {
		w := &writer{slot: s, r: rand.New(rand.NewPCG(seed, uint64(i)+1))}
		for at := i; at < len(people); at += n {
			w.people = append(w.people, people[at])
		}
		if len(w.people) > 0 {
			s.writers.Go(func() { w.write(gentle, hard) })
		}
	}
	if !s.o.Traffic.NoPeople {
		s.writers.Go(func() { s.desk.write(gentle, rand.New(rand.NewPCG(seed, 0x6465736b))) })
		s.writers.Go(func() { s.desk.takeOver(gentle, rand.New(rand.NewPCG(seed, 0x74616b65))) })
	}
	return endGentle, endHard
}

// halt ends whatever still runs and waits for it.
func (s *slot) halt() {
	s.stop()
	s.writers.Wait()
	s.done.Wait()
}

// settle starts the engine a last time, lets it finish everything and stops it.
func (s *slot) settle(ctx context.Context, seg *Segment, failed *Tally, traffic, forced context.CancelFunc) error {
	began := time.Now()
	if err := s.up(ctx); err != nil {
		failed.breach(NotReady, "%v", err)
		return nil
	}
	traffic()
	giveUp := time.AfterFunc(s.o.drain, forced)
	defer giveUp.Stop()
	s.writers.Wait()
	ctxDrain, cancel := context.WithTimeout(ctx, s.o.drain)
	defer cancel()
	_ = s.graph.Settle(ctxDrain) // what is still owed then, the audit finds
	quiet := 500*time.Millisecond + 3*s.o.ReconcileAfter
	for tenant, f := range s.feeds {
		for !f.drained(quiet) && ctxDrain.Err() == nil {
			pause(ctxDrain, 20*time.Millisecond)
		}
		if ctxDrain.Err() != nil {
			open, waiting, example := f.debts()
			fmt.Fprintf(s.o.Log, "%s did not drain within %v: %d sends open, %d conversations waiting, such as %s\n", tenant, s.o.drain, open, waiting, example)
		}
	}
	// Reports of the last sends may have been made meanwhile.
	_ = s.graph.Settle(ctxDrain)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	seg.Drain = time.Since(began)
	s.api.Store(nil)
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
	b := &Book{World: s.world, ReconcileAfter: s.o.ReconcileAfter, Exported: map[string][]child.Event{},
		Shown: map[string][]child.Event{}, Arrivals: s.graph.Arrivals(), Sends: s.graph.Sends()}
	b.Requests, b.Takeovers = s.desk.ledger()
	for _, t := range s.world.Tenants {
		err := child.Export(ctx, s.start, t.ID, func(e *child.Event) error {
			b.Exported[t.ID] = append(b.Exported[t.ID], *e)
			return nil
		})
		if err != nil {
			return nil, err
		}
		b.Shown[t.ID] = s.feeds[t.ID].events()
	}
	return b, nil
}

// keep removes the directory of a green segment; that of a red one stays, with
// the book in it.
func (s *slot) keep(seg *Segment, book *Book) error {
	if !seg.Tally.Red() && !s.o.Keep {
		return os.RemoveAll(s.dir)
	}
	seg.Kept = s.dir
	if book == nil {
		return nil
	}
	f, err := os.Create(filepath.Join(s.dir, "book.json"))
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	return errors.Join(json.NewEncoder(f).Encode(book), f.Close())
}

// removeKept drops a red segment's directory.
func removeKept(seg *Segment) {
	if seg.Kept != "" {
		_ = os.RemoveAll(seg.Kept)
	}
}
