package chat

import "time"

// What happens to messages after they were written: edits and withdrawals, before
// an answer, after it, or before the message itself has come.
//
// Meta promises no order. Whatever is told of a message first puts up the row of its
// remote id, without a message; the message then finds the row and what was told.
// The outcome is the same in every order: the same messages, each with its latest
// text or with none.

// came reports whether the message itself was applied before. A row that names no
// message says only that something was told of it, or that it was quarantined.
func (p *step) came() bool {
	k := &p.in.Known
	if !p.known() || !k.RowFound || k.Row.Message != "" || len(k.Early) == 0 {
		return p.known()
	}
	return k.Early[0].Kind == ReceivedQuarantined
}

// introduce indexes the remote id of a message, at the next event's seq.
func (p *step) introduce(f *Inbound, id MessageID) {
	p.row(f.Remote, f.Revision, id, 0)
	if k := &p.in.Known; k.RowFound {
		r := &p.d.Rows[len(p.d.Rows)-1]
		r.Mask, r.First, r.Fresh = k.Row.Mask, k.Row.Since(), false
	}
}

// write emits the event of a message that came in, and what was told of it before.
// A message that was taken back, or that is the new text of one, is stored without
// its content.
func (p *step) write(f *Inbound, e Event) {
	k := &p.in.Known
	revoked := takenBack(k.Early, f.Remote)
	if revoked || p.tooLate(f) {
		e = Redacted(e)
	}
	p.emit(e)
	if revoked {
		p.emit(Event{Kind: MessageRevoked, Deadline: p.c.Deadline, Message: trace(e.Message)})
		return
	}
	for i := range k.Early {
		if c := contentOf(&k.Early[i]); c != nil && c.Edit != nil && c.Edit.Target == f.Remote {
			p.emit(Event{Kind: MessageEdited, Message: edited(e.Message, c.Edit, &k.Early[i])})
		}
	}
}

// tooLate reports whether an update brings content of a message that was taken back.
func (p *step) tooLate(f *Inbound) bool {
	target := f.Target()
	return target != "" && (f.Content == nil || f.Content.Revoke == nil) && takenBack(p.in.Known.About, target)
}

// about applies what an update says of another message. self is the seq of the
// event that keeps the update.
func (p *step) about(f *Inbound, self Seq) {
	target := f.Target()
	if target == "" || p.c.ID == "" {
		return
	}
	k := &p.in.Known
	switch {
	case !k.TargetFound:
		p.d.Rows = append(p.d.Rows, RemoteRow{Remote: target, Conversation: p.c.ID, Seq: self, Fresh: true})
	case k.TargetRow.Conversation != p.c.ID:
		// It is of another conversation: kept, and without effect here.
	case f.Content == nil:
		// An item of another app's thread is shown as it is.
	case f.Content.Revoke != nil:
		p.revoke(target)
	case f.Content.Edit != nil:
		p.edit(f, target)
	}
}

// edit gives a message its new text. While nothing of an answer went out, the turn
// goes over the message again.
func (p *step) edit(f *Inbound, target RemoteID) {
	m := p.target()
	if m == nil || takenBack(p.in.Known.About, target) {
		return
	}
	from := Event{Message: &Message{ProviderTime: f.Time}}
	p.emit(Event{Kind: MessageEdited, Message: edited(m, f.Content.Edit, &from)})
	if t := p.c.Turn; t.Phase == TurnRunning && p.within(t) && p.mayRestart() {
		p.supersede("message_edited")
	}
}

// within reports whether the running turn answers the target.
func (p *step) within(t Turn) bool {
	at := p.in.Known.TargetRow.Seq
	return t.From <= at && at <= t.UpTo
}

// revoke takes a message back: its content goes in the same commit, and an answer
// that nobody waits for any more is not given.
func (p *step) revoke(target RemoteID) {
	k := &p.in.Known
	at := k.TargetRow.Seq
	if takenBack(k.About, target) {
		return
	}
	m := p.target()
	var blobs []string
	for i := range k.About {
		e := &k.About[i]
		if !e.Concerns(target, k.TargetRow.Message) && (m == nil || !e.Answers(m)) {
			continue
		}
		if e.holds() {
			p.d.Redact = append(p.d.Redact, e.Seq)
		}
		if e.Media != nil && e.Media.Blob != "" {
			blobs = append(blobs, e.Media.Blob)
		}
	}
	if m == nil {
		return // it has not come: it will, and find this
	}
	e := Event{Kind: MessageRevoked, Deadline: p.c.Deadline, Message: trace(m)}
	nobody := p.c.WaitingFrom != 0 && at >= p.c.WaitingFrom && !p.othersWait(at)
	if nobody {
		e.Deadline = time.Time{}
	}
	p.emit(e)
	if len(blobs) > 0 || m.Content != nil && len(m.Content.Media) > 0 {
		p.effect(DropMedia{Message: m.ID, Blobs: blobs})
	}
	switch t := p.c.Turn; {
	case nobody:
		p.abandonTurn("message_revoked")
		p.withdraw(at)
	case t.Phase == TurnRunning && p.within(t):
		// The call under way has read it. Restarts are not counted here: each costs
		// the customer a message, and the deadline holds.
		p.supersede("message_revoked")
	}
}

// othersWait reports whether a customer message besides the one at seq at waits for
// an answer.
func (p *step) othersWait(at Seq) bool {
	about := p.in.Known.About
	for i := range about {
		e := &about[i]
		if e.Waits(p.c.WaitingFrom) && e.Seq != at {
			return true
		}
	}
	return false
}

// Waits reports whether e is a customer message, from seq from on, that is to be
// answered.
func (e *Event) Waits(from Seq) bool {
	return e.Kind == MessageReceived && e.Seq >= from && !e.Deadline.IsZero() && !e.Message.Revoked
}

// withdraw cancels what the assistant has queued for the message at seq at or later
// ones, and has not begun to send.
func (p *step) withdraw(at Seq) {
	for _, entry := range append([]OutboxEntry(nil), p.c.Outbox...) {
		if entry.Author == AuthorAssistant && entry.State == SendQueued && entry.Covers >= at {
			p.cancel(entry, "message_revoked")
		}
	}
}

// trace is what the withdrawal of a message says of it.
func trace(m *Message) *Message {
	return &Message{ID: m.ID, RemoteID: m.RemoteID, Direction: m.Direction, Author: m.Author, Type: m.Type, Group: m.Group,
		ProviderTime: m.ProviderTime, Revoked: true}
}

// edited is what an edit says of a message: its id, with the text it has from then on.
// at is the event that tells of the edit.
func edited(m *Message, edit *Edit, at *Event) *Message {
	e := &Message{ID: m.ID, RemoteID: m.RemoteID, Direction: m.Direction, Author: m.Author, Type: m.Type, Group: m.Group,
		Text: edit.Text, Content: &Content{Edit: edit}}
	if edit.Type != "" {
		e.Type = edit.Type
	}
	switch {
	case at.Message != nil:
		e.ProviderTime = at.Message.ProviderTime
	case at.Update != nil:
		e.ProviderTime = at.Update.ProviderTime
	}
	return e
}

// newer reports whether the edit that a says is to be read instead of what b says.
// Instagram numbers edits; WhatsApp dates them.
func newer(a, b *Event) bool {
	x, y := a.Message.Content.Edit.Revision, b.Message.Content.Edit.Revision
	switch s, t := a.Message.ProviderTime, b.Message.ProviderTime; {
	case x != y:
		return x > y
	case !s.Equal(t):
		return s.After(t)
	}
	return a.Seq > b.Seq
}

// takenBack reports whether events say that the message was taken back.
func takenBack(events []Event, remote RemoteID) bool {
	for i := range events {
		e := &events[i]
		if c := contentOf(e); c != nil && c.Revoke != nil && c.Revoke.Target == remote {
			return true
		}
		if e.Message != nil && e.Message.RemoteID == remote && e.Message.Revoked {
			return true
		}
	}
	return false
}

// target is the message that the update is about; nil while it has not come.
func (p *step) target() *Message {
	k := &p.in.Known
	if k.TargetRow.Message == "" {
		return nil
	}
	for i := range k.About {
		if e := &k.About[i]; e.Seq == k.TargetRow.Seq {
			switch e.Kind {
			case MessageReceived, MessageEchoed, MessageQueued, MessageImported:
				return e.Message
			}
		}
	}
	return nil
}

// contentOf is the content of a message or an update; nil for none.
func contentOf(e *Event) *Content {
	switch {
	case e.Message != nil:
		return e.Message.Content
	case e.Update != nil:
		return e.Update.Content
	}
	return nil
}
