package metasim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of what a business may send.
const (
	WhatsAppTextMax  = 4096 // characters
	InstagramTextMax = 1000 // bytes
	CallbackMax      = 512  // characters of biz_opaque_callback_data
	requestMax       = 1 << 20
)

// request is a well-formed request to an account's messages edge: a text, or a
// sign (read, typing) without one.
type request struct {
	to, text, callback string
	// input is the recipient as the client wrote it.
	input string
	// userID is set when the recipient was given as a business-scoped user id.
	userID bool
	// sign is "" for a message, else "read", "typing" or "typing_off".
	sign string
	// about is the message a read or typing sign is about, on WhatsApp.
	about string
}

type whatsAppRequest struct {
	Product   string `json:"messaging_product"`
	Recipient string `json:"recipient_type"`
	To        string `json:"to"`
	UserID    string `json:"recipient"`
	Type      string `json:"type"`
	Text      *struct {
		Body    string `json:"body"`
		Preview bool   `json:"preview_url"`
	} `json:"text"`
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

func parseWhatsApp(body []byte) (request, *graphError) {
	var in whatsAppRequest
	if e := decodeStrict(body, &in); e != nil {
		return request{}, e
	}
	r := request{to: strings.TrimPrefix(in.To, "+"), input: in.To, callback: in.Callback, about: in.MessageID}
	if in.Text != nil {
		r.text = in.Text.Body
	}
	if r.to == "" && in.UserID != "" {
		r.to, r.input, r.userID = in.UserID, in.UserID, true
	}
	if in.Product != "whatsapp" {
		return r, badParameter("The parameter messaging_product is required and must be whatsapp.")
	}
	if in.Status != "" || in.Typing != nil {
		return r, r.whatsAppSign(in)
	}
	switch {
	case in.MessageID != "":
		return r, badParameter("Unexpected key message_id.")
	case in.Recipient != "" && in.Recipient != "individual":
		return r, badParameter("Param recipient_type must be one of {INDIVIDUAL} - got \"" + in.Recipient + "\".")
	case r.to == "":
		return r, badParameter("The parameter to is required.")
	case !r.userID && !digits(r.to, 5, 20):
		return r, badParameter("Param to must be a phone number.")
	case in.Type != "text":
		return r, badParameter("Param type must be one of {TEXT} - got \"" + in.Type + "\".")
	case in.Text == nil:
		return r, badParameter("The parameter text is required.")
	case strings.TrimSpace(r.text) == "":
		return r, badParameter("The parameter text['body'] is required.")
	case utf8.RuneCountInString(r.text) > WhatsAppTextMax:
		return r, badParameter(fmt.Sprintf("Param text['body'] must be at most %d characters long.", WhatsAppTextMax))
	case utf8.RuneCountInString(in.Callback) > CallbackMax:
		return r, badParameter(fmt.Sprintf("Param biz_opaque_callback_data must be at most %d characters long.", CallbackMax))
	case in.Context != nil && in.Context.MessageID == "":
		return r, badParameter("The parameter context['message_id'] is required.")
	}
	return r, nil
}

func (r *request) whatsAppSign(in whatsAppRequest) *graphError {
	switch {
	case in.Status != "read":
		return badParameter("Param status must be one of {READ}.")
	case in.MessageID == "":
		return badParameter("The parameter message_id is required.")
	case in.To != "" || in.Type != "" || in.Text != nil:
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

type instagramRequest struct {
	Recipient *struct {
		ID string `json:"id"`
	} `json:"recipient"`
	Message *struct {
		Text *string `json:"text"`
	} `json:"message"`
	MessagingType string `json:"messaging_type"`
	Tag           string `json:"tag"`
	Action        string `json:"sender_action"`
}

func parseInstagram(body []byte) (request, *graphError) {
	var in instagramRequest
	if e := decodeStrict(body, &in); e != nil {
		return request{}, e
	}
	var r request
	if in.Recipient != nil {
		r.to, r.input = in.Recipient.ID, in.Recipient.ID
	}
	if in.Message != nil && in.Message.Text != nil {
		r.text = *in.Message.Text
	}
	if !digits(r.to, 1, 40) {
		return r, badParameter("The parameter recipient['id'] is required.")
	}
	if in.Action != "" {
		signs := map[string]string{"mark_seen": signRead, "typing_on": signTyping, "typing_off": signTypingOff}
		r.sign = signs[in.Action]
		if r.sign == "" || in.Message != nil {
			return r, badParameter("Param sender_action must be one of {mark_seen, typing_on, typing_off}, without a message.")
		}
		return r, nil
	}
	switch {
	case in.MessagingType == "MESSAGE_TAG" && in.Tag != "HUMAN_AGENT":
		return r, badParameter("Param tag must be one of {HUMAN_AGENT}.")
	case in.MessagingType != "" && in.MessagingType != "RESPONSE" && in.MessagingType != "MESSAGE_TAG":
		return r, badParameter("Param messaging_type must be one of {RESPONSE, MESSAGE_TAG}.")
	case r.text == "":
		return r, badParameter("The parameter message['text'] is required.")
	case len(r.text) > InstagramTextMax:
		return r, badParameter(fmt.Sprintf("Length of param message[text] must be less than or equal to %d", InstagramTextMax))
	}
	return r, nil
}

// The signs a business can give without a message.
const (
	signRead      = "read"
	signTyping    = "typing"
	signTypingOff = "typing_off"
)

// decodeStrict refuses what Meta would refuse or silently ignore: both are
// mistakes of the client.
func decodeStrict(body []byte, into any) *graphError {
	if !utf8.Valid(body) {
		return badParameter("The body is not valid UTF-8.")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badParameter("The body is not a valid request: " + err.Error())
	}
	if _, err := dec.Token(); err != io.EOF {
		return badParameter("The body is more than one JSON value.")
	}
	return nil
}

func digits(s string, min, max int) bool {
	if len(s) < min || len(s) > max {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
