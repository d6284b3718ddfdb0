package chat

import (
	"strings"
	"time"
)

// How long after its comment a private reply may be sent. Meta allows seven days;
// to a comment on a broadcast only while that lasts, which is four hours at most.
const (
	CommentSpan     = 7 * 24 * time.Hour
	LiveCommentSpan = 4 * time.Hour
)

// CommentRevision is the revision of the row that leads from a comment's id to the
// event that brought it.
const CommentRevision = "comment"

// Pass is what lets a send out. Stored; values never change.
type Pass uint8

// The passes.
const (
	PassWindow   Pass = 0 // the customer service window is open
	PassTemplate Pass = 1 // an approved template, at any time
	PassHuman    Pass = 2 // a person wrote it: seven days, on Instagram
	PassComment  Pass = 3 // the private reply to a comment, until OutboxEntry.Until
)

// PassOf is what lets a message of the business out.
func PassOf(m *Message) Pass {
	o := offer(m)
	switch {
	case m.Type == TypeTemplate:
		return PassTemplate
	case o.Comment != "":
		return PassComment
	case o.Human:
		return PassHuman
	}
	return PassWindow
}

// closed is why a send may not leave now; "" when it may.
func (p *step) closed(pass Pass, until time.Time) string {
	w := p.c.Window()
	open := true
	switch pass {
	case PassWindow:
		open = w.Open(p.now)
	case PassHuman:
		open = w.OpenHuman(p.now)
	case PassComment:
		open = p.now.Before(until)
	case PassTemplate:
		return p.templateClosed(p.template())
	}
	if !open {
		return "window_closed"
	}
	return ""
}

// template is the template that is to be sent, as the registry has it; nil for none.
func (p *step) template() *Template {
	for _, doc := range p.in.Known.Docs {
		if t, known := TemplateFrom(doc); known && doc.Noun == DocTemplate {
			return &t
		}
	}
	return nil
}

// templateClosed is why a template may not be sent; "" when it may.
func (p *step) templateClosed(t *Template) string {
	switch {
	case t == nil:
		return "template_unknown"
	case t.Status != TemplateApproved:
		return "template_not_approved"
	case t.Category == TemplateMarketing && !p.in.Known.Contact.Allows(ConsentMarketing):
		return "opted_out"
	}
	return ""
}

// message is what a member wants to send.
func (f *MemberSend) message() Message {
	m := Message{Author: AuthorMember, Type: f.Type, Text: f.Text, Name: f.Member, ReplyTo: f.ReplyTo, Content: f.Content}
	if m.Type == "" {
		m.Type = TypeText
	}
	return m
}

func (p *step) memberSend(f MemberSend) {
	k := &p.in.Known
	if k.Seen {
		if k.Original.Digest != f.Digest {
			p.refuse("idempotency_key_reused")
			return
		}
		p.d.Verdict = Verdict{Kind: VerdictDuplicate, Message: k.Original.Message}
		return
	}
	m := f.message()
	until, reason := p.sendable(&m)
	switch {
	case reason != "":
		p.refuse(reason)
		return
	case p.d.Verdict.Limit != nil:
		return
	case p.c.Owing() >= OutboxMax:
		p.refuse("outbox_full")
		return
	}
	if answers(m.Type) {
		p.abandonTurn("member_replied")
	}
	id := p.queueUntil(m, until)
	p.d.Verdict.Message = id
	if f.Idempotency != "" {
		p.d.Claims = append(p.d.Claims, Claim{Kind: ClaimIdempotency, Key: f.Idempotency,
			Digest: f.Digest, Message: id, Day: Day(p.now) + IdempotencyDays})
	}
	if comment := offer(&m).Comment; comment != "" {
		p.claimReply(comment, id)
	}
}

// claimReply makes a message the one private reply to a comment.
func (p *step) claimReply(comment string, id MessageID) {
	p.d.Claims = append(p.d.Claims, Claim{Kind: ClaimDigest, Key: RepliedKey(comment), Message: id, Day: Day(p.now) + ClaimDays})
}

// sendable decides whether a member's message may be queued: it is within the limits
// of its channel and something lets it out. It also makes it readable: the text of a
// message that has its words elsewhere. A limit is told in the verdict.
func (p *step) sendable(m *Message) (until time.Time, reason string) {
	k, o := &p.in.Known, offer(m)
	wrong := Check(p.c.Kind, m)
	pass := PassOf(m)
	switch {
	case wrong != nil:
	case pass == PassComment:
		until, reason = p.commentOpen(o.Comment)
	case pass == PassTemplate:
		t := p.template()
		if reason = p.templateClosed(t); reason == "" {
			wrong = t.Fit(o.Template)
			m.Text = t.Render(o.Template)
		}
	case m.Type == TypePin && !k.Contact.inGroup():
		reason = "groups_only"
	default:
		reason = p.closed(pass, until)
	}
	if in := o.Interactive; in != nil && in.Body != nil {
		m.Text = in.Body.Text
	}
	if b := o.Buttons; b != nil {
		m.Text = b.Text
	}
	if wrong != nil {
		p.refuse(wrong.Code)
		p.d.Verdict.Limit = wrong
		return until, ""
	}
	return until, reason
}

// inGroup reports whether the contact is a group.
func (c *Contact) inGroup() bool {
	for _, a := range c.Addresses {
		if a.Kind == GroupAddress {
			return true
		}
	}
	return false
}

// RepliedKey is the key of the claim that a comment has had its private reply.
func RepliedKey(comment string) string { return "private_reply/" + comment }

// commentOpen tells until when the private reply to a comment may leave.
func (p *step) commentOpen(id string) (until time.Time, reason string) {
	k := &p.in.Known
	switch {
	case k.Replied:
		return until, "comment_answered"
	case k.Comment == nil || k.Comment.Content == nil || k.Comment.Content.Comment == nil || k.Comment.Content.Comment.ID != id:
		return until, "comment_unknown"
	}
	until = k.Comment.Content.Comment.until(k.Comment.ProviderTime, k.Commented)
	return until, p.closed(PassComment, until)
}

// until is when the private reply to a comment may no longer leave.
func (c *Comment) until(provider, received time.Time) time.Time {
	span := CommentSpan
	if c.Live {
		span = LiveCommentSpan
	}
	return occurred(provider, received).Add(span - WindowMargin)
}

// commentRow leads from the id of a comment to the next event, which brings it.
func (p *step) commentRow(f *Inbound) {
	if f.Content == nil || f.Content.Comment == nil || f.Content.Comment.ID == "" || p.c.ID == "" {
		return
	}
	p.d.Rows = append(p.d.Rows, RemoteRow{Remote: RemoteID(f.Content.Comment.ID), Revision: CommentRevision,
		Conversation: p.c.ID, Seq: p.next()})
}

// answers reports whether a message of the business is an answer: reactions and pins
// are facts about other messages, and who waits goes on waiting.
func answers(messageType string) bool { return messageType != TypeReaction && messageType != TypePin }

// echoWord names what an Instagram echo shows of a message that is no text: the
// engine's types and Meta's attachment types, alike.
func echoWord(messageType string) string {
	switch messageType {
	case TypeGenericTemplate, TypeButtonTemplate, "fallback":
		return "template"
	case TypeMediaShare, "MEDIA_SHARE", "ig_post":
		return "share"
	}
	return strings.ToLower(messageType)
}

// echoHash identifies a message among the few of one outbox by what its echo will
// show. The echo of an attachment shows its kind and an address of Meta's own, so
// only the kind can be told; order does the rest. A message without echoes, such as
// a reaction, has the hash of a word that no echo has.
func echoHash(m *Message) uint64 {
	if m.Type == TypeText || m.Type == "" {
		return TextHash(m.Text)
	}
	return TextHash("\x00" + echoWord(m.Type))
}
