package chat

import (
	"time"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// attemptDue decides whether an attempt may begin. Sends of a conversation go
// one after another, in the order they were queued.
func (p *step) attemptDue(id MessageID) {
	entry := p.c.Entry(id)
	if entry == nil || entry.State == SendUnknown || entry.State == SendLeft {
		p.effect(ReleaseSend{Message: id})
		return
	}
	if entry.State == SendAttempting {
		return
	}
	if head := p.c.head(); head.Message != id {
		p.effect(ReleaseSend{Message: id})
		p.wakeHead()
		return
	}
	if wait := entry.At.Sub(p.now); wait > 0 {
		p.effect(ReleaseSend{Message: id, RetryAfter: wait})
		p.effect(p.wakeOf(entry, entry.At))
		return
	}
	if reason := p.closed(entry.Pass, entry.Until); reason != "" {
		p.fail(*entry, SendOutcome{Reason: reason})
		return
	}
	n := entry.N + 1
	seq := entry.Seq
	counted := p.counted(entry)
	p.emit(Event{Kind: AttemptStarted, At: p.now.Add(AttemptOverdue),
		Attempt: &Attempt{Message: id, N: n, Epoch: p.in.Epoch}})
	p.effect(StartAttempt{Message: id, N: n, Seq: seq, Counted: counted})
}

// attemptFinished decides about the outcome of one HTTP attempt.
func (p *step) attemptFinished(f AttemptFinished) {
	o := f.Outcome
	found := p.c.Entry(f.Message)
	if found == nil {
		p.lateAccept(f)
		p.effect(ReleaseSend{Message: f.Message})
		return
	}
	entry := *found
	if o.Result == SendAccepted {
		p.accept(entry, f.N, o.Remote, "accepted", p.in.Known.Row.Mask)
		return
	}
	if entry.State != SendAttempting || entry.N != f.N {
		p.effect(ReleaseSend{Message: f.Message})
		return
	}
	if entry.Proven {
		p.ended(entry, o)
		return
	}
	p.optedOut(o.Code, p.now)
	switch o.Result {
	case SendRefused:
		p.fail(entry, o)
	case SendUnstarted:
		p.requeue(entry, o, 0)
	case SendBlocked:
		p.requeue(entry, o, backoff(entry.N, o.RetryAfter))
	case SendThrottled:
		// What holds the channel says nothing about this send: it keeps its place.
		if o.Code != 0 && entry.N >= p.set.AttemptMax && !o.Hold.Channels() {
			p.fail(entry, o)
			return
		}
		p.requeue(entry, o, pause(entry.N, o))
	default:
		p.unanswered(entry, f.N, o)
	}
}

// unanswered handles an attempt whose request may have reached Meta.
func (p *step) unanswered(entry OutboxEntry, n int, o SendOutcome) {
	switch {
	case failpoint.Planted(failpoint.BugRetryUnknown):
		p.requeue(entry, o, 0)
	case failpoint.Planted(failpoint.BugUnknownIsSent):
		p.accept(entry, n, "", "assumed", 0)
	default:
		p.ambiguous(entry, o)
	}
}

// accept records that Graph took the message and indexes its remote id.
func (p *step) accept(entry OutboxEntry, n int, remote RemoteID, reason string, mask Status) {
	if remote != "" {
		row := RemoteRow{
			Remote: remote, Conversation: p.c.ID, Seq: entry.Seq, Message: entry.Message,
			Mask: mask | StatusAccepted, Fresh: !p.in.Known.RowFound,
		}
		if old := &p.in.Known.Row; p.in.Known.RowFound && old.Since() < row.Seq {
			row.First = old.Since()
		}
		p.d.Rows = append(p.d.Rows, row)
	}
	p.emit(Event{Kind: MessageAccepted, Deadline: p.nextDeadline(entry), Attempt: &Attempt{
		Message: entry.Message, N: n, Epoch: entry.Epoch, Remote: remote, Reason: reason}})
	p.settled(entry)
}

// settled frees the sender for the conversation's next entry, unless an attempt
// of this one is still under way.
func (p *step) settled(entry OutboxEntry) {
	if p.c.Entry(entry.Message) == nil {
		p.released(ReleaseSend{Message: entry.Message})
	}
}

// ended settles a send that is known to have gone before, when its latest attempt
// is over and was not accepted.
func (p *step) ended(entry OutboxEntry, o SendOutcome) {
	p.emit(Event{Kind: AttemptEnded, Attempt: &Attempt{
		Message: entry.Message, N: entry.N, Epoch: entry.Epoch, Code: o.Code, Subcode: o.Subcode, Reason: o.Reason}})
	r := ReleaseSend{Message: entry.Message, Blocked: o.Result == SendBlocked, Hold: o.Hold}
	if r.Blocked || o.Result == SendThrottled {
		r.RetryAfter = pause(entry.N, o)
	}
	p.released(r)
}

// lateAccept records an acceptance that came after the entry was settled, so
// that its statuses find their message.
func (p *step) lateAccept(f AttemptFinished) {
	if f.Outcome.Result != SendAccepted || p.in.Known.RowFound {
		return
	}
	_, seq, ok := f.Message.Parse()
	if !ok {
		return
	}
	p.d.Rows = append(p.d.Rows, RemoteRow{
		Remote: f.Outcome.Remote, Conversation: p.c.ID, Seq: seq, Message: f.Message,
		Mask: StatusAccepted, Fresh: true,
	})
	p.emit(Event{Kind: MessageAccepted, Attempt: &Attempt{
		Message: f.Message, N: f.N, Remote: f.Outcome.Remote, Reason: "late"}})
}

// nextDeadline restarts the customer's clock when an answer arrived and newer
// messages still wait.
func (p *step) nextDeadline(entry OutboxEntry) time.Time {
	if entry.Covers < p.c.LastIn && p.c.WaitingFrom != 0 {
		return p.now.Add(p.set.SilenceDeadline)
	}
	return time.Time{}
}

// fail settles a send that will not be attempted again.
func (p *step) fail(entry OutboxEntry, o SendOutcome) {
	if entry.Doubtful {
		p.leaveUnknown(entry, o)
		p.afterFailure(entry, "send_unknown")
		return
	}
	p.refused(entry, o)
}

// leaveUnknown gives up a send that may have arrived. It stays in sight: a status
// or an echo may still tell.
func (p *step) leaveUnknown(entry OutboxEntry, o SendOutcome) {
	p.emit(Event{Kind: StatusChanged, At: p.now, Status: &StatusChange{
		Message: entry.Message, Status: StatusUnknown, Word: StatusUnknown.String(), Code: o.Code, Detail: o.Reason}})
	p.released(ReleaseSend{Message: entry.Message})
}

// refused settles a send that is known not to have gone.
func (p *step) refused(entry OutboxEntry, o SendOutcome) {
	p.emit(Event{Kind: MessageFailed, Attempt: &Attempt{
		Message: entry.Message, N: entry.N, Epoch: entry.Epoch, Code: o.Code, Subcode: o.Subcode, Reason: o.Reason}})
	p.released(ReleaseSend{Message: entry.Message})
	p.afterFailure(entry, "send_failed")
}

// afterFailure asks people when what the customer waits for may never come.
func (p *step) afterFailure(entry OutboxEntry, reason string) {
	if entry.Author != AuthorMember && !entry.unasked() {
		p.abandonTurn(reason)
		p.handoff(reason)
	}
}

// requeue lets a send that is known not to have gone try again later, unless a
// person took over in between.
func (p *step) requeue(entry OutboxEntry, o SendOutcome, pause time.Duration) {
	if entry.Author == AuthorAssistant && p.c.Holder == HolderMember {
		p.cancel(entry, "takeover")
		return
	}
	at := p.now.Add(pause)
	p.emit(Event{Kind: AttemptEnded, At: at, Attempt: &Attempt{
		Message: entry.Message, N: entry.N, Epoch: entry.Epoch, Code: o.Code, Subcode: o.Subcode, Reason: o.Reason, RetryAt: at}})
	p.effect(ReleaseSend{Message: entry.Message, Blocked: o.Result == SendBlocked, RetryAfter: pause, Hold: o.Hold})
	p.effect(p.wakeOf(&entry, at))
}

// cancel withdraws a send before its next attempt.
func (p *step) cancel(entry OutboxEntry, reason string) {
	if entry.Doubtful {
		p.leaveUnknown(entry, SendOutcome{Reason: reason})
		return
	}
	p.emit(Event{Kind: MessageCancelled, Attempt: &Attempt{Message: entry.Message, N: entry.N, Reason: reason}})
	p.released(ReleaseSend{Message: entry.Message})
}

// released frees the sender and wakes it for the next entry of the conversation.
func (p *step) released(r ReleaseSend) {
	p.effect(r)
	p.wakeHead()
}

func (p *step) wakeHead() {
	if head := p.c.head(); head != nil && head.State == SendQueued {
		p.effect(p.wakeOf(head, head.At))
	}
}

// wakeFreed tells the sender that a template which waits for a place in the
// portfolio's limit needs none: the customer has written.
func (p *step) wakeFreed() {
	if head := p.c.head(); head != nil && head.State == SendQueued && head.Lane == LaneTemplate && !p.counted(head) {
		p.effect(p.wakeOf(head, head.At))
	}
}

// cancelAssistant withdraws every queued entry the assistant wrote, and returns
// those whose attempt is under way.
func (p *step) cancelAssistant(reason string) (pending []MessageID) {
	for _, entry := range append([]OutboxEntry(nil), p.c.Outbox...) {
		if entry.Author != AuthorAssistant && entry.Author != AuthorEngine {
			continue
		}
		switch entry.State {
		case SendQueued:
			p.cancel(entry, reason)
		case SendAttempting:
			pending = append(pending, entry.Message)
		}
	}
	return pending
}

func (p *step) takeOver(f TakeOver) {
	if p.c.Holder == HolderMember && p.c.PausedUntil.IsZero() && !p.c.Away {
		p.duplicate()
		p.d.Verdict.Pending = p.attempting()
		return
	}
	p.abandonTurn("takeover")
	pending := p.cancelAssistant("takeover")
	p.emit(Event{Kind: HandoffTaken, Handoff: &Handoff{Reason: "api", Member: f.Member}})
	p.d.Verdict.Pending = pending
}

func (p *step) attempting() (pending []MessageID) {
	for i := range p.c.Outbox {
		if e := &p.c.Outbox[i]; e.State == SendAttempting && e.Author != AuthorMember {
			pending = append(pending, e.Message)
		}
	}
	return pending
}

func (p *step) handBack(f HandBack) {
	if p.c.Holder == HolderAssistant {
		p.duplicate()
		return
	}
	p.emit(Event{Kind: HandoffReturned, Handoff: &Handoff{Reason: "api", Member: f.Member}})
}
