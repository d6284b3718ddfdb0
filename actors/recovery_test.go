package actors

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
)

// takeOverWaits takes 1555 over while a request is under way, which ends when
// answered is closed.
func takeOverWaits(t *testing.T, s *System, answered chan struct{}) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := s.Ingress().TakeOver(t.Context(), "acme", conversationOf("1555"), chat.TakeOver{Member: "ann"})
		done <- err
	}()
	synctest.Wait()
	if len(done) != 0 {
		t.Error("takeover acknowledged while a request is under way")
	}
	close(answered)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSystem_TakeOverOutlivesTheAttempt(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		answered := make(chan struct{})
		graph.f = func(context.Context, chat.Outbound) chat.SendOutcome {
			<-answered
			return chat.SendOutcome{Result: chat.SendAccepted, Remote: "out"}
		}
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(3 * time.Second)
		takeOverWaits(t, s, answered)
	})
}

func TestSystem_TakeOverOutlivesARepeatedAttempt(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		answered := make(chan struct{})
		var attempts atomic.Int32
		graph.f = func(context.Context, chat.Outbound) chat.SendOutcome {
			if attempts.Add(1) == 1 {
				return chat.SendOutcome{Result: chat.SendAmbiguous}
			}
			<-answered
			return chat.SendOutcome{Result: chat.SendAccepted, Remote: "out-2"}
		}
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(2 * time.Minute)
		if n := attempts.Load(); n != 2 {
			t.Fatalf("%d attempts, want the second under way", n)
		}
		// Meta tells of the first attempt while the second is on its way.
		deliver(t, s, chat.Inbound{Kind: chat.InboundStatus, App: "meta", ChannelKind: chat.WhatsApp, Account: "acme-wa",
			Remote: "out-1", Type: "delivered", Callback: string(graph.sent[0].Message),
			Customer: []chat.Address{{Kind: chat.WaID, Value: "1555"}}})
		takeOverWaits(t, s, answered)
	})
}

func TestSystem_TakeOverStopsAReplyBeingGenerated(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Model = scriptModel{func(ctx context.Context, _ chat.Prompt) (chat.Answer, error) {
			select {
			case <-time.After(20 * time.Second):
				return chat.Answer{Text: "too late"}, nil
			case <-ctx.Done():
				return chat.Answer{}, &chat.ModelError{Reason: "cancelled"}
			}
		}}
	}, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(3 * time.Second)
		if _, err := s.Ingress().TakeOver(t.Context(), "acme", conversationOf("1555"), chat.TakeOver{Member: "ann"}); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		if got := graph.texts(); len(got) != 0 {
			t.Errorf("sent %q after the takeover", got)
		}
	})
}

func TestSystem_DrainRefusesAndParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, graph := newMemStore(), &ledgerGraph{}
		thinking := scriptModel{func(ctx context.Context, _ chat.Prompt) (chat.Answer, error) {
			<-ctx.Done()
			return chat.Answer{}, &chat.ModelError{Reason: "cancelled"}
		}}
		s := started(t, options(store, thinking, graph))
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(3 * time.Second)
		ended(t, s)
		if err := s.Ingress().Deliver(t.Context(), "meta", nil); chat.KindOf(err) != chat.KindUnavailable {
			t.Errorf("after Drain: %v, want unavailable", err)
		}
		kinds := store.kinds(conversationOf("1555"))
		if kinds[len(kinds)-1] != "turn_started" {
			t.Errorf("events %q, want the turn parked as it was", kinds)
		}

		// The next process makes the call again.
		store.epoch++
		s = started(t, options(store, echoModel(), graph))
		settle(time.Second)
		if got := graph.texts(); !slices.Equal(got, []string{"re: a"}) {
			t.Errorf("sent %q after the restart", got)
		}
		ended(t, s)
	})
}

func TestSystem_RestartResumesQueuedSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, graph := newMemStore(), &ledgerGraph{}
		graph.f = func(context.Context, chat.Outbound) chat.SendOutcome {
			return chat.SendOutcome{Result: chat.SendThrottled, RetryAfter: 30 * time.Second, Code: 4}
		}
		s := started(t, options(store, echoModel(), graph))
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(3 * time.Second)
		ended(t, s)

		graph.f, graph.sent = nil, nil
		store.epoch++
		s = started(t, options(store, echoModel(), graph))
		settle(time.Minute)
		if got := graph.texts(); !slices.Equal(got, []string{"re: a"}) {
			t.Errorf("sent %q after the restart, want the queued reply", got)
		}
		ended(t, s)
	})
}

func TestSystem_BusyConversationStillGetsItsResult(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		refuse := true
		store.setBefore(func(c chat.Commit) (chat.Receipt, bool) {
			answers := slices.ContainsFunc(c.Events, func(e chat.Event) bool { return e.Kind == chat.TurnAnswered })
			if refuse && answers {
				return chat.Receipt{Answer: chat.Unknown}, true
			}
			return chat.Receipt{}, false
		})
		settle(10 * time.Second)
		if n := len(graph.texts()); n != 0 {
			t.Fatalf("%d sent while the answer cannot be stored", n)
		}
		store.setBefore(nil)
		settle(5 * time.Second)
		if got := graph.texts(); !slices.Equal(got, []string{"re: a"}) {
			t.Errorf("sent %q, want the paid answer", got)
		}
	})
}

func TestSystem_TurnsAreBounded(t *testing.T) {
	var mu sync.Mutex
	var inside, most int
	inBubble(t, func(o *Options) {
		o.TurnsInFlightMax = 3
		o.Model = scriptModel{func(_ context.Context, p chat.Prompt) (chat.Answer, error) {
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			inside--
			mu.Unlock()
			return chat.Answer{Text: "ok"}, nil
		}}
	}, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		for i := range 12 {
			deliver(t, s, textFrom(fmt.Sprint(3000+i), fmt.Sprint("wamid.", i), "a"))
		}
		settle(20 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if most != 3 || len(graph.texts()) != 12 {
			t.Errorf("%d calls at once and %d replies, want 3 and 12", most, len(graph.texts()))
		}
	})
}

func TestSystem_PanicOutsideStepRestartsTheConversation(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		broken := true
		store.setBefore(func(chat.Commit) (chat.Receipt, bool) {
			if broken {
				broken = false
				panic("disk driver bug")
			}
			return chat.Receipt{}, false
		})
		in := []chat.Inbound{textFrom("1555", "wamid.1", "a")}
		if err := s.Ingress().Deliver(t.Context(), "meta", in); chat.KindOf(err) != chat.KindUnavailable {
			t.Fatalf("%v, want unavailable", err)
		}
		if err := s.Ingress().Deliver(t.Context(), "meta", in); err != nil {
			t.Errorf("after the restart: %v", err)
		}
	})
}

// slowJournal makes the first reading of a message to be sent slow.
type slowJournal struct {
	*memStore
	once sync.Once
}

// Events implements Journal.
func (s *slowJournal) Events(t chat.TenantID, id chat.ConversationID, after chat.Seq, limit int) ([]chat.Event, error) {
	if limit == 1 {
		s.once.Do(func() { time.Sleep(attemptStartMax + time.Millisecond) })
	}
	return s.memStore.Events(t, id, after, limit)
}

func TestSystem_RequestThatWouldStartLateIsCommittedAgain(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Journal = &slowJournal{memStore: o.Journal.(*memStore)}
	}, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(9 * time.Second)
		if got := graph.texts(); !slices.Equal(got, []string{"re: a"}) {
			t.Errorf("sent %q, want one", got)
		}
		kinds := store.kinds(conversationOf("1555"))
		want := []string{"attempt_started", "attempt_ended", "attempt_started", "message_accepted"}
		if got := kinds[len(kinds)-4:]; !slices.Equal(got, want) {
			t.Errorf("events end in %q, want %q", got, want)
		}
	})
}

func TestSystem_DrainWaitsForAttemptsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, graph := newMemStore(), &ledgerGraph{}
		graph.f = func(context.Context, chat.Outbound) chat.SendOutcome {
			time.Sleep(5 * time.Second)
			return chat.SendOutcome{Result: chat.SendAccepted, Remote: "out"}
		}
		s := started(t, options(store, echoModel(), graph))
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(3 * time.Second)
		ended(t, s)
		kinds := store.kinds(conversationOf("1555"))
		if kinds[len(kinds)-1] != "message_accepted" {
			t.Errorf("events %q, want the attempt recorded before the end", kinds)
		}
	})
}

func TestSystem_NewTokenResumesABlockedChannel(t *testing.T) {
	dir := &tokenDirectory{}
	inBubble(t, func(o *Options) {
		dir.memStore = o.Directory.(*memStore)
		o.Directory = dir
	}, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		graph.f = func(_ context.Context, out chat.Outbound) chat.SendOutcome {
			if out.Channel.Token != "new" {
				return chat.SendOutcome{Result: chat.SendBlocked, Code: 190}
			}
			return chat.SendOutcome{Result: chat.SendAccepted, Remote: "out"}
		}
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		settle(time.Minute)
		if n := len(graph.texts()); n != 1 {
			t.Fatalf("%d requests on a blocked channel, want 1", n)
		}
		dir.mu.Lock()
		dir.token = "new"
		dir.mu.Unlock()
		settle(tokenLookEvery + retrySlack)
		if kinds := store.kinds(conversationOf("1555")); !slices.Contains(kinds, "message_accepted") {
			t.Errorf("events %q lack the acceptance", kinds)
		}
	})
}

// retrySlack is what a retry may add to the time until a token is noticed.
const retrySlack = 2 * time.Second

// tokenDirectory is a directory whose channel tokens change.
type tokenDirectory struct {
	*memStore
	mu    sync.Mutex
	token chat.Secret
}

// ChannelByID implements Directory.
func (d *tokenDirectory) ChannelByID(id chat.ChannelID) (chat.Channel, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch, ok := d.memStore.ChannelByID(id)
	if d.token != "" {
		ch.Token = d.token
	}
	return ch, ok
}
