package persistence

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

func appendTest(t testing.TB, s *Store, c chat.Commit) chat.Receipt {
	t.Helper()
	r, err := s.Append(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAppend_SixAnswers(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)

	if r := k.say(t, "one"); r.Pos != 2 {
		t.Errorf("pos %d after two events, want 2", r.Pos)
	}
	if r := k.say(t, "two"); r.Pos != 3 {
		t.Errorf("pos %d, want 3", r.Pos)
	}

	stale := k.next("three")
	stale.Epoch--
	if r := appendTest(t, s, stale); r.Answer != chat.StaleEpoch {
		t.Errorf("an older epoch is answered %v", r.Answer)
	}
	future := k.next("three")
	future.Epoch++
	if r := appendTest(t, s, future); r.Answer != chat.StaleEpoch {
		t.Errorf("a newer epoch is answered %v", r.Answer)
	}

	behind := newTalker(t, s, "acme", 1)
	if r := appendTest(t, s, behind.next("again")); r.Answer != chat.WrongSeq {
		t.Errorf("another start of the conversation is answered %v", r.Answer)
	}

	repeated := k.next("three")
	first := chat.Seq(2)
	repeated.Rows[0].Remote = k.remote(first)
	r := appendTest(t, s, repeated)
	want := chat.Original{Conversation: k.place.Conversation, Message: chat.MessageIDAt(k.place.Conversation, first), Seq: first}
	if r.Answer != chat.Duplicate || r.Original != want {
		t.Errorf("a known remote id is answered %v, %+v; want duplicate of %+v", r.Answer, r.Original, want)
	}

	limited := k.next("three")
	limited.Reserve = []chat.Reservation{{Counter: "turns/2026-11-01", Amount: 2, Limit: 3}}
	if r := appendTest(t, s, limited); r.Answer != chat.Applied {
		t.Fatalf("within the limit: %v", r.Answer)
	}
	k.state = *limited.State
	limited = k.next("four")
	limited.Reserve = []chat.Reservation{{Counter: "other", Amount: 1}, {Counter: "turns/2026-11-01", Amount: 2, Limit: 3}}
	if r := appendTest(t, s, limited); r.Answer != chat.LimitReached || r.Counter != "turns/2026-11-01" {
		t.Errorf("past the limit: %v of %q", r.Answer, r.Counter)
	}

	// Nothing of the refused ones happened.
	k.say(t, "four")
	events, err := s.Events("acme", k.place.Conversation, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i, e := range events {
		if e.Seq != chat.Seq(i+1) {
			t.Errorf("event %d has seq %d", i, e.Seq)
		}
		if e.Message != nil {
			texts = append(texts, e.Message.Text)
		}
	}
	if diff := cmp.Diff([]string{"one", "two", "three", "four"}, texts); diff != "" {
		t.Error(diff)
	}
	state, found, err := s.Load("acme", k.place.Conversation)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	if diff := cmp.Diff(k.state, state); diff != "" {
		t.Error(diff)
	}
	if n := counterOf(t, s, "acme", "turns/2026-11-01"); n != 2 {
		t.Errorf("the counter is %d, want 2", n)
	}
	mustCheck(t, s)
}

func counterOf(t testing.TB, s *Store, tenant chat.TenantID, word string) int64 {
	t.Helper()
	v, found, err := s.get(realmOf(s.Group(tenant), tenant).counter(nil, word))
	if err != nil || !found {
		t.Fatal(word, found, err)
	}
	n, err := readCounter(v)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAppend_UnknownWhenTheCallerGivesUp(t *testing.T) {
	gate := newSyncGate(vfs.NewMem())
	s := openTest(t, testOptions(t, gate))
	defer s.Close()
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "one")
	release := gate.shut()
	ctx, cancel := context.WithCancel(context.Background())
	answer := make(chan chat.Receipt, 1)
	c := k.next("two")
	go func() {
		r, err := s.Append(ctx, c)
		if err != nil {
			t.Error(err)
		}
		answer <- r
	}()
	gate.waitBlocked()
	cancel()
	if r := <-answer; r.Answer != chat.Unknown {
		t.Errorf("answer %v, want unknown", r.Answer)
	}
	release()
	if err := s.Barrier(context.Background(), "acme"); err != nil {
		t.Fatal(err)
	}
	// It was applied after all, and the same commit is refused by its seq.
	if r := appendTest(t, s, c); r.Answer != chat.WrongSeq {
		t.Errorf("the repeated commit is answered %v", r.Answer)
	}
}

// stageAll stages commits into one batch of a fresh stager and applies it.
func stageAll(t testing.TB, s *Store, g *group, commits []*recordpb.Commit) []outcome {
	t.Helper()
	st := newStager(g.id, s)
	st.begin(chat.Epoch(g.epoch.Load()))
	var out []outcome
	for _, c := range commits {
		o, err := st.stage(c)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	b := s.db.NewBatch()
	if err := st.finish(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(nil); err != nil {
		t.Fatal(err)
	}
	return out
}

// A batch reads its own writes: each commit sees the ones staged before it.
func TestStage_ReadsItsOwnWrites(t *testing.T) {
	s := openMem(t, "acme")
	tn, err := s.tenantAt("acme")
	if err != nil {
		t.Fatal(err)
	}
	prepareNext := func(k *talker, change func(*chat.Commit)) *recordpb.Commit {
		c := k.next("x")
		if change != nil {
			change(&c)
		}
		p, err := s.prepare(tn, &c)
		if err != nil {
			t.Fatal(err)
		}
		k.state = *c.State
		return p.commit
	}
	a, again, b := newTalker(t, s, "acme", 1), newTalker(t, s, "acme", 1), newTalker(t, s, "acme", 2)
	limit := func(c *chat.Commit) { c.Reserve = []chat.Reservation{{Counter: "turns", Amount: 1, Limit: 1}} }
	start := prepareNext(a, nil)
	idle := newTalker(t, s, "acme", 3)
	idle.place.Contact = a.place.Contact
	commits := []*recordpb.Commit{
		start,
		prepareNext(again, nil), // the head written by the first
		prepareNext(b, limit),   // reserves the last turn
		prepareNext(newTalker(t, s, "acme", 4), limit), // the counter
		prepareNext(newTalker(t, s, "acme", 5), func(c *chat.Commit) { // the remote-id row
			c.Rows[0].Remote, c.Rows[0].Revision = a.remote(2), ""
		}),
		prepareNext(idle, nil), // the contact's key: another one was drawn
		prepareNext(newTalker(t, s, "acme", 6), func(c *chat.Commit) { // the address
			c.Claims[0].Address = a.addr
		}),
	}
	want := []chat.CommitAnswer{chat.Applied, chat.WrongSeq, chat.Applied, chat.LimitReached, chat.Duplicate, chat.WrongSeq, chat.Duplicate}
	for i, o := range stageAll(t, s, tn.group, commits) {
		if o.answer != want[i] {
			t.Errorf("commit %d is answered %v, want %v", i, o.answer, want[i])
		}
	}
}

// dump is every row of the groups, without what a node writes for itself.
func dump(t testing.TB, s *Store) []string {
	t.Helper()
	it, err := s.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var rows []string
	for ok := it.SeekGE([]byte{spaceGroup}); ok; ok = it.Next() {
		rows = append(rows, fmt.Sprintf("%s = %x", prettyKey(it.Key()), it.Value()))
	}
	return rows
}

// The same prepared commits, carried as bytes and staged in other batches on
// another store, write the same bytes.
func TestStage_IsDeterministic(t *testing.T) {
	source := openMem(t, "acme")
	tn, err := source.tenantAt("acme")
	if err != nil {
		t.Fatal(err)
	}
	meta, _, err := source.get(tn.realm.meta(nil))
	if err != nil {
		t.Fatal(err)
	}
	var log [][]byte
	talkers := []*talker{newTalker(t, source, "acme", 1), newTalker(t, source, "acme", 2), newTalker(t, source, "acme", 3)}
	for i := range 60 {
		k := talkers[i*i%len(talkers)]
		c := k.next(fmt.Sprint("message ", i))
		switch i % 7 {
		case 2:
			c.Reserve = []chat.Reservation{{Counter: "turns", Amount: 1, Limit: 5}}
		case 4:
			c.Claims = append(c.Claims, chat.Claim{Kind: chat.ClaimDigest, Key: fmt.Sprint("d", i%14), Day: 20000 + int64(i%3)})
		case 6:
			c.Expected++ // refused by its seq; refusals must not leave a trace
			for j := range c.Events {
				c.Events[j].Seq++
			}
		}
		p, err := source.prepare(tn, &c)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tn.group.propose(context.Background(), p.commit)
		if err != nil {
			t.Fatal(err)
		}
		if out.answer == chat.Applied {
			k.state = *c.State
		}
		entry, err := proto.Marshal(p.commit)
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, entry)
	}
	want := dump(t, source)
	if len(want) < 120 {
		t.Fatalf("only %d rows were written", len(want))
	}
	for _, batchLen := range []int{1, 7, len(log)} {
		replica := openMem(t)
		g := replica.groupAt(replica.Group("acme"))
		err := replica.write(context.Background(), g.id, []*recordpb.Write{{Key: tn.realm.meta(nil), Value: encodeMeta(0, meta[8:])}})
		if err != nil {
			t.Fatal(err)
		}
		for from := 0; from < len(log); from += batchLen {
			var commits []*recordpb.Commit
			for _, entry := range log[from:min(from+batchLen, len(log))] {
				c := new(recordpb.Commit)
				if err := proto.Unmarshal(entry, c); err != nil {
					t.Fatal(err)
				}
				commits = append(commits, c)
			}
			stageAll(t, replica, g, commits)
		}
		if diff := cmp.Diff(want, dump(t, replica)); diff != "" {
			t.Errorf("batches of %d write other rows:\n%s", batchLen, diff)
		}
	}
}

func TestAppend_EventsWithoutAConversation(t *testing.T) {
	s := openMem(t, "acme")
	now := epoch0
	c := chat.Commit{Tenant: "acme", Channel: "wa", Epoch: s.Epoch(s.Group("acme")), Now: now,
		Events: []chat.Event{{Kind: chat.UpdateReceived, Time: now, Tenant: "acme", Channel: "wa",
			Update: &chat.Update{Type: "account_update", Raw: []byte(`{"secret":1}`)}}},
		Claims: []chat.Claim{{Kind: chat.ClaimDigest, Key: "digest-1", Day: now.Unix()/86400 + 8}}}
	if r := appendTest(t, s, c); r.Answer != chat.Applied || r.Pos != 1 {
		t.Fatalf("%+v", r)
	}
	if r := appendTest(t, s, c); r.Answer != chat.Duplicate {
		t.Errorf("the repeated update is answered %v", r.Answer)
	}
	if _, found, err := s.Claimed("acme", chat.ClaimDigest, "digest-1"); err != nil || !found {
		t.Error(found, err)
	}
	if _, found, err := s.Claimed("acme", chat.ClaimIdempotency, "digest-1"); err != nil || found {
		t.Error("a claim is found under another kind", found, err)
	}
	for _, row := range dump(t, s) {
		if bytes.Contains([]byte(row), []byte(fmt.Sprintf("%x", "secret"))) {
			t.Errorf("plain text in %s", row)
		}
	}

	// Its claim is forgotten after its day, and only then.
	day := time.Unix((c.Claims[0].Day)*86400, 0)
	for _, step := range []struct {
		now   time.Time
		found bool
	}{{day.Add(23 * time.Hour), true}, {day.Add(24 * time.Hour), false}} {
		if err := s.forgetClaims(context.Background(), step.now); err != nil {
			t.Fatal(err)
		}
		if _, found, err := s.Claimed("acme", chat.ClaimDigest, "digest-1"); err != nil || found != step.found {
			t.Errorf("at %v the claim is found: %v, %v", step.now, found, err)
		}
	}
	mustCheck(t, s)
}

func TestAppend_RefusesCommitsThatContradictThemselves(t *testing.T) {
	s := openMem(t, "acme", "bolt")
	for name, change := range map[string]func(*chat.Commit){
		"another tenant's event": func(c *chat.Commit) { c.Events[0].Tenant = "bolt" },
		"a gap in the seqs":      func(c *chat.Commit) { c.Events[1].Seq++ },
		"another state":          func(c *chat.Commit) { c.State.ID = testConversation },
		"no state":               func(c *chat.Commit) { c.State = nil },
		"a foreign id":           func(c *chat.Commit) { c.Conversation = "conv_x" },
	} {
		c := newTalker(t, s, "acme", 1).next("x")
		change(&c)
		if _, err := s.Append(context.Background(), c); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	c := newTalker(t, s, "acme", 1).next("x")
	c.Tenant = "nobody"
	if _, err := s.Append(context.Background(), c); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("an unknown tenant: %v, want not found", err)
	}
}

func TestAppend_DiskReserve(t *testing.T) {
	free := uint64(10 << 30)
	o := testOptions(t, vfs.NewMem())
	o.DiskReserve, o.DiskFree, o.DiskPoll = 1<<30, func() (uint64, error) { return free, nil }, time.Hour
	s := openTest(t, o)
	defer s.Close()
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "one")
	free = 1<<30 - 1
	s.pollDisk()
	if _, err := s.Append(context.Background(), k.next("two")); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("below the reserve: %v, want unavailable", err)
	}
	ensure(t, s, "bolt") // what is not an ordinary commit goes on
	free = 1 << 30
	s.pollDisk()
	k.say(t, "two")
}

// A full queue is answered, not waited for.
func TestAppend_BusyWhenTheQueueIsFull(t *testing.T) {
	gate := newSyncGate(vfs.NewMem())
	o := testOptions(t, gate)
	o.QueueLen = 1
	s := openTest(t, o)
	defer s.Close()
	ensure(t, s, "acme")
	release := gate.shut()
	// While no sync returns, the committer takes a bounded number of batches.
	const max = 5000
	var applied, busy atomic.Int32
	var wg sync.WaitGroup
	for i := 0; busy.Load() == 0 && i < max; i++ {
		c := newTalker(t, s, "acme", i).next("x")
		wg.Go(func() {
			r, err := s.Append(context.Background(), c)
			switch {
			case chat.KindOf(err) == chat.KindBusy:
				busy.Add(1)
			case err == nil && r.Answer == chat.Applied:
				applied.Add(1)
			default:
				t.Error(r.Answer, err)
			}
		})
		runtime.Gosched()
	}
	if applied.Load() > 0 || busy.Load() == 0 {
		t.Errorf("before a sync returned: %d applied, %d busy", applied.Load(), busy.Load())
	}
	release()
	wg.Wait()
	if applied.Load() == 0 {
		t.Error("nothing was applied after the sync")
	}
}
