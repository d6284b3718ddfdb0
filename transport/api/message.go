package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/valyala/fasthttp"
)

// idempotencyMax bounds a client's key, in bytes.
const idempotencyMax = 255

// sendMessage is POST /v1/conversations/{id}/messages. The same key with the
// same request gets the same answer; with another request it is refused. A
// request without a key gets one, which the answer names.
func (r *call) sendMessage() *failure {
	key, fail := r.idempotencyKey()
	if fail != nil {
		return fail
	}
	m, fail := r.message()
	if fail != nil {
		return fail
	}
	for _, blob := range m.Content.Blobs() {
		if _, _, received := chat.BlobID(blob).Message(); received && !allows(r.principal, scopeRead) {
			return &errScope
		}
	}
	m.Member, m.Idempotency, m.Digest = r.principal.Key, key, r.digestOf(&m)
	r.ctx.Response.Header.Set("Idempotency-Key", key)
	ctx, cancel := r.writing()
	defer cancel()
	verdict, err := r.opt.Commands.Send(ctx, r.principal.Tenant, r.conversation(), m)
	if err != nil {
		return r.failed(err)
	}
	failpoint.Hit(failpoint.APIAnswering)
	switch {
	case verdict.Kind == chat.VerdictRefused && verdict.Limit != nil && verdict.Reason != "text_too_long":
		return invalid(verdict.Limit.Code, verdict.Limit.Param, verdict.Limit.Message)
	case verdict.Kind == chat.VerdictRefused:
		return refused(verdict.Reason)
	case verdict.Kind == chat.VerdictDuplicate:
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

// message reads the body.
func (r *call) message() (m chat.MemberSend, fail *failure) {
	var in messageRequest
	if fail = decodeStrict(r.ctx.PostBody(), &in); fail != nil {
		return m, fail
	}
	if m, fail = in.send(); fail != nil {
		return m, fail
	}
	switch {
	case m.Type != chat.TypeText:
	case strings.TrimSpace(m.Text) == "":
		return m, invalid("parameter_missing", "text", "text must not be empty.")
	case textTooLong(m.Text):
		return m, invalid("text_too_long", "text", "text must be at most 4096 characters.")
	}
	if fail = r.remote("reply_to", &m.ReplyTo); fail != nil {
		return m, fail
	}
	if m.Content != nil && m.Content.Reaction != nil {
		fail = r.remote("reaction.message_id", &m.Content.Reaction.Target)
	}
	return m, fail
}

// digestOf names the whole of a request.
func (r *call) digestOf(m *chat.MemberSend) string {
	parts := []string{"message", string(r.conversation()), m.Type, m.Text}
	if m.Content != nil || m.ReplyTo != "" {
		content, err := json.Marshal(m.Content)
		if err != nil {
			content = nil // texts and numbers always encode
		}
		parts = append(parts, string(m.ReplyTo), string(content))
	}
	return digest(parts...)
}

// acceptedWithin is how many events after a message of the business Meta's id for
// it is looked for.
const acceptedWithin = 200

// remote exchanges the engine's id of a message of the conversation for Meta's.
// Other ids stay.
func (r *call) remote(param string, id *chat.RemoteID) *failure {
	conversation, seq, own := chat.MessageID(*id).Parse()
	if !own {
		return nil
	}
	unknown := invalid("parameter_invalid", param, param+" is not a message of this conversation that Meta has an id for.")
	if conversation != r.conversation() {
		return unknown
	}
	ctx, cancel := r.reading()
	defer cancel()
	events, err := r.opt.Views.ConversationEvents(ctx, r.principal.Tenant, conversation, seq-1, acceptedWithin)
	if err != nil {
		return r.failed(err)
	}
	for i := range events {
		switch e := &events[i]; {
		case e.Seq == seq && e.Message != nil && e.Message.RemoteID != "":
			*id = e.Message.RemoteID
			return nil
		case e.Kind == chat.MessageAccepted && e.Attempt.Message == chat.MessageID(*id) && e.Attempt.Remote != "":
			*id = e.Attempt.Remote
			return nil
		}
	}
	return unknown
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
