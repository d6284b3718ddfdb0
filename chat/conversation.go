package chat

import (
	"math"
	"time"
)

// Holder tells who answers a conversation. Stored; values never change.
type Holder uint8

// The holders.
const (
	HolderAssistant Holder = 0 // the assistant answers
	HolderNobody    Holder = 1 // handed off, waiting for a person
	HolderMember    Holder = 2 // a person holds it
)

// String returns the API word.
func (h Holder) String() string {
	switch h {
	case HolderNobody:
		return "nobody"
	case HolderMember:
		return "member"
	}
	return "assistant"
}

// TurnPhase is where the conversation's turn stands. Stored; values never change.
type TurnPhase uint8

// The phases.
const (
	TurnNone    TurnPhase = 0 // nothing to answer, or nobody to answer it
	TurnWaiting TurnPhase = 1 // messages wait for the quiet period or a retry
	TurnRunning TurnPhase = 2 // a model call is under way
	TurnWorking TurnPhase = 3 // tools are under way, or wait for approval
)

// RestartsMax is the highest count of restarts that a turn keeps.
const RestartsMax = math.MaxUint8

// Turn is the assistant's current work in a conversation.
type Turn struct {
	Phase TurnPhase
	// Restarts counts supersessions since the first unanswered message, at most
	// RestartsMax. It is narrow for the sake of a million resident conversations.
	Restarts uint8
	// Volley outlives the turn, and stands here for the room there is.
	Volley Volley
	// Begun is the seq of the turn_started event that names the running turn, the one
	// being retried, or the latest that was answered; see Conversation.TurnID.
	Begun Seq
	// Call counts model calls of this turn.
	Call int
	// Epoch is the epoch the running call was started in: after a crash it
	// differs from the activation's and the call is made again.
	Epoch Epoch
	// From and UpTo are the seqs the running turn answers.
	From, UpTo Seq
	// At is when the waiting turn may start, or when the running call, or the first of
	// its tools, is overdue.
	At time.Time
}

// TurnID names the turn under way, the one being retried, or the latest that was
// answered; empty for none.
func (c *Conversation) TurnID() TurnID {
	if c.Turn.Begun == 0 {
		return ""
	}
	return TurnIDAt(c.ID, c.Turn.Begun)
}

// busy reports whether a call to a model or a tool is under way.
func (t *Turn) busy() bool { return t.Phase == TurnRunning || t.Phase == TurnWorking }

// SendState is where an outbox entry stands. Stored; values never change.
type SendState uint8

// The states of entries. Accepted, refused and cancelled ones leave the outbox.
// SendLeft was given up as unknown: it is not owed any more, and stays in sight
// until a status or an echo tells what became of it.
const (
	SendQueued     SendState = 1
	SendAttempting SendState = 2
	SendUnknown    SendState = 3
	SendLeft       SendState = 4
)

// String returns the API word: to whoever waits for it, a send that was left is as
// unknown as one that is still looked for.
func (s SendState) String() string {
	switch s {
	case SendQueued:
		return "queued"
	case SendAttempting:
		return "attempting"
	}
	return StatusUnknown.String()
}

// OutboxEntry is a send whose end is not known yet. Its text stays in the journal,
// at the seq of its message_queued event.
type OutboxEntry struct {
	Message MessageID
	Seq     Seq
	Author  Author
	State   SendState
	Class   Class
	Lane    Lane
	// Pass is what lets it out.
	Pass Pass
	// Doubtful is true once an attempt ended without telling whether it went.
	// Such an entry is never shown as failed or cancelled: it may have arrived.
	Doubtful bool
	// Proven is true once an earlier attempt is known to have gone while another is
	// under way: there will be no more, and who must outlive attempts waits for it.
	Proven bool
	// N counts attempts; Epoch is of the latest.
	N     int
	Epoch Epoch
	// At is when the next attempt may begin (queued), when an attempt is
	// overdue (attempting), when reconciliation ends (unknown), or when it was
	// given up (left).
	At time.Time
	// Covers is the last customer message this entry answers.
	Covers Seq
	// TextHash lets an echo that arrives before the send response find its entry.
	TextHash uint64
	// Until is when a private reply no longer may leave.
	Until time.Time
}

// unasked reports whether the entry followed from a comment by itself: to what the
// customer wrote in the chat it is no answer, and nobody waits for it.
func (e *OutboxEntry) unasked() bool { return e.Author == AuthorEngine && e.Pass == PassComment }

// again reports whether an attempt is under way after one that may have gone.
func (e *OutboxEntry) again() bool { return e.State == SendAttempting && e.Doubtful }

// told is the number of the attempt that a status or an echo tells of: 0 when it
// may be another than the latest.
func (e *OutboxEntry) told() int {
	if e.again() {
		return 0
	}
	return e.N
}

// Conversation is the state of one conversation: small, without personal data,
// a pure function of its events. It is owned by the activation.
type Conversation struct {
	ID      ConversationID
	Tenant  TenantID
	Channel ChannelID
	Kind    ChannelKind
	// Holder, Away and Unread stand beside Kind, and the struct is 16 bytes smaller for it.
	Holder Holder
	// Away is true while another app of the business owns the thread: the hold ends
	// when the thread comes back.
	Away bool
	// Disclosed is true once the person was told that an assistant answers.
	Disclosed bool
	// Unread counts customer messages since the business last wrote.
	Unread  uint32
	Contact ContactID
	// Seq is of the last event.
	Seq Seq
	// Thread is when the latest word about who owns the thread was said; zero for none
	// yet. Words come in any order, and the latest one counts.
	Thread Millis
	// Started is the time of the first event, Active of the last that a person
	// would call activity (a message in either direction).
	Started Millis
	Active  time.Time

	// PausedUntil ends an automatic pause of the assistant; zero when none.
	PausedUntil time.Time

	// WindowFrom is the time the customer service window counts from:
	// min(event, received) of the latest customer message.
	WindowFrom time.Time

	// LastIn is the seq of the latest answerable customer message;
	// WaitingFrom and WaitingSince are of the first one without an answer.
	LastIn       Seq
	WaitingFrom  Seq
	WaitingSince time.Time
	// Deadline is when the customer has waited too long; zero when nobody waits
	// for the assistant.
	Deadline time.Time
	Turn     Turn
	// Work is of the turn under way; nil without one.
	Work   *Work
	Outbox []OutboxEntry
	// Fetching are files of messages that are not stored yet; nil for nearly all. It
	// is replaced and never changed, so that copies share it.
	Fetching *Fetching

	// Armed is the stored due time, zero when there is no row. It may be
	// earlier than the earliest obligation: re-arming later is lazy.
	Armed time.Time
}

// Clone returns a copy that shares nothing mutable with c.
func (c *Conversation) Clone() Conversation {
	d := *c
	d.Outbox = append([]OutboxEntry(nil), c.Outbox...)
	return d
}

// Entry returns the outbox entry of a message, or nil.
func (c *Conversation) Entry(id MessageID) *OutboxEntry {
	for i := range c.Outbox {
		if c.Outbox[i].Message == id {
			return &c.Outbox[i]
		}
	}
	return nil
}

// Owing counts the sends that are owed: all of the outbox but those left.
func (c *Conversation) Owing() (n int) {
	for i := range c.Outbox {
		if c.Outbox[i].State != SendLeft {
			n++
		}
	}
	return n
}

// head is the send whose turn it is: sends of a conversation go one after another.
// It is nil when none is owed.
func (c *Conversation) head() *OutboxEntry {
	for i := range c.Outbox {
		if c.Outbox[i].State != SendLeft {
			return &c.Outbox[i]
		}
	}
	return nil
}
