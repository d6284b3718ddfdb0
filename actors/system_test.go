package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
)

// inBubble runs a System over a memStore in fake time.
func inBubble(t *testing.T, change func(*Options), f func(t *testing.T, s *System, store *memStore, graph *ledgerGraph)) {
	synctest.Test(t, func(t *testing.T) {
		store, graph := newMemStore(), &ledgerGraph{}
		o := options(store, echoModel(), graph)
		if change != nil {
			change(&o)
		}
		s := started(t, o)
		f(t, s, store, graph)
		ended(t, s)
	})
}

func deliver(t *testing.T, s *System, updates ...chat.Inbound) {
	t.Helper()
	if err := s.Ingress().Deliver(t.Context(), "meta", updates); err != nil {
		t.Fatal(err)
	}
}

func TestSystem_AnswersACustomer(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(9 * time.Second)
		if got, want := graph.texts(), []string{"re: hello"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		want := []string{"conversation_started", "message_received", "turn_started", "turn_answered",
			"message_queued", "attempt_started", "message_accepted"}
		if got := store.kinds(conversationOf("1555")); !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestSystem_NothingHappensBeforeItIsDurable(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		blocked := make(chan struct{})
		store.setBefore(func(chat.Commit) (chat.Receipt, bool) {
			<-blocked
			return chat.Receipt{}, false
		})
		done := make(chan error, 1)
		go func() {
			done <- s.Ingress().Deliver(t.Context(), "meta", []chat.Inbound{textFrom("1555", "wamid.1", "hi")})
		}()
		settle(time.Minute)
		select {
		case err := <-done:
			t.Errorf("answered %v before the commit was durable", err)
		default:
		}
		if n := len(graph.texts()); n != 0 {
			t.Errorf("%d messages left before anything was durable", n)
		}
		close(blocked)
		if err := <-done; err != nil {
			t.Errorf("after the commit: %v", err)
		}
	})
}

func TestSystem_DeadlineOfTheCaller(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		blocked := make(chan struct{})
		store.setBefore(func(chat.Commit) (chat.Receipt, bool) {
			<-blocked
			return chat.Receipt{}, false
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := s.Ingress().Deliver(ctx, "meta", []chat.Inbound{textFrom("1555", "wamid.1", "hi")})
		if chat.KindOf(err) != chat.KindUnavailable || time.Since(began) != time.Second {
			t.Errorf("%v after %v, want unavailable after 1 s", err, time.Since(began))
		}
		close(blocked)
	})
}

func TestSystem_UnknownAccountsAndBrokenItemsAreKeptAside(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		stranger := textFrom("1555", "wamid.1", "a")
		stranger.Account = "nobody"
		broken := textFrom("1555", "wamid.2", "b")
		broken.Problem = "no_id"
		deliver(t, s, stranger, broken, textFrom("1555", "wamid.3", "c"))
		if err := s.Ingress().Deliver(t.Context(), "other-app", []chat.Inbound{textFrom("1555", "wamid.4", "d")}); err != nil {
			t.Fatal(err)
		}
		var kept []chat.RemoteID
		for _, in := range store.kept {
			kept = append(kept, in.Remote)
		}
		if want := []chat.RemoteID{"wamid.1", "wamid.2", "wamid.4"}; !slices.Equal(kept, want) {
			t.Errorf("kept aside %v, want %v", kept, want)
		}
		if n := len(store.kinds(conversationOf("1555"))); n != 2 {
			t.Errorf("%d events, want the start and one message", n)
		}
	})
}

func TestSystem_ReportsFindTheirConversation(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(9 * time.Second)
		sent := graph.sent[0].Message
		report := func(remote, callback, who, status string) chat.Inbound {
			return chat.Inbound{Kind: chat.InboundStatus, App: "meta", ChannelKind: chat.WhatsApp, Account: "acme-wa",
				Remote: chat.RemoteID(remote), Callback: callback, Type: status,
				Customer: []chat.Address{{Kind: chat.WaID, Value: who}}}
		}
		foreign := chat.MessageIDAt(hashed("nowhere"), 7)
		deliver(t, s,
			report("out-1", string(sent), "1999", "sent"),          // by callback, whatever the recipient says
			report("out-1", "", "1999", "delivered"),               // by remote id
			report("x-1", string(foreign), "1777", "sent"),         // callback of no conversation: the recipient's
			report("x-2", "someone else's data", "1777", "failed")) // not our callback data at all
		if got := statuses(store, "1555"); !slices.Equal(got, []string{"sent", "delivered"}) {
			t.Errorf("statuses of 1555: %q", got)
		}
		got := statuses(store, "1777")
		if slices.Sort(got); !slices.Equal(got, []string{"failed", "sent"}) {
			t.Errorf("statuses of 1777: %q", got)
		}
		if got := statuses(store, "1999"); len(got) != 0 {
			t.Errorf("statuses of 1999: %q", got)
		}
	})
}

func statuses(store *memStore, who string) (words []string) {
	store.mu.Lock()
	defer store.mu.Unlock()
	for _, e := range store.events[conversationOf(who)] {
		if e.Kind == chat.StatusChanged {
			words = append(words, e.Status.Word)
		}
	}
	return words
}

func TestSystem_UpdatesOfAnAccountHaveNoConversation(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		up := chat.Inbound{Kind: chat.InboundUpdate, App: "meta", ChannelKind: chat.WhatsApp, Account: "acme-wa",
			Type: "account_update", Digest: "d1", Raw: []byte("{}")}
		deliver(t, s, up, up)
		deliver(t, s, up)
		if got := store.kinds(""); !slices.Equal(got, []string{"update_received"}) {
			t.Errorf("events %q, want one update", got)
		}
	})
}

func TestSystem_OneDeliveryManyConversationsKeepsOrder(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		var updates []chat.Inbound
		for i := range 300 {
			who := fmt.Sprint(1000 + i%7)
			updates = append(updates, textFrom(who, fmt.Sprint("wamid.", i), fmt.Sprint(i)))
		}
		deliver(t, s, updates...)
		if n := len(store.commits); n != 7 {
			t.Errorf("%d commits for 7 conversations", n)
		}
		for i := range 7 {
			last := -1
			for _, e := range store.events[conversationOf(fmt.Sprint(1000+i))] {
				if e.Kind != chat.MessageReceived {
					continue
				}
				var n int
				fmt.Sscan(e.Message.Text, &n)
				if n <= last {
					t.Fatalf("message %d after %d", n, last)
				}
				last = n
			}
		}
	})
}

func TestSystem_FullConversationAnswersUnavailable(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		blocked := make(chan struct{})
		store.setBefore(func(chat.Commit) (chat.Receipt, bool) {
			<-blocked
			return chat.Receipt{}, false
		})
		const posts = conversationMailMax + factsPerCommitMax + 50
		answers := make(chan error, posts)
		for i := range posts {
			go func() {
				answers <- s.Ingress().Deliver(t.Context(), "meta", []chat.Inbound{textFrom("1555", fmt.Sprint("wamid.", i), "x")})
			}()
		}
		synctest.Wait()
		refused := len(answers)
		// What shares the blocked commit has left the mailbox.
		if refused < 40 || refused > factsPerCommitMax+50 {
			t.Errorf("%d refused at once, want those above the bound", refused)
		}
		close(blocked)
		unavailable := 0
		for range posts {
			if err := <-answers; chat.KindOf(err) == chat.KindUnavailable {
				unavailable++
			} else if err != nil {
				t.Error(err)
			}
		}
		if unavailable != refused {
			t.Errorf("%d unavailable, want %d", unavailable, refused)
		}
	})
}

func TestSystem_PassivationLosesNoMail(t *testing.T) {
	cap8 := func(o *Options) { o.ResidentMax, o.Model = 8, nil }
	inBubble(t, cap8, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		store.set.Assistant = false
		const people, each = 64, 20
		done := make(chan error, people)
		for p := range people {
			go func() {
				for n := range each {
					in := textFrom(fmt.Sprint(2000+p), fmt.Sprintf("wamid.%d.%d", p, n), fmt.Sprint(n))
					if err := s.Ingress().Deliver(t.Context(), "meta", []chat.Inbound{in}); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range people {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		for p := range people {
			n := 0
			for _, k := range store.kinds(conversationOf(fmt.Sprint(2000 + p))) {
				if k == "message_received" {
					n++
				}
			}
			if n != each {
				t.Errorf("person %d: %d messages, want %d", p, n, each)
			}
		}
		synctest.Wait()
		if n := s.resident.Load(); n > 8 {
			t.Errorf("%d resident, want at most 8", n)
		}
	})
}

func TestSystem_IdleActorsAreStopped(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(time.Minute)
		if n := s.resident.Load(); n != 1 {
			t.Fatalf("%d resident, want 1", n)
		}
		settle(2*DefaultPassivateAfter + time.Minute)
		if n := s.resident.Load(); n != 0 {
			t.Errorf("%d resident after a long pause, want none", n)
		}
		deliver(t, s, textFrom("1555", "wamid.2", "again"))
		settle(10 * time.Second)
		if got, want := graph.texts(), []string{"re: hello", "re: again"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

func TestSystem_ResultOfATurnFindsAPassivatedConversation(t *testing.T) {
	answer := make(chan struct{})
	slow := func(o *Options) {
		o.PassivateAfter, o.SweepEvery = 5*time.Second, time.Second
		o.Model = scriptModel{func(context.Context, chat.Prompt) (chat.Answer, error) {
			<-answer
			return chat.Answer{Text: "late"}, nil
		}}
	}
	synctest.Test(t, func(t *testing.T) {
		answer = make(chan struct{})
		store, graph := newMemStore(), &ledgerGraph{}
		o := options(store, nil, graph)
		slow(&o)
		s := started(t, o)
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(30 * time.Second)
		if n := s.resident.Load(); n != 0 {
			t.Fatalf("%d resident while the model thinks, want none", n)
		}
		close(answer)
		settle(time.Second)
		if got, want := graph.texts(), []string{"late"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		ended(t, s)
	})
}

func TestSystem_EpochChangeFencesAndRecovers(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		store.mu.Lock()
		store.epoch++
		store.mu.Unlock()
		// The first mail after the change may meet the old actors; the road
		// behind it is the new epoch's.
		err := errors.New("not delivered")
		for range 10 {
			if err = s.Ingress().Deliver(t.Context(), "meta", []chat.Inbound{textFrom("1555", "wamid.2", "b")}); err == nil {
				break
			}
			if chat.KindOf(err) != chat.KindUnavailable {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		last := store.commits[len(store.commits)-1]
		if last.Epoch != 2 {
			t.Errorf("last commit of epoch %d, want 2", last.Epoch)
		}
	})
}

func TestSystem_CommandsNeedAConversation(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		for _, id := range []chat.ConversationID{"", "conv_x", "x", hashed("nobody")} {
			if _, err := s.Ingress().HandBack(t.Context(), "acme", id, chat.HandBack{}); chat.KindOf(err) != chat.KindNotFound {
				t.Errorf("%q: %v, want not found", id, err)
			}
		}
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		id := conversationOf("1555")
		v, err := s.Ingress().Send(t.Context(), "acme", id, chat.MemberSend{Text: "hi", Idempotency: "k", Digest: "d"})
		if err != nil || v.Message == "" {
			t.Fatalf("send: %v, %v", v, err)
		}
		again, err := s.Ingress().Send(t.Context(), "acme", id, chat.MemberSend{Text: "hi", Idempotency: "k", Digest: "d"})
		if err != nil || again.Kind != chat.VerdictDuplicate || again.Message != v.Message {
			t.Errorf("repeated send: %v, %v; want the first message", again, err)
		}
		settle(time.Second)
		if got := graph.texts(); !slices.Equal(got, []string{"hi"}) {
			t.Errorf("sent %q, want one", got)
		}
	})
}
