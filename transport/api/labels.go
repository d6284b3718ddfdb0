package api

import (
	"context"
	"strconv"

	"github.com/chumiai/chumi/chat"
)

// labels are what the assistant made of a conversation, latest word first: of its
// latest structured answer, and its latest summary. Nil for none yet.
type labels struct {
	answer, summary *chat.Event
}

// labels reads the events of the conversation from its end, a page at a time, until
// both are found.
func (r *call) labels(ctx context.Context, upTo chat.Seq) (l labels, err error) {
	for before := upTo + 1; before > 1 && (l.answer == nil || l.summary == nil); {
		after := chat.Seq(0)
		if before > eventsMax+1 {
			after = before - eventsMax - 1
		}
		events, err := r.opt.Views.ConversationEvents(ctx, r.principal.Tenant, r.conversation(), after, int(before-after-1)) // #nosec G115 -- at most eventsMax
		if err != nil {
			return l, err
		}
		for i := len(events) - 1; i >= 0; i-- {
			e := &events[i]
			switch {
			case l.answer == nil && e.Kind == chat.TurnAnswered && e.Turn != nil && e.Turn.Response != nil:
				l.answer = e
			case l.summary == nil && e.Kind == chat.SummaryMade && e.Summary != nil:
				l.summary = e
			}
		}
		before = after + 1
	}
	return l, nil
}

// appendLabels writes both as members.
func appendLabels(dst []byte, l labels) []byte {
	dst = append(dst, `,"labels":`...)
	if e := l.answer; e == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, `{"seq":`...)
		dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
		dst = append(dst, `,"time":`...)
		dst = appendTime(dst, e.Time)
		dst = appendMember(dst, "intent", e.Turn.Response.Intent)
		dst = appendMember(dst, "sentiment", e.Turn.Response.Sentiment)
		dst = appendMember(dst, "language", e.Turn.Response.Language)
		if e.Turn.Simulated {
			dst = append(dst, `,"simulated":true`...)
		}
		dst = append(dst, '}')
	}
	if l.summary == nil {
		return append(dst, `,"summary":null`...)
	}
	return appendSummary(dst, l.summary.Summary)
}

// showSummary is GET /v1/conversations/{id}/summary.
func (r *call) showSummary() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	v, err := r.opt.Views.Conversation(ctx, r.principal.Tenant, r.conversation())
	if err != nil {
		return r.failed(err)
	}
	l, err := r.labels(ctx, v.State.Seq)
	if err != nil {
		return r.failed(err)
	}
	b := appendString([]byte(`{"conversation_id":`), string(v.State.ID))
	r.json(append(appendLabels(b, l), '}'))
	return nil
}
