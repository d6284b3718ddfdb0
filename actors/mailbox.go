package actors

import "github.com/asynkron/protoactor-go/actor"

// Bounds of waiting mail per actor. A conversation commits some hundreds of
// times a second, so its bound is about a second of work: more would only wait
// past the webhook's deadline. Tenants and routers merely forward; theirs only
// have to outlast a burst.
const (
	conversationMailMax = 256
	tenantMailMax       = 4096
	routerMailMax       = 16384
)

// gatedMailbox is a lock-free mailbox that refuses mail when too many are
// waiting: the poster is told at once and nobody blocks or spins. Mail that is
// not refusable (poison, timers, send effects of durable commits) always
// passes; it is bounded by what was accepted before it.
type gatedMailbox struct {
	actor.Mailbox
	gate *mailGate
}

// mailGate is what the mailboxes of one kind of actor share.
type mailGate struct {
	max  int
	busy counter
}

// counter is an instrument of package metrics.
type counter interface{ Inc() }

var newLockFree = actor.UnboundedLockfree()

// gated returns a producer of gated mailboxes that count refusals in busy.
func gated(max int, busy counter) actor.MailboxProducer {
	g := &mailGate{max: max, busy: busy}
	return func() actor.Mailbox {
		return &gatedMailbox{Mailbox: newLockFree(), gate: g}
	}
}

// PostUserMessage keeps the message or answers that the actor is busy.
func (g *gatedMailbox) PostUserMessage(message any) {
	if m, ok := message.(refusable); ok && g.UserMessageCount() >= g.gate.max {
		g.gate.busy.Inc()
		m.refuse(errBusy)
		return
	}
	if m, ok := message.(*mail); ok {
		m.box = g
	}
	g.Mailbox.PostUserMessage(message)
}
