package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// joinRequest is what a node says of itself. Its number is in its certificate.
type joinRequest struct {
	// Addr is where other nodes reach it.
	Addr string `json:"addr"`
	// Store tells its disk from another, Cluster the cluster that disk has been in;
	// empty for none.
	Store   string `json:"store"`
	Cluster string `json:"cluster"`
	// Key is the fingerprint of its key-encryption key, Groups how many its store has.
	Key    string `json:"key"`
	Groups int    `json:"groups"`
	// Formats is what its build can write.
	Formats persistence.Formats `json:"formats"`
}

// joinAnswer lists the members by number.
type joinAnswer struct {
	Nodes []nodeAt `json:"nodes"`
}

type nodeAt struct {
	ID   chat.NodeID `json:"id"`
	Addr string      `json:"addr"`
}

// Pace of a node that asks to join.
const (
	joinPause   = 200 * time.Millisecond
	joinTimeout = 15 * time.Second
	joinTell    = 5 * time.Second
)

// join asks the seeds, in turn, until one lets this node in or says why not, or ctx
// ends. It returns the members.
func (n *Node) join(ctx context.Context, known persistence.Membership) (map[chat.NodeID]string, error) {
	s := n.opt.Store
	if known.Used && known.Cluster.ID == "" {
		return nil, chat.E("cluster.Join", chat.KindInvalid,
			"the data directory holds the data of a node that was alone: found a cluster with it, without --join, or join with an empty one", nil)
	}
	body, err := json.Marshal(joinRequest{Addr: n.opt.Advertise, Store: s.Identity(), Cluster: known.Cluster.Founding, Key: s.KeyFingerprint(), Groups: s.Groups(), Formats: s.Formats()})
	if err != nil {
		return nil, err
	}
	told := time.Time{}
	for i := 0; ; i++ {
		seed := n.opt.Seeds[i%len(n.opt.Seeds)]
		members, final, err := n.askToJoin(ctx, seed, body)
		if err == nil {
			return members, nil
		}
		if final {
			return nil, fmt.Errorf("the cluster at %s does not take node %d: %w", seed, n.self, err)
		}
		if time.Since(told) >= joinTell {
			told = time.Now()
			n.log.Info("asking to join the cluster", "seed", seed, "err", err)
		}
		select {
		case <-time.After(joinPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("no member of the cluster let node %d join; the last one asked was %s: %w", n.self, seed, err)
		}
	}
}

// rejoin asks on behalf of a node that is a member by what it knows. It must not
// wait for an answer: the cluster may have no majority without it. One that was
// removed and has not heard of it is a member again, with the disk it has kept.
func (n *Node) rejoin(known persistence.Membership) {
	if _, err := n.join(n.life, known); err != nil && n.life.Err() == nil {
		n.log.Error("this node is not taken back", "err", err)
	}
}

// askToJoin asks one seed. final means that asking again is of no use.
func (n *Node) askToJoin(ctx context.Context, seed string, body []byte) (members map[chat.NodeID]string, final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	prepare(req, fasthttp.MethodPost, pathJoin, body)
	if _, err := n.transport.CallAddr(ctx, seed, req, resp); err != nil {
		return nil, false, err
	}
	if status := resp.StatusCode(); status != fasthttp.StatusOK {
		return nil, status == fasthttp.StatusConflict, fmt.Errorf("%s", resp.Body())
	}
	var a joinAnswer
	if err := json.Unmarshal(resp.Body(), &a); err != nil {
		return nil, false, fmt.Errorf("its answer is unreadable: %w", err)
	}
	members = map[chat.NodeID]string{}
	for _, m := range a.Nodes {
		members[m.ID] = m.Addr
	}
	return members, false, nil
}

// serveJoin lets a node in, or says why not: a conflict is for good until an
// operator does what it says.
func (n *Node) serveJoin(from chat.NodeID, ctx *fasthttp.RequestCtx) {
	d, err := n.attended()
	if err != nil {
		refuse(ctx, fasthttp.StatusServiceUnavailable, err.Error())
		return
	}
	var r joinRequest
	if err := json.Unmarshal(ctx.PostBody(), &r); err != nil {
		refuse(ctx, fasthttp.StatusBadRequest, "the request is unreadable")
		return
	}
	wait, cancel := context.WithTimeout(n.life, answerTimeout)
	defer cancel()
	if err := n.Refresh(wait); err != nil {
		refuse(ctx, fasthttp.StatusServiceUnavailable, err.Error())
		return
	}
	if why := n.unfit(d, from, r); why != "" {
		n.log.Warn("a node was not let in", "node", from, "reason", why)
		refuse(ctx, fasthttp.StatusConflict, why)
		return
	}
	err = d.Change(wait, func(c *persistence.Change) error {
		// Here, so that no finalize comes between.
		if err := writes(c, from, r.Formats); err != nil {
			return err
		}
		if err := c.PutNode(persistence.Node{ID: from, Addr: r.Addr, Store: r.Store}); err != nil {
			return err
		}
		return n.place(c)
	})
	if err != nil {
		status := fasthttp.StatusServiceUnavailable
		if k := chat.KindOf(err); k == chat.KindInvalid {
			status = fasthttp.StatusConflict
		}
		refuse(ctx, status, err.Error())
		return
	}
	n.log.Info("a node joined", "node", from, "addr", r.Addr)
	var a joinAnswer
	for _, m := range d.Nodes() {
		a.Nodes = append(a.Nodes, nodeAt{m.ID, m.Addr})
	}
	answerJSON(ctx, a)
}

// unfit says why a node cannot be a member, "" for no reason.
func (n *Node) unfit(d *persistence.Directory, from chat.NodeID, r joinRequest) string {
	s := n.opt.Store
	known, _ := d.Cluster()
	old, member := d.Node(from)
	switch {
	case r.Key != s.KeyFingerprint():
		return fmt.Sprintf("its key-encryption key is %s, the cluster's is %s: copy the cluster's key file and name it with keys.file", r.Key, s.KeyFingerprint())
	case r.Groups != s.Groups():
		return fmt.Sprintf("its store has %d groups, the cluster %d: start it with an empty data directory", r.Groups, s.Groups())
	case r.Cluster != "" && r.Cluster != known.Founding:
		return "its data directory belongs to another cluster: move it away and start with an empty one"
	case member && old.Leaving:
		return fmt.Sprintf("node %d is being removed: start it again when chumi cluster status does not list it any more", from)
	case member && old.Store != r.Store:
		return fmt.Sprintf("node %d is a member with another disk: if that is lost, run chumi cluster remove --node %d first", from, from)
	}
	return ""
}

// place adds to a change what follows from its nodes.
func (n *Node) place(c *persistence.Change) error {
	return c.Place(replica.Plan(c.Nodes(), n.opt.Store.GroupIDs(), c.Placements()))
}

// enter puts this node into the directory: the founder with the cluster itself, a
// member whose address is another now.
func (n *Node) enter(ctx context.Context, d *persistence.Directory) error {
	return d.Change(ctx, func(c *persistence.Change) error {
		s := n.opt.Store
		_, founded := c.Cluster()
		if !founded {
			mark := make([]byte, 16)
			_, _ = rand.Read(mark)
			if err := c.PutCluster(persistence.Cluster{ID: n.opt.Credentials.Identity().Cluster, KEK: s.KeyFingerprint(),
				Groups: s.Groups(), Founding: hex.EncodeToString(mark)}); err != nil {
				return err
			}
		}
		self := persistence.Node{ID: n.self, Addr: n.opt.Advertise, Store: s.Identity()}
		switch old, member := c.Node(n.self); {
		case !member && founded:
			return chat.E("cluster.Attend", chat.KindConflict, fmt.Sprintf(
				"node %d is no member any more: start it with an empty data directory and --join", n.self), nil)
		case member && old.Store != self.Store:
			return chat.E("cluster.Attend", chat.KindConflict, fmt.Sprintf(
				"node %d is in the cluster with another disk: two nodes have the same number", n.self), nil)
		case member && (old.Addr == self.Addr || old.Leaving):
			return nil
		}
		if err := c.PutNode(self); err != nil {
			return err
		}
		return n.place(c)
	})
}
