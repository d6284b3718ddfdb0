package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// memPortfolios is Portfolios in memory. It takes its time, and fails now and then.
type memPortfolios struct {
	mu      sync.Mutex
	r       *rand.Rand
	reach   map[string]*chat.Reach
	in      map[string]chat.Quarter
	commits int
	most    int // persons of one commit
	down    bool
}

func newMemPortfolios() *memPortfolios {
	return &memPortfolios{r: rand.New(rand.NewPCG(5, 5)), reach: map[string]*chat.Reach{}, in: map[string]chat.Quarter{}}
}

// Reserve implements Portfolios.
func (p *memPortfolios) Reserve(_ context.Context, portfolio string, limit int, persons []chat.Address) (granted []bool, frees time.Time, err error) {
	p.mu.Lock()
	took := time.Duration(1+p.r.IntN(50)) * time.Millisecond
	p.mu.Unlock()
	time.Sleep(took)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commits++
	p.most = max(p.most, len(persons))
	now := time.Now()
	if p.reach[portfolio] == nil {
		p.reach[portfolio] = new(chat.Reach)
	}
	r := p.reach[portfolio]
	r.Expire(now)
	granted = make([]bool, len(persons))
	for i, a := range persons {
		who := fmt.Sprint(portfolio, a)
		q, ok := r.Reserve(now, limit, p.in[who])
		if granted[i] = ok; ok {
			p.in[who] = q
		} else {
			frees = r.Frees(limit)
		}
	}
	if p.down || p.r.IntN(20) == 0 { // counted, and nobody knows
		return nil, time.Time{}, chat.E("test", chat.KindUnknown, "no answer", nil)
	}
	return granted, frees, nil
}

// Reached implements Portfolios.
func (p *memPortfolios) Reached(portfolio string, limit int) (int, time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reach[portfolio] == nil {
		return 0, time.Time{}, nil
	}
	p.reach[portfolio].Expire(time.Now())
	return p.reach[portfolio].Persons(), p.reach[portfolio].Frees(limit), nil
}

// officeStore has numbers of two tenants in one portfolio, and an agenda that is
// looked at once a minute.
type officeStore struct{ calmStore }

var officeNumbers = map[chat.ChannelID]chat.Channel{
	"acme-wa": {ID: "acme-wa", Tenant: "acme", App: "meta", Kind: chat.WhatsApp, Account: "acme-wa", WABA: "w1", Token: "t"},
	"acme-w2": {ID: "acme-w2", Tenant: "acme", App: "meta", Kind: chat.WhatsApp, Account: "acme-w2", WABA: "w2", Token: "t"},
	"bolt-wa": {ID: "bolt-wa", Tenant: "bolt", App: "meta", Kind: chat.WhatsApp, Account: "bolt-wa", WABA: "w3", Token: "t"},
}

// Channel implements Directory.
func (s officeStore) Channel(_ chat.AppID, _ chat.ChannelKind, account, _ string) (chat.Channel, bool) {
	return s.ChannelByID(chat.ChannelID(account))
}

// ChannelByID implements Directory.
func (officeStore) ChannelByID(id chat.ChannelID) (chat.Channel, bool) {
	ch, ok := officeNumbers[id]
	return ch, ok
}

// Due implements Agenda.
func (s officeStore) Due(g chat.Group, until time.Time, cursor []byte, max int) ([]Owed, []byte, error) {
	if until.Second() != 0 {
		return nil, nil, nil
	}
	return s.calmStore.Due(g, until, cursor, max)
}

// office is a System over an officeStore, with Meta's side of it.
type office struct {
	*testing.T
	*System
	store  officeStore
	places *memPortfolios
	pacer  *metasim.Pacer

	mu      sync.Mutex
	heard   map[string]time.Time // by channel and person
	sent    []officeSend
	refused map[int]int
	lie     int // how many messages are refused with 131064 without a reason
	n       int
}

type officeSend struct {
	at      time.Time
	channel chat.ChannelID
	who     string
	message chat.MessageID
	outside bool
}

// inOffice runs f over an office whose portfolio has a tier.
func inOffice(t *testing.T, tier int, change func(*Options), f func(o *office)) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{T: t, store: officeStore{calmStore{newMemStore()}}, places: newMemPortfolios(),
			pacer: metasim.NewPacer(metasim.Pace{Tier: tier}), heard: map[string]time.Time{}, refused: map[int]int{}}
		o.store.set.Assistant = false
		for id, ch := range officeNumbers {
			o.tier(id, fmt.Sprint("TIER_", tier))
			tpl, err := json.Marshal(chat.Template{WABA: ch.WABA, Name: "hello", Language: "de", Status: "APPROVED"})
			if err != nil {
				t.Fatal(err)
			}
			o.store.setDoc(chat.DocTemplate, chat.TemplateKey(ch.WABA, "hello", "de"), tpl)
		}
		opt := options(o.store.memStore, nil, o)
		opt.Journal, opt.Agenda, opt.Directory, opt.Portfolios = o.store, o.store, o.store, o.places
		if change != nil {
			change(&opt)
		}
		o.System = started(t, opt)
		f(o)
		ended(t, o.System)
	})
}

// tier is what Meta says about a channel.
func (o *office) tier(ch chat.ChannelID, tier string) {
	state, err := json.Marshal(chat.ChannelState{Channel: ch, Portfolio: "77", Tier: tier})
	if err != nil {
		o.Fatal(err)
	}
	o.store.setDoc(chat.DocChannel, string(ch), state)
}

// hears has a customer write to a channel.
func (o *office) hears(ch chat.ChannelID, who string) {
	o.Helper()
	o.mu.Lock()
	o.n++
	remote := fmt.Sprint("in-", o.n)
	o.heard[string(ch)+who] = time.Now()
	o.mu.Unlock()
	in := textFrom(who, remote, "hi")
	in.Account = string(ch)
	deliver(o.T, o.System, in)
}

// hello queues a template to a customer, or says why not.
func (o *office) hello(ch chat.ChannelID, who string) (refused string) {
	o.Helper()
	v, err := o.Ingress().Send(o.Context(), officeNumbers[ch].Tenant, hashed(string(ch), who), chat.MemberSend{Type: "template",
		Content: &chat.Content{Offer: &chat.Offer{Template: &chat.TemplateUse{Name: "hello", Language: chat.TemplateLanguage{Code: "de"}}}}})
	if err != nil {
		o.Fatal(err)
	}
	if v.Kind != chat.VerdictDone {
		return v.Reason
	}
	return ""
}

// Send implements Graph.
func (o *office) Send(_ context.Context, out chat.Outbound) chat.SendOutcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	heard, known := o.heard[string(out.Channel.ID)+out.To.Value]
	outside := !known || now.Sub(heard) >= 24*time.Hour
	account := metasim.Account{Kind: metasim.WhatsApp, ID: string(out.Channel.ID), Portfolio: "77"}
	limit := o.pacer.Send(metasim.Message{Account: account, To: out.To.Value, Type: out.Type, Outside: outside}, now)
	if limit != metasim.LimitNone || o.lie > 0 {
		o.lie--
		o.refused[131064]++
		p, _ := meta.Classify(chat.WhatsApp, 131064, 0)
		return chat.SendOutcome{Result: p.Result, Code: 131064, Reason: p.Reason, RetryAfter: p.RetryAfter, Hold: p.Hold}
	}
	o.sent = append(o.sent, officeSend{now, out.Channel.ID, out.To.Value, out.Message, outside})
	return chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID(fmt.Sprint("out-", len(o.sent)))}
}

// reached counts the persons outside the window who were written to in a span.
func (o *office) reached(from, to time.Time) int {
	persons := map[string]bool{}
	for _, s := range o.sent {
		if s.outside && s.at.After(from) && !s.at.After(to) {
			persons[s.who] = true
		}
	}
	return len(persons)
}

// count is how many messages were accepted so far, and how many were refused.
func (o *office) count() (sent, refused int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.sent), o.refused[131064]
}

// TestOverload_PortfolioForThreeDays lets two tenants write through three numbers of
// one portfolio to many times the persons that it may, for 73 hours of fake time.
// Meta refuses nothing, in no 24 hours more persons are written to than the tier
// says, nine tenths of it are used, and no conversation is reordered.
func TestOverload_PortfolioForThreeDays(t *testing.T) {
	if raced {
		t.Skip("three days of fake time take minutes with the race detector; shorter tests race the same code")
	}
	const tier, people = 60, 240
	inOffice(t, tier, nil, func(o *office) {
		r := rand.New(rand.NewPCG(3, 9))
		numbers := []chat.ChannelID{"acme-wa", "acme-w2", "bolt-wa"}
		for i := range people {
			for _, ch := range numbers {
				o.hears(ch, fmt.Sprint(i))
			}
		}
		time.Sleep(25 * time.Hour)
		began := time.Now()
		queued, freed := 0, 0
		for time.Since(began) < 73*time.Hour {
			ch, who := numbers[r.IntN(len(numbers))], fmt.Sprint(r.IntN(people))
			if o.hello(ch, who) == "" {
				queued++
			}
			if r.IntN(20) == 0 {
				o.hears(ch, who)
				freed++
			}
			time.Sleep(time.Duration(r.IntN(10)) * time.Minute)
		}
		settle(time.Minute)
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.refused) > 0 {
			o.Errorf("Meta refused %v", o.refused)
		}
		most := 0
		for _, s := range o.sent {
			most = max(most, o.reached(s.at.Add(-24*time.Hour), s.at))
		}
		last := o.reached(began.Add(48*time.Hour), began.Add(72*time.Hour))
		o.Logf("queued %d, sent %d, %d customers wrote; at most %d persons in 24 hours, %d on the third day; %d commits",
			queued, len(o.sent), freed, most, last, o.places.commits)
		if most > tier || last < tier*9/10 {
			o.Errorf("at most %d persons in 24 hours and %d on the third day, the tier is %d", most, last, tier)
		}
		latest := map[chat.ConversationID]chat.Seq{}
		for _, s := range o.sent {
			id, seq, _ := s.message.Parse()
			if seq <= latest[id] {
				o.Fatalf("message %d of %s left after %d", seq, id, latest[id])
			}
			latest[id] = seq
		}
	})
}

// Who waits for a place is freed by a message of the customer, by a higher tier, and
// by nothing else; the other conversations go on.
func TestPortfolio_WhatFreesATemplate(t *testing.T) {
	inOffice(t, 2, nil, func(o *office) {
		for i := range 6 {
			o.hears("acme-wa", fmt.Sprint(i))
			o.hears("bolt-wa", fmt.Sprint(i))
		}
		time.Sleep(25 * time.Hour)
		expect := func(when string, want int) {
			o.Helper()
			settle(time.Minute)
			if sent, refused := o.count(); sent != want || refused != 0 {
				o.Fatalf("%s: %d sent, %d refused; want %d", when, sent, refused, want)
			}
		}
		for i := range 4 {
			o.hello("acme-wa", fmt.Sprint(i))
		}
		expect("two places", 2)
		o.hello("bolt-wa", "4")
		expect("another tenant finds none", 2)
		o.hello("bolt-wa", o.sent[0].who)
		expect("who counts already takes none", 3)
		o.hears("bolt-wa", "4")
		expect("the customer wrote", 4)
		o.hears("bolt-wa", "5")
		o.hello("bolt-wa", "5")
		expect("inside the window", 5)
		o.pacer = metasim.NewPacer(metasim.Pace{Tier: 3})
		o.tier("acme-wa", "TIER_3")
		expect("one place more", 6)
		o.pacer = metasim.NewPacer(metasim.Pace{})
		o.tier("acme-wa", "TIER_UNLIMITED")
		commits := o.places.commits
		expect("no limit", 7)
		if o.hello("acme-wa", "5"); o.places.commits != commits {
			o.Error("without a limit somebody is counted")
		}
		expect("no limit", 8)
	})
}

// While nothing can be reserved nothing that needs it leaves, and all of it later.
func TestPortfolio_WaitsForTheCount(t *testing.T) {
	inOffice(t, 50, nil, func(o *office) {
		for i := range 100 {
			o.hears("acme-wa", fmt.Sprint(i))
		}
		time.Sleep(25 * time.Hour)
		o.places.down = true
		for i := range 40 {
			o.hello("acme-wa", fmt.Sprint(i))
		}
		settle(10 * time.Minute)
		if sent, _ := o.count(); sent != 0 {
			o.Errorf("%d templates left uncounted", sent)
		}
		o.places.mu.Lock()
		o.places.down = false
		commits := o.places.commits
		o.places.mu.Unlock()
		settle(time.Minute)
		if sent, refused := o.count(); sent != 40 || refused != 0 {
			o.Errorf("%d of 40 sent, %d refused", sent, refused)
		}
		if n := o.places.commits - commits; n > 20 || o.places.most < 10 {
			o.Errorf("%d commits for 40 persons, at most %d in one", n, o.places.most)
		}
	})
}

// Meta's own refusal holds the portfolio's templates on every number of the node,
// and nothing else.
func TestPortfolio_HoldsWhatMetaRefuses(t *testing.T) {
	inOffice(t, 50, nil, func(o *office) {
		for i := range 20 {
			o.hears("acme-wa", fmt.Sprint(i))
			o.hears("bolt-wa", fmt.Sprint(i))
		}
		time.Sleep(25 * time.Hour)
		o.lie = 1
		o.hello("acme-wa", "0")
		settle(time.Minute)
		o.hello("bolt-wa", "1")
		o.hello("acme-wa", "2")
		o.hears("acme-wa", "3")
		if v, err := o.Ingress().Send(o.Context(), "acme", hashed("acme-wa", "3"), chat.MemberSend{Text: "hello"}); err != nil || v.Kind != chat.VerdictDone {
			o.Fatal(v, err)
		}
		settle(50 * time.Minute)
		if sent, refused := o.count(); sent != 1 || refused != 1 || o.sent[0].who != "3" {
			o.Errorf("%d sent, %d refused while Meta holds the portfolio", sent, refused)
		}
		settle(20 * time.Minute)
		if sent, refused := o.count(); sent != 4 || refused != 1 {
			o.Errorf("%d sent, %d refused once the hour is over", sent, refused)
		}
	})
}

// A place that lapsed before its attempt began lets nothing leave: there is another.
func TestPortfolio_LapsedPlaceIsReservedAgain(t *testing.T) {
	inOffice(t, 50, nil, func(o *office) {
		o.hears("acme-wa", "1")
		time.Sleep(25 * time.Hour)
		slow := true
		down := func(yes bool) {
			o.places.mu.Lock()
			defer o.places.mu.Unlock()
			o.places.down = yes
		}
		o.store.setBefore(func(c chat.Commit) (chat.Receipt, bool) {
			if slow && slices.ContainsFunc(c.Events, func(e chat.Event) bool { return e.Kind == chat.AttemptStarted }) {
				slow = false
				down(true)
				time.Sleep(chat.ReserveValid + time.Second)
				time.AfterFunc(time.Minute, func() { down(false) })
			}
			return chat.Receipt{}, false
		})
		o.hello("acme-wa", "1")
		settle(100 * time.Second)
		if sent, _ := o.count(); sent != 0 {
			o.Error("a template left on a place that had lapsed")
		}
		settle(5 * time.Minute)
		if sent, refused := o.count(); sent != 1 || refused != 0 || slow {
			o.Errorf("%d sent, %d refused", sent, refused)
		}
		if kinds := o.store.kinds(hashed("acme-wa", "1")); !slices.Contains(kinds, "attempt_ended") || o.places.commits < 2 {
			o.Errorf("%d reservations, events %v", o.places.commits, kinds)
		}
	})
}
