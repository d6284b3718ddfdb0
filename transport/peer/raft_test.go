package peer_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

func TestRaft_OrderIsKept(t *testing.T) {
	ca := authority(t, "shop")
	one, two := start(t, ca, 1, peer.Options{FrameMax: 512}), start(t, ca, 2, peer.Options{})
	meet(one, two)
	const total = 5000
	for i := range uint64(total) {
		one.Send(2, []peer.GroupMessage{{Group: uint16(i % 16), Message: message(1, 2, i)}})
	}
	frames := 0
	for next := uint64(0); next < total; frames++ {
		select {
		case f := <-two.frames:
			for _, m := range f.messages {
				if f.from != 1 || m.Message.GetIndex() != next || m.Group != uint16(next%16) {
					t.Fatalf("from %d group %d index %d, want 1, %d, %d", f.from, m.Group, m.Message.GetIndex(), next%16, next)
				}
				next++
			}
		case <-time.After(patience):
			t.Fatalf("%d of %d came:\n%s", next, total, one.log)
		}
	}
	if frames > total/2 {
		t.Errorf("%d frames for %d messages: they are not gathered", frames, total)
	}
	if n := count(two.metrics.Messages.WithLabelValues("raft", "in")); n != total {
		t.Errorf("%d counted, want %d", n, total)
	}
}

func TestRaft_LargeMessages(t *testing.T) {
	ca := authority(t, "shop")
	one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{})
	meet(one, two)
	const bytes = 8 << 20
	one.Send(2, []peer.GroupMessage{{Message: message(1, 2, 1)}, {Message: large(1, 2, 2, bytes)}, {Message: message(1, 2, 3)}, {Message: large(1, 2, 4, 65<<20)}, {Message: message(1, 2, 5)}})
	var got []uint64
	for len(got) < 4 {
		for _, m := range within(t, two.frames).messages {
			got = append(got, m.Message.GetIndex())
			if m.Message.GetIndex() == 2 && len(m.Message.Entries[0].Data) != bytes {
				t.Errorf("%d bytes came", len(m.Message.Entries[0].Data))
			}
		}
	}
	if got[0] != 1 || got[1] != 2 || got[2] != 3 || got[3] != 5 {
		t.Errorf("came %v", got)
	}
	if n := count(one.metrics.Dropped.WithLabelValues("raft", "oversized")); n != 1 {
		t.Errorf("%d counted as oversized", n)
	}
	if node := within(t, one.lost); node != 2 {
		t.Errorf("node %d reported", node)
	}
}

func TestRaft_OverflowIsCounted(t *testing.T) {
	ca := authority(t, "shop")
	dialled, fail := make(chan struct{}), make(chan struct{})
	one := start(t, ca, 1, peer.Options{QueueLen: 4, Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		select {
		case dialled <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case <-fail:
		case <-ctx.Done():
		}
		return nil, errors.New("no route")
	}})
	one.SetPeers(map[chat.NodeID]string{2: "192.0.2.1:1", 3: "192.0.2.1:1"})
	one.Send(2, []peer.GroupMessage{{Message: message(1, 2, 0)}})
	within(t, dialled) // whatever comes now waits
	for i := range uint64(9) {
		one.Send(2, []peer.GroupMessage{{Message: message(1, 2, i)}})
	}
	dropped := one.metrics.Dropped
	if n := count(dropped.WithLabelValues("raft", "overflow")); n != 6 {
		t.Errorf("%d dropped for want of room, want 6", n)
	}
	if node := within(t, one.lost); node != 2 {
		t.Errorf("node %d reported", node)
	}
	close(fail)
	eventually(t, "what waited is dropped", func() bool { return count(dropped.WithLabelValues("raft", "unreachable")) == 4 })
	one.Send(9, []peer.GroupMessage{{Message: message(1, 9, 0)}, {Message: message(1, 9, 1)}})
	if n := count(dropped.WithLabelValues("raft", "unknown")); n != 2 {
		t.Errorf("%d to nobody, want 2", n)
	}
	eventually(t, "the log names the node", func() bool { return len(one.log.with("a peer is unreachable", "node=2", "no route")) == 1 })
}

func TestRaft_QueueIsBoundedInBytes(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{QueueBytes: 10_000, Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	one.SetPeers(map[chat.NodeID]string{2: "192.0.2.1:1"})
	for i := range uint64(5) {
		one.Send(2, []peer.GroupMessage{{Message: large(1, 2, i, 4000)}})
	}
	if n := count(one.metrics.Dropped.WithLabelValues("raft", "overflow")); n != 3 {
		t.Errorf("%d dropped, want 3", n)
	}
}

func TestRaft_BackoffDoublesToItsCap(t *testing.T) {
	ca := authority(t, "shop")
	var drawn int
	tries := make(chan time.Time)
	// On a clock that stands still no try has lasted long enough to be forgiven.
	now := &clock{now: time.Now()}
	one := start(t, ca, 1, peer.Options{BackoffMin: 8 * time.Millisecond, BackoffMax: 32 * time.Millisecond, Now: now.Now,
		Jitter: func() float64 { drawn++; return 1 },
		Dial: func(ctx context.Context, _ string) (net.Conn, error) {
			select {
			case tries <- time.Now():
			case <-ctx.Done():
			}
			return nil, errors.New("no route")
		}})
	one.SetPeers(map[chat.NodeID]string{2: "192.0.2.1:1"})
	var before time.Time
	for i, least := range []time.Duration{0, 8, 16, 32, 32} {
		one.Send(2, []peer.GroupMessage{{Message: message(1, 2, 0)}})
		at := within(t, tries)
		if pause := at.Sub(before); pause < least*time.Millisecond {
			t.Errorf("try %d came after %v, at least %d ms", i, pause, least)
		}
		before = at
		eventually(t, "the try has failed", func() bool { return count(one.metrics.Connects.WithLabelValues("raft", "failed")) == i+1 })
	}
	one.Close()
	if drawn < 4 {
		t.Errorf("jitter was drawn %d times", drawn)
	}
}

func TestRaft_FollowsANodeThatMoves(t *testing.T) {
	ca := authority(t, "shop")
	one, two, three := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{}), start(t, ca, 3, peer.Options{})
	meet(one, two, three)
	reaches(t, one, two)
	reaches(t, one, three)
	again := start(t, ca, 2, peer.Options{})
	two.Close()
	meet(one, again, three)
	reaches(t, one, again)
	reaches(t, again, one)
	reaches(t, one, three)

	one.SetPeers(map[chat.NodeID]string{3: three.addr})
	one.Send(2, []peer.GroupMessage{{Message: message(1, 2, 0)}})
	if n := count(one.metrics.Dropped.WithLabelValues("raft", "unknown")); n != 1 {
		t.Errorf("%d to a node that left, want 1", n)
	}
}

// A refusal ends the stream; the node stays up.
func TestRaft_RefusesWhatAPeerMayNotSend(t *testing.T) {
	ca := authority(t, "shop")
	of := func(m ...peer.GroupMessage) []byte { return framed(t, m...) }
	for _, c := range []struct {
		name   string
		reason peer.Reason
		bytes  []byte
		code   codes.Code
	}{
		{"spoofed", peer.ReasonSpoofed, of(peer.GroupMessage{Message: message(2, 1, 1)}, peer.GroupMessage{Message: message(3, 1, 1)}), codes.InvalidArgument},
		{"from nobody", peer.ReasonSpoofed, of(peer.GroupMessage{Message: message(0, 1, 1)}), codes.InvalidArgument},
		{"misdirected", peer.ReasonMalformed, of(peer.GroupMessage{Message: message(2, 3, 1)}), codes.InvalidArgument},
		{"no frame", peer.ReasonMalformed, []byte("hello"), codes.InvalidArgument},
		{"empty", peer.ReasonMalformed, nil, codes.InvalidArgument},
		// gRPC itself answers this one.
		{"too large", peer.ReasonOversized, make([]byte, 2<<20), codes.ResourceExhausted},
		{"panic", peer.ReasonPanic, of(peer.GroupMessage{Group: 666, Message: message(2, 1, 1)}), codes.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			frames := make(chan frame, 64)
			one := start(t, ca, 1, peer.Options{FrameMax: 1 << 10, MessageMax: 1 << 20, Receive: func(from chat.NodeID, m []peer.GroupMessage) {
				if m[0].Group == 666 {
					panic("as a bug would")
				}
				frames <- frame{from, m}
			}})
			one.frames = frames
			two := start(t, ca, 2, peer.Options{})
			meet(one, two)
			s := rawStream(t, dialRaw(t, ca, 2, one), "/chumi.peer.Port/Raft")
			send(t, s, c.bytes)
			if err := ends(s); status.Code(err) != c.code {
				t.Errorf("the stream ended with %v", err)
			}
			isRefused(t, one, c.reason)
			if lines := one.log.with("a peer was refused", "node=2"); len(lines) != 1 {
				t.Errorf("the log does not name the node:\n%s", one.log)
			}
			reaches(t, two, one)
		})
	}
}

// The Receive of a Transport that breaks off must not be a busy loop, and
// heals.
func TestRaft_OwnPeerIsBackAfterAPanic(t *testing.T) {
	ca := authority(t, "shop")
	frames := make(chan frame, 64)
	broken := make(chan struct{}, 1)
	one := start(t, ca, 1, peer.Options{Receive: func(from chat.NodeID, m []peer.GroupMessage) {
		if m[0].Group == 666 {
			broken <- struct{}{}
			panic("as a bug would")
		}
		frames <- frame{from, m}
	}})
	one.frames = frames
	two := start(t, ca, 2, peer.Options{})
	meet(one, two)
	two.Send(1, []peer.GroupMessage{{Group: 666, Message: message(2, 1, 1)}})
	within(t, broken)
	if node := within(t, two.lost); node != 1 {
		t.Errorf("node %d reported", node)
	}
	reaches(t, two, one)
	isRefused(t, one, peer.ReasonPanic)
}

// protoactor's own service is not there: two of its methods would end the
// process.
func TestPort_KnowsNoOtherMethods(t *testing.T) {
	ca := authority(t, "shop")
	one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{})
	meet(one, two)
	client := remote.NewRemotingClient(dialRaw(t, ca, 2, one))
	if _, err := client.ListProcesses(t.Context(), &remote.ListProcessesRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("ListProcesses answers %v", err)
	}
	if _, err := client.GetProcessDiagnostics(t.Context(), &remote.GetProcessDiagnosticsRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("GetProcessDiagnostics answers %v", err)
	}
	isRefused(t, one, peer.ReasonUnknownMethod)
	reaches(t, two, one)
}

func TestNew_NamesWhatIsWrong(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{})
	good := peer.Options{Credentials: one.creds, Metrics: one.metrics, Log: slog.New(slog.DiscardHandler), Receive: func(chat.NodeID, []peer.GroupMessage) {}}
	for name, change := range map[string]func(*peer.Options){
		"Receive":        func(o *peer.Options) { o.Receive = nil },
		"FrameMax":       func(o *peer.Options) { o.FrameMax = -1 },
		"BackoffMin":     func(o *peer.Options) { o.BackoffMin = time.Hour },
		"not registered": func(o *peer.Options) { o.MailTypes = []string{"no.Such"} },
		"stop or watch":  func(o *peer.Options) { o.MailTypes = []string{"actor.PoisonPill"} },
	} {
		o := good
		change(&o)
		if _, err := peer.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
