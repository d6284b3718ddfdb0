package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
)

type whatsappSend struct {
	Product       string       `json:"messaging_product"`
	RecipientType string       `json:"recipient_type"`
	To            string       `json:"to,omitempty"`
	Recipient     string       `json:"recipient,omitempty"`
	Context       *replyTo     `json:"context,omitempty"`
	Type          string       `json:"type"`
	Text          whatsappBody `json:"text"`
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

type instagramSend struct {
	Recipient instagramUser `json:"recipient"`
	Message   instagramBody `json:"message"`
}

type instagramUser struct {
	ID string `json:"id"`
}

type instagramBody struct {
	Text string `json:"text"`
}

// encode builds the body of a send. reason is a word when the message cannot be
// sent on this channel at all.
func encode(out chat.Outbound) (body []byte, reason string) {
	switch {
	case strings.TrimSpace(out.Text) == "":
		return nil, "empty_text"
	case !utf8.ValidString(out.Text):
		return nil, "text_not_utf8"
	case out.Channel.Kind == chat.WhatsApp:
		return encodeWhatsApp(out)
	case out.Channel.Kind == chat.Instagram:
		return encodeInstagram(out)
	}
	return nil, "unknown_channel_kind"
}

func encodeWhatsApp(out chat.Outbound) ([]byte, string) {
	if utf8.RuneCountInString(out.Text) > WhatsAppTextMax {
		return nil, "text_too_long"
	}
	m := whatsappSend{
		Product: "whatsapp", RecipientType: "individual", Type: chat.TypeText,
		Text: whatsappBody{Body: out.Text}, Callback: string(out.Message),
	}
	switch {
	case out.To.Value == "":
		return nil, "no_recipient"
	case out.To.Kind == chat.WaID || out.To.Kind == chat.Phone:
		// Without the plus Meta puts the business's own country code in front.
		m.To = "+" + strings.TrimPrefix(out.To.Value, "+")
	case out.To.Kind == chat.BSUID || out.To.Kind == chat.ParentBSUID:
		m.Recipient = out.To.Value
	default:
		return nil, "recipient_not_supported"
	}
	if out.ReplyTo != "" {
		m.Context = &replyTo{out.ReplyTo}
	}
	return marshal(m)
}

func encodeInstagram(out chat.Outbound) ([]byte, string) {
	switch {
	case len(out.Text) > InstagramTextMax:
		return nil, "text_too_long"
	case out.To.Value == "":
		return nil, "no_recipient"
	case out.To.Kind != chat.IGSID:
		return nil, "recipient_not_supported"
	}
	return marshal(instagramSend{instagramUser{out.To.Value}, instagramBody{out.Text}})
}

func marshal(v any) ([]byte, string) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, "not_encodable"
	}
	return b, ""
}

// address is the URL of the messages edge of a channel. proof is empty for none.
func address(base, version, account, proof string) string {
	u := strings.TrimRight(base, "/") + "/" + version + "/" + url.PathEscape(account) + "/messages"
	if proof != "" {
		u += "?appsecret_proof=" + proof
	}
	return u
}

// proofOf shows Graph that the caller of a token also holds the app's secret.
func proofOf(secret, token chat.Secret) string {
	m := hmac.New(sha256.New, []byte(secret.Reveal()))
	_, _ = m.Write([]byte(token.Reveal()))
	return hex.EncodeToString(m.Sum(nil))
}
