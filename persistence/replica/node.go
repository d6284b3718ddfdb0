package replica

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// The size of one pass. Larger ones do not raise throughput, they only make the
// first caller wait for the last.
const (
	passCommitsMax = 512
	passBytesMax   = 1 << 20
	// flightsMax flights are under way at once: one is on the disk, one waits for
	// it, and what comes meanwhile gathers. More would be smaller and cost more:
	// every group of a pass costs, however few its commits.
	flightsMax = 2
	// passPauseMin is the least time from one pass to the next while groups have
	// more than one member: what a pass costs then, messages to all of them and a
	// batch on each, is shared by what gathers meanwhile. An idle node does not
	// wait. The more commits are on their way, the longer the pause and the larger
	// the share, and the less it adds to what each of them waits for the others:
	// passPausePer for each, up to passPauseMax.
	passPauseMin = time.Millisecond
	passPausePer = 50 * time.Microsecond
	passPauseMax = 5 * time.Millisecond
)

// passPause is the least time from one pass to the next with that many commits on
// their way.
func passPause(commits int) time.Duration {
	return min(max(passPauseMin, time.Duration(commits)*passPausePer), passPauseMax)
}

// Node runs the groups of a store. It implements persistence.Proposer and is
// safe for concurrent use.
type Node struct {
	opt   Options
	store *persistence.Store
	core  *core

	queue    chan *Proposal
	messages chan []Message
	control  chan func(*core)
	// flights are batches that Pebble shows and the disk does not hold yet, in
	// order. While flightsMax are, the passes wait, and grow.
	flights chan *flight
	// returned are flights that the core has to hear of.
	returned chan *flight
	stop     chan struct{}
	// ended is closed when no pass will be taken any more.
	ended chan struct{}
	work  sync.WaitGroup
	// open counts the commits that were taken and not answered; run's goroutine
	// alone uses it.
	open int
	// life ends with Close; sending is held by the one snapshot that is streamed.
	life    context.Context
	cancel  context.CancelFunc
	sending chan struct{}
	// received numbers the snapshots that came.
	received atomic.Uint64

	// gate is held for reading while a proposal is put into the queue; closed is
	// true once it was held for writing to end that.
	gate   sync.RWMutex
	closed bool

	// proposals holds *Proposal values whose answers were read. The pool is the
	// node's own because a channel made in a synctest bubble must not leave it.
	proposals sync.Pool
}

// messagesLen bounds received slices of messages that wait for their pass; more
// are dropped, which Raft bears.
const messagesLen = 1024

// Start runs the groups of s and makes s take commits. Groups of which this node
// is the only member lead when it returns; s.Close ends the node.
func Start(s *persistence.Store, o Options) (*Node, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Transport == nil {
		o.Transport = nowhere{}
	}
	if o.Boot == 0 {
		o.Boot = rand.Uint64()
	}
	n := &Node{opt: o, store: s,
		queue: make(chan *Proposal, o.QueueLen), messages: make(chan []Message, messagesLen), control: make(chan func(*core)),
		// One flight is with whoever lands it, one with the pass that offers it.
		flights: make(chan *flight, flightsMax-2),
		// Returning must not wait for the pass, which may wait for the flights.
		returned: make(chan *flight, flightsMax),
		stop:     make(chan struct{}), ended: make(chan struct{}), sending: make(chan struct{}, 1)}
	n.life, n.cancel = context.WithCancel(context.Background())
	if err := s.FS().RemoveAll(s.FS().PathJoin(s.Dir(), incomingDir)); err != nil {
		return nil, errInstall("cannot remove what a received snapshot left behind", err)
	}
	var err error
	if n.core, err = openCore(s, &n.opt); err != nil {
		return nil, err
	}
	// The first pass is here, so that a node alone leads before anybody asks.
	if err := n.first(); err != nil {
		return nil, err
	}
	s.Serve(n)
	n.work.Go(n.land)
	n.work.Go(n.run)
	return n, nil
}

// first runs the pass in which groups of one elect themselves.
func (n *Node) first() error {
	f, err := n.core.pass()
	if err != nil || f == nil {
		return err
	}
	size := f.batch.Len()
	err = f.batch.Commit(pebble.Sync)
	f.round.Applied(size)
	if err != nil {
		return chat.E("replica.Start", chat.KindUnavailable, "the first pass did not become durable", err)
	}
	f.round.Landed()
	n.send(f.send, f.snapshots)
	n.send(n.core.landed(f))
	return f.batch.Close()
}

// Propose implements persistence.Proposer.
func (n *Node) Propose(ctx context.Context, g chat.Group, c *recordpb.Commit) (persistence.Outcome, error) {
	const op = "journal.Append"
	p, ok := n.proposals.Get().(*Proposal)
	if !ok {
		p = &Proposal{done: make(chan struct{}, 1)}
	}
	p.group, p.commit = g, c
	n.gate.RLock()
	if n.closed {
		n.gate.RUnlock()
		return persistence.Outcome{}, chat.E(op, chat.KindUnavailable, "the store is closed for writing", nil)
	}
	select {
	case n.queue <- p:
		n.gate.RUnlock()
	default:
		n.gate.RUnlock()
		return persistence.Outcome{}, chat.E(op, chat.KindBusy, "too many commits wait", nil)
	}
	select {
	case <-p.done:
		out := p.outcome
		p.commit, p.outcome = nil, persistence.Outcome{}
		n.proposals.Put(p)
		return out, nil
	case <-ctx.Done():
		return persistence.Outcome{Answer: chat.Unknown}, nil
	}
}

// Receive takes messages from another node. It never waits. The slice is the
// node's.
func (n *Node) Receive(messages []Message) {
	select {
	case n.messages <- messages:
	default:
	}
}

// Close implements persistence.Proposer.
func (n *Node) Close() error {
	n.gate.Lock()
	closed := n.closed
	n.closed = true
	n.gate.Unlock()
	if !closed {
		n.cancel()
		close(n.stop)
	}
	n.work.Wait()
	return nil
}

// run takes passes until Close. Proposals that wait then are still answered.
func (n *Node) run() {
	defer close(n.flights)
	defer close(n.ended)
	tick := time.NewTicker(n.opt.Tick)
	defer tick.Stop()
	last := time.Now()
	for {
		commits, bytes := 0, 0
		take := func(p *Proposal) {
			n.core.propose(p)
			commits++
			bytes += sizeOf(p.commit)
		}
		select {
		case p := <-n.queue:
			take(p)
		case list := <-n.messages:
			n.step(list)
		case f := <-n.returned:
			n.send(n.core.landed(f))
		case f := <-n.control:
			f(n.core)
		case <-tick.C:
			n.core.tick()
			n.opt.Metrics.Raft.Waiting.Set(float64(len(n.queue)))
		case <-n.stop:
			n.end()
			return
		}
		if wait := passPause(n.open+commits) - time.Since(last); wait > 0 && !n.core.alone() {
			time.Sleep(wait)
		}
		last = time.Now()
		for more := true; more && commits < passCommitsMax && bytes < passBytesMax; {
			select {
			case p := <-n.queue:
				take(p)
			case list := <-n.messages:
				n.step(list)
			case f := <-n.control:
				f(n.core)
			case f := <-n.returned:
				n.send(n.core.landed(f))
			default:
				more = false
			}
		}
		// However much was taken: the next pass may wait for the flights, and those
		// for room here.
		for len(n.returned) > 0 {
			n.send(n.core.landed(<-n.returned))
		}
		n.open += commits
		if !n.pass() {
			return
		}
	}
}

func (n *Node) step(list []Message) {
	for _, m := range list {
		n.core.step(m)
	}
}

// sizeOf is about what a commit takes in a batch.
func sizeOf(c *recordpb.Commit) int {
	const rows = 256 // keys, feed, index rows
	size := rows + len(c.GetHead().GetRecord())
	for _, e := range c.Events {
		size += len(e.Record)
	}
	for _, w := range c.Writes {
		size += len(w.Key) + len(w.Value)
	}
	if c.Also != nil {
		size += sizeOf(c.Also)
	}
	return size
}

// end answers what was queued before Close, as far as this node can.
func (n *Node) end() {
	for {
		select {
		case p := <-n.queue:
			n.core.propose(p)
		default:
			n.pass()
			f := &flight{}
			n.core.abandon(f)
			n.flights <- f
			return
		}
	}
}

// pass runs one pass and sends its flight on its way. False means that the
// process ends.
func (n *Node) pass() bool {
	f, err := n.core.pass()
	if err != nil {
		n.store.Fail("a pass cannot be finished", err)
		return false
	}
	if f == nil {
		return true
	}
	n.open -= len(f.answered)
	if len(f.installs) > 0 {
		return n.install(f)
	}
	failpoint.Hit(failpoint.BatchStaged)
	size, began := f.batch.Len(), time.Now()
	f.size, f.began = size, began
	err = n.apply(f)
	f.round.Applied(size)
	if err != nil {
		n.store.Fail("a write was refused", err)
		return false
	}
	n.send(f.send, f.snapshots)
	if f.batch.Empty() && len(f.answered) == 0 && len(f.settled) == 0 && !f.returns() {
		return true
	}
	n.flights <- f
	return true
}

// send lets go of messages, and has snapshots streamed.
func (n *Node) send(messages, snapshots []Message) {
	if len(messages) > 0 {
		n.opt.Transport.Send(messages)
	}
	for _, m := range snapshots {
		n.work.Go(func() { n.sendSnapshot(n.life, m) })
	}
}

// install is the pass's end when a snapshot came: everything before it is made
// durable first, and nothing else happens meanwhile.
func (n *Node) install(f *flight) bool {
	size := f.batch.Len()
	err := f.batch.Commit(pebble.Sync)
	f.round.Applied(size)
	for _, i := range f.installs {
		if err == nil {
			err = n.core.put(i)
		}
		if err == nil {
			n.opt.Logger.Info("a snapshot was installed", "group", i.member.group, "index", i.member.log.applied.index)
			i.from.done <- nil
		}
	}
	if err != nil {
		n.store.Fail("a snapshot could not be installed", err)
		return false
	}
	n.send(f.send, f.snapshots)
	// The batch is durable; landing has only to tell.
	f.batch, f.sync = n.store.DB().NewBatch(), false
	n.flights <- f
	return true
}

func (n *Node) apply(f *flight) error {
	switch {
	case f.batch.Empty():
		return nil
	case !f.sync || failpoint.Planted(failpoint.BugNoSync):
		f.sync = false
		return f.batch.Commit(pebble.NoSync)
	}
	return n.store.DB().ApplyNoSyncWait(f.batch, pebble.Sync)
}

// land waits for each flight to be durable, in order, and only then tells
// whoever waits for it.
func (n *Node) land() {
	for f := range n.flights {
		if f.batch != nil && !n.synced(f) {
			continue
		}
		if f.round != nil {
			f.round.Landed()
		}
		for _, p := range f.answered {
			p.done <- struct{}{}
		}
		for _, s := range f.settled {
			s.done <- s.err
		}
		if f.returns() {
			select {
			case n.returned <- f:
			case <-n.stop:
			}
		}
		if f.batch != nil {
			_ = f.batch.Close()
		}
	}
}

// synced waits for one flight's sync. False means that it did not become durable
// and the process ends.
func (n *Node) synced(f *flight) bool {
	if f.batch.Empty() {
		return !n.store.Failed()
	}
	if f.sync {
		if err := f.batch.SyncWait(); err != nil {
			n.store.Fail("a write did not become durable", err)
			return false
		}
	}
	if n.store.Failed() {
		return false
	}
	failpoint.Hit(failpoint.BatchSynced)
	m := n.opt.Metrics
	m.Sync.Observe(time.Since(f.began).Seconds())
	m.Batch.Observe(float64(len(f.answered)))
	m.BatchBytes.Add(float64(f.size))
	return true
}
