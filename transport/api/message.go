package api

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/valyala/fasthttp"
)

const (
	// textMax is WhatsApp's limit in characters; Instagram's is stricter and is
	// the engine's to enforce.
	textMax = 4096
	// idempotencyMax bounds a client's key, in bytes.
	idempotencyMax = 255
)

// messageRequest is the body of POST …/messages.
type messageRequest struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// sendMessage is POST /v1/conversations/{id}/messages. The same key with the
// same request gets the same answer; with another request it is refused. A
// request without a key gets one, which the answer names.
func (r *call) sendMessage() *failure {
	key, fail := r.idempotencyKey()
	if fail != nil {
		return fail
	}
	var m messageRequest
	if fail := decode(r.ctx.PostBody(), &m, false); fail != nil {
		return fail
	}
	switch {
	case m.Type != chat.TypeText:
		return invalid("parameter_invalid", "type", `type must be "text".`)
	case strings.TrimSpace(m.Text) == "":
		return invalid("parameter_missing", "text", "text must not be empty.")
	case utf8.RuneCountInString(m.Text) > textMax:
		return invalid("text_too_long", "text", "text must be at most 4096 characters.")
	}
	r.ctx.Response.Header.Set("Idempotency-Key", key)
	ctx, cancel := r.writing()
	defer cancel()
	verdict, err := r.opt.Commands.Send(ctx, r.principal.Tenant, r.conversation(), chat.MemberSend{
		Text: m.Text, Member: r.principal.Key, Idempotency: key, Digest: digest("message", string(r.conversation()), m.Type, m.Text),
	})
	if err != nil {
		return r.failed(err)
	}
	failpoint.Hit(failpoint.APIAnswering)
	if verdict.Kind == chat.VerdictRefused {
		return refused(verdict.Reason)
	}
	if verdict.Kind == chat.VerdictDuplicate {
		r.ctx.Response.Header.Set("Idempotent-Replayed", "true")
	}
	b := append(make([]byte, 0, 256+len(m.Text)), `{"id":`...)
	b = appendString(b, string(verdict.Message))
	b = appendMember(b, "conversation_id", string(r.conversation()))
	b = appendMember(b, "direction", chat.DirectionOut.String())
	b = appendMember(b, "author", chat.AuthorMember.String())
	b = appendMember(b, "type", m.Type)
	b = appendMember(b, "text", m.Text)
	b = appendMember(b, "status", "queued")
	r.ctx.SetStatusCode(fasthttp.StatusCreated)
	r.json(append(b, '}'))
	return nil
}

// idempotencyKey returns the client's key, or a new one.
func (r *call) idempotencyKey() (string, *failure) {
	k := string(r.ctx.Request.Header.Peek("Idempotency-Key"))
	if k == "" {
		return newID("idem_"), nil
	}
	if len(k) > idempotencyMax {
		return "", invalid("idempotency_key_invalid", "Idempotency-Key", "Idempotency-Key must be at most 255 bytes.")
	}
	for i := range len(k) {
		if k[i] < ' ' || k[i] > '~' {
			return "", invalid("idempotency_key_invalid", "Idempotency-Key", "Idempotency-Key must be printable ASCII.")
		}
	}
	return k, nil
}

// digest names a request, to tell whether a key is used for the same one.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		s := sha256.Sum256([]byte(p))
		_, _ = h.Write(s[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
