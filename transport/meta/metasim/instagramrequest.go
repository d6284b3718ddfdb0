package metasim

import (
	"fmt"
	"unicode/utf8"
)

// Limits of Instagram messages, in characters unless they count something.
const (
	quickRepliesMax  = 13
	quickTitleMax    = 20
	payloadMax       = 1000
	elementsMax      = 10
	elementTextMax   = 80
	elementButtons   = 3
	imagesMax        = 10
	buttonTextMax    = 640
	instagramHuman   = "HUMAN_AGENT"
	messageTypeTag   = "MESSAGE_TAG"
	messageTypeReply = "RESPONSE"
)

// instagramRequest is the body of POST /{ig-id}/messages.
type instagramRequest struct {
	Recipient *struct {
		ID      string `json:"id"`
		Comment string `json:"comment_id"`
	} `json:"recipient"`
	Message       *instagramMessage `json:"message"`
	MessagingType string            `json:"messaging_type"`
	Tag           string            `json:"tag"`
	Action        string            `json:"sender_action"`
	Payload       *struct {
		MessageID string `json:"message_id"`
		Reaction  string `json:"reaction"`
	} `json:"payload"`
}

type instagramMessage struct {
	Text         *string               `json:"text"`
	Attachment   *instagramAttachment  `json:"attachment"`
	Attachments  []instagramAttachment `json:"attachments"`
	QuickReplies []quickReply          `json:"quick_replies"`
}

type quickReply struct {
	Type    string `json:"content_type"`
	Title   string `json:"title"`
	Payload string `json:"payload"`
	Image   string `json:"image_url"`
}

type instagramAttachment struct {
	Type    string `json:"type"`
	Payload *struct {
		URL          string         `json:"url"`
		ID           string         `json:"id"`
		AttachmentID string         `json:"attachment_id"`
		Reusable     bool           `json:"is_reusable"`
		Template     string         `json:"template_type"`
		Text         string         `json:"text"`
		Elements     []element      `json:"elements"`
		Buttons      []actionButton `json:"buttons"`
	} `json:"payload"`
}

type element struct {
	Title    string         `json:"title"`
	Subtitle string         `json:"subtitle"`
	Image    string         `json:"image_url"`
	Default  *actionButton  `json:"default_action"`
	Buttons  []actionButton `json:"buttons"`
}

type actionButton struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	URL     string `json:"url"`
	Payload string `json:"payload"`
}

func parseInstagram(body []byte) (request, *graphError) {
	var in instagramRequest
	if e := decodeStrict(body, &in); e != nil {
		return request{}, e
	}
	var r request
	if in.Recipient != nil {
		if r.to = in.Recipient.ID; r.to == "" {
			r.to, r.comment = in.Recipient.Comment, true
		} else if in.Recipient.Comment != "" {
			return r, badParameter("The parameter recipient takes either id or comment_id.")
		}
		r.input = r.to
	}
	switch {
	case !digits(r.to, 1, 40):
		return r, badParameter("The parameter recipient['id'] is required.")
	case r.comment && (in.Action != "" || in.Tag != "" || in.Message == nil || in.Message.Text == nil):
		return r, badParameter("The reply to a comment is a text.")
	}
	if in.Action != "" {
		return r, r.instagramAction(&in)
	}
	switch {
	case in.Payload != nil:
		return r, badParameter("Unexpected key payload.")
	case in.MessagingType == messageTypeTag && in.Tag != instagramHuman:
		return r, badParameter("Param tag must be one of {HUMAN_AGENT}.")
	case in.MessagingType != messageTypeTag && in.Tag != "":
		return r, badParameter("Unexpected key tag: messaging_type is not MESSAGE_TAG.")
	case in.MessagingType != "" && in.MessagingType != messageTypeReply && in.MessagingType != messageTypeTag:
		return r, badParameter("Param messaging_type must be one of {RESPONSE, MESSAGE_TAG}.")
	case in.Message == nil:
		return r, badParameter("The parameter message is required.")
	}
	r.human = in.Tag == instagramHuman
	return r, r.instagramContent(in.Message)
}

// instagramAction takes what is no message: signs, and reactions, which are sent.
func (r *request) instagramAction(in *instagramRequest) *graphError {
	if in.Message != nil {
		return badParameter("Param sender_action comes without a message.")
	}
	if in.Action == "react" || in.Action == "unreact" {
		if in.Payload == nil || in.Payload.MessageID == "" {
			return badParameter("The parameter payload['message_id'] is required.")
		}
		if in.Action == "react" && in.Payload.Reaction == "" {
			return badParameter("The parameter payload['reaction'] is required.")
		}
		r.kind, r.text = "reaction", shown("reaction", in.Payload.Reaction)
		return nil
	}
	signs := map[string]string{"mark_seen": signRead, "typing_on": signTyping, "typing_off": signTypingOff}
	if r.sign = signs[in.Action]; r.sign == "" || in.Payload != nil {
		return badParameter("Param sender_action must be one of {mark_seen, typing_on, typing_off, react, unreact}.")
	}
	return nil
}

// instagramContent checks that the message is one thing: a text, an attachment or
// several images.
func (r *request) instagramContent(m *instagramMessage) *graphError {
	things := 0
	for _, there := range []bool{m.Text != nil, m.Attachment != nil, m.Attachments != nil} {
		if there {
			things++
		}
	}
	if things > 1 {
		return badParameter("A message is either a text or attachments.")
	}
	switch {
	case m.Attachment != nil:
		r.kind = m.Attachment.Type
		r.text = shown(r.kind, "")
		return first(m.Attachment.check("message['attachment']"), quickReplies(m.QuickReplies))
	case m.Attachments != nil:
		r.kind, r.text = "image", shown("image", "")
		return manyImages(m)
	}
	r.kind = "text"
	if m.Text != nil {
		r.text = *m.Text
	}
	switch {
	case r.text == "":
		return badParameter("The parameter message['text'] is required.")
	case len(r.text) > InstagramTextMax:
		return badParameter(fmt.Sprintf("Length of param message[text] must be less than or equal to %d", InstagramTextMax))
	}
	return quickReplies(m.QuickReplies)
}

func manyImages(m *instagramMessage) *graphError {
	if e := count("message['attachments']", len(m.Attachments), 1, imagesMax); e != nil {
		return e
	}
	for i := range m.Attachments {
		name := fmt.Sprintf("message['attachments'][%d]", i)
		if m.Attachments[i].Type != "image" {
			return badParameter("Param " + name + "['type'] must be one of {image}.")
		}
		if e := m.Attachments[i].check(name); e != nil {
			return e
		}
	}
	return quickReplies(m.QuickReplies)
}

func (a *instagramAttachment) check(name string) *graphError {
	p := a.Payload
	if p == nil && a.Type != "like_heart" {
		return badParameter("The parameter " + name + "['payload'] is required.")
	}
	switch a.Type {
	case "image", "video", "audio", "file":
		if (p.URL == "") == (p.AttachmentID == "") {
			return badParameter("The parameter " + name + "['payload'] takes either url or attachment_id.")
		}
		if p.URL != "" {
			return webLink(name+"['payload']['url']", p.URL)
		}
		return nil
	case "like_heart":
		return nil
	case "MEDIA_SHARE":
		return length(name+"['payload']['id']", p.ID, 64)
	case "template":
		switch p.Template {
		case "generic":
			return genericElements(p.Elements)
		case "button":
			return first(length("payload['text']", p.Text, buttonTextMax), actionButtons("payload['buttons']", p.Buttons, 1))
		}
		return badParameter("Param " + name + "['payload']['template_type'] must be one of {generic, button}.")
	}
	return badParameter("Param " + name + "['type'] is not the type of an attachment - got \"" + a.Type + "\".")
}

func genericElements(elements []element) *graphError {
	if e := count("payload['elements']", len(elements), 1, elementsMax); e != nil {
		return e
	}
	for i, el := range elements {
		name := fmt.Sprintf("payload['elements'][%d]", i)
		if el.Subtitle == "" && el.Image == "" && el.Default == nil && len(el.Buttons) == 0 {
			return badParameter("Param " + name + " needs something besides its title.")
		}
		e := first(length(name+"['title']", el.Title, elementTextMax), atMost(name+"['subtitle']", el.Subtitle, elementTextMax),
			actionButtons(name+"['buttons']", el.Buttons, 0))
		if e != nil {
			return e
		}
		if el.Image != "" {
			if e := webLink(name+"['image_url']", el.Image); e != nil {
				return e
			}
		}
	}
	return nil
}

func actionButtons(name string, buttons []actionButton, min int) *graphError {
	if e := count(name, len(buttons), min, elementButtons); e != nil {
		return e
	}
	for i, b := range buttons {
		at := fmt.Sprintf("%s[%d]", name, i)
		e := length(at+"['title']", b.Title, quickTitleMax)
		switch b.Type {
		case "web_url":
			e = first(e, webLink(at+"['url']", b.URL))
		case "postback":
			e = first(e, length(at+"['payload']", b.Payload, payloadMax))
		default:
			e = badParameter("Param " + at + "['type'] must be one of {web_url, postback}.")
		}
		if e != nil {
			return e
		}
	}
	return nil
}

// quickReplies checks answers to tap. A title that is too long is cut, not refused.
func quickReplies(replies []quickReply) *graphError {
	if e := count("message['quick_replies']", len(replies), 0, quickRepliesMax); e != nil {
		return e
	}
	for i, q := range replies {
		name := fmt.Sprintf("message['quick_replies'][%d]", i)
		switch q.Type {
		case "text":
			if q.Title == "" || q.Payload == "" {
				return badParameter("The parameters " + name + "['title'] and ['payload'] are required.")
			}
			if utf8.RuneCountInString(q.Payload) > payloadMax {
				return atMost(name+"['payload']", q.Payload, payloadMax)
			}
		case "user_phone_number", "user_email":
			if q.Title != "" || q.Payload != "" {
				return badParameter("Param " + name + " of this content_type takes neither title nor payload.")
			}
		default:
			return badParameter("Param " + name + "['content_type'] must be one of {text, user_phone_number, user_email}.")
		}
	}
	return nil
}
