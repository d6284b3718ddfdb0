package api

import (
	"strconv"

	"github.com/chumiai/chumi/chat"
)

const (
	conversationsDefault = 50
	conversationsMax     = 200
	// cursorMax bounds what a client can make the views decode.
	cursorMax = 512
)

// listConversations is GET /v1/conversations.
func (r *call) listConversations() *failure {
	limit, fail := r.limit(conversationsDefault, conversationsMax)
	if fail != nil {
		return fail
	}
	cursor := string(r.ctx.QueryArgs().Peek("cursor"))
	if len(cursor) > cursorMax {
		return invalid("cursor_invalid", "cursor", "This cursor is not one this API gave.")
	}
	ctx, cancel := r.reading()
	defer cancel()
	page, next, err := r.opt.Views.Conversations(ctx, r.principal.Tenant, cursor, limit)
	if chat.KindOf(err) == chat.KindInvalid {
		return invalid("cursor_invalid", "cursor", "This cursor is not one this API gave.")
	}
	if err != nil {
		return r.failed(err)
	}
	b := []byte(`{"data":[`)
	for i := range page {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendConversation(b, &page[i])
	}
	b = append(b, ']')
	b = appendNullable(b, "next_cursor", next)
	r.json(append(b, '}'))
	return nil
}

// showConversation is GET /v1/conversations/{id}.
func (r *call) showConversation() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	v, err := r.opt.Views.Conversation(ctx, r.principal.Tenant, r.conversation())
	if err != nil {
		return r.failed(err)
	}
	r.json(appendConversation(nil, &v))
	return nil
}

func appendConversation(dst []byte, v *chat.ConversationView) []byte {
	s := &v.State
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, string(s.ID))
	dst = appendMember(dst, "tenant_id", string(s.Tenant))
	dst = appendMember(dst, "channel_id", string(s.Channel))
	dst = appendMember(dst, "channel_kind", s.Kind.String())
	dst = append(dst, `,"contact":`...)
	dst = appendContact(dst, &v.Contact)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, uint64(s.Seq), 10)
	dst = append(dst, `,"started_at":`...)
	dst = appendTime(dst, s.Started)
	dst = append(dst, `,"active_at":`...)
	dst = appendTime(dst, s.Active)
	dst = appendMember(dst, "holder", s.Holder.String())
	dst = appendOptionalTime(dst, "paused_until", s.PausedUntil)
	if !s.WindowFrom.IsZero() {
		dst = appendOptionalTime(dst, "window_until", s.WindowFrom.Add(chat.WindowSpan))
	}
	dst = append(dst, `,"unread":`...)
	dst = strconv.AppendInt(dst, int64(s.Unread), 10)
	dst = appendMember(dst, "turn", turnWord(s.Turn.Phase))
	dst = append(dst, `,"sends_owed":`...)
	dst = strconv.AppendInt(dst, int64(s.Owing()), 10)
	return append(dst, '}')
}

func turnWord(p chat.TurnPhase) string {
	switch p {
	case chat.TurnWaiting:
		return "waiting"
	case chat.TurnRunning:
		return "running"
	case chat.TurnNone:
	}
	return "none"
}
