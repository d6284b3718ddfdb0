package meta

import (
	"github.com/chumiai/chumi/chat"
)

// instagramSend is the body of POST /{ig-id}/messages: a message, or an action on
// one.
type instagramSend struct {
	Recipient     instagramUser   `json:"recipient"`
	MessagingType string          `json:"messaging_type,omitempty"`
	Tag           string          `json:"tag,omitempty"`
	Message       *instagramBody  `json:"message,omitempty"`
	Action        string          `json:"sender_action,omitempty"`
	Payload       *instagramReact `json:"payload,omitempty"`
}

// instagramUser is a person, or whoever wrote a comment.
type instagramUser struct {
	ID      string `json:"id,omitempty"`
	Comment string `json:"comment_id,omitempty"`
}

type instagramBody struct {
	Text         string                `json:"text,omitempty"`
	QuickReplies []chat.QuickReply     `json:"quick_replies,omitempty"`
	Attachment   *instagramAttachment  `json:"attachment,omitempty"`
	Attachments  []instagramAttachment `json:"attachments,omitempty"`
}

type instagramAttachment struct {
	Type    string            `json:"type"`
	Payload *instagramPayload `json:"payload,omitempty"`
}

type instagramPayload struct {
	URL        string           `json:"url,omitempty"`
	Attachment string           `json:"attachment_id,omitempty"`
	ID         string           `json:"id,omitempty"`
	Template   string           `json:"template_type,omitempty"`
	Elements   []chat.Element   `json:"elements,omitempty"`
	Text       string           `json:"text,omitempty"`
	Buttons    []chat.TapButton `json:"buttons,omitempty"`
}

type instagramReact struct {
	ID       chat.RemoteID `json:"message_id"`
	Reaction string        `json:"reaction,omitempty"`
}

// encodeInstagram builds the body of a message that chat.Check has passed.
func encodeInstagram(out chat.Outbound) ([]byte, string) {
	offer := offerOf(&out)
	m := instagramSend{Recipient: instagramUser{ID: out.To.Value}}
	switch {
	case offer.Comment != "":
		m.Recipient = instagramUser{Comment: offer.Comment}
	case out.To.Value == "":
		return nil, "no_recipient"
	case out.To.Kind != chat.IGSID:
		return nil, "recipient_not_supported"
	}
	if offer.Human {
		m.MessagingType, m.Tag = "MESSAGE_TAG", "HUMAN_AGENT"
	}
	if out.Type == chat.TypeReaction {
		m.Action, m.Payload = "react", &instagramReact{ID: out.Content.Reaction.Target, Reaction: "love"}
		if out.Content.Reaction.Emoji == "" {
			m.Action, m.Payload.Reaction = "unreact", ""
		}
		m.MessagingType, m.Tag = "", ""
		return marshal(m)
	}
	m.Message = instagramMessage(&out, offer)
	return marshal(m)
}

func instagramMessage(out *chat.Outbound, offer *chat.Offer) *instagramBody {
	switch out.Type {
	case chat.TypeImage, chat.TypeVideo, chat.TypeAudio, chat.TypeFile:
		files := make([]instagramAttachment, 0, len(out.Content.Media))
		for i := range out.Content.Media {
			f := &out.Content.Media[i]
			files = append(files, instagramAttachment{out.Type, &instagramPayload{URL: f.URL, Attachment: f.ID}})
		}
		if len(files) > 1 {
			return &instagramBody{Attachments: files}
		}
		return &instagramBody{Attachment: &files[0]}
	case chat.TypeLikeHeart:
		return &instagramBody{Attachment: &instagramAttachment{Type: "like_heart"}}
	case chat.TypeMediaShare:
		return &instagramBody{Attachment: &instagramAttachment{"MEDIA_SHARE", &instagramPayload{ID: offer.Share}}}
	case chat.TypeGenericTemplate:
		return &instagramBody{Attachment: &instagramAttachment{"template",
			&instagramPayload{Template: "generic", Elements: offer.Generic.Elements}}}
	case chat.TypeButtonTemplate:
		return &instagramBody{Attachment: &instagramAttachment{"template",
			&instagramPayload{Template: "button", Text: offer.Buttons.Text, Buttons: offer.Buttons.Buttons}}}
	}
	return &instagramBody{Text: out.Text, QuickReplies: offer.QuickReplies}
}
