package persistence

import (
	"encoding/binary"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"github.com/chumiai/chumi/persistence/seal"
)

// encodeState is the record of a state row. contact is the raw form of the
// state's contact.
func encodeState(pepper *seal.Pepper, s *chat.Conversation, contact []byte) ([]byte, error) {
	r := &recordpb.State{Channel: []byte(s.Channel), Kind: uint32(s.Kind), Contact: contact, Seq: uint64(s.Seq),
		Started: stamp(s.Started), Active: stamp(s.Active), Holder: uint32(s.Holder), PausedUntil: stamp(s.PausedUntil),
		WindowFrom: stamp(s.WindowFrom), LastIn: uint64(s.LastIn), WaitingFrom: uint64(s.WaitingFrom),
		WaitingSince: stamp(s.WaitingSince), Unread: int64(s.Unread), Armed: stamp(s.Armed), Deadline: stamp(s.Deadline)}
	if t := &s.Turn; *t != (chat.Turn{}) {
		r.Turn = &recordpb.TurnState{Phase: uint32(t.Phase), Id: turnRef(s.ID, t.ID), Call: int64(t.Call), Epoch: uint64(t.Epoch),
			From: uint64(t.From), UpTo: uint64(t.UpTo), At: stamp(t.At), Restarts: int64(t.Restarts)}
	}
	for i := range s.Outbox {
		o := &s.Outbox[i]
		r.Outbox = append(r.Outbox, &recordpb.Outbox{Message: messageRef(s.ID, o.Message), Seq: uint64(o.Seq),
			Author: uint32(o.Author), State: uint32(o.State), Class: uint32(o.Class), N: int64(o.N), Epoch: uint64(o.Epoch),
			At: stamp(o.At), Covers: uint64(o.Covers), Masked: o.TextHash ^ outboxMask(pepper, s.ID, o.Seq)})
	}
	return marshal(r)
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
		Seq: chat.Seq(r.Seq), Started: unstamp(r.Started), Active: unstamp(r.Active), Holder: chat.Holder(r.Holder),
		PausedUntil: unstamp(r.PausedUntil), WindowFrom: unstamp(r.WindowFrom), LastIn: chat.Seq(r.LastIn),
		WaitingFrom: chat.Seq(r.WaitingFrom), WaitingSince: unstamp(r.WaitingSince), Unread: int(r.Unread),
		Armed: unstamp(r.Armed), Deadline: unstamp(r.Deadline)}
	if k := r.Turn; k != nil {
		s.Turn = chat.Turn{Phase: chat.TurnPhase(k.Phase), ID: turnOf(c, k.Id), Call: int(k.Call), Epoch: chat.Epoch(k.Epoch),
			From: chat.Seq(k.From), UpTo: chat.Seq(k.UpTo), At: unstamp(k.At), Restarts: uint8(min(k.Restarts, chat.RestartsMax))}
	}
	for _, o := range r.Outbox {
		s.Outbox = append(s.Outbox, chat.OutboxEntry{Message: messageOf(c, o.Message), Seq: chat.Seq(o.Seq),
			Author: chat.Author(o.Author), State: chat.SendState(o.State), Class: chat.Class(o.Class), N: int(o.N),
			Epoch: chat.Epoch(o.Epoch), At: unstamp(o.At), Covers: chat.Seq(o.Covers),
			TextHash: o.Masked ^ outboxMask(pepper, c, chat.Seq(o.Seq))})
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
	return s.Turn.Phase == chat.TurnRunning || len(s.Outbox) > 0
}
