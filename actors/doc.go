// Package actors decides who acts, and when. Every tenant and every
// conversation is an actor; protoactor-go lives here and nowhere else.
//
// # Who owns which state
//
//	part-N        one per group. Owns the tenants of its group that are resident.
//	tenant        child of part-N. Owns its resident conversations and senders.
//	conversation  child of tenant. Owns one chat.Conversation, in an activation.
//	sender        child of tenant, one per channel. Owns outbound order and pace.
//
// Beside the actors stand three workers that own no state of a conversation:
// the turn runner (model calls), the attempt goroutines of the senders (HTTP),
// and one agenda walker per group (due times). What they learn comes back as
// mail addressed by tenant and conversation, through part-N, never to a PID: so
// neither passivation nor failover can lose a paid answer.
//
// # Mail
//
//	part-N, tenant   *mail            forwarded down
//	conversation     *mail            Step, Append, effects, answer
//	tenant           *sendWork        forwarded to the sender of its channel
//	                 *leaveNotice     a child asks to be stopped
//	sender           *sendWork        a send effect of a durable commit
//	                 senderTimer      a time it asked for has come
//	                 *attemptRefused  its AttemptDue mail was not processed
//	part-N, tenant   sweep            look for idle children
//	                 retire           poison the children, then stop
//
// # The acknowledgement rule
//
// A mail is answered without error only when everything it says is durable:
// applied by its own commit, or found to be a duplicate of something that is
// durable. An activation makes one commit for all the mail that waits for it,
// within a bound, and blocks in Receive while it is appended: that blocking is
// what serializes a conversation. Effects are released after the commit is
// durable and before the mail is answered. Every mail is answered exactly once.
//
// # Fencing
//
// Actors remember the epoch they were born in. Every Receive compares it with
// the group's epoch, one atomic load, and refuses mail when they differ, so a
// stale actor drains its queue without control messages and is then poisoned.
//
// # Passivation
//
// Parents stop children: the least recently used when the node holds too many,
// any that was idle for long. A parent marks the child as leaving, holds new
// mail for it, poisons it (which lets it finish its queue), and after its end
// starts it again if mail was held. Nobody but the parent sends to a child what
// may not be lost. Stop, Stash, ReceiveTimeout and bounded mailboxes of the
// library are not used: each loses mail or spins.
//
// # Supervision
//
// A panic in chat.Step is caught inside the activation: the update is recorded
// as quarantined in the same commit and nothing else is affected. Any other
// panic answers its mail with an error and restarts the conversation or the
// sender after a capped exponential delay with full jitter; routers and tenants
// go on with the state they have. Nothing is ever given up: a conversation that
// cannot work refuses its mail and its sender repeats it.
package actors
