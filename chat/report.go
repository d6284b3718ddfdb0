package chat

import "github.com/chumiai/chumi/metrics/failpoint"

// reported decides about a delivery report or a read mark.
func (p *step) reported(f *Inbound) {
	status, knownWord := ParseStatus(f.Type)
	word := f.Type
	if f.Kind == InboundRead {
		status, word, knownWord = StatusRead, StatusRead.String(), true
	}
	single := knownWord && f.Participant == ""
	row, found := p.in.Known.Row, p.in.Known.RowFound
	if p.in.Known.Seen || p.in.Known.Erased || (single && found && row.Mask&status != 0) {
		p.duplicate()
		return
	}
	p.begin(f)
	if !found {
		row = RemoteRow{Remote: f.Remote, Conversation: p.c.ID, Seq: p.next(), Fresh: true}
		if c, seq, ok := MessageID(f.Callback).Parse(); ok && c == p.c.ID {
			row.Message, row.Seq = MessageID(f.Callback), seq
		}
	}
	before := row.Mask.Effective()
	if single {
		row.Mask |= status
	} else {
		p.claimDigest(f)
	}
	if entry := p.c.Entry(row.Message); entry != nil && row.Message != "" {
		p.resolve(*entry, f, status)
		row.Mask |= StatusAccepted
	}
	if f.Remote != "" {
		p.d.Rows = append(p.d.Rows, row)
	}
	p.emit(Event{Kind: StatusChanged, Status: &StatusChange{
		Message: row.Message, Remote: f.Remote, Status: status, Word: word,
		Code: f.Code, Detail: f.Detail, Participant: f.Participant, ProviderTime: f.Time,
		Content: f.Content, Raw: f.Raw,
	}})
	p.optedOut(f.Code, occurred(f.Time, p.now))
	if single && row.Message != "" && before != StatusFailed && row.Mask.Effective() == StatusFailed {
		p.abandonTurn("send_failed")
		p.handoff("send_failed")
	}
}

// resolve ends an outbox entry whose fate a status tells. What it tells of an
// entry that was attempted before may be of that attempt: the one under way can
// still arrive, and the entry stays until it has ended.
func (p *step) resolve(entry OutboxEntry, f *Inbound, status Status) {
	again := entry.again()
	switch {
	case again && (entry.Proven || status == StatusFailed):
		// The attempt under way will tell.
	case status == StatusFailed:
		p.refused(entry, SendOutcome{Code: f.Code, Reason: "failed"})
	default:
		p.emit(Event{Kind: MessageAccepted, Deadline: p.nextDeadline(entry), Attempt: &Attempt{
			Message: entry.Message, N: entry.told(), Remote: f.Remote, Reason: "status"}})
		p.settled(entry)
	}
}

// tickOutbox looks at the sends that are owed.
func (p *step) tickOutbox() {
	for _, entry := range append([]OutboxEntry(nil), p.c.Outbox...) {
		switch {
		case entry.State == SendQueued:
			if !entry.At.After(p.now) && !failpoint.Planted(failpoint.BugForgetQueued) {
				p.effect(p.wakeOf(&entry, p.now))
			}
		case entry.State == SendAttempting && (entry.Epoch != p.in.Epoch || !entry.At.After(p.now)):
			if failpoint.Planted(failpoint.BugAttemptingIsQueued) {
				p.requeue(entry, SendOutcome{Reason: "restarted"}, 0)
				continue
			}
			if failpoint.Planted(failpoint.BugForgetAttempt) {
				continue
			}
			if entry.Proven {
				p.ended(entry, SendOutcome{Reason: "lost"})
				continue
			}
			p.ambiguous(entry, SendOutcome{Reason: "lost"})
		case entry.State == SendUnknown && !entry.At.After(p.now):
			p.reconciled(entry)
		}
	}
}

// reconciled decides about a send no status or echo told the fate of.
func (p *step) reconciled(entry OutboxEntry) {
	mine := entry.Author != AuthorAssistant || p.c.Holder == HolderAssistant
	if entry.Class == AtLeastOnce && entry.N < p.set.AttemptMax && mine {
		p.requeue(entry, SendOutcome{Reason: "not_reconciled"}, 0)
		return
	}
	p.leaveUnknown(entry, SendOutcome{})
	if entry.unasked() {
		return
	}
	p.abandonTurn("send_unknown")
	p.handoff("send_unknown")
}

// ambiguous marks a send that may or may not have gone.
func (p *step) ambiguous(entry OutboxEntry, o SendOutcome) {
	p.emit(Event{Kind: StatusChanged, At: p.now.Add(p.set.ReconcileAfter), Status: &StatusChange{
		Message: entry.Message, Status: StatusUnknown, Word: StatusUnknown.String(), Code: o.Code, Detail: o.Reason}})
	p.effect(ReleaseSend{Message: entry.Message})
}
