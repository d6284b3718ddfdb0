package chat

import "time"

// Fact is something that happened to a conversation: what Step decides about.
// The set is closed.
type Fact interface{ fact() }

// Tick says that a due time of the conversation has come. It carries nothing:
// Step looks at the clock.
type Tick struct{}

// ModelAnswered is a finished model call.
type ModelAnswered struct {
	Turn   TurnID
	Call   int
	Answer Answer
	// Blocked is a word for a rule that the answer breaks; empty for none. It is a
	// pure function of the answer and of what the model saw, see GuardResponse.
	Blocked string
}

// Answer is what a model said and what it cost.
type Answer struct {
	// Text is what was said, word for word; empty when it only asks for Calls.
	Text string
	// Calls are the tool calls it asks for, checked against the schemas of the
	// prompt's tools.
	Calls []ToolCall
	// Provider and Model answered; Request is the provider's id of the call.
	Provider, Model, Request string
	// Tokens repeats the two counts below with their details.
	Tokens                  Tokens
	PromptHash              string
	PromptTokens, OutTokens int64
	// Cost is by the price list; zero for a model that is not on it.
	Cost      Money
	Simulated bool
	// Saw and Facts are in the prompt, Horizon is the last event it was made of.
	Saw     []Passage
	Facts   []string
	Horizon Seq
	// Made names what else it was made of; nil when nobody said.
	Made *Made
	// Sources are those of the response that the model was shown, see Talk.Named:
	// whatever else the text names is not recorded as a source.
	Sources []string
}

// ModelFailed is a model call that ended without a usable answer.
type ModelFailed struct {
	Turn TurnID
	Call int
	// Reason is a word without personal data: "timeout", "throttled", ...
	Reason string
	// Permanent is true when calling again cannot help.
	Permanent bool
	// RetryAfter is the provider's wish; zero means none.
	RetryAfter time.Duration
	// Cost is what the provider charges all the same.
	Cost Money
}

// AttemptDue says that the channel's sender has room and pace for the message.
type AttemptDue struct{ Message MessageID }

// AttemptFinished is the outcome of one HTTP attempt.
type AttemptFinished struct {
	Message MessageID
	N       int
	Outcome SendOutcome
}

// MemberSend is a person or an API client writing to the customer.
type MemberSend struct {
	// Type is a type of message, "" for text. Text is the text or the caption;
	// Content holds the rest, nil for plain text.
	Type    string
	Text    string
	Content *Content
	// ReplyTo is the message that this one quotes.
	ReplyTo RemoteID
	Member  string
	// Idempotency is the client's key, scoped by tenant; empty for none.
	Idempotency string
	// Digest is a hash of the request, to refuse a key reused for another one.
	Digest string
}

// TakeOver is a person taking the conversation from the assistant.
type TakeOver struct{ Member string }

// HandBack returns the conversation to the assistant.
type HandBack struct{ Member string }

// Poison is an update whose processing panicked or killed the process: it is
// recorded raw instead of being processed.
type Poison struct {
	Inbound *Inbound
	Reason  string
}

// FetchFinished is what became of a file of a message: it was stored, or cannot
// be had. That it is not there yet is no fact.
type FetchFinished struct {
	// Seq is of the event with the message, Index the file among its media.
	Seq   Seq
	Index int
	// Reason is why it cannot be had; empty when it was stored.
	Reason string
	Kept   Kept
	// MIME and Filename are what Meta says of it.
	MIME, Filename string
}

// Summarized is a summary of the conversation.
type Summarized struct{ Summary Summary }

// Transcribed is what is heard in a voice note.
type Transcribed struct {
	// Message and Index say which file of which message.
	Message MessageID
	Index   int
	Text    string
	// Used is what it took to hear it.
	Used Spend
}

func (Summarized) fact()       {}
func (Transcribed) fact()      {}
func (*Inbound) fact()         {}
func (ChannelRefused) fact()   {}
func (ChannelChecked) fact()   {}
func (ChannelHeard) fact()     {}
func (ChannelBound) fact()     {}
func (TemplatesFetched) fact() {}
func (Tick) fact()             {}
func (ModelAnswered) fact()    {}
func (ModelFailed) fact()      {}
func (AttemptDue) fact()       {}
func (AttemptFinished) fact()  {}
func (MemberSend) fact()       {}
func (TakeOver) fact()         {}
func (HandBack) fact()         {}
func (Poison) fact()           {}
func (FetchFinished) fact()    {}

// ChannelRefused is a send, or another call, that Meta refused because of the
// channel itself. It belongs to no conversation.
type ChannelRefused struct {
	Channel ChannelID
	// Token is the digest of the token that was used.
	Token   string
	Outcome SendOutcome
}

// ChannelChecked is what Meta answered when asked about a channel. It belongs to
// no conversation.
type ChannelChecked struct {
	Channel ChannelID
	Report  ChannelReport
}

// ChannelHeard is a webhook of the channel having come in. It belongs to no
// conversation.
type ChannelHeard struct {
	Channel ChannelID
	At      time.Time
}

// ChannelBound is a channel having been disconnected, or connected again. It belongs to
// no conversation.
type ChannelBound struct {
	Channel ChannelID
	// Disconnected is when; zero for a channel in use.
	Disconnected time.Time
}

// TemplatesFetched is a part of the templates of a WABA as Meta has them. It
// belongs to no conversation.
type TemplatesFetched struct {
	// Channel is the first of the WABA's.
	Channel   ChannelID
	Templates []Template
	// Gone are the keys of stored templates that Meta has no more.
	Gone []string
	// Last is true for the last part.
	Last bool
}

// ChannelReport is what Meta answered about a channel. A nil part was not asked,
// or not answered, and changes nothing.
type ChannelReport struct {
	Token      *TokenReport
	Number     *NumberReport
	Subscribed *bool
}

// TokenReport is what is known of a token.
type TokenReport struct {
	// Digest names the token, see TokenDigest.
	Digest string
	// Invalid says in a word why Meta does not accept it; empty when it does.
	Invalid string
	Scopes  []string
	// Issued and Expires are zero when unknown; Expires also for one that does not end.
	Issued, Expires time.Time
	// RefreshFailed is true for a refresh that did not work.
	RefreshFailed bool
}

// NumberReport is a number or account as Meta has it; Instagram fills Name.
type NumberReport struct {
	Name, Number, Quality, Tier, Portfolio string
	NumberStatus, NameStatus               string
	PerSecond                              int
	// Health is AVAILABLE, LIMITED or BLOCKED; Why is Meta's reason in a line.
	Health, Why string
}

// SendResult tells how an HTTP attempt ended. The policy behind it is by
// Graph's code and subcode, never by HTTP status or text.
type SendResult uint8

// The send results.
const (
	SendAccepted  SendResult = 1 // Graph gave a remote id
	SendRefused   SendResult = 2 // known refused, for good
	SendThrottled SendResult = 3 // known refused for now; RetryAfter says when
	SendAmbiguous SendResult = 4 // no answer, or one that says nothing: may have gone
	SendBlocked   SendResult = 5 // the whole channel is refused (token, account); nothing went
	SendUnstarted SendResult = 6 // the request never left this process
)

// String is the word of metrics; "none" for no result.
func (r SendResult) String() string {
	switch r {
	case SendAccepted:
		return "accepted"
	case SendRefused:
		return "refused"
	case SendThrottled:
		return "throttled"
	case SendAmbiguous:
		return "ambiguous"
	case SendBlocked:
		return "blocked"
	case SendUnstarted:
		return "unstarted"
	}
	return "none"
}

// SendOutcome is a SendResult with what is known about it.
type SendOutcome struct {
	Result        SendResult
	Remote        RemoteID
	Code, Subcode int
	// Reason is a word for people: "window_closed", "pair_limit", "timeout", ...
	Reason     string
	RetryAfter time.Duration
	// Hold is what else waits with a throttled send.
	Hold Hold
}

// Input is one fact with everything Step may look at besides the state.
type Input struct {
	// Now is max(clock, the group's last now), in UTC, milliseconds.
	Now time.Time
	// Epoch is the epoch of the activation.
	Epoch    Epoch
	Settings *Settings
	Known    Known
	Fact     Fact
}

// Known is stored knowledge the shell looks up before Step.
type Known struct {
	// Place is where the inbound's addresses lead.
	Place Place
	// Contact is the stored contact, of a place that is found: when NeedsContact says
	// so, for a Link, for a template or a pin that is to be sent, and for an outcome
	// that tells of consent.
	Contact Contact
	// Became is where the addresses lead that a person has taken on; see IdentityChange.
	Became Place
	// Row is the index row of the inbound's (Remote, Revision); for a status,
	// of the message it reports; for an AttemptFinished, of the outcome's
	// Remote. RowFound tells whether there is one.
	Row      RemoteRow
	RowFound bool
	// Erased is true when a status names a message of a person who was erased.
	Erased bool
	// Early is what was told of a message or an echo before it came, oldest first: of
	// a row that names no message, the event that introduced it and what followed.
	Early []Event
	// TargetRow is the index row of the message that an inbound edits or takes back;
	// TargetFound tells whether there is one.
	TargetRow   RemoteRow
	TargetFound bool
	// About is what the conversation says of that message, oldest first: for an edit
	// the message itself, for a withdrawal all that Concerns it, the answer that it was
	// made of and, besides, every customer message that still waits for an answer.
	About []Event
	// Docs are the documents that the fact is news about, see DocOf: for a WABA as a
	// whole that of each of its channels, for a template also that of the channel; and
	// the channel's settings when NeedsSettings says so. A Value is nil when there is
	// none yet.
	Docs []Doc
	// Comment is the update that brought the comment of a private reply, when it was
	// in this conversation, and Commented when it came. Replied is true once there
	// was one; of a comment that comes in, also when that has come before.
	Comment   *Update
	Commented time.Time
	Replied   bool
	// Seen is true when the inbound's digest (if it has one) or a client's
	// idempotency key was claimed before; Original is what holds the claim. Of a summary
	// and of what is heard in a voice note: that one is recorded.
	Seen     bool
	Original Original
	// Exhausted are counters that refused the commit of an earlier decision about the
	// same fact: what needs them is not to be had.
	Exhausted []string
	// ToolUses counts the calls of tools in the conversation over the last day, of
	// those whose grant bounds them.
	ToolUses map[string]int
}
