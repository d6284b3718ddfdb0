package chat

import "time"

// Apply makes e part of the conversation. It is total and deterministic: it
// depends on nothing but the state and the event.
func (c *Conversation) Apply(e Event) {
	c.Seq = e.Seq
	switch e.Kind {
	case ConversationStarted:
		c.ID, c.Tenant, c.Channel = e.Conversation, e.Tenant, e.Channel
		c.Started, c.Active = MillisOf(e.Time), e.Time
		if e.Contact != nil {
			c.Contact = e.Contact.ID
			c.Kind = kindOf(e.Contact.Addresses)
		}
	case MessageReceived:
		c.applyReceived(e)
	case MessageEchoed:
		c.Active, c.Unread = e.Time, 0
		c.answered()
		c.applyFiles(e)
	case MessageImported:
		c.applyFiles(e)
	case MediaStored, MediaFailed:
		c.applyMedia(e)
	case MessageQueued:
		c.applyQueued(e)
	case AttemptStarted, AttemptEnded, MessageAccepted, MessageFailed, MessageCancelled:
		c.applyAttempt(e)
	case StatusChanged:
		c.applyUnknown(e)
	case TurnStarted, TurnCalled, TurnAnswered, TurnFailed, TurnSuperseded, TurnAbandoned:
		c.applyTurn(e)
		c.applyWork(e)
	case ToolAsked, ToolDecided, ToolStarted, ToolEnded:
		if c.Turn.Phase == TurnWorking && c.TurnID() == e.Tool.Turn {
			c.applyTool(e)
		}
	case HandoffRequested:
		c.Holder, c.PausedUntil, c.Away = HolderNobody, time.Time{}, false
		c.answered()
	case HandoffTaken:
		c.Holder, c.PausedUntil, c.Away = HolderMember, e.Handoff.Until, e.Handoff.Reason == reasonThread
		c.answered()
	case HandoffReturned:
		c.Holder, c.PausedUntil, c.Away = HolderAssistant, time.Time{}, false
		c.Turn.Volley = Volley{}
	case MessageRevoked:
		c.applyRevoked(e)
		c.dropFilesOf(e)
	case UpdateReceived:
		c.applyUpdate(e)
	case SummaryMade, MediaTranscribed, ContactLinked, ReceivedQuarantined, Erased, MessageEdited, ContactMerged,
		ContactSplit, ConsentChanged, ChannelChanged, TemplateChanged, SettingsChanged,
		AssistantDrafted, AssistantPublished, AssistantRolledBack, AssistantPlaced,
		ToolsChanged, CatalogChanged, OrdersChanged, BudgetReached, BudgetChanged, ModelUsed:
	}
}

// kindOf tells the channel kind from the addresses a person is known by there.
func kindOf(addresses []Address) ChannelKind {
	for _, a := range addresses {
		if a.Kind == IGSID {
			return Instagram
		}
	}
	return WhatsApp
}

// answered says that nobody waits for the assistant any more.
func (c *Conversation) answered() {
	c.WaitingFrom, c.WaitingSince, c.Deadline = 0, time.Time{}, time.Time{}
}

func (c *Conversation) applyReceived(e Event) {
	last := c.WindowFrom
	c.Active = e.Time
	c.Unread++
	c.applyFiles(e)
	if e.Message.Group == "" && opensWindow(e.Message.Content) {
		c.openWindow(e.Message.ProviderTime, e.Time)
	}
	if e.Deadline.IsZero() {
		return
	}
	c.LastIn = e.Seq
	c.Turn.Volley = c.Turn.Volley.received(e.Message, e.Time.Sub(last))
	if c.WaitingFrom == 0 {
		c.WaitingFrom, c.WaitingSince, c.Deadline = e.Seq, e.Time, e.Deadline
	}
	if !c.Turn.busy() && !e.At.IsZero() {
		c.Turn.Phase, c.Turn.At = TurnWaiting, e.At
	}
}

// opensWindow reports whether a customer's message is one to Meta: what only changes
// another, or is a notice about the person, is not.
func opensWindow(c *Content) bool {
	return c == nil || c.Reaction == nil && c.Edit == nil && c.Revoke == nil && c.Identity == nil
}

func (c *Conversation) openWindow(provider, received time.Time) {
	if from := occurred(provider, received); from.After(c.WindowFrom) {
		c.WindowFrom = from
	}
}

// applyUpdate opens the window for a customer who called, and notes when a word about
// who owns the thread was said.
func (c *Conversation) applyUpdate(e Event) {
	if e.Update.ofThread() {
		c.Thread = max(c.Thread, MillisOf(occurred(e.Update.ProviderTime, e.Time)))
	}
	if u := e.Update; u.Content != nil && u.Content.Call != nil && u.Content.Call.Inbound {
		c.openWindow(u.ProviderTime, e.Time)
	}
}

// applyRevoked ends the wait for an answer when nobody waits for one any more. An
// entry that is still owed can only be one that is known to have gone.
func (c *Conversation) applyRevoked(e Event) {
	if e.Deadline.IsZero() {
		c.answered()
	}
	if entry := c.Entry(e.Message.ID); entry != nil {
		entry.TextHash = echoHash(e.Message)
	}
}

func (c *Conversation) applyQueued(e Event) {
	m := e.Message
	entry := OutboxEntry{
		Message: m.ID, Seq: e.Seq, Author: m.Author, State: SendQueued, Class: m.Class,
		Lane: LaneOf(m), At: e.At, Covers: c.LastIn, TextHash: echoHash(m), Pass: PassOf(m), Until: e.Deadline,
	}
	switch {
	case m.Author == AuthorAssistant:
		entry.Covers = c.Turn.UpTo
	case !answers(m.Type), entry.unasked():
		entry.Covers = 0
	}
	c.Active = e.Time
	if !entry.unasked() {
		c.Unread = 0
	}
	c.Turn.Volley.Answered = m.Author == AuthorAssistant
	c.Disclosed = c.Disclosed || m.Author == AuthorEngine && m.Turn != ""
	c.Outbox = append(c.Outbox, entry)
}

func (c *Conversation) applyAttempt(e Event) {
	entry := c.Entry(e.Attempt.Message)
	if entry == nil {
		return
	}
	switch e.Kind {
	case AttemptStarted:
		entry.State, entry.N, entry.Epoch, entry.At = SendAttempting, e.Attempt.N, e.Attempt.Epoch, e.At
		return
	case AttemptEnded:
		if !entry.Proven {
			entry.State, entry.At = SendQueued, e.At
			return
		}
	case MessageAccepted:
		if entry.Covers >= c.LastIn {
			c.answered()
		} else if c.WaitingFrom != 0 && c.WaitingFrom <= entry.Covers {
			c.WaitingFrom, c.WaitingSince, c.Deadline = entry.Covers+1, e.Time, e.Deadline
		}
		if entry.State == SendAttempting && entry.N != e.Attempt.N {
			entry.Proven = true
			return
		}
	}
	c.dropEntry(e.Attempt.Message)
}

// applyUnknown moves a send whose fate is not known into reconciliation, or leaves
// it when nobody will look for it any more. An event without a time is of a version
// that forgot those.
func (c *Conversation) applyUnknown(e Event) {
	if e.Status.Status != StatusUnknown {
		return
	}
	entry := c.Entry(e.Status.Message)
	switch {
	case entry == nil:
	case e.At.IsZero():
		c.dropEntry(e.Status.Message)
	case !e.At.After(e.Time):
		entry.State, entry.At, entry.Doubtful = SendLeft, e.At, true
		c.forgetLeft()
	default:
		entry.State, entry.At, entry.Doubtful = SendUnknown, e.At, true
	}
}

// forgetLeft drops the oldest of the sends that were left when they are too many.
func (c *Conversation) forgetLeft() {
	if len(c.Outbox)-c.Owing() <= LeftMax {
		return
	}
	for i := range c.Outbox {
		if c.Outbox[i].State == SendLeft {
			c.dropEntry(c.Outbox[i].Message)
			return
		}
	}
}

func (c *Conversation) dropEntry(id MessageID) {
	for i := range c.Outbox {
		if c.Outbox[i].Message == id {
			c.Outbox = append(c.Outbox[:i], c.Outbox[i+1:]...)
			break
		}
	}
	if len(c.Outbox) == 0 {
		c.Outbox = nil
	}
}

func (c *Conversation) applyTurn(e Event) {
	t := &c.Turn
	switch e.Kind {
	case TurnStarted:
		t.Phase, t.Call, t.Epoch = TurnRunning, e.Turn.Call, e.Turn.Epoch
		_, t.Begun, _ = e.Turn.ID.Parse()
		t.From, t.UpTo, t.At = e.Turn.From, e.Turn.UpTo, e.At
	case TurnCalled:
		t.Phase, t.At = TurnWorking, e.Time
	case TurnAnswered:
		t.Phase, t.At, t.Call, t.Restarts = TurnNone, e.At, 0, 0
		if !e.At.IsZero() {
			t.Phase = TurnWaiting
		}
	case TurnFailed:
		t.Phase, t.At = TurnWaiting, e.At
	case TurnSuperseded:
		t.Phase, t.At, t.Call = TurnWaiting, e.At, 0
		if t.Restarts < RestartsMax {
			t.Restarts++
		}
	case TurnAbandoned:
		*t = Turn{UpTo: t.UpTo, Volley: t.Volley}
	}
}

// Owes returns the earliest time at which the conversation has something to do,
// and whether there is anything at all.
func (c *Conversation) Owes() (at time.Time, ok bool) {
	earliest := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	if c.Turn.Phase != TurnNone {
		earliest(c.Turn.At)
	}
	for i := range c.Outbox {
		if c.Outbox[i].State != SendLeft {
			earliest(c.Outbox[i].At)
		}
	}
	for _, f := range c.Fetches() {
		earliest(earlier(f.At, f.Deadline))
	}
	if c.Holder == HolderAssistant && !c.Deadline.IsZero() {
		earliest(c.Deadline)
	}
	if !c.PausedUntil.IsZero() {
		earliest(c.PausedUntil)
	}
	return at, ok
}
