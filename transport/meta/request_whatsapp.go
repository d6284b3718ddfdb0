package meta

import (
	"strings"

	"github.com/chumiai/chumi/chat"
)

// whatsappSend is the body of POST /{phone-number-id}/messages: the member named
// like Type holds the message. What a customer can tap, templates and contact cards
// have Meta's own names in chat already.
type whatsappSend struct {
	Product       string             `json:"messaging_product"`
	RecipientType string             `json:"recipient_type"`
	To            string             `json:"to,omitempty"`
	Recipient     string             `json:"recipient,omitempty"`
	Context       *replyTo           `json:"context,omitempty"`
	Type          string             `json:"type"`
	Text          *whatsappBody      `json:"text,omitempty"`
	Image         *whatsappFile      `json:"image,omitempty"`
	Video         *whatsappFile      `json:"video,omitempty"`
	Audio         *whatsappFile      `json:"audio,omitempty"`
	Document      *whatsappFile      `json:"document,omitempty"`
	Sticker       *whatsappFile      `json:"sticker,omitempty"`
	Location      *whatsappPlace     `json:"location,omitempty"`
	Contacts      []chat.ContactCard `json:"contacts,omitempty"`
	Reaction      *whatsappReaction  `json:"reaction,omitempty"`
	Interactive   *chat.Interactive  `json:"interactive,omitempty"`
	Template      *chat.TemplateUse  `json:"template,omitempty"`
	Pin           *chat.Pin          `json:"pin,omitempty"`
	// Callback leads statuses back to the message, also one whose send was
	// never answered.
	Callback string `json:"biz_opaque_callback_data,omitempty"`
}

type replyTo struct {
	ID chat.RemoteID `json:"message_id"`
}

type whatsappBody struct {
	Body       string `json:"body"`
	PreviewURL bool   `json:"preview_url"`
}

type whatsappFile struct {
	ID       string `json:"id,omitempty"`
	Link     string `json:"link,omitempty"`
	Caption  string `json:"caption,omitempty"`
	Filename string `json:"filename,omitempty"`
	Voice    bool   `json:"voice,omitempty"`
}

type whatsappPlace struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

// whatsappReaction has its emoji always: an empty one takes the reaction back.
type whatsappReaction struct {
	ID    chat.RemoteID `json:"message_id"`
	Emoji string        `json:"emoji"`
}

// encodeWhatsApp builds the body of a message that chat.Check has passed.
func encodeWhatsApp(out chat.Outbound) ([]byte, string) {
	m := whatsappSend{Product: "whatsapp", RecipientType: "individual", Type: out.Type, Callback: string(out.Message)}
	if reason := m.address(out.To); reason != "" {
		return nil, reason
	}
	if out.Type == chat.TypePin && out.To.Kind != chat.GroupAddress {
		return nil, "groups_only"
	}
	if out.ReplyTo != "" {
		m.Context = &replyTo{out.ReplyTo}
	}
	m.fill(&out)
	return marshal(m)
}

// address sets the receiver. reason is a word when there is none.
func (m *whatsappSend) address(to chat.Address) (reason string) {
	switch {
	case to.Value == "":
		return "no_recipient"
	case to.Kind == chat.WaID || to.Kind == chat.Phone:
		// Without the plus Meta puts the business's own country code in front.
		m.To = "+" + strings.TrimPrefix(to.Value, "+")
	case to.Kind == chat.BSUID || to.Kind == chat.ParentBSUID:
		m.Recipient = to.Value
	case to.Kind == chat.GroupAddress:
		m.RecipientType, m.To = "group", to.Value
	default:
		return "recipient_not_supported"
	}
	return ""
}

func (m *whatsappSend) fill(out *chat.Outbound) {
	content, offer := contentOf(out), offerOf(out)
	switch out.Type {
	case chat.TypeText:
		m.Text = &whatsappBody{out.Text, offer.PreviewURL}
	case chat.TypeImage:
		m.Image = fileOf(out)
	case chat.TypeVideo:
		m.Video = fileOf(out)
	case chat.TypeAudio:
		m.Audio = fileOf(out)
	case chat.TypeDocument:
		m.Document = fileOf(out)
	case chat.TypeSticker:
		m.Sticker = fileOf(out)
	case chat.TypeLocation:
		l := content.Location
		m.Location = &whatsappPlace{l.Latitude, l.Longitude, l.Name, l.Address}
	case chat.TypeContacts:
		m.Contacts = offer.Contacts
	case chat.TypeReaction:
		m.Reaction = &whatsappReaction{content.Reaction.Target, content.Reaction.Emoji}
	case chat.TypeInteractive:
		m.Interactive = interactiveOf(offer.Interactive, out.Message)
	case chat.TypeTemplate:
		m.Template = offer.Template
	case chat.TypePin:
		m.Pin = offer.Pin
	}
}

func fileOf(out *chat.Outbound) *whatsappFile {
	f := &out.Content.Media[0]
	return &whatsappFile{ID: f.ID, Link: f.URL, Caption: out.Text, Filename: f.Filename, Voice: f.Kind == chat.MediaVoice}
}

// interactiveOf gives a flow without a token that of its message: the answer then
// leads back to it. Meta's own default is the same word for all.
func interactiveOf(in *chat.Interactive, id chat.MessageID) *chat.Interactive {
	if in.Type != "flow" || in.Action.Parameters.FlowToken != "" {
		return in
	}
	flow, parameters := *in, *in.Action.Parameters
	parameters.FlowToken = string(id)
	flow.Action.Parameters = &parameters
	return &flow
}
