package chat

import "time"

// AddressKind tells which identifier of a person an Address is. Stored; values
// never change.
type AddressKind uint8

// The address kinds. A person may have several, and none need be a phone number.
const (
	WaID         AddressKind = 1 // WhatsApp id: digits, usually a phone number
	BSUID        AddressKind = 2 // business-scoped user id, CC.xxx
	ParentBSUID  AddressKind = 3 // parent business-scoped user id, CC.ENT.xxx
	IGSID        AddressKind = 4 // Instagram-scoped user id
	Username     AddressKind = 5 // display handle; never used to route
	Phone        AddressKind = 6 // phone number in "from" when it differs from wa_id
	GroupAddress AddressKind = 7 // WhatsApp group id
)

var addressWords = [...]string{
	WaID: "wa_id", BSUID: "bsuid", ParentBSUID: "parent_bsuid", IGSID: "igsid",
	Username: "username", Phone: "phone", GroupAddress: "group",
}

// String returns the API word, "unknown" for a kind of a newer version.
func (k AddressKind) String() string {
	if int(k) < len(addressWords) && addressWords[k] != "" {
		return addressWords[k]
	}
	return "unknown"
}

// MarshalText returns the API word: where a Content names an address, its kind is
// a word in the store as well.
func (k AddressKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is the inverse of MarshalText. It fails, with KindInvalid, for a
// word that this version does not know.
func (k *AddressKind) UnmarshalText(word []byte) error {
	for n, known := range addressWords {
		if known != "" && known == string(word) {
			*k = AddressKind(n) // #nosec G115 -- there are seven
			return nil
		}
	}
	return E("chat.AddressKind", KindInvalid, "no such kind of address", nil)
}

// Address is one identifier of a person on a channel.
type Address struct {
	Kind  AddressKind `json:"kind"`
	Value string      `json:"value"`
}

// Routable reports whether the address may identify a conversation.
// Usernames change hands and never do.
func (a Address) Routable() bool { return a.Value != "" && a.Kind != Username }

// Contact is the person on the other side.
type Contact struct {
	ID   ContactID
	Name string
	// Conversation is the one that the contact was made with: each conversation has
	// a contact of its own, and contacts that are one person are linked.
	Conversation ConversationID
	// Addresses are the identifiers, latest first.
	Addresses []Address
	// Former are numbers the person has given up, latest first: a message that was
	// written before, and comes late, must not lead them here again.
	Former []Address
	// Links are the contacts that are known to be the same person, on other channels
	// or under other identifiers; each of them links back.
	Links []ContactID
	// Apart are contacts that a member said are somebody else.
	Apart []ContactID
	// Link is what an event changed about the links; nil in the stored contact.
	Link *ContactLink
	// Doubt is the latest report of Meta's that who writes may be another than before;
	// nil for none. Whatever proved the person earlier proves nothing since.
	Doubt *Doubt
	// Consents are the categories the customer allowed or forbade, latest per category.
	Consents []ConsentAt
	// Profile is what the product shows of the person.
	Profile *Profile
	// Fields are what the person said of themselves, by plain words.
	Fields map[string]string
}

// Doubt is when Meta told that who is behind a contact may have changed, and by which
// change: number_changed, user_id_changed or identity_changed.
type Doubt struct {
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
}

// ConsentAt is a Consent and when it was given or withdrawn.
type ConsentAt struct {
	Consent
	At time.Time `json:"at"`
}

// Profile is a person's public profile, as last fetched.
type Profile struct {
	Username string `json:"username,omitempty"`
	// Picture names the stored picture, empty for none; PictureKey opens it.
	Picture    string `json:"picture,omitempty"`
	PictureKey []byte `json:"picture_key,omitempty"`
	// PictureType is its media type.
	PictureType string    `json:"picture_type,omitempty"`
	Followers   int64     `json:"followers,omitempty"`
	Verified    bool      `json:"verified,omitempty"`
	Fetched     time.Time `json:"fetched_at,omitzero"`
	// Refused says why there is none: the person must write first, or blocked us.
	Refused string `json:"refused,omitempty"`
}

// Direction tells who a message travels to. Stored; values never change.
type Direction uint8

// The directions.
const (
	DirectionIn  Direction = 1
	DirectionOut Direction = 2
)

// String returns the API word.
func (d Direction) String() string {
	if d == DirectionOut {
		return "outbound"
	}
	return "inbound"
}

// Author tells who wrote a message. Stored; values never change.
type Author uint8

// The authors.
const (
	AuthorCustomer  Author = 1 // the contact
	AuthorAssistant Author = 2 // the model
	AuthorMember    Author = 3 // a person of the team, through this engine
	AuthorElsewhere Author = 4 // the business, through another app (echo)
	AuthorEngine    Author = 5 // the engine itself: the apology
)

// String returns the API word.
func (a Author) String() string {
	switch a {
	case AuthorCustomer:
		return "customer"
	case AuthorAssistant:
		return "assistant"
	case AuthorMember:
		return "member"
	case AuthorElsewhere:
		return "elsewhere"
	case AuthorEngine:
		return "engine"
	}
	return "unknown"
}

// TypeText is the type of a plain text message. Other types keep Meta's word
// ("image", "reaction", "interactive", ...).
const TypeText = "text"

// Message is something a person could read in the chat, in either direction.
type Message struct {
	ID        MessageID
	RemoteID  RemoteID
	Direction Direction
	Author    Author
	// Type is Meta's word for the content.
	Type string
	// Text is the readable text; empty for kinds that have none.
	Text string
	// Length is of a customer's Text, in characters; it stays when the text is taken
	// back, because Apply looks at it.
	Length int
	// ReplyTo is the message this one quotes.
	ReplyTo RemoteID
	// Group is the WhatsApp group the message was written in; group messages
	// are stored and never answered.
	Group string
	// ProviderTime is when Meta says it was written; zero if unknown.
	ProviderTime time.Time
	// Name is the profile name that came with it.
	Name string
	// Turn names the assistant turn that wrote it.
	Turn TurnID
	// Class is the policy of an outbound message when a send is ambiguous.
	Class Class
	// Simulated is true when the built-in model simulator wrote it.
	Simulated bool
	// Revoked is true once it was taken back: its content is gone, here and on disk.
	Revoked bool
	// Content is what it holds beyond its text; nil for plain text.
	Content *Content
	// Raw is the update as Meta sent it, kept whenever the fields above do not
	// say all of it.
	Raw []byte
}
