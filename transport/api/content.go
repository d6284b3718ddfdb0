package api

import (
	"encoding/json"
	"reflect"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
)

// messageRequest is the body of POST …/messages. The member named like Type holds
// the message, in the words of Meta's own documentation; the rest says how it goes.
type messageRequest struct {
	Type     string             `json:"type"`
	Text     *textBody          `json:"text"`
	Image    *fileBody          `json:"image"`
	Images   []fileBody         `json:"images"`
	Video    *fileBody          `json:"video"`
	Audio    *fileBody          `json:"audio"`
	Document *fileBody          `json:"document"`
	Sticker  *fileBody          `json:"sticker"`
	File     *fileBody          `json:"file"`
	Location *chat.MapPoint     `json:"location"`
	Contacts []chat.ContactCard `json:"contacts"`
	Reaction *reactionBody      `json:"reaction"`

	Interactive *chat.Interactive `json:"interactive"`
	Template    *chat.TemplateUse `json:"template"`
	Pin         *chat.Pin         `json:"pin"`

	Share   *shareBody            `json:"media_share"`
	Generic *chat.GenericTemplate `json:"generic_template"`
	Buttons *chat.ButtonTemplate  `json:"button_template"`

	QuickReplies []chat.QuickReply `json:"quick_replies"`
	ReplyTo      string            `json:"reply_to"`
	Human        bool              `json:"human_agent"`
	Private      *privateBody      `json:"private_reply"`
}

// textBody is a text: a string, or Meta's object.
type textBody struct {
	Body       string `json:"body"`
	PreviewURL bool   `json:"preview_url"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *textBody) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &t.Body)
	}
	type object textBody
	if fail := decodeStrict(b, (*object)(t)); fail != nil {
		return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[string]()}
	}
	return nil
}

// fileBody is a file: uploaded to Meta, on the web, or kept by the engine.
type fileBody struct {
	ID       string `json:"id"`
	Link     string `json:"link"`
	Blob     string `json:"blob"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
	Voice    bool   `json:"voice"`
}

type reactionBody struct {
	Target string `json:"message_id"`
	Emoji  string `json:"emoji"`
}

type shareBody struct {
	ID string `json:"id"`
}

type privateBody struct {
	Comment string `json:"comment_id"`
}

// file returns the file of a message of this type, nil when it has none.
func (m *messageRequest) file() *fileBody {
	switch m.Type {
	case chat.TypeImage:
		return m.Image
	case chat.TypeVideo:
		return m.Video
	case chat.TypeAudio:
		return m.Audio
	case chat.TypeDocument:
		return m.Document
	case chat.TypeSticker:
		return m.Sticker
	case chat.TypeFile:
		return m.File
	}
	return nil
}

// foreign refuses a member that belongs to another type of message.
func (m *messageRequest) foreign() *failure {
	for _, part := range [...]struct {
		name  string
		there bool
	}{
		{"text", m.Text != nil}, {"image", m.Image != nil}, {"images", m.Images != nil && m.Type != chat.TypeImage},
		{"video", m.Video != nil}, {"audio", m.Audio != nil}, {"document", m.Document != nil}, {"sticker", m.Sticker != nil},
		{"file", m.File != nil}, {"location", m.Location != nil}, {"contacts", m.Contacts != nil}, {"reaction", m.Reaction != nil},
		{"interactive", m.Interactive != nil}, {"template", m.Template != nil}, {"pin", m.Pin != nil}, {"media_share", m.Share != nil},
		{"generic_template", m.Generic != nil}, {"button_template", m.Buttons != nil},
	} {
		if part.there && part.name != m.Type {
			return invalid("parameter_invalid", part.name, part.name+" is not taken: the message is of another type.")
		}
	}
	if m.Image != nil && m.Images != nil {
		return invalid("parameter_invalid", "images", "Give either image or images.")
	}
	return nil
}

// send is what the engine is asked to send. Limits that depend on the channel are
// the engine's to check.
func (m *messageRequest) send() (chat.MemberSend, *failure) {
	if m.Type == "" {
		return chat.MemberSend{}, invalid("parameter_invalid", "type", `type must be a type of message, such as "text".`)
	}
	if fail := m.foreign(); fail != nil {
		return chat.MemberSend{}, fail
	}
	c, offer := chat.Content{}, chat.Offer{Interactive: m.Interactive, Template: m.Template, Contacts: m.Contacts, Pin: m.Pin,
		QuickReplies: m.QuickReplies, Generic: m.Generic, Buttons: m.Buttons, Human: m.Human}
	s := chat.MemberSend{Type: m.Type, ReplyTo: chat.RemoteID(m.ReplyTo)}
	if m.Text != nil {
		s.Text, offer.PreviewURL = m.Text.Body, m.Text.PreviewURL
	}
	if f := m.file(); f != nil {
		s.Text, c.Media = f.Caption, []chat.Media{f.media(m.Type)}
	}
	for i := range m.Images {
		if m.Images[i].Caption != "" {
			return s, invalid("parameter_invalid", "images", "Several images have no captions.")
		}
		c.Media = append(c.Media, m.Images[i].media(m.Type))
	}
	if p := m.Location; p != nil {
		c.Location = &chat.Location{Latitude: float64(p.Latitude), Longitude: float64(p.Longitude), Name: p.Name, Address: p.Address}
	}
	if r := m.Reaction; r != nil {
		c.Reaction = &chat.Reaction{Target: chat.RemoteID(r.Target), Emoji: r.Emoji}
	}
	if m.Share != nil {
		offer.Share = m.Share.ID
	}
	if m.Private != nil {
		if offer.Comment = m.Private.Comment; offer.Comment == "" {
			return s, invalid("parameter_missing", "private_reply.comment_id", "private_reply.comment_id is required.")
		}
	}
	if !reflect.ValueOf(offer).IsZero() {
		c.Offer = &offer
	}
	if !reflect.ValueOf(c).IsZero() {
		s.Content = &c
	}
	return s, nil
}

func (f *fileBody) media(kind string) chat.Media {
	m := chat.Media{Kind: kind, ID: f.ID, URL: f.Link, Blob: f.Blob, Filename: f.Filename}
	if f.Voice {
		m.Kind = chat.MediaVoice
	}
	return m
}

// textTooLong reports whether a text is longer than any channel takes: Instagram's
// limit is stricter and is the engine's to enforce.
func textTooLong(text string) bool {
	return len(text) > chat.WhatsAppTextMax && utf8.RuneCountInString(text) > chat.WhatsAppTextMax
}
