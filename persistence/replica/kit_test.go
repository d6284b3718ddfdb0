package replica_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/persistence/replica"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// options are those of a small store on fs whose fatal errors end the goroutine
// that met them.
func options(t testing.TB, fs vfs.FS) persistence.Options {
	o := persistencetest.Options(t)
	o.FS, o.Dir, o.Fatal = fs, "data", func(string) { runtime.Goexit() }
	return o
}

// start opens a store and the node that runs it.
func start(t testing.TB, o persistence.Options, r replica.Options) *persistence.Store {
	t.Helper()
	s, err := persistence.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Logger = quiet
	if _, err := replica.Start(s, r); err != nil {
		t.Fatal(err)
	}
	return s
}

// admit makes tenants known.
func admit(t testing.TB, s *persistence.Store, ids ...chat.TenantID) {
	t.Helper()
	d, err := persistence.OpenDirectory(context.Background(), s, chat.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := d.PutTenant(context.Background(), chat.Tenant{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
}

func person(t testing.TB, s *persistence.Store, tenant chat.TenantID, n int) *persistencetest.Person {
	t.Helper()
	p, err := persistencetest.NewPerson(s, tenant, n)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// say appends the person's next message and expects it to be applied.
func say(t testing.TB, p *persistencetest.Person, text string) chat.Receipt {
	t.Helper()
	c := p.Message(text)
	r, err := p.Store.Append(context.Background(), c)
	if err != nil || r.Answer != chat.Applied {
		t.Fatalf("%v, %v", r.Answer, err)
	}
	p.Adopt(c)
	return r
}

// texts are the messages of a person's conversation.
func texts(t testing.TB, p *persistencetest.Person) (list []string) {
	t.Helper()
	events, err := p.Store.Events(p.State.Tenant, p.Place.Conversation, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Message != nil {
			list = append(list, e.Message.Text)
		}
	}
	return list
}

func closed(t testing.TB, s *persistence.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// checked expects the store to be sound.
func checked(t testing.TB, s *persistence.Store) {
	t.Helper()
	report, err := s.Check(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
}

// rows returns the rows of the store whose keys start with prefix.
func rows(t testing.TB, s *persistence.Store, prefix []byte) (n int) {
	t.Helper()
	it, err := s.DB().NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}
