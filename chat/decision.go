package chat

import "time"

// Decision is what follows from one fact. Events, Rows, Claims, Reserve and
// Due belong to one commit and MUST be durable BEFORE Effects run. An empty
// decision is complete: nothing changes and nothing is owed for the fact.
type Decision struct {
	// Events are in order, with seqs assigned from the state's Seq+1.
	Events []Event
	Rows   []RemoteRow
	Claims []Claim
	// Releases are addresses that lead to the conversation and no longer shall.
	Releases []Address
	// Reserve lists counters to be increased within limits.
	Reserve []Reservation
	// Contact is the contact's new full state when it changed.
	Contact *Contact
	// Redact lists events of the conversation that become what Redacted leaves of
	// them, in the commit and on disk.
	Redact []Seq
	// Docs are documents of the tenant that changed.
	Docs []Doc
	// Due is the due time to store; equal to the state's Armed when unchanged.
	Due     time.Time
	Effects []Effect
	// Verdict answers whoever brought the fact.
	Verdict Verdict
}

// Verdict tells the bringer of a fact what became of it.
type Verdict struct {
	// Kind is zero for "done".
	Kind VerdictKind
	// Message is the message created by a MemberSend.
	Message MessageID
	// Reason is a word for the caller of a refused request.
	Reason string
	// Limit says which part of a refused message is over a limit; nil for others.
	Limit *LimitError
	// Version is the version of an assistant that a fact made or let answer.
	Version int
	// Pending lists attempts under way that a TakeOver must outlive.
	Pending []MessageID
}

// VerdictKind is the kind of a Verdict.
type VerdictKind uint8

// The verdicts.
const (
	VerdictDone      VerdictKind = 0
	VerdictDuplicate VerdictKind = 1 // the fact was known before; nothing changed
	VerdictRefused   VerdictKind = 2 // a rule forbids it; Reason says which
)

// Effect is work to be done after the commit is durable. The set is closed.
type Effect interface{ effect() }

// StartTurn asks for a model call.
type StartTurn struct {
	Turn TurnID
	Call int
	From Seq
	UpTo Seq
	// Version is the assistant it runs on; empty for the configuration's.
	Version AssistantRef
	Timeout time.Duration
}

// CancelTurn ends the call to a model, or the tool calls that change nothing, that are
// under way for a turn; their results are not wanted.
type CancelTurn struct{ Turn TurnID }

// WakeSender tells the channel's sender that an entry may be attempted.
type WakeSender struct {
	Message   MessageID
	NotBefore time.Time
	Lane      Lane
	// Begun is when the conversation began, zero when unknown: of one that began under
	// this sender, nobody else has sent anything.
	Begun time.Time
	// Free is until when a template takes nothing of the portfolio's messaging limit,
	// Contact the person whom it takes a place for then. Empty in other lanes.
	Free    time.Time
	Contact ContactID
}

// StartAttempt lets the sender make the HTTP request, within 2 s of its commit.
type StartAttempt struct {
	Message MessageID
	N       int
	Seq     Seq
	// Counted says that it takes of the portfolio's messaging limit: it needs a
	// reservation.
	Counted bool
}

// ReleaseSend tells the sender that the entry is no longer in its hands.
type ReleaseSend struct {
	Message MessageID
	// Blocked asks the sender to hold the whole channel for a while.
	Blocked bool
	// RetryAfter asks the sender to wait before the next attempt of this entry, and
	// of whatever else Hold names.
	RetryAfter time.Duration
	Hold       Hold
}

// DropMedia deletes what is stored of the files of a message that was taken back.
// Their keys went with the commit, so nobody can read what a crash leaves.
type DropMedia struct {
	Message MessageID
	// Blobs names the stored files.
	Blobs []string
}

func (DropMedia) effect() {}

// StartFetch asks for a file of a message. Asking for one that is being fetched
// changes nothing.
type StartFetch struct {
	// Seq is of the event with the message, Index the file among its media.
	Seq   Seq
	Index int
	// Late lets files of other messages go first.
	Late bool
}

// DropFiles deletes every stored file whose name begins with Prefix. It may be
// lost: files that nothing refers to are found later.
type DropFiles struct{ Prefix string }

func (StartFetch) effect()   {}
func (DropFiles) effect()    {}
func (StartTurn) effect()    {}
func (CancelTurn) effect()   {}
func (WakeSender) effect()   {}
func (StartAttempt) effect() {}
func (ReleaseSend) effect()  {}

// RemoteRow indexes a remote id: it dedupes the message and leads statuses,
// replies and echoes to it. Key: channel, kind of update (Revision), remote id.
type RemoteRow struct {
	Remote   RemoteID
	Revision string
	// Conversation and Seq are of the event that introduced the id.
	Conversation ConversationID
	Seq          Seq
	// First is the seq from which on the journal speaks of the message, when that was
	// before the message came; 0 for Seq.
	First Seq
	// Message is our id of the message, empty for one we do not know.
	Message MessageID
	// Mask is every status reported so far.
	Mask Status
	// Fresh is true when the row must not exist yet; the commit is answered
	// Duplicate when it does.
	Fresh bool
}

// Since is the seq from which on the journal speaks of the message.
func (r *RemoteRow) Since() Seq {
	if r.First != 0 {
		return r.First
	}
	return r.Seq
}

// ClaimKind tells what a Claim makes unique. Stored; values never change.
type ClaimKind uint8

// The claim kinds.
const (
	ClaimAddress     ClaimKind = 1 // an address leads to one conversation of a channel
	ClaimIdempotency ClaimKind = 2 // a client's key was used
	ClaimDigest      ClaimKind = 3 // an update without a remote id was applied
)

// Claim is a key that must be absent, and is present once the commit applied.
type Claim struct {
	Kind ClaimKind
	// Key is the digest or idempotency key; Address is used for ClaimAddress.
	Key     string
	Address Address
	// Digest is stored beside an idempotency key, to tell a reused one.
	Digest string
	// Message is the message an idempotent request created.
	Message MessageID
	// Day is the UTC day (days since 1970) after which the claim may be
	// forgotten; 0 keeps it forever.
	Day int64
}

// Reservation increases a tenant's counter unless that would pass its limit.
type Reservation struct {
	// Counter is a plain word such as "turns/2026-11-23".
	Counter string
	Amount  int64
	// Limit is the highest value allowed; 0 only counts.
	Limit int64
}

// Commit is the atomic unit of the journal: all of it becomes durable or none.
type Commit struct {
	Tenant  TenantID
	Channel ChannelID
	// Conversation is empty for updates that belong to none; Expected and State
	// are then unused.
	Conversation ConversationID
	Epoch        Epoch
	// Expected is the seq of the conversation's last event before this commit.
	Expected Seq
	// Now is the input time the commit was decided at.
	Now    time.Time
	Events []Event
	Rows   []RemoteRow
	Claims []Claim
	// Releases are addresses of the conversation that somebody else may claim.
	Releases []Address
	Reserve  []Reservation
	Contact  *Contact
	// Redact lists events before this commit whose content goes.
	Redact []Seq
	Docs   []Doc
	// State is the conversation after the events, including Armed.
	State *Conversation
}

// CommitAnswer is what Append says. Only Applied changed anything.
type CommitAnswer uint8

// The six answers. The last five return to Step as input or end the
// activation; they are never errors to retry blindly.
const (
	Applied      CommitAnswer = 1
	Duplicate    CommitAnswer = 2 // a claim or fresh row exists: Receipt.Original
	WrongSeq     CommitAnswer = 3 // somebody else appended: the activation is stale
	StaleEpoch   CommitAnswer = 4 // fenced
	LimitReached CommitAnswer = 5 // Receipt.Counter names the reservation
	Unknown      CommitAnswer = 6 // it may or may not be durable
)

// String names the answer for logs and metrics.
func (a CommitAnswer) String() string {
	switch a {
	case Applied:
		return "applied"
	case Duplicate:
		return "duplicate"
	case WrongSeq:
		return "wrong_seq"
	case StaleEpoch:
		return "stale_epoch"
	case LimitReached:
		return "limit_reached"
	case Unknown:
		return "unknown"
	}
	return "none"
}

// Receipt is the answer to a Commit.
type Receipt struct {
	Answer CommitAnswer
	// Pos is the feed position of the last event, when Applied.
	Pos Pos
	// Original is what holds the claim or row, when Duplicate.
	Original Original
	// Counter names the exhausted reservation, when LimitReached.
	Counter string
}

// Original is what a duplicate repeats.
type Original struct {
	Conversation ConversationID
	Contact      ContactID
	Message      MessageID
	Seq          Seq
	// Digest is of the first request, for an idempotency key.
	Digest string
}
