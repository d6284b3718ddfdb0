package replica_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// acked is an event whose commit was answered Applied.
type acked struct {
	tenant       chat.TenantID
	conversation chat.ConversationID
	seq          chat.Seq
	pos          chat.Pos
	text         string
}

// ledger is what the outside was told.
type ledger struct {
	mu   sync.Mutex
	list []acked
}

func (l *ledger) add(a ...acked) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, a...)
	return len(l.list)
}

func (l *ledger) copy() []acked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]acked(nil), l.list...)
}

var cutTenants = []chat.TenantID{"acme", "bolt", "cafe", "dent", "echo"}

// cutOptions make flushes, compactions and log rotations frequent.
func cutOptions(t testing.TB, fs vfs.FS) persistence.Options {
	o := options(t, fs)
	o.MemTableSize = 64 << 10
	return o
}

// talk lets one writer append commits of varied shapes until stop, telling the
// ledger what was acknowledged.
func talk(t *testing.T, s *persistence.Store, l *ledger, n int, rng *rand.Rand, stop <-chan struct{}, told chan<- int) {
	tenant := cutTenants[n%len(cutTenants)]
	k := person(t, s, tenant, n)
	if state, found, err := s.Load(tenant, k.Place.Conversation); err != nil {
		t.Error(err)
		return
	} else if found {
		k.State = state
	}
	for {
		select {
		case <-stop:
			return
		default:
		}
		text := fmt.Sprintf("%d/%d %s", n, k.State.Seq, strings.Repeat("x", rng.IntN(1+rng.IntN(3000))))
		c := k.Message(text)
		switch rng.IntN(6) {
		case 0:
			c.Reserve = []chat.Reservation{{Counter: "turns/2026-11-01", Amount: 1, Limit: 1 << 40}}
		case 1:
			c.Claims = append(c.Claims, chat.Claim{Kind: chat.ClaimIdempotency, Key: fmt.Sprint(n, k.State.Seq), Digest: "d",
				Message: c.Rows[0].Message, Day: 20000})
		case 2:
			c.Rows = append(c.Rows, chat.RemoteRow{Remote: k.Remote(2), Conversation: k.Place.Conversation, Seq: 2, Mask: chat.StatusRead})
		}
		r, err := s.Append(context.Background(), c)
		if err != nil || r.Answer != chat.Applied {
			t.Errorf("%v %v", r.Answer, err)
			return
		}
		first := r.Pos - chat.Pos(len(c.Events)) + 1
		var news []acked
		for i, e := range c.Events {
			a := acked{tenant: tenant, conversation: e.Conversation, seq: e.Seq, pos: first + chat.Pos(i)}
			if e.Message != nil {
				a.text = e.Message.Text
			}
			news = append(news, a)
		}
		k.State = *c.State
		select {
		case told <- l.add(news...):
		case <-stop:
		}
	}
}

// cut runs writers on fs until some commits were acknowledged, cuts the power
// in the middle, and returns what the disk holds and what was acknowledged.
func cut(t *testing.T, fs vfs.FS, mem *vfs.MemFS, l *ledger, rng *rand.Rand) (*vfs.MemFS, []acked) {
	s := start(t, cutOptions(t, fs), replica.Options{})
	admit(t, s, cutTenants...)
	stop, told := make(chan struct{}), make(chan int)
	var wg sync.WaitGroup
	for customer := range 8 {
		seed := rng.Uint64()
		wg.Go(func() { talk(t, s, l, customer, rand.New(rand.NewPCG(seed, 1)), stop, told) })
	}
	until := len(l.copy()) + 1 + rng.IntN(60)
	for n := range told {
		if n >= until || t.Failed() {
			break
		}
	}
	list := l.copy()
	after := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(100), RNG: rng})
	close(stop)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return after, list
}

// lost counts acknowledged events that are not in s as they were told.
func lost(t *testing.T, s *persistence.Store, list []acked) (n int) {
	type where struct {
		tenant       chat.TenantID
		conversation chat.ConversationID
	}
	journals := map[where]map[chat.Seq]chat.Event{}
	for _, a := range list {
		at := where{a.tenant, a.conversation}
		if journals[at] == nil {
			journals[at] = map[chat.Seq]chat.Event{}
			events, err := s.Events(a.tenant, a.conversation, 0, 1<<30)
			if err != nil && chat.KindOf(err) != chat.KindNotFound {
				t.Fatal(err)
			}
			for i, e := range events {
				if e.Seq != chat.Seq(i+1) {
					t.Fatalf("a gap before seq %d", e.Seq)
				}
				journals[at][e.Seq] = e
			}
		}
		e, ok := journals[at][a.seq]
		if !ok || e.Pos != a.pos || e.Message != nil && e.Message.Text != a.text {
			n++
		}
	}
	if n == 0 {
		checked(t, s)
	}
	return n
}

// cuts is how many power cuts to try: few by default, CHUMI_CUTS many.
func cuts(t *testing.T) int {
	text := os.Getenv("CHUMI_CUTS")
	if text == "" {
		return 30
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal("CHUMI_CUTS is not a number: ", text)
	}
	return n
}

// The power goes at any moment, with 0 to 99 % of what was not synced on the
// disk: everything acknowledged is there, and the store is sound. Every lifetime
// of a store sees up to ten cuts.
func TestPowerCut_LosesNothingAcknowledged(t *testing.T) {
	seed := uint64(1)
	rng := rand.New(rand.NewPCG(seed, 0))
	var total, gone int
	mem, l := vfs.NewCrashableMem(), &ledger{}
	n := cuts(t)
	for i := range n {
		if i%10 == 0 {
			mem, l = vfs.NewCrashableMem(), &ledger{}
		}
		before := len(l.copy())
		after, list := cut(t, mem, mem, l, rng)
		s := start(t, cutOptions(t, after), replica.Options{})
		gone += lost(t, s, list)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		total += len(list) - before
		if t.Failed() {
			t.Fatalf("cut %d of seed %d", i, seed)
		}
		// Acknowledged after the clone: not promised to be on it.
		mem, l = after, &ledger{list: list}
	}
	t.Logf("power cuts %d, acknowledged %d, lost %d, seed %d", n, total, gone, seed)
	if gone > 0 {
		t.Errorf("%d acknowledged events are lost", gone)
	}
}

// lyingFS answers log syncs without doing them.
type lyingFS struct{ vfs.FS }

type lyingFile struct{ vfs.File }

func (lyingFile) Sync() error     { return nil }
func (lyingFile) SyncData() error { return nil }
func (lyingFile) SyncTo(int64) (bool, error) {
	return true, nil
}

func (f lyingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err == nil && strings.HasSuffix(name, ".log") {
		file = lyingFile{file}
	}
	return file, err
}

func (f lyingFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(from, to, c)
	if err == nil && strings.HasSuffix(to, ".log") {
		file = lyingFile{file}
	}
	return file, err
}

// The same test on a disk that lies about syncs finds losses: it can fail.
func TestPowerCut_NoticesADiskThatLies(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 0))
	for range 20 {
		mem, l := vfs.NewCrashableMem(), &ledger{}
		// The store is made on an honest disk.
		s := start(t, cutOptions(t, mem), replica.Options{})
		admit(t, s, cutTenants...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		after, list := cut(t, lyingFS{mem}, mem, l, rng)
		s, err := persistence.Open(cutOptions(t, after))
		if err == nil {
			_, err = replica.Start(s, replica.Options{Logger: quiet})
		}
		if err != nil {
			return // so much is missing that the log is unreadable
		}
		n := lost(t, s, list)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n > 0 {
			return
		}
	}
	t.Error("twenty power cuts on a disk that does not sync lost nothing")
}
