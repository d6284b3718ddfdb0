package chat

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
)

// Offer is what the business alone can say: what a customer may tap, a template,
// whole contact cards, and how the message goes. Its members keep the names under
// which Meta documents them: who writes them and who reads them knows those.
type Offer struct {
	// --- WhatsApp ---

	Interactive *Interactive  `json:"interactive,omitempty"`
	Template    *TemplateUse  `json:"template,omitempty"`
	Contacts    []ContactCard `json:"contacts,omitempty"`
	// Pin pins a message of a group.
	Pin *Pin `json:"pin,omitempty"`
	// PreviewURL asks for a preview of the first link of a text.
	PreviewURL bool `json:"preview_url,omitempty"`

	// --- Instagram ---

	QuickReplies []QuickReply     `json:"quick_replies,omitempty"`
	Generic      *GenericTemplate `json:"generic_template,omitempty"`
	Buttons      *ButtonTemplate  `json:"button_template,omitempty"`
	// Share is the id of a post of the business.
	Share string `json:"media_share,omitempty"`
	// Comment makes the message the private reply to this comment.
	Comment string `json:"comment_id,omitempty"`
	// Human says that a person wrote it: Instagram then takes it for seven days.
	Human bool `json:"human_agent,omitempty"`
}

// File is a file of the business: one that was uploaded to Meta, one that Meta
// fetches, or one that the engine keeps. Exactly one of ID, Link and Blob is set.
type File struct {
	ID   string `json:"id,omitempty"`
	Link string `json:"link,omitempty"`
	Blob string `json:"blob,omitempty"`
	// Filename is what the phone shows of a document.
	Filename string `json:"filename,omitempty"`
}

// Words is a text of an interactive message.
type Words struct {
	Text string `json:"text"`
}

// Interactive is something to tap. Type is one of InteractiveTypes.
type Interactive struct {
	Type   string  `json:"type"`
	Header *Header `json:"header,omitempty"`
	Body   *Words  `json:"body,omitempty"`
	Footer *Words  `json:"footer,omitempty"`
	Action Action  `json:"action"`
}

// Header stands above an interactive message. Type names the member that is set.
type Header struct {
	Type     string `json:"type"`
	Text     string `json:"text,omitempty"`
	Image    *File  `json:"image,omitempty"`
	Video    *File  `json:"video,omitempty"`
	Document *File  `json:"document,omitempty"`
}

// File returns the file of the header, nil for a text.
func (h *Header) File() *File {
	for _, f := range [...]*File{h.Image, h.Video, h.Document} {
		if f != nil {
			return f
		}
	}
	return nil
}

// Action is what can be tapped. Which members are set depends on the type of the
// interactive message.
type Action struct {
	Name       string            `json:"name,omitempty"`
	Parameters *ActionParameters `json:"parameters,omitempty"`
	// Buttons are of a button message; Button and Sections of a list; Sections
	// of a product list too.
	Buttons  []ReplyButton `json:"buttons,omitempty"`
	Button   string        `json:"button,omitempty"`
	Sections []Section     `json:"sections,omitempty"`
	Catalog  string        `json:"catalog_id,omitempty"`
	Product  string        `json:"product_retailer_id,omitempty"`
	Cards    []OfferCard   `json:"cards,omitempty"`
}

// ActionParameters are of a link, a flow, a catalog or an address form.
type ActionParameters struct {
	DisplayText string `json:"display_text,omitempty"`
	URL         string `json:"url,omitempty"`

	FlowVersion string       `json:"flow_message_version,omitempty"`
	FlowID      string       `json:"flow_id,omitempty"`
	FlowName    string       `json:"flow_name,omitempty"`
	FlowCTA     string       `json:"flow_cta,omitempty"`
	FlowToken   string       `json:"flow_token,omitempty"`
	Mode        string       `json:"mode,omitempty"`
	FlowAction  string       `json:"flow_action,omitempty"`
	FlowPayload *FlowPayload `json:"flow_action_payload,omitempty"`

	Thumbnail string `json:"thumbnail_product_retailer_id,omitempty"`

	Country string            `json:"country,omitempty"`
	Values  map[string]string `json:"values,omitempty"`
	Saved   []SavedAddress    `json:"saved_addresses,omitempty"`
	Wrong   map[string]string `json:"validation_errors,omitempty"`
}

// FlowPayload is the first screen of a flow, with its data as JSON.
type FlowPayload struct {
	Screen string          `json:"screen,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// SavedAddress is an address the customer may choose in an address form.
type SavedAddress struct {
	ID    string            `json:"id"`
	Value map[string]string `json:"value"`
}

// ReplyButton is one button of a button message; Type is reply.
type ReplyButton struct {
	Type  string `json:"type"`
	Reply Reply  `json:"reply"`
}

// Reply is what a button is called and what its tap brings back.
type Reply struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Section is a part of a list, with Rows, or of a product list, with Items.
type Section struct {
	Title string        `json:"title,omitempty"`
	Rows  []Row         `json:"rows,omitempty"`
	Items []ProductItem `json:"product_items,omitempty"`
}

// Row is one choice of a list.
type Row struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

// ProductItem names a product of the catalog of its message.
type ProductItem struct {
	Product string `json:"product_retailer_id"`
}

// OfferCard is one card of a carousel: a product, or a picture with a link or
// reply buttons.
type OfferCard struct {
	Index  int     `json:"card_index"`
	Type   string  `json:"type,omitempty"`
	Header *Header `json:"header,omitempty"`
	Body   *Words  `json:"body,omitempty"`
	Action Action  `json:"action"`
}

// TemplateUse is the sending of a template.
type TemplateUse struct {
	Name       string           `json:"name"`
	Language   TemplateLanguage `json:"language"`
	Components []TemplatePart   `json:"components,omitempty"`
}

// TemplateLanguage is a language's code, such as en_US.
type TemplateLanguage struct {
	Code string `json:"code"`
}

// TemplatePart fills one component of a template: its header, its body, the button at
// Index, the end of its offer, or its cards.
type TemplatePart struct {
	Type       string              `json:"type"`
	SubType    string              `json:"sub_type,omitempty"`
	Index      *ButtonIndex        `json:"index,omitempty"`
	Parameters []TemplateParameter `json:"parameters,omitempty"`
	Cards      []TemplateCard      `json:"cards,omitempty"`
}

// TemplateCard fills one card of a carousel.
type TemplateCard struct {
	Index      int            `json:"card_index"`
	Components []TemplatePart `json:"components"`
}

// ButtonIndex is the place of a button, from 0. JSON has it as a number or as one
// in a string; it is written as a string.
type ButtonIndex int

// UnmarshalJSON implements json.Unmarshaler.
func (i *ButtonIndex) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(string(bytes.Trim(b, `"`)))
	if err != nil {
		return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[int]()}
	}
	*i = ButtonIndex(n)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (i ButtonIndex) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.Itoa(int(i))), nil
}

// TemplateParameter is one value of a template. Type names the member that is set;
// Name is set when the template's parameters are named.
type TemplateParameter struct {
	Type     string          `json:"type"`
	Name     string          `json:"parameter_name,omitempty"`
	Text     string          `json:"text,omitempty"`
	Currency *Currency       `json:"currency,omitempty"`
	DateTime *DateTime       `json:"date_time,omitempty"`
	Image    *File           `json:"image,omitempty"`
	Video    *File           `json:"video,omitempty"`
	Document *File           `json:"document,omitempty"`
	Location *MapPoint       `json:"location,omitempty"`
	Payload  string          `json:"payload,omitempty"`
	Coupon   string          `json:"coupon_code,omitempty"`
	Action   *TemplateAction `json:"action,omitempty"`
	Product  *Product        `json:"product,omitempty"`
	Limited  *LimitedOffer   `json:"limited_time_offer,omitempty"`
}

// File returns the file of the parameter, nil for none.
func (p *TemplateParameter) File() *File {
	for _, f := range [...]*File{p.Image, p.Video, p.Document} {
		if f != nil {
			return f
		}
	}
	return nil
}

// MapPoint is a place of the business. Name and Address are optional but in templates.
type MapPoint struct {
	Latitude  Degrees `json:"latitude"`
	Longitude Degrees `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

// Degrees is a coordinate. JSON has it as a number or, as in Meta's own samples, as
// one in a string; it is written as a number.
type Degrees float64

// UnmarshalJSON implements json.Unmarshaler.
func (d *Degrees) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(bytes.Trim(b, `"`)), 64)
	if err != nil {
		return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[float64]()}
	}
	*d = Degrees(f)
	return nil
}

// LimitedOffer is when an offer ends, in Unix milliseconds.
type LimitedOffer struct {
	Expires int64 `json:"expiration_time_ms"`
}

// Currency is an amount in thousandths of its currency, with its text for phones
// that cannot format it.
type Currency struct {
	Fallback string `json:"fallback_value"`
	Code     string `json:"code"`
	Amount   int64  `json:"amount_1000"`
}

// DateTime is a moment as text.
type DateTime struct {
	Fallback string `json:"fallback_value"`
}

// TemplateAction is what a button of a template needs: products of a catalog, or
// the start of a flow.
type TemplateAction struct {
	Thumbnail string          `json:"thumbnail_product_retailer_id,omitempty"`
	Sections  []Section       `json:"sections,omitempty"`
	FlowToken string          `json:"flow_token,omitempty"`
	FlowData  json.RawMessage `json:"flow_action_data,omitempty"`
}

// ContactCard is a whole contact card, as WhatsApp takes it.
type ContactCard struct {
	Name      CardName      `json:"name"`
	Phones    []CardPhone   `json:"phones,omitempty"`
	Emails    []CardEmail   `json:"emails,omitempty"`
	Addresses []CardAddress `json:"addresses,omitempty"`
	Org       *CardOrg      `json:"org,omitempty"`
	URLs      []CardURL     `json:"urls,omitempty"`
	// Birthday is YYYY-MM-DD.
	Birthday string `json:"birthday,omitempty"`
}

// CardName is the name on a card: as a whole, and at least one part of it.
type CardName struct {
	Formatted string `json:"formatted_name"`
	First     string `json:"first_name,omitempty"`
	Middle    string `json:"middle_name,omitempty"`
	Last      string `json:"last_name,omitempty"`
	Prefix    string `json:"prefix,omitempty"`
	Suffix    string `json:"suffix,omitempty"`
}

// CardEmail is a mail address on a card.
type CardEmail struct {
	Email string `json:"email"`
	Type  string `json:"type,omitempty"`
}

// CardAddress is a postal address on a card.
type CardAddress struct {
	Street      string `json:"street,omitempty"`
	City        string `json:"city,omitempty"`
	State       string `json:"state,omitempty"`
	ZIP         string `json:"zip,omitempty"`
	Country     string `json:"country,omitempty"`
	CountryCode string `json:"country_code,omitempty"`
	Type        string `json:"type,omitempty"`
}

// CardOrg is where the person of a card works.
type CardOrg struct {
	Company    string `json:"company,omitempty"`
	Department string `json:"department,omitempty"`
	Title      string `json:"title,omitempty"`
}

// CardURL is a page on a card.
type CardURL struct {
	URL  string `json:"url"`
	Type string `json:"type,omitempty"`
}

// Pin pins or unpins a message of a group. Days is how long it stays, 1 to 30.
type Pin struct {
	Type   string   `json:"type"`
	Target RemoteID `json:"message_id"`
	Days   int      `json:"expiration_days,omitempty"`
}

// QuickReply is an answer to tap under a message on Instagram. Type is text,
// user_phone_number or user_email; the latter two take nothing else.
type QuickReply struct {
	Type    string `json:"content_type"`
	Title   string `json:"title,omitempty"`
	Payload string `json:"payload,omitempty"`
	Image   string `json:"image_url,omitempty"`
}

// GenericTemplate is a row of cards on Instagram.
type GenericTemplate struct {
	Elements []Element `json:"elements"`
}

// Element is one card.
type Element struct {
	Title    string      `json:"title"`
	Subtitle string      `json:"subtitle,omitempty"`
	Image    string      `json:"image_url,omitempty"`
	Default  *LinkButton `json:"default_action,omitempty"`
	Buttons  []TapButton `json:"buttons,omitempty"`
}

// LinkButton is what a tap on a card itself opens; Type is web_url.
type LinkButton struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// TapButton is a button on Instagram: web_url with a URL, or postback with a
// payload.
type TapButton struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	URL     string `json:"url,omitempty"`
	Payload string `json:"payload,omitempty"`
}

// ButtonTemplate is a text with buttons on Instagram.
type ButtonTemplate struct {
	Text    string      `json:"text"`
	Buttons []TapButton `json:"buttons"`
}
