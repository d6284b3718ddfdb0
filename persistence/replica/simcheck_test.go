package replica

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"time"

	"github.com/chumiai/chumi/chat"
)

// book is what the outside was told, and the rules that it is held against.
type book struct {
	sim *simulator
	// told are events that were acknowledged, by conversation and seq.
	told map[chat.ConversationID]map[chat.Seq]told
	// seen is the highest seq of a conversation that anybody was told of or read:
	// whoever begins after that must not see less.
	seen map[chat.ConversationID]chat.Seq
	// leaders are who led a group in a term, states what a group was at a place.
	leaders map[groupTerm]chat.NodeID
	states  map[groupPlace]stateSeen
	// votes are the last ones that were told, by who gave them.
	votes map[voter]vote
}

type voter struct {
	node  chat.NodeID
	disk  int
	group chat.Group
}

type vote struct {
	term uint64
	to   chat.NodeID
}

type told struct {
	tenant chat.TenantID
	pos    chat.Pos
	text   string
}

type groupTerm struct {
	group chat.Group
	term  uint64
}

type groupPlace struct {
	group chat.Group
	at    place
}

type stateSeen struct {
	node chat.NodeID
	hash [sha256.Size]byte
}

func newBook(s *simulator) *book {
	return &book{sim: s, told: map[chat.ConversationID]map[chat.Seq]told{}, seen: map[chat.ConversationID]chat.Seq{},
		leaders: map[groupTerm]chat.NodeID{}, states: map[groupPlace]stateSeen{}, votes: map[voter]vote{}}
}

func (b *book) floor(c chat.ConversationID) chat.Seq     { return b.seen[c] }
func (b *book) floors() map[chat.ConversationID]chat.Seq { return maps.Clone(b.seen) }
func (b *book) raise(c chat.ConversationID, to chat.Seq) { b.seen[c] = max(b.seen[c], to) }
func (b *book) conversation(c chat.ConversationID) map[chat.Seq]told {
	if b.told[c] == nil {
		b.told[c] = map[chat.Seq]told{}
	}
	return b.told[c]
}

// acknowledge notes what a client was told. An append that began after others
// had ended comes behind them.
func (b *book) acknowledge(c *client, k chat.Commit, r chat.Receipt, floor chat.Seq) {
	b.sim.total.acknowledged++
	all := b.conversation(k.Conversation)
	for i, e := range k.Events {
		t := told{tenant: k.Tenant, pos: r.Pos - chat.Pos(len(k.Events)-1-i)}
		if e.Message != nil {
			t.text = e.Message.Text
		}
		if old, ok := all[e.Seq]; ok {
			b.sim.violate("seq %d of %s was acknowledged twice: %+v and %+v", e.Seq, k.Conversation, old, t)
		}
		if e.Seq <= floor {
			b.sim.violate("seq %d of %s was acknowledged to an append that began when %d was known", e.Seq, k.Conversation, floor)
		}
		all[e.Seq] = t
	}
	b.raise(k.Conversation, k.State.Seq)
}

// stored notes what a duplicate says of the original.
func (b *book) stored(c *client, seq chat.Seq) {
	all := b.conversation(c.place.Conversation)
	if old, ok := all[seq]; ok && old.text != c.text() {
		b.sim.violate("seq %d is said to be %q, it was acknowledged as %q", seq, c.text(), old.text)
	}
	b.raise(c.place.Conversation, seq)
}

// read holds what a confirmed read saw against what was known when it began.
func (b *book) read(n *simNode, c chat.ConversationID, events []chat.Event, floor chat.Seq) {
	b.sim.total.reads++
	if chat.Seq(len(events)) < floor {
		b.sim.violate("a confirmed read on n%d saw %d events of %s, %d were known before it began", n.id, len(events), c, floor)
	}
	b.journal(n, c, events)
	b.raise(c, chat.Seq(len(events)))
}

// journal holds a conversation's events against what was acknowledged.
func (b *book) journal(n *simNode, c chat.ConversationID, events []chat.Event) {
	messages := map[chat.RemoteID]chat.Seq{}
	for i, e := range events {
		if e.Seq != chat.Seq(i+1) {
			b.sim.violate("n%d: %s has seq %d where %d belongs", n.id, c, e.Seq, i+1)
			return
		}
		if e.Message != nil {
			if first, ok := messages[e.Message.RemoteID]; ok {
				b.sim.violate("n%d: %s holds the message %s at %d and %d", n.id, c, e.Message.RemoteID, first, e.Seq)
			}
			messages[e.Message.RemoteID] = e.Seq
		}
		t, ok := b.told[c][e.Seq]
		if !ok {
			continue
		}
		if t.pos != e.Pos || e.Message != nil && t.text != e.Message.Text {
			b.sim.violate("n%d: seq %d of %s is at %d, it was acknowledged as %+v", n.id, e.Seq, c, e.Pos, t)
		}
	}
}

// peace is how long a healed cluster may take to agree.
const peace = 90 * time.Second

// settle waits until a healed cluster agrees, and holds every replica against
// everything.
func (b *book) settle() {
	s := b.sim
	if !s.runUntil(s.now+peace, b.agreed) {
		if len(s.broken) == 0 {
			s.violate("the healed cluster does not agree within %v: %s", peace, b.describe())
		}
		return
	}
	for _, n := range s.nodes {
		for _, m := range n.core.order {
			b.log(n, m)
			if b.member(m) {
				b.state(n, m)
			}
		}
		if len(s.broken) > 0 {
			return
		}
		b.store(n)
	}
}

// member reports whether a node's replica belongs to its group as the group's
// leader sees it.
func (b *book) member(m *member) bool {
	l := b.sim.leader(m.group)
	return l != nil && l.core.members[m.group].live(m.id)
}

// agreed reports whether every group has a leader and every member has applied
// all there is.
func (b *book) agreed() bool {
	for _, n := range b.sim.nodes {
		if !n.up || len(n.flights) > 0 {
			return false
		}
	}
	for _, f := range b.sim.fibers {
		if !f.over {
			return false
		}
	}
	for _, m := range b.sim.nodes[0].core.order {
		l := b.sim.leader(m.group)
		if l == nil {
			return false
		}
		lm := l.core.members[m.group]
		for _, n := range b.sim.nodes {
			nm := n.core.members[m.group]
			if lm.live(n.id) && (nm.log.applied != lm.log.applied || nm.log.last != lm.log.last || nm.log.applied.index != nm.log.last) {
				return false
			}
		}
	}
	return true
}

func (b *book) describe() (text string) {
	for _, n := range b.sim.nodes {
		if !n.up {
			text += fmt.Sprintf("\nn%d is down", n.id)
			continue
		}
		text += fmt.Sprintf("\nn%d: %d flights", n.id, len(n.flights))
		for _, m := range n.core.order {
			st := m.raft.BasicStatus()
			text += fmt.Sprintf("\nn%d g%d: %v of n%d in term %d, epoch %d, truncated %v applied %v last %d stored %d, members %v sole %v", n.id, m.group,
				st.RaftState, st.Lead, st.HardState.GetTerm(), n.store.Epoch(m.group), m.log.truncated, m.log.applied, m.log.last, m.log.stored, m.log.members, m.sole)
		}
	}
	for i, f := range b.sim.fibers {
		if !f.over {
			text += fmt.Sprintf("\nfiber %d waits", i)
		}
	}
	return text
}

// store checks a whole store, and what was acknowledged of the groups it is in.
func (b *book) store(n *simNode) {
	report, err := n.store.Check(context.Background(), nil)
	if err != nil {
		b.sim.violate("n%d: the store cannot be checked: %v", n.id, err)
		return
	}
	for _, v := range report.Violations {
		b.sim.violate("n%d: %v", n.id, v)
	}
	for c, all := range b.told {
		var tenant chat.TenantID
		for _, t := range all {
			tenant = t.tenant
			break
		}
		if tenant == "" || !b.member(n.core.members[n.store.Group(tenant)]) {
			continue
		}
		events, err := n.store.Events(tenant, c, 0, 1<<20)
		if err != nil {
			b.sim.violate("n%d: %v", n.id, err)
			continue
		}
		b.journal(n, c, events)
		for seq := range all {
			if int(seq) > len(events) {
				b.sim.violate("n%d: seq %d of %s was acknowledged and is not there", n.id, seq, c)
			}
		}
	}
}
