package peer_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

const (
	text     = "google.protobuf.StringValue"
	duration = "google.protobuf.Duration"
)

// populated is a node with an actor system and one actor, "echo", which answers
// a text with the text and the header "id".
type populated struct {
	*node
	system *actor.ActorSystem
}

func populate(t testing.TB, ca peer.Pair, id chat.NodeID, types ...string) *populated {
	t.Helper()
	n := start(t, ca, id, peer.Options{MailTypes: types})
	p := &populated{node: n, system: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))}
	t.Cleanup(p.system.Shutdown)
	n.Attach(p.system)
	if _, err := p.system.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*wrapperspb.StringValue); ok {
			c.Respond(wrapperspb.String(m.Value + c.MessageHeader().Get("id")))
		}
	}), "echo"); err != nil {
		t.Fatal(err)
	}
	return p
}

// ask sends one request, retrying as a router does while connections heal.
func (p *populated) ask(t testing.TB, to chat.NodeID, what string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		answer, err := p.system.Root.RequestFuture(actor.NewPID(peer.Address(to), "echo"), wrapperspb.String(what), 5*time.Second).Result()
		if err == nil {
			return answer.(*wrapperspb.StringValue).Value
		}
		if time.Now().After(end) {
			t.Fatalf("node %d does not answer: %v\n%s", to, err, p.log)
		}
	}
}

func TestMail_RequestsAndAnswersCross(t *testing.T) {
	ca := authority(t, "shop")
	one, two := populate(t, ca, 1, text), populate(t, ca, 2, text)
	meet(one.node, two.node)
	if got := one.ask(t, 2, "hello"); got != "hello" {
		t.Errorf("answered %q", got)
	}
	if got := two.ask(t, 1, "and back"); got != "and back" {
		t.Errorf("answered %q", got)
	}
	if got := one.ask(t, 1, "at home"); got != "at home" {
		t.Errorf("answered %q", got)
	}
	// Headers go along; order holds.
	const total = 1000
	var futures []*actor.Future
	for range total {
		f := actor.NewFuture(one.system, 10*time.Second)
		one.system.Root.Send(actor.NewPID(peer.Address(2), "echo"),
			&actor.MessageEnvelope{Header: map[string]string{"id": "#7"}, Message: wrapperspb.String("m"), Sender: f.PID()})
		futures = append(futures, f)
	}
	for _, f := range futures {
		answer, err := f.Result()
		if err != nil || answer.(*wrapperspb.StringValue).Value != "m#7" {
			t.Fatalf("%v %v", answer, err)
		}
	}
	if n := count(two.metrics.Messages.WithLabelValues("mail", "in")); n < total {
		t.Errorf("%d counted", n)
	}
}

// Who asks what cannot be reached hears so at once, not at its time-out.
func TestMail_WhatCannotArriveIsADeadLetterAtOnce(t *testing.T) {
	ca := authority(t, "shop")
	one, two := populate(t, ca, 1, text), populate(t, ca, 2, text)
	meet(one.node, two.node)
	one.ask(t, 2, "warm")
	big := wrapperspb.String(strings.Repeat("x", 256<<10))
	for name, c := range map[string]struct {
		to     string
		id     string
		mail   any
		reason string
	}{
		"no such actor":   {peer.Address(2), "nobody", wrapperspb.String("x"), ""},
		"no such node":    {peer.Address(9), "echo", wrapperspb.String("x"), "unknown"},
		"no node":         {"elsewhere:1", "echo", wrapperspb.String("x"), ""},
		"too large":       {peer.Address(2), "echo", big, "oversized"},
		"not listed":      {peer.Address(2), "echo", durationpb.New(1), "unknown_type"},
		"no protobuf":     {peer.Address(2), "echo", "a string", "unknown_type"},
		"a stop in a box": {peer.Address(2), "echo", &actor.PoisonPill{}, "unknown_type"},
	} {
		before := 0
		if c.reason != "" {
			before = count(one.metrics.Dropped.WithLabelValues("mail", c.reason))
		}
		_, err := one.system.Root.RequestFuture(actor.NewPID(c.to, c.id), c.mail, patience).Result()
		if !errors.Is(err, actor.ErrDeadLetter) {
			t.Errorf("%s: %v", name, err)
		}
		if c.reason != "" && count(one.metrics.Dropped.WithLabelValues("mail", c.reason)) != before+1 {
			t.Errorf("%s: not counted as %s", name, c.reason)
		}
	}
	two.Close()
	// What was written to a connection that breaks is lost without a word.
	eventually(t, "the loss is noticed", func() bool {
		_, err := one.system.Root.RequestFuture(actor.NewPID(peer.Address(2), "echo"), wrapperspb.String("x"), 100*time.Millisecond).Result()
		return errors.Is(err, actor.ErrDeadLetter)
	})
	if got := one.ask(t, 1, "alive"); got != "alive" {
		t.Errorf("answered %q", got)
	}
}

// A node of a newer version sends a type this one does not know. With
// protoactor's reader that ended the process.
func TestMail_UnknownTypeEndsAStreamOnly(t *testing.T) {
	ca := authority(t, "shop")
	old, newer := populate(t, ca, 1, text), populate(t, ca, 2, text, duration)
	meet(old.node, newer.node)
	newer.system.Root.Send(actor.NewPID(peer.Address(1), "echo"), durationpb.New(time.Second))
	isRefused(t, old.node, peer.ReasonUnknownType)
	if got := newer.ask(t, 1, "still there?"); got != "still there?" {
		t.Errorf("answered %q", got)
	}
}

func TestMail_RefusesWhatAPeerMayNotSend(t *testing.T) {
	ca := authority(t, "shop")
	one, two, three := actor.NewPID("node-1", "echo"), actor.NewPID("node-2", "x"), actor.NewPID("node-3", "x")
	data, err := proto.Marshal(wrapperspb.String("x"))
	if err != nil {
		t.Fatal(err)
	}
	batch := func(change func(*remote.MessageBatch)) []byte {
		b := &remote.MessageBatch{TypeNames: []string{text}, Targets: []*actor.PID{one}, Senders: []*actor.PID{two},
			Envelopes: []*remote.MessageEnvelope{{MessageData: data}, {MessageData: data, Sender: 1}}}
		change(b)
		out, err := proto.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct {
		name   string
		reason peer.Reason
		bytes  []byte
	}{
		{"unknown type", peer.ReasonUnknownType, batch(func(b *remote.MessageBatch) { b.TypeNames[0] = "no.Such" })},
		{"known but not listed", peer.ReasonUnknownType, batch(func(b *remote.MessageBatch) { b.TypeNames[0] = duration })},
		{"poison", peer.ReasonUnknownType, batch(func(b *remote.MessageBatch) { b.TypeNames[0] = "actor.PoisonPill" })},
		{"json", peer.ReasonUnknownType, batch(func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 1 })},
		{"serializer of none", peer.ReasonUnknownType, batch(func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 99 })},
		{"type out of range", peer.ReasonMalformed, batch(func(b *remote.MessageBatch) { b.Envelopes[1].TypeId = 1 })},
		{"target out of range", peer.ReasonMalformed, batch(func(b *remote.MessageBatch) { b.Envelopes[1].Target = 1 })},
		{"target below range", peer.ReasonMalformed, batch(func(b *remote.MessageBatch) { b.Envelopes[1].Target = -1 })},
		{"sender out of range", peer.ReasonMalformed, batch(func(b *remote.MessageBatch) { b.Envelopes[1].Sender = 2 })},
		{"sender below range", peer.ReasonMalformed, batch(func(b *remote.MessageBatch) { b.Envelopes[1].Sender = -5 })},
		{"no target", peer.ReasonMalformed, batch(func(b *remote.MessageBatch) { b.Targets = nil })},
		{"another node's actor", peer.ReasonMalformed, batch(func(b *remote.MessageBatch) { b.Targets[0] = three })},
		{"another node's name", peer.ReasonSpoofed, batch(func(b *remote.MessageBatch) { b.Senders[0] = three })},
		{"no message", peer.ReasonMalformed, batch(func(b *remote.MessageBatch) { b.Envelopes[0].MessageData = []byte{0xff} })},
		{"no batch", peer.ReasonMalformed, []byte{0xff}},
		{"too large", peer.ReasonOversized, make([]byte, 256<<10+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			here, good := populate(t, ca, 1, text), populate(t, ca, 2, text)
			meet(here.node, good.node)
			s := rawStream(t, dialRaw(t, ca, 2, here.node), "/chumi.peer.Port/Mail")
			send(t, s, c.bytes)
			if err := ends(s); status.Code(err) != codes.InvalidArgument {
				t.Errorf("the stream ended with %v", err)
			}
			isRefused(t, here.node, c.reason)
			if got := good.ask(t, 1, "alive"); got != "alive" {
				t.Errorf("answered %q", got)
			}
		})
	}
}

func TestMail_BeforeAttachPeersAreToldToTryAgain(t *testing.T) {
	ca := authority(t, "shop")
	one, two := start(t, ca, 1, peer.Options{}), populate(t, ca, 2, text)
	meet(one, two.node)
	_, err := two.system.Root.RequestFuture(actor.NewPID(peer.Address(1), "echo"), wrapperspb.String("x"), patience).Result()
	if !errors.Is(err, actor.ErrDeadLetter) {
		t.Errorf("it was answered %v", err)
	}
	s := rawStream(t, dialRaw(t, ca, 2, one), "/chumi.peer.Port/Mail")
	if err := ends(s); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	reaches(t, two.node, one)
}

func TestMail_WatchIsAnswered(t *testing.T) {
	ca := authority(t, "shop")
	one, two := populate(t, ca, 1, text), populate(t, ca, 2, text)
	meet(one.node, two.node)
	heard := make(chan *actor.Terminated, 1)
	one.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			c.Watch(actor.NewPID(peer.Address(2), "echo"))
		case *actor.Terminated:
			heard <- m
		}
	}))
	select {
	case m := <-heard:
		if m.Why != actor.TerminatedReason_AddressTerminated {
			t.Errorf("it heard %v", m)
		}
	case <-time.After(patience):
		t.Error("it waits for ever")
	}
	one.system.Root.Stop(actor.NewPID(peer.Address(2), "echo"))
	if got := one.ask(t, 2, "alive"); got != "alive" {
		t.Errorf("answered %q", got)
	}
}

func TestAcquire_CapsRequestsPerNode(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{InFlightMax: 3})
	for i := range 5 {
		if got := one.Acquire(2); got != (i < 3) {
			t.Errorf("request %d: %v", i, got)
		}
	}
	if !one.Acquire(3) {
		t.Error("one node's requests fill another's places")
	}
	if one.InFlight(2) != 3 || count(one.metrics.InFlight) != 4 {
		t.Errorf("%d in flight to node 2, %d in all", one.InFlight(2), count(one.metrics.InFlight))
	}
	one.Release(2)
	if !one.Acquire(2) || one.Acquire(2) {
		t.Error("a place that was given back is one place")
	}
	if n := count(one.metrics.Dropped.WithLabelValues("mail", "in_flight")); n != 3 {
		t.Errorf("%d refusals counted, want 3", n)
	}
}
