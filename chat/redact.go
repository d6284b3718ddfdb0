package chat

// Redacted is what stays of an event when its message was taken back: what the
// conversation's state depends on, ids, kinds and times. Text, names, files and the
// update as received are gone. It is a pure function, and doing it twice is doing
// it once.
//
// Invariant: with the withdrawal applied, the redacted event has led to the state that
// the event led to.
func Redacted(e Event) Event {
	switch {
	case e.Message != nil:
		m := *e.Message
		m.Text, m.Name, m.Raw, m.Revoked = "", "", nil, true
		m.Content = bones(m.Content)
		e.Message = &m
	case e.Update != nil:
		u := *e.Update
		u.Text, u.Raw = "", nil
		u.Content = bones(u.Content)
		e.Update = &u
	case e.Media != nil:
		// The file is named for whoever deletes it; without its key nobody reads it.
		r := MediaRecord{Message: e.Media.Message, Index: e.Media.Index, Blob: e.Media.Blob, Used: e.Media.Used, Reason: "revoked"}
		e.Media = &r
	case e.Turn != nil:
		// The answer is the text of all the messages that it was cut into.
		t := *e.Turn
		t.Answer, t.Reason, t.Response, t.Saw, t.Facts, t.Made = "", "message_revoked", nil, nil, nil, nil
		e.Turn = &t
	}
	return e
}

// bones are the parts of a content that say which message it is about, or that
// Apply looks at.
func bones(c *Content) *Content {
	if c == nil {
		return nil
	}
	var b Content
	switch {
	case c.Edit != nil:
		b.Edit = &Edit{Target: c.Edit.Target, Type: c.Edit.Type, Revision: c.Edit.Revision}
	case c.Revoke != nil:
		b.Revoke = c.Revoke
	case c.Reaction != nil:
		b.Reaction = &Reaction{Target: c.Reaction.Target}
	case c.Identity != nil:
		b.Identity = &IdentityChange{Kind: c.Identity.Kind}
	case c.Call != nil:
		b.Call = c.Call
	case c.Control != nil:
		b.Control = &Control{Event: c.Control.Event, Ours: c.Control.Ours}
	case c.Offer != nil:
		b.Offer = &Offer{Comment: c.Offer.Comment, Human: c.Offer.Human}
	default:
		return nil
	}
	return &b
}

// holds reports whether there is something in e that a redaction takes away.
func (e *Event) holds() bool {
	switch {
	case e.Message != nil:
		return !e.Message.Revoked && e.Kind != MessageRevoked
	case e.Update != nil:
		c := e.Update.Content
		return e.Update.Text != "" || e.Update.Raw != nil || c != nil && c.Edit != nil && c.Edit.Text != ""
	case e.Media != nil:
		return e.Media.Key != nil || e.Media.Transcript != ""
	case e.Turn != nil:
		return e.Turn.Answer != ""
	}
	return false
}

// Answers reports whether e records the answer that a message was made of.
func (e *Event) Answers(m *Message) bool {
	return e.Kind == TurnAnswered && m.Turn != "" && e.Turn != nil && e.Turn.ID == m.Turn
}

// Concerns reports whether e says something of one message: it is the message, an
// edit, a withdrawal or a reaction, a report, or a file of it. id may be empty for a
// message that has not come.
func (e *Event) Concerns(remote RemoteID, id MessageID) bool {
	switch {
	case e.Message != nil:
		m := e.Message
		return m.RemoteID == remote || id != "" && m.ID == id || targetOf(m.Content) == remote
	case e.Update != nil:
		return e.Update.Remote == remote || targetOf(e.Update.Content) == remote
	case e.Status != nil:
		return e.Status.Remote == remote
	case e.Media != nil:
		return id != "" && e.Media.Message == id
	}
	return false
}

// targetOf is the message that a content edits or takes back; empty for none.
func targetOf(c *Content) RemoteID {
	switch {
	case c == nil:
	case c.Edit != nil:
		return c.Edit.Target
	case c.Revoke != nil:
		return c.Revoke.Target
	}
	return ""
}

// typeStandby is the type of an item of a thread that another app owns.
const typeStandby = "standby"

// Target is the message that an update is about: the one it edits or takes back, or
// what an item of another app's thread shows. Empty for none.
func (in *Inbound) Target() RemoteID {
	if target := targetOf(in.Content); target != "" || in.Type != typeStandby {
		return target
	}
	return in.Remote
}
