package actors

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// factsPerCommitMax bounds one commit: a POST of Meta holds up to 1,000 updates.
const factsPerCommitMax = 128

// aloneMax is how often a fact is decided alone before its mail is given back:
// with refreshed knowledge after each lost race, or used up counter.
const aloneMax = 5

// core is what the activations of a node share. It knows nothing of actors.
type core struct {
	opt *Options
	met *metrics.Set
	// life ends when the process stops; set before the first activation.
	life context.Context
	// nows holds the latest decision time of each group, in Unix milliseconds.
	nows []atomic.Int64
	// runner takes turns that are wanted, linker links that are.
	runner runner
	linker linker
	// reigns holds since when this node rules each group under its present epoch, in
	// Unix milliseconds; written by the group's router.
	reigns []atomic.Int64
	// profiles knows which assistant answers.
	profiles *profiles
	// purse takes notice of money; nil for nobody.
	purse purse
	// ear hears for the senders what customers write.
	ear *ear
	// files takes files that are wanted, or wanted no more; nil for none.
	files fetcher
	// step decides; chat.Step in production.
	step func(*chat.Conversation, chat.Input) chat.Decision
}

func newCore(o *Options) *core {
	return &core{opt: o, met: o.Metrics, nows: make([]atomic.Int64, o.Leadership.Groups()), reigns: make([]atomic.Int64, o.Leadership.Groups()), step: chat.Step, ear: new(ear), profiles: newProfiles(o)}
}

// linker links contacts that an update proved to be one person. It does not block.
type linker interface {
	proven(t chat.TenantID, e chat.LinkContacts)
}

// runner makes model calls. It does not block.
type runner interface {
	start(turnJob)
	cancel(chat.TurnID)
}

// fetcher brings and drops files. It does not block.
type fetcher interface {
	start(fetchJob)
	drop(t chat.TenantID, prefix string)
	person(personJob)
}

// now is the decision time of a group: the clock, never earlier than a time
// that was used before, in UTC and whole milliseconds.
func (c *core) now(g chat.Group) time.Time {
	clock := c.opt.Clock.Now().UnixMilli()
	for {
		last := c.nows[g].Load()
		if clock <= last {
			return time.UnixMilli(last).UTC()
		}
		if c.nows[g].CompareAndSwap(last, clock) {
			return time.UnixMilli(clock).UTC()
		}
	}
}

// sink takes effects whose commit is durable. It does not block.
type sink interface{ release([]chat.Effect) }

// activation is the one live instance of a conversation on this node: it
// serializes what happens to it. Of two activations the older is fenced by its
// epoch, or by the expected seq of its commits.
//
// All fields are owned by whoever calls handle, one call at a time.
type activation struct {
	core  *core
	epoch chat.Epoch
	// state is what is stored, once loaded. Its Tenant and ID are set from birth;
	// ID is empty for the tenant level.
	state chat.Conversation

	group  chat.Group
	loaded bool
	// settled is true when state is known to be durable, not only visible.
	settled bool
	// dead is set when the state cannot be trusted any more; all further mail is
	// refused and the parent makes a new activation.
	dead bool

	// released is true once an address of the conversation was given up: mail may
	// still come that was led here by it.
	released bool
	// rested is true when nothing that was sent before this reign counts any more.
	rested bool

	// waiters is the first of those whose answer must wait; nil for none.
	waiters *waiter
}

// birth makes an activation for the conversation that m is for.
func (a *activation) birth(m *mail) {
	*a = activation{core: a.core, group: m.group, epoch: a.core.opt.Leadership.Epoch(m.group),
		state: chat.Conversation{Tenant: m.tenant, ID: m.conversation}}
}

// born reports whether birth was called.
func (a *activation) born() bool { return a.state.Tenant != "" }

// handle makes the facts of each mail durable, releases what follows from them,
// and answers the mail. Mails that arrived together share a commit.
func (a *activation) handle(mails []*mail, out sink) {
	for len(mails) > 0 {
		if m := mails[0]; m.stale {
			a.loaded, a.settled = false, false
			m.answer(answer{})
			mails = mails[1:]
			continue
		}
		n := 1
		if a.settled && a.state.Seq > 0 && !a.dead {
			n = together(mails)
		}
		if n == 1 || !a.handleTogether(mails[:n], out) {
			for _, m := range mails[:n] {
				a.handleOne(m, out)
			}
		}
		mails = mails[n:]
	}
}

// together tells how many of the first mails fit into one commit.
func together(mails []*mail) int {
	facts := 0
	for i, m := range mails {
		if facts += len(m.items); facts > factsPerCommitMax || m.stale {
			return max(i, 1)
		}
	}
	return len(mails)
}

// handleTogether makes the facts of several mails durable in one commit. False
// means that nothing was done: a race, a limit or one mail's problem is met by
// each mail on its own.
func (a *activation) handleTogether(mails []*mail, out sink) bool {
	if a.fenced() {
		return false
	}
	items := make([]item, 0, facts(mails))
	for _, m := range mails {
		items = append(items, m.items...)
	}
	d, err := a.draft(items)
	if err != nil {
		return false
	}
	defer d.release()
	receipt, err := a.commit(mails[0], d, out)
	if err != nil {
		for _, m := range mails {
			m.refuse(err)
		}
		if a.dead {
			a.abandon()
		}
		return true
	}
	if receipt.Answer != chat.Applied {
		return false
	}
	verdicts := d.verdicts
	for _, m := range mails {
		n := len(m.items)
		a.reply(m, verdicts[:n:n])
		verdicts = verdicts[n:]
	}
	return true
}

// fenced reports whether another epoch rules, or this activation is dead.
func (a *activation) fenced() bool {
	return a.dead || a.epoch == 0 || a.core.opt.Leadership.Epoch(a.group) != a.epoch
}

func (a *activation) handleOne(m *mail, out sink) {
	if a.fenced() {
		a.dead = true
		a.core.met.Actors.Fenced.Inc()
		m.refuse(errFenced)
		a.abandon()
		return
	}
	if err := a.load(m, out); err != nil {
		m.refuse(err)
		return
	}
	verdicts := make([]chat.Verdict, 0, len(m.items))
	for items := m.items; len(items) > 0; {
		n := min(len(items), factsPerCommitMax)
		some, err := a.settle(m, items[:n], out)
		if err != nil {
			m.refuse(err)
			if a.dead {
				a.abandon()
			}
			return
		}
		verdicts = append(verdicts, some...)
		items = items[n:]
	}
	a.reply(m, verdicts)
}

// load reads the state before the first mail, and makes the sender know what
// is queued: it may have lost it.
func (a *activation) load(m *mail, out sink) error {
	if a.state.ID == "" {
		a.state = chat.Conversation{Tenant: a.state.Tenant, Channel: m.channel, Kind: m.kind}
		return nil
	}
	if !a.loaded {
		began := a.core.opt.Clock.Now()
		state, found, err := a.core.opt.Journal.Load(a.state.Tenant, a.state.ID)
		if err != nil {
			return err
		}
		a.core.met.Actors.Load.Observe(a.core.opt.Clock.Now().Sub(began).Seconds())
		if found {
			// These strings are shared with others; those of the store are not.
			state.Tenant, state.ID = a.state.Tenant, a.state.ID
			if state.Channel == m.channel {
				state.Channel = m.channel
			}
			a.state = state
			a.rested = a.core.rested(&a.state, a.group)
		}
		a.loaded, a.settled = true, !found
		if found && !failpoint.Planted(failpoint.BugForgetQueued) {
			out.release(wakeQueued(&a.state))
		}
	}
	if a.state.Seq == 0 {
		if m.exists || (len(m.items) > 0 && m.items[0].byCallback) {
			return errAbsent
		}
		a.state.Channel, a.state.Kind = m.channel, m.kind
	}
	return nil
}

// wakeQueued tells the sender of every entry that waits for it.
func wakeQueued(st *chat.Conversation) (effects []chat.Effect) {
	for i := range st.Outbox {
		if e := &st.Outbox[i]; e.State == chat.SendQueued {
			effects = append(effects, st.Wake(e, e.At))
		}
	}
	return effects
}

// settle makes items durable in one commit, or one by one when that commit met
// a race or a limit. Any error but errMoved leaves the activation dead or the
// items undone; what was applied before stays applied.
func (a *activation) settle(m *mail, items []item, out sink) ([]chat.Verdict, error) {
	verdicts, receipt, err := a.try(m, items, out)
	if !errors.Is(err, errAlone) && (err != nil || receipt.Answer == chat.Applied) {
		return verdicts, err
	}
	verdicts = verdicts[:0]
	for i := range items {
		v, err := a.settleAlone(m, items[i:i+1], out)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, nil
}

// settleAlone decides one fact with what is known now. When a counter refuses what
// was decided, the fact is decided again, knowing that.
func (a *activation) settleAlone(m *mail, one []item, out sink) (chat.Verdict, error) {
	for range aloneMax {
		if err := a.relocate(&one[0]); err != nil {
			return chat.Verdict{}, err
		}
		verdicts, receipt, err := a.try(m, one, out)
		if err != nil {
			return chat.Verdict{}, err
		}
		switch receipt.Answer {
		case chat.Applied:
			return verdicts[0], nil
		case chat.LimitReached:
			one[0].exhausted = append(one[0].exhausted, receipt.Counter)
		}
	}
	return chat.Verdict{}, chat.E("activation.settle", chat.KindUnavailable, "the same race was lost too often; repeat", nil)
}

// try decides about items and commits that, once. The verdicts count when the
// answer is Applied; see commit for the others.
func (a *activation) try(m *mail, items []item, out sink) ([]chat.Verdict, chat.Receipt, error) {
	d, err := a.draft(items)
	if err != nil {
		return nil, chat.Receipt{}, err
	}
	defer d.release()
	receipt, err := a.commit(m, d, out)
	return d.verdicts, receipt, err
}

// commit makes a draft durable, adopts its state and releases its effects.
// Only Applied, Duplicate and LimitReached come back without error.
func (a *activation) commit(m *mail, d *draft, out sink) (chat.Receipt, error) {
	if !d.dirty() {
		return chat.Receipt{Answer: chat.Applied}, a.unchanged(d, out)
	}
	failpoint.Hit(failpoint.StepDecided)
	if failpoint.Planted(failpoint.BugEffectsFirst) {
		out.release(d.effects)
	}
	if failpoint.Planted(failpoint.BugAckBeforeCommit) {
		m.answer(answer{verdicts: make([]chat.Verdict, len(m.items))})
	}
	receipt, err := a.core.opt.Journal.Append(a.core.life, d.commit)
	a.core.profiles.committed(a.state.Tenant, d.commit.Docs)
	if err != nil {
		return receipt, err
	}
	failpoint.Hit(failpoint.CommitAnswered)
	switch receipt.Answer {
	case chat.Applied:
	case chat.LimitReached:
		a.counted(d, receipt.Counter, true)
		return receipt, nil
	case chat.Duplicate:
		return receipt, nil
	case chat.Unknown:
		a.dead = true
		return receipt, chat.E("activation.commit", chat.KindUnknown, "it may or may not be durable; repeat with the same key", nil)
	default:
		a.dead = true
		a.core.met.Actors.Fenced.Inc()
		return receipt, chat.E("activation.commit", chat.KindFenced, "commit answered "+receipt.Answer.String()+"; repeat", nil)
	}
	a.replied(d)
	before := &a.state
	if a.core.opt.Tracer != nil {
		before = new(a.state)
	}
	a.state, a.settled = d.next, true
	a.released = a.released || len(d.commit.Releases) > 0
	d.recorded()
	if d.duplicate {
		if err := a.barrier(); err != nil {
			return receipt, err
		}
	}
	if !failpoint.Planted(failpoint.BugEffectsFirst) {
		out.release(d.effects)
	}
	failpoint.Hit(failpoint.EffectsReleased)
	a.core.count(d)
	if a.core.opt.Tracer != nil {
		a.traced(m, d, before)
	}
	a.money(d)
	a.settleWaiters()
	return receipt, nil
}

// unchanged ends a draft that stores nothing. What it tells or releases may
// rest on rows that are visible and not durable yet.
func (a *activation) unchanged(d *draft, out sink) error {
	if d.duplicate || (len(d.effects) > 0 && !a.settled) {
		if err := a.barrier(); err != nil {
			return err
		}
		a.settled = true
	}
	out.release(d.effects)
	a.core.count(d)
	return nil
}

func (a *activation) barrier() error {
	if failpoint.Planted(failpoint.BugDuplicateNotDurable) {
		return nil
	}
	return a.core.opt.Barrier.Barrier(a.core.life, a.state.Tenant)
}

// panicWord names a panic without its text, which could hold a message.
func panicWord(r any) string { return fmt.Sprintf("%T", r) }
