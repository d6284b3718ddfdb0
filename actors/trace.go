package actors

import (
	"context"
	"strconv"
	"time"

	"github.com/chumiai/chumi/chat"
)

// The spans of a trace, which is what became of one customer message and those that were
// answered with it. A span stands below another:
//
//	webhook             a POST came, and its message was durable
//	  ingress           it was led to its conversation
//	    commit          decided and made durable
//	      turn          from the first call of a model to the answer; a turn that was
//	                    resumed on another node is one
//	        model       one call of a model
//	        tool        one call of a tool
//	        send        one attempt to send
const (
	SpanWebhook = "webhook"
	SpanIngress = "ingress"
	SpanCommit  = "commit"
	SpanTurn    = "turn"
	SpanModel   = "model"
	SpanTool    = "tool"
	SpanSend    = "send"
)

// Span is a piece of work that has ended. It holds no personal data.
type Span struct {
	// Conversation and First, the seq of the first message without an answer, say which
	// trace it is of. They are in the journal: every node that works on the message, now
	// or after a failover, finds the same ones.
	Conversation chat.ConversationID
	First        chat.Seq
	// Name is one of the constants, Of tells spans of a name in a trace apart.
	Name, Of string
	// Parent and ParentOf are the span above; empty for the first.
	Parent, ParentOf string
	Began, Ended     time.Time
	// Outcome is a word of a closed set; Failed that it is a failure.
	Outcome string
	Failed  bool
}

// Tracer is told of spans. It never blocks.
type Tracer interface {
	Span(s Span)
}

// hooked is the key of the time at which a webhook was read, in a context.
type hooked struct{}

// WithWebhook notes in a delivery's context when its webhook was read, for the trace.
func WithWebhook(ctx context.Context, read time.Time) context.Context {
	return context.WithValue(ctx, hooked{}, read)
}

// webhookOf is that time, or else.
func webhookOf(ctx context.Context, other time.Time) time.Time {
	if read, ok := ctx.Value(hooked{}).(time.Time); ok {
		return read
	}
	return other
}

// traced tells of what a commit of an activation made durable. REQUIRES: there is a tracer,
// and the commit was applied. before is the state it was decided on.
func (a *activation) traced(m *mail, d *draft, before *chat.Conversation) {
	now := a.core.opt.Clock.Now()
	for i := range d.commit.Events {
		e := &d.commit.Events[i]
		switch e.Kind {
		case chat.MessageReceived:
			a.receivedSpans(m, d, e, now)
		case chat.TurnAnswered, chat.TurnFailed, chat.TurnSuperseded, chat.TurnAbandoned:
			if e.Turn == nil || e.Turn.From == 0 {
				continue
			}
			s := Span{Conversation: a.state.ID, First: e.Turn.From, Name: SpanTurn, Of: string(e.Turn.ID),
				Parent: SpanCommit, ParentOf: seqWord(e.Turn.From), Began: e.Time, Ended: now,
				Outcome: e.Kind.String(), Failed: e.Kind == chat.TurnFailed}
			if before.Work != nil && !before.Work.Since.IsZero() {
				s.Began = before.Work.Since
			}
			a.core.opt.Tracer.Span(s)
		}
	}
}

func (a *activation) receivedSpans(m *mail, d *draft, e *chat.Event, now time.Time) {
	first := a.state.WaitingFrom
	if first == 0 {
		first = e.Seq
	}
	read, led := m.read, m.led
	if led.IsZero() {
		led = d.now
	}
	if read.IsZero() {
		read = led
	}
	of := seqWord(e.Seq)
	s := Span{Conversation: a.state.ID, First: first, Name: SpanWebhook, Of: of, Began: read, Ended: now}
	if first != e.Seq {
		s.Parent, s.ParentOf = SpanWebhook, seqWord(first)
	}
	a.core.opt.Tracer.Span(s)
	a.core.opt.Tracer.Span(Span{Conversation: s.Conversation, First: first, Name: SpanIngress, Of: of,
		Parent: SpanWebhook, ParentOf: of, Began: led, Ended: now})
	a.core.opt.Tracer.Span(Span{Conversation: s.Conversation, First: first, Name: SpanCommit, Of: of,
		Parent: SpanIngress, ParentOf: of, Began: d.now, Ended: now})
}

// below tells of a span below a turn that began with the given seq. REQUIRES: there is a tracer.
func (s *System) below(turn chat.TurnID, first chat.Seq, span Span) {
	if first == 0 {
		return
	}
	span.First, span.Parent, span.ParentOf, span.Ended = first, SpanTurn, string(turn), s.opt.Clock.Now()
	s.opt.Tracer.Span(span)
}

// firstOf is the first message that a turn answers; 0 when it cannot be read.
func (s *System) firstOf(t chat.TenantID, turn chat.TurnID) chat.Seq {
	id, begun, ok := turn.Parse()
	if !ok {
		return 0
	}
	events, err := s.opt.Journal.Events(t, id, begun-1, 1)
	if err != nil || len(events) == 0 || events[0].Turn == nil {
		return 0
	}
	return events[0].Turn.From
}

// tracedSend tells of an attempt to send what a turn said.
func (s *System) tracedSend(w *sendWork, e chat.StartAttempt, began time.Time, o chat.SendOutcome) {
	events, err := s.opt.Journal.Events(w.tenant, w.conversation, e.Seq-1, 1)
	if err != nil || len(events) == 0 || events[0].Message == nil || events[0].Message.Turn == "" {
		return
	}
	turn := events[0].Message.Turn
	s.below(turn, s.firstOf(w.tenant, turn), Span{Conversation: w.conversation, Name: SpanSend,
		Of: string(e.Message) + "/" + seqWord(chat.Seq(e.N)), Began: began,
		Outcome: o.Result.String(), Failed: o.Result != chat.SendAccepted})
}

func seqWord(n chat.Seq) string { return strconv.FormatUint(uint64(n), 10) }
