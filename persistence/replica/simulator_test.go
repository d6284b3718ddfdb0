package replica

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/chumiai/chumi/chat"
)

// simulator runs a cluster on one goroutine: real stores on disks that can lose
// power, the core of each node driven by events of a virtual clock. Everything
// that happens is drawn from one seed, so a seed is a run.
//
// What is simulated: the network, the disk's syncs, the clock, processes that die
// and pause, people who write and administrators who change members. What is
// real: core, Raft, Round and stage, Pebble, snapshots.
type simulator struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	plan plan

	now    time.Duration
	queue  events
	number uint64

	nodes  []*simNode
	net    network
	fibers []*fiber
	// ended ends the fibers that make trouble; healed tells that nothing is broken
	// any more.
	ended, healed bool

	book *book
	// town is what the cluster serves; nil for one whose clients append themselves.
	town  *town
	total totals
	// trace is a hash of all that happened, tail the end of it in words.
	trace interface {
		io.Writer
		Sum64() uint64
	}
	tail   []string
	broken []string
	logger *slog.Logger
}

// plan is what a seed, or a script, makes of the cluster.
type plan struct {
	nodes, groups int
	// first are the members of the groups at the beginning.
	first []chat.NodeID
	// grow makes an administrator change members.
	grow    bool
	clients int
	// people live in the town that the cluster serves, jumps makes its clocks jump.
	people int
	jumps  bool
	logLen uint64
	chaos  time.Duration
	fault  fault
	// calm leaves the network, the disks and the processes alone.
	calm bool
}

// totals is what happened over the seeds of a campaign.
type totals struct {
	seeds, events, messages, acknowledged, reads, crashes, partitions, pauses int
	snapshots, refusedSnapshots, transfers, stale, duplicates, unknown        int
	changes, wipes, compared, violations                                      int
}

func (a *totals) add(b totals) {
	a.seeds++
	a.events += b.events
	a.messages += b.messages
	a.acknowledged += b.acknowledged
	a.reads += b.reads
	a.crashes += b.crashes
	a.partitions += b.partitions
	a.pauses += b.pauses
	a.snapshots += b.snapshots
	a.refusedSnapshots += b.refusedSnapshots
	a.transfers += b.transfers
	a.stale += b.stale
	a.duplicates += b.duplicates
	a.unknown += b.unknown
	a.changes += b.changes
	a.wipes += b.wipes
	a.compared += b.compared
	a.violations += b.violations
}

func (a totals) String() string {
	return fmt.Sprintf("seeds %d, events %d, messages %d, acknowledged %d, reads %d, unknown %d, duplicates %d, crashes %d, partitions %d, pauses %d, "+
		"snapshots installed %d (refused %d), transfers %d, changes of members %d, disks wiped %d, stale refused %d, states compared %d, violations %d",
		a.seeds, a.events, a.messages, a.acknowledged, a.reads, a.unknown, a.duplicates, a.crashes, a.partitions, a.pauses,
		a.snapshots, a.refusedSnapshots, a.transfers, a.changes, a.wipes, a.stale, a.compared, a.violations)
}

// event is something that happens at a time; ties are broken by number.
type event struct {
	at     time.Duration
	number uint64
	run    func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].number < q[j].number
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

// simBegan is the wall clock's time when a simulation begins.
var simBegan = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// newSimulator makes a cluster whose nodes have empty disks.
func newSimulator(t *testing.T, seed uint64, p plan) *simulator {
	s := &simulator{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), plan: p, trace: fnv.New64a(),
		logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	s.book = newBook(s)
	s.net.cut = map[[2]chat.NodeID]bool{}
	cryptotest.SetGlobalRandom(t, seed)
	for i := range p.nodes {
		n := &simNode{sim: s, id: chat.NodeID(i + 1)}
		s.nodes = append(s.nodes, n)
		n.fs = newSimDisk(nil)
	}
	return s
}

// after has run called when d has passed.
func (s *simulator) after(d time.Duration, run func()) {
	s.number++
	heap.Push(&s.queue, event{s.now + d, s.number, run})
}

// step lets the next event happen; false when there is none before limit.
func (s *simulator) step(limit time.Duration) bool {
	if len(s.queue) == 0 || s.queue[0].at > limit || len(s.broken) > 0 {
		return false
	}
	e := heap.Pop(&s.queue).(event)
	s.now = e.at
	s.total.events++
	e.run()
	return true
}

// runUntil lets events happen until the clock shows limit or done holds, and
// reports whether done does.
func (s *simulator) runUntil(limit time.Duration, done func() bool) bool {
	for {
		if done != nil && done() {
			return true
		}
		if !s.step(limit) {
			if len(s.broken) == 0 {
				s.now = max(s.now, limit)
			}
			return done != nil && done()
		}
	}
}

// tailLen is how many lines of its trace a failing seed prints: CHUMI_TAIL, or 400.
var tailLen = func() int {
	if n, err := strconv.Atoi(os.Getenv("CHUMI_TAIL")); err == nil && n > 0 {
		return n
	}
	return 400
}()

// note writes a line of the trace.
func (s *simulator) note(format string, args ...any) {
	line := fmt.Sprintf("%9.3fs ", s.now.Seconds()) + fmt.Sprintf(format, args...)
	_, _ = io.WriteString(s.trace, line+"\n")
	if len(s.tail) == 2*tailLen {
		s.tail = append(s.tail[:0], s.tail[tailLen:]...)
	}
	s.tail = append(s.tail, line)
}

// violate notes a broken rule; the simulation ends at once.
func (s *simulator) violate(format string, args ...any) {
	s.total.violations++
	s.broken = append(s.broken, fmt.Sprintf(format, args...))
	s.note("VIOLATION "+format, args...)
}

// guarded runs f and takes a panic of Raft or of the core for a violation.
func (s *simulator) guarded(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.violate("panic: %v\n%s", p, debug.Stack())
		}
	}()
	f()
}

// run lives a whole seed: trouble, then peace, then the reckoning.
func (s *simulator) run() {
	defer s.close()
	s.guarded(func() {
		for _, n := range s.nodes {
			n.open()
		}
		s.admit()
		if len(s.broken) > 0 {
			return
		}
		for i := range s.plan.clients {
			s.start(func(f *fiber) { (&client{fiber: f, sim: s, id: i}).live() })
		}
		if s.town != nil {
			s.town.begin()
		}
		if !s.plan.calm {
			s.start(s.trouble)
		}
		if s.plan.grow {
			s.start(s.administer)
		}
		s.runUntil(s.now+s.plan.chaos, nil)
		s.ended = true
		s.heal()
		if s.town != nil {
			s.town.settle()
		}
		s.book.settle()
		if s.town != nil && len(s.broken) == 0 {
			s.town.reckon()
		}
	})
}

// close ends fibers and stores.
func (s *simulator) close() {
	for _, f := range s.fibers {
		f.end()
	}
	for _, n := range s.nodes {
		n.discard()
	}
}

// report tells how a seed failed.
func (s *simulator) report() string {
	return fmt.Sprintf("seed %d of %+v:\n%s\nthe end of its trace:\n%s", s.seed, s.plan,
		strings.Join(s.broken, "\n"), strings.Join(s.tail[max(0, len(s.tail)-tailLen):], "\n"))
}

func (s *simulator) node(id chat.NodeID) *simNode { return s.nodes[id-1] }

// chance is true in n of 100 cases.
func (s *simulator) chance(n int) bool { return s.rng.IntN(100) < n }

// between draws a duration.
func (s *simulator) between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.rng.Int64N(int64(to-from)+1))
}

// leader is a node that leads g under a published epoch, nil for none.
func (s *simulator) leader(g chat.Group) *simNode {
	var best *simNode
	for _, n := range s.nodes {
		if n.up && n.store.Epoch(g) != 0 && (best == nil || n.store.Epoch(g) > best.store.Epoch(g)) {
			best = n
		}
	}
	return best
}
