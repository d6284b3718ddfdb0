package actors

import (
	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/actors/mailpb"
	"github.com/chumiai/chumi/chat"
)

// routerActor is part-N: the way into one group. It knows the resident tenants
// of the group and forwards mail to them. Every node has one per group; other
// nodes write to that of the group's leader.
type routerActor struct {
	sys   *System
	group chat.Group
	// epoch is what the tenants below were born in.
	epoch   chat.Epoch
	tenants brood
	// retiring is set when the router shall end after its tenants.
	retiring bool
}

func newRouter(s *System, g chat.Group) *routerActor {
	r := &routerActor{sys: s, group: g}
	r.rule(s.opt.Leadership.Epoch(g))
	r.tenants = newBrood(tenantMailMax,
		func(ctx actor.Context, key string) *actor.PID { return spawn(ctx, s.props.tenant, key) },
		func(ctx actor.Context, pid *actor.PID) { ctx.Send(pid, retire{}) })
	return r
}

// Receive implements actor.Actor.
func (r *routerActor) Receive(ctx actor.Context) {
	defer recovered(r.sys.core, ctx, "router")
	if epoch := r.sys.opt.Leadership.Epoch(r.group); epoch != r.epoch {
		r.rule(epoch)
		r.tenants.leaveAll(ctx)
	}
	switch m := ctx.Message().(type) {
	case *mail:
		r.forward(ctx, m)
	case *mailpb.Mail:
		r.sys.bridge.asked(r.group, ctx.Sender(), m)
	case sweep:
		r.tenants.idle(func(c *child) bool {
			ctx.Send(c.pid, m)
			return true
		})
	case *leaveNotice:
		if c, ok := r.tenants.children[m.key]; ok {
			r.tenants.leave(ctx, c)
		}
	case retire:
		r.retiring = true
		r.tenants.leaveAll(ctx)
		r.finish(ctx)
	case *actor.Terminated:
		r.tenantEnded(ctx, m.Who)
	case *actor.Stopped:
		r.sys.routing.Done()
	}
}

// rule notes an epoch and when it was first met, before any mail is forwarded in it.
func (r *routerActor) rule(epoch chat.Epoch) {
	r.epoch = epoch
	r.sys.core.reigns[r.group].Store(r.sys.opt.Clock.Now().UnixMilli())
}

func (r *routerActor) forward(ctx actor.Context, m *mail) {
	if r.retiring {
		m.refuse(errDraining)
		return
	}
	if r.epoch == 0 {
		r.sys.met.Actors.Fenced.Inc()
		m.refuse(errFenced)
		return
	}
	if r.tenants.deliver(ctx, actorName(string(m.tenant)), m, r.sys.opt.Clock.Now()) {
		r.sys.met.Actors.Activations.WithLabelValues("tenant").Inc()
	}
}

func (r *routerActor) tenantEnded(ctx actor.Context, pid *actor.PID) {
	_, held, ok := r.tenants.ended(pid)
	if !ok {
		return
	}
	r.sys.met.Actors.Activations.WithLabelValues("tenant").Dec()
	for _, msg := range held {
		if m, ok := msg.(*mail); ok {
			r.forward(ctx, m)
		}
	}
	r.finish(ctx)
}

func (r *routerActor) finish(ctx actor.Context) {
	if r.retiring && len(r.tenants.children) == 0 {
		ctx.Poison(ctx.Self())
	}
}

// spawn starts a child under the name key.
func spawn(ctx actor.Context, props *actor.Props, key string) *actor.PID {
	pid, err := ctx.SpawnNamed(props, key)
	if err != nil {
		panic(crash("a child of this name is alive"))
	}
	return pid
}

// recovered turns a panic of an actor into an answer, a count, and a failure
// for its supervisor that carries nothing of the message.
func recovered(c *core, ctx actor.Context, kind string) {
	r := recover()
	if r == nil {
		return
	}
	c.met.Actors.Panics.Inc()
	c.opt.Logger.Error("actor panicked", "kind", kind, "panic", panicWord(r))
	if m, ok := ctx.Message().(refusable); ok {
		m.refuse(errCrashed)
	}
	panic(crash(kind))
}
