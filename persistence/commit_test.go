package persistence

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// stageAll stages commits into one batch of a fresh stager and applies it.
func stageAll(t testing.TB, s *Store, g *group, commits []*recordpb.Commit) []Outcome {
	t.Helper()
	st := newStager(g.id, s)
	st.begin()
	st.epoch = chat.Epoch(g.epoch.Load())
	var out []Outcome
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
		return &p.commit
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
		if o.Answer != want[i] {
			t.Errorf("commit %d is answered %v, want %v", i, o.Answer, want[i])
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
		out, err := tn.group.propose(context.Background(), &p.commit)
		if err != nil {
			t.Fatal(err)
		}
		if out.Answer == chat.Applied {
			k.state = *c.State
		}
		entry, err := proto.Marshal(&p.commit)
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
