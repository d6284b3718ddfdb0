package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

const (
	// attemptStartMax is how long after its commit a request may begin: later
	// than that somebody may have taken it for lost.
	attemptStartMax = 2 * time.Second
	// tokenLookEvery is how often a blocked channel is looked at for a new token.
	tokenLookEvery = 5 * time.Second
	// standingLookEvery is how old what a sender knows of its channel's standing may
	// be while it sends, or waits for being let go.
	standingLookEvery = time.Second
)

// senderActor is the shell of one SenderCore: it asks conversations for
// attempts and makes the requests on goroutines of their own. It never blocks
// in Receive and never appends.
type senderActor struct {
	sys *System
	// tenant, channel and kind are known from the first work on.
	tenant  chat.TenantID
	channel chat.ChannelID
	group   chat.Group
	core    *SenderCore
	// gate is what the requests pass, on their goroutines.
	gate *gate
	// refusedToken is the token the channel was blocked with.
	refusedToken chat.Secret
	self         *actor.PID
	// held is why the channel's standing forbids sends, as of looked; empty when
	// it does not.
	held   string
	looked time.Time
	// waba and app are what it shares holds with, heard is what customers wrote to it
	// since it asked last, hearings is room for that.
	waba, app holdKey
	// portfolio is whose messaging limit it shares.
	portfolio string
	heard     *earshot
	hearings  []hearing
	// waiting is what this sender added to the gauge of waiting sends.
	waiting int
	// crowded is what it added to the gauge of conversations without a place.
	crowded int

	timer uint64
	wake  time.Time
	stop  func() bool
}

func newSender(s *System) *senderActor { return &senderActor{sys: s} }

// Receive implements actor.Actor.
func (s *senderActor) Receive(ctx actor.Context) {
	defer recovered(s.sys.core, ctx, "sender")
	now := s.sys.opt.Clock.Now()
	switch m := ctx.Message().(type) {
	case *sendWork:
		s.work(ctx, now, m)
	case *attemptRefused:
		if s.core != nil { // it may be of an instance before a restart
			s.core.Refused(now, m.conversation, m.message)
		}
	case *reserved:
		if s.core != nil {
			s.core.Reserved(now, m.list)
		}
	case senderTimer:
		if m.n != s.timer {
			return
		}
		s.wake = time.Time{}
	case sweep:
		if s.core != nil && s.core.Idle(now) {
			ctx.Send(ctx.Parent(), &leaveNotice{key: keyOf(ctx.Self())})
		}
		return
	case *actor.Stopping, *actor.Restarting:
		s.disarm()
		s.sys.met.Graph.Waiting.Sub(float64(s.waiting))
		s.sys.met.Graph.Crowded.Sub(float64(s.crowded))
		return
	default:
		return
	}
	s.poll(ctx, now)
}

func (s *senderActor) work(ctx actor.Context, now time.Time, w *sendWork) {
	if s.core == nil {
		s.tenant, s.channel, s.self = w.tenant, w.channel, ctx.Self()
		s.group = s.sys.opt.Leadership.Group(w.tenant)
		born := time.UnixMilli(s.sys.core.reigns[s.group].Load())
		s.core = NewSenderCore(now, born, w.kind, s.sys.opt.SendWindow)
		s.gate = newGate(w.kind, s.sys.opt.Clock)
		s.heard = s.sys.core.ear.listen(w.channel)
	}
	switch e := w.effect.(type) {
	case chat.WakeSender:
		s.core.Wake(now, w.conversation, e)
	case chat.StartAttempt:
		s.core.Started(now, w.conversation, e.Message)
		w.uncovered = e.Counted && !s.core.Covered(now, w.conversation)
		s.attempt(w, e)
	case chat.ReleaseSend:
		if e.Blocked {
			if ch, ok := s.sys.opt.Directory.ChannelByID(s.channel); ok {
				s.refusedToken = ch.Token
			}
		}
		s.share(now, e)
		s.core.Release(now, w.conversation, e)
	}
}

// lookForToken ends the rest of a blocked channel when its token was replaced.
func (s *senderActor) lookForToken(now time.Time) {
	if !s.core.Blocked(now) {
		return
	}
	if ch, ok := s.sys.opt.Directory.ChannelByID(s.channel); ok && ch.Token != s.refusedToken {
		s.core.Unblock(now)
	}
}

// poll asks for what may be attempted and arms the timer for what may not yet.
func (s *senderActor) poll(ctx actor.Context, now time.Time) {
	if s.core == nil || !s.sys.attempts.open() || s.sys.held(s.tenant) {
		return
	}
	s.lookForToken(now)
	s.lookAtStanding(now)
	s.lookAtPace(now)
	asks, next := s.core.Poll(now)
	for _, a := range asks {
		ctx.Send(ctx.Parent(), &mail{tenant: s.tenant, group: s.group, conversation: a.Conversation,
			exists: true, items: []item{{fact: chat.AttemptDue{Message: a.Message}}},
			to: &asker{sender: s, ask: a}})
	}
	next = s.reserve(now, next)
	waiting := s.core.Waiting()
	s.sys.met.Graph.Waiting.Add(float64(waiting - s.waiting))
	s.waiting = waiting
	if s.core.Blocked(now) {
		next = sooner(next, now.Add(tokenLookEvery))
	}
	if s.held != "" && waiting > 0 {
		next = sooner(next, s.looked.Add(standingLookEvery))
	}
	s.arm(now, next)
}

// lookAtStanding holds everything while Meta refuses the channel's token or
// account: an attempt would change nothing but the number's reputation. What is
// held goes on in its order once that has ended.
func (s *senderActor) lookAtStanding(now time.Time) {
	if s.core.Waiting() == 0 || now.Before(s.looked.Add(standingLookEvery)) {
		return
	}
	s.looked = now
	ch, ok := s.sys.opt.Directory.ChannelByID(s.channel)
	if !ok {
		return
	}
	st := s.sys.standing(ch)
	held := st.Sending(now)
	if held == "" && s.held != "" {
		s.core.Unblock(now)
	}
	s.held = held
	s.core.Hold(held != "")
	s.core.Rate(now, st.PerSecond)
	s.gate.rate(now, st.PerSecond)
	s.waba, s.app = wabaKey(ch), appKey(ch)
	s.lookAtPortfolio(now, &ch, &st)
}

// asker returns an AttemptDue mail that was not processed to its sender.
type asker struct {
	sender *senderActor
	ask    Ask
}

func (a *asker) reply(r answer) {
	if r.err != nil {
		s := a.sender
		s.sys.root.Send(s.self, &attemptRefused{conversation: a.ask.Conversation, message: a.ask.Message})
	}
}

func (s *senderActor) arm(now, next time.Time) {
	if next.Equal(s.wake) {
		return
	}
	s.disarm()
	if s.wake = next; next.IsZero() {
		return
	}
	s.timer++
	n, self := s.timer, s.self
	s.stop = s.sys.opt.Clock.AfterFunc(next.Sub(now), func() { s.sys.root.Send(self, senderTimer{n}) })
}

func (s *senderActor) disarm() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// attempt makes the request on its own goroutine and brings the outcome to the
// conversation.
func (s *senderActor) attempt(w *sendWork, e chat.StartAttempt) {
	sys, group, gate := s.sys, s.group, s.gate
	counted := sys.attempts.enter()
	running := sys.workers.run(func() {
		outcome := chat.SendOutcome{Result: chat.SendUnstarted, Reason: "shutting_down"}
		if counted {
			defer sys.attempts.leave()
			outcome = sys.send(w, e, gate)
			failpoint.Hit(failpoint.SendAnswered)
		}
		sys.insist(w.tenant, group, w.conversation,
			chat.AttemptFinished{Message: e.Message, N: e.N, Outcome: outcome})
	})
	if counted && !running {
		sys.attempts.leave()
	}
}

// send loads what the request needs and makes it, once the gate lets it.
func (s *System) send(w *sendWork, e chat.StartAttempt, g *gate) chat.SendOutcome {
	failpoint.Hit(failpoint.AttemptCommitted)
	if w.uncovered {
		return uncovered
	}
	out, lane, unsent := s.request(w, e)
	if unsent.Result != 0 {
		return unsent
	}
	latest := w.at.Add(attemptStartMax)
	passed := g.pass(s.life, lane, latest)
	began := s.opt.Clock.Now()
	if !passed || began.After(latest) {
		return startedLate
	}
	if total, ok := s.laps.sent(w.conversation, began); ok {
		s.met.Graph.Engine.Observe(total.Seconds())
	}
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	stop := s.opt.Clock.AfterFunc(s.opt.AttemptTimeout, cancel)
	defer stop()
	outcome := s.opt.Graph.Send(ctx, out)
	if s.opt.Tracer != nil {
		s.tracedSend(w, e, began, outcome)
	}
	if outcome.Result == chat.SendBlocked {
		s.refused(out.Channel, outcome)
	}
	return outcome
}

// refused tells the tenant that Meta refuses a channel as a whole. Of many sends
// under way at that time one is enough.
func (s *System) refused(ch chat.Channel, o chat.SendOutcome) {
	st := s.standing(ch)
	current, ok := s.opt.Directory.ChannelByID(ch.ID)
	if !ok || current.Token != ch.Token || st.Sending(s.opt.Clock.Now()) != "" {
		return
	}
	s.workers.run(func() {
		s.tell(ch, chat.ChannelRefused{Channel: ch.ID, Token: chat.TokenDigest(ch.Token), Outcome: o})
	})
}

// startedLate is the outcome of an attempt that is not begun because its commit is
// too long ago: it is committed again.
var startedLate = chat.SendOutcome{Result: chat.SendUnstarted, Reason: "started_late"}

// request gathers what is to be sent, and its lane. An outcome with a result says
// that nothing may leave.
func (s *System) request(w *sendWork, e chat.StartAttempt) (out chat.Outbound, lane chat.Lane, unsent chat.SendOutcome) {
	if out, lane, unsent = s.outbound(w, e); unsent.Result != 0 {
		return out, lane, unsent
	}
	if unsent = s.upload(&out); unsent.Result != 0 {
		return out, lane, unsent
	}
	if s.opt.Clock.Now().Sub(w.at) > attemptStartMax {
		unsent = startedLate
	}
	return out, lane, unsent
}

// unreadablePause is when a send is tried again whose message or receiver could
// not be read.
const unreadablePause = 30 * time.Second

// outbound gathers the message, its receiver, its channel and its lane. When one of them
// is missing, the outcome with a result says so: nothing has left.
func (s *System) outbound(w *sendWork, e chat.StartAttempt) (out chat.Outbound, lane chat.Lane, missing chat.SendOutcome) {
	events, err := s.opt.Journal.Events(w.tenant, w.conversation, e.Seq-1, 1)
	if err != nil || len(events) == 0 || events[0].Message == nil {
		return out, lane, chat.SendOutcome{Result: chat.SendThrottled, Reason: "message_unreadable", RetryAfter: unreadablePause}
	}
	contact, err := s.opt.Contacts.Contact(w.tenant, w.contact)
	if err != nil {
		return out, lane, chat.SendOutcome{Result: chat.SendThrottled, Reason: "contact_unreadable", RetryAfter: unreadablePause}
	}
	ch, ok := s.opt.Directory.ChannelByID(w.channel)
	switch {
	case !ok:
		return out, lane, chat.SendOutcome{Result: chat.SendBlocked, Reason: "channel_unknown"}
	case ch.Disconnected != 0:
		return out, lane, chat.SendOutcome{Result: chat.SendBlocked, Reason: "channel_disconnected"}
	}
	to, ok := contact.Recipient()
	if !ok {
		return out, lane, chat.SendOutcome{Result: chat.SendRefused, Reason: "no_address"}
	}
	m := events[0].Message
	return chat.Outbound{Channel: ch, To: to, Message: m.ID, Type: m.Type, Text: m.Text, Content: m.Content, ReplyTo: m.ReplyTo}, chat.LaneOf(m), missing
}
