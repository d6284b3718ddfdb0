package replica

import (
	"maps"
	"slices"
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// engine is what runs in one process above its store: what actors.System is, with
// events in the place of goroutines and fibers in the place of what blocks.
// Everything in it ends with the process.
type engine struct {
	town *town
	node *simNode
	life int

	solos *actors.Solos
	// residents are the activations, epochs what the groups were led under when
	// the engine last looked.
	residents map[chat.ConversationID]*resident
	epochs    map[chat.Group]chat.Epoch
	senders   map[chat.ChannelID]*simSender
	// calls are model calls under way, flying rows of the agenda that are fired and
	// not to be fired again before a time.
	calls  map[chat.TurnID]*modelCall
	tools  map[toolUse]*toolCall
	flying map[firing]time.Time
	// resumed is the epoch under which a group's agenda was looked through for what
	// died with whoever led before; reigns counts the epochs seen.
	resumed map[chat.Group]chat.Epoch
	reigns  int
	// asking are those who wait for replies; they are told when the process ends.
	asking []*asking
	// underWay are the updates being delivered; only a planted mistake looks at it.
	underWay map[chat.RemoteID]bool
}

// firing names a row of the agenda.
type firing struct {
	group        chat.Group
	conversation chat.ConversationID
}

// resident is the actor of a conversation: mail that waits, and a fiber while
// there is any.
type resident struct {
	group chat.Group
	solo  *actors.Solo
	queue []*actors.Letter
	// fiber is the one that handles mail.
	fiber   *fiber
	running bool
	// leaving is true once another epoch rules or the activation is dead: new mail
	// is held for whoever comes next.
	leaving bool
	held    []*actors.Letter
}

func newEngine(w *town, n *simNode) *engine {
	e := &engine{town: w, node: n, life: n.life, residents: map[chat.ConversationID]*resident{},
		epochs: map[chat.Group]chat.Epoch{}, senders: map[chat.ChannelID]*simSender{}, calls: map[chat.TurnID]*modelCall{}, tools: map[toolUse]*toolCall{},
		flying: map[firing]time.Time{}, resumed: map[chat.Group]chat.Epoch{}, underWay: map[chat.RemoteID]bool{}}
	port := simStore{e}
	solos, err := actors.NewSolos(actors.Options{Journal: port, Histories: port, Pairs: port, Index: port, Contacts: port, Documents: port, Barrier: port, Leadership: port,
		Elections: port, Agenda: port, Directory: w, Quarantine: port, Graph: port, Clock: port, Boot: 1,
		Metrics: townInstruments, Logger: w.sim.logger})
	if err != nil {
		w.sim.violate("n%d: no engine: %v", n.id, err)
	}
	e.solos = solos
	e.walk()
	return e
}

// alive reports whether the engine's process still is.
func (e *engine) alive() bool { return e.node.up && e.node.life == e.life && !e.town.closed }

func (e *engine) now() time.Time { return simBegan.Add(e.town.sim.now + e.node.skew) }

// after has run called when d has passed and the process lives and is awake.
func (e *engine) after(d time.Duration, run func()) {
	e.town.sim.after(d, func() {
		if e.alive() {
			e.node.whenAwake(func() {
				if e.alive() {
					run()
				}
			})
		}
	})
}

// post takes a letter to its conversation.
func (e *engine) post(l *actors.Letter) {
	if !e.alive() {
		return
	}
	e.look(l.Group())
	if e.epochs[l.Group()] == 0 {
		l.Refuse()
		return
	}
	r := e.residents[l.Conversation()]
	if r == nil {
		r = &resident{group: l.Group()}
		e.residents[l.Conversation()] = r
	}
	if r.leaving {
		r.held = append(r.held, l)
	} else {
		r.queue = append(r.queue, l)
	}
	e.run(l.Conversation(), r)
}

// run has the mail of a resident handled by a fiber, or lets the resident go.
func (e *engine) run(id chat.ConversationID, r *resident) {
	if r.running {
		return
	}
	if r.leaving && len(r.queue) == 0 {
		if e.residents[id] == r {
			delete(e.residents, id)
		}
		if r.solo != nil {
			r.solo.End()
		}
		held := r.held
		r.held = nil
		for _, l := range held {
			e.post(l)
		}
		return
	}
	if len(r.queue) == 0 {
		return
	}
	r.running = true
	e.after(e.town.sim.between(0, time.Millisecond), func() {
		e.town.sim.start(func(f *fiber) {
			if !e.alive() {
				return
			}
			var list []*actors.Letter
			list, r.queue = r.queue, nil
			r.fiber = f
			if r.solo == nil {
				r.solo = e.solos.Activate(func(st *chat.Conversation, effects []chat.Effect) { e.release(r, st, effects) })
			}
			r.solo.Handle(f.ctx, list)
			r.running = false
			r.leaving = r.leaving || r.solo.Dead()
			if e.alive() {
				e.run(id, r)
			}
		})
	})
}

// look notices that another epoch rules a group: what was begun under the one
// before ends, as its actors would.
func (e *engine) look(g chat.Group) {
	epoch := e.node.store.Epoch(g)
	if epoch == e.epochs[g] {
		return
	}
	e.town.sim.note("n%d g%d: the engine sees epoch %d", e.node.id, g, epoch)
	e.epochs[g] = epoch
	if epoch != 0 {
		e.reigns++
	}
	for _, id := range slices.Sorted(maps.Keys(e.residents)) {
		if r := e.residents[id]; r.group == g {
			r.leaving = true
			e.run(id, r)
		}
	}
	for id, c := range e.calls {
		if c.group == g {
			c.cancelled = true
			delete(e.calls, id)
		}
	}
	for id, c := range e.tools {
		if c.group == g {
			c.cancelled = true
			delete(e.tools, id)
		}
	}
	for _, ch := range e.town.channels {
		if e.node.store.Group(ch.Tenant) == g {
			delete(e.senders, ch.ID)
		}
	}
	maps.DeleteFunc(e.flying, func(f firing, _ time.Time) bool { return f.group == g })
}

// release is what the shell of an activation does with effects.
func (e *engine) release(r *resident, st *chat.Conversation, effects []chat.Effect) {
	if !e.alive() {
		return
	}
	now := e.now()
	for _, effect := range effects {
		switch effect := effect.(type) {
		case chat.StartTurn:
			e.call(st.Tenant, st.ID, effect, r.solo.Epoch())
		case chat.CancelTurn:
			if c := e.calls[effect.Turn]; c != nil {
				c.cancelled = true
				delete(e.calls, effect.Turn)
			}
			for id, c := range e.tools {
				if id.turn == effect.Turn && !(c.acts && c.begun) {
					c.cancelled = true
					delete(e.tools, id)
				}
			}
		case chat.StartTool:
			e.useTool(st.Tenant, st.ID, effect, r.solo.Epoch())
		case chat.WakeSender, chat.StartAttempt, chat.ReleaseSend:
			was := st.Clone()
			e.after(0, func() {
				if !r.leaving { // the tenant that leaves takes its senders along
					e.sender(&was).work(now, &was, effect)
				}
			})
		}
	}
	e.hit(r.fiber, failpoint.EffectsReleased, r.group, r.fiber.what...)
}

// asking is somebody who waits for replies.
type asking struct {
	fiber *fiber
	over  bool
}

func (a *asking) done() {
	if !a.over {
		a.over = true
		a.fiber.sim.after(0, a.fiber.wake)
	}
}

// ask posts letters and waits for the replies, at most for d; all is false when
// some did not come.
func (e *engine) ask(f *fiber, list []*actors.Letter, d time.Duration) (replies []actors.Reply, all bool) {
	if !e.alive() {
		return nil, false
	}
	replies = make([]actors.Reply, len(list))
	a, left := &asking{fiber: f}, len(list)
	for i, l := range list {
		l.Then(func(r actors.Reply) {
			replies[i] = r
			if left--; left == 0 {
				a.done()
			}
		})
	}
	e.asking = append(e.asking, a)
	for _, l := range list {
		e.post(l)
	}
	e.town.sim.after(d, a.done)
	f.wait()
	e.asking = slices.DeleteFunc(e.asking, func(o *asking) bool { return o == a })
	if left > 0 {
		for _, l := range list {
			l.Forget()
		}
	}
	return replies, left == 0
}

// die tells those who wait that the process is gone.
func (e *engine) die() {
	for _, a := range e.asking {
		a.done()
	}
}

// insist brings a result to its conversation, however long that takes, as
// System.insist does.
func (e *engine) insist(t chat.TenantID, id chat.ConversationID, fact chat.Fact) {
	e.town.sim.start(func(f *fiber) {
		failures := 0
		for pause := 10 * time.Millisecond; e.alive(); pause = min(2*pause, time.Second) {
			replies, all := e.ask(f, []*actors.Letter{e.solos.Write(t, id, fact)}, 30*time.Second)
			if all {
				switch err := replies[0].Err; chat.KindOf(err) {
				case chat.KindBusy, chat.KindUnavailable, chat.KindUnknown, chat.KindFenced:
				default:
					if failures++; err == nil || replies[0].Elsewhere || failures >= 5 {
						return
					}
				}
			}
			f.sleep(e.town.sim.between(0, pause))
		}
	})
}
