package persistence

import (
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// encodeEvent is an event as stored, without its position: the public part,
// and the private part sealed for ad. keeper is the contact whose key box is,
// nil for the tenant's.
func encodeEvent(e *chat.Event, keeper []byte, box sealer, ad []byte) ([]byte, error) {
	r := &recordpb.Event{Kind: uint32(e.Kind), Seq: uint64(e.Seq), Time: stamp(e.Time),
		Channel: []byte(e.Channel), At: stamp(e.At), Deadline: stamp(e.Deadline), Keeper: keeper}
	var p recordpb.Private
	if err := splitPayload(e, r, &p); err != nil {
		return nil, err
	}
	var err error
	if r.Sealed, err = sealPrivate(box, &p, ad); err != nil {
		return nil, err
	}
	return marshal(r)
}

// splitPayload parts what the event's kind carries into public and private.
func splitPayload(e *chat.Event, r *recordpb.Event, p *recordpb.Private) error {
	c := e.Conversation
	switch payloadOf(e.Kind) {
	case payloadContact:
		if e.Contact == nil {
			return nil
		}
		id, ok := contactBytes(e.Contact.ID)
		if !ok {
			return errForeignID()
		}
		r.Contact = &recordpb.Contact{Id: id[:]}
		p.Name, p.Addresses = []byte(e.Contact.Name), addressRecords(e.Contact.Addresses)
	case payloadMessage:
		if m := e.Message; m != nil {
			r.Message = &recordpb.Message{Id: messageRef(c, m.ID), Direction: uint32(m.Direction), Author: uint32(m.Author),
				Type: []byte(m.Type), ProviderTime: stamp(m.ProviderTime), Turn: turnRef(c, m.Turn),
				Class: uint32(m.Class), Simulated: m.Simulated}
			p.Remote, p.Text, p.ReplyTo = []byte(m.RemoteID), []byte(m.Text), []byte(m.ReplyTo)
			p.Group, p.Name, p.Raw = []byte(m.Group), []byte(m.Name), m.Raw
		}
	case payloadAttempt:
		if a := e.Attempt; a != nil {
			r.Attempt = &recordpb.Attempt{Message: messageRef(c, a.Message), N: int64(a.N), Epoch: uint64(a.Epoch),
				Code: int64(a.Code), Subcode: int64(a.Subcode), Reason: []byte(a.Reason), RetryAt: stamp(a.RetryAt)}
			p.Remote = []byte(a.Remote)
		}
	case payloadStatus:
		if s := e.Status; s != nil {
			r.Status = &recordpb.Status{Message: messageRef(c, s.Message), Status: uint32(s.Status), Word: []byte(s.Word),
				Code: int64(s.Code), ProviderTime: stamp(s.ProviderTime)}
			p.Remote, p.Detail = []byte(s.Remote), []byte(s.Detail)
			p.Participant, p.Raw = []byte(s.Participant), s.Raw
		}
	case payloadTurn:
		if t := e.Turn; t != nil {
			r.Turn = &recordpb.Turn{Id: turnRef(c, t.ID), Call: int64(t.Call), Epoch: uint64(t.Epoch),
				From: uint64(t.From), UpTo: uint64(t.UpTo), Model: []byte(t.Model), PromptTokens: t.PromptTokens,
				OutTokens: t.OutTokens, Simulated: t.Simulated, Reason: []byte(t.Reason)}
			p.Text, p.Digest = []byte(t.Answer), []byte(t.PromptHash)
		}
	case payloadHandoff:
		if h := e.Handoff; h != nil {
			r.Handoff = &recordpb.Handoff{Reason: []byte(h.Reason), Until: stamp(h.Until)}
			p.Member = []byte(h.Member)
		}
	case payloadUpdate:
		if u := e.Update; u != nil {
			r.Update = &recordpb.Update{Type: []byte(u.Type), Reason: []byte(u.Reason), ProviderTime: stamp(u.ProviderTime)}
			p.Remote, p.Revision, p.Raw = []byte(u.Remote), []byte(u.Revision), u.Raw
		}
	case payloadNone:
	case payloadUnknown:
		return chat.E("persistence.encode", chat.KindInvalid, "an event has an unknown kind", nil)
	}
	return nil
}

// eventRow is a stored event, split but not unsealed.
type eventRow struct {
	pos    chat.Pos
	record *recordpb.Event
}

// splitEvent parts the value of an 'e' or 'x' row: pos64, then recordpb.Event.
// An unknown kind is an error, never a skip.
func splitEvent(v []byte) (eventRow, error) {
	if len(v) < 8 {
		return eventRow{}, errRecord("an event is too short")
	}
	r := new(recordpb.Event)
	if proto.Unmarshal(v[8:], r) != nil {
		return eventRow{}, errRecord("an event is unreadable")
	}
	if payloadOf(chat.EventKind(r.Kind)) == payloadUnknown || r.Kind > 0xffff {
		return eventRow{}, errRecord("an event has a kind this version does not know; start the newer binary that wrote it")
	}
	return eventRow{pos: chat.Pos(binary.BigEndian.Uint64(v)), record: r}, nil
}

// event joins public and private parts. t and c come from the row's key; c is
// empty for an 'x' row.
func (row eventRow) event(t chat.TenantID, c chat.ConversationID, p *recordpb.Private) (chat.Event, error) {
	r := row.record
	e := chat.Event{Seq: chat.Seq(r.Seq), Pos: row.pos, Kind: chat.EventKind(r.Kind), Time: unstamp(r.Time),
		Tenant: t, Channel: chat.ChannelID(r.Channel), Conversation: c, At: unstamp(r.At), Deadline: unstamp(r.Deadline)}
	if k := r.Contact; k != nil {
		id, err := contactIDOf(k.Id)
		if err != nil {
			return chat.Event{}, err
		}
		e.Contact = &chat.Contact{ID: id, Name: string(p.Name), Addresses: addressesOf(p.Addresses)}
	}
	if m := r.Message; m != nil {
		e.Message = &chat.Message{ID: messageOf(c, m.Id), RemoteID: chat.RemoteID(p.Remote), Direction: chat.Direction(m.Direction),
			Author: chat.Author(m.Author), Type: string(m.Type), Text: string(p.Text), ReplyTo: chat.RemoteID(p.ReplyTo),
			Group: string(p.Group), ProviderTime: unstamp(m.ProviderTime), Name: string(p.Name), Turn: turnOf(c, m.Turn),
			Class: chat.Class(m.Class), Simulated: m.Simulated, Raw: p.Raw}
	}
	if a := r.Attempt; a != nil {
		e.Attempt = &chat.Attempt{Message: messageOf(c, a.Message), N: int(a.N), Epoch: chat.Epoch(a.Epoch),
			Remote: chat.RemoteID(p.Remote), Code: int(a.Code), Subcode: int(a.Subcode), Reason: string(a.Reason),
			RetryAt: unstamp(a.RetryAt)}
	}
	if s := r.Status; s != nil {
		e.Status = &chat.StatusChange{Message: messageOf(c, s.Message), Remote: chat.RemoteID(p.Remote),
			Status: chat.Status(s.Status), Word: string(s.Word), Code: int(s.Code), Detail: string(p.Detail),
			Participant: string(p.Participant), ProviderTime: unstamp(s.ProviderTime), Raw: p.Raw}
	}
	if k := r.Turn; k != nil {
		e.Turn = &chat.TurnRecord{ID: turnOf(c, k.Id), Call: int(k.Call), Epoch: chat.Epoch(k.Epoch), From: chat.Seq(k.From),
			UpTo: chat.Seq(k.UpTo), Answer: string(p.Text), Model: string(k.Model), PromptHash: string(p.Digest),
			PromptTokens: k.PromptTokens, OutTokens: k.OutTokens, Simulated: k.Simulated, Reason: string(k.Reason)}
	}
	if h := r.Handoff; h != nil {
		e.Handoff = &chat.Handoff{Reason: string(h.Reason), Member: string(p.Member), Until: unstamp(h.Until)}
	}
	if u := r.Update; u != nil {
		e.Update = &chat.Update{Type: string(u.Type), Remote: chat.RemoteID(p.Remote), Revision: string(p.Revision),
			Reason: string(u.Reason), ProviderTime: unstamp(u.ProviderTime), Raw: p.Raw}
	}
	return e, nil
}

// payload tells which pointer of an event its kind sets.
type payload uint8

const (
	payloadUnknown payload = iota
	payloadNone
	payloadContact
	payloadMessage
	payloadAttempt
	payloadStatus
	payloadTurn
	payloadHandoff
	payloadUpdate
)

func payloadOf(k chat.EventKind) payload {
	switch k {
	case chat.ConversationStarted, chat.ContactLinked:
		return payloadContact
	case chat.MessageReceived, chat.MessageEchoed, chat.MessageQueued:
		return payloadMessage
	case chat.AttemptStarted, chat.AttemptEnded, chat.MessageAccepted, chat.MessageFailed, chat.MessageCancelled:
		return payloadAttempt
	case chat.StatusChanged:
		return payloadStatus
	case chat.TurnStarted, chat.TurnAnswered, chat.TurnFailed, chat.TurnSuperseded, chat.TurnAbandoned:
		return payloadTurn
	case chat.HandoffRequested, chat.HandoffTaken, chat.HandoffReturned:
		return payloadHandoff
	case chat.UpdateReceived, chat.ReceivedQuarantined:
		return payloadUpdate
	case chat.Erased:
		return payloadNone
	}
	return payloadUnknown
}
