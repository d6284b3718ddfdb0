package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// The paths of calls between nodes.
const (
	pathJoin     = "/peer/join"
	pathStatus   = "/peer/status"
	pathPropose  = "/peer/propose/"
	pathDeliver  = "/peer/deliver/"
	pathTransfer = "/peer/transfer/"
)

// answerTimeout bounds what a call makes this node wait for.
const answerTimeout = 10 * time.Second

func groupWord(g chat.Group) string { return strconv.Itoa(int(g)) }

func nodeWord(id chat.NodeID) string { return strconv.FormatUint(uint64(id), 10) }

// nodeOf reads what nodeWord wrote; 0 for anything else.
func nodeOf(word string) chat.NodeID {
	id, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		return 0
	}
	return chat.NodeID(id)
}

// groupOf reads a group this cluster has.
func (n *Node) groupOf(word string) (chat.Group, bool) {
	id, err := strconv.ParseUint(word, 10, 16)
	if err != nil {
		return 0, false
	}
	for _, g := range n.opt.Store.GroupIDs() {
		if g == chat.Group(id) {
			return g, true
		}
	}
	return 0, false
}

// serveCall answers another node.
func (n *Node) serveCall(from chat.NodeID, ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	switch {
	case strings.HasPrefix(path, "/v1/"):
		n.serveRelayed(ctx)
	case path == pathJoin && ctx.IsPost():
		n.serveJoin(from, ctx)
	case path == pathStatus && ctx.IsGet():
		answerJSON(ctx, n.report())
	case strings.HasPrefix(path, pathPropose) && ctx.IsPost():
		n.servePropose(ctx, path[len(pathPropose):])
	case strings.HasPrefix(path, pathDeliver) && ctx.IsPost():
		n.serveDeliver(ctx, path[len(pathDeliver):])
	case strings.HasPrefix(path, pathTransfer) && ctx.IsPost():
		group, to, _ := strings.Cut(path[len(pathTransfer):], "/")
		n.serveTransfer(ctx, group, nodeOf(to))
	default:
		refuse(ctx, fasthttp.StatusNotFound, "this node's version knows no "+string(ctx.Method())+" "+path)
	}
}

func refuse(ctx *fasthttp.RequestCtx, status int, text string) {
	ctx.SetStatusCode(status)
	ctx.SetBodyString(text)
}

func answerJSON(ctx *fasthttp.RequestCtx, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		refuse(ctx, fasthttp.StatusInternalServerError, err.Error())
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(append(body, '\n'))
}

// notLeader sends the asker to whoever leads g.
func (n *Node) notLeader(ctx *fasthttp.RequestCtx, g chat.Group) {
	refuse(ctx, fasthttp.StatusMisdirectedRequest, nodeWord(n.leaders.known(g)))
}

// servePropose proposes a plain write of another node.
func (n *Node) servePropose(ctx *fasthttp.RequestCtx, group string) {
	g, ok := n.groupOf(group)
	var c recordpb.Commit
	if !ok || proto.Unmarshal(bytes.Clone(ctx.PostBody()), &c) != nil || c.GetEpoch() != 0 {
		refuse(ctx, fasthttp.StatusBadRequest, "not a plain write of a group of this cluster")
		return
	}
	if err := n.opt.Store.Understands(persistence.FormatOf(&c)); err != nil {
		refuse(ctx, fasthttp.StatusConflict, err.Error())
		return
	}
	if n.replica.Leader(g) != n.self {
		n.notLeader(ctx, g)
		return
	}
	wait, cancel := context.WithTimeout(n.life, answerTimeout)
	defer cancel()
	out, err := n.replica.Propose(wait, g, &c)
	switch {
	case err != nil || out.Answer == chat.Unknown:
		refuse(ctx, fasthttp.StatusServiceUnavailable, "the write may or may not become durable")
	case out.Answer == chat.StaleEpoch:
		n.notLeader(ctx, g)
	default:
		ctx.SetBody([]byte{byte(out.Answer)})
	}
}

// serveDeliver takes a delivery that no mail could hold.
func (n *Node) serveDeliver(ctx *fasthttp.RequestCtx, group string) {
	g, ok := n.groupOf(group)
	s := n.system.Load()
	if !ok || s == nil {
		refuse(ctx, fasthttp.StatusServiceUnavailable, "the actors of this node are not started")
		return
	}
	answer, err := s.Answer(n.life, g, bytes.Clone(ctx.PostBody()))
	if err != nil {
		refuse(ctx, fasthttp.StatusBadRequest, err.Error())
		return
	}
	ctx.SetBody(answer)
}

// serveTransfer hands a group over that this node leads.
func (n *Node) serveTransfer(ctx *fasthttp.RequestCtx, group string, to chat.NodeID) {
	g, ok := n.groupOf(group)
	if !ok || to == 0 {
		refuse(ctx, fasthttp.StatusBadRequest, "not a group of this cluster, or not a node")
		return
	}
	if n.replica.Leader(g) != n.self {
		n.notLeader(ctx, g)
		return
	}
	n.replica.Transfer(g, to)
}
