package api

import (
	"context"
	"strconv"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	conversationsDefault = 50
	conversationsMax     = 200
)

// listConversations is GET /v1/conversations.
func (r *call) listConversations() *failure {
	limit, fail := r.limit(conversationsDefault, conversationsMax)
	if fail != nil {
		return fail
	}
	cursor, fail := r.cursor()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	page, next, err := r.opt.Views.Conversations(ctx, r.principal.Tenant, cursor, limit)
	if err != nil {
		return r.pageFailed(err)
	}
	list(r, page, next, appendConversation)
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
	b := appendConversation(nil, &v)
	switch include := string(r.ctx.QueryArgs().Peek("include")); include {
	case "":
	case "participants":
		var a chat.Attendance
		if err := r.attendance(ctx, v.State.Seq, &a); err != nil {
			return r.failed(err)
		}
		b = append(appendAttendance(b[:len(b)-1], &a), '}')
	case "labels":
		l, err := r.labels(ctx, v.State.Seq)
		if err != nil {
			return r.failed(err)
		}
		b = append(appendLabels(b[:len(b)-1], l), '}')
	default:
		return invalid("parameter_invalid", "include", "include must be participants or labels.")
	}
	r.json(b)
	return nil
}

// attendance reads the events of the conversation up to a seq, a page at a time.
func (r *call) attendance(ctx context.Context, upTo chat.Seq, a *chat.Attendance) error {
	for after := chat.Seq(0); after < upTo; {
		events, err := r.opt.Views.ConversationEvents(ctx, r.principal.Tenant, r.conversation(), after, eventsMax)
		if err != nil || len(events) == 0 {
			return err
		}
		for i := range events {
			if events[i].Seq <= upTo {
				a.Add(&events[i])
			}
		}
		after = events[len(events)-1].Seq
	}
	return nil
}

func appendAttendance(dst []byte, a *chat.Attendance) []byte {
	dst = appendOptionalTime(dst, "first_message_at", a.First)
	dst = appendOptionalTime(dst, "last_message_at", a.Last)
	dst = append(dst, `,"duration_seconds":`...)
	dst = strconv.AppendInt(dst, int64(a.Duration()/time.Second), 10)
	dst = append(dst, `,"participants":[`...)
	for i := range a.People {
		p := &a.People[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"kind":`...)
		dst = appendString(dst, p.Author.String())
		dst = appendOptional(dst, "member", p.Member)
		dst = appendOptional(dst, "model", p.Model)
		if p.Simulated {
			dst = append(dst, `,"simulated":true`...)
		}
		dst = append(dst, `,"messages":`...)
		dst = strconv.AppendInt(dst, int64(p.Messages), 10)
		dst = appendOptionalTime(dst, "first_at", p.First)
		dst = appendOptionalTime(dst, "last_at", p.Last)
		dst = append(dst, '}')
	}
	return append(dst, ']')
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
	dst = appendTime(dst, s.Started.Time())
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
	case chat.TurnRunning, chat.TurnWorking:
		return "running"
	case chat.TurnNone:
	}
	return "none"
}
