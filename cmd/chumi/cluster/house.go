package cluster

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// lookEvery is how often a node asks the others who leads what, when there are
// groups it has no part in, and how often the leader of the metadata group looks
// after those that leave.
const lookEvery = time.Second

// keepHouse does what somebody must do now and then: it learns who leads the
// groups this node has no part in, gives up those it has no part in any more, and,
// where this node leads the metadata group, spreads leadership over the nodes and
// strikes off those that have left.
func (n *Node) keepHouse(d *persistence.Directory) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	spread := time.Now()
	for {
		select {
		case <-tick.C:
		case <-n.life.Done():
			return
		}
		chief := n.replica.Leader(persistence.MetaGroup) == n.self
		due := chief && (time.Since(spread) >= n.opt.Spread || anyLeaving(d))
		if !due && !n.strange(d) && !n.outstayed(d) {
			continue
		}
		reports := n.collect(n.life, d)
		s := n.gather(d, reports)
		n.hear(s)
		n.leave(d, reports)
		if !chief {
			continue
		}
		n.strikeOff(d, s, reports)
		if time.Since(spread) >= n.opt.Spread {
			spread = time.Now()
			n.spread(n.life, d, s)
		}
	}
}

// hear notes who leads what by the account of all who answered. Nobody is news too:
// what was told before would keep a node ready that reaches no leader.
func (n *Node) hear(s *Status) {
	for _, g := range s.Groups {
		if g.Leader != n.self {
			n.leaders.tell(g.Group, g.Leader)
		}
	}
}

// outstayed reports whether this node has part in a group that it shall not have.
func (n *Node) outstayed(d *persistence.Directory) bool {
	places := placesOf(d)
	for _, s := range n.replica.Status() {
		if p, planned := places[s.Group]; planned && !s.Left(n.self) && !p.Names(n.self) {
			return true
		}
	}
	return false
}

// leave gives up groups that this node shall not have and, as their leaders say, is
// no member of any more.
func (n *Node) leave(d *persistence.Directory, reports map[chat.NodeID]report) {
	places := placesOf(d)
	for from, report := range reports {
		for _, s := range report.Groups {
			p, planned := places[s.Group]
			if s.Leader != from || from == n.self || !planned || p.Names(n.self) {
				continue
			}
			if left, err := n.replica.Leave(s); err != nil {
				n.log.Error("a group was not left", "group", s.Group, "err", err)
			} else if left {
				n.log.Info("a group was left", "group", s.Group)
			}
		}
	}
}

// placesOf are the placements by group.
func placesOf(d *persistence.Directory) map[chat.Group]persistence.Placement {
	places := map[chat.Group]persistence.Placement{}
	for _, p := range d.Placements() {
		places[p.Group] = p
	}
	return places
}

func anyLeaving(d *persistence.Directory) bool {
	for _, m := range d.Nodes() {
		if m.Leaving {
			return true
		}
	}
	return false
}

// strange reports whether there are groups this node knows nothing of.
func (n *Node) strange(d *persistence.Directory) bool {
	for _, p := range d.Placements() {
		if n.ownLeader(p.Group) == 0 {
			return true
		}
	}
	return false
}

// strikeOff removes nodes from the directory that have left every group.
func (n *Node) strikeOff(d *persistence.Directory, s *Status, reports map[chat.NodeID]report) {
	for _, m := range d.Nodes() {
		if !m.Leaving || !leaves(s, reports, m.ID) {
			continue
		}
		ctx, cancel := context.WithTimeout(n.life, answerTimeout)
		err := d.Change(ctx, func(c *persistence.Change) error { return c.DropNode(m.ID) })
		cancel()
		if err != nil {
			n.log.Warn("a node that has left is still in the directory", "node", m.ID, "err", err)
			continue
		}
		n.log.Info("a node has left the cluster", "node", m.ID)
	}
}

// spread moves leadership until every live node leads about as much, as the
// placements allow: Raft ignores a move to a node that has no vote yet.
func (n *Node) spread(ctx context.Context, d *persistence.Directory, s *Status) {
	leading := map[chat.Group]chat.NodeID{}
	live := map[chat.NodeID]bool{}
	for _, m := range s.Nodes {
		live[m.ID] = m.Live && !m.Leaving
	}
	for _, g := range s.Groups {
		if g.Leader != 0 {
			leading[g.Group] = g.Leader
		}
	}
	for _, m := range replica.Spread(d.Placements(), leading, func(id chat.NodeID) bool { return live[id] }) {
		if err := n.transfer(ctx, m.From, m.Group, m.To); err != nil {
			n.log.Warn("a group's leadership was not moved", "group", m.Group, "to", m.To, "err", err)
		}
	}
}

// transfer has the leader of a group hand it to another node.
func (n *Node) transfer(ctx context.Context, leader chat.NodeID, g chat.Group, to chat.NodeID) error {
	if leader == n.self {
		n.replica.Transfer(g, to)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	status, text, err := n.call(ctx, leader, fasthttp.MethodPost, pathTransfer+groupWord(g)+"/"+nodeWord(to), nil)
	switch {
	case err != nil:
		return err
	case status != fasthttp.StatusOK:
		return chat.E("cluster.Transfer", chat.KindUnavailable, "the leader refused: "+string(text), nil)
	}
	return nil
}
