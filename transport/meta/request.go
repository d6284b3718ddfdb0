package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// encode builds the body of a send. reason is a word when the message cannot be
// sent on this channel at all: nothing that is over a limit leaves.
func encode(out chat.Outbound) (body []byte, reason string) {
	kind := out.Channel.Kind
	if kind != chat.WhatsApp && kind != chat.Instagram {
		return nil, "unknown_channel_kind"
	}
	m := chat.Message{Type: out.Type, Text: out.Text, Content: out.Content, ReplyTo: out.ReplyTo}
	if wrong := chat.Check(kind, &m); wrong != nil {
		return nil, wrong.Code
	}
	switch {
	case len(out.Content.Blobs()) > 0:
		return nil, "file_not_uploaded"
	case kind == chat.WhatsApp:
		return encodeWhatsApp(out)
	}
	return encodeInstagram(out)
}

// What a plain text holds. Never written to.
var (
	noContent chat.Content
	noOffer   chat.Offer
)

// contentOf is what a message holds; never nil.
func contentOf(out *chat.Outbound) *chat.Content {
	if out.Content != nil {
		return out.Content
	}
	return &noContent
}

// offerOf is the offer of a message; never nil.
func offerOf(out *chat.Outbound) *chat.Offer {
	if out.Content != nil && out.Content.Offer != nil {
		return out.Content.Offer
	}
	return &noOffer
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
