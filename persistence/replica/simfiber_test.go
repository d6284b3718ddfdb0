package replica

import (
	"context"
	"errors"
	"iter"
	"runtime/debug"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// fiber is code that waits in the middle, run by the simulator: a coroutine, so
// that code that blocks, as Store.Append does, is still one of the events.
type fiber struct {
	sim  *simulator
	next func() (struct{}, bool)
	stop func()
	// wait gives the pass back until somebody wakes the fiber.
	yield func(struct{}) bool
	ctx   context.Context
	over  bool
	// what are the steps of a turn in the commit under way.
	what []string
}

type fiberKey struct{}

var errFiberEnded = errors.New("the simulation ended")

// start runs f as a fiber from now on.
func (s *simulator) start(run func(*fiber)) *fiber {
	f := &fiber{sim: s}
	f.ctx = context.WithValue(context.Background(), fiberKey{}, f)
	f.next, f.stop = iter.Pull(func(yield func(struct{}) bool) {
		f.yield = yield
		defer func() {
			f.over = true
			if p := recover(); p != nil && p != error(errFiberEnded) {
				s.violate("panic: %v\n%s", p, debug.Stack())
			}
		}()
		run(f)
	})
	if len(s.fibers) >= 64 { // those of a town are many, and most are over
		s.fibers = slices.DeleteFunc(s.fibers, func(f *fiber) bool { return f.over })
	}
	s.fibers = append(s.fibers, f)
	s.after(0, f.wake)
	return f
}

func (f *fiber) wake() {
	if !f.over {
		f.next()
	}
}

func (f *fiber) end() {
	if !f.over {
		f.stop()
	}
}

func (f *fiber) wait() {
	if !f.yield(struct{}{}) {
		panic(errFiberEnded)
	}
}

func (f *fiber) sleep(d time.Duration) {
	f.sim.after(d, f.wake)
	f.wait()
}

// pending is a fiber that waits for a node.
type pending struct {
	fiber    *fiber
	proposal *Proposal
	wait     *wait
	outcome  persistence.Outcome
	err      error
	over     bool
}

// finish wakes who waits, once.
func (p *pending) finish(out persistence.Outcome, err error) {
	if p.over {
		return
	}
	p.over, p.outcome, p.err = true, out, err
	p.fiber.sim.after(0, p.fiber.wake)
}

var errDown = chat.E("simulator", chat.KindUnavailable, "the process is gone", nil)

// give waits until p is finished, or for at most d.
func (n *simNode) give(p *pending, d time.Duration) {
	n.pending = append(n.pending, p)
	n.sim.after(d, func() { p.finish(persistence.Outcome{Answer: chat.Unknown}, errUnled(0)) })
	n.poke()
	p.fiber.wait()
}

// simProposer is what a simulated node's store proposes to.
type simProposer struct {
	node *simNode
	life int
}

// CutLog implements persistence.Proposer. Nobody is erased in a simulation.
func (simProposer) CutLog(context.Context, chat.Group) error { return nil }

// Propose implements persistence.Proposer for fibers.
func (p simProposer) Propose(ctx context.Context, g chat.Group, c *recordpb.Commit) (persistence.Outcome, error) {
	f, ok := ctx.Value(fiberKey{}).(*fiber)
	n := p.node
	if !ok || !n.up || n.life != p.life {
		return persistence.Outcome{}, errDown
	}
	w := &pending{fiber: f, proposal: &Proposal{group: g, commit: c, done: make(chan struct{}, 1)}}
	n.core.propose(w.proposal)
	if len(f.what) > 0 {
		t := tag{g, f.what}
		n.appending, n.tags[w.proposal] = append(n.appending, t), t
		if n.engine.hit(nil, failpoint.CommitQueued, g, f.what...) {
			return persistence.Outcome{}, errDown
		}
	}
	n.give(w, n.sim.between(time.Second, 8*time.Second))
	return w.outcome, nil
}

// Close implements persistence.Proposer.
func (simProposer) Close() error { return nil }

// await waits for a read index or a change of members.
func (n *simNode) await(f *fiber, w *wait, d time.Duration) error {
	if !n.up {
		return errDown
	}
	w.done = make(chan error, 1)
	n.core.await(w)
	select {
	case err := <-w.done:
		return err
	default:
	}
	p := &pending{fiber: f, wait: w}
	n.give(p, d)
	return p.err
}
