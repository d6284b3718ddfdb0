package persistence

import (
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// inboundRecord is the stored form of an update as it was decoded. Texts that
// are not UTF-8 are repaired; Raw keeps what came.
func inboundRecord(in *chat.Inbound) *recordpb.QuarantineInbound {
	text := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	r := &recordpb.QuarantineInbound{
		Kind: uint32(in.Kind), App: text(string(in.App)), ChannelKind: uint32(in.ChannelKind),
		Account: text(in.Account), Waba: text(in.WABA), Remote: text(string(in.Remote)), Type: text(in.Type),
		Revision: text(in.Revision), Name: text(in.Name), Text: text(in.Text), ReplyTo: text(string(in.ReplyTo)),
		Group: text(in.Group), Callback: text(in.Callback), Code: int64(in.Code), Detail: text(in.Detail),
		Participant: text(in.Participant), Digest: text(in.Digest), Raw: in.Raw, Problem: text(in.Problem),
		Ours: in.Ours,
	}
	r.Content, _ = encodeContent(in.Content) // made of texts and numbers: it can be encoded
	if !in.Time.IsZero() {
		r.TimeMs = in.Time.UnixMilli()
	}
	for _, a := range in.Customer {
		r.Customer = append(r.Customer, &recordpb.QuarantineAddress{Kind: uint32(a.Kind), Value: text(a.Value)})
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
		Ours: r.GetOurs(),
	}
	// What a newer version wrote and this one cannot read is kept in Raw.
	in.Content, _ = decodeContent(r.GetContent())
	if ms := r.GetTimeMs(); ms != 0 {
		in.Time = time.UnixMilli(ms).UTC()
	}
	for _, a := range r.GetCustomer() {
		in.Customer = append(in.Customer, chat.Address{Kind: chat.AddressKind(a.GetKind()), Value: a.GetValue()})
	}
	return in
}
