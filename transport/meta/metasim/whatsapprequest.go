package metasim

import (
	"encoding/json"
	"strings"
)

// whatsAppRequest is the body of POST /{phone-number-id}/messages. The content of
// a message is in the field that is named like its type.
type whatsAppRequest struct {
	Product   string `json:"messaging_product"`
	Recipient string `json:"recipient_type"`
	To        string `json:"to"`
	UserID    string `json:"recipient"`
	Type      string `json:"type"`
	whatsAppContents
	Context *struct {
		MessageID string `json:"message_id"`
	} `json:"context"`
	Callback  string `json:"biz_opaque_callback_data"`
	Status    string `json:"status"`
	MessageID string `json:"message_id"`
	Typing    *struct {
		Type string `json:"type"`
	} `json:"typing_indicator"`
}

// whatsAppContents are the fields for content.
type whatsAppContents struct {
	Text        json.RawMessage `json:"text"`
	Image       json.RawMessage `json:"image"`
	Video       json.RawMessage `json:"video"`
	Audio       json.RawMessage `json:"audio"`
	Document    json.RawMessage `json:"document"`
	Sticker     json.RawMessage `json:"sticker"`
	Location    json.RawMessage `json:"location"`
	Contacts    json.RawMessage `json:"contacts"`
	Reaction    json.RawMessage `json:"reaction"`
	Interactive json.RawMessage `json:"interactive"`
	Template    json.RawMessage `json:"template"`
	Pin         json.RawMessage `json:"pin"`
}

// whatsAppTypes are the types of messages, as Meta lists them, each with its field
// and what reads it: it returns what the phone shows.
var whatsAppTypes = []struct {
	name  string
	field func(*whatsAppContents) json.RawMessage
	read  func(kind string, content json.RawMessage) (string, *graphError)
}{
	{"text", func(c *whatsAppContents) json.RawMessage { return c.Text }, readText},
	{"image", func(c *whatsAppContents) json.RawMessage { return c.Image }, readMedia},
	{"video", func(c *whatsAppContents) json.RawMessage { return c.Video }, readMedia},
	{"audio", func(c *whatsAppContents) json.RawMessage { return c.Audio }, readMedia},
	{"document", func(c *whatsAppContents) json.RawMessage { return c.Document }, readMedia},
	{"sticker", func(c *whatsAppContents) json.RawMessage { return c.Sticker }, readMedia},
	{"location", func(c *whatsAppContents) json.RawMessage { return c.Location }, readLocation},
	{"contacts", func(c *whatsAppContents) json.RawMessage { return c.Contacts }, readContacts},
	{"reaction", func(c *whatsAppContents) json.RawMessage { return c.Reaction }, readReaction},
	{"interactive", func(c *whatsAppContents) json.RawMessage { return c.Interactive }, readInteractive},
	{"template", func(c *whatsAppContents) json.RawMessage { return c.Template }, readTemplate},
	{"pin", func(c *whatsAppContents) json.RawMessage { return c.Pin }, readPin},
}

func parseWhatsApp(body []byte) (request, *graphError) {
	var in whatsAppRequest
	if e := decodeStrict(body, &in); e != nil {
		return request{}, e
	}
	r := request{to: strings.TrimPrefix(in.To, "+"), input: in.To, callback: in.Callback, about: in.MessageID}
	if r.to == "" && in.UserID != "" {
		r.to, r.input, r.userID = in.UserID, in.UserID, true
	}
	if in.Product != "whatsapp" {
		return r, badParameter("The parameter messaging_product is required and must be whatsapp.")
	}
	if in.Status != "" || in.Typing != nil {
		return r, r.whatsAppSign(&in)
	}
	group := in.Recipient == "group"
	switch {
	case in.MessageID != "":
		return r, badParameter("Unexpected key message_id.")
	case in.Recipient != "" && in.Recipient != "individual" && !group:
		return r, badParameter("Param recipient_type must be one of {INDIVIDUAL, GROUP} - got \"" + in.Recipient + "\".")
	case r.to == "":
		return r, badParameter("The parameter to is required.")
	case !r.userID && !group && !digits(r.to, 5, 20):
		return r, badParameter("Param to must be a phone number.")
	case group && (r.userID || digits(r.to, 1, 20)):
		return r, badParameter("Param to must be the id of a group.")
	case in.Type == "pin" && !group:
		return r, badParameter("Messages are pinned in groups only.")
	case in.Context != nil && in.Context.MessageID == "":
		return r, badParameter("The parameter context['message_id'] is required.")
	case in.Context != nil && (in.Type == "reaction" || in.Type == "pin"):
		return r, badParameter("Unexpected key context: a " + in.Type + " names its message itself.")
	}
	return r, first(r.readContent(&in), atMost("biz_opaque_callback_data", in.Callback, CallbackMax))
}

// readContent checks that the request has the content of its type and no other.
func (r *request) readContent(in *whatsAppRequest) (refusal *graphError) {
	var names []string
	known := false
	for _, t := range whatsAppTypes {
		content := t.field(&in.whatsAppContents)
		names = append(names, strings.ToUpper(t.name))
		if t.name != in.Type {
			if content != nil {
				refusal = first(refusal, badParameter("Unexpected key "+t.name+": the message is of type \""+in.Type+"\"."))
			}
			continue
		}
		known = true
		if content == nil || string(content) == "null" {
			return badParameter("The parameter " + t.name + " is required.")
		}
		r.kind = t.name
		var e *graphError
		r.text, e = t.read(t.name, content)
		refusal = first(refusal, e)
	}
	if !known {
		return badParameter("Param type must be one of {" + strings.Join(names, ", ") + "} - got \"" + in.Type + "\".")
	}
	return refusal
}

func (r *request) whatsAppSign(in *whatsAppRequest) *graphError {
	switch {
	case in.Status != "read":
		return badParameter("Param status must be one of {READ}.")
	case in.MessageID == "":
		return badParameter("The parameter message_id is required.")
	case in.To != "" || in.UserID != "" || in.Type != "" || in.Text != nil:
		return badParameter("A status takes no message.")
	case in.Typing != nil && in.Typing.Type != "text":
		return badParameter("Param typing_indicator['type'] must be one of {TEXT}.")
	}
	r.sign = signRead
	if in.Typing != nil {
		r.sign = signTyping
	}
	return nil
}
