package persistencetest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/persistence/seal"
)

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
	opener  Opener
	// closed is true while the store cannot be used.
	closed bool
	*persistence.Store
	directory *persistence.Directory
}

// newSite opens a store with the tenants acme and bolt. The store is checked
// and closed at the end of the test.
func newSite(t *testing.T, options func(testing.TB) persistence.Options, open Opener) *site {
	t.Helper()
	s := &site{T: t, options: options(t), opener: open}
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
	s.Store = s.opener(s.T, s.options)
	s.closed = false
	s.directory, err = persistence.OpenDirectory(s.Context(), s.Store, chat.Settings{})
	s.must(err)
}

// alone opens the store of a node alone.
func alone(t testing.TB, o persistence.Options) *persistence.Store {
	t.Helper()
	s, err := persistence.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replica.Start(s, replica.Options{Logger: o.Logger}); err != nil {
		t.Fatal(err)
	}
	return s
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

// person is a Person of a site: it fails the test where a commit fails.
type person struct {
	*Person
	site *site
}

func (s *site) person(t chat.TenantID, n int) *person {
	s.Helper()
	p, err := NewPerson(s.Store, t, n)
	s.must(err)
	return &person{p, s}
}

// say appends the person's next message.
func (p *person) say(text string) chat.Receipt {
	p.site.Helper()
	p.Store = p.site.Store
	return p.commit(p.Message(text))
}

func (p *person) commit(c chat.Commit) chat.Receipt {
	p.site.Helper()
	r := p.site.append(c, chat.Applied)
	p.Adopt(c)
	return r
}

// loose is a commit of an update without a conversation.
func (s *site) loose(t chat.TenantID, digest string) chat.Commit {
	return chat.Commit{Tenant: t, Channel: "wa", Epoch: s.Epoch(s.Group(t)), Now: began,
		Events: []chat.Event{{Kind: chat.UpdateReceived, Time: began, Tenant: t, Channel: "wa",
			Update: &chat.Update{Type: "account_update", Raw: []byte(digest)}}},
		Claims: []chat.Claim{{Kind: chat.ClaimDigest, Key: digest, Day: chat.Day(began) + chat.ClaimDays}}}
}
