package actors

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
)

// realClock is the clock of the process; inside a synctest bubble it is fake.
type realClock struct{}

// Now implements Clock.
func (realClock) Now() time.Time { return time.Now() }

// AfterFunc implements Clock.
func (realClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// scriptModel answers with a function.
type scriptModel struct {
	f func(ctx context.Context, p chat.Prompt) (chat.Answer, error)
}

// Complete implements Model.
func (m scriptModel) Complete(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
	return m.f(ctx, p)
}

// ledgerGraph remembers what was sent and answers with a function.
type ledgerGraph struct {
	mu   sync.Mutex
	sent []chat.Outbound
	at   []time.Time
	f    func(ctx context.Context, out chat.Outbound) chat.SendOutcome
}

// Send implements Graph.
func (g *ledgerGraph) Send(ctx context.Context, out chat.Outbound) chat.SendOutcome {
	g.mu.Lock()
	g.sent = append(g.sent, out)
	g.at = append(g.at, time.Now())
	n, f := len(g.sent), g.f
	g.mu.Unlock()
	if f != nil {
		return f(ctx, out)
	}
	return chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID(fmt.Sprint("out-", n))}
}

func (g *ledgerGraph) texts() (texts []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.sent {
		texts = append(texts, o.Text)
	}
	return texts
}

// options pairs a store with everything else a System needs.
func options(s *memStore, model Model, graph Graph) Options {
	return Options{Journal: s, Histories: s, Pairs: s, Index: s, Contacts: s, Documents: s, Barrier: s, Directory: s, Quarantine: s,
		Leadership: s, Elections: s, Agenda: s, Model: model, Graph: graph, Clock: realClock{},
		Rand: func() float64 { return 1 }}
}

func echoModel() Model {
	return scriptModel{func(_ context.Context, p chat.Prompt) (chat.Answer, error) {
		last := p.Lines[len(p.Lines)-1]
		return chat.Answer{Text: "re: " + last.Text, Model: "m"}, nil
	}}
}

func textFrom(who, remote, text string) chat.Inbound {
	return chat.Inbound{Kind: chat.InboundMessage, App: "meta", ChannelKind: chat.WhatsApp, Account: "acme-wa",
		Remote: chat.RemoteID(remote), Type: chat.TypeText, Text: text,
		Customer: []chat.Address{{Kind: chat.WaID, Value: who}}}
}

func conversationOf(who string) chat.ConversationID { return hashed("acme-wa", who) }

// settle lets fake time pass until nothing happens any more at its end.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// started runs a System for the test and ends it.
func started(t *testing.T, o Options) *System {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// ended drains and stops a System.
func ended(t *testing.T, s *System) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Errorf("Drain: %v", err)
	}
	s.Stop()
	// The library throttles its log of dead letters on a goroutine of 1 ms.
	time.Sleep(5 * time.Millisecond)
}
