package actors

import (
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
)

// mail carries facts to one conversation, in order. Routers and tenants only
// forward it. It belongs to its receiver from the moment it is posted; the
// poster may only set gone.
type mail struct {
	tenant chat.TenantID
	group  chat.Group
	// channel and kind are where the facts happened; empty when exists is set.
	channel chat.ChannelID
	kind    chat.ChannelKind
	// conversation is empty for facts that belong to the tenant as a whole.
	conversation chat.ConversationID
	items        []item
	// one is room for the item of a mail that has a single one.
	one [1]item
	// exists says that the mail is only for a conversation that has events.
	exists bool
	// read is when its webhook was read, led when the delivery began; zero unless a
	// delivery is traced.
	read, led time.Time
	// due is when a tick should have come.
	due time.Time
	// stale says that the conversation went on without its activation, which shall
	// read it anew. Such mail has no items.
	stale bool

	// box is the mailbox of the conversation that received it; nil before.
	box *gatedMailbox

	to       replier
	answered atomic.Bool
	// gone is set by a poster that no longer waits.
	gone atomic.Bool
}

// item is one fact of a mail with where its addresses lead.
type item struct {
	fact  chat.Fact
	place chat.Place
	// located is true when place was looked up from the fact's addresses; it is
	// false for facts that were led here by an id.
	located bool
	// byCallback is true when only callback data of a status leads here.
	byCallback bool
	// exhausted are the counters that refused what was decided about it.
	exhausted []string
}

// answer is what became of a mail.
type answer struct {
	mail *mail
	// verdicts are in the order of the mail's items, when err is nil.
	verdicts []chat.Verdict
	// armed is the conversation's stored due time.
	armed time.Time
	err   error
}

// replier receives the answer of a mail. reply never blocks.
type replier interface{ reply(answer) }

// inbox is a replier for a goroutine that waits. Its capacity is the number of
// mails that name it, so that reply never blocks.
type inbox chan answer

func (c inbox) reply(a answer) { c <- a }

// takeInbox returns an inbox for n mails.
func (s *System) takeInbox(n int) inbox {
	if n == 1 {
		if in, ok := s.inboxes.Get().(inbox); ok {
			return in
		}
	}
	return make(inbox, n)
}

// giveInbox takes an inbox back. REQUIRES: every mail that names it has answered.
func (s *System) giveInbox(in inbox) {
	if cap(in) == 1 {
		s.inboxes.Put(in)
	}
}

// answer tells the poster; only the first call does.
func (m *mail) answer(a answer) {
	if m.answered.Swap(true) || m.to == nil {
		return
	}
	a.mail = m
	m.to.reply(a)
}

// followed reports whether something waits behind the mail that is being
// received, in the same mailbox.
func (m *mail) followed() bool { return m.box != nil && m.box.UserMessageCount() > 0 }

// refuse answers with an error.
func (m *mail) refuse(err error) { m.answer(answer{err: err}) }

// refusable is mail that a full mailbox answers instead of keeping.
type refusable interface{ refuse(err error) }

// sendWork is a send effect of a durable commit, for the sender of a channel.
type sendWork struct {
	tenant       chat.TenantID
	channel      chat.ChannelID
	kind         chat.ChannelKind
	conversation chat.ConversationID
	contact      chat.ContactID
	effect       chat.Effect
	// at is when the commit was known to be durable.
	at time.Time
	// uncovered is set by the sender for an attempt that has no place in the
	// portfolio's limit and needs one.
	uncovered bool
}

// leaveNotice asks the parent to stop the child that is named.
type leaveNotice struct{ key string }

// senderTimer says that a time the sender asked for has come.
type senderTimer struct{ n uint64 }

// attemptRefused says that the AttemptDue mail for a message was not processed.
type attemptRefused struct {
	conversation chat.ConversationID
	message      chat.MessageID
}

// sweep makes a parent look for idle children.
type sweep struct{}

// retire makes a parent poison its children, wait for their end, and stop.
type retire struct{}

// Errors that tell the poster to look again where its facts belong. They never
// leave this package.
var (
	errMoved  = chat.E("activation.handle", chat.KindConflict, "an address leads to another conversation", nil)
	errAbsent = chat.E("activation.handle", chat.KindNotFound, "no such conversation", nil)
)

// errAlone tells that where a fact belongs rests on what the facts before it in the
// same draft have not stored yet.
var errAlone = chat.E("activation.draft", chat.KindConflict, "an address was given up just before", nil)

// errPanicked tells that Step panicked on a fact. Another try likely ends so too.
var errPanicked = chat.E("activation.step", chat.KindOther, "panicked", nil)

// Refusals that can be repeated.
var (
	errBusy     = chat.E("mailbox", chat.KindBusy, "too much mail is waiting", nil)
	errFenced   = chat.E("actors", chat.KindFenced, "this actor belongs to an earlier epoch", nil)
	errDraining = chat.E("actors", chat.KindUnavailable, "the process is shutting down", nil)
	errCrashed  = chat.E("actors", chat.KindUnavailable, "the actor failed and is being restarted", nil)
	errUnled    = chat.E("actors", chat.KindFenced, "no node is known to lead the group", nil)
	errNotOwner = chat.E("actors", chat.KindFenced, "the node that was asked does not lead the group", nil)
	errSilent   = chat.E("actors", chat.KindFenced, "the node that was asked does not answer", nil)
)
