package chat

import (
	"slices"
	"time"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// Limits of one conversation.
const (
	// OutboxMax bounds the sends a conversation may owe at once.
	OutboxMax = 64
	// LeftMax bounds the sends of a conversation that were given up as unknown and
	// stay in sight.
	LeftMax = 64
	// RewakeAfter is when a conversation whose obligation is already due, and
	// in other hands (a sender's queue), looks at it again.
	RewakeAfter = 30 * time.Second
	// CallGrace is added to a model call's timeout before it counts as lost.
	CallGrace = 5 * time.Second
	// AttemptOverdue is when an attempt without a result counts as lost. It is
	// far above the HTTP timeout.
	AttemptOverdue = 90 * time.Second
	// RetryBackoffMax caps the pause between attempts and between model calls.
	RetryBackoffMax = 5 * time.Minute
	// ClaimDays is how long claims are kept: Meta repeats a webhook for up to
	// seven days.
	ClaimDays = 9
	// IdempotencyDays is how long a client's key is kept: 24 h, in whole UTC days.
	IdempotencyDays = 2
)

// Step decides what follows from one fact. It does not change s: apply the
// events of the decision to do that. For a conversation without events s holds
// its identity (ID, Tenant, Channel, Kind); for updates that belong to no
// conversation ID is empty.
func Step(s *Conversation, in Input) Decision {
	p := &step{was: s, now: in.Now, in: in, set: in.Settings, c: s.Clone()}
	if !starts(in.Fact) && s.Seq == 0 {
		p.refuse("no_conversation")
		return p.d
	}
	switch f := in.Fact.(type) {
	case *Inbound:
		p.inbound(f)
	case Tick:
		p.tick()
	case ModelAnswered:
		p.modelAnswered(f)
	case ModelFailed:
		p.modelFailed(f)
	case Summarized:
		p.summarized(f)
	case Transcribed:
		p.transcribed(f)
	case ToolFinished:
		p.toolFinished(f)
	case ToolDecision:
		p.toolDecided(f)
	case AttemptDue:
		p.attemptDue(f.Message)
	case AttemptFinished:
		p.attemptFinished(f)
	case MemberSend:
		p.memberSend(f)
	case TakeOver:
		p.takeOver(f)
	case HandBack:
		p.handBack(f)
	case Link:
		p.link(f)
	case Poison:
		p.poison(f)
	case ChannelRefused:
		p.channelRefused(f)
	case ChannelChecked:
		p.channelChecked(f)
	case ChannelBound:
		p.channelBound(f)
	case ChannelHeard:
		p.channelHeard(f)
	case TemplatesFetched:
		p.templatesFetched(f)
	case FetchFinished:
		p.fetchFinished(f)
	case ProfileFetched:
		p.profileFetched(f)
	case FileUploaded:
		p.fileUploaded(f)
	case FileLent:
		p.fileLent(f)
	case KnowledgeChanged:
		p.knowledgeChanged(f)
	case SettingsChange:
		p.settingsChange(f)
	case DraftAssistant:
		p.draftAssistant(f)
	case PublishAssistant:
		p.publishAssistant(f)
	case RollBackAssistant:
		p.rollBackAssistant(f)
	case PlaceAssistant:
		p.placeAssistant(f)
	case SetAllowance:
		p.setAllowance(f)
	case BudgetSeen:
		p.budgetSeen(f)
	case Spent:
		p.spent(f)
	case ToolsPut:
		p.toolsPut(f)
	case CatalogPut:
		p.catalogPut(f)
	case OrdersPut:
		p.ordersPut(f)
	case TrainingPut:
		p.trainingPut(f)
	}
	p.d.Due = s.Armed
	if _, tick := in.Fact.(Tick); tick || len(p.d.Events) > 0 {
		p.d.Due = p.due()
	}
	return p.d
}

// starts reports whether a fact may be the first of a conversation.
func starts(f Fact) bool {
	switch f.(type) {
	case ChannelBound:
		return true
	case *Inbound, Poison, ChannelRefused, ChannelChecked, ChannelHeard, TemplatesFetched, FileUploaded, FileLent, SettingsChange,
		DraftAssistant, PublishAssistant, RollBackAssistant, PlaceAssistant, SetAllowance,
		ToolsPut, CatalogPut, OrdersPut, KnowledgeChanged, BudgetSeen, Spent, TrainingPut:
		return true
	}
	return false
}

// step is one run of Step: the decision so far and the conversation as it will
// be. It lives for one call.
type step struct {
	was *Conversation
	now time.Time
	in  Input
	set *Settings
	c   Conversation
	d   Decision
}

// emit numbers e, applies it and makes it part of the decision.
func (p *step) emit(e Event) {
	e.Time, e.Tenant, e.Channel, e.Conversation = p.now, p.c.Tenant, p.c.Channel, p.c.ID
	if e.Turn != nil && p.c.Work != nil && e.Kind != TurnStarted {
		e.Turn.Version = p.c.Work.Version
	}
	if p.c.ID != "" {
		e.Seq = p.next()
		p.c.Apply(e)
	}
	p.d.Events = append(p.d.Events, e)
	if m := e.Message; m != nil && p.c.ID != "" && (m.Content != nil || e.Kind == MessageRevoked) {
		p.files(&e)
	}
}

// next is the seq of the next event; 0 outside a conversation.
func (p *step) next() Seq {
	if p.c.ID == "" {
		return 0
	}
	return p.c.Seq + 1
}

func (p *step) effect(e Effect) { p.d.Effects = append(p.d.Effects, e) }

func (p *step) duplicate() { p.d.Verdict.Kind = VerdictDuplicate }

func (p *step) refuse(reason string) { p.d.Verdict = Verdict{Kind: VerdictRefused, Reason: reason} }

// due is the due time to store. Moving it later is lazy: the stored row fires
// early and this arms it again. A row whose time has come stays until its tick. Not so
// where nothing is owed but a turn, and somebody is still writing.
func (p *step) due() time.Time {
	at, ok := p.owed()
	if !ok {
		return time.Time{}
	}
	_, tick := p.in.Fact.(Tick)
	if tick && !at.After(p.now) {
		at = p.now.Add(RewakeAfter)
	}
	armed := p.was.Armed
	if p.stillWriting(at) && at.Sub(armed) >= at.Sub(p.now)/quietShare {
		return at
	}
	if !armed.IsZero() && !at.Before(armed) && (!tick || armed.After(p.now)) {
		return armed
	}
	return at
}

// quietShare is the part of a quiet period for which the row of a conversation in which
// somebody is writing is moved: each message of a burst would else move it.
const quietShare = 4

// stillWriting reports whether what is owed first, at a time to come, is the turn, which
// waits for its customer to end or to be tried again. The row goes with the commit then: a
// tick that finds that it came too early costs a commit of its own, as much as a message.
func (p *step) stillWriting(at time.Time) bool {
	t := p.c.Turn
	return t.Phase == TurnWaiting && at.Equal(t.At) && at.After(p.now)
}

// owed is the earliest time the conversation must be looked at. A send whose
// time has come is in its sender's hands, and looked at again only in case the
// sender lost it; so is a file that is being fetched.
func (p *step) owed() (at time.Time, ok bool) {
	c := p.c
	c.Outbox = append([]OutboxEntry(nil), c.Outbox...)
	for i := range c.Outbox {
		if e := &c.Outbox[i]; e.State == SendQueued && !e.At.After(p.now) {
			e.At = p.now.Add(RewakeAfter)
		}
	}
	if c.Fetching != nil {
		files := slices.Clone(c.Fetches())
		for i := range files {
			files[i].At = files[i].look(p.now)
		}
		c.setFetches(files)
	}
	return c.Owes()
}

// tick looks at everything that may have come due, in the order a person would
// want it: pauses, sends, the turn, and last the deadline.
func (p *step) tick() {
	if until := p.c.PausedUntil; !until.IsZero() && !until.After(p.now) {
		p.emit(Event{Kind: HandoffReturned, Handoff: &Handoff{Reason: "pause_ended"}})
	}
	p.tickOutbox()
	p.tickFetches()
	p.tickTurn()
	if p.c.Holder == HolderAssistant && !p.c.Deadline.IsZero() && !p.c.Deadline.After(p.now) && !failpoint.Planted(failpoint.BugForgetDeadline) {
		p.giveUp("silence")
	}
}

// giveUp hands the conversation to people and tells the customer once.
func (p *step) giveUp(reason string) {
	if p.c.Holder != HolderAssistant {
		return
	}
	waiting := p.c.WaitingFrom != 0
	p.abandonTurn(reason)
	quiet := reason == "budget" && p.set.Broke == BrokeHandoff
	if waiting && !quiet && p.c.Window().Open(p.now) && p.c.Owing() < OutboxMax {
		p.queue(Message{Author: AuthorEngine, Text: p.set.Apology})
	}
	p.handoff(reason)
}

// handoff asks people to take over; once they are asked it stays asked.
func (p *step) handoff(reason string) {
	if p.c.Holder == HolderAssistant {
		p.emit(Event{Kind: HandoffRequested, Handoff: &Handoff{Reason: reason}})
	}
}

// queue creates an outbox entry and asks the sender for it.
func (p *step) queue(m Message) MessageID { return p.queueUntil(m, time.Time{}) }

// queueUntil is queue for a message that may not leave from until on.
func (p *step) queueUntil(m Message, until time.Time) MessageID {
	m.ID = MessageIDAt(p.c.ID, p.next())
	m.Direction = DirectionOut
	if m.Type == "" {
		m.Type = TypeText
	}
	if m.Class == 0 {
		m.Class = p.set.ClassOf(p.c.Kind)
	}
	p.emit(Event{Kind: MessageQueued, At: p.now, Deadline: until, Message: &m})
	p.effect(p.wakeOf(&p.c.Outbox[len(p.c.Outbox)-1], p.now))
	return m.ID
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// backoff doubles from one second per try, up to RetryBackoffMax, and is never
// less than what the other side asked for.
func backoff(try int, asked time.Duration) time.Duration {
	d := RetryBackoffMax
	if try >= 1 && try <= 8 {
		d = time.Second << (try - 1)
	}
	return min(max(d, asked), RetryBackoffMax)
}
