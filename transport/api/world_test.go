package api_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/edge"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const (
	ada   = chat.ConversationID("conv_aaaaaaaaaaaaaaaaaaaaaaaaaa")
	bob   = chat.ConversationID("conv_bbbbbbbbbbbbbbbbbbbbbbbbbb")
	other = chat.ConversationID("conv_cccccccccccccccccccccccccc")
	// asked is a talk with an assistant.
	asked = chat.ConversationID("conv_dddddddddddddddddddddddddd")
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world fills the ports from memory.
type world struct {
	mu     sync.Mutex
	err    error
	events map[chat.TenantID][]chat.Event
	owner  map[chat.ConversationID]chat.TenantID
	sends  map[string]chat.MemberSend
	sent   map[string]chat.MessageID
	refuse string
	// linked are the links of contacts, said what clients said about them.
	linked map[chat.ContactID]map[chat.ContactID]bool
	said   []chat.Link
	desk   *desk
	// changed is closed and replaced at every new event.
	changed chan struct{}
}

func newWorld() *world {
	w := &world{
		desk:    new(desk),
		events:  map[chat.TenantID][]chat.Event{},
		owner:   map[chat.ConversationID]chat.TenantID{ada: "acme", bob: "acme", other: "rival", asked: "acme"},
		sends:   map[string]chat.MemberSend{},
		sent:    map[string]chat.MessageID{},
		changed: make(chan struct{}),
	}
	for i := range 5 {
		w.add("acme", ada, "hello "+strconv.Itoa(i))
		w.add("rival", other, "not yours")
	}
	w.add("acme", bob, "hi")
	return w
}

// add appends a received message. Positions skip, as they may.
func (w *world) add(t chat.TenantID, c chat.ConversationID, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seq := chat.Seq(1)
	for _, e := range w.events[t] {
		if e.Conversation == c {
			seq++
		}
	}
	w.events[t] = append(w.events[t], chat.Event{
		Pos: chat.Pos(len(w.events[t])*3 + 1), Seq: seq, Kind: chat.MessageReceived, Time: noon, Tenant: t,
		Channel: chat.ChannelID(t) + "-wa", Conversation: c,
		Message: &chat.Message{ID: chat.MessageIDAt(c, seq), RemoteID: "wamid.X", Direction: chat.DirectionIn,
			Author: chat.AuthorCustomer, Type: chat.TypeText, Text: text, Raw: []byte("{\n\"a\": 1}")},
	})
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *world) Authenticate(secret string) (chat.Principal, bool) {
	switch secret {
	case "acme-key":
		return chat.Principal{Tenant: "acme", Key: "k_acme", Scopes: []string{"*"}}, true
	case "acme-reader":
		return chat.Principal{Tenant: "acme", Key: "k_reader", Scopes: []string{"read"}}, true
	case "acme-manager":
		return chat.Principal{Tenant: "acme", Key: "k_manager", Scopes: []string{"manage"}}, true
	case "acme-writer":
		return chat.Principal{Tenant: "acme", Key: "k_writer", Scopes: []string{"write"}}, true
	}
	return chat.Principal{}, false
}

func (w *world) view(c chat.ConversationID) chat.ConversationView {
	kind := chat.WhatsApp
	if c == bob {
		kind = chat.Instagram
	}
	return chat.ConversationView{
		State: chat.Conversation{ID: c, Tenant: w.owner[c], Channel: "acme-wa", Kind: kind, Contact: "contact_1", Seq: 5,
			Started: chat.MillisOf(noon), Active: noon, WindowFrom: noon, Unread: 2, PausedUntil: noon, Turn: chat.Turn{Phase: chat.TurnRunning}},
		Contact: chat.Contact{ID: "contact_1", Name: "Ada", Addresses: []chat.Address{{Kind: chat.WaID, Value: "15550001"}}},
	}
}

func (w *world) Conversations(_ context.Context, t chat.TenantID, cursor string, limit int) ([]chat.ConversationView, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, "", w.err
	}
	all := []chat.ConversationID{ada, bob}
	from := 0
	if cursor != "" {
		n, err := strconv.Atoi(cursor)
		if err != nil || n > len(all) {
			return nil, "", chat.E("views", chat.KindInvalid, "cursor", nil)
		}
		from = n
	}
	var page []chat.ConversationView
	for ; from < len(all) && len(page) < limit; from++ {
		page = append(page, w.view(all[from]))
	}
	if from < len(all) {
		return page, strconv.Itoa(from), nil
	}
	return page, "", nil
}

func (w *world) Sends(_ context.Context, t chat.TenantID, state, cursor string, limit int) ([]chat.SendView, string, error) {
	if cursor != "" {
		return nil, "", chat.E("views", chat.KindInvalid, "cursor", nil)
	}
	if t != "acme" {
		return nil, "", nil
	}
	entry := func(seq chat.Seq, s chat.SendState) chat.SendView {
		return chat.SendView{Conversation: ada, Channel: "acme-wa", Queued: noon, Entry: chat.OutboxEntry{
			Message: chat.MessageIDAt(ada, seq), Seq: seq, Author: chat.AuthorMember, State: s, Class: chat.AtMostOnce, N: 1, At: noon.Add(time.Minute)}}
	}
	var page []chat.SendView
	for i, s := range []chat.SendState{chat.SendLeft, chat.SendUnknown, chat.SendAttempting, chat.SendQueued} {
		if state == "" || s.String() == state {
			page = append(page, entry(chat.Seq(i+6), s))
		}
	}
	if len(page) > limit {
		return page[:limit], "more", nil
	}
	return page, "", nil
}

func (w *world) mine(t chat.TenantID, c chat.ConversationID) error {
	if w.err != nil {
		return w.err
	}
	if w.owner[c] != t {
		return chat.E("views", chat.KindNotFound, "", nil)
	}
	return nil
}

func (w *world) Conversation(_ context.Context, t chat.TenantID, c chat.ConversationID) (chat.ConversationView, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.mine(t, c); err != nil {
		return chat.ConversationView{}, err
	}
	return w.view(c), nil
}

func (w *world) ConversationEvents(_ context.Context, t chat.TenantID, c chat.ConversationID, after chat.Seq, limit int) ([]chat.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.mine(t, c); err != nil {
		return nil, err
	}
	var page []chat.Event
	for _, e := range append(w.events[t], w.desk.talk...) {
		if e.Conversation == c && e.Seq > after && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func (w *world) Feed(_ context.Context, t chat.TenantID, after chat.Pos, limit int) ([]chat.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	var page []chat.Event
	for _, e := range w.events[t] {
		if e.Pos > after && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func (w *world) WaitFeed(ctx context.Context, t chat.TenantID, after chat.Pos) error {
	w.mu.Lock()
	changed := w.changed
	if es := w.events[t]; len(es) > 0 && es[len(es)-1].Pos > after {
		w.mu.Unlock()
		return nil
	}
	w.mu.Unlock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) Send(ctx context.Context, t chat.TenantID, c chat.ConversationID, m chat.MemberSend) (chat.Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.mine(t, c); err != nil {
		return chat.Verdict{}, err
	}
	if w.refuse != "" {
		return chat.Verdict{Kind: chat.VerdictRefused, Reason: w.refuse}, nil
	}
	if was, seen := w.sends[m.Idempotency]; seen {
		if was.Digest != m.Digest {
			return chat.Verdict{Kind: chat.VerdictRefused, Reason: "idempotency_key_reused"}, nil
		}
		return chat.Verdict{Kind: chat.VerdictDuplicate, Message: w.sent[m.Idempotency]}, nil
	}
	if wrong := chat.Check(w.view(c).State.Kind, &chat.Message{Type: m.Type, Text: m.Text, Content: m.Content, ReplyTo: m.ReplyTo}); wrong != nil {
		return chat.Verdict{Kind: chat.VerdictRefused, Reason: wrong.Code, Limit: wrong}, nil
	}
	id := chat.MessageIDAt(c, chat.Seq(100+len(w.sends)))
	w.sends[m.Idempotency], w.sent[m.Idempotency] = m, id
	return chat.Verdict{Message: id}, nil
}

func (w *world) MarkRead(_ context.Context, t chat.TenantID, c chat.ConversationID) (chat.RemoteID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "wamid.9", w.mine(t, c)
}

func (w *world) Templates(_ context.Context, t chat.TenantID) ([]chat.Template, error) {
	if t != "acme" {
		return nil, nil
	}
	return []chat.Template{{ID: "1", WABA: "9001", Name: "hours", Language: "de", Status: "APPROVED", Category: "UTILITY"},
		{ID: "2", WABA: "9001", Name: "offer", Language: "de", Status: "PAUSED", Category: "MARKETING",
			Components: []chat.TemplateComponent{{Type: "BODY", Text: "Only {{1}}"}}}}, nil
}

func (w *world) TakeOver(_ context.Context, t chat.TenantID, c chat.ConversationID, m chat.TakeOver) (chat.Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return chat.Verdict{}, w.mine(t, c)
}

func (w *world) HandBack(_ context.Context, t chat.TenantID, c chat.ConversationID, m chat.HandBack) (chat.Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return chat.Verdict{Kind: chat.VerdictDuplicate}, w.mine(t, c)
}

func (w *world) Decide(_ context.Context, t chat.TenantID, c chat.ConversationID, d chat.ToolDecision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.Call != "2.0" {
		return chat.E("world.Decide", chat.KindNotFound, "no_such_call", nil)
	}
	return w.mine(t, c)
}

// site is a running API listener over a world.
type site struct {
	*world
	api    *api.API
	server *edge.Server
	base   string
	client *http.Client
}

func start(t *testing.T, change func(*api.Options, *edge.Limits)) *site {
	t.Helper()
	w := newWorld()
	log := slog.New(slog.DiscardHandler)
	set := metrics.New(nil)
	o := api.Options{Keys: w, Views: w, People: w, Links: w, Sends: w, Templates: w, Feed: w, Commands: w, Approvals: w, TrainingPolicy: trainer{}, Training: trainer{}, TrainingReports: trainer{}, Erasures: eraser{}, Marks: w, Library: newShelf(), Channels: w, Onboarding: w, Disconnection: w, TemplateSync: w, Settings: w, Profiles: w, Assistants: w.desk, AssistantChanges: w.desk, AssistantPlaces: w.desk, Usage: w.desk, Budgets: w.desk, Pasts: w.desk, Currency: "EUR", PricesAsOf: "2026-09-23", Metrics: &set.API, Log: log}
	limits := edge.DefaultAPILimits
	if change != nil {
		change(&o, &limits)
	}
	a, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server, err := edge.NewAPI(limits, a.Serve, a.BodyMax, a.EndStreams, &set.Edge, log)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.Start(ln)
	transport := &http.Transport{}
	s := &site{world: w, api: a, server: server, base: "http://" + ln.Addr().String(), client: &http.Client{Transport: transport}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Drain(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request as key ("" for none). header holds pairs.
func (s *site) do(t *testing.T, method, path, key, body string, header ...string) answer {
	t.Helper()
	req := s.request(t, method, path, key, body, header...)
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (s *site) request(t *testing.T, method, path, key, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// eraser has erased one contact of acme.
type eraser struct{}

func (eraser) Erase(ctx context.Context, t chat.TenantID, id chat.ContactID) (chat.Erasure, error) {
	return eraser{}.Erasure(ctx, t, id)
}

func (eraser) Erasure(_ context.Context, t chat.TenantID, id chat.ContactID) (chat.Erasure, error) {
	switch {
	case t != "acme" || id != "ct_a" && id != "ct_old":
		return chat.Erasure{}, chat.E("test", chat.KindNotFound, "no such contact", nil)
	case id == "ct_old":
		return chat.Erasure{Contact: id, At: time.Now().Add(-chat.BackupLife - time.Hour)}, nil
	}
	return chat.Erasure{Contact: id, At: time.Now(), Left: []string{"tables and logs of node 2, for a moment"}}, nil
}
