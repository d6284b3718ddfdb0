package actors

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// residentBytesMax is the budget of one resident idle conversation, everything
// included.
const residentBytesMax = 1200

// hopAllocsMax bounds what one message allocates in the actors.
const hopAllocsMax = 16

// TestMemory_ResidentConversation measures heap per resident conversation. The
// store is one that keeps nothing, so that only the actors are counted.
func TestMemory_ResidentConversation(t *testing.T) {
	if raced {
		t.Skip("the race detector changes what is measured")
	}
	const people, post = DefaultResidentMax - 1000, 1000
	store := newBlankStore()
	o := options(store.memStore, nil, &ledgerGraph{})
	o.Journal, o.Histories, o.Index, o.Directory = store, store, store, store
	s := started(t, o)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	// The first conversation pays for what all share.
	deliver(t, s, textFrom("1", "wamid.0", "x"))
	before := heap()
	for i := 0; i < people; i += post {
		var updates []chat.Inbound
		for n := i; n < i+post; n++ {
			updates = append(updates, textFrom(fmt.Sprint(10_000+n), fmt.Sprint("wamid.", n), "x"))
		}
		deliver(t, s, updates...)
	}
	per := (heap() - before) / people
	t.Logf("%d bytes per resident conversation", per)
	if per > residentBytesMax {
		t.Errorf("%d bytes per resident conversation, budget %d", per, residentBytesMax)
	}
	runtime.KeepAlive(store)
	ended(t, s)
}

// blankStore applies every commit and keeps none. Persons are not hashed: the
// cost of a lookup is the store's, not the actors'.
type blankStore struct {
	*memStore
	set      chat.Settings
	ids      sync.Map // address value -> conversation id, when remember is set
	remember bool
}

func newBlankStore() *blankStore {
	s := &blankStore{memStore: newMemStore()}
	s.set = s.memStore.set
	return s
}

// Append implements Journal.
func (*blankStore) Append(context.Context, chat.Commit) (chat.Receipt, error) {
	return chat.Receipt{Answer: chat.Applied}, nil
}

// Load implements Journal.
func (*blankStore) Load(chat.TenantID, chat.ConversationID) (chat.Conversation, bool, error) {
	return chat.Conversation{}, false, nil
}

// Row implements Index.
func (*blankStore) Row(chat.TenantID, chat.ChannelID, chat.RemoteID, string) (chat.RemoteRow, bool, error) {
	return chat.RemoteRow{}, false, nil
}

// Settings implements Directory.
func (s *blankStore) Settings(chat.TenantID) *chat.Settings { return &s.set }

// Locate implements Index. A person is new once, or always.
func (s *blankStore) Locate(_ chat.TenantID, ch chat.ChannelID, a []chat.Address) (chat.Place, error) {
	if id, ok := s.ids.Load(a[0].Value); ok {
		return chat.Place{Conversation: id.(chat.ConversationID), Contact: "ct_known", Found: true}, nil
	}
	id := hashed(string(ch), a[0].Value)
	if s.remember {
		s.ids.Store(a[0].Value, id)
	}
	return chat.Place{Conversation: id, Contact: chat.ContactID("ct_" + id.Body()), Missing: a}, nil
}

// hop is the actors on a store that answers at once, and one message for each of a
// thousand customers.
func hop(t testing.TB) (*System, [][]chat.Inbound) {
	t.Helper()
	store := newBlankStore()
	store.set.Assistant, store.remember = false, true
	o := options(store.memStore, nil, &ledgerGraph{})
	o.Journal, o.Histories, o.Index, o.Directory = store, store, store, store
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Drain(context.WithoutCancel(t.Context()))
		s.Stop()
	})
	updates := make([][]chat.Inbound, 1000)
	for i := range updates {
		updates[i] = []chat.Inbound{textFrom(fmt.Sprint(10_000+i), fmt.Sprint("wamid.", i), "hello there")}
	}
	return s, updates
}

// TestDeliver_AllocatesLittle holds one message's way through the actors to what it
// takes now. The conversations are resident.
func TestDeliver_AllocatesLittle(t *testing.T) {
	if raced {
		t.Skip("the race detector changes what is measured")
	}
	s, updates := hop(t)
	i := 0
	next := func() {
		if err := s.Ingress().Deliver(t.Context(), "meta", updates[i%len(updates)]); err != nil {
			t.Fatal(err)
		}
		i++
	}
	for range updates {
		next()
	}
	n := testing.AllocsPerRun(2000, next)
	t.Logf("%v allocations per message", n)
	if n > hopAllocsMax {
		t.Errorf("%v allocations per message, at most %v: -bench Deliver_Hop -memprofile shows what grew", n, hopAllocsMax)
	}
}

// BenchmarkDeliver_Hop is the cost of the actors alone: one message per
// delivery, from the caller through router, tenant and conversation to a store
// that answers at once, and back.
func BenchmarkDeliver_Hop(b *testing.B) {
	s, updates := hop(b)
	b.ReportAllocs()
	b.SetParallelism(32)
	began := cpuTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if err := s.Ingress().Deliver(b.Context(), "meta", updates[i%len(updates)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStep_Alone is what of the hop is chat.Step on the same message.
func BenchmarkStep_Alone(b *testing.B) {
	store := newMemStore()
	in := textFrom("1", "wamid.1", "hello there")
	id := conversationOf("1")
	st := chat.Conversation{ID: id, Tenant: "acme", Channel: "acme-wa", Kind: chat.WhatsApp}
	place := chat.Place{Conversation: id, Contact: "ct_1", Missing: in.Customer}
	b.ReportAllocs()
	for b.Loop() {
		chat.Step(&st, chat.Input{Now: realClock{}.Now(), Epoch: 1, Settings: &store.set, Fact: &in,
			Known: chat.Known{Place: place}})
	}
}
