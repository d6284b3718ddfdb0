package chat

// reasonThread is why a conversation is held by another app of the business.
const reasonThread = "thread_control"

// ofThread reports whether an update tells who owned the thread when it was said: a
// thread that changes hands, or an item of one that another app owns.
func (u *Update) ofThread() bool {
	c := u.Content
	return u.Type == typeStandby || c != nil && c.Control != nil && c.Control.handsOver()
}

// handsOver reports whether the thread changed hands: a request for it is a note for
// people, and changes nothing.
func (c *Control) handsOver() bool { return c.Event == "pass" || c.Event == "take" }

// outdated reports whether something was said about the thread later than f, whose
// event is part of the state by now.
func (p *step) outdated(f *Inbound) bool {
	return MillisOf(occurred(f.Time, p.now)) < p.c.Thread
}

// control follows who owns an Instagram thread.
func (p *step) control(f *Inbound, c *Control) {
	switch {
	case !c.handsOver() || p.outdated(f):
	case c.Ours:
		p.threadReturned()
	default:
		p.threadTaken()
	}
}

// threadTaken silences the assistant while another app owns the thread. Where
// people hold the conversation or were asked for, it is silent already, and goes on
// to be when the thread comes back.
func (p *step) threadTaken() {
	if p.c.Holder == HolderNobody || p.c.Holder == HolderMember && p.c.PausedUntil.IsZero() {
		return
	}
	p.abandonTurn(reasonThread)
	p.cancelAssistant(reasonThread)
	p.emit(Event{Kind: HandoffTaken, Handoff: &Handoff{Reason: reasonThread}})
}

func (p *step) threadReturned() {
	if p.c.Away {
		p.emit(Event{Kind: HandoffReturned, Handoff: &Handoff{Reason: reasonThread}})
	}
}

// greet answers a customer who opened the chat for the first time, if the business
// wants that and nobody is talking yet.
func (p *step) greet(f *Inbound) {
	text := p.set.Greeting
	if own := p.custom().Greeting; own != nil {
		text = *own
	}
	if f.Type != typeWelcome || text == "" || p.c.Holder != HolderAssistant || p.c.WaitingFrom != 0 ||
		len(p.c.Outbox) > 0 || !(Window{From: occurred(f.Time, p.now)}).Open(p.now) {
		return
	}
	p.queue(Message{Author: AuthorEngine, Text: text})
}

// imported keeps a message from before the channel was connected: history, with the
// times it had. It opens no window, waits for no answer and is not counted.
func (p *step) imported(f *Inbound) {
	if p.came() {
		p.duplicate()
		return
	}
	p.begin(f)
	id := MessageIDAt(p.c.ID, p.next())
	self := p.next()
	p.introduce(f, id)
	m := &Message{ID: id, RemoteID: f.Remote, Direction: DirectionIn, Author: AuthorCustomer, Type: f.Type, Text: f.Text,
		ReplyTo: f.ReplyTo, Group: f.Group, ProviderTime: f.Time, Name: f.Name, Content: f.Content, Raw: f.Raw}
	if f.Ours {
		m.Direction, m.Author = DirectionOut, AuthorElsewhere
	}
	p.write(f, Event{Kind: MessageImported, Message: m})
	p.about(f, self)
}
