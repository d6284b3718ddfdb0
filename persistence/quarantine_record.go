package persistence

import (
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// inboundRecord is the stored form of an update as it was decoded.
func inboundRecord(in *chat.Inbound) *recordpb.QuarantineInbound {
	r := &recordpb.QuarantineInbound{
		Kind: uint32(in.Kind), App: string(in.App), ChannelKind: uint32(in.ChannelKind),
		Account: in.Account, Waba: in.WABA, Remote: string(in.Remote), Type: in.Type,
		Revision: in.Revision, Name: in.Name, Text: in.Text, ReplyTo: string(in.ReplyTo),
		Group: in.Group, Callback: in.Callback, Code: int64(in.Code), Detail: in.Detail,
		Participant: in.Participant, Digest: in.Digest, Raw: in.Raw, Problem: in.Problem,
	}
	if !in.Time.IsZero() {
		r.TimeMs = in.Time.UnixMilli()
	}
	for _, a := range in.Customer {
		r.Customer = append(r.Customer, &recordpb.QuarantineAddress{Kind: uint32(a.Kind), Value: a.Value})
	}
	return r
}

// inboundFrom is the inverse of inboundRecord.
func inboundFrom(r *recordpb.QuarantineInbound) chat.Inbound {
	in := chat.Inbound{
		Kind: chat.InboundKind(r.GetKind()), App: chat.AppID(r.GetApp()), ChannelKind: chat.ChannelKind(r.GetChannelKind()),
		Account: r.GetAccount(), WABA: r.GetWaba(), Remote: chat.RemoteID(r.GetRemote()), Type: r.GetType(),
		Revision: r.GetRevision(), Name: r.GetName(), Text: r.GetText(), ReplyTo: chat.RemoteID(r.GetReplyTo()),
		Group: r.GetGroup(), Callback: r.GetCallback(), Code: int(r.GetCode()), Detail: r.GetDetail(),
		Participant: r.GetParticipant(), Digest: r.GetDigest(), Raw: r.GetRaw(), Problem: r.GetProblem(),
	}
	if ms := r.GetTimeMs(); ms != 0 {
		in.Time = time.UnixMilli(ms).UTC()
	}
	for _, a := range r.GetCustomer() {
		in.Customer = append(in.Customer, chat.Address{Kind: chat.AddressKind(a.GetKind()), Value: a.GetValue()})
	}
	return in
}
