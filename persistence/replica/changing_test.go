package replica

import (
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
)

// removal is an entry that removes a voter.
func removal(t *testing.T, index, term uint64, id chat.NodeID) *raftpb.Entry {
	t.Helper()
	data, err := proto.Marshal(&raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{
		{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: new(uint64(id))}}})
	if err != nil {
		t.Fatal(err)
	}
	return &raftpb.Entry{Type: raftpb.EntryConfChangeV2.Enum(), Index: new(index), Term: new(term), Data: data}
}

// asksOf are the nodes that n asks for their votes once it hears of no leader.
func asksOf(n *simNode) (asked []chat.NodeID) {
	seen := map[uint64]bool{}
	for range 4 * n.opt.ElectionTicks {
		n.core.tick()
		f, err := n.core.pass()
		if err != nil || f == nil {
			n.sim.violate("n%d: no pass: %v", n.id, err)
			return nil
		}
		list := f.send
		for _, p := range f.promises {
			list = append(list, p.Message)
		}
		for _, m := range list {
			if m.Group == 0 && m.GetType() == raftpb.MsgPreVote && !seen[m.GetTo()] {
				seen[m.GetTo()] = true
				asked = append(asked, chat.NodeID(m.GetTo()))
			}
		}
		f.round.Applied(0)
		f.round.Landed()
		_ = f.batch.Close()
	}
	return asked
}

// wokenInChange is node 2 of three after a loss of power at the one moment that
// matters: the entry that removes node 3 is on the disk; the entry that removes
// node 2 itself, which came with the news that the first is committed, is too; and
// the first is not applied, because Raft was not told yet that the disk has it.
func wokenInChange(t *testing.T, f fault) *simNode {
	t.Helper()
	s := newSimulator(t, 1, plan{nodes: 3, groups: 1, first: []chat.NodeID{1, 2, 3}, logLen: 100, calm: true, fault: f})
	t.Cleanup(s.close)
	n := s.node(2)
	n.open()
	at := n.core.members[0].log.applied
	term := at.term + 1
	hear := func(before place, commit uint64, e *raftpb.Entry) {
		n.core.step(Message{0, &raftpb.Message{Type: raftpb.MsgApp.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(term),
			Index: new(before.index), LogTerm: new(before.term), Commit: new(commit), Entries: []*raftpb.Entry{e}}})
		n.pass()
	}
	first := place{at.index + 1, term}
	hear(at, at.index, removal(t, first.index, term, 3))
	hear(first, first.index, removal(t, first.index+1, term, 2))
	m := n.core.members[0]
	if m.log.applied != at || m.log.last != first.index+1 || !m.live(3) {
		t.Fatalf("the moment was missed: applied %v, last %d, members %v", m.log.applied, m.log.last, m.log.members)
	}
	if err := n.fs.sync(); err != nil {
		t.Fatal(err)
	}
	after, err := n.fs.crash(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	n.discard()
	n.fs = after
	n.open()
	if known := len(s.broken) == 0; known != (f == 0) {
		t.Errorf("fault %d, and the simulator, which looks at a log when it is opened, says %q", f, s.broken)
	}
	s.broken = nil
	return n
}

// A member that wakes up with two changes of members in its log knows that the
// first is committed: its leader would not have proposed the second before. Did it
// not, it would ask for votes among members that both have replaced, who may not
// know of either, while the last member goes on alone.
func TestCore_KnowsAfterAPowerCutThatAChangeIsCommitted(t *testing.T) {
	for _, f := range []fault{0, faultCommitUnwritten} {
		n := wokenInChange(t, f)
		asked := asksOf(n)
		if len(n.sim.broken) > 0 {
			t.Fatal(n.sim.report())
		}
		if len(asked) == 0 {
			t.Fatal("nobody was asked: the test proves nothing")
		}
		among := len(asked) == 1 && asked[0] == 1
		if f == 0 && !among {
			t.Errorf("the node asks %v for their votes, want the one other member that is left", asked)
		}
		if f != 0 && among {
			t.Errorf("fault %d is not noticed", f)
		}
	}
}
