package actors

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Limits of bringing a result to its conversation.
const (
	// insistWait is how long an answer is waited for before the mail counts as
	// lost: far above the slowest commit.
	insistWait = 30 * time.Second
	insistMin  = 10 * time.Millisecond
	insistMax  = time.Second
	// insistFailures is how often a conversation may fail on a result before it
	// is dropped: what the result was about is then overdue and done again.
	insistFailures = 5
)

// ask posts a mail and waits for its answer or the end of ctx.
func (s *System) ask(ctx context.Context, m *mail) answer {
	in := make(inbox, 1)
	m.to = in
	s.post(m)
	select {
	case a := <-in:
		return a
	case <-ctx.Done():
		m.gone.Store(true)
		return answer{mail: m, err: chat.E("actors", chat.KindUnavailable,
			"no answer in time; repeat with the same key", context.Cause(ctx))}
	}
}

// insist brings a fact to its conversation, however long that takes: until the
// process stops, or the conversation has failed on it too often.
func (s *System) insist(t chat.TenantID, g chat.Group, id chat.ConversationID, fact chat.Fact) {
	s.insistOn(func() *mail {
		return &mail{tenant: t, group: g, conversation: id, exists: true, items: []item{{fact: fact}}}
	})
}

// tell is insist for a fact about a channel.
func (s *System) tell(ch chat.Channel, fact chat.Fact) {
	s.insistOn(func() *mail { return s.about(ch, fact) })
}

// about is a mail of a fact about a channel: it belongs to no conversation.
func (s *System) about(ch chat.Channel, fact chat.Fact) *mail {
	return &mail{tenant: ch.Tenant, group: s.opt.Leadership.Group(ch.Tenant), channel: ch.ID, kind: ch.Kind,
		items: []item{{fact: fact}}}
}

// insistOn posts a mail, made anew each time, until it is done.
func (s *System) insistOn(make func() *mail) {
	pauseMax, failures := insistMin, 0
	for {
		ctx, cancel := context.WithCancel(s.life)
		stop := s.opt.Clock.AfterFunc(insistWait, cancel)
		a := s.ask(ctx, make())
		stop()
		cancel()
		switch chat.KindOf(a.err) {
		case chat.KindBusy, chat.KindUnavailable, chat.KindUnknown, chat.KindFenced:
		default:
			if failures++; a.err == nil || elsewhere(a.err) || failures >= insistFailures {
				return
			}
		}
		if !pause(s.life, s.opt.Clock, jittered(pauseMax, s.opt.Rand)) {
			return
		}
		pauseMax = min(2*pauseMax, insistMax)
	}
}
