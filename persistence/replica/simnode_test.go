package replica

import (
	"bytes"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/seal"
)

// simNode is one node: what Node is, with events in the place of goroutines.
type simNode struct {
	sim *simulator
	id  chat.NodeID
	fs  *simDisk
	// up is true while the process lives; life counts processes, so that what was
	// meant for one does not reach the next.
	up   bool
	life int
	// disk counts disks that were lost: no connection outlives one.
	disk int

	opt   *Options
	store *persistence.Store
	core  *core

	// engine is what runs above the store, nil where clients append themselves; skew
	// is how far the clock is off.
	engine *engine
	skew   time.Duration

	// doomed is true when the process is about to end.
	doomed bool
	// ends are where the logs ended after the pass before.
	ends map[chat.Group]uint64
	// paused is until when nothing happens in the process.
	paused time.Duration
	// poked is true while a pass is to come; slow slows the disk down.
	poked bool
	slow  time.Duration
	// flights are on their way to the disk, in order.
	flights []*flight
	pending []*pending
	// appending are commits proposed since the last pass, tags all that have no answer
	// yet, flying those on their way to the disk: for the traps of a town.
	appending []tag
	tags      map[*Proposal]tag
	flying    map[*flight][]tag
	// receiving are snapshots that were offered to Raft, told when they end.
	receiving []offered
	// received, which can be nil, sees every snapshot before Raft does.
	received func(Message)
	// crashNext makes the power go between the batch of an install and the rest.
	crashNext bool
}

type offered struct {
	in   *incoming
	tell func(error)
}

// simInstruments are shared: a registry for every process would cost more than
// the process.
var simInstruments = &metrics.New(nil).Journal

func (n *simNode) options() persistence.Options {
	kek, err := seal.NewKEK(bytes.Repeat([]byte{7}, seal.KeyLen))
	if err != nil {
		panic(err)
	}
	return persistence.Options{Dir: "data", FS: n.fs, KEK: kek, Groups: n.sim.plan.groups, DiskReserve: -1, DiskPoll: time.Hour,
		MemTableSize: 256 << 10, CacheSize: 1 << 20, KeyCacheLen: 256, Logger: n.sim.logger, Metrics: simInstruments,
		Fatal: func(reason string) { n.sim.violate("n%d: the store must end: %s", n.id, reason) }}
}

// voters is what the configuration of a new node says: the first members, or for
// one that joins later, somebody else.
func (n *simNode) voters() []chat.NodeID {
	if n.disk > 0 {
		return []chat.NodeID{n.id%chat.NodeID(n.sim.plan.nodes) + 1}
	}
	return n.sim.plan.first
}

// open starts a process on the node's disk.
func (n *simNode) open() {
	n.life++
	n.sim.note("n%d starts", n.id)
	n.fs.honest = true
	s, err := persistence.Open(n.options())
	if err != nil {
		n.sim.violate("n%d: cannot open its store: %v", n.id, err)
		return
	}
	n.store = s
	n.opt = &Options{ID: n.id, Voters: n.voters(), ElectionTicks: 5, LogLen: n.sim.plan.logLen,
		Boot: uint64(n.id)<<32 | uint64(n.life), Logger: n.sim.logger, Metrics: simInstruments}
	n.opt.EnsureDefaults()
	if err := s.FS().RemoveAll(s.FS().PathJoin(s.Dir(), incomingDir)); err != nil {
		n.sim.violate("n%d: %v", n.id, err)
	}
	if n.core, err = openCore(s, n.opt); err != nil {
		n.sim.violate("n%d: cannot open its groups: %v", n.id, err)
		return
	}
	n.core.plant(n.sim.plan.fault)
	n.sim.book.opened(n)
	if err := n.fs.sync(); err != nil {
		n.sim.violate("n%d: %v", n.id, err)
	}
	n.fs.honest = false
	s.Serve(simProposer{n, n.life})
	n.appending, n.tags, n.flying = nil, map[*Proposal]tag{}, map[*flight][]tag{}
	n.doomed, n.ends = false, map[chat.Group]uint64{}
	n.up, n.poked, n.crashNext, n.flights, n.pending, n.receiving = true, false, false, nil, nil, nil
	n.poke()
	n.ticks(n.life)
	if n.sim.town != nil {
		n.engine = newEngine(n.sim.town, n)
	}
}

// ticks lets the node's time pass while its process lives.
func (n *simNode) ticks(life int) {
	n.sim.after(n.sim.between(95*time.Millisecond, 105*time.Millisecond), func() {
		if n.life == life && n.up {
			n.whenAwake(func() {
				n.core.tick()
				n.poke()
				n.ticks(life)
			})
		}
	})
}

// whenAwake runs f now, or when a pause of the process is over.
func (n *simNode) whenAwake(f func()) {
	if n.paused <= n.sim.now {
		f()
		return
	}
	life := n.life
	n.sim.after(n.paused-n.sim.now, func() {
		if n.life == life && n.up {
			n.whenAwake(f)
		}
	})
}

// flightsFull is how many flights make the passes wait. Node lets fewer be under
// way; with more, what goes wrong between them shows sooner.
const flightsFull = flightsMax + 2

// poke has a pass taken soon: inputs that come close together share it.
func (n *simNode) poke() {
	if n.poked || !n.up {
		return
	}
	n.poked = true
	life := n.life
	n.sim.after(n.sim.between(0, 2*time.Millisecond), func() {
		if n.life == life && n.up {
			n.whenAwake(n.pass)
		}
	})
}

// pass is Node.pass.
func (n *simNode) pass() {
	if len(n.flights) >= flightsFull {
		life := n.life
		n.sim.after(time.Millisecond, func() {
			if n.life == life && n.up {
				n.whenAwake(n.pass)
			}
		})
		return
	}
	n.poked = false
	f, err := n.core.pass()
	if err != nil {
		n.sim.violate("n%d: a pass cannot be finished: %v", n.id, err)
		return
	}
	if f == nil {
		return
	}
	n.sim.book.turned(n, f)
	if n.hitBatch(failpoint.BatchStaged, f) {
		return
	}
	size := f.batch.Len()
	if !f.batch.Empty() {
		// The disk is told to sync and says that it did; see simDisk.
		err = f.batch.Commit(pebble.Sync)
	}
	f.round.Applied(size)
	if err != nil {
		n.sim.violate("n%d: a write was refused: %v", n.id, err)
		return
	}
	n.sim.note("n%d pass: %d bytes, sync %v, send %d, promises %d, answers %d, installs %d", n.id, size, f.sync, len(f.send),
		len(f.promises), len(f.answered), len(f.installs))
	if len(f.installs) > 0 && !n.install(f) {
		return
	}
	n.sim.send(n, f.send)
	for _, m := range f.snapshots {
		n.stream(m)
	}
	n.sim.book.compare(n)
	if f.batch.Empty() && len(f.answered) == 0 && len(f.settled) == 0 && !f.returns() {
		_ = f.batch.Close()
		return
	}
	n.flights = append(n.flights, f)
	if len(n.flights) == 1 {
		n.land()
	}
}

// install is Node.install, with a crash in the middle when one is due.
func (n *simNode) install(f *flight) bool {
	if err := n.fs.sync(); err != nil {
		n.sim.violate("n%d: %v", n.id, err)
	}
	if n.crashNext {
		n.sim.note("n%d loses power between the batch and the snapshot", n.id)
		n.crash(n.sim.between(10*time.Millisecond, time.Second))
		return false
	}
	for _, i := range f.installs {
		if err := n.core.put(i); err != nil {
			n.sim.violate("n%d: a snapshot could not be installed: %v", n.id, err)
			return false
		}
		n.sim.total.snapshots++
		n.sim.note("n%d g%d installed a snapshot, index %d term %d", n.id, i.member.group, i.member.log.applied.index, i.member.log.applied.term)
		i.from.done <- nil
		n.sim.book.log(n, i.member)
	}
	f.sync = false
	return true
}

// land has the first flight land when the disk is done with it.
func (n *simNode) land() {
	var d time.Duration
	if n.flights[0].sync {
		d = n.sim.between(200*time.Microsecond, 4*time.Millisecond) + n.slow
	}
	life := n.life
	n.sim.after(d, func() {
		if n.life == life && n.up {
			n.whenAwake(n.landed)
		}
	})
}

func (n *simNode) landed() {
	f := n.flights[0]
	n.flights = n.flights[1:]
	if f.sync {
		if err := n.fs.sync(); err != nil {
			n.sim.violate("n%d: %v", n.id, err)
		}
	}
	if n.hitBatch(failpoint.BatchSynced, f) {
		return
	}
	n.sim.book.landing(n, f)
	f.round.Landed()
	for _, p := range f.answered {
		p.done <- struct{}{}
	}
	for _, s := range f.settled {
		s.done <- s.err
	}
	n.tell()
	if f.returns() {
		send, snapshots := n.core.landed(f)
		n.sim.send(n, send)
		for _, m := range snapshots {
			n.stream(m)
		}
		n.poke()
	}
	_ = f.batch.Close()
	if len(n.flights) > 0 {
		n.land()
	}
}

// tell finishes whoever has an answer.
func (n *simNode) tell() {
	n.pending = slices.DeleteFunc(n.pending, func(p *pending) bool {
		if p.proposal != nil {
			select {
			case <-p.proposal.done:
				p.finish(p.proposal.outcome, nil)
			default:
			}
		} else {
			select {
			case err := <-p.wait.done:
				p.finish(persistence.Outcome{}, err)
			default:
			}
		}
		return p.over
	})
	n.receiving = slices.DeleteFunc(n.receiving, func(r offered) bool {
		select {
		case err := <-r.in.done:
			if err != nil {
				n.sim.total.refusedSnapshots++
			}
			r.tell(err)
			return true
		default:
			return false
		}
	})
}

// crash ends the process; what the disk had not synced may be gone. It starts
// again after some time.
func (n *simNode) crash(down time.Duration) {
	n.sim.total.crashes++
	percent := 0
	if n.sim.chance(70) {
		percent = n.sim.rng.IntN(100)
	}
	n.sim.note("n%d crashes, %d%% of the unsynced stays", n.id, percent)
	after, err := n.fs.crash(n.sim.rng.Uint64(), percent)
	if err != nil {
		n.sim.violate("n%d: %v", n.id, err)
		return
	}
	n.discard()
	n.fs = after
	life := n.life
	n.sim.after(down, func() {
		if !n.up && n.life == life {
			n.open()
		}
	})
}

// discard lets go of a process without an orderly end.
func (n *simNode) discard() {
	if n.store == nil {
		return
	}
	n.up = false
	for _, p := range n.pending {
		p.finish(persistence.Outcome{Answer: chat.Unknown}, errDown)
	}
	for _, r := range n.receiving {
		r.tell(errDown)
	}
	for _, f := range n.flights {
		_ = f.batch.Close()
	}
	n.pending, n.receiving, n.flights = nil, nil, nil
	if err := n.store.Close(); err != nil {
		n.sim.note("n%d: close after a crash: %v", n.id, err)
	}
	n.store, n.core = nil, nil
	if n.engine != nil {
		n.engine.die()
	}
}
