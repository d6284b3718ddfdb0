package persistencetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/seal"
)

// began is when every test conversation begins.
var began = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// Options returns what a quiet small store needs besides Dir and FS. The key is
// the same each time, so that a store can be opened again.
func Options(t testing.TB) persistence.Options {
	t.Helper()
	kek, err := seal.NewKEK(bytes.Repeat([]byte{7}, seal.KeyLen))
	if err != nil {
		t.Fatal(err)
	}
	return persistence.Options{KEK: kek, Groups: 4, DiskReserve: -1, MemTableSize: 1 << 20, CacheSize: 1 << 20,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// site is one store under test. It can be closed and opened again.
type site struct {
	*testing.T
	options persistence.Options
	// closed is true while the store cannot be used.
	closed bool
	*persistence.Store
	directory *persistence.Directory
}

// newSite opens a store with the tenants acme and bolt. The store is checked
// and closed at the end of the test.
func newSite(t *testing.T, options func(testing.TB) persistence.Options) *site {
	t.Helper()
	s := &site{T: t, options: options(t)}
	s.open()
	t.Cleanup(func() {
		if s.closed {
			return
		}
		report, err := s.Check(context.Background(), nil)
		s.must(err)
		for _, v := range report.Violations {
			t.Error(v)
		}
		s.must(s.Close())
	})
	s.must(s.directory.PutTenant(t.Context(), chat.Tenant{ID: "acme"}))
	s.must(s.directory.PutTenant(t.Context(), chat.Tenant{ID: "bolt"}))
	return s
}

func (s *site) open() {
	s.Helper()
	var err error
	s.Store, err = persistence.Open(s.options)
	s.must(err)
	s.closed = false
	s.directory, err = persistence.OpenDirectory(s.Context(), s.Store, chat.Settings{})
	s.must(err)
}

// reopen closes the store and opens it again.
func (s *site) reopen() {
	s.Helper()
	s.close()
	s.open()
}

func (s *site) close() {
	s.Helper()
	s.closed = true
	s.must(s.Close())
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// append commits c and expects the answer.
func (s *site) append(c chat.Commit, want chat.CommitAnswer) chat.Receipt {
	s.Helper()
	r, err := s.Append(s.Context(), c)
	s.must(err)
	if r.Answer != want {
		s.Fatalf("answer %v, want %v", r.Answer, want)
	}
	return r
}

// feed reads the whole feed of a tenant in pages of limit.
func (s *site) feed(t chat.TenantID, limit int) (all []chat.Event) {
	s.Helper()
	for after := chat.Pos(0); ; {
		page, err := s.Views().Feed(s.Context(), t, after, limit)
		s.must(err)
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Pos
	}
}

// person is a customer and the conversation with them, driven as an activation
// would.
type person struct {
	site    *site
	address chat.Address
	place   chat.Place
	state   chat.Conversation
	// from is the time of the first message.
	from time.Time
}

func (s *site) person(t chat.TenantID, n int) *person {
	s.Helper()
	p := &person{site: s, address: chat.Address{Kind: chat.WaID, Value: fmt.Sprintf("49151%07d", n)},
		state: chat.Conversation{Tenant: t}, from: began}
	var err error
	p.place, err = s.Locate(t, "wa", []chat.Address{p.address})
	s.must(err)
	return p
}

// message is the commit of the person's next message. It changes nothing.
func (p *person) message(text string) chat.Commit {
	st := p.state.Clone()
	now := p.from.Add(time.Duration(st.Seq) * time.Second)
	c := chat.Commit{Tenant: st.Tenant, Channel: "wa", Conversation: p.place.Conversation,
		Epoch: p.site.Epoch(p.site.Group(st.Tenant)), Expected: st.Seq, Now: now}
	if st.Seq == 0 {
		c.Contact = &chat.Contact{ID: p.place.Contact, Name: "Ada", Addresses: []chat.Address{p.address}}
		c.Claims = []chat.Claim{{Kind: chat.ClaimAddress, Address: p.address}}
		p.add(&c, &st, chat.Event{Kind: chat.ConversationStarted, Contact: c.Contact})
	}
	seq := st.Seq + 1
	id := chat.MessageIDAt(p.place.Conversation, seq)
	p.add(&c, &st, chat.Event{Kind: chat.MessageReceived, At: now.Add(2 * time.Second), Deadline: now.Add(time.Minute),
		Message: &chat.Message{ID: id, RemoteID: p.remote(seq), Direction: chat.DirectionIn, Author: chat.AuthorCustomer,
			Type: chat.TypeText, Text: text, ProviderTime: now, Name: "Ada"}})
	c.Rows = []chat.RemoteRow{{Remote: p.remote(seq), Conversation: p.place.Conversation, Seq: seq, Message: id, Fresh: true}}
	st.Armed = now.Add(2 * time.Second)
	c.State = &st
	return c
}

func (p *person) remote(seq chat.Seq) chat.RemoteID {
	return chat.RemoteID(fmt.Sprintf("wamid.%s.%d", p.address.Value, seq))
}

func (p *person) add(c *chat.Commit, st *chat.Conversation, e chat.Event) {
	e.Seq, e.Time = st.Seq+1, c.Now
	e.Tenant, e.Channel, e.Conversation = c.Tenant, c.Channel, c.Conversation
	c.Events = append(c.Events, e)
	st.Apply(e)
}

// running makes c start a turn too: an obligation that dies with the process.
func (p *person) running(c chat.Commit) chat.Commit {
	st := c.State
	p.add(&c, st, chat.Event{Kind: chat.TurnStarted, At: c.Now.Add(time.Minute), Turn: &chat.TurnRecord{
		ID: chat.TurnIDAt(c.Conversation, st.Seq+1), Call: 1, Epoch: c.Epoch, From: st.WaitingFrom, UpTo: st.LastIn}})
	return c
}

// say appends the person's next message.
func (p *person) say(text string) chat.Receipt {
	p.site.Helper()
	return p.commit(p.message(text))
}

func (p *person) commit(c chat.Commit) chat.Receipt {
	p.site.Helper()
	r := p.site.append(c, chat.Applied)
	p.state = *c.State
	return r
}

// loose is a commit of an update without a conversation.
func (s *site) loose(t chat.TenantID, digest string) chat.Commit {
	return chat.Commit{Tenant: t, Channel: "wa", Epoch: s.Epoch(s.Group(t)), Now: began,
		Events: []chat.Event{{Kind: chat.UpdateReceived, Time: began, Tenant: t, Channel: "wa",
			Update: &chat.Update{Type: "account_update", Raw: []byte(digest)}}},
		Claims: []chat.Claim{{Kind: chat.ClaimDigest, Key: digest, Day: chat.Day(began) + chat.ClaimDays}}}
}
