package actors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/persistence/seal"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
)

// road is the actors on the real store, with a scripted model and Graph.
type road struct {
	t     *testing.T
	fs    vfs.FS
	store *persistence.Store
	dir   *persistence.Directory
	sys   *actors.System
	model *model
	graph *graph
	// tune changes the options of the actors; can be nil.
	tune func(*actors.Options)
}

// unnamed knows the models of the provider without a name.
type unnamed struct{}

// Knows implements actors.Models.
func (unnamed) Knows(m chat.ModelRef) bool { return m.Provider == "" }

type clock struct{}

// Now implements actors.Clock.
func (clock) Now() time.Time { return time.Now() }

// AfterFunc implements actors.Clock.
func (clock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// model repeats the last line; while hold is set it waits.
type model struct {
	mu    sync.Mutex
	hold  chan struct{}
	calls int
}

// Complete implements actors.Model.
func (m *model) Complete(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
	m.mu.Lock()
	hold := m.hold
	m.calls++
	m.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return chat.Answer{}, &chat.ModelError{Reason: "cancelled"}
		}
	}
	return chat.Answer{Text: "re: " + p.Lines[len(p.Lines)-1].Text, Model: "echo"}, nil
}

// graph accepts everything and tells who waits.
type graph struct {
	mu   sync.Mutex
	sent []chat.Outbound
	news chan struct{}
}

// Send implements actors.Graph.
func (g *graph) Send(_ context.Context, out chat.Outbound) chat.SendOutcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent = append(g.sent, out)
	close(g.news)
	g.news = make(chan struct{})
	return chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID(fmt.Sprint("out.", out.Message))}
}

// await returns what was sent once there are n messages.
func (g *graph) await(t *testing.T, n int) []chat.Outbound {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		g.mu.Lock()
		sent, news := slices.Clone(g.sent), g.news
		g.mu.Unlock()
		if len(sent) >= n {
			return sent
		}
		select {
		case <-news:
		case <-limit:
			t.Fatalf("%d of %d messages were sent", len(sent), n)
		}
	}
}

func newRoad(t *testing.T) *road { return newTunedRoad(t, nil) }

func newTunedRoad(t *testing.T, tune func(*actors.Options)) *road {
	r := &road{t: t, fs: vfs.NewMem(), model: &model{}, graph: &graph{news: make(chan struct{})}, tune: tune}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *road) open() {
	r.t.Helper()
	kek, err := seal.NewKEK(make([]byte, 32))
	if err != nil {
		r.t.Fatal(err)
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	r.store, err = persistence.Open(persistence.Options{Dir: "data", FS: r.fs, KEK: kek, Groups: 4, DiskReserve: -1,
		Logger: quiet, Fatal: func(string) { runtime.Goexit() }, MemTableSize: 1 << 20, CacheSize: 1 << 20})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err = replica.Start(r.store, replica.Options{Logger: quiet}); err != nil {
		r.t.Fatal(err)
	}
	r.dir, err = persistence.OpenDirectory(r.t.Context(), r.store,
		chat.Settings{Assistant: true, QuietPeriod: 20 * time.Millisecond})
	if err != nil {
		r.t.Fatal(err)
	}
	err = r.dir.Change(r.t.Context(), func(c *persistence.Change) error {
		return firstError(
			c.PutApp(chat.App{ID: "meta", Secrets: []chat.Secret{"s"}, VerifyTokens: []chat.Secret{"v"}}),
			c.PutTenant(chat.Tenant{ID: "acme", Name: "Acme"}),
			c.PutChannel(chat.Channel{ID: "acme-wa", Tenant: "acme", App: "meta", Kind: chat.WhatsApp,
				Account: "100", WABA: "200", Token: "t", Simulated: true}))
	})
	if err != nil {
		r.t.Fatal(err)
	}
	o := actors.Options{Journal: r.store, Histories: r.store, Pairs: r.store, Index: r.store, Contacts: r.store, Documents: r.store, Barrier: r.store,
		Directory: r.dir, Quarantine: r.dir.Quarantine(), Leadership: r.store, Elections: r.store, Agenda: r.store,
		Model: r.model, Graph: r.graph, Clock: clock{}, Models: unnamed{}}
	if r.tune != nil {
		r.tune(&o)
	}
	if r.sys, err = actors.New(o); err != nil {
		r.t.Fatal(err)
	}
	if err := r.sys.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// stop ends the actors at once, as a crash would, and the store in order.
func (r *road) stop() {
	r.sys.Stop()
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *road) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.sys.Drain(ctx); err != nil {
		r.t.Error(err)
	}
	r.stop()
}

func (r *road) deliver(updates ...chat.Inbound) {
	r.t.Helper()
	if err := r.sys.Ingress().Deliver(r.t.Context(), "meta", updates); err != nil {
		r.t.Fatal(err)
	}
}

func (r *road) place(who string) chat.Place {
	r.t.Helper()
	p, err := r.store.Locate("acme", "acme-wa", []chat.Address{{Kind: chat.WaID, Value: who}})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *road) events(who string) []chat.Event {
	r.t.Helper()
	events, err := r.store.Events("acme", r.place(who).Conversation, 0, 10_000)
	if err != nil {
		r.t.Fatal(err)
	}
	return events
}

func said(who, remote, text string) chat.Inbound {
	return chat.Inbound{Kind: chat.InboundMessage, App: "meta", ChannelKind: chat.WhatsApp, Account: "100", WABA: "200",
		Remote: chat.RemoteID(remote), Type: chat.TypeText, Text: text, Time: time.Now(),
		Customer: []chat.Address{{Kind: chat.WaID, Value: who}}, Name: "Ann"}
}

func TestRoad_FollowOneMessage(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("road", func(t *testing.T) {
		r := newRoad(t)
		r.deliver(said("15550001", "wamid.1", "hello"))
		sent := r.graph.await(t, 1)
		if sent[0].Text != "re: hello" || sent[0].To.Value != "15550001" || sent[0].Channel.ID != "acme-wa" {
			t.Errorf("sent %+v", sent[0])
		}
		r.deliver(chat.Inbound{Kind: chat.InboundStatus, App: "meta", ChannelKind: chat.WhatsApp, Account: "100", WABA: "200",
			Remote: chat.RemoteID(fmt.Sprint("out.", sent[0].Message)), Type: "delivered", Callback: string(sent[0].Message),
			Customer: []chat.Address{{Kind: chat.WaID, Value: "15550001"}}})
		var delivered bool
		for i, e := range r.events("15550001") {
			if e.Seq != chat.Seq(i+1) {
				t.Errorf("event %d has seq %d", i+1, e.Seq)
			}
			delivered = delivered || (e.Kind == chat.StatusChanged && e.Status.Message == sent[0].Message)
		}
		if !delivered {
			t.Error("the status did not find its message")
		}
	})
}

func TestRoad_RepeatedAndConcurrentDeliveriesApplyOnce(t *testing.T) {
	r := newRoad(t)
	r.model.hold = make(chan struct{})
	const people, each, copies = 10, 12, 4
	var all sync.WaitGroup
	for range copies {
		for p := range people {
			all.Go(func() {
				for n := range each {
					in := said(fmt.Sprint(15550100+p), fmt.Sprintf("wamid.%d.%d", p, n), fmt.Sprint(n))
					for r.sys.Ingress().Deliver(t.Context(), "meta", []chat.Inbound{in}) != nil {
						runtime.Gosched()
					}
				}
			})
		}
	}
	all.Wait()
	for p := range people {
		seen := map[chat.RemoteID]int{}
		for _, e := range r.events(fmt.Sprint(15550100 + p)) {
			if e.Kind == chat.MessageReceived {
				seen[e.Message.RemoteID]++
			}
		}
		if len(seen) != each {
			t.Errorf("person %d: %d messages, want %d", p, len(seen), each)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s applied %d times", id, n)
			}
		}
	}
}

func TestRoad_RestartResumesTheTurn(t *testing.T) {
	r := newRoad(t)
	r.model.hold = make(chan struct{})
	const people = 20
	for p := range people {
		r.deliver(said(fmt.Sprint(15550200+p), fmt.Sprint("wamid.", p), "hi"))
	}
	limit := time.After(20 * time.Second)
	for calls := 0; calls < people; {
		select {
		case <-limit:
			t.Fatal("the turns did not start")
		case <-time.After(5 * time.Millisecond):
		}
		r.model.mu.Lock()
		calls = r.model.calls
		r.model.mu.Unlock()
	}
	r.stop()
	r.model.hold = nil
	r.open()
	sent := r.graph.await(t, people)
	got := map[string]int{}
	for _, out := range sent {
		got[out.To.Value]++
	}
	if len(sent) != people || len(got) != people {
		t.Errorf("%d replies to %d people, want one each for %d", len(sent), len(got), people)
	}
}

func TestRoad_TwoNamesOfOnePersonMeet(t *testing.T) {
	r := newRoad(t)
	r.model.hold = make(chan struct{})
	both := said("15550300", "wamid.1", "a")
	both.Customer = append(both.Customer, chat.Address{Kind: chat.BSUID, Value: "US.1"})
	r.deliver(both)
	only := said("", "wamid.2", "b")
	only.Customer = []chat.Address{{Kind: chat.BSUID, Value: "US.1"}}
	r.deliver(only)
	n := 0
	for _, e := range r.events("15550300") {
		if e.Kind == chat.MessageReceived {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d messages in the one conversation, want 2", n)
	}
}

// TestRoad_RaceForAnAddress: two deliveries meet the same new person under
// different first addresses; one claims the shared address, the other follows.
func TestRoad_RaceForAnAddress(t *testing.T) {
	r := newRoad(t)
	r.model.hold = make(chan struct{})
	for i := range 20 {
		number := chat.Address{Kind: chat.WaID, Value: fmt.Sprint(15550400 + i)}
		business := chat.Address{Kind: chat.BSUID, Value: fmt.Sprint("US.", i)}
		one, two := said("", fmt.Sprint("wamid.a", i), "a"), said("", fmt.Sprint("wamid.b", i), "b")
		one.Customer = []chat.Address{number, business}
		two.Customer = []chat.Address{business, number}
		var both sync.WaitGroup
		for _, in := range []chat.Inbound{one, two} {
			both.Go(func() {
				if err := r.sys.Ingress().Deliver(t.Context(), "meta", []chat.Inbound{in}); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		n := 0
		for _, e := range r.events(number.Value) {
			if e.Kind == chat.MessageReceived {
				n++
			}
		}
		if n != 2 {
			t.Errorf("person %d: %d messages in one conversation, want 2", i, n)
		}
	}
}
