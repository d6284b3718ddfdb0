package peer_test

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

// BenchmarkRaft_Send is one append of 1 KiB from node to node, mutual TLS and
// all, with as many under way as a queue holds.
func BenchmarkRaft_Send(b *testing.B) {
	ca := authority(b, "shop")
	arrived := make(chan int, 1024)
	one := start(b, ca, 1, peer.Options{})
	two := start(b, ca, 2, peer.Options{Receive: func(_ chat.NodeID, m []peer.GroupMessage) { arrived <- len(m) }})
	meet(one, two)
	b.SetBytes(1 << 10)
	b.ReportAllocs()
	const window = 4096
	left := 0
	for b.Loop() {
		for left >= window {
			left -= <-arrived
		}
		one.Send(2, []peer.GroupMessage{{Group: 1, Message: large(1, 2, 1, 1<<10)}})
		left++
	}
	for left > 0 {
		left -= <-arrived
	}
}

// BenchmarkMail_Request is one request to an actor of another node and its
// answer, 64 at a time.
func BenchmarkMail_Request(b *testing.B) {
	ca := authority(b, "shop")
	one, two := populate(b, ca, 1, text), populate(b, ca, 2, text)
	meet(one.node, two.node)
	one.ask(b, 2, "warm")
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := one.system.Root.RequestFuture(actor.NewPID(peer.Address(2), "echo"), wrapperspb.String("sixty bytes or so of what one actor has to say to another"), 5*time.Second).Result(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
