package persistence

import (
	"context"
	"encoding/base64"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// pageMax bounds one page of any list: it is what one answer may hold in memory.
// The API's largest page is 1,000, and it asks for one more to know whether there
// is another.
const pageMax = 1001

// Views reads what the engine shows: lists, conversations and the feed. What it
// returns is durable. Safe for concurrent use.
type Views struct{ store *Store }

// Views returns the store's views.
func (s *Store) Views() *Views { return &Views{store: s} }

// Conversations lists a tenant's conversations, latest activity first, to the
// second. cursor
// is "" or the next of an earlier page; next is "" at the end. A conversation
// that becomes active while a list is being paged may be seen twice, never not
// at all.
func (v *Views) Conversations(ctx context.Context, id chat.TenantID, cursor string, limit int) (page []chat.ConversationView, next string, err error) {
	const op = "views.Conversations"
	t, err := v.store.tenantAt(id)
	if err != nil {
		return nil, "", err
	}
	head := t.realm.kind(nil, kindView)
	lower := head
	if cursor != "" {
		after, ok := parseCursor(cursor)
		if !ok {
			return nil, "", chat.E(op, chat.KindInvalid, "the cursor is not one this list gave", nil)
		}
		lower = append(append(t.realm.kind(nil, kindView), after[:]...), 0)
	}
	it, err := v.store.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: prefixEnd(head)})
	if err != nil {
		return nil, "", chat.E(op, chat.KindOther, "cannot read the list", err)
	}
	defer func() { _ = it.Close() }()
	limit = min(max(limit, 1), pageMax)
	var last viewCursor
	for it.First(); it.Valid(); it.Next() {
		if len(page) == limit {
			next = last.String()
			break
		}
		rest := it.Key()[len(head):]
		_, c, ok := parseView(rest)
		if !ok {
			return nil, "", chat.E(op, chat.KindCorrupt, "not a row of the list: "+prettyKey(it.Key()).String(), nil)
		}
		one, found, err := v.view(t, c)
		if err != nil {
			return nil, "", err
		}
		if !found {
			return nil, "", chat.E(op, chat.KindCorrupt, "the list names a conversation without state: "+prettyKey(it.Key()).String(), nil)
		}
		page = append(page, one)
		copy(last[:], rest)
	}
	if err := it.Error(); err != nil {
		return nil, "", chat.E(op, chat.KindOther, "cannot read the list", err)
	}
	return page, next, t.group.settle(ctx)
}

// Conversation returns one conversation with its contact.
func (v *Views) Conversation(ctx context.Context, id chat.TenantID, c chat.ConversationID) (chat.ConversationView, error) {
	t, err := v.store.tenantAt(id)
	if err != nil {
		return chat.ConversationView{}, err
	}
	raw, ok := conversationBytes(c)
	if !ok {
		return chat.ConversationView{}, noConversation()
	}
	one, found, err := v.view(t, raw)
	if err != nil {
		return chat.ConversationView{}, err
	}
	if !found {
		return chat.ConversationView{}, noConversation()
	}
	return one, t.group.settle(ctx)
}

// ConversationEvents returns up to limit events with seq > after, with Pos.
func (v *Views) ConversationEvents(ctx context.Context, id chat.TenantID, c chat.ConversationID, after chat.Seq, limit int) ([]chat.Event, error) {
	t, err := v.store.tenantAt(id)
	if err != nil {
		return nil, err
	}
	raw, ok := conversationBytes(c)
	if !ok {
		return nil, noConversation()
	}
	if _, found, err := v.store.get(t.realm.state(nil, raw)); err != nil {
		return nil, err
	} else if !found {
		return nil, noConversation()
	}
	events, err := v.store.Events(id, c, after, min(max(limit, 1), pageMax))
	if err != nil {
		return nil, err
	}
	return events, t.group.settle(ctx)
}

// Feed returns up to limit events of a tenant with pos > after, in order, those
// without a conversation included. It never returns what is not durable.
func (v *Views) Feed(ctx context.Context, id chat.TenantID, after chat.Pos, limit int) ([]chat.Event, error) {
	t, err := v.store.tenantAt(id)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, chat.E("views.Feed", chat.KindUnavailable, "the caller gave up", err)
	}
	if failpoint.Planted(failpoint.BugFeedOffByOne) && after > 0 {
		after++
	}
	var events []chat.Event
	limit = min(max(limit, 1), pageMax)
	err = v.store.walkFeed(t, after, chat.Pos(t.durable.Load()), func(e chat.Event) (bool, error) {
		events = append(events, e)
		return len(events) < limit, nil
	})
	return events, err
}

// WaitFeed returns when an event with pos > after may be durable, or ctx ends.
func (v *Views) WaitFeed(ctx context.Context, id chat.TenantID, after chat.Pos) error {
	t, err := v.store.tenantAt(id)
	if err != nil {
		return err
	}
	for {
		moved := t.moved.wait()
		if chat.Pos(t.durable.Load()) > after {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return chat.E("views.WaitFeed", chat.KindUnavailable, "the caller gave up", ctx.Err())
		}
	}
}

// Export calls yield with every durable event of a tenant, in feed order, until
// it returns an error.
func (s *Store) Export(id chat.TenantID, yield func(chat.Event) error) error {
	t, err := s.tenantAt(id)
	if err != nil {
		return err
	}
	return s.walkFeed(t, 0, chat.Pos(t.durable.Load()), func(e chat.Event) (bool, error) { return true, yield(e) })
}

// Counters returns a tenant's usage and budget counters by name, such as
// "turns/2026-11-23". What it returns is durable.
func (v *Views) Counters(ctx context.Context, id chat.TenantID) (map[string]int64, error) {
	t, err := v.store.tenantAt(id)
	if err != nil {
		return nil, err
	}
	head := t.realm.kind(nil, kindCounter)
	counters := map[string]int64{}
	err = v.store.scan(head, func(key, value []byte) error {
		n, err := readCounter(value)
		if err != nil {
			return err
		}
		counters[string(key[len(head):])] = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	return counters, t.group.settle(ctx)
}

// walkFeed calls yield with the events of a tenant whose position is in
// (after, upTo], until it returns false or an error.
func (s *Store) walkFeed(t *tenant, after, upTo chat.Pos, yield func(chat.Event) (bool, error)) error {
	const op = "views.Feed"
	if after >= upTo {
		return nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: t.realm.feed(nil, after+1), UpperBound: prefixEnd(t.realm.feed(nil, upTo))})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read the feed", err)
	}
	defer func() { _ = it.Close() }()
	for it.First(); it.Valid(); it.Next() {
		e, err := s.feedEvent(t, it.Key(), it.Value())
		if err != nil {
			return err
		}
		if more, err := yield(e); err != nil || !more {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return chat.E(op, chat.KindOther, "cannot read the feed", err)
	}
	return nil
}

// view reads one conversation and its contact.
func (v *Views) view(t *tenant, c id16) (chat.ConversationView, bool, error) {
	state, found, err := v.store.Load(t.id, c.conversationID())
	if err != nil || !found {
		return chat.ConversationView{}, false, err
	}
	contact, err := v.store.Contact(t.id, state.Contact)
	if chat.KindOf(err) == chat.KindNotFound {
		contact, err = chat.Contact{ID: state.Contact}, nil
	}
	return chat.ConversationView{State: state, Contact: contact}, true, err
}

func noConversation() error {
	return chat.E("views.Conversation", chat.KindNotFound, "there is no such conversation", nil)
}

// viewCursor is where a list of conversations goes on: the part of a view row's
// key behind the tenant and kind.
type viewCursor [8 + idLen]byte

// cursorVersion is the first byte of a cursor's text form.
const cursorVersion = 1

// String is the opaque form handed to clients.
func (c viewCursor) String() string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{cursorVersion}, c[:]...))
}

// parseCursor is the inverse of String.
func parseCursor(s string) (c viewCursor, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 1+len(c) || b[0] != cursorVersion {
		return viewCursor{}, false
	}
	copy(c[:], b[1:])
	// The decoder passes over line breaks; a cursor has one spelling.
	return c, c.String() == s
}

// feedEvent reads the event a feed row stands for.
func (s *Store) feedEvent(t *tenant, key, value []byte) (chat.Event, error) {
	pos := chat.Pos(binary.BigEndian.Uint64(key[len(key)-8:]))
	at := t.realm.loose(nil, pos)
	var c chat.ConversationID
	var raw id16
	if len(value) > 0 {
		var seq chat.Seq
		var ok bool
		if raw, seq, ok = readPointer(value); !ok {
			return chat.Event{}, errRecord("a feed row is unreadable: " + prettyKey(key).String())
		}
		at, c = t.realm.event(nil, raw, seq), raw.conversationID()
	}
	v, found, err := s.get(at)
	if err != nil {
		return chat.Event{}, err
	}
	if !found {
		return chat.Event{}, errRecord("a feed row leads nowhere: " + prettyKey(key).String())
	}
	row, err := splitEvent(v)
	if err != nil {
		return chat.Event{}, err
	}
	return s.openEvent(t, c, raw, row)
}

// readPointer reads the value of a feed row: where its event stands.
func readPointer(v []byte) (c id16, seq chat.Seq, ok bool) {
	if len(v) != idLen+8 {
		return id16{}, 0, false
	}
	copy(c[:], v)
	return c, chat.Seq(binary.BigEndian.Uint64(v[idLen:])), true
}
