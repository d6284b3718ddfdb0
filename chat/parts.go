package chat

import "time"

// Content is what a message or an update says beyond its text, in the engine's
// words: the same for both products, in the store, the API, the feed and exports.
// It is nil for plain text. What it does not say stands in Raw. Never changed once
// it is made; every string in it is an owned copy.
type Content struct {
	// --- parts of a message ---

	// Media are files of the message: WhatsApp has one, Instagram may have several.
	Media    []Media   `json:"media,omitempty"`
	Location *Location `json:"location,omitempty"`
	Cards    []Card    `json:"contacts,omitempty"`
	// Choice is a tap on something the business offered.
	Choice *Choice `json:"choice,omitempty"`
	// Form is a filled flow or address form.
	Form  *Form  `json:"form,omitempty"`
	Order *Order `json:"order,omitempty"`
	// Product is what a question is about.
	Product *Product `json:"product,omitempty"`
	// Referral is the advertisement or link that brought the customer.
	Referral *Referral `json:"referral,omitempty"`
	// Story is the story of the business that is answered or mentioned.
	Story *Story `json:"story,omitempty"`
	// Forwarded is "forwarded" or "frequently_forwarded".
	Forwarded string `json:"forwarded,omitempty"`
	// Problem is why Meta could not give the message: unsupported kinds.
	Problem *Problem `json:"error,omitempty"`

	// Offer is what only the business can say.
	Offer *Offer `json:"offer,omitempty"`

	// --- facts about other messages ---

	Reaction *Reaction `json:"reaction,omitempty"`
	Edit     *Edit     `json:"edit,omitempty"`
	Revoke   *Revoke   `json:"revoke,omitempty"`
	// Pricing is what a status says about the price of the message.
	Pricing *Pricing `json:"pricing,omitempty"`

	// --- facts about people ---

	Identity *IdentityChange `json:"identity,omitempty"`
	Consent  *Consent        `json:"consent,omitempty"`
	Call     *Call           `json:"call,omitempty"`
	Comment  *Comment        `json:"comment,omitempty"`
	// Control is Instagram's ownership of the thread changing hands.
	Control *Control `json:"control,omitempty"`

	// --- facts about the channel ---

	Standing *Standing       `json:"standing,omitempty"`
	Template *TemplateChange `json:"template_change,omitempty"`
}

// Media is one file of a message. Sizes are bytes.
type Media struct {
	// Kind is image, video, audio, voice, document or sticker; Instagram's other
	// attachments keep Meta's word (share, ig_reel, story_mention, like_heart, ...).
	Kind string `json:"kind"`
	// ID is Meta's media id: 7 days for one of a webhook, 30 for an uploaded one.
	ID string `json:"media_id,omitempty"`
	// URL is Meta's, and short-lived; on a share it is the page shared.
	URL      string `json:"url,omitempty"`
	MIME     string `json:"mime_type,omitempty"`
	SHA256   string `json:"sha256,omitempty"` // as Meta spelled it: base64 or hex
	Filename string `json:"filename,omitempty"`
	Title    string `json:"title,omitempty"`
	// Blob names a file that the engine keeps, in a message of the business.
	Blob string `json:"blob,omitempty"`
	// Animated is of a sticker.
	Animated bool `json:"animated,omitempty"`
}

// Location is a place on the map, in degrees.
type Location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
	URL       string  `json:"url,omitempty"`
}

// Card is a shared contact card. Origin is "contact_request" when the customer
// shared their own number because they were asked to.
type Card struct {
	Name   string      `json:"name,omitempty"`
	Phones []CardPhone `json:"phones,omitempty"`
	Emails []string    `json:"emails,omitempty"`
	Org    string      `json:"organization,omitempty"`
	Origin string      `json:"origin,omitempty"`
}

// Choice is a tap: a button of a template, a reply button, a list row, a quick
// reply, an ice breaker, a menu item. ID is what the business attached to it.
type Choice struct {
	ID          string `json:"id"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Kind is button, button_reply, list_reply, quick_reply, postback or
	// call_permission_reply.
	Kind string `json:"kind"`
	// Until and Permanent are of a permission to call: when it ends, or that it does
	// not.
	Until     time.Time `json:"until,omitzero"`
	Permanent bool      `json:"permanent,omitempty"`
}

// Form is what a customer filled in. Response is JSON as Meta passed it on, an
// object or not; it is a text because nothing else of it can be relied upon.
type Form struct {
	Name     string `json:"name,omitempty"`
	Token    string `json:"flow_token,omitempty"`
	Response string `json:"response,omitempty"`
}

// Order is a cart the customer sent. Prices are the customer's copy: only the
// store's own are to be trusted.
type Order struct {
	Catalog string      `json:"catalog_id,omitempty"`
	Items   []OrderItem `json:"items"`
}

// OrderItem is one line of an order. Quantity and Price keep Meta's digits.
type OrderItem struct {
	Product  string `json:"product_retailer_id"`
	Quantity string `json:"quantity"`
	Price    string `json:"item_price,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// Product names one product of a catalog.
type Product struct {
	Catalog  string `json:"catalog_id,omitempty"`
	Retailer string `json:"product_retailer_id"`
}

// Referral is where a customer came from: an advertisement, a post, a link.
type Referral struct {
	Source   string `json:"source,omitempty"` // ad, post, ADS, SHORTLINK, ...
	ID       string `json:"id,omitempty"`
	URL      string `json:"url,omitempty"`
	Headline string `json:"headline,omitempty"`
	Body     string `json:"body,omitempty"`
	Ref      string `json:"ref,omitempty"`
	// Click is ctwa_clid, for attribution.
	Click string `json:"click_id,omitempty"`
}

// Story is a story of the business. Its URL lives as long as the story, 24 h.
type Story struct {
	ID  string `json:"id,omitempty"`
	URL string `json:"url,omitempty"`
	// Link is where a link sticker on it leads.
	Link    string `json:"link,omitempty"`
	Mention bool   `json:"mention,omitempty"`
}

// Problem is an error of Meta's about a message. Detail is Meta's text.
type Problem struct {
	// Type is the kind of message Meta could not pass on, when it says so.
	Type   string `json:"type,omitempty"`
	Code   int    `json:"code,omitempty"`
	Title  string `json:"title,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Reaction is put on a message, or taken off it when Emoji is empty.
type Reaction struct {
	Target RemoteID `json:"remote_id"`
	Emoji  string   `json:"emoji"`
}

// Edit is the new text of a message. Revision orders the edits of one message.
type Edit struct {
	Target   RemoteID `json:"remote_id"`
	Text     string   `json:"text"`
	Type     string   `json:"type,omitempty"`
	Revision int      `json:"revision,omitempty"`
}

// Revoke is a message the customer or the business took back.
type Revoke struct {
	Target RemoteID `json:"remote_id"`
}

// Pricing is Meta's account of one message.
type Pricing struct {
	Model    string `json:"model,omitempty"`
	Type     string `json:"type,omitempty"`
	Category string `json:"category,omitempty"`
	// Conversation and Origin are of versions before v24.0.
	Conversation string `json:"conversation_id,omitempty"`
	Origin       string `json:"origin,omitempty"`
}

// IdentityChange is a person being known by other identifiers, or proven to be
// somebody else. Kind is number_changed, user_id_changed or identity_changed.
type IdentityChange struct {
	Kind string `json:"kind"`
	// Before are the identifiers given up, Became the ones that replace them.
	Before []Address `json:"before,omitempty"`
	Became []Address `json:"became,omitempty"`
}

// Consent is a customer allowing or forbidding a category of messages.
type Consent struct {
	Category string `json:"category"` // marketing_messages
	// Given is false for an opt-out.
	Given bool `json:"given"`
	// Word is Meta's: stop, resume, signup.
	Word string `json:"word,omitempty"`
}

// Call is a voice call that rang or ended.
type Call struct {
	ID    string `json:"id"`
	Event string `json:"event"` // connect, terminate, or a status word
	// Inbound is true when the customer called.
	Inbound bool   `json:"inbound,omitempty"`
	Status  string `json:"status,omitempty"`
	Seconds int    `json:"seconds,omitempty"`
}

// Comment is a public comment or mention on Instagram.
type Comment struct {
	ID     string `json:"id"`
	Parent string `json:"parent_id,omitempty"`
	Media  string `json:"media_id,omitempty"`
	Ad     string `json:"ad_id,omitempty"`
	Text   string `json:"text,omitempty"`
	// Live is true for a comment on a broadcast under way.
	Live    bool `json:"live,omitempty"`
	Mention bool `json:"mention,omitempty"`
}

// Control is who owns an Instagram thread. Event is pass, take, request or roles;
// after a pass or a take, Ours tells whether this app owns the thread. A request and
// roles hand over nothing, and Ours says nothing.
type Control struct {
	Event    string `json:"event"`
	Ours     bool   `json:"ours"`
	Owner    string `json:"owner_app_id,omitempty"`
	Previous string `json:"previous_app_id,omitempty"`
	Metadata string `json:"metadata,omitempty"`
}

// Standing is news about a channel's standing at Meta. Zero members say nothing.
type Standing struct {
	// Event is Meta's word, of the field the update came in.
	Event string `json:"event"`
	// Number is the number it is about, as Meta displays it; empty when it is about
	// the whole account.
	Number string `json:"number,omitempty"`
	// Restricted is "", "restricted" (sending is refused) or "lifted".
	Restricted string    `json:"restricted,omitempty"`
	Until      time.Time `json:"until,omitzero"`
	// Quality is GREEN, YELLOW or RED.
	Quality string `json:"quality,omitempty"`
	// Tier is TIER_250, TIER_2K, TIER_10K, TIER_100K or TIER_UNLIMITED: customers
	// per day and portfolio that may be written to outside the window.
	Tier string `json:"tier,omitempty"`
	// PerSecond is the number's throughput in messages per second.
	PerSecond int `json:"messages_per_second,omitempty"`
	// Alert is a line for people.
	Alert string `json:"alert,omitempty"`
}

// TemplateChange is news about one template.
type TemplateChange struct {
	ID       string `json:"id,omitempty"`
	Name     string `json:"name,omitempty"`
	Language string `json:"language,omitempty"`
	// Status is Meta's word: APPROVED, REJECTED, PAUSED, ...; empty for no news.
	Status   string `json:"status,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Quality  string `json:"quality,omitempty"`
	Category string `json:"category,omitempty"`
	// Stale says that components changed and must be fetched anew.
	Stale bool `json:"stale,omitempty"`
}

// CardPhone is a number on a contact card. WaID is set when it is on WhatsApp.
type CardPhone struct {
	Number string `json:"phone"`
	WaID   string `json:"wa_id,omitempty"`
	Type   string `json:"type,omitempty"`
}
