package cluster

import (
	"context"
	"errors"
	"io"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/transport/peer"
)

// wire is the replicas' transport: the peer port, in their words.
type wire struct{ node *Node }

// Send implements replica.Transport.
func (w wire) Send(messages []replica.Message) {
	for len(messages) > 0 {
		to, n := messages[0].GetTo(), 1
		for n < len(messages) && messages[n].GetTo() == to {
			n++
		}
		list := make([]peer.GroupMessage, n)
		for i, m := range messages[:n] {
			list[i] = peer.GroupMessage{Group: uint16(m.Group), Message: m.Message}
		}
		w.node.transport.Send(chat.NodeID(to), list)
		messages = messages[n:]
	}
}

// SendSnapshot implements replica.Transport.
func (w wire) SendSnapshot(ctx context.Context, to chat.NodeID, header []byte, body io.Reader) error {
	return w.node.transport.SendSnapshot(ctx, to, header, body)
}

// receive gives the replicas what a peer sent.
func (n *Node) receive(_ chat.NodeID, messages []peer.GroupMessage) {
	list := make([]replica.Message, len(messages))
	for i, m := range messages {
		list[i] = replica.Message{Group: chat.Group(m.Group), Message: m.Message}
	}
	n.replica.Receive(list)
}

func (n *Node) unreachable(node chat.NodeID) { n.replica.Unreachable(node) }

func (n *Node) snapshot(ctx context.Context, _ chat.NodeID, header []byte, body io.Reader) error {
	return n.replica.ReceiveSnapshot(ctx, header, body)
}

// Attach implements actors.Peers.
func (n *Node) Attach(system *actor.ActorSystem) { n.transport.Attach(system) }

// Address implements actors.Peers.
func (n *Node) Address(node chat.NodeID) string { return peer.Address(node) }

// Acquire implements actors.Peers.
func (n *Node) Acquire(node chat.NodeID) bool { return n.transport.Acquire(node) }

// Release implements actors.Peers.
func (n *Node) Release(node chat.NodeID) { n.transport.Release(node) }

// Call implements actors.Peers.
func (n *Node) Call(ctx context.Context, node chat.NodeID, g chat.Group, request []byte) ([]byte, error) {
	status, text, err := n.call(ctx, node, fasthttp.MethodPost, pathDeliver+groupWord(g), request)
	switch {
	case err != nil && peer.NotSent(err):
		return nil, chat.E("cluster.Call", chat.KindFenced, "the group's leader was not reached", err)
	case err != nil:
		return nil, chat.E("cluster.Call", chat.KindUnknown, "the group's leader did not answer", err)
	case status != fasthttp.StatusOK:
		return nil, chat.E("cluster.Call", chat.KindUnavailable, "the group's leader refused a delivery", errors.New(string(text)))
	}
	return text, nil
}

// call makes one request to a node and returns the answer's status and body.
func (n *Node) call(ctx context.Context, node chat.NodeID, method, path string, body []byte) (status int, text []byte, err error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	prepare(req, method, path, body)
	if err := n.transport.Call(ctx, node, req, resp); err != nil {
		return 0, nil, err
	}
	return resp.StatusCode(), append([]byte(nil), resp.Body()...), nil
}

// prepare fills a request to another node.
func prepare(req *fasthttp.Request, method, path string, body []byte) {
	req.Header.SetMethod(method)
	req.SetRequestURI(path)
	req.Header.SetHost("peer")
	req.SetBodyRaw(body)
}
