package persistence

import (
	"context"
	"encoding/base64"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// sendsWalkMax bounds the conversations that one page of sends looks at: a rare
// state among many sends gives short pages instead of long waits.
const sendsWalkMax = 2000

// Sends lists the sends of a tenant whose end is not known, by conversation and in
// the order they were queued. state is the word of the states wanted, "" for all.
// cursor is "" or the next of an earlier page; next is "" at the end. A page may
// be empty and not the last. A send that is there while a list is being paged is in
// it; the index is written by the commits that change the sends.
func (v *Views) Sends(ctx context.Context, id chat.TenantID, state, cursor string, limit int) (page []chat.SendView, next string, err error) {
	const op = "views.Sends"
	t, err := v.store.tenantAt(id)
	if err != nil {
		return nil, "", err
	}
	head := t.realm.kind(nil, kindSends)
	var from sendCursor
	if cursor != "" {
		var ok bool
		if from, ok = parseSendCursor(cursor); !ok {
			return nil, "", chat.E(op, chat.KindInvalid, "the cursor is not one this list gave", nil)
		}
	}
	it, err := v.store.db.NewIter(&pebble.IterOptions{LowerBound: t.realm.sends(nil, from.conversation), UpperBound: prefixEnd(head)})
	if err != nil {
		return nil, "", chat.E(op, chat.KindOther, "cannot read the list", err)
	}
	defer func() { _ = it.Close() }()
	limit = min(max(limit, 1), pageMax)
	walked := 0
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) != len(head)+idLen {
			return nil, "", chat.E(op, chat.KindCorrupt, "not a row of the list: "+prettyKey(it.Key()).String(), nil)
		}
		c := id16(it.Key()[len(head):])
		after := chat.Seq(0)
		if c == from.conversation {
			after = from.after
		}
		if walked++; walked > sendsWalkMax {
			return page, sendCursor{conversation: c}.String(), t.group.settle(ctx)
		}
		list, err := v.sendsOf(t, c, state, after)
		if err != nil {
			return nil, "", err
		}
		for i := range list {
			if len(page) == limit {
				return page, sendCursor{c, list[i].Entry.Seq - 1}.String(), t.group.settle(ctx)
			}
			page = append(page, list[i])
		}
	}
	if err := it.Error(); err != nil {
		return nil, "", chat.E(op, chat.KindOther, "cannot read the list", err)
	}
	return page, "", t.group.settle(ctx)
}

// sendsOf lists the sends of one conversation that were queued after a seq.
func (v *Views) sendsOf(t *tenant, c id16, state string, after chat.Seq) (list []chat.SendView, err error) {
	st, found, err := v.store.Load(t.id, c.conversationID())
	if err != nil || !found {
		return nil, err
	}
	for _, e := range st.Outbox {
		if e.Seq <= after || state != "" && e.State.String() != state {
			continue
		}
		one := chat.SendView{Conversation: st.ID, Channel: st.Channel, Entry: e}
		events, err := v.store.Events(t.id, st.ID, e.Seq-1, 1)
		if err != nil {
			return nil, err
		}
		if len(events) > 0 {
			one.Queued = events[0].Time
		}
		list = append(list, one)
	}
	return list, nil
}

// sendCursor is where a list of sends goes on: behind a seq of a conversation.
type sendCursor struct {
	conversation id16
	after        chat.Seq
}

// sendCursorVersion is the first byte of a cursor's text form.
const sendCursorVersion = 2

// String is the opaque form handed to clients.
func (c sendCursor) String() string {
	b := append([]byte{sendCursorVersion}, c.conversation[:]...)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, uint64(c.after)))
}

// parseSendCursor is the inverse of String.
func parseSendCursor(s string) (c sendCursor, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 1+idLen+8 || b[0] != sendCursorVersion {
		return sendCursor{}, false
	}
	c.conversation = id16(b[1:])
	c.after = chat.Seq(binary.BigEndian.Uint64(b[1+idLen:]))
	// The decoder passes over line breaks; a cursor has one spelling.
	return c, c.String() == s
}
