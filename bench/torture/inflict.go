package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/bench/netns"
)

// nemesis does to a cluster what a deck deals. Its methods return when the
// fault was made good, not when the cluster has recovered. An error means that
// it could not, for instance because a node did not start again.
type nemesis struct {
	c      *cluster
	prober *prober
	// posting ends when the traffic is given up.
	posting context.Context
	// kills counts nodes killed; read while faults are under way.
	kills atomic.Int64
	// healed is the longest time a cluster took to recover; owned by the
	// segment's goroutine.
	healed time.Duration

	mu sync.Mutex
	// done counts faults that happened, of each kind.
	done map[FaultKind]int64
}

// happened counts a fault.
func (m *nemesis) happened(k FaultKind) {
	m.mu.Lock()
	m.done[k]++
	m.mu.Unlock()
}

// inflict does one fault, and another one beside it where there is one.
func (m *nemesis) inflict(ctx context.Context, f Fault) error {
	victim, err := m.victim(ctx, f)
	if err != nil {
		return err
	}
	if f.With == nil {
		return m.apply(ctx, f, victim)
	}
	var second error
	var wg sync.WaitGroup
	wg.Go(func() {
		if pause(ctx, f.Lasts/3); ctx.Err() == nil {
			second = m.apply(ctx, *f.With, victim)
		}
	})
	first := m.apply(ctx, f, victim)
	wg.Wait()
	return errors.Join(first, second)
}

// victim chooses the node a fault is for. A leader is one of a group with
// tenants.
func (m *nemesis) victim(ctx context.Context, f Fault) (*node, error) {
	if f.Kind == KillLeader {
		seen, _, err := m.c.ask(ctx)
		if err != nil {
			return nil, err
		}
		groups := m.c.groupsInUse()
		if leader := seen.LeaderOf(groups[f.Aim%len(groups)]); leader > 0 {
			return m.c.nodes[leader-1], nil
		}
	}
	return m.c.nodes[f.Aim%len(m.c.nodes)], nil
}

// apply does one fault to one node.
func (m *nemesis) apply(ctx context.Context, f Fault, n *node) error {
	switch f.Kind {
	case KillNode, KillLeader:
		return m.kill(ctx, f, n)
	case PauseNode:
		return m.pause(ctx, f, n)
	case CutOff:
		return m.cut(ctx, f, n, netns.Both)
	case Deaf:
		return m.cut(ctx, f, n, netns.In)
	case Mute:
		return m.cut(ctx, f, n, netns.Out)
	case Flapping:
		return m.flap(ctx, f, n)
	case Transfer:
		return m.transfer(ctx, f)
	case WipeDisk:
		return m.wipe(ctx, f, n)
	case TwoDown:
		return m.twoDown(ctx, f, n)
	}
	return fmt.Errorf("torture: unknown fault %q", f.Kind)
}

// kill kills a node, with a measure of the gap when it led anything, and starts
// it again.
func (m *nemesis) kill(ctx context.Context, f Fault, n *node) error {
	m.killed(ctx, n)
	m.happened(f.Kind)
	pause(ctx, f.Lasts)
	return m.c.restart(ctx, n)
}

func (m *nemesis) killed(ctx context.Context, n *node) {
	seen, _, err := m.c.ask(ctx)
	m.c.scrape(ctx, n)
	at := n.kill()
	m.kills.Add(1)
	if err == nil {
		m.c.recovery.killed(at, seen.LedBy(n.number))
	}
}

// pause stops a process. It may be killed meanwhile; its successor is not
// paused.
func (m *nemesis) pause(ctx context.Context, f Fault, n *node) error {
	e := n.running()
	if e == nil {
		return nil
	}
	n.harmed.Add(1)
	defer n.harmed.Add(-1)
	e.Pause()
	defer e.Resume()
	m.happened(f.Kind)
	pause(ctx, f.Lasts)
	return nil
}

// cut cuts a node off, in one direction or both, and posts to it meanwhile: it
// cannot hear that others have what it proposes.
func (m *nemesis) cut(ctx context.Context, f Fault, n *node, d netns.Direction) error {
	n.harmed.Add(1)
	defer n.harmed.Add(-1)
	if err := m.c.net.Cut(n.number, d); err != nil {
		return err
	}
	over := m.prober.minority(m.posting, n)
	m.happened(f.Kind)
	pause(ctx, f.Lasts)
	over()
	return m.c.net.Heal(n.number)
}

// flap cuts a node off and heals it until the fault is over.
func (m *nemesis) flap(ctx context.Context, f Fault, n *node) error {
	n.harmed.Add(1)
	defer n.harmed.Add(-1)
	r := rand.New(rand.NewPCG(uint64(f.Aim), 0x666c6170))
	m.happened(f.Kind)
	for until := time.Now().Add(f.Lasts); time.Now().Before(until) && ctx.Err() == nil; {
		if err := m.c.net.Cut(n.number, netns.Direction(r.IntN(3))); err != nil {
			return err
		}
		pause(ctx, time.Duration(50+r.IntN(700))*time.Millisecond)
		if err := m.c.net.Heal(n.number); err != nil {
			return err
		}
		pause(ctx, time.Duration(50+r.IntN(700))*time.Millisecond)
	}
	return m.c.net.Heal(n.number)
}

// transfer moves leaders while turns are under way, until the time is over. It
// happened when one group had another leader afterwards.
func (m *nemesis) transfer(ctx context.Context, f Fault) error {
	groups := m.c.groupsInUse()
	for i, until := 0, time.Now().Add(f.Lasts); i == 0 || time.Now().Before(until) && ctx.Err() == nil; i++ {
		for wait := 0; m.c.model.InFlight() == 0 && wait < 200; wait++ {
			pause(ctx, 5*time.Millisecond)
		}
		group := groups[(f.Aim+i)%len(groups)]
		seen, ops, err := m.c.ask(ctx)
		if err != nil {
			continue // beside another fault there may be nobody to ask for a moment
		}
		from := seen.LeaderOf(group)
		to := 1 + (max(from, 1)+f.Aim%2)%len(m.c.nodes)
		limited, cancel := context.WithTimeout(ctx, askIn)
		err = child.Transfer(limited, ops, group, to)
		cancel()
		if err == nil && from != 0 && m.leads(ctx, group, to) {
			m.happened(Transfer)
		}
	}
	return nil
}

// leads waits a little until a node leads a group.
func (m *nemesis) leads(ctx context.Context, group, n int) bool {
	for range 20 {
		if seen, _, err := m.c.ask(ctx); err == nil && seen.LeaderOf(group) == n {
			return true
		}
		pause(ctx, 50*time.Millisecond)
	}
	return false
}

// removeIn bounds how long a dead node may take to be taken out.
const removeIn = time.Minute

// wipe kills a node, takes it out of the cluster, removes its store, and lets it
// join under the same number.
func (m *nemesis) wipe(ctx context.Context, f Fault, n *node) error {
	m.killed(ctx, n)
	pause(ctx, f.Lasts)
	limited, cancel := context.WithTimeout(ctx, removeIn)
	defer cancel()
	for {
		_, ops, err := m.c.ask(limited)
		if err == nil {
			err = child.RemoveNode(limited, ops, n.number)
		}
		if err == nil {
			break
		}
		if pause(limited, 500*time.Millisecond); limited.Err() != nil {
			return fmt.Errorf("torture: node %d could not be removed: %w", n.number, err)
		}
	}
	if err := n.wipe(); err != nil {
		return err
	}
	m.happened(f.Kind)
	return m.c.restart(ctx, n)
}

// twoDown leaves no majority: two nodes are killed, or stopped, or every node is
// cut off from every other. Whoever still runs is posted to and must not say
// 200.
func (m *nemesis) twoDown(ctx context.Context, f Fault, alone *node) error {
	var down []*node
	for _, n := range m.c.nodes {
		if n != alone {
			down = append(down, n)
		}
	}
	m.happened(f.Kind)
	switch f.Aim / len(m.c.nodes) % 3 {
	case 0:
		for _, n := range down {
			m.c.scrape(ctx, n)
			n.kill()
			m.kills.Add(1)
		}
		over := m.prober.minority(m.posting, alone)
		pause(ctx, f.Lasts)
		over()
		errs := make([]error, len(down))
		var wg sync.WaitGroup
		for i, n := range down { // together: one alone may not become ready
			wg.Go(func() { errs[i] = m.c.restart(ctx, n) })
		}
		wg.Wait()
		return errors.Join(errs...)
	case 1:
		var paused []*child.Engine
		for _, n := range down {
			if e := n.running(); e != nil {
				e.Pause()
				paused = append(paused, e)
			}
		}
		over := m.prober.minority(m.posting, alone)
		pause(ctx, f.Lasts)
		over()
		for _, e := range paused {
			e.Resume()
		}
		return nil
	default:
		return m.apart(ctx, f)
	}
}

// apart cuts every node off from every other.
func (m *nemesis) apart(ctx context.Context, f Fault) error {
	var errs []error
	for _, n := range m.c.nodes {
		errs = append(errs, m.c.net.Cut(n.number, netns.Both))
	}
	over := m.prober.minority(m.posting, m.c.nodes...)
	pause(ctx, f.Lasts)
	over()
	for _, n := range m.c.nodes {
		errs = append(errs, m.c.net.Heal(n.number))
	}
	return errors.Join(errs...)
}
