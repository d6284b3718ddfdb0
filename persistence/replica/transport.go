package replica

import (
	"context"
	"io"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
)

// Message is a Raft message of one group. Its To and From are node ids.
type Message struct {
	Group chat.Group
	*raftpb.Message
}

// Transport carries messages to other nodes. Safe for concurrent use.
type Transport interface {
	// Send hands messages over and never waits. They may be lost, doubled and
	// overtaken; those to one node mostly arrive in order. The slice is the
	// caller's again when it returns.
	Send(messages []Message)
	// SendSnapshot streams a snapshot to a node and returns once that has
	// installed or refused it. It reads body no faster than the node takes it.
	SendSnapshot(ctx context.Context, to chat.NodeID, header []byte, body io.Reader) error
}

// nowhere is the transport of a node alone.
type nowhere struct{}

func (nowhere) Send([]Message) {}
func (nowhere) SendSnapshot(context.Context, chat.NodeID, []byte, io.Reader) error {
	return errSnapshot("this node knows no other")
}
