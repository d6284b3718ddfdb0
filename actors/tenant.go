package actors

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/chat"
)

// Names of a tenant's children that are not conversations. Conversations are
// named by their id, which holds no dash.
const (
	tenantLevelKey = "tenant-level"
	senderPrefix   = "sender-"
)

// tenantActor is the parent of a tenant's resident conversations and senders.
type tenantActor struct {
	sys *System
	// tenant, group and epoch are known from the first mail on.
	tenant   chat.TenantID
	group    chat.Group
	epoch    chat.Epoch
	children brood
	// conversations counts the children that are conversations.
	conversations int
	retiring      bool
	// emptySince is when the last child ended; zero while there are any.
	emptySince time.Time
}

func newTenant(s *System) *tenantActor {
	t := &tenantActor{sys: s}
	t.children = newBrood(conversationMailMax, t.spawn,
		func(ctx actor.Context, pid *actor.PID) { ctx.Poison(pid) })
	return t
}

// Receive implements actor.Actor.
func (t *tenantActor) Receive(ctx actor.Context) {
	defer recovered(t.sys.core, ctx, "tenant")
	switch m := ctx.Message().(type) {
	case *mail:
		t.forward(ctx, m)
	case *sendWork:
		if t.retiring {
			return
		}
		t.children.deliver(ctx, actorName(senderPrefix+string(m.channel)), m, t.sys.opt.Clock.Now())
	case sweep:
		t.sweep(ctx)
	case *leaveNotice:
		if c, ok := t.children.children[m.key]; ok {
			t.children.leave(ctx, c)
		}
	case retire:
		t.retiring = true
		t.children.leaveAll(ctx)
		t.finish(ctx)
	case *actor.Terminated:
		t.childEnded(ctx, m.Who)
	case *actor.Stopped:
		if t.tenant != "" {
			t.sys.core.profiles.forget(t.tenant)
		}
	}
}

func (t *tenantActor) forward(ctx actor.Context, m *mail) {
	epoch := t.sys.opt.Leadership.Epoch(m.group)
	if t.epoch == 0 {
		t.tenant, t.group, t.epoch = m.tenant, m.group, epoch
	}
	if epoch != t.epoch {
		t.sys.met.Actors.Fenced.Inc()
		m.refuse(errFenced)
		return
	}
	if t.retiring {
		m.refuse(errFenced)
		return
	}
	key := tenantLevelKey
	if m.conversation != "" {
		key = string(m.conversation)
	}
	if t.children.deliver(ctx, key, m, t.sys.opt.Clock.Now()) {
		t.makeRoom(ctx)
	}
}

func (t *tenantActor) spawn(ctx actor.Context, key string) *actor.PID {
	t.emptySince = time.Time{}
	if strings.HasPrefix(key, senderPrefix) {
		t.sys.met.Actors.Activations.WithLabelValues("sender").Inc()
		return spawn(ctx, t.sys.props.sender, key)
	}
	t.conversations++
	t.sys.resident.Add(1)
	t.sys.met.Actors.Activated.Inc()
	t.sys.met.Actors.Activations.WithLabelValues("conversation").Inc()
	return spawn(ctx, t.sys.props.conversation, key)
}

func (t *tenantActor) childEnded(ctx actor.Context, pid *actor.PID) {
	c, held, ok := t.children.ended(pid)
	if !ok {
		return
	}
	now := t.sys.opt.Clock.Now()
	key := keyOf(c.pid)
	if strings.HasPrefix(key, senderPrefix) {
		t.sys.met.Actors.Activations.WithLabelValues("sender").Dec()
	} else {
		t.conversations--
		t.sys.resident.Add(-1)
		t.sys.met.Actors.Passivated.Inc()
		t.sys.met.Actors.Activations.WithLabelValues("conversation").Dec()
	}
	for _, msg := range held {
		switch m := msg.(type) {
		case *mail:
			t.forward(ctx, m)
		default:
			if !t.retiring {
				t.children.deliver(ctx, key, m, now)
			}
		}
	}
	if len(t.children.children) == 0 {
		t.emptySince = now
	}
	t.finish(ctx)
}

func (t *tenantActor) finish(ctx actor.Context) {
	if t.retiring && len(t.children.children) == 0 {
		ctx.Poison(ctx.Self())
	}
}

// makeRoom stops the conversation that was not used for longest when the node
// holds too many.
func (t *tenantActor) makeRoom(ctx actor.Context) {
	if t.sys.resident.Load() > int64(t.sys.opt.ResidentMax) {
		t.passivate(ctx, 1, time.Time{})
	}
}

// sweep stops children that were idle for long, this tenant's share of those
// above the node's bound, and the tenant itself once it had no child for long.
func (t *tenantActor) sweep(ctx actor.Context) {
	now := t.sys.opt.Clock.Now()
	share := 0
	if resident := t.sys.resident.Load(); resident > int64(t.sys.opt.ResidentMax) {
		share = int((resident-int64(t.sys.opt.ResidentMax))*int64(t.conversations)/resident) + 1
	}
	t.passivate(ctx, share, now.Add(-t.sys.opt.PassivateAfter))
	if !t.emptySince.IsZero() && now.Sub(t.emptySince) >= t.sys.opt.PassivateAfter {
		ctx.Send(ctx.Parent(), &leaveNotice{key: keyOf(ctx.Self())})
	}
}

// passivate stops the n least recently used conversations, and all that were
// last used before the given time. A sender is asked whether it has work.
func (t *tenantActor) passivate(ctx actor.Context, n int, before time.Time) {
	limit := int32(-1)
	if !before.IsZero() {
		limit = int32(before.Unix())
	}
	t.children.idle(func(c *child) bool {
		old := c.seen <= limit
		if n <= 0 && !old {
			return false
		}
		if strings.HasPrefix(keyOf(c.pid), senderPrefix) {
			if old {
				ctx.Send(c.pid, sweep{})
			}
			return true
		}
		n--
		t.children.leave(ctx, c)
		return true
	})
}
