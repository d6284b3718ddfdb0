package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// wire connects two Instagram accounts: what one sends, the other's customer has
// written. Graph's echo of every send arrives before the answer to its request.
type wire struct {
	graph    *metasim.Server
	accounts [2]metasim.Account
	// persons is each account as the other one knows it.
	persons  [2]metasim.Customer
	ctx      context.Context
	carried  atomic.Int64
	carriers sync.WaitGroup
}

func (w *wire) onSend(m metasim.SendMoment, e metasim.Send) {
	if !e.Accepted {
		return
	}
	for i := range w.accounts {
		if e.Account != w.accounts[i].ID {
			continue
		}
		switch m {
		case metasim.SendReceived:
			_ = w.graph.Deliver(w.ctx, metasim.Update{Kind: metasim.UpdateEcho, Account: w.accounts[i],
				Customer: metasim.Customer{ID: e.To}, RemoteID: e.RemoteID, Text: e.Text, At: e.Time})
		case metasim.SendAnswered:
			if e.To == w.persons[1-i].ID {
				w.carriers.Go(func() {
					w.carried.Add(1)
					_ = w.graph.Deliver(w.ctx, w.graph.Text(w.accounts[1-i], w.persons[i], e.Text))
				})
			}
		case metasim.SendAnswering:
		}
	}
}

// TestLoop_TwoAssistantsEnd wires two tenants' assistants to each other. They end,
// with people asked, having sent nothing twice; no echo of their own is answered or
// taken for a person, although each arrives before its send is known to have gone.
func TestLoop_TwoAssistantsEnd(t *testing.T) {
	bootstrap := write(t, "b.yaml", twoTenants)
	w := &wire{persons: [2]metasim.Customer{{ID: "900000000000001"}, {ID: "900000000000002"}}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.ctx = ctx
	sims, args := quickSimulators(t, bootstrap, func(o *metasim.Options) {
		o.Plan.Reports.Off = true
		o.OnSend = w.onSend
	})
	w.graph = sims.meta
	dir := t.TempDir()
	e := startEngine(t, dir, bootstrap, args...)
	sims.meta.SetHooks("http://" + e.edge)
	for i, name := range []string{"acme-ig", "bolt-ig"} {
		w.accounts[i], _ = sims.meta.Account(name)
	}
	feeds := [2]<-chan apiEvent{e.stream("key-of-acme"), e.stream("key-of-bolt")}
	if err := sims.meta.Deliver(ctx, sims.meta.Text(w.accounts[0], w.persons[1], "Good morning! Could you tell me about your prices?")); err != nil {
		t.Fatal(err)
	}
	// One of them asks people, and then the other one has nobody to answer.
	ended := make(chan struct{}, 2)
	for _, feed := range feeds {
		go func() {
			for ev := range feed {
				if ev.Kind == "handoff_requested" && ev.Handoff != nil && ev.Handoff.Reason == "loop" {
					ended <- struct{}{}
				}
			}
		}()
	}
	select {
	case <-ended:
	case <-time.After(2 * patience):
		t.Fatalf("after %d messages they still answer each other", w.carried.Load())
	}

	// A person of the business writes from the phone: the assistant is silent.
	quiet := metasim.Customer{ID: "900000000000003"}
	must := func(updates ...metasim.Update) {
		t.Helper()
		if err := sims.meta.Deliver(ctx, updates...); err != nil {
			t.Fatal(err)
		}
	}
	must(sims.meta.Echo(w.accounts[0], quiet, "Hi, this is Ana, I saw your comment"))
	must(sims.meta.Text(w.accounts[0], quiet, "Oh hello Ana"))

	// Echoes in Meta's other shapes: to oneself, without the mark, and new to us.
	own := w.accounts[0].ID
	for i, message := range []string{
		`{"sender":{"id":"` + own + `"},"recipient":{"id":"900000000000004"},"timestamp":%d,"message":{"mid":"m_self","text":"test","is_echo":true,"is_self":true}}`,
		`{"sender":{"id":"` + own + `"},"recipient":{"id":"900000000000005"},"timestamp":%d,"message":{"mid":"m_own","text":"no mark"}}`,
	} {
		body := `{"object":"instagram","entry":[{"id":"` + own + `","time":%[1]d,"messaging":[` + fmt.Sprintf(message, time.Now().UnixMilli()) + `]}]}`
		if status := e.post("acme-app", "secret-of-acme", fmt.Appendf(nil, body, time.Now().UnixMilli())); status != 200 {
			t.Errorf("shape %d was answered %d", i, status)
		}
	}
	time.Sleep(time.Second) // long enough for an answer that must not come
	cancel()
	w.carriers.Wait()
	e.stop()
	checked(t, dir)

	queued, echoes, humans, turnsAfterHuman := map[string]int{}, 0, 0, 0
	for _, tenant := range []string{"acme", "bolt"} {
		held := map[string]bool{}
		for _, ev := range exported(t, dir, tenant) {
			switch ev.Kind {
			case "message_queued":
				queued[ev.Message.Text]++
			case "message_echoed":
				echoes++
			case "handoff_taken":
				humans++
				held[ev.conversation()] = true
			case "turn_started":
				if held[ev.conversation()] {
					turnsAfterHuman++
				}
			}
		}
	}
	sent := map[string]int{}
	for _, s := range sims.meta.Sends() {
		if s.Accepted {
			sent[s.Text]++
		}
	}
	for text, n := range sent {
		if n > queued[text] {
			t.Errorf("%.60q was sent %d times and queued %d times", text, n, queued[text])
		}
	}
	if n := w.carried.Load(); n < 4 || n > 60 {
		t.Errorf("%d messages went between the assistants, want some and at most 60", n)
	}
	// The human one and the two that no send of ours caused.
	if echoes != 3 || humans != 3 || turnsAfterHuman != 0 {
		t.Errorf("%d echoes taken for messages of people, %d takeovers, %d turns after one; want 3, 3, 0", echoes, humans, turnsAfterHuman)
	}
}
