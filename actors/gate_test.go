package actors

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// channelLimits are Meta's, for channels and lanes.
var channelLimits = []struct {
	name      string
	kind      chat.ChannelKind
	perSecond int
	lane      chat.Lane
	limit     int
	span      time.Duration
}{
	{"whatsapp", chat.WhatsApp, 0, chat.LanePlain, 80, time.Second},
	{"upgraded", chat.WhatsApp, 1000, chat.LanePlain, 1000, time.Second},
	{"coexistence", chat.WhatsApp, 20, chat.LanePlain, 20, time.Second},
	{"instagram", chat.Instagram, 0, chat.LanePlain, 100, time.Second},
	{"instagram media", chat.Instagram, 0, chat.LaneMedia, 10, time.Second},
	{"instagram private replies", chat.Instagram, 0, chat.LanePrivate, 750, time.Hour},
}

// What a sender paced does not wait again, however long each took to be ready.
func TestGate_PassesAtOnceWhatTheSenderPaced(t *testing.T) {
	const latency = 300 * time.Millisecond
	for _, tc := range channelLimits {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				c, g := NewSenderCore(now, now, tc.kind, 1<<20), newGate(tc.kind, realClock{})
				c.Rate(now, tc.perSecond)
				g.rate(now, tc.perSecond)
				crowd(c, now, 3*tc.limit, tc.lane)
				for i, asked := range sentAt(t, c, now, now.Add(2*tc.span)) {
					time.Sleep(time.Until(asked.Add(latency)))
					if ready := time.Now(); !g.pass(t.Context(), tc.lane, ready) || !time.Now().Equal(ready) {
						t.Fatalf("request %d waited %v at the gate", i+1, time.Since(ready))
					}
				}
			})
		})
	}
}

// What is ready late, and all at once, leaves within the limits and in its order.
func TestGate_SpreadsABunch(t *testing.T) {
	for _, tc := range channelLimits {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Minute)
				g := newGate(tc.kind, realClock{})
				g.rate(time.Now(), tc.perSecond)
				time.Sleep(tc.span) // it holds what it can
				began := time.Now()
				var mu sync.Mutex
				var order []int
				var at []time.Time
				for i := range 3 * tc.limit {
					go func() {
						if g.pass(t.Context(), tc.lane, began.Add(2*tc.span)) {
							mu.Lock()
							defer mu.Unlock()
							order, at = append(order, i), append(at, time.Now())
						} else if time.Since(began) > 2*tc.span {
							t.Errorf("request %d was given up after %v", i, time.Since(began))
						}
					}()
					synctest.Wait()
				}
				time.Sleep(3 * tc.span)
				synctest.Wait()
				if n := most(at, tc.span); n > tc.limit {
					t.Errorf("%d in one %v, the limit is %d", n, tc.span, tc.limit)
				}
				if want := 2 * tc.limit * 9 / 10; len(at) < want {
					t.Errorf("%d left in time, want at least %d", len(at), want)
				}
				if !slices.IsSorted(order) {
					t.Errorf("they left in another order than they came")
				}
			})
		})
	}
}

// A lane that must wait holds nobody else.
func TestGate_LaneHoldsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(chat.Instagram, realClock{})
		time.Sleep(time.Second)
		began := time.Now()
		done := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				g.pass(t.Context(), chat.LaneMedia, began.Add(time.Second))
				done <- time.Since(began)
			}()
		}
		synctest.Wait()
		if !g.pass(t.Context(), chat.LanePlain, began) {
			t.Error("a text waited behind videos")
		}
		if first, second := <-done, <-done; first != 0 || second < 100*time.Millisecond {
			t.Errorf("videos left after %v and %v", first, second)
		}
	})
}

// What customers write counts at the gate too.
func TestGate_BothDirectionsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(chat.WhatsApp, realClock{})
		time.Sleep(time.Second)
		now := time.Now()
		g.hear(now, 16)
		if g.pass(t.Context(), chat.LanePlain, now.Add(150*time.Millisecond)) {
			t.Error("a request left although customers had just written 16 messages")
		}
		if !g.pass(t.Context(), chat.LanePlain, now.Add(200*time.Millisecond)) {
			t.Error("nothing left 200 ms later")
		}
	})
}

// TestSystem_StallMakesNoBunch stops the store for a while under a load at the pace.
// What was asked for meanwhile becomes durable at once, more in a second than Meta
// takes; it leaves within Meta's limit, each message once.
func TestSystem_StallMakesNoBunch(t *testing.T) {
	for _, tc := range []struct {
		perSecond, people int
		stall             time.Duration
		again             bool // some cannot begin in time and are committed again
	}{{80, 400, 1500 * time.Millisecond, false}, {20, 150, 5 * time.Second, true}} {
		t.Run(fmt.Sprint(tc.perSecond), func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
				store.set.Assistant = false
				state, err := json.Marshal(chat.ChannelState{PerSecond: tc.perSecond})
				if err != nil {
					t.Fatal(err)
				}
				store.setDoc(chat.DocChannel, "acme-wa", state)
				for i := range tc.people {
					deliver(t, s, textFrom(fmt.Sprint(i), fmt.Sprint("wamid.", i), "hello"))
				}
				settle(time.Minute)
				var mu sync.Mutex
				var durable []time.Time
				opens := time.Now().Add(time.Second + tc.stall)
				store.setBefore(func(c chat.Commit) (chat.Receipt, bool) {
					if !slices.ContainsFunc(c.Events, func(e chat.Event) bool { return e.Kind == chat.AttemptStarted }) {
						return chat.Receipt{}, false
					}
					if time.Now().After(opens.Add(-tc.stall)) {
						time.Sleep(time.Until(opens))
					}
					mu.Lock()
					defer mu.Unlock()
					durable = append(durable, time.Now())
					return chat.Receipt{}, false
				})
				for i := range tc.people {
					v, err := s.Ingress().Send(t.Context(), "acme", conversationOf(fmt.Sprint(i)), chat.MemberSend{Text: fmt.Sprint("to ", i)})
					if err != nil || v.Kind != chat.VerdictDone {
						t.Fatal(v, err)
					}
				}
				settle(time.Minute)
				if n := most(durable, time.Second); n <= tc.perSecond {
					t.Errorf("only %d attempts became durable in a second: nothing was tested", n)
				}
				if n := most(graph.at, time.Second); n > tc.perSecond {
					t.Errorf("%d requests left in a second, Meta takes %d", n, tc.perSecond)
				}
				texts := graph.texts()
				slices.Sort(texts)
				if n := len(slices.Compact(texts)); n != tc.people || len(graph.sent) != tc.people {
					t.Errorf("%d messages to %d people left for %d", len(graph.sent), n, tc.people)
				}
				if again := len(durable) > tc.people; again != tc.again {
					t.Errorf("%d attempts for %d messages", len(durable), tc.people)
				}
			})
		})
	}
}

// A pair has no gate: however late each attempt begins, Meta's bucket holds what one
// person gets, around a change of leaders too.
func TestPace_LateAttemptsOfAPair(t *testing.T) {
	for _, late := range []time.Duration{0, time.Second, 12 * time.Second, time.Minute} {
		meta := metasim.NewPacer(metasim.Pace{PairBurst: pairBurstMeta, PairEvery: pairEvery})
		now := noon
		for reign := range 2 {
			born := noon.Add(-time.Hour)
			if reign > 0 {
				born = now
			}
			c := NewSenderCore(born, born, chat.WhatsApp, 64)
			c.Rate(born, 1000)
			for seq := range 200 {
				id, m := sendOf("a", seq+1)
				c.Wake(now, id, chat.WakeSender{Message: m, NotBefore: now})
			}
			for n := 0; n < 60; {
				asks, next := c.Poll(now)
				for _, a := range asks {
					c.Started(now, a.Conversation, a.Message)
					if n%50 == 0 {
						now = now.Add(late)
					}
					meta.Send(metasim.Message{Account: overloaded, To: "a", Type: "text"}, now)
					c.Release(now, a.Conversation, chat.ReleaseSend{Message: a.Message})
					n++
				}
				if len(asks) == 0 {
					now = next
				}
			}
		}
		if over := meta.Over(); len(over) != 0 {
			t.Errorf("late by %v: above limits %v", late, over)
		}
	}
}
