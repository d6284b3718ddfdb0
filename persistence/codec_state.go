package persistence

import (
	"encoding/binary"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"github.com/chumiai/chumi/persistence/seal"
)

// encodeState is the record of a state row: recordpb.State. contact is the raw
// form of the state's contact.
func encodeState(a *arena, pepper *seal.Pepper, c *chat.Conversation, contact []byte) []byte {
	s := takeScratch()
	defer s.release()
	w := &s.public
	w.text(1, string(c.Channel))
	w.uint(2, uint64(c.Kind))
	w.bytes(3, contact)
	w.uint(4, uint64(c.Seq))
	w.stamp(5, c.Started.Time())
	w.stamp(6, c.Active)
	w.uint(7, uint64(c.Holder))
	w.stamp(8, c.PausedUntil)
	w.stamp(9, c.WindowFrom)
	w.uint(10, uint64(c.LastIn))
	w.uint(11, uint64(c.WaitingFrom))
	w.stamp(12, c.WaitingSince)
	w.int(13, int64(c.Unread))
	if t := &c.Turn; *t != (chat.Turn{}) {
		at := w.open(14)
		w.uint(1, uint64(t.Phase))
		w.turn(2, c.ID, c.TurnID())
		w.int(3, int64(t.Call))
		w.uint(4, uint64(t.Epoch))
		w.uint(5, uint64(t.From))
		w.uint(6, uint64(t.UpTo))
		w.stamp(7, t.At)
		w.int(8, int64(t.Restarts))
		w.close(at)
	}
	for i := range c.Outbox {
		o, at := &c.Outbox[i], w.open(15)
		w.message(1, c.ID, o.Message)
		w.uint(2, uint64(o.Seq))
		w.uint(3, uint64(o.Author))
		w.uint(4, uint64(o.State))
		w.uint(5, uint64(o.Class))
		w.int(6, int64(o.N))
		w.uint(7, uint64(o.Epoch))
		w.stamp(8, o.At)
		w.uint(9, uint64(o.Covers))
		w.fixed(10, o.TextHash^outboxMask(pepper, c.ID, o.Seq))
		if o.Doubtful {
			w.uint(11, 1)
		}
		if o.Proven {
			w.uint(12, 1)
		}
		w.uint(13, uint64(o.Lane))
		w.uint(14, uint64(o.Pass))
		w.stamp(15, o.Until)
		w.close(at)
	}
	w.stamp(16, c.Armed)
	w.stamp(17, c.Deadline)
	w.bool(18, c.Away)
	for _, f := range c.Fetches() {
		at := w.open(19)
		w.uint(1, uint64(f.Seq))
		w.int(2, int64(f.Index))
		w.stamp(3, f.At)
		w.stamp(4, f.Deadline)
		w.close(at)
	}
	if v := &c.Turn.Volley; *v != (chat.Volley{}) {
		at := w.open(20)
		w.uint(1, uint64(v.Spent))
		w.bool(2, v.Answered)
		w.uint(3, uint64(v.Length))
		w.close(at)
	}
	if c.Work != nil {
		at := w.open(21)
		encodeWork(w, c.Work)
		w.close(at)
	}
	w.bool(22, c.Disclosed)
	w.int(23, int64(c.Thread))
	return s.record(a)
}

// decodeState is the inverse of encodeState.
func decodeState(pepper *seal.Pepper, t chat.TenantID, c chat.ConversationID, v []byte) (chat.Conversation, error) {
	var r recordpb.State
	if proto.Unmarshal(v, &r) != nil {
		return chat.Conversation{}, errRecord("a state is unreadable")
	}
	contact, err := contactIDOf(r.Contact)
	if err != nil {
		return chat.Conversation{}, err
	}
	s := chat.Conversation{ID: c, Tenant: t, Channel: chat.ChannelID(r.Channel), Kind: chat.ChannelKind(r.Kind), Contact: contact,
		Seq: chat.Seq(r.Seq), Started: chat.MillisOf(unstamp(r.Started)), Active: unstamp(r.Active), Holder: chat.Holder(r.Holder),
		PausedUntil: unstamp(r.PausedUntil), WindowFrom: unstamp(r.WindowFrom), LastIn: chat.Seq(r.LastIn),
		WaitingFrom: chat.Seq(r.WaitingFrom), WaitingSince: unstamp(r.WaitingSince), Unread: uint32(r.Unread), // #nosec G115 -- a count of messages
		Armed: unstamp(r.Armed), Deadline: unstamp(r.Deadline), Away: r.Away, Thread: chat.Millis(r.ThreadMs)}
	if k := r.Turn; k != nil {
		s.Turn = chat.Turn{Phase: chat.TurnPhase(k.Phase), Call: int(k.Call), Epoch: chat.Epoch(k.Epoch),
			From: chat.Seq(k.From), UpTo: chat.Seq(k.UpTo), At: unstamp(k.At), Restarts: uint8(min(k.Restarts, chat.RestartsMax))}
	}
	if r.Turn != nil {
		_, s.Turn.Begun, _ = turnOf(c, r.Turn.Id).Parse()
	}
	if v := r.Volley; v != nil {
		s.Turn.Volley = chat.Volley{Spent: uint16(v.Spent), Length: uint16(v.Length), Answered: v.Answered} // #nosec G115 -- as written
	}
	s.Work, s.Disclosed = decodeWork(r.Work), r.Disclosed
	for _, o := range r.Outbox {
		s.Outbox = append(s.Outbox, chat.OutboxEntry{Message: messageOf(c, o.Message), Seq: chat.Seq(o.Seq),
			Author: chat.Author(o.Author), State: chat.SendState(o.State), Class: chat.Class(o.Class), N: int(o.N), Doubtful: o.Doubtful, Proven: o.Proven, Lane: chat.Lane(o.Lane),
			Epoch: chat.Epoch(o.Epoch), At: unstamp(o.At), Covers: chat.Seq(o.Covers), Pass: chat.Pass(o.Pass), Until: unstamp(o.Until),
			TextHash: o.Masked ^ outboxMask(pepper, c, chat.Seq(o.Seq))})
	}
	for _, f := range r.Fetches {
		if s.Fetching == nil {
			s.Fetching = new(chat.Fetching)
		}
		s.Fetching.Files = append(s.Fetching.Files, chat.Fetch{Seq: chat.Seq(f.Seq), Index: int(f.Index), At: unstamp(f.At), Deadline: unstamp(f.Deadline)})
	}
	return s, nil
}

// outboxMask hides the hash of an entry's text: without the pepper it tells
// nothing about the text, nor which entries have the same.
func outboxMask(pepper *seal.Pepper, c chat.ConversationID, seq chat.Seq) uint64 {
	h := pepper.Hash(hashOutbox, string(c), strconv.FormatUint(uint64(seq), 10))
	return binary.BigEndian.Uint64(h[:])
}

// isLive reports whether an obligation of the state dies with the process that
// armed it, so that a start must resume it at once.
func isLive(s *chat.Conversation) bool {
	return s.Turn.Phase == chat.TurnRunning || s.Turn.Phase == chat.TurnWorking || s.Owing() > 0 || s.Fetching != nil
}
