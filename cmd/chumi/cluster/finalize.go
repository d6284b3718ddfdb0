package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/peer"
)

// formats is what this node says of its build to others.
func (n *Node) formats() peer.Formats {
	f := n.opt.Store.Formats()
	return peer.Formats{Oldest: uint32(f.Oldest), Newest: uint32(f.Newest),
		Active: func() uint32 { return uint32(n.opt.Store.Format()) },
		Beyond: func(_ chat.NodeID, active uint32) {
			if n.opt.Beyond != nil {
				n.opt.Beyond(n.opt.Store.Understands(persistence.FormatVersion(active)))
			}
		}}
}

// writes says why a node must not be a member by what its build can write.
func writes(c *persistence.Change, id chat.NodeID, f persistence.Formats) error {
	cl, _ := c.Cluster()
	if f.Oldest <= cl.Format && cl.Format <= f.Newest {
		return nil
	}
	return chat.E("cluster.Join", chat.KindInvalid, fmt.Sprintf(
		"the cluster's format is %d, node %d writes formats from %d to %d: start it with the version of the other nodes", cl.Format, id, f.Oldest, f.Newest), nil)
}

// next is the newest format that any node knows, with the nodes that do not know it by
// their own account, or gave none; 0 when that is the active one.
func next(s *Status) (to persistence.FormatVersion, lacking []chat.NodeID) {
	for _, m := range s.Nodes {
		to = max(to, m.Formats.Newest)
	}
	if to <= s.Format {
		return 0, nil
	}
	for _, m := range s.Nodes {
		if m.Formats.Newest < to {
			lacking = append(lacking, m.ID)
		}
	}
	return to, lacking
}

// finalize makes the newest format that every node knows the active one: from then on
// no build that does not know it has a place in the cluster. It is refused while a node
// does not know what another one does, or does not answer.
func (n *Node) finalize(ctx context.Context, _ *fasthttp.Args) error {
	const op = "cluster.Finalize"
	d, err := n.current(ctx)
	if err != nil {
		return err
	}
	asked := d.Nodes()
	s := n.gather(d, n.collect(ctx, d))
	if s.FormatNext == 0 {
		return nil
	}
	if len(s.FormatLacking) > 0 {
		return chat.E(op, chat.KindConflict, fmt.Sprintf("format %d is not known to all: %s", s.FormatNext, s.lacking()), nil)
	}
	err = d.Change(ctx, finalizeAmong(asked, s.FormatNext))
	if err == nil {
		n.log.Info("the cluster was finalized", "format", s.FormatNext)
	}
	return err
}

// finalizeAmong is a change that raises the format, if the members are still those that
// were asked whether they know it.
func finalizeAmong(asked []persistence.Node, to persistence.FormatVersion) func(*persistence.Change) error {
	return func(c *persistence.Change) error {
		if !slices.Equal(c.Nodes(), asked) {
			return chat.E("cluster.Finalize", chat.KindConflict, "the members of the cluster changed meanwhile: repeat", nil)
		}
		return c.Finalize(to)
	}
}

// lacking says what keeps the nodes of FormatLacking from FormatNext, and the remedy.
func (s *Status) lacking() string {
	var all []string
	for _, m := range s.Nodes {
		switch {
		case !slices.Contains(s.FormatLacking, m.ID):
		case !m.Live:
			all = append(all, fmt.Sprintf("node %d does not answer (start it, or remove it with chumi cluster remove)", m.ID))
		default:
			all = append(all, fmt.Sprintf("node %d knows formats up to %d (upgrade it)", m.ID, m.Formats.Newest))
		}
	}
	return strings.Join(all, "; ")
}

// FormatLine says how the format stands, in a sentence for people.
func (s *Status) FormatLine() string {
	switch {
	case s.FormatNext == 0:
		return fmt.Sprintf("format %d", s.Format)
	case len(s.FormatLacking) > 0:
		return fmt.Sprintf("format %d; %d when all nodes know it: %s", s.Format, s.FormatNext, s.lacking())
	}
	return fmt.Sprintf("format %d; all nodes know %d: chumi cluster finalize", s.Format, s.FormatNext)
}
