package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
)

// account is one channel whose token changes, with Meta's side of it.
type account struct {
	*memStore

	lock sync.Mutex // guards the fields below
	ch   chat.Channel
	// valid are the tokens Meta accepts.
	valid     map[chat.Secret]bool
	report    chat.ChannelReport
	templates []chat.Template
	// fresh are the tokens that refreshes give, one after the other; none refuses.
	fresh                      []chat.Secret
	checks, refreshes, fetches int
	opened                     []string
}

func newAccount(kind chat.ChannelKind) *account {
	ch := chat.Channel{ID: "acme-wa", Tenant: "acme", App: "meta", Kind: kind, Account: "acme-wa", WABA: "9001", Token: "old"}
	if kind == chat.Instagram {
		ch.ID, ch.Account, ch.WABA = "bolt-ig", "bolt-ig", ""
	}
	return &account{memStore: newMemStore(), ch: ch, valid: map[chat.Secret]bool{"old": true}}
}

func (a *account) channel() chat.Channel {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.ch
}

func (a *account) with(f func()) {
	a.lock.Lock()
	defer a.lock.Unlock()
	f()
}

// Channel implements Directory.
func (a *account) Channel(chat.AppID, chat.ChannelKind, string, string) (chat.Channel, bool) {
	return a.channel(), true
}

// ChannelByID implements Directory.
func (a *account) ChannelByID(id chat.ChannelID) (chat.Channel, bool) {
	ch := a.channel()
	return ch, id == ch.ID
}

// Tenants implements Registry.
func (a *account) Tenants() []chat.Tenant { return []chat.Tenant{{ID: "acme"}} }

// Channels implements Registry.
func (a *account) Channels(chat.TenantID) []chat.Channel { return []chat.Channel{a.channel()} }

// ReplaceToken implements Registry.
func (a *account) ReplaceToken(_ context.Context, _ chat.ChannelID, was, token chat.Secret) error {
	a.lock.Lock()
	defer a.lock.Unlock()
	if a.ch.Token != was {
		return chat.E("test", chat.KindConflict, "another token", nil)
	}
	a.ch.Token = token
	return nil
}

// PutChannel implements Binder.
func (a *account) PutChannel(_ context.Context, ch chat.Channel) error {
	a.with(func() { a.ch = ch })
	return nil
}

func refusedToken() error {
	return chat.E("test", chat.KindConflict, "token_invalid", &chat.GraphError{Code: 190, Result: chat.SendBlocked, Reason: "token_invalid"})
}

// Check implements Accounts.
func (a *account) Check(_ context.Context, ch chat.Channel) (chat.ChannelReport, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.checks++
	r := a.report
	r.Token = &chat.TokenReport{Digest: chat.TokenDigest(ch.Token)}
	if !a.valid[ch.Token] {
		r.Token.Invalid = "token_invalid"
	}
	return r, nil
}

// Refresh implements Accounts.
func (a *account) Refresh(context.Context, chat.Channel) (chat.Secret, time.Time, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.refreshes++
	if len(a.fresh) == 0 {
		return "", time.Time{}, chat.E("test", chat.KindUnavailable, "unreachable", &chat.GraphError{Reason: "unreachable"})
	}
	token := a.fresh[0]
	a.fresh, a.valid[token] = a.fresh[1:], true
	return token, time.Now().Add(60 * 24 * time.Hour), nil
}

// Templates implements Accounts.
func (a *account) Templates(context.Context, chat.Channel) ([]chat.Template, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.fetches++
	return slices.Clone(a.templates), nil
}

// Exchange implements Onboarding.
func (a *account) Exchange(_ context.Context, _ chat.Channel, code, _ string) (chat.Secret, time.Time, error) {
	return chat.Secret("token of " + code), time.Now().Add(60 * 24 * time.Hour), nil
}

// Identify implements Onboarding.
func (a *account) Identify(_ context.Context, ch chat.Channel) (string, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	if !a.valid[ch.Token] {
		return "", refusedToken()
	}
	if ch.Account == "" {
		return a.ch.Account, nil
	}
	return ch.Account, nil
}

// Open implements Onboarding.
func (a *account) Open(_ context.Context, ch chat.Channel, pin string) error {
	a.with(func() { a.opened = append(a.opened, ch.Account+" "+pin) })
	return nil
}

func (a *account) state() (st chat.ChannelState) {
	ch := a.channel()
	if v, ok, _ := a.Doc(ch.Tenant, chat.DocChannel, string(ch.ID)); ok {
		_ = json.Unmarshal(v, &st)
	}
	return st
}

// changes tells how many events of a kind the tenant has outside conversations.
func (a *account) changes(kind chat.EventKind) (n int) {
	for _, word := range a.kinds("") {
		if word == kind.String() {
			n++
		}
	}
	return n
}

// kept runs a System that looks after the account's channel, in fake time.
func kept(t *testing.T, kind chat.ChannelKind, f func(t *testing.T, s *System, a *account, graph *ledgerGraph)) {
	synctest.Test(t, func(t *testing.T) {
		a, graph := newAccount(kind), &ledgerGraph{}
		o := options(a.memStore, echoModel(), graph)
		o.Directory, o.Registry, o.Accounts, o.Onboarding, o.Binder = a, a, a, a, a
		o.SweepEvery = 24 * time.Hour
		s := started(t, o)
		f(t, s, a, graph)
		ended(t, s)
	})
}

// A token dies with a hundred messages queued. None is lost, none is sent twice,
// each customer gets theirs in order, and nothing is tried while the token is dead.
func TestSystem_DeadTokenHoldsEverythingInOrder(t *testing.T) {
	const customers, each = 20, 5
	kept(t, chat.WhatsApp, func(t *testing.T, s *System, a *account, graph *ledgerGraph) {
		graph.f = func(_ context.Context, out chat.Outbound) chat.SendOutcome {
			a.lock.Lock()
			defer a.lock.Unlock()
			if !a.valid[out.Channel.Token] {
				return chat.SendOutcome{Result: chat.SendBlocked, Code: 190, Subcode: 463, Reason: "token_invalid"}
			}
			return chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID("wamid." + out.Message)}
		}
		for c := range customers {
			who := fmt.Sprint("1555", 100+c)
			in := textFrom(who, "wamid.in."+who, "hello")
			in.Time = time.Now()
			deliver(t, s, in)
			if _, err := s.Ingress().TakeOver(t.Context(), "acme", conversationOf(who), chat.TakeOver{Member: "ana"}); err != nil {
				t.Fatal(err)
			}
		}
		a.with(func() { a.valid["old"] = false })
		for n := range each {
			for c := range customers {
				who := fmt.Sprint("1555", 100+c)
				v, err := s.Ingress().Send(t.Context(), "acme", conversationOf(who), chat.MemberSend{Text: fmt.Sprint(who, " ", n), Member: "ana"})
				if err != nil || v.Kind != chat.VerdictDone {
					t.Fatalf("%+v, %v", v, err)
				}
			}
		}
		settle(10 * time.Second)
		if st := a.state(); st.Sending(time.Now()) != "reauth_required" || st.Reauth != "token_expired" {
			t.Fatalf("with a dead token the channel is %+v", st)
		}
		tried := len(graph.texts())
		settle(2 * time.Hour)
		if n := len(graph.texts()) - tried; n != 0 {
			t.Errorf("%d sends left while the token was known to be dead", n)
		}
		if tried > DefaultSendWindow {
			t.Errorf("%d sends met the dead token, at most %d may be under way", tried, DefaultSendWindow)
		}
		if n := a.changes(chat.ChannelChanged); n != 1 {
			t.Errorf("one death is %d changes of the channel: %v", n, a.kinds(""))
		}

		a.with(func() { a.valid["new"] = true })
		if err := s.Channels().SetToken(t.Context(), "acme", "acme-wa", "wrong"); chat.KindOf(err) != chat.KindConflict {
			t.Errorf("a token that Meta refuses: %v", err)
		}
		if err := s.Channels().SetToken(t.Context(), "acme", "acme-wa", "new"); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Minute)
		if st := a.state(); st.Sending(time.Now()) != "" {
			t.Errorf("with a new token the channel is %+v", st)
		}
		arrived := map[string][]string{}
		graph.mu.Lock()
		for _, o := range graph.sent[tried:] {
			if o.Channel.Token != "new" {
				t.Errorf("%q left with token %q", o.Text, o.Channel.Token.Reveal())
			}
			who, n, _ := strings.Cut(o.Text, " ")
			arrived[who] = append(arrived[who], n)
		}
		graph.mu.Unlock()
		for c := range customers {
			who := fmt.Sprint("1555", 100+c)
			if got, want := arrived[who], []string{"0", "1", "2", "3", "4"}; !slices.Equal(got, want) {
				t.Errorf("%s got %v, want %v", who, got, want)
			}
		}
	})
}

// Meta restricts the WABA by webhook: sends stop within a second and go on when it
// is lifted.
func TestSystem_RestrictionHoldsSends(t *testing.T) {
	kept(t, chat.WhatsApp, func(t *testing.T, s *System, a *account, graph *ledgerGraph) {
		news := func(digest, word string) {
			deliver(t, s, chat.Inbound{Kind: chat.InboundUpdate, App: "meta", ChannelKind: chat.WhatsApp, WABA: "9001",
				Type: "account_update", Digest: digest, Time: time.Now(), Raw: []byte("{}"),
				Content: &chat.Content{Standing: &chat.Standing{Event: "DISABLED_UPDATE", Restricted: word}}})
		}
		in := textFrom("1555", "wamid.1", "hello")
		in.Time = time.Now()
		deliver(t, s, in)
		if _, err := s.Ingress().TakeOver(t.Context(), "acme", conversationOf("1555"), chat.TakeOver{Member: "ana"}); err != nil {
			t.Fatal(err)
		}
		news("a", "restricted")
		settle(2 * time.Second)
		if _, err := s.Ingress().Send(t.Context(), "acme", conversationOf("1555"), chat.MemberSend{Text: "held", Member: "ana"}); err != nil {
			t.Fatal(err)
		}
		settle(time.Hour)
		if got := graph.texts(); len(got) != 0 {
			t.Errorf("sent %q while restricted", got)
		}
		news("b", "lifted")
		settle(3 * time.Second)
		if got := graph.texts(); !slices.Equal(got, []string{"held"}) {
			t.Errorf("lifted, and sent %q", got)
		}
	})
}

// The process runs for a few minutes now and then, over three months: what it owes
// is in the channel's state.
func TestKeeper_RefreshesAheadOfTheEnd(t *testing.T) {
	const dayLong = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(chat.Instagram)
		a.fresh = []chat.Secret{"two", "three"}
		run := func(d time.Duration) chat.ChannelState {
			o := options(a.memStore, echoModel(), &ledgerGraph{})
			o.Directory, o.Registry, o.Accounts, o.Onboarding, o.Binder = a, a, a, a, a
			s := started(t, o)
			settle(d)
			ended(t, s)
			return a.state()
		}
		// Nobody knows when the first token ends: it is replaced once it is a day old.
		run(3 * time.Minute)
		time.Sleep(23 * time.Hour)
		if st := run(3 * time.Minute); a.refreshes != 0 || st.TokenDigest != chat.TokenDigest("old") {
			t.Fatalf("%d refreshes, %+v", a.refreshes, st)
		}
		time.Sleep(time.Hour)
		if st := run(3 * time.Minute); a.channel().Token != "two" || st.TokenDigest != chat.TokenDigest("two") || st.TokenExpires.IsZero() {
			t.Fatalf("%+v", st)
		}
		time.Sleep(29 * dayLong)
		if run(3 * time.Minute); a.refreshes != 1 {
			t.Errorf("%d refreshes with more than 30 days left", a.refreshes)
		}
		time.Sleep(dayLong)
		if run(3 * time.Minute); a.refreshes != 2 || a.channel().Token != "three" {
			t.Errorf("%d refreshes, token %q", a.refreshes, a.channel().Token.Reveal())
		}
		// From here on Meta refuses: people are told at once, and sends are held when
		// the token has ended.
		time.Sleep(31 * dayLong)
		st := run(6 * time.Hour)
		if st.RefreshFailed.IsZero() || st.Sending(time.Now()) != "" || !strings.Contains(st.Alert, "token") {
			t.Errorf("a refresh that fails leaves %+v", st)
		}
		if n := a.refreshes - 2; n < 4 || n > 8 {
			t.Errorf("%d refreshes in six hours of failures", n)
		}
		a.valid["three"] = false
		time.Sleep(30 * dayLong)
		if st = run(3 * time.Minute); st.Sending(time.Now()) != "reauth_required" {
			t.Errorf("the token has ended: %+v", st)
		}
		tried := a.refreshes
		if run(6 * time.Hour); a.refreshes != tried {
			t.Error("a token that has ended cannot be refreshed, and is asked for again and again")
		}
	})
}

// Who does not lead a tenant's group leaves its channels alone.
func TestKeeper_LeaderAlone(t *testing.T) {
	kept(t, chat.WhatsApp, func(t *testing.T, s *System, a *account, _ *ledgerGraph) {
		a.elect(0)
		settle(time.Hour)
		if a.checks != 0 || a.fetches != 0 {
			t.Errorf("%d checks and %d fetches without leading", a.checks, a.fetches)
		}
		a.elect(3)
		settle(3 * time.Minute)
		if a.checks != 1 || a.fetches != 1 {
			t.Errorf("%d checks and %d fetches after an election", a.checks, a.fetches)
		}
		settle(25 * time.Hour)
		if a.checks != 2 {
			t.Errorf("%d checks in a day", a.checks)
		}
	})
}

func TestKeeper_TemplatesFollowMeta(t *testing.T) {
	kept(t, chat.WhatsApp, func(t *testing.T, s *System, a *account, _ *ledgerGraph) {
		stored := func() (names []string) {
			docs, _ := a.Docs(t.Context(), "acme", chat.DocTemplate)
			for _, d := range docs {
				names = append(names, d.ID)
			}
			slices.Sort(names)
			return names
		}
		var list []chat.Template
		for n := range 120 {
			list = append(list, chat.Template{ID: fmt.Sprint(n), Name: fmt.Sprintf("t%03d", n), Language: "de", Status: "APPROVED"})
		}
		a.with(func() { a.templates = list })
		settle(3 * time.Minute)
		if n := len(stored()); n != 120 || a.changes(chat.TemplateChanged) != 120 {
			t.Fatalf("%d templates, %d changes", n, a.changes(chat.TemplateChanged))
		}
		// A webhook says that components changed: they are fetched within minutes.
		a.with(func() {
			a.templates[0].Components = []chat.TemplateComponent{{Type: "BODY", Text: "new"}}
			a.templates = a.templates[:100]
		})
		deliver(t, s, chat.Inbound{Kind: chat.InboundUpdate, App: "meta", ChannelKind: chat.WhatsApp, WABA: "9001",
			Type: "message_template_components_update", Digest: "d", Time: time.Now(), Raw: []byte("{}"),
			Content: &chat.Content{Template: &chat.TemplateChange{ID: "0", Name: "t000", Language: "de", Stale: true}}})
		settle(3 * time.Minute)
		if n := len(stored()); n != 100 || a.fetches != 2 {
			t.Errorf("%d templates after %d fetches", n, a.fetches)
		}
		v, _, _ := a.Doc("acme", chat.DocTemplate, chat.TemplateKey("9001", "t000", "de"))
		var got chat.Template
		if err := json.Unmarshal(v, &got); err != nil || got.Stale || len(got.Components) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestChannels_Connect(t *testing.T) {
	kept(t, chat.WhatsApp, func(t *testing.T, s *System, a *account, _ *ledgerGraph) {
		yes := true
		a.with(func() {
			a.valid["token of c0de"] = true
			a.report = chat.ChannelReport{Subscribed: &yes, Number: &chat.NumberReport{Number: "+49 1", Health: "AVAILABLE"}}
		})
		ch, err := s.Channels().Connect(t.Context(), "acme", chat.Connection{ID: "acme-wa", App: "meta", Kind: chat.WhatsApp,
			Code: "c0de", WABA: "9001", Account: "acme-wa", PIN: "123456"})
		if err != nil || ch.ID != "acme-wa" || a.channel().Token != "token of c0de" {
			t.Fatalf("%+v, %v", ch, err)
		}
		if !slices.Equal(a.opened, []string{"acme-wa 123456"}) {
			t.Errorf("opened %q", a.opened)
		}
		st := a.state()
		if !st.Subscribed || st.Number != "+49 1" || st.TokenExpires.IsZero() || st.Sending(time.Now()) != "" {
			t.Errorf("%+v", st)
		}
		if _, err := s.Channels().Connect(t.Context(), "acme", chat.Connection{ID: "acme-wa", App: "meta", Kind: chat.WhatsApp,
			Token: "of another", WABA: "9001", Account: "acme-wa"}); chat.KindOf(err) != chat.KindConflict || a.channel().Token != "token of c0de" {
			t.Errorf("a token that does not grant the account was taken: %v", err)
		}
		if _, _, err := s.Channels().Channel("bolt", "acme-wa"); chat.KindOf(err) != chat.KindNotFound {
			t.Errorf("another tenant sees the channel: %v", err)
		}
	})
}
