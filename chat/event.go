package chat

import "time"

// EventKind tells what an event says. Stored and append-only: new kinds may be
// added, existing ones never change meaning or number.
type EventKind uint16

// The event kinds.
const (
	ConversationStarted EventKind = 1  // Contact: the person and the addresses
	ContactLinked       EventKind = 2  // Contact: addresses or name changed
	MessageReceived     EventKind = 3  // Message: a customer wrote
	MessageEchoed       EventKind = 4  // Message: the business wrote from another app
	MessageQueued       EventKind = 5  // Message: an outbox entry was created
	AttemptStarted      EventKind = 6  // Attempt: an HTTP attempt may begin
	AttemptEnded        EventKind = 7  // Attempt: refused for now, will be retried
	MessageAccepted     EventKind = 8  // Attempt: Graph accepted, with its remote id
	MessageFailed       EventKind = 9  // Attempt: known refused for good
	MessageCancelled    EventKind = 10 // Attempt: withdrawn before any attempt was under way
	StatusChanged       EventKind = 11 // Status
	TurnStarted         EventKind = 12 // Turn
	TurnAnswered        EventKind = 13 // Turn: the model's answer, recorded before use
	TurnFailed          EventKind = 14 // Turn: a model call ended without an answer
	TurnSuperseded      EventKind = 15 // Turn: newer messages replaced it
	TurnAbandoned       EventKind = 16 // Turn: given up; a handoff or takeover follows or came first
	HandoffRequested    EventKind = 17 // Handoff: people are asked to take over
	HandoffTaken        EventKind = 18 // Handoff: a person holds the conversation
	HandoffReturned     EventKind = 19 // Handoff: the assistant holds it again
	UpdateReceived      EventKind = 20 // Update: anything without a mapping, kept raw
	ReceivedQuarantined EventKind = 21 // Update: an update that broke the engine, kept raw
	Erased              EventKind = 22 // the skeleton of an erased record, Update.Type its kind; without one: the erase itself
	MessageEdited       EventKind = 23 // Message: the message it is about, with its new text
	MessageRevoked      EventKind = 24 // Message: the message it is about; its content is gone
	ContactMerged       EventKind = 25 // Contact: with the links it has now
	ContactSplit        EventKind = 26 // Contact: with the links it has now
	ConsentChanged      EventKind = 27 // Contact: with its consents
	ChannelChanged      EventKind = 28 // State
	TemplateChanged     EventKind = 29 // Template
	MediaStored         EventKind = 30 // Media: a file of a message was fetched and kept
	MediaFailed         EventKind = 31 // Media: a file of a message cannot be had
	MessageImported     EventKind = 32 // Message: written before the channel was connected
	SettingsChanged     EventKind = 33 // Settings: of a channel, as they are from then on
	TurnCalled          EventKind = 34 // Turn: the model asks for tools, recorded before use
	ToolAsked           EventKind = 35 // Tool: a person is asked whether the call may be made
	ToolDecided         EventKind = 36 // Tool: a person said so
	ToolStarted         EventKind = 37 // Tool: the call may begin
	ToolEnded           EventKind = 38 // Tool: the result, recorded before use
	SummaryMade         EventKind = 39 // Summary: what was said up to a message
	MediaTranscribed    EventKind = 40 // Media: what is heard in a file of a message

	AssistantDrafted    EventKind = 60 // Assistant: the next version was written
	AssistantPublished  EventKind = 61 // Assistant: a version answers from now on
	AssistantRolledBack EventKind = 62 // Assistant: a version answers again that did before
	AssistantPlaced     EventKind = 63 // Assistant: the channels it answers on
	BudgetReached       EventKind = 64 // Budget: the money of the month has reached a bound
	BudgetChanged       EventKind = 65 // Change: what the tenant allows its assistants to spend
	ModelUsed           EventKind = 66 // Spend: a call to a model outside conversations
	ToolsChanged        EventKind = 50 // Change: tools, their servers, secrets or hosts
	CatalogChanged      EventKind = 51 // Change: products
	OrdersChanged       EventKind = 52 // Change: orders; it names none
)

var eventWords = [...]string{
	ConversationStarted: "conversation_started", ContactLinked: "contact_linked",
	MessageReceived: "message_received", MessageEchoed: "message_echoed",
	MessageQueued: "message_queued", AttemptStarted: "attempt_started",
	AttemptEnded: "attempt_ended", MessageAccepted: "message_accepted",
	MessageFailed: "message_failed", MessageCancelled: "message_cancelled",
	StatusChanged: "status_changed", TurnStarted: "turn_started",
	TurnAnswered: "turn_answered", TurnFailed: "turn_failed",
	TurnSuperseded: "turn_superseded", TurnAbandoned: "turn_abandoned",
	HandoffRequested: "handoff_requested", HandoffTaken: "handoff_taken",
	HandoffReturned: "handoff_returned", UpdateReceived: "update_received",
	ReceivedQuarantined: "received_quarantined", Erased: "erased",
	MessageEdited: "message_edited", MessageRevoked: "message_revoked",
	ContactMerged: "contact_merged", ContactSplit: "contact_split",
	ConsentChanged: "consent_changed", ChannelChanged: "channel_changed",
	TemplateChanged: "template_changed", MediaStored: "media_stored",
	MediaFailed: "media_failed", MessageImported: "message_imported",
	SettingsChanged: "settings_changed",
	TurnCalled:      "turn_called", ToolAsked: "tool_asked", ToolDecided: "tool_decided",
	ToolStarted: "tool_started", ToolEnded: "tool_ended", SummaryMade: "summary_made",
	MediaTranscribed: "media_transcribed",
	AssistantDrafted: "assistant_drafted", AssistantPublished: "assistant_published",
	AssistantRolledBack: "assistant_rolled_back", AssistantPlaced: "assistant_placed",
	BudgetReached: "budget_reached", BudgetChanged: "budget_changed",
	ModelUsed:    "model_used",
	ToolsChanged: "tools_changed", CatalogChanged: "catalog_changed", OrdersChanged: "orders_changed",
}

// String returns the API word, or "" for an unknown kind.
func (k EventKind) String() string {
	if int(k) < len(eventWords) {
		return eventWords[k]
	}
	return ""
}

// EventKinds yields every kind there is, in order; numbers may be left out.
func EventKinds(yield func(EventKind) bool) {
	for k := range eventWords {
		if eventWords[k] != "" && !yield(EventKind(k)) { // #nosec G115 -- a short list
			return
		}
	}
}

// Event is a fact the engine decided and stored; nothing else is called an
// event. Exactly the pointer its kind names is set.
type Event struct {
	Seq  Seq
	Pos  Pos // set by the journal when read; zero in a decision
	Kind EventKind
	// Time is the engine's clock when it was decided.
	Time         time.Time
	Tenant       TenantID
	Channel      ChannelID
	Conversation ConversationID // empty for an update without a conversation

	// At is the due time the event sets, decided from the settings of its time
	// so that replay needs none: when a waiting turn may start
	// (MessageReceived, TurnFailed, TurnSuperseded), when a call or an attempt
	// is overdue (TurnStarted, ToolStarted, AttemptStarted), when nobody has approved
	// it (ToolAsked), when the next attempt may begin
	// (MessageQueued, AttemptEnded), when reconciliation ends (StatusChanged to
	// unknown; when that is the event's own time, it has ended). Zero when it sets
	// none.
	At time.Time
	// Deadline is when the customer has waited too long, set by the first
	// MessageReceived that is not answered yet; of a MessageQueued, when a private
	// reply may no longer leave; in MessageRevoked that of whoever still waits, zero
	// when nobody does.
	Deadline time.Time

	Contact *Contact
	Message *Message
	Attempt *Attempt
	Status  *StatusChange
	Turn    *TurnRecord
	Tool    *ToolRecord
	Summary *Summary
	Handoff *Handoff
	Update  *Update
	// State, Template, Media and Settings are documents as they were then.
	State    *ChannelState
	Settings *ChannelSettings
	Template *Template
	Media    *MediaRecord
	// Assistant is a change of an assistant of the tenant.
	Assistant *AssistantChange
	Change    *DocChange
	Budget    *BudgetNews
	Spend     *Spend
}

// Attempt is what happened to an outbound message at Graph.
type Attempt struct {
	Message MessageID
	// N counts attempts from 1; 0 when the message never was attempted, or when it is
	// not known which of its attempts this is about.
	N int
	// Epoch is the epoch the attempt was started in.
	Epoch Epoch
	// Remote is the id Graph gave, on acceptance.
	Remote RemoteID
	// Code and Subcode are Graph's, zero when there were none.
	Code, Subcode int
	// Reason is a word for people: "accepted", "throttled", "window_closed", ...
	Reason string
	// RetryAt is when the next attempt may begin.
	RetryAt time.Time
}

// StatusChange is one delivery report.
type StatusChange struct {
	// Message is our id, empty for a message this engine does not know.
	Message MessageID
	Remote  RemoteID
	// Status is zero when Word is not one this version knows.
	Status Status
	Word   string
	// Code and Detail are of a failed status.
	Code   int
	Detail string
	// Participant is the group member it is about.
	Participant  string
	ProviderTime time.Time
	Content      *Content
	Raw          []byte
}

// TurnRecord is one step of an assistant turn.
type TurnRecord struct {
	ID TurnID
	// Call counts model calls of this turn from 1.
	Call int
	// Epoch is the epoch the call was started in.
	Epoch Epoch
	// From and UpTo are the seqs of the customer messages it answers.
	From, UpTo Seq
	// Answer is the model's text, in TurnAnswered.
	Answer string
	// Model, PromptHash and the token counts explain and bill the call.
	Model                   string
	PromptHash              string
	PromptTokens, OutTokens int64
	Simulated               bool
	// Reason says why it failed, was superseded or abandoned.
	Reason string

	// Version is the assistant that the turn runs on; empty for the configuration's.
	Version AssistantRef
	// Reserved is the most the call may cost, in TurnStarted; Cost what the call cost
	// that the event ends, or in TurnStarted an estimate for the one that was lost.
	Reserved, Cost Money
	// Tokens, Provider and Request are of the call that the event ends.
	Tokens            Tokens
	Provider, Request string
	// Calls are the tools asked for, in TurnCalled.
	Calls []ToolCall
	// Response is what the answer says, in TurnAnswered.
	Response *Response
	// Saw and Facts are in the prompt, Horizon is the last event it was made of.
	// Made names what else it was made of.
	Saw     []Passage
	Facts   []string
	Horizon Seq
	Made    *Made
}

// ToolRecord is one step of a tool call.
type ToolRecord struct {
	Turn TurnID
	// ID is the ToolCall's, Name the tool's.
	ID, Name string
	// N counts how often the call was started, from 1; Epoch is of the latest.
	N     int
	Epoch Epoch
	// Acts and Repeatable are the tool's, in ToolStarted.
	Acts, Repeatable bool
	// Result is in ToolEnded. Late is true when nobody waited for it any more.
	Result *ToolResult
	Late   bool
	// Approved and Member are in ToolDecided.
	Approved bool
	Member   string
}

// Summary is what was said in a conversation, up to and with the event UpTo.
type Summary struct {
	UpTo Seq
	Text string
	// PromptHash names the prompt. It was made of the events First..Horizon, for the
	// assistant Version.
	PromptHash     string
	Version        AssistantRef
	First, Horizon Seq
	// Model, Tokens and Cost are of the call that made it.
	Model     string
	Tokens    Tokens
	Cost      Money
	Simulated bool
}

// Handoff is the conversation changing holder.
type Handoff struct {
	// Reason is a word: "requested", "silence", "model_failed", "no_assistant",
	// "window_closed", "send_failed", "send_unknown", "turn_limit", "loop", "echo", "api", ...
	Reason string
	// Member is who took it, empty for the engine's own decisions.
	Member string
	// Note is what the assistant tells whoever takes over.
	Note string
	// Until is when an automatic pause ends; zero for a person's takeover.
	Until time.Time
}

// Update is something kept as received.
type Update struct {
	Type     string
	Remote   RemoteID
	Revision string
	Reason   string
	// Text is what a person would read of it.
	Text string
	// ProviderTime is when Meta says it happened.
	ProviderTime time.Time
	Content      *Content
	Raw          []byte
}
