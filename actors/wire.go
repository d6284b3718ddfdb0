package actors

import (
	"encoding/json"
	"time"

	"github.com/chumiai/chumi/actors/mailpb"
	"github.com/chumiai/chumi/chat"
)

// inboundMail is an update on its way to another node. Updates that could not be
// decoded do not travel: they are quarantined where they came in.
func inboundMail(in *chat.Inbound) *mailpb.Inbound {
	m := &mailpb.Inbound{
		Kind: uint32(in.Kind), ChannelKind: uint32(in.ChannelKind), Account: []byte(in.Account), Waba: []byte(in.WABA),
		Remote: []byte(in.Remote), Type: []byte(in.Type), Revision: []byte(in.Revision), Name: []byte(in.Name),
		Text: []byte(in.Text), ReplyTo: []byte(in.ReplyTo), Group: []byte(in.Group), Callback: []byte(in.Callback),
		Code: int64(in.Code), Detail: []byte(in.Detail), Participant: []byte(in.Participant), Digest: []byte(in.Digest),
		Raw: in.Raw, Ours: in.Ours,
	}
	if in.Content != nil {
		m.Content, _ = json.Marshal(in.Content) // a content is made of texts and numbers: it can
	}
	if !in.Time.IsZero() {
		m.TimeMs = in.Time.UnixMilli()
	}
	for _, a := range in.Customer {
		m.Customer = append(m.Customer, &mailpb.Address{Kind: uint32(a.Kind), Value: []byte(a.Value)})
	}
	return m
}

// inboundFrom is the inverse of inboundMail.
func inboundFrom(app chat.AppID, m *mailpb.Inbound) chat.Inbound {
	in := chat.Inbound{
		Kind: chat.InboundKind(m.GetKind()), App: app, ChannelKind: chat.ChannelKind(m.GetChannelKind()),
		Account: string(m.GetAccount()), WABA: string(m.GetWaba()), Remote: chat.RemoteID(m.GetRemote()), Type: string(m.GetType()),
		Revision: string(m.GetRevision()), Name: string(m.GetName()), Text: string(m.GetText()), ReplyTo: chat.RemoteID(m.GetReplyTo()),
		Group: string(m.GetGroup()), Callback: string(m.GetCallback()), Code: int(m.GetCode()), Detail: string(m.GetDetail()),
		Participant: string(m.GetParticipant()), Digest: string(m.GetDigest()), Raw: m.GetRaw(), Ours: m.GetOurs(),
	}
	if ms := m.GetTimeMs(); ms != 0 {
		in.Time = time.UnixMilli(ms).UTC()
	}
	for _, a := range m.GetCustomer() {
		in.Customer = append(in.Customer, chat.Address{Kind: chat.AddressKind(a.GetKind()), Value: string(a.GetValue())})
	}
	if b := m.GetContent(); len(b) > 0 {
		in.Content = new(chat.Content)
		if json.Unmarshal(b, in.Content) != nil {
			// A newer node says what this one cannot read: kept as received, without effect.
			in.Content = nil
		}
	}
	return in
}
