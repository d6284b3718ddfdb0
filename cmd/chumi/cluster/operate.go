package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/edge"
)

// operateTimeout bounds one operation; what it begins goes on behind it.
const operateTimeout = answerTimeout

// Operate serves /cluster on the operator's listener: GET for the status, and POST
// to /cluster/add, remove, transfer, rebalance and finalize.
func (n *Node) Operate(ctx *fasthttp.RequestCtx) {
	wait, cancel := context.WithTimeout(n.life, operateTimeout)
	defer cancel()
	path := string(ctx.Path())
	if path == "/cluster" && ctx.IsGet() {
		s, err := n.Status(wait)
		if err != nil {
			refuse(ctx, fasthttp.StatusServiceUnavailable, err.Error())
			return
		}
		answerJSON(ctx, s)
		return
	}
	operation := map[string]func(context.Context, *fasthttp.Args) error{
		"/cluster/add": n.add, "/cluster/remove": n.remove, "/cluster/transfer": n.handOver, "/cluster/rebalance": n.rebalance, "/cluster/finalize": n.finalize,
	}[path]
	switch {
	case operation == nil:
		refuse(ctx, fasthttp.StatusNotFound, "there are /cluster and, to POST to, /cluster/add, remove, transfer, rebalance and finalize")
	case edge.Operates(ctx, "POST changes the cluster"):
		if err := operation(wait, ctx.QueryArgs()); err != nil {
			refuse(ctx, edge.OperatorStatus(err), err.Error())
		}
	}
}

// current is the directory as of now, not as of when this node last heard of it.
func (n *Node) current(ctx context.Context) (*persistence.Directory, error) {
	d, err := n.attended()
	if err != nil {
		return nil, err
	}
	return d, n.Refresh(ctx)
}

// add keeps a member that was leaving, and notes where it is now.
func (n *Node) add(ctx context.Context, args *fasthttp.Args) error {
	id, addr := nodeOf(string(args.Peek("node"))), string(args.Peek("addr"))
	if id == 0 || addr == "" {
		return chat.E("cluster.Add", chat.KindInvalid, "node and addr are required", nil)
	}
	d, err := n.current(ctx)
	if err != nil {
		return err
	}
	return d.Change(ctx, func(c *persistence.Change) error {
		m, member := c.Node(id)
		if !member {
			return chat.E("cluster.Add", chat.KindNotFound, fmt.Sprintf(
				"node %d has never joined: start it with --join and the address of any member", id), nil)
		}
		m.Addr, m.Leaving = addr, false
		if err := c.PutNode(m); err != nil {
			return err
		}
		return n.place(c)
	})
}

// remove begins the removal of a node: its groups move to others, then it is struck
// off. The node may be down.
func (n *Node) remove(ctx context.Context, args *fasthttp.Args) error {
	id := nodeOf(string(args.Peek("node")))
	d, err := n.current(ctx)
	if err != nil {
		return err
	}
	return d.Change(ctx, func(c *persistence.Change) error {
		m, ok := c.Node(id)
		if !ok {
			return chat.E("cluster.Remove", chat.KindNotFound, fmt.Sprintf("there is no node %d", id), nil)
		}
		stay := slices.DeleteFunc(slices.Clone(c.Nodes()), func(o persistence.Node) bool { return o.ID == id || o.Leaving })
		if len(stay) == 0 {
			return chat.E("cluster.Remove", chat.KindConflict, fmt.Sprintf("node %d is the last one that holds the data", id), nil)
		}
		m.Leaving = true
		if err := c.PutNode(m); err != nil {
			return err
		}
		return n.place(c)
	})
}

// handOver moves the leadership of one group.
func (n *Node) handOver(ctx context.Context, args *fasthttp.Args) error {
	g, ok := n.groupOf(string(args.Peek("group")))
	to := nodeOf(string(args.Peek("to")))
	if !ok || to == 0 {
		return chat.E("cluster.Transfer", chat.KindInvalid, "group and to are required", nil)
	}
	s, err := n.Status(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(s.Groups, func(state GroupState) bool { return state.Group == g })
	state := s.Groups[at]
	switch {
	case state.Leader == 0:
		return chat.E("cluster.Transfer", chat.KindUnavailable, "no node leads the group now", nil)
	case state.Leader == to:
		return nil
	case !slices.Contains(state.Voters, to):
		return chat.E("cluster.Transfer", chat.KindConflict, fmt.Sprintf("node %d has no vote in group %d", to, g), nil)
	}
	return n.transfer(ctx, state.Leader, g, to)
}

// rebalance plans the placement anew and spreads leadership.
func (n *Node) rebalance(ctx context.Context, _ *fasthttp.Args) error {
	d, err := n.current(ctx)
	if err != nil {
		return err
	}
	if err := d.Change(ctx, n.place); err != nil {
		return err
	}
	s, err := n.Status(ctx)
	if err != nil {
		return err
	}
	n.spread(ctx, d, s)
	return nil
}
