package actors

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Solos are the activations of one process for a caller without actors: it does
// with mail, answers and effects what the actors would, at times of its own
// choice. A simulator on a single goroutine is such a caller. What is decided,
// stored, refused and released is what the actors would have too: placing and
// activations are theirs.
type Solos struct{ sys *System }

// NewSolos checks the options and starts nothing.
func NewSolos(o Options) (*Solos, error) {
	sys, err := New(o)
	if err != nil {
		return nil, err
	}
	return &Solos{sys}, nil
}

// Letter is mail to one conversation. It is handled once.
type Letter struct{ m *mail }

// Reply is what became of a letter.
type Reply struct {
	// Verdicts are one per fact, when Err is nil.
	Verdicts []chat.Verdict
	// Armed is when the conversation must be looked at; zero for never.
	Armed time.Time
	// Err says that not everything is durable. Elsewhere is true when the facts
	// belong to another conversation, see Solos.Relead.
	Err       error
	Elsewhere bool
}

// replyFunc is a replier that calls a function.
type replyFunc func(Reply)

func (f replyFunc) reply(a answer) {
	f(Reply{Verdicts: a.verdicts, Armed: a.armed, Err: a.err, Elsewhere: elsewhere(a.err)})
}

// Lead finds the conversations of updates: one letter for each, in order of first
// appearance. What has no channel is quarantined. It keeps the updates.
func (s *Solos) Lead(ctx context.Context, app chat.AppID, updates []chat.Inbound) ([]*Letter, error) {
	d := delivery{sys: s.sys, ctx: ctx, app: app, began: s.sys.opt.Clock.Now()}
	for i := range updates {
		if err := d.lead(&updates[i]); err != nil {
			return nil, err
		}
	}
	return d.letters(), nil
}

// Relead finds other conversations for what turned out to belong elsewhere.
func (s *Solos) Relead(ctx context.Context, app chat.AppID, list []*Letter) ([]*Letter, error) {
	d := delivery{sys: s.sys, ctx: ctx, app: app, began: s.sys.opt.Clock.Now()}
	for _, l := range list {
		if err := d.relead(l.m); err != nil {
			return nil, err
		}
	}
	return d.letters(), nil
}

func (d *delivery) letters() (list []*Letter) {
	for _, m := range d.mails {
		list = append(list, &Letter{m})
	}
	return list
}

// Write makes a letter with a fact about a conversation that has events.
func (s *Solos) Write(t chat.TenantID, id chat.ConversationID, fact chat.Fact) *Letter {
	return &Letter{&mail{tenant: t, group: s.sys.opt.Leadership.Group(t), conversation: id,
		exists: true, items: []item{{fact: fact}}}}
}

// Tenant is whose conversation the letter is for.
func (l *Letter) Tenant() chat.TenantID { return l.m.tenant }

// Group is the tenant's group.
func (l *Letter) Group() chat.Group { return l.m.group }

// Conversation is who the letter is for; empty for the tenant as a whole.
func (l *Letter) Conversation() chat.ConversationID { return l.m.conversation }

// Then has f called, once, with what became of the letter. f must not block: it
// may be called while another letter is handled. REQUIRES: the letter is not
// handled or refused yet.
func (l *Letter) Then(f func(Reply)) { l.m.to = replyFunc(f) }

// Refuse answers the letter in the place of an activation that is not there or
// may not act: whoever wrote it may repeat it.
func (l *Letter) Refuse() { l.m.refuse(errFenced) }

// Forget says that nobody waits for the reply any more.
func (l *Letter) Forget() { l.m.gone.Store(true) }

// Solo is one conversation's activation. Calls must not overlap.
type Solo struct {
	act activation
	out func(st *chat.Conversation, effects []chat.Effect)
}

// Activate makes the activation of whoever the first letter is for, under the
// epoch of that moment. out is given the effects of every durable commit, in
// order, with the state they follow from; it must not block and keeps nothing of
// the state.
func (s *Solos) Activate(out func(st *chat.Conversation, effects []chat.Effect)) *Solo {
	c := *s.sys.core // with a life of its own
	return &Solo{act: activation{core: &c}, out: out}
}

// Handle makes the facts of letters durable, releases what follows from them and
// answers; it blocks while it appends, which it does with the values of ctx.
// Letters that arrived together share a commit. REQUIRES: all letters are for one
// conversation, always the same.
func (s *Solo) Handle(ctx context.Context, letters []*Letter) {
	s.act.core.life = ctx
	mails := make([]*mail, len(letters))
	for i, l := range letters {
		mails[i] = l.m
	}
	if !s.act.born() {
		s.act.birth(mails[0])
	}
	s.act.handle(mails, s)
}

// release implements sink.
func (s *Solo) release(effects []chat.Effect) {
	if len(effects) > 0 {
		s.out(&s.act.state, effects)
	}
}

// Epoch is the one under which the activation was made; 0 before its first letter.
func (s *Solo) Epoch() chat.Epoch { return s.act.epoch }

// Dead reports whether the state cannot be trusted any more: another activation
// must take over.
func (s *Solo) Dead() bool { return s.act.dead }

// End refuses everybody who still waits for an answer.
func (s *Solo) End() { s.act.abandon() }

// Request is what an attempt shall send, for an effect that was released at the
// given time with a state; or, when unsent has a result, why nothing may leave.
func (s *Solos) Request(st *chat.Conversation, e chat.StartAttempt, at time.Time) (out chat.Outbound, unsent chat.SendOutcome) {
	out, _, unsent = s.sys.request(&sendWork{tenant: st.Tenant, channel: st.Channel, kind: st.Kind, conversation: st.ID,
		contact: st.Contact, effect: e, at: at}, e)
	return out, unsent
}
