package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/actors/mailpb"
	"github.com/chumiai/chumi/chat"
)

// street connects the systems of nodes by memory: what one sends to a PID of
// another comes out there, from the sender's goroutine, unless it is cut.
type street struct {
	mu      sync.Mutex
	nodes   map[chat.NodeID]*System
	cut     map[chat.NodeID]bool
	leader  chat.NodeID
	misled  []string
	calls   int
	largest int
}

// house is one node's Peers and Leaders.
type house struct {
	of   *street
	self chat.NodeID
}

func (h house) Address(n chat.NodeID) string { return fmt.Sprint("node-", n) }
func (h house) Acquire(chat.NodeID) bool     { return true }
func (h house) Release(chat.NodeID)          {}

func (h house) Refresh(context.Context) error { return nil }

func (h house) Attach(system *actor.ActorSystem) {
	system.ProcessRegistry.Address = h.Address(h.self)
	system.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) {
		return h, strings.HasPrefix(pid.GetAddress(), "node-")
	})
}

func (h house) SendUserMessage(pid *actor.PID, message any) {
	var to chat.NodeID
	_, _ = fmt.Sscanf(pid.GetAddress(), "node-%d", &to)
	h.of.mu.Lock()
	system, cut := h.of.nodes[to], h.of.cut[to]
	h.of.mu.Unlock()
	if cut {
		return
	}
	_, mail, sender := actor.UnwrapEnvelope(message)
	local := actor.NewPID("nonhost", pid.GetId())
	if sender == nil {
		system.root.Send(local, mail)
	} else {
		system.root.RequestWithCustomSender(local, mail, sender)
	}
}
func (h house) SendSystemMessage(*actor.PID, any) {}
func (h house) Stop(*actor.PID)                   {}

func (h house) Call(ctx context.Context, n chat.NodeID, g chat.Group, request []byte) ([]byte, error) {
	h.of.mu.Lock()
	system := h.of.nodes[n]
	h.of.calls++
	h.of.largest = max(h.of.largest, len(request))
	h.of.mu.Unlock()
	return system.Answer(ctx, g, request)
}

func (h house) Leader(chat.Group) chat.NodeID {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	return h.of.leader
}

func (h house) Misled(_ chat.Group, asked, leader chat.NodeID) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.of.misled = append(h.of.misled, fmt.Sprint(asked, "->", leader))
}

// answers are what nodes that were asked wrongly said.
func (s *street) answers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.misled)
}

// neighbours runs two nodes: the first leads nothing, the second everything.
func neighbours(t *testing.T, work func(t *testing.T, way *street, near, far *System, stored *memStore)) {
	synctest.Test(t, func(t *testing.T) {
		way := &street{nodes: map[chat.NodeID]*System{}, cut: map[chat.NodeID]bool{}, leader: 2}
		stores := []*memStore{newMemStore(), newMemStore()}
		stores[0].elect(0)
		stores[1].elect(5)
		for i, store := range stores {
			id := chat.NodeID(i + 1)
			o := options(store, echoModel(), &ledgerGraph{})
			h := house{way, id}
			o.Node, o.Leaders, o.Peers, o.Places, o.Refresher = id, h, h, h, h
			way.nodes[id] = started(t, o)
			defer ended(t, way.nodes[id])
		}
		work(t, way, way.nodes[1], way.nodes[2], stores[1])
		settle(time.Minute)
	})
}

func TestBridge_BringsADeliveryToTheLeader(t *testing.T) {
	neighbours(t, func(t *testing.T, _ *street, near, _ *System, stored *memStore) {
		in := textFrom("1555", "wamid.1", "not UTF-8: \xff")
		in.Raw, in.Time = []byte{0, 1, 2}, time.UnixMilli(1_700_000_000_123).UTC()
		if err := near.Ingress().Deliver(t.Context(), "meta", []chat.Inbound{in}); err != nil {
			t.Fatal(err)
		}
		if got := stored.said("1555"); textOf(got) != in.Text {
			t.Errorf("the leader has %+v", got)
		}
	})
}

// A node that is not the leader any more says so, and the delivery goes on until
// the right one has it.
func TestBridge_IsToldWhoLeads(t *testing.T) {
	neighbours(t, func(t *testing.T, way *street, near, far *System, stored *memStore) {
		stored.elect(0)
		done := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			done <- near.Ingress().Deliver(ctx, "meta", []chat.Inbound{textFrom("1555", "wamid.1", "hello")})
		}()
		settle(3 * time.Second)
		select {
		case err := <-done:
			t.Fatalf("a delivery nobody leads ended: %v", err)
		default:
		}
		if misled := way.answers(); stored.committed() != 0 || len(misled) == 0 || misled[0] != "2->2" {
			t.Errorf("%d commits, answers %v", stored.committed(), misled)
		}
		stored.elect(6)
		settle(3 * time.Second)
		if err := <-done; err != nil || len(stored.said("1555")) == 0 {
			t.Errorf("after the election: %v", err)
		}
	})
}

// A leader that is cut off does not answer; the delivery ends with its deadline,
// and never as durable.
func TestBridge_DoesNotTakeSilenceForAnAnswer(t *testing.T) {
	neighbours(t, func(t *testing.T, way *street, near, _ *System, stored *memStore) {
		way.cut[2] = true
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := near.Ingress().Deliver(ctx, "meta", []chat.Inbound{textFrom("1555", "wamid.1", "hello")})
		if chat.KindOf(err) != chat.KindUnavailable || stored.committed() != 0 {
			t.Errorf("%v, %d commits", err, stored.committed())
		}
		if len(way.answers()) == 0 {
			t.Error("nobody was told that the leader is silent")
		}
	})
}

// An update that no mail can hold goes another way, and those of several mails
// stay in order.
func TestBridge_CarriesWhatIsLarge(t *testing.T) {
	neighbours(t, func(t *testing.T, way *street, near, _ *System, stored *memStore) {
		var list []chat.Inbound
		for i := range 40 {
			in := textFrom("1555", fmt.Sprint("wamid.", i), fmt.Sprint("text ", i))
			in.Raw = make([]byte, 20<<10)
			list = append(list, in)
		}
		list[20].Raw = make([]byte, 1<<20)
		if err := near.Ingress().Deliver(t.Context(), "meta", list); err != nil {
			t.Fatal(err)
		}
		next := 0
		for _, e := range stored.said("1555") {
			if e.Kind != chat.MessageReceived {
				continue
			}
			if want := fmt.Sprint("text ", next); e.Message.Text != want {
				t.Fatalf("event %d is %q, want %q", e.Seq, e.Message.Text, want)
			}
			next++
		}
		if next != len(list) || way.calls != 1 || way.largest < 1<<20 {
			t.Errorf("%d of %d messages, %d calls of up to %d bytes", next, len(list), way.calls, way.largest)
		}
	})
}

// What comes over the wire and makes no sense is answered, and hurts nobody.
func TestSystem_AnswerRefusesNonsense(t *testing.T) {
	neighbours(t, func(t *testing.T, _ *street, near, far *System, stored *memStore) {
		if _, err := far.Answer(t.Context(), 0, []byte{0xff, 0xff}); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("bytes that are no request: %v", err)
		}
		if _, err := far.Answer(t.Context(), 999, nil); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("a group that does not exist: %v", err)
		}
		far.root.Send(actor.NewPID("nonhost", routerName(0)), &mailpb.Mail{})
		far.root.Send(actor.NewPID("nonhost", answersName), &mailpb.Mail{Kind: &mailpb.Mail_Delivered{Delivered: &mailpb.Delivered{Number: 1 << 40}}})
		if stored.committed() != 0 {
			t.Error("nonsense was committed")
		}
	})
}

// said returns what is stored of a person's conversation.
func (s *memStore) said(who string) []chat.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events[conversationOf(who)])
}

// committed counts the commits that were applied.
func (s *memStore) committed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.commits)
}

// textOf is the text of the first message received.
func textOf(events []chat.Event) string {
	for _, e := range events {
		if e.Kind == chat.MessageReceived {
			return e.Message.Text
		}
	}
	return ""
}

// A node that is killed and started again asks anew, while answers to what it
// asked before are still on their way.
func TestBridge_TakesNoAnswerToAnEarlierProcess(t *testing.T) {
	neighbours(t, func(t *testing.T, _ *street, earlier, later *System, _ *memStore) {
		before, now := &mailpb.Deliver{}, &mailpb.Deliver{}
		newBridge(earlier).expect(before)
		b := newBridge(later)
		answered := b.expect(now)
		b.answered(&mailpb.Delivered{Number: before.Number, Outcome: mailpb.Delivered_DURABLE})
		select {
		case <-answered:
			t.Error("it was taken: what was asked now counts as durable")
		default:
		}
	})
}
