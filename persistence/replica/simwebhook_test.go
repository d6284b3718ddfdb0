package replica

import (
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
)

// acknowledgement is somebody who waits for the first 200 to any copy of a
// webhook.
type acknowledgement struct {
	fiber *fiber
	over  bool
}

// webhook posts updates until they are answered with 200, or another copy was.
func (w *town) webhook(updates []chat.Inbound, a *acknowledgement) {
	if a != nil && a.over {
		return
	}
	w.posting++
	w.sim.start(func(f *fiber) {
		for !w.closed && (a == nil || !a.over) {
			if w.post(f, updates) {
				break
			}
			w.total.refused++
			f.sleep(w.sim.between(50*time.Millisecond, 800*time.Millisecond))
		}
		w.posting--
		if a != nil && !a.over {
			a.over = true
			w.sim.after(0, a.fiber.wake)
		}
	})
}

// webhookAfter posts an update when d has passed.
func (w *town) webhookAfter(d time.Duration, in chat.Inbound) {
	w.posting++
	w.sim.after(d, func() {
		w.posting--
		w.webhook([]chat.Inbound{in}, nil)
	})
}

// post makes one request to some node, mostly one that leads or led until lately.
func (w *town) post(f *fiber, updates []chat.Inbound) bool {
	s := w.sim
	w.total.webhooks++
	ch, _ := w.ChannelByID(chat.ChannelID(updates[0].Account))
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	if s.chance(60) {
		if l := s.leader(w.groupOf(ch)); l != nil {
			n = l
		}
	}
	f.sleep(s.between(time.Millisecond, 15*time.Millisecond))
	if !n.up || w.closed {
		return false
	}
	// A delivery keeps its updates: each has its own.
	own := append([]chat.Inbound(nil), updates...)
	ok := n.engine.deliver(f, w.groupOf(ch), own)
	return ok && (s.healed || !s.chance(6)) // some answers are lost
}

// awake waits until the process is not paused; false when it is gone.
func (e *engine) awake(f *fiber) bool {
	for e.alive() && e.node.paused > e.town.sim.now {
		f.sleep(e.node.paused - e.town.sim.now)
	}
	return e.alive()
}

// deliverMax is how long a delivery waits before it answers 503.
const deliverMax = 8 * time.Second

// deliver is Ingress.Deliver for updates of one group: here, or by way of the node
// that leads.
func (e *engine) deliver(f *fiber, g chat.Group, updates []chat.Inbound) bool {
	s := e.town.sim
	if !e.awake(f) {
		return false
	}
	if first := updates[0].Remote; e.town.lapse == lapseEarlyDuplicate {
		if e.underWay[first] {
			return true
		}
		e.underWay[first] = true
		defer delete(e.underWay, first)
	}
	until := s.now + deliverMax
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		var err error
		if e.node.store.Epoch(g) != 0 {
			err = e.here(f, updates)
		} else {
			err = e.forward(f, g, updates)
		}
		if !e.awake(f) {
			return false
		}
		if err == nil {
			return true
		}
		if kind := chat.KindOf(err); kind != chat.KindFenced && kind != chat.KindUnknown || s.now > until {
			return false
		}
		f.sleep(s.between(0, pause))
		if !e.awake(f) {
			return false
		}
	}
}

// here makes updates durable on this node, as Ingress.here does.
func (e *engine) here(f *fiber, updates []chat.Inbound) error {
	list, err := e.solos.Lead(f.ctx, townApp, updates)
	for range 8 {
		if err != nil {
			return err
		}
		replies, all := e.ask(f, list, deliverMax)
		if !all || !e.alive() {
			return errDown
		}
		var again []*actors.Letter
		for i, r := range replies {
			switch {
			case r.Elsewhere:
				again = append(again, list[i])
			case r.Err != nil:
				err = r.Err
			}
			for _, v := range r.Verdicts {
				if v.Kind == chat.VerdictDuplicate {
					e.town.total.duplicates++
				}
			}
		}
		if err != nil || len(again) == 0 {
			return err
		}
		list, err = e.solos.Relead(f.ctx, townApp, again)
	}
	return errDown
}

var errElsewhere = chat.E("simulator", chat.KindFenced, "the node that was asked does not lead", nil)

// forward brings updates to the node that this one takes for the leader.
func (e *engine) forward(f *fiber, g chat.Group, updates []chat.Inbound) error {
	s, n := e.town.sim, e.node
	to := chat.NodeID(n.core.members[g].raft.BasicStatus().Lead)
	if to == 0 || to == n.id || int(to) > len(s.nodes) {
		return errElsewhere
	}
	o := s.node(to)
	cut := func(a, b *simNode) bool { return s.net.cut[[2]chat.NodeID{a.id, b.id}] || s.chance(s.net.lost) }
	f.sleep(s.between(time.Millisecond, 20*time.Millisecond))
	if cut(n, o) || !o.up || !o.engine.awake(f) {
		f.sleep(time.Second)
		return errElsewhere
	}
	if o.store.Epoch(g) == 0 {
		return errElsewhere
	}
	err := o.engine.here(f, updates)
	if !o.engine.awake(f) || cut(o, n) {
		f.sleep(time.Second)
		return errElsewhere
	}
	return err
}
