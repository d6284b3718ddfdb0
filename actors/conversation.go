package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/chat"
)

// conversationActor is the shell of one activation: it gives it mail and hands
// its effects on. It learns who it is from its first mail.
type conversationActor struct {
	act activation
	// pending is mail that will share the commit of the mail behind it. A
	// conversation that is written to faster than the disk syncs would otherwise
	// store one mail per sync. Nil for none: most conversations have none.
	pending *[]*mail
}

// Receive implements actor.Actor. It blocks while a commit is appended.
func (c *conversationActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *mail:
		c.take(ctx, m)
	case *actor.Stopping:
		if c.pending != nil {
			c.flush(ctx, *c.pending)
		}
		c.act.abandon()
	case *actor.Restarting:
		c.act.abandon()
	}
}

// take handles m with the mail before it, or leaves it to the mail behind it.
func (c *conversationActor) take(ctx actor.Context, m *mail) {
	followed := m.followed()
	if c.pending == nil && !followed {
		c.flush(ctx, []*mail{m})
		return
	}
	if c.pending == nil {
		c.pending = new([]*mail)
	}
	*c.pending = append(*c.pending, m)
	if !followed || facts(*c.pending) >= factsPerCommitMax {
		c.flush(ctx, *c.pending)
	}
}

func facts(mails []*mail) (n int) {
	for _, m := range mails {
		n += len(m.items)
	}
	return n
}

// flush handles mail. A panic answers all of it.
func (c *conversationActor) flush(ctx actor.Context, mails []*mail) {
	c.pending = nil
	defer recovered(c.act.core, ctx, "conversation")
	returned := false
	defer func() {
		if returned {
			return
		}
		for _, m := range mails {
			m.refuse(errCrashed)
		}
	}()
	m := mails[0]
	if !c.act.born() {
		if m.conversation != "" {
			// The name of the actor is the id: one string serves both.
			m.conversation = chat.ConversationID(keyOf(ctx.Self()))
		}
		c.act.birth(m)
	}
	was := c.act.dead
	c.act.handle(mails, &outlet{ctx: ctx, act: &c.act, due: m.due})
	if c.act.dead && !was {
		ctx.Send(ctx.Parent(), &leaveNotice{key: keyOf(ctx.Self())})
	}
	returned = true
}

// outlet hands the effects of one mail to those who act on them.
type outlet struct {
	ctx actor.Context
	act *activation
	// due is when what happens now should have; zero for mail that is no tick.
	due time.Time
}

// release implements sink.
func (o *outlet) release(effects []chat.Effect) {
	if len(effects) == 0 {
		return
	}
	st, core := &o.act.state, o.act.core
	now := core.opt.Clock.Now()
	for _, e := range effects {
		switch e := e.(type) {
		case chat.StartTurn:
			core.runner.start(turnJob{tenant: st.Tenant, group: o.act.group, epoch: o.act.epoch, conversation: st.ID,
				channel: st.Channel, kind: st.Kind, contact: st.Contact, effect: e,
				due: o.due, released: now})
		case chat.StartTool:
			core.runner.start(turnJob{tenant: st.Tenant, group: o.act.group, epoch: o.act.epoch, conversation: st.ID,
				channel: st.Channel, kind: st.Kind, contact: st.Contact, tool: e, released: now})
		case chat.CancelTurn:
			core.runner.cancel(e.Turn)
		case chat.StartFetch:
			if core.files != nil {
				core.files.start(fetchJob{tenant: st.Tenant, group: o.act.group, channel: st.Channel, conversation: st.ID, effect: e})
			}
		case chat.DropFiles:
			if core.files != nil {
				core.files.drop(st.Tenant, e.Prefix)
			}
		case chat.WantProfile:
			if core.files != nil {
				core.files.person(personJob{tenant: st.Tenant, group: o.act.group, channel: st.Channel, conversation: st.ID, effect: e})
			}
		case chat.DropMedia:
			if prefix, ok := chat.MessagePrefix(e.Message); ok && core.files != nil {
				core.files.drop(st.Tenant, prefix)
			}
		case chat.LinkContacts:
			core.linker.proven(st.Tenant, e)
		case chat.WakeSender:
			o.send(o.act.wake(e), now)
		case chat.StartAttempt, chat.ReleaseSend:
			o.send(e, now)
		}
	}
}

// send hands a send effect on to the sender.
func (o *outlet) send(e chat.Effect, now time.Time) {
	st := &o.act.state
	o.ctx.Send(o.ctx.Parent(), &sendWork{
		tenant: st.Tenant, channel: st.Channel, kind: st.Kind, conversation: st.ID,
		contact: st.Contact, effect: e, at: now,
	})
}
