package replica

import (
	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// turned holds a pass against the rules of leadership.
func (b *book) turned(n *simNode, f *flight) {
	for _, m := range n.core.order {
		st := m.raft.BasicStatus()
		if st.RaftState != raft.StateLeader {
			continue
		}
		k := groupTerm{m.group, st.HardState.GetTerm()}
		if other, ok := b.leaders[k]; ok && other != n.id {
			b.sim.violate("g%d has the leaders n%d and n%d in term %d", m.group, other, n.id, k.term)
		} else if !ok {
			b.leaders[k] = n.id
			b.sim.note("n%d leads g%d in term %d", n.id, m.group, k.term)
		}
	}
	for _, p := range f.answered {
		if p.commit.Epoch == 0 && p.commit.Tenant == "" {
			continue // plain rows are valid under any epoch
		}
		if m := n.core.members[p.group]; p.outcome.Answer == chat.Applied && m.leading != 0 && m.leading != p.commit.Epoch {
			b.sim.violate("n%d g%d applied a commit of epoch %d in term %d", n.id, p.group, p.commit.Epoch, m.leading)
		}
	}
}

// voted notes a vote that leaves its node.
func (b *book) voted(n *simNode, m Message) {
	k, v := voter{n.id, n.disk, m.Group}, vote{m.GetTerm(), chat.NodeID(m.GetTo())}
	if old, ok := b.votes[k]; ok && (old.term > v.term || old.term == v.term && old.to != v.to) {
		b.sim.violate("n%d g%d votes for n%d in term %d after its vote for n%d in term %d", n.id, m.Group, v.to, v.term, old.to, old.term)
	}
	b.votes[k] = v
}

// opened holds what a process finds on its disk against what was told before.
func (b *book) opened(n *simNode) {
	for _, m := range n.core.order {
		hard := &m.log.hard
		if v, ok := b.votes[voter{n.id, n.disk, m.group}]; ok &&
			(hard.GetTerm() < v.term || hard.GetTerm() == v.term && hard.GetVote() != uint64(v.to)) {
			b.sim.violate("n%d g%d does not know of its vote for n%d in term %d", n.id, m.group, v.to, v.term)
		}
		if last, err := m.log.Term(m.log.last); err != nil || hard.GetTerm() < last {
			b.sim.violate("n%d g%d is in term %d and has an entry of term %d (%v)", n.id, m.group, hard.GetTerm(), last, err)
		}
		b.log(n, m)
		b.pendingChanges(n, m)
	}
}

// pendingChanges expects that a process that starts knows of each change of members
// in its log, but for the last one, that it is committed: it came with the next.
func (b *book) pendingChanges(n *simNode, m *member) {
	if m.log.hard.GetCommit() == m.log.last {
		return
	}
	entries, err := m.log.Entries(m.log.hard.GetCommit()+1, m.log.last+1, 1<<30)
	if err != nil {
		b.sim.violate("n%d g%d: %v", n.id, m.group, err)
	}
	changes := 0
	for _, e := range entries {
		if e.GetType() != raftpb.EntryNormal {
			changes++
		}
	}
	if changes > 1 {
		b.sim.violate("n%d g%d does not know that the first of %d changes of its members is committed", n.id, m.group, changes)
	}
}

// log holds a group's log on the disk against what the node says of it: no gap, no
// row too many, and terms that do not fall.
func (b *book) log(n *simNode, m *member) {
	if m.sole {
		return // it may keep rows of a log it does not have any more
	}
	prefix := persistence.AppendLog(nil, m.group)
	it, err := n.store.DB().NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: persistence.PrefixEnd(prefix)})
	if err != nil {
		b.sim.violate("n%d: %v", n.id, err)
		return
	}
	at := m.log.truncated
	for ok := it.First(); ok; ok = it.Next() {
		e := new(raftpb.Entry)
		if err := proto.Unmarshal(it.Value(), e); err != nil || e.GetIndex() != at.index+1 || e.GetTerm() < at.term {
			b.sim.violate("n%d g%d has entry %d of term %d in its log behind %d of %d (%v)", n.id, m.group, e.GetIndex(), e.GetTerm(), at.index, at.term, err)
			break
		}
		at = place{e.GetIndex(), e.GetTerm()}
	}
	if err := it.Close(); err != nil {
		b.sim.violate("n%d: %v", n.id, err)
	}
	if at.index != m.log.stored && len(b.sim.broken) == 0 {
		b.sim.violate("n%d g%d has entries up to %d in its log, it says %d", n.id, m.group, at.index, m.log.stored)
	}
}

// landing sees every flight that lands.
func (b *book) landing(n *simNode, f *flight) {
	for _, s := range f.settled {
		if s.change != nil && s.err == nil {
			b.sim.total.changes++
		}
	}
}
