package replica

import (
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// simSender is the shell of one SenderCore, as the actor of a channel is.
type simSender struct {
	engine  *engine
	tenant  chat.TenantID
	channel chat.ChannelID
	core    *actors.SenderCore
	// timer numbers the alarms: only the latest counts.
	timer uint64
	wake  time.Time
}

// sender is the one of a conversation's channel.
func (e *engine) sender(st *chat.Conversation) *simSender {
	s := e.senders[st.Channel]
	if s == nil {
		s = &simSender{engine: e, tenant: st.Tenant, channel: st.Channel,
			core: actors.NewSenderCore(e.now(), e.now(), st.Kind, actors.DefaultSendWindow)}
		e.senders[st.Channel] = s
	}
	return s
}

// here reports whether the sender still is the channel's.
func (s *simSender) here() bool { return s.engine.senders[s.channel] == s }

func (s *simSender) work(at time.Time, st *chat.Conversation, effect chat.Effect) {
	now := s.engine.now()
	switch e := effect.(type) {
	case chat.WakeSender:
		s.core.Wake(now, st.ID, e)
	case chat.StartAttempt:
		s.core.Started(now, st.ID, e.Message)
		s.engine.attempt(at, st, e)
	case chat.ReleaseSend:
		s.core.Release(now, st.ID, e)
	}
	s.poll()
}

// poll asks for what may be attempted and sets the alarm for what may not yet.
func (s *simSender) poll() {
	e := s.engine
	now := e.now()
	asks, next := s.core.Poll(now)
	for _, a := range asks {
		l := e.solos.Write(s.tenant, a.Conversation, chat.AttemptDue{Message: a.Message})
		l.Then(func(r actors.Reply) {
			if r.Err == nil {
				return
			}
			e.after(0, func() {
				if s.here() {
					s.core.Refused(e.now(), a.Conversation, a.Message)
					s.poll()
				}
			})
		})
		e.post(l)
	}
	if next.Equal(s.wake) {
		return
	}
	s.timer++
	n := s.timer
	if s.wake = next; next.IsZero() {
		return
	}
	e.after(max(next.Sub(now), 0), func() {
		if s.timer == n && s.here() {
			s.wake = time.Time{}
			s.poll()
		}
	})
}

// attemptTimeout bounds one request to Graph.
const attemptTimeout = 6 * time.Second

// attempt makes the request and brings the outcome to the conversation.
func (e *engine) attempt(at time.Time, st *chat.Conversation, start chat.StartAttempt) {
	g := e.node.store.Group(st.Tenant)
	finish := func(o chat.SendOutcome) {
		if e.hit(nil, failpoint.SendAnswered, g) {
			return
		}
		e.insist(st.Tenant, st.ID, chat.AttemptFinished{Message: start.Message, N: start.N, Outcome: o})
	}
	begins := e.town.sim.between(0, 3*time.Millisecond)
	if e.town.sim.chance(2) {
		begins = e.town.sim.between(0, 4*time.Second) // a process that is starved
	}
	e.after(begins, func() {
		if e.hit(nil, failpoint.AttemptCommitted, g) {
			return
		}
		out, unsent := e.solos.Request(st, start, at)
		if unsent.Result != 0 {
			e.town.total.unsent++
			finish(unsent)
			return
		}
		e.request(out, st, finish)
	})
}

// request takes one request to Graph. finish is told how it ended, if the process
// lives to see that.
func (e *engine) request(out chat.Outbound, st *chat.Conversation, finish func(chat.SendOutcome)) {
	told := false
	tell := func(o chat.SendOutcome) {
		if !told {
			told = true
			if o.Result == chat.SendAmbiguous && e.town.lapse == lapseRetriesDoubt {
				o.Result = chat.SendUnstarted
			}
			finish(o)
		}
	}
	e.town.total.requests++
	e.after(attemptTimeout, func() { tell(chat.SendOutcome{Result: chat.SendAmbiguous, Reason: "timeout"}) })
	who := *st
	e.town.graph.travel(func() {
		outcome, answered := e.town.graph.take(&who, out)
		if answered {
			e.after(e.town.sim.between(time.Millisecond, 50*time.Millisecond), func() { tell(outcome) })
		}
	})
}
