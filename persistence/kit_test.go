package persistence

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// epoch0 is when every test conversation begins.
var epoch0 = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// testOptions are those of a small quiet store on fs whose fatal errors end the
// goroutine that met them.
func testOptions(t testing.TB, fs vfs.FS) Options {
	return Options{Dir: "data", FS: fs, KEK: testKEK(t), Groups: 4, DiskReserve: -1,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)),
		Fatal:        func(string) { runtime.Goexit() },
		MemTableSize: 1 << 20, CacheSize: 1 << 20}
}

func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if !o.ReadOnly {
		if err := serveDirect(s, queueLen); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// queueLen is how many commits may wait in a test.
const queueLen = 4096

// openMem opens a store in memory with the tenants given, closed at cleanup.
func openMem(t testing.TB, tenants ...chat.TenantID) *Store {
	t.Helper()
	s := openTest(t, testOptions(t, vfs.NewMem()))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	ensure(t, s, tenants...)
	return s
}

func ensure(t testing.TB, s *Store, tenants ...chat.TenantID) {
	t.Helper()
	for _, id := range tenants {
		if err := s.ensureTenant(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
}

// talker writes the commits of one conversation in order, as an activation
// would: each message arms the agenda and indexes its remote id.
type talker struct {
	store *Store
	state chat.Conversation
	addr  chat.Address
	// place is where the addresses lead before the first message.
	place chat.Place
}

func newTalker(t testing.TB, s *Store, tenant chat.TenantID, person int) *talker {
	t.Helper()
	k := &talker{store: s, addr: chat.Address{Kind: chat.WaID, Value: fmt.Sprintf("49151%07d", person)}}
	var err error
	if k.place, err = s.Locate(tenant, "wa", []chat.Address{k.addr}); err != nil {
		t.Fatal(err)
	}
	k.state = chat.Conversation{Tenant: tenant}
	return k
}

func (k *talker) remote(n chat.Seq) chat.RemoteID {
	return chat.RemoteID(fmt.Sprintf("wamid.%s.%d", k.addr.Value, n))
}

// next is the commit of the next message; it changes nothing in k.
func (k *talker) next(text string) chat.Commit {
	st := k.state.Clone()
	now := epoch0.Add(time.Duration(st.Seq) * time.Second)
	c := chat.Commit{Tenant: st.Tenant, Channel: "wa", Conversation: k.place.Conversation,
		Epoch: k.store.Epoch(k.store.Group(st.Tenant)), Expected: st.Seq, Now: now}
	add := func(e chat.Event) {
		e.Seq = c.Expected + chat.Seq(len(c.Events)) + 1
		e.Time, e.Tenant, e.Channel, e.Conversation = now, st.Tenant, "wa", k.place.Conversation
		c.Events = append(c.Events, e)
		st.Apply(e)
	}
	if st.Seq == 0 {
		c.Contact = &chat.Contact{ID: k.place.Contact, Name: "Ada", Addresses: []chat.Address{k.addr}}
		c.Claims = []chat.Claim{{Kind: chat.ClaimAddress, Address: k.addr}}
		add(chat.Event{Kind: chat.ConversationStarted, Contact: c.Contact})
	}
	seq := c.Expected + chat.Seq(len(c.Events)) + 1
	id := chat.MessageIDAt(k.place.Conversation, seq)
	add(chat.Event{Kind: chat.MessageReceived, At: now.Add(2 * time.Second), Deadline: now.Add(time.Minute),
		Message: &chat.Message{ID: id, RemoteID: k.remote(seq), Direction: chat.DirectionIn, Author: chat.AuthorCustomer,
			Type: chat.TypeText, Text: text, ProviderTime: now.Truncate(time.Second), Name: "Ada"}})
	c.Rows = []chat.RemoteRow{{Remote: k.remote(seq), Conversation: k.place.Conversation, Seq: seq, Message: id, Fresh: true}}
	st.Armed = now.Add(2 * time.Second)
	c.State = &st
	return c
}

// say appends the next message and fails the test unless it is applied.
func (k *talker) say(t testing.TB, text string) chat.Receipt {
	t.Helper()
	c := k.next(text)
	r, err := k.store.Append(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Answer != chat.Applied {
		t.Fatalf("answer %v, want applied", r.Answer)
	}
	k.state = *c.State
	return r
}
