package cluster

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// forwardPause is between two tries to find the leader of a group.
const forwardPause = 25 * time.Millisecond

// forwarder takes the store's commits. Those of an activation are for this node's
// replica: who is not the leader must not act. Plain writes carry no epoch, so
// any leader may take them, and this node finds it.
//
// A plain write may be proposed twice when an answer is lost. Its fresh rows then
// exist, as they do when another node was first: those who make such writes take
// both for the same.
type forwarder struct{ node *Node }

// Propose implements persistence.Proposer.
func (f *forwarder) Propose(ctx context.Context, g chat.Group, c *recordpb.Commit) (persistence.Outcome, error) {
	n := f.node
	if c.GetEpoch() != 0 {
		return n.replica.Propose(ctx, g, c)
	}
	var body []byte
	for {
		leader := n.leaders.leader(g)
		switch leader {
		case n.self:
			out, err := n.replica.Propose(ctx, g, c)
			if err != nil || out.Answer != chat.StaleEpoch {
				return out, err
			}
		case 0:
		default:
			if body == nil {
				var err error
				if body, err = proto.Marshal(c); err != nil {
					return persistence.Outcome{}, chat.E("cluster.Propose", chat.KindOther, "a write cannot be encoded", err)
				}
			}
			if out, ok := f.ask(ctx, leader, g, body); ok {
				return out, nil
			}
		}
		select {
		case <-time.After(forwardPause):
		case <-ctx.Done():
			return persistence.Outcome{Answer: chat.Unknown}, nil
		}
	}
}

// ask has a node propose a plain write; false when another try is due.
func (f *forwarder) ask(ctx context.Context, node chat.NodeID, g chat.Group, body []byte) (persistence.Outcome, bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	status, text, err := f.node.call(ctx, node, fasthttp.MethodPost, pathPropose+groupWord(g), body)
	switch {
	case err != nil:
		f.node.leaders.misled(g, node, 0)
	case status == fasthttp.StatusOK && len(text) == 1:
		return persistence.Outcome{Answer: chat.CommitAnswer(text[0])}, true
	case status == fasthttp.StatusMisdirectedRequest:
		f.node.leaders.misled(g, node, nodeOf(string(text)))
	}
	return persistence.Outcome{}, false
}

// CutLog implements persistence.Proposer.
func (f *forwarder) CutLog(ctx context.Context, g chat.Group) error {
	return f.node.replica.CutLog(ctx, g)
}

// Close implements persistence.Proposer.
func (f *forwarder) Close() error { return f.node.replica.Close() }
