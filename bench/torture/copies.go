package torture

import (
	"context"

	"github.com/chumiai/chumi/bench/child"
)

// identity is what of an event must be the same on every node.
type identity struct {
	pos, seq                      uint64
	kind, conversation, id, words string
}

func identityOf(e *child.Event) identity {
	i := identity{pos: e.Pos, seq: e.Seq, kind: e.Kind, conversation: e.Conversation, id: e.MessageID()}
	switch {
	case e.Message != nil:
		i.words = e.Message.Text
	case e.Status != nil:
		i.words = e.Status.Status
	}
	return i
}

// copies compares what the nodes stored of one tenant with what the API showed
// when everything was done. A node that was behind when it stopped may lack the
// end; nobody may hold something else, and somebody must hold all of it.
type copies struct {
	tenant string
	// known is what the API showed, and what a node held beyond.
	known []identity
	shown int
	// longest is the most that one node held.
	longest int
}

func newCopies(tenant string, shown []child.Event) *copies {
	c := &copies{tenant: tenant, shown: len(shown)}
	for i := range shown {
		c.known = append(c.known, identityOf(&shown[i]))
	}
	return c
}

// node returns a function that takes a node's events in order.
func (c *copies) node(n int, t *Tally) func(*child.Event) error {
	at, wrong := 0, false
	return func(e *child.Event) error {
		is := identityOf(e)
		switch {
		case at >= len(c.known):
			c.known = append(c.known, is)
		case c.known[at] != is && !wrong:
			wrong = true // what follows is shifted
			t.breach(Diverged, "%s: node %d holds %s at pos %d where another has %s at pos %d", c.tenant, n,
				is.kind, is.pos, c.known[at].kind, c.known[at].pos)
		}
		at++
		t.Chances[ChanceCopies]++
		if !wrong {
			c.longest = max(c.longest, at)
		}
		return nil
	}
}

// close adds what is only known when every node was seen.
func (c *copies) close(t *Tally) {
	if c.longest < c.shown {
		t.breach(Forgotten, "%s: the API showed %d events, no node holds more than %d of them", c.tenant, c.shown, c.longest)
	}
}

// compareCopies checks every stopped node's store and compares what they hold.
func (c *cluster) compareCopies(ctx context.Context, b *Book, t *Tally) {
	for _, n := range c.nodes {
		if err := child.Check(ctx, n.start); err != nil {
			t.breach(CheckFailed, "node %d: %v", n.number, err)
		}
	}
	for _, tenant := range c.world.Tenants {
		same := newCopies(tenant.ID, b.Exported[tenant.ID])
		for _, n := range c.nodes {
			if err := child.Export(ctx, n.start, tenant.ID, same.node(n.number, t)); err != nil {
				t.breach(CheckFailed, "node %d: %v", n.number, err)
			}
		}
		same.close(t)
	}
}
