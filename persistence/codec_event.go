package persistence

import (
	"encoding/binary"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// encodeEvent is an event as stored, without its position: recordpb.Event, with
// the private part sealed for ad. keeper is the contact whose key box is, nil
// for the tenant's.
func encodeEvent(a *arena, e *chat.Event, keeper []byte, box sealer, ad []byte) ([]byte, error) {
	s := takeScratch()
	defer s.release()
	if err := private(&s.private, e); err != nil {
		return nil, err
	}
	sealed, err := s.sealed(box, ad)
	if err != nil {
		return nil, err
	}
	w := &s.public
	w.uint(1, uint64(e.Kind))
	w.uint(2, uint64(e.Seq))
	w.stamp(3, e.Time)
	w.text(4, string(e.Channel))
	w.stamp(5, e.At)
	w.stamp(6, e.Deadline)
	w.bytes(7, keeper)
	w.bytes(8, sealed)
	if err := public(w, e); err != nil {
		return nil, err
	}
	return s.record(a), nil
}

// private writes recordpb.Private: everything a person could be known by, and
// everything a person or a model wrote.
func private(w *wire, e *chat.Event) (err error) {
	var content []byte
	switch {
	case e.Contact != nil:
		content, err = contactExtra(e.Contact)
		w.text(2, e.Contact.Name)
		w.addresses(3, e.Contact.Addresses)
	case e.Message != nil:
		m := e.Message
		content, err = encodeContent(m.Content)
		w.text(1, m.Text)
		w.text(2, m.Name)
		w.bytes(4, m.Raw)
		w.text(5, string(m.RemoteID))
		w.text(6, string(m.ReplyTo))
		w.text(7, m.Group)
	case e.Attempt != nil:
		w.text(5, string(e.Attempt.Remote))
	case e.Status != nil:
		s := e.Status
		content, err = encodeContent(s.Content)
		w.bytes(4, s.Raw)
		w.text(5, string(s.Remote))
		w.text(8, s.Detail)
		w.text(9, s.Participant)
	case e.Turn != nil:
		content, err = turnExtra(e.Turn)
		w.text(1, e.Turn.Answer)
		w.text(12, e.Turn.PromptHash)
	case e.Tool != nil:
		w.text(11, e.Tool.Member)
		if e.Tool.Result != nil {
			content, err = json.Marshal(e.Tool.Result)
		}
	case e.Summary != nil:
		w.text(1, e.Summary.Text)
		content, err = json.Marshal(summaryMore{Tokens: e.Summary.Tokens, Digest: e.Summary.PromptHash,
			Version: e.Summary.Version, First: e.Summary.First, Horizon: e.Summary.Horizon})
	case e.Handoff != nil:
		w.text(1, e.Handoff.Note)
		w.text(11, e.Handoff.Member)
	case e.Update != nil:
		u := e.Update
		w.text(1, u.Text)
		w.bytes(4, u.Raw)
		w.text(5, string(u.Remote))
		w.text(10, u.Revision)
		content, err = encodeContent(u.Content)
	case e.State != nil:
		content, err = json.Marshal(e.State)
	case e.Template != nil:
		content, err = json.Marshal(e.Template)
	case e.Settings != nil:
		content, err = json.Marshal(e.Settings)
	case e.Media != nil:
		content, err = json.Marshal(e.Media)
	case e.Assistant != nil:
		content, err = json.Marshal(e.Assistant)
	case e.Change != nil:
		content, err = json.Marshal(e.Change)
	case e.Budget != nil:
		content, err = json.Marshal(e.Budget)
	case e.Spend != nil:
		content, err = json.Marshal(e.Spend)
	}
	w.bytes(13, content)
	return err
}

// public writes the part of recordpb.Event that the kind names.
func public(w *wire, e *chat.Event) error {
	in := payloadIn(e)
	if in == payloadNone && payloadOf(e.Kind) != payloadUnknown {
		return nil
	}
	if in != payloadOf(e.Kind) {
		return chat.E("persistence.encode", chat.KindInvalid, "an event carries what its kind does not say", nil)
	}
	c := e.Conversation
	switch payloadOf(e.Kind) {
	case payloadContact:
		id, ok := contactBytes(e.Contact.ID)
		if !ok {
			return errForeignID()
		}
		at := w.open(10)
		w.bytes(1, id[:])
		w.close(at)
	case payloadMessage:
		m, at := e.Message, w.open(11)
		w.message(1, c, m.ID)
		w.uint(2, uint64(m.Direction))
		w.uint(3, uint64(m.Author))
		w.text(4, m.Type)
		w.stamp(5, m.ProviderTime)
		w.turn(6, c, m.Turn)
		w.uint(7, uint64(m.Class))
		w.int(9, int64(m.Length))
		w.bool(8, m.Simulated)
		w.bool(15, m.Revoked)
		w.close(at)
	case payloadAttempt:
		a, at := e.Attempt, w.open(12)
		w.message(1, c, a.Message)
		w.int(2, int64(a.N))
		w.uint(3, uint64(a.Epoch))
		w.int(4, int64(a.Code))
		w.int(5, int64(a.Subcode))
		w.text(6, a.Reason)
		w.stamp(7, a.RetryAt)
		w.close(at)
	case payloadStatus:
		s, at := e.Status, w.open(13)
		w.message(1, c, s.Message)
		w.uint(2, uint64(s.Status))
		w.text(3, s.Word)
		w.int(4, int64(s.Code))
		w.stamp(5, s.ProviderTime)
		w.close(at)
	case payloadTurn:
		t, at := e.Turn, w.open(14)
		w.turn(1, c, t.ID)
		w.int(2, int64(t.Call))
		w.uint(3, uint64(t.Epoch))
		w.uint(4, uint64(t.From))
		w.uint(5, uint64(t.UpTo))
		w.text(6, t.Model)
		w.int(7, t.PromptTokens)
		w.int(8, t.OutTokens)
		w.bool(9, t.Simulated)
		w.text(10, t.Reason)
		w.close(at)
	case payloadTool:
		t, at := e.Tool, w.open(17)
		w.turn(1, c, t.Turn)
		w.text(2, t.ID)
		w.text(3, t.Name)
		w.int(4, int64(t.N))
		w.uint(5, uint64(t.Epoch))
		w.bool(6, t.Acts)
		w.bool(7, t.Repeatable)
		w.bool(8, t.Late)
		w.bool(9, t.Approved)
		w.close(at)
	case payloadSummary:
		s, at := e.Summary, w.open(18)
		w.uint(1, uint64(s.UpTo))
		w.text(2, s.Model)
		w.int(3, int64(s.Cost))
		w.bool(4, s.Simulated)
		w.close(at)
	case payloadHandoff:
		at := w.open(15)
		w.text(1, e.Handoff.Reason)
		w.stamp(2, e.Handoff.Until)
		w.close(at)
	case payloadUpdate:
		u, at := e.Update, w.open(16)
		w.text(1, u.Type)
		w.text(2, u.Reason)
		w.stamp(3, u.ProviderTime)
		w.close(at)
	case payloadNone, payloadState, payloadTemplate, payloadMedia, payloadSettings, payloadAssistant, payloadChange, payloadBudget, payloadSpend:
		// All of it is private.
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

// posLen is the length of the position that the value of an 'e' or 'x' row begins with.
const posLen = 8

// posOfEvent is the position in a value of posLen bytes or more.
func posOfEvent(v []byte) chat.Pos { return chat.Pos(binary.BigEndian.Uint64(v)) }

// splitEvent parts the value of an 'e' or 'x' row: pos64, then recordpb.Event.
// An unknown kind is an error, never a skip.
func splitEvent(v []byte) (eventRow, error) {
	if len(v) < posLen {
		return eventRow{}, errRecord("an event is too short")
	}
	r := new(recordpb.Event)
	if proto.Unmarshal(v[posLen:], r) != nil {
		return eventRow{}, errRecord("an event is unreadable")
	}
	if err := knownKind(uint64(r.Kind)); err != nil {
		return eventRow{}, err
	}
	return eventRow{pos: posOfEvent(v), record: r}, nil
}

// headOfEvent is what the record in the value of an 'e' row begins with: its kind, which is
// one that this version knows, and its number.
func headOfEvent(v []byte) (chat.EventKind, chat.Seq, error) {
	rest := v[posLen:]
	var head [2]uint64
	for i := range head {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 || num != protowire.Number(i+1) || typ != protowire.VarintType {
			return 0, 0, errRecord("an event is unreadable")
		}
		field, m := protowire.ConsumeVarint(rest[n:])
		if m < 0 {
			return 0, 0, errRecord("an event is unreadable")
		}
		head[i], rest = field, rest[n+m:]
	}
	return chat.EventKind(head[0]), chat.Seq(head[1]), knownKind(head[0]) // #nosec G115 -- what knownKind lets pass fits
}

// knownKind is nil for the number of a kind that this version knows.
func knownKind(k uint64) error {
	if k > 0xffff || payloadOf(chat.EventKind(k)) == payloadUnknown {
		return errRecord("an event has a kind this version does not know; start the newer binary that wrote it")
	}
	return nil
}

// event joins public and private parts. t and c come from the row's key; c is
// empty for an 'x' row.
func (row eventRow) event(t chat.TenantID, c chat.ConversationID, p *recordpb.Private) (chat.Event, error) {
	r := row.record
	var err error
	e := chat.Event{Seq: chat.Seq(r.Seq), Pos: row.pos, Kind: chat.EventKind(r.Kind), Time: unstamp(r.Time),
		Tenant: t, Channel: chat.ChannelID(r.Channel), Conversation: c, At: unstamp(r.At), Deadline: unstamp(r.Deadline)}
	if k := r.Contact; k != nil {
		id, err := contactIDOf(k.Id)
		if err != nil {
			return chat.Event{}, err
		}
		e.Contact = &chat.Contact{ID: id, Name: string(p.Name), Addresses: addressesOf(p.Addresses)}
		if err := readContactExtra(p.Content, e.Contact); err != nil {
			return chat.Event{}, err
		}
	}
	if m := r.Message; m != nil {
		e.Message = &chat.Message{ID: messageOf(c, m.Id), RemoteID: chat.RemoteID(p.Remote), Direction: chat.Direction(m.Direction),
			Author: chat.Author(m.Author), Type: string(m.Type), Text: string(p.Text), ReplyTo: chat.RemoteID(p.ReplyTo),
			Group: string(p.Group), ProviderTime: unstamp(m.ProviderTime), Name: string(p.Name), Turn: turnOf(c, m.Turn),
			Class: chat.Class(m.Class), Length: int(m.Length), Simulated: m.Simulated, Revoked: m.Revoked, Raw: p.Raw}
		if e.Message.Content, err = decodeContent(p.Content); err != nil {
			return chat.Event{}, err
		}
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
		if e.Status.Content, err = decodeContent(p.Content); err != nil {
			return chat.Event{}, err
		}
	}
	if k := r.Turn; k != nil {
		e.Turn = &chat.TurnRecord{ID: turnOf(c, k.Id), Call: int(k.Call), Epoch: chat.Epoch(k.Epoch), From: chat.Seq(k.From),
			UpTo: chat.Seq(k.UpTo), Answer: string(p.Text), Model: string(k.Model), PromptHash: string(p.Digest),
			PromptTokens: k.PromptTokens, OutTokens: k.OutTokens, Simulated: k.Simulated, Reason: string(k.Reason)}
		if err := readTurnExtra(p.Content, e.Turn); err != nil {
			return chat.Event{}, err
		}
	}
	if k := r.Tool; k != nil {
		e.Tool = &chat.ToolRecord{Turn: turnOf(c, k.Turn), ID: string(k.Id), Name: string(k.Name), N: int(k.N), Epoch: chat.Epoch(k.Epoch),
			Acts: k.Acts, Repeatable: k.Repeatable, Late: k.Late, Approved: k.Approved, Member: string(p.Member)}
		if len(p.Content) > 0 {
			if e.Tool.Result, err = decodeJSON[chat.ToolResult](p.Content); err != nil {
				return chat.Event{}, err
			}
		}
	}
	if k := r.Summary; k != nil {
		more, err := decodeJSON[summaryMore](p.Content)
		if err != nil {
			return chat.Event{}, err
		}
		e.Summary = &chat.Summary{UpTo: chat.Seq(k.UpTo), Text: string(p.Text), Model: string(k.Model), Tokens: more.Tokens,
			PromptHash: more.Digest, Version: more.Version, First: more.First, Horizon: more.Horizon, Cost: chat.Money(k.Cost), Simulated: k.Simulated}
	}
	if h := r.Handoff; h != nil {
		e.Handoff = &chat.Handoff{Reason: string(h.Reason), Member: string(p.Member), Note: string(p.Text), Until: unstamp(h.Until)}
	}
	if u := r.Update; u != nil {
		e.Update = &chat.Update{Type: string(u.Type), Remote: chat.RemoteID(p.Remote), Revision: string(p.Revision),
			Reason: string(u.Reason), Text: string(p.Text), ProviderTime: unstamp(u.ProviderTime), Raw: p.Raw}
		if e.Update.Content, err = decodeContent(p.Content); err != nil {
			return chat.Event{}, err
		}
	}
	switch payloadOf(e.Kind) {
	case payloadState:
		e.State, err = decodeJSON[chat.ChannelState](p.Content)
	case payloadTemplate:
		e.Template, err = decodeJSON[chat.Template](p.Content)
	case payloadSettings:
		e.Settings, err = decodeJSON[chat.ChannelSettings](p.Content)
	case payloadMedia:
		e.Media, err = decodeJSON[chat.MediaRecord](p.Content)
	case payloadAssistant:
		e.Assistant, err = decodeJSON[chat.AssistantChange](p.Content)
	case payloadChange:
		e.Change, err = decodeJSON[chat.DocChange](p.Content)
	case payloadBudget:
		e.Budget, err = decodeJSON[chat.BudgetNews](p.Content)
	case payloadSpend:
		e.Spend, err = decodeJSON[chat.Spend](p.Content)
	}
	return e, err
}

// payloadIn tells which pointer of an event is set; payloadUnknown for several.
func payloadIn(e *chat.Event) payload {
	found, n := payloadNone, 0
	for p, set := range [...]bool{payloadContact: e.Contact != nil, payloadMessage: e.Message != nil,
		payloadAttempt: e.Attempt != nil, payloadStatus: e.Status != nil, payloadTurn: e.Turn != nil,
		payloadHandoff: e.Handoff != nil, payloadUpdate: e.Update != nil, payloadState: e.State != nil,
		payloadTemplate: e.Template != nil, payloadMedia: e.Media != nil, payloadSettings: e.Settings != nil,
		payloadTool: e.Tool != nil, payloadSummary: e.Summary != nil, payloadAssistant: e.Assistant != nil, payloadChange: e.Change != nil,
		payloadBudget: e.Budget != nil, payloadSpend: e.Spend != nil} {
		if set {
			found, n = payload(p), n+1
		}
	}
	if n > 1 {
		return payloadUnknown
	}
	return found
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
	payloadState
	payloadTemplate
	payloadMedia
	payloadSettings
	payloadTool
	payloadSummary
	payloadAssistant
	payloadChange
	payloadBudget
	payloadSpend
)

func payloadOf(k chat.EventKind) payload {
	switch k {
	case chat.ConversationStarted, chat.ContactLinked, chat.ContactMerged, chat.ContactSplit, chat.ConsentChanged:
		return payloadContact
	case chat.MessageReceived, chat.MessageEchoed, chat.MessageQueued, chat.MessageEdited, chat.MessageRevoked, chat.MessageImported:
		return payloadMessage
	case chat.AttemptStarted, chat.AttemptEnded, chat.MessageAccepted, chat.MessageFailed, chat.MessageCancelled:
		return payloadAttempt
	case chat.StatusChanged:
		return payloadStatus
	case chat.TurnStarted, chat.TurnCalled, chat.TurnAnswered, chat.TurnFailed, chat.TurnSuperseded, chat.TurnAbandoned:
		return payloadTurn
	case chat.ToolAsked, chat.ToolDecided, chat.ToolStarted, chat.ToolEnded:
		return payloadTool
	case chat.SummaryMade:
		return payloadSummary
	case chat.HandoffRequested, chat.HandoffTaken, chat.HandoffReturned:
		return payloadHandoff
	case chat.UpdateReceived, chat.ReceivedQuarantined:
		return payloadUpdate
	case chat.ChannelChanged:
		return payloadState
	case chat.TemplateChanged:
		return payloadTemplate
	case chat.MediaStored, chat.MediaFailed, chat.MediaTranscribed:
		return payloadMedia
	case chat.SettingsChanged:
		return payloadSettings
	case chat.AssistantDrafted, chat.AssistantPublished, chat.AssistantRolledBack, chat.AssistantPlaced:
		return payloadAssistant
	case chat.ToolsChanged, chat.CatalogChanged, chat.OrdersChanged, chat.BudgetChanged:
		return payloadChange
	case chat.BudgetReached:
		return payloadBudget
	case chat.ModelUsed:
		return payloadSpend
	case chat.Erased:
		return payloadNone
	}
	return payloadUnknown
}
