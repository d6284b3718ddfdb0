package peer

import (
	"context"
	"strconv"

	"google.golang.org/grpc/metadata"

	"github.com/chumiai/chumi/chat"
)

// Nodes that write different formats must not replicate to one another: what one of
// them stages, the other would take for damage or stage otherwise. To each other they
// are down, and Raft keeps its promise as with any node that is.

// formatHeader carries a node's format, of a stream as of a call.
const formatHeader = "chumi-format"

// withFormat says in a stream's header what this node writes.
func (t *Transport) withFormat(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, formatHeader, t.format())
}

func (t *Transport) format() string { return strconv.FormatUint(uint64(t.o.Format), 10) }

// formatOf is what a stream's header says of it, "" for nothing.
func formatOf(ctx context.Context) string {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if list := md.Get(formatHeader); len(list) == 1 {
			return list[0]
		}
	}
	return ""
}

// otherFormat is the refusal of a node that writes another format, nil for none.
func (t *Transport) otherFormat(node chat.NodeID, has string) error {
	if t.o.Format == 0 || has == t.format() {
		return nil
	}
	if len(has) > len("4294967295") || has == "" {
		has = "unknown"
	}
	return refusal(ReasonFormat, "node %d writes format %s, this one %s: run the same version on both", node, has, t.format())
}
