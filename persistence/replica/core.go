package replica

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Proposal is a commit on its way to its answer.
type Proposal struct {
	group   chat.Group
	commit  *recordpb.Commit
	outcome persistence.Outcome
	// done receives exactly one value, when outcome is final.
	done chan struct{}
}

// core is every group of a node as a function of what happens to it: proposals,
// messages, ticks and syncs in, flights out. It has no clock, no goroutine and
// no socket, and is used by one goroutine.
type core struct {
	opt     *Options
	store   *persistence.Store
	members map[chat.Group]*member
	// order is the members by group.
	order []*member
	// dirty are the members that may have something to do in this pass.
	dirty []*member
	// leaders says who leads each group, for everybody: 0 while this node knows of
	// nobody, or takes no part.
	leaders map[chat.Group]*atomic.Uint64
	// number is of the latest entry proposed by this process.
	number uint64
	// size is of the latest batch: the next is likely about as large.
	size int
	// ticks counts those since the start.
	ticks uint64
	// fault is 0 but in tests.
	fault fault
}

// flight is what one pass came to: a batch for the disk and what may happen once
// it is there.
type flight struct {
	round *persistence.Round
	batch *pebble.Batch
	// sync is true when something rests on the batch being on the disk.
	sync bool
	// send are messages that promise nothing about it, snapshots the announcements
	// of snapshots to be streamed.
	send, snapshots []Message
	// installs are received snapshots, to be put in place after the batch.
	installs []install
	// size and began are of the batch, for the instruments.
	size  int
	began time.Time

	// --- after the batch is durable ---

	// answered are proposals whose outcome is final.
	answered []*Proposal
	// promises are messages for Raft itself or for others.
	promises []promise
	// leads are the groups this node leads from here on.
	leads []lead
	// changed are the groups whose members changed in the pass.
	changed []*member
	// settled are waits that have an answer.
	settled []settled
}

// promise is a message that waits for a flight, with the life of the member that
// made it: what an earlier one promised is of no meaning.
type promise struct {
	Message
	life int
}

func (m *member) promise(msg Message) promise { return promise{msg, m.life} }

// lead is the beginning of this node's leadership of a group.
type lead struct {
	member *member
	epoch  uint64
}

// returns reports whether the core has to hear of the flight's landing.
func (f *flight) returns() bool {
	return len(f.promises) > 0 || len(f.leads) > 0 || len(f.changed) > 0
}

// openCore reads every group's log, makes those of a new store, and has the
// groups of one elect themselves.
func openCore(s *persistence.Store, o *Options) (*core, error) {
	c := &core{opt: o, store: s, members: map[chat.Group]*member{}, leaders: map[chat.Group]*atomic.Uint64{}}
	b := s.DB().NewBatch()
	defer b.Close()
	for _, g := range s.GroupIDs() {
		l, err := openLog(s, g, o, b)
		if err != nil {
			return nil, err
		}
		m, err := newMember(o, l)
		if err != nil {
			return nil, err
		}
		c.members[g] = m
		c.leaders[g] = new(atomic.Uint64)
		c.order = append(c.order, m)
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return nil, chat.E("replica.Open", chat.KindUnavailable, "cannot write the first state of the groups", err)
	}
	for _, m := range c.order {
		if m.sole {
			if err := m.raft.Campaign(); err != nil {
				return nil, chat.E("replica.Open", chat.KindOther, "a group of one cannot elect itself", err)
			}
		}
		c.touch(m)
	}
	return c, nil
}

// alone reports whether this node is the only member of every group.
func (c *core) alone() bool {
	for _, m := range c.order {
		if !m.sole {
			return false
		}
	}
	return true
}

func (c *core) touch(m *member) {
	if !m.dirty {
		m.dirty = true
		c.dirty = append(c.dirty, m)
	}
}

// propose takes a commit into the next entry of its group.
func (c *core) propose(p *Proposal) {
	m := c.members[p.group]
	m.waiting = append(m.waiting, p)
	c.touch(m)
}

// step takes a message from another node. Raft says itself what is too old or
// too strange to mean anything, but for three: a snapshot comes with its rows, see
// stepSnapshot; nobody proposes for others; and who does not lead yet confirms no
// reads, see ask.
func (c *core) step(msg Message) {
	m, ok := c.members[msg.Group]
	if !ok {
		return
	}
	switch t := msg.GetType(); {
	case t == raftpb.MsgSnap, t == raftpb.MsgProp, t == raftpb.MsgReadIndex && m.leading == 0:
		return
	}
	if msg.GetType() == raftpb.MsgHeartbeatResp {
		m.answered = append(m.answered, msg.GetFrom())
	}
	_ = m.raft.Step(msg.Message)
	c.touch(m)
}

// tick advances Raft's time by one unit.
func (c *core) tick() {
	for _, m := range c.order {
		m.raft.Tick()
		c.askAgain(m)
		c.touch(m)
	}
	if c.ticks++; c.ticks%observeTicks == 0 {
		c.observe()
	}
}

// landed takes back a flight that is durable and returns the messages that may
// leave now, those of snapshots apart.
func (c *core) landed(f *flight) (send, snapshots []Message) {
	out := flight{}
	for _, msg := range f.promises {
		m := c.members[msg.Group]
		if msg.life != m.life {
			continue
		}
		if msg.GetTo() == uint64(c.opt.ID) {
			_ = m.raft.Step(msg.Message.Message)
			c.touch(m)
		} else {
			out.post(msg.Message)
		}
	}
	for _, m := range f.changed {
		m.changing--
	}
	for _, l := range f.leads {
		if l.member.leading == l.epoch {
			c.store.Lead(l.member.group, chat.Epoch(l.epoch))
		}
	}
	return out.send, out.snapshots
}

// pass lets the groups digest what came and returns what follows. Nil means that
// nothing does. An error means that the store is unreadable and the process must
// end.
func (c *core) pass() (*flight, error) {
	if len(c.dirty) == 0 {
		return nil, nil
	}
	f := &flight{round: c.store.NewRound(), batch: c.store.DB().NewBatchWithSize(c.size)}
	for _, m := range c.dirty {
		m.dirty = false
		if err := c.serve(m, f); err != nil {
			return f, err
		}
	}
	c.dirty = c.dirty[:0]
	err := f.round.Write(f.batch)
	c.size = f.batch.Len()
	return f, err
}

// serve runs one group until it has nothing more to do.
func (c *core) serve(m *member, f *flight) error {
	if err := c.proposeWaiting(m, f); err != nil {
		return err
	}
	c.ask(m)
	for m.raft.HasReady() {
		rd := m.raft.Ready()
		if rd.SoftState != nil {
			c.turned(m, rd.SoftState, f)
		}
		c.confirm(m, rd.ReadStates)
		for _, msg := range rd.Messages {
			var err error
			switch msg.GetTo() {
			case raft.LocalAppendThread:
				err = c.append(m, msg, f)
			case raft.LocalApplyThread:
				err = c.apply(m, msg, f)
			default:
				if !m.onlyCommit(msg) {
					m.out = append(m.out, Message{m.group, msg})
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return c.settle(m, f)
}

// letGo parts with the messages of a pass. While a change of members is on its way
// to the disk they wait for it: a node that a change removes must not hear that it
// is committed before this one would know that after a crash, because it refuses
// its vote to whoever does not; and what a group of one did is on no other disk,
// so nobody must build on it before it is on this one.
func (m *member) letGo(f *flight) {
	for _, msg := range m.out {
		if m.changing > 0 {
			f.promises = append(f.promises, m.promise(msg))
		} else {
			f.post(msg)
		}
	}
	clear(m.out)
	m.out, m.answered = m.out[:0], m.answered[:0]
}

// post sends a message, or has a snapshot streamed.
func (f *flight) post(m Message) {
	if m.GetType() == raftpb.MsgSnap {
		f.snapshots = append(f.snapshots, m)
	} else {
		f.send = append(f.send, m)
	}
}

// turned notes a change of leadership. Without it this node will not learn what
// became of the entries it proposed.
func (c *core) turned(m *member, s *raft.SoftState, f *flight) {
	leader := s.Lead
	if !m.live(m.id) {
		leader = 0
	}
	c.leaders[m.group].Store(leader)
	leads := s.RaftState == raft.StateLeader
	if leads != m.led {
		m.led = leads
		c.opt.Metrics.Raft.Changes.Inc()
	}
	if leads {
		return
	}
	m.leading = 0
	c.store.Lead(m.group, 0)
	f.unknown(m.orphan())
	m.abandonChanges(f)
}

// proposeWaiting makes one entry of the commits that wait for the group.
func (c *core) proposeWaiting(m *member, f *flight) error {
	if len(m.waiting) == 0 {
		return nil
	}
	c.number++
	list := m.waiting
	m.waiting = nil
	data, err := newEntry(ticket{c.opt.Boot, c.number}, m.sole || c.fault == faultHeldSent, list)
	if err != nil {
		return err
	}
	if err := m.raft.Propose(data); err != nil {
		// Not the leader, or too much is uncommitted: the entry does not exist.
		f.refused(list)
		return nil
	}
	if c.fault == faultAnsweredEarly {
		for i, p := range list {
			list[i] = &Proposal{group: p.group, commit: p.commit, done: make(chan struct{}, 1)}
			p.outcome = persistence.Outcome{Answer: chat.Applied}
			f.answered = append(f.answered, p)
		}
	}
	m.held[c.number] = list
	return nil
}

// settle writes what a group's pass leaves behind.
func (c *core) settle(m *member, f *flight) error {
	m.refuseSnapshot()
	m.release(f)
	m.letGo(f)
	if m.restored {
		return nil // put writes what belongs behind the snapshot
	}
	moved := m.moved
	m.moved = false
	if moved && (c.fault != faultAppliedLate || m.log.applied.index%8 == 0) {
		if err := m.log.writeApplied(f.batch); err != nil {
			return err
		}
	}
	switch {
	case m.sole && m.log.applied.index == m.log.last:
		m.opened = false
		m.log.forget()
		return nil
	case m.opened, m.sole && (moved || m.log.stored < m.log.last):
		// A group that stops being alone keeps its log from here on. One that came
		// to be alone may have entries that were under way before.
		m.opened = false
		return m.log.open(f.batch)
	}
	if err := m.log.flush(into(f.batch)); err != nil {
		return err
	}
	if err := m.cut(f.batch); err != nil || !moved {
		return err
	}
	m.log.shrink()
	if keep := c.opt.LogLen; m.log.applied.index > m.log.truncated.index+2*keep {
		return m.log.trim(f.batch, m.log.applied.index-keep)
	}
	return nil
}

// unknown answers proposals whose entry may or may not become durable.
func (f *flight) unknown(list []*Proposal) {
	for _, p := range list {
		p.outcome = persistence.Outcome{Answer: chat.Unknown}
	}
	f.answered = append(f.answered, list...)
}

// refused answers proposals that did not become an entry.
func (f *flight) refused(list []*Proposal) {
	for _, p := range list {
		p.outcome = persistence.Outcome{Answer: chat.StaleEpoch}
	}
	f.answered = append(f.answered, list...)
}

// abandon ends every wait: the core is about to stop.
func (c *core) abandon(f *flight) {
	for _, m := range c.order {
		f.unknown(m.orphan())
		m.abandonAll(f)
	}
}
