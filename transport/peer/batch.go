package peer

import (
	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
)

// batchOf packs letters as protoactor's remote does: each type name, target and
// sender once, and indices to them. Sender 0 is none.
func batchOf(letters []letter) *remote.MessageBatch {
	b := &remote.MessageBatch{Envelopes: make([]*remote.MessageEnvelope, 0, len(letters))}
	names := map[string]int32{}
	targets, senders := map[[2]string]int32{}, map[[2]string]int32{}
	for _, l := range letters {
		name, ok := names[l.name]
		if !ok {
			name = int32(len(b.TypeNames))
			names[l.name] = name
			b.TypeNames = append(b.TypeNames, l.name)
		}
		e := &remote.MessageEnvelope{TypeId: name, MessageData: l.data}
		e.Target, b.Targets = indexed(targets, b.Targets, l.target)
		e.TargetRequestId = l.target.GetRequestId()
		if l.sender != nil {
			e.Sender, b.Senders = indexed(senders, b.Senders, l.sender)
			e.Sender++
			e.SenderRequestId = l.sender.GetRequestId()
		}
		if l.header != nil {
			e.MessageHeader = &remote.MessageHeader{HeaderData: l.header}
		}
		b.Envelopes = append(b.Envelopes, e)
	}
	return b
}

// indexed returns the place of a PID in the list, appending it when it is new.
// PIDs are copied: theirs cache a process and may be in use elsewhere.
func indexed(seen map[[2]string]int32, list []*actor.PID, pid *actor.PID) (int32, []*actor.PID) {
	key := [2]string{pid.GetAddress(), pid.GetId()}
	at, ok := seen[key]
	if !ok {
		at = int32(len(list))
		seen[key] = at
		list = append(list, actor.NewPID(key[0], key[1]))
	}
	return at, list
}

// arrival is one message to a local actor.
type arrival struct {
	target  *actor.PID
	message any
	sender  *actor.PID
	header  map[string]string
}

// unpack checks a whole batch before any of it is delivered. Each index and
// name is the peer's word; protoactor's reader takes them as they come and
// panics. The error is a Refusal.
func (t *Transport) unpack(node chat.NodeID, b *remote.MessageBatch) ([]arrival, error) {
	here, there := Address(t.self), Address(node)
	for _, pid := range b.Targets {
		if pid.GetAddress() != here || pid.GetId() == "" {
			return nil, refusal(ReasonMalformed, "mail for an actor of %q came to %q", clipped(pid.GetAddress()), here)
		}
	}
	for _, pid := range b.Senders {
		if pid.GetAddress() != there {
			return nil, refusal(ReasonSpoofed, "node %d sends mail in the name of an actor of %q", node, clipped(pid.GetAddress()))
		}
	}
	out := make([]arrival, len(b.Envelopes))
	for i, e := range b.Envelopes {
		name, ok := at(b.TypeNames, e.GetTypeId())
		if !ok {
			return nil, refusal(ReasonMalformed, "mail %d of %d names type %d of %d", i+1, len(b.Envelopes), e.GetTypeId(), len(b.TypeNames))
		}
		mt, listed := t.types[name]
		if !listed || e.GetSerializerId() != 0 {
			return nil, refusal(ReasonUnknownType, "mail of type %q, serializer %d: this node's version does not take it", clipped(name), e.GetSerializerId())
		}
		target, ok := at(b.Targets, e.GetTarget())
		if !ok {
			return nil, refusal(ReasonMalformed, "mail %d of %d names target %d of %d", i+1, len(b.Envelopes), e.GetTarget(), len(b.Targets))
		}
		a := arrival{target: withRequest(target, e.GetTargetRequestId()), header: e.GetMessageHeader().GetHeaderData()}
		if e.GetSender() != 0 {
			sender, ok := at(b.Senders, e.GetSender()-1)
			if !ok {
				return nil, refusal(ReasonMalformed, "mail %d of %d names sender %d of %d", i+1, len(b.Envelopes), e.GetSender(), len(b.Senders))
			}
			a.sender = withRequest(sender, e.GetSenderRequestId())
		}
		m := mt.New().Interface()
		if err := proto.Unmarshal(e.GetMessageData(), m); err != nil {
			return nil, refusal(ReasonMalformed, "mail that is no %s: %v", name, err)
		}
		a.message = m
		if r, ok := a.message.(remote.RootSerialized); ok {
			root, err := r.Deserialize()
			if err != nil {
				return nil, refusal(ReasonMalformed, "mail of type %s: %v", name, err)
			}
			a.message = root
		}
		out[i] = a
	}
	return out, nil
}

func at[T any](list []T, i int32) (item T, ok bool) {
	if i < 0 || int(i) >= len(list) {
		return item, false
	}
	return list[i], true
}

// withRequest returns pid for one request.
func withRequest(pid *actor.PID, request uint32) *actor.PID {
	if request == 0 {
		return pid
	}
	return &actor.PID{Address: pid.GetAddress(), Id: pid.GetId(), RequestId: request}
}

// deliver puts a message into its actor's mailbox.
func (a arrival) deliver(system *actor.ActorSystem) {
	if a.sender == nil && a.header == nil {
		system.Root.Send(a.target, a.message)
		return
	}
	system.Root.Send(a.target, &actor.MessageEnvelope{Header: a.header, Message: a.message, Sender: a.sender})
}

// clipped bounds what a peer's word takes in a log line.
func clipped(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
