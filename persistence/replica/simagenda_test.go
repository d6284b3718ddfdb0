package replica

import (
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// walk looks at the agenda of every group that the node leads, as the walkers do.
func (e *engine) walk() {
	e.after(e.town.sim.between(50*time.Millisecond, 200*time.Millisecond), func() {
		for _, g := range e.town.groups() {
			if !e.alive() {
				return
			}
			e.look(g)
			if e.epochs[g] == 0 || e.town.lapse == lapseNoAgenda && e.reigns > len(e.town.groups()) {
				continue
			}
			if e.resumed[g] != e.epochs[g] {
				e.resumed[g] = e.epochs[g]
				e.resume(g)
			}
			if !e.alive() {
				return
			}
			e.fire(g, e.node.store.Due)
		}
		e.walk()
	})
}

// resume fires the rows whose obligation died with whoever led before.
func (e *engine) resume(g chat.Group) {
	if e.town.lapse == lapseResend {
		e.resend(g)
	}
	e.fire(g, func(g chat.Group, _ time.Time, cursor []byte, max int) ([]chat.Owed, []byte, error) {
		return e.node.store.Live(g, cursor, max)
	})
}

// fire posts a tick for each row of a list that is not in flight.
func (e *engine) fire(g chat.Group, list func(chat.Group, time.Time, []byte, int) ([]chat.Owed, []byte, error)) {
	const page = 16
	now := e.now()
	var cursor []byte
	for {
		rows, next, err := list(g, now, cursor, page)
		if err != nil {
			e.town.sim.violate("n%d g%d: the agenda cannot be read: %v", e.node.id, g, err)
			return
		}
		for _, row := range rows {
			if until, ok := e.flying[firing{g, row.Conversation}]; ok && now.Before(until) {
				continue
			}
			e.flying[firing{g, row.Conversation}] = now.Add(time.Minute)
			if e.hit(nil, failpoint.AgendaFired, g) {
				return
			}
			l := e.solos.Write(row.Tenant, row.Conversation, chat.Tick{})
			l.Then(func(r actors.Reply) { e.landed(firing{g, row.Conversation}, r) })
			e.town.total.ticks++
			e.post(l)
		}
		if len(rows) < page {
			return
		}
		cursor = next
	}
}

// landed ends the flight of a tick; a row that stayed due is fired again later.
func (e *engine) landed(id firing, r actors.Reply) {
	now := e.now()
	switch {
	case r.Elsewhere:
		e.flying[id] = now.Add(time.Minute)
	case r.Err != nil, !r.Armed.IsZero() && !r.Armed.After(now):
		e.flying[id] = now.Add(250 * time.Millisecond)
	default:
		delete(e.flying, id)
	}
}
