package peer

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/chumiai/chumi/chat"
)

// deadLetter is the answer to a request whose target is gone; it always passes.
const deadLetter = "actor.DeadLetterResponse"

// mailPause is the least time from one batch of mail to a node to the next. Under
// load a batch, and with it two wake-ups, two system calls and a TLS record, then
// serves several; an acknowledgement takes at most two of them longer.
const mailPause = 2 * time.Millisecond

// mailTypes finds the messages behind names. That each is known here is what
// protoactor's own reader does not check: it calls a method on nil.
func mailTypes(names []string) (types, error) {
	const op = "peer.New"
	found := types{}
	for _, name := range append([]string{deadLetter}, names...) {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
		if err != nil {
			return nil, chat.E(op, chat.KindInvalid, fmt.Sprintf("mail type %q is not registered in this binary; import the package that defines it", name), err)
		}
		m := mt.New().Interface()
		_, system := m.(actor.SystemMessage)
		_, auto := m.(actor.AutoReceiveMessage)
		if system || auto {
			return nil, chat.E(op, chat.KindInvalid, fmt.Sprintf("mail type %q would let peers stop or watch actors", name), nil)
		}
		found[name] = mt
	}
	return found, nil
}

// Attach connects an actor system: its PIDs get the address Address(Self()),
// mail to PIDs of other nodes goes out through this port and mail that comes in
// goes to its actors. Until then peers are told to try again.
//
// REQUIRES: called once, before anything of the system runs on another
// goroutine, because protoactor guards neither of the two fields; actors that
// peers know by name are spawned before the node is in any peer's SetPeers.
//
// Of what protoactor offers between nodes only Send and Request are carried.
// Watch is answered at once with Terminated, Stop is not carried. A request
// cannot be forwarded to a third node with its sender: answer with the right
// node instead.
func (t *Transport) Attach(system *actor.ActorSystem) {
	system.ProcessRegistry.Address = Address(t.self)
	out := &outbox{t: t, system: system}
	system.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) {
		_, ok := NodeOf(pid.GetAddress())
		return out, ok
	})
	t.system.Store(system)
}

// letter is one message to an actor of another node, encoded by its sender's
// goroutine.
type letter struct {
	out    *outbox
	target *actor.PID
	mail   any // as it was given to SendUserMessage, for the dead letter
	sender *actor.PID
	header map[string]string
	name   string
	data   []byte
}

// outbox is the actor.Process behind every PID of another node.
type outbox struct {
	t      *Transport
	system *actor.ActorSystem
}

// SendUserMessage queues mail. What cannot be sent is a dead letter at once, so
// that who asked does not wait for its time-out. Some of what was written when a
// connection broke is lost without a word, and some of what is a dead letter then
// has arrived: an answer is the only proof.
func (o *outbox) SendUserMessage(pid *actor.PID, mail any) {
	reason, err := o.post(pid, mail)
	if reason == "" {
		return
	}
	o.t.o.Metrics.Dropped.WithLabelValues("mail", reason).Inc()
	if err != nil {
		if _, ok := o.t.limit.allow("mail " + reason); ok {
			o.t.o.Log.Error("mail to another node was not sent", "node", pid.GetAddress(), "error", err)
		}
	}
	o.system.DeadLetter.SendUserMessage(pid, mail)
}

// post says why it did not queue, and err when that is a mistake of ours.
func (o *outbox) post(pid *actor.PID, mail any) (reason string, err error) {
	node, _ := NodeOf(pid.GetAddress())
	r := o.t.roadTo(node)
	if r == nil {
		return "unknown", nil
	}
	header, message, sender := actor.UnwrapEnvelope(mail)
	if s, ok := message.(remote.RootSerializable); ok {
		if message, err = s.Serialize(); err != nil {
			return "malformed", fmt.Errorf("%T does not serialize: %w", message, err)
		}
	}
	m, ok := message.(proto.Message)
	if !ok {
		return "unknown_type", fmt.Errorf("%T is no protobuf message", message)
	}
	l := letter{out: o, target: pid, mail: mail, sender: sender, name: string(m.ProtoReflect().Descriptor().FullName())}
	if _, listed := o.t.types[l.name]; !listed {
		return "unknown_type", fmt.Errorf("%s is not in Options.MailTypes", l.name)
	}
	if l.data, err = proto.Marshal(m); err != nil {
		return "malformed", fmt.Errorf("%s does not marshal: %w", l.name, err)
	}
	if header != nil && header.Length() > 0 {
		l.header = header.ToMap()
	}
	size := l.size()
	if size > o.t.o.MailMax {
		return "oversized", fmt.Errorf("%s takes %d bytes, at most %d", l.name, size, o.t.o.MailMax)
	}
	if !r.mail.queue.put(l, size) {
		return "overflow", nil
	}
	return "", nil
}

// size is at least what a letter takes in a batch, alone.
func (l *letter) size() int {
	n := len(l.data) + len(l.name) + len(l.target.GetAddress()) + len(l.target.GetId()) + 128
	if l.sender != nil {
		n += len(l.sender.GetAddress()) + len(l.sender.GetId())
	}
	for k, v := range l.header {
		n += len(k) + len(v) + 16
	}
	return n
}

// SendSystemMessage answers Watch and drops the rest.
func (o *outbox) SendSystemMessage(pid *actor.PID, message any) {
	if w, ok := message.(*actor.Watch); ok {
		if p, local := o.system.ProcessRegistry.GetLocal(w.Watcher.GetId()); local {
			p.SendSystemMessage(w.Watcher, &actor.Terminated{Who: pid, Why: actor.TerminatedReason_AddressTerminated})
		}
		return
	}
	o.system.DeadLetter.SendSystemMessage(pid, message)
}

// Stop does nothing: nodes do not stop one another's actors.
func (o *outbox) Stop(*actor.PID) {}

func (t *Transport) mailLink(node chat.NodeID, addr string) *link[letter] {
	l := &link[letter]{t: t, node: node, addr: addr, kind: "mail", method: methodMail, max: t.o.MailMax, every: mailPause,
		lost: func(l letter) { l.out.system.DeadLetter.SendUserMessage(l.target, l.mail) }}
	l.encode = func(batch []letter, size int) (*packet, error) {
		room := outgoing(size)
		text, err := proto.MarshalOptions{}.MarshalAppend(*room, batchOf(batch))
		if err != nil {
			buffers.Put(room)
			return nil, err
		}
		return seal(room, text), nil
	}
	return l.start()
}

// serveMail delivers the batches of one peer.
func (t *Transport) serveMail(s *session) error {
	system := t.system.Load()
	if system == nil {
		return status.Error(codes.Unavailable, "the actors of this node are not started")
	}
	in, bytes := t.o.Metrics.Messages.WithLabelValues("mail", "in"), t.o.Metrics.Bytes.WithLabelValues("mail", "in")
	if err := s.hello(); err != nil {
		return err
	}
	for {
		p, err := s.receive(t.o.MailMax)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n := p.len()
		batch := &remote.MessageBatch{}
		err = proto.Unmarshal(p.bytes(), batch)
		p.free()
		if err != nil {
			return refusal(ReasonMalformed, "mail that is no batch: %v", err)
		}
		mails, err := t.unpack(s.node, batch)
		if err != nil {
			return err
		}
		in.Add(float64(len(mails)))
		bytes.Add(float64(n))
		for _, m := range mails {
			m.deliver(system)
		}
	}
}
