package replica

import (
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
)

// behind is a cluster whose third node needs a snapshot of group 0.
func behind(t *testing.T) *simulator {
	t.Helper()
	simTemplate(t, 1)
	s := newSimulator(t, 7, plan{nodes: 3, groups: 1, first: []chat.NodeID{1, 2, 3}, logLen: 4, calm: true})
	t.Cleanup(s.close)
	for _, n := range s.nodes {
		n.open()
	}
	s.admit()
	s.part(s.node(3), 4*time.Second)
	said := 0
	f := s.start(func(f *fiber) {
		c := &client{fiber: f, sim: s, tenant: "acme", address: chat.Address{Kind: chat.WaID, Value: "1"}}
		for said < 20 {
			f.sleep(20 * time.Millisecond)
			if c.born || c.activate() {
				before := c.message
				c.words = fmt.Sprint(said)
				c.say()
				said += c.message - before
			}
		}
	})
	if !s.runUntil(time.Minute, func() bool { return f.over }) {
		t.Fatal("nothing is stored", s.broken)
	}
	return s
}

// newTerm is a sign of life of who was elected meanwhile.
func newTerm(m Message) Message {
	return Message{m.Group, &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(2)), To: new(m.GetTo()),
		Term: new(m.GetTerm() + 1)}}
}

// peaceful expects the cluster to agree.
func peaceful(t *testing.T, s *simulator) {
	t.Helper()
	s.guarded(func() { s.heal(); s.book.settle() })
	if len(s.broken) > 0 {
		t.Error(s.report())
	}
}

// The power goes between the batch that is synced before a snapshot and the
// snapshot, and the batch holds a new term: with the index that Raft has committed
// by the snapshot, and the log has not.
func TestInstall_PowerCutBeforeTheSnapshotIsInPlace(t *testing.T) {
	s := behind(t)
	n, cut := s.node(3), false
	n.received = func(m Message) {
		if m.Group != 0 || cut {
			return
		}
		cut, n.crashNext = true, true
		s.after(0, func() { n.core.step(newTerm(m)) })
	}
	if !s.runUntil(time.Minute, func() bool { return n.up && n.life == 2 }) {
		t.Fatal("the node did not start again", s.broken)
	}
	peaceful(t, s)
	if s.total.snapshots == 0 || s.total.crashes != 1 {
		t.Errorf("nothing was proved: %v", s.total)
	}
}

// Raft refuses a snapshot of a term that is over; the sender hears of it and the
// next one is taken.
func TestInstall_RefusedSnapshotIsAnswered(t *testing.T) {
	s := behind(t)
	n, refused := s.node(3), false
	n.received = func(m Message) {
		if m.Group == 0 && !refused {
			refused = true
			n.core.step(newTerm(m))
		}
	}
	if !s.runUntil(time.Minute, func() bool { return s.total.snapshots > 0 }) {
		t.Fatal("no snapshot was installed", s.broken)
	}
	peaceful(t, s)
	if s.total.refusedSnapshots != 1 {
		t.Errorf("%d snapshots were refused, want 1", s.total.refusedSnapshots)
	}
}

// A round that is on its way to the disk when a snapshot is put in place lands
// after it.
func TestInstall_ReadsGoOnBehindIt(t *testing.T) {
	s := behind(t)
	n := s.node(3)
	n.slow = 200 * time.Millisecond
	if !s.runUntil(time.Minute, func() bool { return s.total.snapshots > 0 && len(n.flights) == 0 }) {
		t.Fatal("no snapshot was installed", s.broken)
	}
	var seen int
	f := s.start(func(f *fiber) {
		if err := n.await(f, &wait{group: 0}, 10*time.Second); err != nil {
			t.Error(err)
			return
		}
		for c := range s.book.told {
			events, err := n.store.Events("acme", c, 0, 1000)
			if err != nil {
				t.Error(err)
			}
			seen += len(events)
		}
	})
	if !s.runUntil(time.Minute, func() bool { return f.over }) || seen != 21 {
		t.Errorf("%d events are seen behind a confirmed read, want 21", seen)
	}
	peaceful(t, s)
}

// What comes behind a snapshot in the same pass is written behind it too: the
// snapshot clears the log, and before it is there an entry would leave a gap.
func TestInstall_KeepsTheEntriesBehindIt(t *testing.T) {
	for _, crash := range []bool{false, true} {
		s := behind(t)
		n, done := s.node(3), false
		n.received = func(m Message) {
			if m.Group != 0 || done {
				return
			}
			done, n.crashNext = true, crash
			at := m.GetSnapshot().GetMetadata()
			s.after(0, func() {
				n.core.step(Message{0, &raftpb.Message{Type: raftpb.MsgApp.Enum(), From: new(m.GetFrom()), To: new(m.GetTo()),
					Term: new(m.GetTerm()), Index: new(at.GetIndex()), LogTerm: new(at.GetTerm()),
					Entries: []*raftpb.Entry{{Index: new(at.GetIndex() + 1), Term: new(m.GetTerm())}}}})
			})
		}
		// The simulator looks at the log after a snapshot and after a start.
		s.runUntil(time.Minute, func() bool { return done && len(n.flights) == 0 && n.up && (s.total.snapshots > 0 || n.life == 2) })
		if len(s.broken) > 0 {
			t.Error(s.broken)
		}
		if last := n.core.members[0].log.last; !crash && last != n.core.members[0].log.applied.index+1 {
			t.Errorf("the log ends at %d, behind the applied %v", last, n.core.members[0].log.applied)
		}
	}
}
