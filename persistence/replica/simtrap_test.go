package replica

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// A trap waits at a named step of a turn until some process gets there. Then the
// process dies, or the group that the turn belongs to gets another leader.

// act is what a trap does.
type act int

const (
	actKill act = iota
	actTransfer
	acts
)

func (a act) String() string { return [...]string{"kill", "transfer"}[a] }

// named is a step of a turn: a failpoint, with what the commit holds that is under way
// there, or the class of the tool.
type named struct {
	point failpoint.Point
	what  string
}

func (n named) String() string {
	if n.what == "" {
		return string(n.point)
	}
	return string(n.point) + " of " + n.what
}

// steps are all named steps of a turn that calls tools.
var steps = func() (list []named) {
	for _, p := range []failpoint.Point{failpoint.StepDecided, failpoint.CommitQueued, failpoint.BatchStaged, failpoint.BatchSynced,
		failpoint.CommitAnswered, failpoint.EffectsReleased} {
		for _, k := range []chat.EventKind{chat.TurnStarted, chat.TurnCalled, chat.ToolDecided, chat.ToolEnded, chat.TurnAnswered} {
			list = append(list, named{p, k.String()})
		}
	}
	for _, p := range []failpoint.Point{failpoint.AgendaFired, failpoint.TurnRequested, failpoint.ModelAnswering, failpoint.TurnRecorded,
		failpoint.AttemptCommitted, failpoint.SendAnswered, failpoint.SendRecorded} {
		list = append(list, named{p, ""})
	}
	for _, p := range failpoint.ToolPoints() {
		for _, class := range toolClasses {
			list = append(list, named{p, class})
		}
	}
	return list
}()

// trap is armed while until lies ahead.
type trap struct {
	at    named
	act   act
	until time.Duration
	// skip is how many times the step is passed before.
	skip int
	// springs count by step and act.
	springs map[named]*[acts]int
}

// trapper sets one trap after another, each seed the next in turn.
func (w *town) trapper(f *fiber) {
	s, t := w.sim, w.trap
	for i := int(s.seed) * 17; !s.ended; i++ { // #nosec G115 -- a small number
		f.sleep(s.between(100*time.Millisecond, 900*time.Millisecond))
		t.at, t.act, t.skip = steps[i%len(steps)], actKill, s.rng.IntN(3)
		if len(s.nodes) > 1 && (i/len(steps)+i)%3 > 0 { // a process alone can only be killed
			t.act = actTransfer
		}
		s.note("a trap waits at %v: %v", t.at, t.act)
		for t.until = s.now + 5*time.Second; s.now < t.until && !s.ended; {
			f.sleep(20 * time.Millisecond)
		}
	}
}

// hit tells the trap where an engine is; gone is true when its process just died. With
// a fiber, the step may take as long as an election.
func (e *engine) hit(f *fiber, p failpoint.Point, g chat.Group, what ...string) (gone bool) {
	s, t := e.town.sim, e.town.trap
	if t == nil || t.until <= s.now || t.at.point != p || t.at.what != "" && !slices.Contains(what, t.at.what) || !e.alive() {
		return false
	}
	if t.skip--; t.skip >= 0 {
		return false
	}
	t.until = 0
	if t.springs[t.at] == nil {
		t.springs[t.at] = new([acts]int)
	}
	t.springs[t.at][t.act]++
	s.note("n%d g%d: the trap at %v springs: %v", e.node.id, g, t.at, t.act)
	if t.act == actKill {
		e.node.crash(s.between(50*time.Millisecond, 1500*time.Millisecond))
		return true
	}
	e.node.handOver(g)
	if f != nil && s.chance(60) {
		f.sleep(s.between(0, 700*time.Millisecond))
	}
	return !e.alive()
}

// handOver makes another node the leader of a group.
func (n *simNode) handOver(g chat.Group) {
	m := n.core.members[g]
	if n.store.Epoch(g) == 0 || m == nil {
		return
	}
	to := n.sim.nodes[n.sim.rng.IntN(len(n.sim.nodes))]
	for to == n {
		to = n.sim.nodes[n.sim.rng.IntN(len(n.sim.nodes))]
	}
	n.sim.total.transfers++
	m.raft.TransferLeader(uint64(to.id))
	n.core.touch(m)
	n.poke()
}

// whatOf are the steps of a turn that a commit holds, and whether it holds any.
func whatOf(events []chat.Event) (what []string) {
	for i := range events {
		if e := &events[i]; e.Turn != nil || e.Tool != nil {
			what = append(what, e.Kind.String())
		}
	}
	return what
}

// recorded tells the trap what a commit that was answered Applied has recorded.
func (e *engine) recorded(f *fiber, g chat.Group, events []chat.Event) bool {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case chat.TurnCalled, chat.TurnAnswered:
			e.town.turns.record(ev)
			if e.hit(f, failpoint.TurnRecorded, g) {
				return true
			}
		case chat.ToolEnded:
			e.town.turns.record(ev)
			if e.hit(f, failpoint.ToolRecorded, g, classOf(ev.Tool.Name)) {
				return true
			}
		case chat.MessageAccepted, chat.MessageFailed, chat.AttemptEnded:
			if e.hit(f, failpoint.SendRecorded, g) {
				return true
			}
		}
	}
	return false
}

// hitBatch tells the trap of commits that are in a batch.
func (n *simNode) hitBatch(p failpoint.Point, f *flight) bool {
	if n.engine == nil || n.engine.town.trap == nil {
		return false
	}
	list := n.appending
	if p == failpoint.BatchSynced {
		list = n.flying[f]
		delete(n.flying, f)
	} else {
		n.appending = nil
		for _, a := range f.answered {
			if t, ok := n.tags[a]; ok {
				list = append(list, t)
				delete(n.tags, a)
			}
		}
		n.flying[f] = list
	}
	for _, t := range list {
		if n.engine.hit(nil, p, t.group, t.what...) {
			_ = f.batch.Close()
			return true
		}
	}
	return false
}

// tag is what a proposal holds.
type tag struct {
	group chat.Group
	what  []string
}

// tallied prints how often each step was met.
func (t *trap) tallied() string {
	var b strings.Builder
	for _, n := range steps {
		if c := t.springs[n]; c != nil {
			fmt.Fprintf(&b, "\n%-34v kill %4d transfer %4d", n, c[actKill], c[actTransfer])
		} else {
			fmt.Fprintf(&b, "\n%-34v never", n)
		}
	}
	return b.String()
}

// least is how often the step was met that was met least often, by a kill and by a
// transfer.
func (t *trap) least() (least [acts]int) {
	for i, n := range steps {
		c := t.springs[n]
		if c == nil {
			return [acts]int{}
		}
		for a := range acts {
			if least[a] = min(least[a], c[a]); i == 0 {
				least[a] = c[a]
			}
		}
	}
	return least
}
