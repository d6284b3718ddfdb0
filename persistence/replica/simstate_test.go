package replica

import (
	"crypto/sha256"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// compare holds, now and then, the logs against what the node says of them and the
// state of a group against what another replica had at the same place.
func (b *book) compare(n *simNode) {
	for _, m := range n.core.order {
		if m.log.last < n.ends[m.group] {
			b.log(n, m) // it gave way to another leader's
		}
		n.ends[m.group] = m.log.last
	}
	if n.sim.chance(90) {
		return
	}
	for _, m := range n.core.order {
		b.log(n, m)
	}
	b.state(n, n.core.order[n.sim.rng.IntN(len(n.core.order))])
}

func (b *book) state(n *simNode, m *member) {
	k := groupPlace{m.group, m.log.applied}
	if k.at.index == 0 {
		return // a node that joins has nothing
	}
	hash, err := stateHash(n.store, m.group)
	if err != nil {
		b.sim.violate("n%d: %v", n.id, err)
		return
	}
	b.sim.total.compared++
	if old, ok := b.states[k]; !ok {
		b.states[k] = stateSeen{n.id, hash}
	} else if old.hash != hash {
		b.sim.violate("n%d and n%d differ in g%d at index %d of term %d", old.node, n.id, m.group, k.at.index, k.at.term)
		b.dump(m.group)
	}
}

// dump writes the rows that the nodes' states differ in into the trace.
func (b *book) dump(g chat.Group) {
	rows := map[string]map[chat.NodeID]string{}
	var nodes []chat.NodeID
	for _, n := range b.sim.nodes {
		if !n.up {
			continue
		}
		nodes = append(nodes, n.id)
		_ = eachRow(n.store, g, func(k, v []byte) {
			if rows[string(k)] == nil {
				rows[string(k)] = map[chat.NodeID]string{}
			}
			rows[string(k)][n.id] = fmt.Sprintf("%x", sha256.Sum256(v))[:12]
		})
	}
	shown := 0
	for k, by := range rows {
		same := len(by) == len(nodes)
		for _, v := range by {
			same = same && v == by[nodes[0]]
		}
		if !same && shown < 12 {
			shown++
			b.sim.tail = append(b.sim.tail, fmt.Sprintf("row %q: %v", k, by))
		}
	}
}

func stateHash(s *persistence.Store, g chat.Group) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	err = eachRow(s, g, func(k, v []byte) { fmt.Fprintf(h, "%d %d %s%s", len(k), len(v), k, v) })
	h.Sum(sum[:0])
	return sum, err
}

func eachRow(s *persistence.Store, g chat.Group, row func(k, v []byte)) error {
	start, end := persistence.GroupSpan(g)
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		row(it.Key(), it.Value())
	}
	return it.Close()
}
