package meta

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/chumiai/chumi/chat"
)

// whatsappSign marks a message as read, with all before it.
type whatsappSign struct {
	Product   string        `json:"messaging_product"`
	Status    string        `json:"status"`
	MessageID chat.RemoteID `json:"message_id"`
	Typing    *typingSign   `json:"typing_indicator,omitempty"`
}

type typingSign struct {
	Type string `json:"type"`
}

// encodeSign builds the bodies that show a sign: one on WhatsApp, where writing is
// shown with reading, up to two on Instagram.
func encodeSign(s *chat.Sign) (bodies [][]byte, reason string) {
	var list []any
	switch {
	case s.Channel.Kind == chat.WhatsApp && s.Message != "":
		m := whatsappSign{Product: "whatsapp", Status: "read", MessageID: s.Message}
		if s.Typing {
			m.Typing = &typingSign{Type: "text"}
		}
		list = append(list, m)
	case s.Channel.Kind == chat.Instagram && s.To.Kind == chat.IGSID && s.To.Value != "":
		list = append(list, instagramSend{Recipient: instagramUser{ID: s.To.Value}, Action: "mark_seen"})
		if s.Typing {
			list = append(list, instagramSend{Recipient: instagramUser{ID: s.To.Value}, Action: "typing_on"})
		}
	default:
		return nil, "no_recipient"
	}
	for _, v := range list {
		b, reason := marshal(v)
		if reason != "" {
			return nil, reason
		}
		bodies = append(bodies, b)
	}
	return bodies, ""
}

// Show tells a customer that their messages were read, and that an answer is being
// written. It asks once: a sign that does not arrive is none.
func (c *Client) Show(ctx context.Context, s chat.Sign) error {
	const op = "meta.Show"
	bodies, reason := encodeSign(&s)
	if reason != "" {
		return chat.E(op, chat.KindInvalid, reason, nil)
	}
	for _, body := range bodies {
		if err := c.show(ctx, &s.Channel, body); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) show(ctx context.Context, ch *chat.Channel, body []byte) error {
	const op = "meta.Show"
	base, proof := c.messagesEdge(ch)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address(base, c.options.Version, ch.Account, proof), bytes.NewReader(body))
	if err != nil {
		return chat.E(op, chat.KindInvalid, "bad_address", nil)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+ch.Token.Reveal())
	// NB: no error of the HTTP client goes further: its text holds the URL with
	// the proof.
	res, err := c.options.HTTPClient.Do(req)
	if err != nil {
		return chat.E(op, chat.KindUnavailable, "unreachable", nil)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, responseMax))
	if err != nil {
		return chat.E(op, chat.KindUnavailable, "response_cut", nil)
	}
	w := works.Get().(*work)
	defer works.Put(w)
	if checkLimits(answer) != nil {
		return chat.E(op, chat.KindOther, "unrecognised_response", nil)
	}
	v, err := w.parser.ParseBytes(answer)
	if err != nil || !empty(v.Get("error")) {
		return chat.E(op, chat.KindOther, "refused", nil)
	}
	return nil
}
