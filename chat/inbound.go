package chat

import "time"

// InboundKind tells what one decoded update is.
type InboundKind uint8

// The inbound kinds.
const (
	InboundMessage InboundKind = 1 // a customer wrote something, of any type
	InboundStatus  InboundKind = 2 // a delivery report for a message of the business
	InboundEcho    InboundKind = 3 // the business wrote from somewhere
	InboundRead    InboundKind = 4 // Instagram: the customer read up to a message
	InboundUpdate  InboundKind = 5 // anything else: kept raw, shown, with the effect its Content says
	InboundImport  InboundKind = 6 // a message from before the channel was connected: history, never answered
)

// Inbound is one thing the outside did, decoded from a webhook. Every string
// and slice in it is an owned copy. It is a Fact.
type Inbound struct {
	Kind InboundKind
	App  AppID
	// Channel kind and the account Meta routes by (phone_number_id or Instagram
	// account id). Account is empty for WhatsApp account-level fields; WABA is
	// then the routing key.
	ChannelKind ChannelKind
	Account     string
	WABA        string
	// Remote is the wamid or mid the update is about: the message itself, or
	// the message whose status, edit or reaction it reports.
	Remote RemoteID
	// Type is Meta's word: a message type, a status, or the webhook field.
	Type string
	// Revision tells apart updates about one remote id that are different facts:
	// a deletion, an edit number, a reaction. Empty for the message itself.
	Revision string
	// Customer holds the identifiers of the person on the other side, best
	// routing address first. Empty for account-level updates.
	Customer []Address
	Name     string
	Text     string
	ReplyTo  RemoteID
	Group    string
	// Time is when Meta says it happened; zero when absent or unreadable.
	Time time.Time
	// Content is what the update says beyond Text; nil when that is all.
	Content *Content
	// Ours is true for an InboundImport that the business wrote, and for an
	// InboundEcho that this app is known to have sent.
	Ours bool
	// Callback is biz_opaque_callback_data as echoed in a status.
	Callback string
	// Code and Detail describe the first error of a failed status.
	Code   int
	Detail string
	// Participant is the member of a group a status is about.
	Participant string
	// Digest identifies an update that (Remote, Revision) does not: one without a
	// remote id, a status with a word this version does not know, a status about
	// one member of a group. A hash of its canonical value, hex, 32 characters.
	Digest string
	// Raw is the update as received, kept whenever the fields above do not say
	// all of it. Owned.
	Raw []byte
	// Problem is set when this item could not be decoded; it is then quarantined.
	Problem string
}

// Place is where an update belongs: the conversation and contact its addresses
// lead to. Found is false for a person never seen on this channel; the ids are
// then the ones the first commit will claim.
type Place struct {
	Conversation ConversationID
	Contact      ContactID
	Found        bool
	// Missing lists routable addresses that do not lead here yet.
	Missing []Address
	// Others are contacts of other conversations that some of the addresses lead to:
	// the update proves that they are one person.
	Others []ContactID
	// Erased is when somebody who had one of the addresses was erased last; zero for
	// never. What was sent before is about them and comes too late.
	Erased time.Time
}

// TooLate reports whether an update is about somebody who was erased and not about
// whoever has the address now: it happened in a second before that of the erasure, or
// it reports on a message to a person who has not written since, or only says how the
// business names them.
func (in *Inbound) TooLate(p Place) bool {
	switch {
	case p.Erased.IsZero():
		return false
	case !p.Found && (in.Kind == InboundStatus || in.Kind == InboundRead || in.OfAddressBook()):
		return true
	}
	return !in.Time.IsZero() && in.Time.Unix() < p.Erased.Unix()
}
