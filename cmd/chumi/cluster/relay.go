package cluster

import (
	"bufio"
	"context"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

// Home implements api.Home: it returns the node that answers for a tenant, 0 for
// this one, which then has applied all that was acknowledged anywhere before.
func (n *Node) Home(ctx context.Context, t chat.TenantID) (chat.NodeID, error) {
	g := n.opt.Store.Group(t)
	for {
		if n.opt.Store.Epoch(g) != 0 {
			return 0, n.replica.Barrier(ctx, g)
		}
		if leader := n.leaders.leader(g); leader != 0 && leader != n.self {
			return leader, nil
		}
		select {
		case <-time.After(forwardPause):
		case <-ctx.Done():
			return 0, chat.E("cluster.Home", chat.KindUnavailable, "no node is known to lead the tenant's group", context.Cause(ctx))
		}
	}
}

// Relay implements api.Home: it has a node answer a request and passes that on as
// it comes. again means that the node was the wrong one, or not reached, and did
// nothing.
func (n *Node) Relay(wait context.Context, node chat.NodeID, t chat.TenantID, ctx *fasthttp.RequestCtx) (again bool, err error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	ctx.Request.CopyTo(req)
	req.Header.SetHost("peer")
	resp.StreamBody = true
	// wait is for the answer to begin; a stream then lasts as long as both ends do.
	life, cancel := context.WithCancel(n.life)
	stop := context.AfterFunc(wait, cancel)
	err = n.transport.Call(life, node, req, resp)
	end := func() {
		_ = resp.CloseBodyStream()
		fasthttp.ReleaseResponse(resp)
		cancel()
	}
	if begun := stop(); err != nil || !begun {
		end()
		n.leaders.misled(n.opt.Store.Group(t), node, 0)
		if err == nil {
			err = context.Cause(wait)
		}
		return peer.NotSent(err) || ctx.IsGet(), chat.E("cluster.Relay", chat.KindUnknown, "the node that answers for the tenant broke off", err)
	}
	refused := string(resp.Header.Peek(peer.RefusedHeader))
	if resp.StatusCode() == fasthttp.StatusMisdirectedRequest || refused != "" && refused != string(peer.ReasonPanic) {
		n.leaders.misled(n.opt.Store.Group(t), node, nodeOf(string(resp.Body())))
		end()
		return true, chat.E("cluster.Relay", chat.KindFenced, "the node that was asked does not answer for the tenant", nil)
	}
	body := resp.BodyStream()
	if body == nil || resp.Header.ContentLength() >= 0 {
		defer end()
		var whole []byte
		if body == nil {
			whole = resp.Body()
		} else if whole, err = io.ReadAll(body); err != nil { // Body would hide the error
			return ctx.IsGet(), chat.E("cluster.Relay", chat.KindUnknown, "the node that answers for the tenant broke off", err)
		}
		resp.Header.CopyTo(&ctx.Response.Header)
		ctx.Response.SetBody(whole)
		return false, nil
	}
	resp.Header.CopyTo(&ctx.Response.Header)
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer end()
		pass(w, body)
	})
	return false, nil
}

// pass copies what comes, piece by piece, until either side ends.
func pass(w *bufio.Writer, body io.Reader) {
	buffer := make([]byte, 16<<10)
	for {
		count, err := body.Read(buffer)
		if count > 0 {
			if _, writeErr := w.Write(buffer[:count]); writeErr != nil || w.Flush() != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Refuse implements api.Home: it sends the asker of a relayed request elsewhere.
func (n *Node) Refuse(ctx *fasthttp.RequestCtx, t chat.TenantID) {
	n.notLeader(ctx, n.opt.Store.Group(t))
}

// serveRelayed answers a request of the API that another node relays.
func (n *Node) serveRelayed(ctx *fasthttp.RequestCtx) {
	api := n.api.Load()
	if api == nil {
		refuse(ctx, fasthttp.StatusMisdirectedRequest, "0")
		return
	}
	(*api)(ctx)
}
