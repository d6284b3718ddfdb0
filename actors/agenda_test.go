package actors

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/chumiai/chumi/chat"
)

func TestWalker_TenantsTakeTurns(t *testing.T) {
	rows := []Owed{}
	for i := range 5 {
		rows = append(rows, Owed{Tenant: "big", Conversation: chat.ConversationID(fmt.Sprint(i))})
	}
	rows = append(rows, Owed{Tenant: "small", Conversation: "x"}, Owed{Tenant: "tiny", Conversation: "y"})
	var order []chat.TenantID
	for _, row := range inTurns(rows) {
		order = append(order, row.Tenant)
	}
	want := []chat.TenantID{"big", "small", "tiny", "big", "big", "big", "big"}
	if !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// TestWalker_FiresOnTime: the quiet period ends between two looks at the
// agenda, and a due time earlier than the one waited for wakes the walker.
func TestWalker_FiresOnTime(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		store.mu.Lock()
		store.set.QuietPeriod = 50 * time.Minute
		store.mu.Unlock()
		deliver(t, s, textFrom("1555", "wamid.1", "later"))
		store.mu.Lock()
		store.set.QuietPeriod = 300 * time.Millisecond
		store.mu.Unlock()
		began := time.Now()
		deliver(t, s, textFrom("1666", "wamid.2", "sooner"))
		settle(time.Second)
		if len(graph.at) != 1 || graph.at[0].Sub(began) > 310*time.Millisecond {
			t.Errorf("requests %v after the message, want one after 300 ms", graph.at)
		}
	})
}

func TestWalker_FailingTickIsRepeatedWithAPause(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		tries := 0
		store.setBefore(func(chat.Commit) (chat.Receipt, bool) {
			tries++
			return chat.Receipt{Answer: chat.Unknown}, true
		})
		settle(12 * time.Second)
		if tries < 10 || tries > 60 {
			t.Errorf("%d tries in 10 s, want one in about 250 ms", tries)
		}
		store.setBefore(nil)
		settle(time.Second)
		if got := graph.texts(); len(got) != 1 {
			t.Errorf("sent %q, want the reply once the store works", got)
		}
	})
}

// A conversation whose tick panics each time is tried ever more seldom, and goes on
// where it was once the cause is gone.
func TestWalker_PanickingTickIsRepeatedEverMoreSeldom(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		var tries atomic.Int64
		var broken atomic.Bool
		broken.Store(true)
		step := s.core.step
		s.core.step = func(c *chat.Conversation, in chat.Input) chat.Decision {
			if _, tick := in.Fact.(chat.Tick); tick && broken.Load() {
				tries.Add(1)
				panic("planted")
			}
			return step(c, in)
		}
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(2 * time.Minute)
		if n := tries.Load(); n < 6 || n > 20 {
			t.Errorf("%d tries in two minutes, want one after a quarter of a second and each later one after twice as long", n)
		}
		broken.Store(false)
		settle(2 * time.Minute)
		if got := graph.texts(); len(got) != 1 {
			t.Errorf("sent %q, want one answer or apology once it works", got)
		}
	})
}

func TestWalker_BurstLargerThanItsWindow(t *testing.T) {
	inBubble(t, func(o *Options) { o.TicksInFlightMax = 4 },
		func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
			var updates []chat.Inbound
			for i := range 60 {
				updates = append(updates, textFrom(fmt.Sprint(5000+i), fmt.Sprint("wamid.", i), "a"))
			}
			deliver(t, s, updates...)
			time.Sleep(9 * time.Second)
			synctest.Wait()
			if n := len(graph.texts()); n != 60 {
				t.Errorf("%d replies, want 60", n)
			}
		})
}

// TestWalker_WritingOnTakesNoTick: each message of somebody who goes on writing brings its
// due time with it; a tick that came too early would cost a commit of its own.
func TestWalker_WritingOnTakesNoTick(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		store.mu.Lock()
		store.set.QuietPeriod, store.set.RestartWindow = 2*time.Second, time.Minute
		store.mu.Unlock()
		for i := range 20 {
			deliver(t, s, textFrom("10000", fmt.Sprint("wamid.", i), "and"))
			settle(time.Second)
		}
		if n := testutil.ToFloat64(s.met.Actors.Ticks); n != 0 {
			t.Errorf("%v ticks while a customer wrote a message a second", n)
		}
		settle(2 * time.Second)
		if n := testutil.ToFloat64(s.met.Actors.Ticks); n != 1 {
			t.Errorf("%v ticks when the customer had ended, want one", n)
		}
	})
}
