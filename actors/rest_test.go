package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// After a change of leaders, who was sent nothing for four minutes before it has the
// whole burst at once. Who was, by an attempt however long after its message was
// queued, has what Meta's bucket leaves for sure.
func TestSystem_WhoRestedHasAWholeBurst(t *testing.T) {
	for _, tc := range []struct {
		name string
		// pause is how long Graph keeps the first message back, rest what passes
		// between its leaving and the change.
		pause, rest time.Duration
		want        int
	}{
		{"rested", 0, restedAfter + 10*time.Second, 30},
		{"recent", 0, restedAfter - 10*time.Second, freshPair},
		{"queued long ago and sent a moment ago", 10 * time.Minute, time.Minute, freshPair},
		{"queued and sent long ago", 10 * time.Minute, restedAfter + 10*time.Second, 30},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
				store.set.Assistant = false
				send := func(n int) {
					t.Helper()
					for i := range n {
						v, err := s.Ingress().Send(t.Context(), "acme", conversationOf("1555"), chat.MemberSend{Text: fmt.Sprint(i)})
						if err != nil || v.Kind != chat.VerdictDone {
							t.Fatal(v, err)
						}
					}
				}
				began := time.Now()
				graph.f = func(context.Context, chat.Outbound) chat.SendOutcome {
					if time.Since(began) < tc.pause {
						return chat.SendOutcome{Result: chat.SendThrottled, Code: 4, RetryAfter: tc.pause}
					}
					return chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID(fmt.Sprint("out-", time.Now().UnixNano()))}
				}
				deliver(t, s, textFrom("1555", "wamid.1", "hello"))
				settle(time.Second)
				send(1)
				settle(tc.pause + tc.rest)
				store.elect(0)
				settle(time.Second)
				store.elect(7)
				settle(time.Second)
				graph.mu.Lock()
				before := len(graph.sent)
				graph.mu.Unlock()
				send(30)
				settle(3 * time.Second)
				if n := len(graph.texts()) - before; n != tc.want {
					t.Errorf("%d of 30 messages at once, want %d", n, tc.want)
				}
				settle(5 * time.Minute)
				if n := len(graph.texts()) - before; n != 30 {
					t.Errorf("%d of 30 messages in the end", n)
				}
			})
		})
	}
}
