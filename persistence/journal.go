package persistence

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// Append makes c durable, or tells in the receipt why not, and returns only
// then; when ctx ends first the answer is Unknown. An error means that nothing
// was written: KindBusy when too many commits wait, KindUnavailable below the
// disk reserve, KindInvalid for a commit that contradicts itself.
func (s *Store) Append(ctx context.Context, c chat.Commit) (chat.Receipt, error) {
	return s.append(ctx, &c, nil)
}

// AppendBoth is Append for two commits of different conversations of one tenant:
// both become durable, or neither does. The receipt is of the second, or of the first
// that was refused. A WrongSeq may be of either.
func (s *Store) AppendBoth(ctx context.Context, c, also chat.Commit) (chat.Receipt, error) {
	if c.Tenant != also.Tenant || c.Conversation == also.Conversation || c.Conversation == "" || also.Conversation == "" || c.Epoch != also.Epoch {
		return chat.Receipt{}, chat.E("journal.AppendBoth", chat.KindInvalid, "two commits that do not go together", nil)
	}
	return s.append(ctx, &c, &also)
}

// append is Append with a second commit, nil for none.
func (s *Store) append(ctx context.Context, c, also *chat.Commit) (chat.Receipt, error) {
	from := time.Now()
	t, err := s.tenantAt(c.Tenant)
	if err != nil {
		return chat.Receipt{}, err
	}
	if err := s.writable(); err != nil {
		return chat.Receipt{}, err
	}
	p, err := s.prepare(t, c)
	if err != nil {
		return chat.Receipt{}, err
	}
	var second *prepared
	if also != nil {
		if second, err = s.prepare(t, also); err != nil {
			return chat.Receipt{}, err
		}
		p.commit.Also = &second.commit
	}
	failpoint.Hit(failpoint.CommitQueued)
	out, err := t.group.propose(ctx, &p.commit)
	if err != nil {
		return chat.Receipt{}, err
	}
	if out.Answer != chat.Unknown {
		defer p.release()
		if second != nil {
			defer second.release()
		}
	}
	m := s.opts.Metrics
	m.Append.Observe(time.Since(from).Seconds())
	m.Commits.WithLabelValues(out.Answer.String()).Inc()
	receipt := chat.Receipt{Answer: out.Answer, Counter: out.counter}
	switch out.Answer {
	case chat.Applied:
		receipt.Pos = out.pos
		s.applied(t, c, p)
		if second != nil {
			s.applied(t, also, second)
		}
	case chat.Duplicate:
		if receipt.Original, err = t.original(out); err != nil {
			return chat.Receipt{}, err
		}
	case chat.WrongSeq:
		// A key this process holds may be of before an erase.
		if c.Conversation != "" {
			s.contacts.drop(keyHolder{t.id, p.contact})
		}
		if second != nil {
			s.contacts.drop(keyHolder{t.id, second.contact})
		}
	case chat.StaleEpoch, chat.LimitReached, chat.Unknown:
	}
	return receipt, nil
}

// applied counts a commit's events and caches what it made.
func (s *Store) applied(t *tenant, c *chat.Commit, p *prepared) {
	for i := range c.Events {
		s.opts.Metrics.Events.WithLabelValues(c.Events[i].Kind.String()).Inc()
	}
	if p.key != nil && p.key.wrapped != nil {
		s.contacts.put(keyHolder{t.id, p.contact}, &contactKey{box: p.key.box, id: p.key.id}, p.token)
	}
	for _, l := range p.leads {
		s.places.put(addressRow{t.id, l.hash}, lead{conversation: c.Conversation, contact: c.State.Contact, given: l.given, found: true}, l.token)
	}
}

// original decodes the row that made a commit a duplicate.
func (t *tenant) original(out Outcome) (chat.Original, error) {
	switch out.originalKind {
	case kindAddress:
		l, err := decodeAddress(out.original)
		return chat.Original{Conversation: l.conversation, Contact: l.contact}, err
	case kindRow:
		row, err := decodeRow(out.original)
		return chat.Original{Conversation: row.Conversation, Message: row.Message, Seq: row.Seq}, err
	default:
		return t.decodeClaim(out.originalHash, out.original)
	}
}

// Load returns the conversation's state; found is false for one without events.
// It may see a commit of an earlier activation that is not yet durable: what is
// appended after it becomes durable after it.
func (s *Store) Load(t chat.TenantID, c chat.ConversationID) (state chat.Conversation, found bool, err error) {
	tn, conv, err := s.place(t, c)
	if err != nil {
		return state, false, err
	}
	v, found, err := s.lookup(tn.realm.state(nil, conv))
	if err != nil || !found {
		return state, false, err
	}
	_, record, err := readHead(v)
	if err != nil {
		return state, false, err
	}
	state, err = decodeState(tn.pepper, t, c, record)
	return state, err == nil, err
}

// place resolves a conversation's tenant and raw id.
func (s *Store) place(t chat.TenantID, c chat.ConversationID) (*tenant, id16, error) {
	tn, err := s.tenantAt(t)
	if err != nil {
		return nil, id16{}, err
	}
	conv, ok := conversationBytes(c)
	if !ok {
		return nil, id16{}, chat.E("journal.Load", chat.KindNotFound, "there is no such conversation", nil)
	}
	return tn, conv, nil
}

// Contact returns a person, unsealed; KindNotFound when there is none or it was
// erased. It may see what is not yet durable.
func (s *Store) Contact(t chat.TenantID, id chat.ContactID) (chat.Contact, error) {
	const op = "contacts.Contact"
	tn, err := s.tenantAt(t)
	if err != nil {
		return chat.Contact{}, err
	}
	raw, ok := contactBytes(id)
	if !ok {
		return chat.Contact{}, chat.E(op, chat.KindNotFound, "there is no such contact", nil)
	}
	v, found, err := s.get(tn.realm.contact(nil, raw))
	if err != nil {
		return chat.Contact{}, err
	}
	if !found {
		return chat.Contact{}, chat.E(op, chat.KindNotFound, "there is no such contact", nil)
	}
	key, found, err := s.storedKey(tn, raw)
	if err != nil {
		return chat.Contact{}, err
	}
	if !found {
		return chat.Contact{}, chat.E(op, chat.KindNotFound, "the contact was erased", nil)
	}
	return decodeContact(key.box, t, raw, v)
}

// Person is Contact with its conversation, which contacts of old do not name.
func (s *Store) Person(t chat.TenantID, id chat.ContactID) (chat.Contact, error) {
	c, err := s.Contact(t, id)
	if err != nil || c.Conversation != "" {
		return c, err
	}
	tn, err := s.tenantAt(t)
	if err != nil {
		return c, err
	}
	raw, _ := contactBytes(id)
	of, err := s.conversationsOf(tn, raw)
	if err == nil && len(of) > 0 {
		c.Conversation = of[0].conversationID()
	}
	return c, err
}

// Barrier waits until all that can be read of a tenant now is durable.
func (s *Store) Barrier(ctx context.Context, t chat.TenantID) error {
	return s.groupAt(s.Group(t)).settle(ctx)
}
