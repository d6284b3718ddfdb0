package chat

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// inbound decides about one decoded update.
func (p *step) inbound(f *Inbound) {
	if f.Group != "" && p.set.IgnoreGroups && f.Kind != InboundStatus {
		return
	}
	switch f.Kind {
	case InboundMessage:
		p.received(f)
		p.wantProfile(f)
	case InboundStatus, InboundRead:
		p.reported(f)
	case InboundEcho:
		p.echoed(f)
	case InboundUpdate:
		p.updated(f)
	case InboundImport:
		p.imported(f)
	}
}

// begin starts the conversation with its first update, or links identifiers
// that are new.
func (p *step) begin(f *Inbound) {
	place := p.in.Known.Place
	if p.c.ID == "" || (p.c.Seq > 0 && len(place.Missing) == 0) {
		return
	}
	gaveUp := p.in.Known.Contact.gaveUp
	missing, customer := place.Missing, f.Customer
	if p.c.Seq > 0 && slices.ContainsFunc(missing, gaveUp) {
		missing = slices.DeleteFunc(slices.Clone(missing), gaveUp)
		customer = slices.DeleteFunc(slices.Clone(customer), gaveUp)
		if len(missing) == 0 {
			return
		}
	}
	kind, contact := ContactLinked, p.in.Known.Contact
	if p.c.Seq == 0 {
		kind, contact = ConversationStarted, Contact{ID: place.Contact}
	}
	contact.ID, contact.Conversation = place.Contact, p.c.ID
	contact.Addresses = union(customer, contact.Addresses)
	if f.Name != "" {
		contact.Name = f.Name
	}
	p.emit(Event{Kind: kind, Contact: &contact})
	p.d.Contact = &contact
	for _, a := range missing {
		p.d.Claims = append(p.d.Claims, Claim{Kind: ClaimAddress, Address: a})
	}
}

func union(have, add []Address) []Address {
	out := append([]Address(nil), have...)
next:
	for _, a := range add {
		for _, b := range out {
			if a == b {
				continue next
			}
		}
		out = append(out, a)
	}
	return out
}

// row indexes a remote id that this fact introduces, at the next event's seq.
func (p *step) row(remote RemoteID, revision string, message MessageID, mask Status) {
	p.d.Rows = append(p.d.Rows, RemoteRow{
		Remote: remote, Revision: revision, Conversation: p.c.ID, Seq: p.next(),
		Message: message, Mask: mask, Fresh: !failpoint.Planted(failpoint.BugSkipDedupe),
	})
}

// known reports whether the update was applied before.
func (p *step) known() bool {
	return (p.in.Known.RowFound || p.in.Known.Seen) && !failpoint.Planted(failpoint.BugSkipDedupe)
}

func (p *step) received(f *Inbound) {
	if p.came() {
		p.duplicate()
		return
	}
	p.begin(f)
	id := MessageIDAt(p.c.ID, p.next())
	p.introduce(f, id)
	e := Event{Kind: MessageReceived, Message: &Message{
		ID: id, RemoteID: f.Remote, Direction: DirectionIn, Author: AuthorCustomer,
		Type: f.Type, Text: f.Text, Length: utf8.RuneCountInString(f.Text), ReplyTo: f.ReplyTo, Group: f.Group,
		ProviderTime: f.Time, Name: f.Name, Content: f.Content, Raw: f.Raw,
	}}
	wanted := p.c.Holder == HolderAssistant && f.Group == "" && answerable(f.Type, f.Content) && !takenBack(p.in.Known.Early, f.Remote)
	problem := ""
	switch {
	case !wanted:
	case !p.set.Assistant:
		problem = "no_assistant"
	case !(Window{From: occurred(f.Time, p.now)}).Open(p.now):
		// A late copy from the past is history when the customer has written
		// since; otherwise somebody must look at it.
		if wanted = !p.c.Window().Open(p.now); wanted {
			problem = "stale"
		}
	case p.c.Turn.Volley.received(e.Message, p.now.Sub(p.c.WindowFrom)).Spent > p.set.VolleyMax:
		problem = "loop"
	case p.c.Turn.Phase == TurnNone && !p.set.Open(p.now):
		problem = reasonClosed
	default:
		e.Deadline = p.now.Add(p.set.SilenceDeadline)
		e.At = p.quietEnd()
	}
	self := p.next()
	p.write(f, e)
	p.wakeFreed()
	p.about(f, self)
	p.people(f)
	p.greet(f)
	switch {
	case problem == reasonClosed:
		p.close()
	case problem != "":
		p.abandonTurn(problem)
		p.handoff(problem)
	case wanted:
		p.restartTurn()
	}
}

// quietEnd is when the customer has paused long enough for a turn, bounded so
// that somebody who never pauses is still answered.
func (p *step) quietEnd() time.Time {
	end := p.now.Add(p.set.QuietPeriod)
	if p.c.WaitingFrom != 0 && p.c.WaitingSince.Add(p.set.RestartWindow).After(p.now) {
		return earlier(end, p.c.WaitingSince.Add(p.set.RestartWindow))
	}
	return end
}

// answerable tells the messages a customer may expect an answer to. Reactions,
// edits, withdrawals and notices are facts about other messages.
func answerable(messageType string, c *Content) bool {
	switch messageType {
	case "reaction", "edit", "revoke", "system", typeWelcome, "standby", "story_mention":
		return false
	}
	// Leave to call is given with a tap, and says nothing else.
	return c == nil || c.Choice == nil || c.Choice.Kind != "call_permission_reply"
}

func (p *step) echoed(f *Inbound) {
	if p.came() {
		p.duplicate()
		return
	}
	p.begin(f)
	if entry := p.echoOf(f); entry != nil {
		p.accept(*entry, entry.told(), f.Remote, "echo", p.in.Known.Row.Mask)
		return
	}
	if f.Ours {
		// Of a send whose answer is still to come, or came with another id: nobody
		// took over, and nobody was answered by it.
		own := *f
		own.Type = typeOwnEcho
		p.updated(&own)
		return
	}
	id := MessageIDAt(p.c.ID, p.next())
	self := p.next()
	p.introduce(f, id)
	p.write(f, Event{Kind: MessageEchoed, Message: &Message{
		ID: id, RemoteID: f.Remote, Direction: DirectionOut, Author: AuthorElsewhere,
		Type: f.Type, Text: f.Text, ReplyTo: f.ReplyTo, Group: f.Group, ProviderTime: f.Time, Content: f.Content, Raw: f.Raw,
	}})
	p.about(f, self)
	if p.c.Holder == HolderMember && p.c.PausedUntil.IsZero() {
		return
	}
	p.abandonTurn("echo")
	p.cancelAssistant("echo")
	p.emit(Event{Kind: HandoffTaken, Handoff: &Handoff{Reason: "echo", Until: p.now.Add(p.set.EchoPause)}})
}

// typeOwnEcho is the type of an update about something that this app sent and that is
// no send waited for.
const typeOwnEcho = "own_echo"

// echoSlack is how far Meta's clock may be ahead of ours.
const echoSlack = time.Minute

// echoOf finds the send that an echo may be of: the echo can arrive before the
// answer to the request that caused it, or long after that was given up. A send
// that was left is only meant by an echo written before that: people repeat texts.
func (p *step) echoOf(f *Inbound) *OutboxEntry {
	if f.Target() != "" {
		return nil
	}
	hash := TextHash(f.Text)
	plain := f.Type == TypeText
	switch {
	case plain:
	case f.ChannelKind != Instagram:
		return nil // the phone app writes these, never this engine
	default:
		hash = echoHash(&Message{Type: f.Type})
	}
	var left *OutboxEntry
	for i := range p.c.Outbox {
		switch e := &p.c.Outbox[i]; {
		case e.N == 0 || e.TextHash != hash:
		case !plain && e.State != SendAttempting && e.State != SendUnknown:
			// Nothing but the kind is known of it: only what is on its way now.
		case e.State != SendLeft:
			return e
		case left == nil && !f.Time.IsZero() && !f.Time.After(e.At.Add(echoSlack)):
			left = e
		}
	}
	return left
}

func (p *step) updated(f *Inbound) {
	if p.known() {
		p.duplicate()
		return
	}
	p.begin(f)
	if f.Remote != "" {
		p.row(f.Remote, f.Revision, "", 0)
	} else {
		p.claimDigest(f)
	}
	p.commentRow(f)
	self := p.next()
	e := Event{Kind: UpdateReceived, Update: updateOf(f, "")}
	if p.tooLate(f) {
		e = Redacted(e)
	}
	p.emit(e)
	p.about(f, self)
	p.people(f)
	p.news(f)
	p.replyPrivately(f)
	if f.Type == typeStandby && !p.outdated(f) {
		p.threadTaken()
	}
}

func (p *step) claimDigest(f *Inbound) {
	if f.Digest == "" {
		return
	}
	p.d.Claims = append(p.d.Claims, Claim{
		Kind: ClaimDigest, Key: f.Digest, Day: Day(occurred(f.Time, p.now)) + ClaimDays,
	})
}

// Day is the UTC day of t, counted from 1970.
func Day(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

func updateOf(f *Inbound, reason string) *Update {
	return &Update{Type: f.Type, Remote: f.Remote, Revision: f.Revision, Reason: reason, Text: f.Text,
		ProviderTime: f.Time, Content: f.Content, Raw: f.Raw}
}

// poison records an update that cannot be processed, in place of processing it.
func (p *step) poison(f Poison) {
	report := f.Inbound.Kind == InboundStatus || f.Inbound.Kind == InboundRead
	status, _ := ParseStatus(f.Inbound.Type)
	row := p.in.Known.Row
	switch {
	case p.in.Known.Seen, p.in.Known.RowFound && (!report || row.Mask&status != 0):
		p.duplicate()
		return
	}
	p.begin(f.Inbound)
	switch {
	case f.Inbound.Remote == "":
		p.claimDigest(f.Inbound)
	case report && p.in.Known.RowFound:
		row.Mask |= status
		p.d.Rows = append(p.d.Rows, row)
	default:
		p.row(f.Inbound.Remote, f.Inbound.Revision, "", status)
	}
	p.emit(Event{Kind: ReceivedQuarantined, Update: updateOf(f.Inbound, f.Reason)})
	if f.Inbound.Kind == InboundMessage && p.c.ID != "" {
		p.abandonTurn("quarantined")
		p.handoff("quarantined")
	}
}
