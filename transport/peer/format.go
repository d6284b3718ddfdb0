package peer

import (
	"context"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"
	"google.golang.org/grpc/metadata"

	"github.com/chumiai/chumi/chat"
)

// Formats is what a build can write, as numbers of the caller's, and what is written
// now. A node must not replicate to one whose build cannot write what either of them
// does: to each other they are down, and Raft keeps its promise as with any node that
// is.
type Formats struct {
	// Oldest and Newest are the ends of the build's range; a Newest of 0 asks nothing
	// of other nodes.
	Oldest, Newest uint32
	// Active returns what this node writes now, between the two. It must not block.
	Active func() uint32
	// Beyond is told of an admitted node that writes what this build does not know:
	// this one has no place beside it any more. It must not block. Can be nil.
	Beyond func(node chat.NodeID, active uint32)
}

// formatHeader carries a node's Formats, of a stream as of a call, and of the answer
// that refuses one.
const formatHeader = "chumi-format"

// formatOf is what a stream's header says of them, "" for nothing.
func formatOf(ctx context.Context) string {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if list := md.Get(formatHeader); len(list) == 1 {
			return list[0]
		}
	}
	return ""
}

// withFormat says in a stream's header what this node writes.
func (t *Transport) withFormat(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, formatHeader, t.format())
}

// active is what this node writes now.
func (t *Transport) active() uint32 {
	if t.o.Formats.Active == nil {
		return t.o.Formats.Newest
	}
	return t.o.Formats.Active()
}

// format is the header's value: oldest-newest/active.
func (t *Transport) format() string {
	text := make([]byte, 0, len("4294967295")*3+2)
	text = append(strconv.AppendUint(text, uint64(t.o.Formats.Oldest), 10), '-')
	text = append(strconv.AppendUint(text, uint64(t.o.Formats.Newest), 10), '/')
	return string(strconv.AppendUint(text, uint64(t.active()), 10))
}

// otherFormat is the refusal of a node, nil for none: the newer of what the two write
// must be within the ranges of both. So both come to the same answer.
func (t *Transport) otherFormat(node chat.NodeID, has string) error {
	own := &t.o.Formats
	if own.Newest == 0 || has == t.format() {
		return nil
	}
	var oldest, newest, active uint32
	if n, err := fmt.Sscanf(has, "%d-%d/%d", &oldest, &newest, &active); n != 3 || err != nil {
		return refusal(ReasonFormat, "node %d does not say which formats its version can write: run the same version on both", node)
	}
	written := max(active, t.active())
	const remedy = ": run the version of the other nodes there, and see Upgrading in docs/operations.md"
	switch {
	case own.Newest < written:
		if own.Beyond != nil && (t.o.Admit == nil || t.o.Admit(node)) {
			own.Beyond(node, active)
		}
		return refusal(ReasonFormat, "node %d writes format %d, this one knows formats up to %d"+remedy, node, written, own.Newest)
	case newest < written:
		return refusal(ReasonFormat, "node %d knows formats up to %d, this one writes %d"+remedy, node, newest, written)
	case oldest > written || own.Oldest > written:
		return refusal(ReasonFormat, "node %d writes formats from %d to %d, this one from %d to %d, and now %d: go by a version that both know",
			node, oldest, newest, own.Oldest, own.Newest, t.active())
	}
	return nil
}

// heard looks at what a node that refuses a call says of itself.
func (t *Transport) heard(node chat.NodeID, resp *fasthttp.Response) {
	if Reason(resp.Header.Peek(RefusedHeader)) == ReasonFormat {
		_ = t.otherFormat(node, string(resp.Header.Peek(formatHeader)))
	}
}
