package peer

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// buffers holds the bytes of frames. The tiers fit a handful of heartbeats, a
// mail batch or snapshot chunk, and a full Raft frame.
var buffers = mem.NewTieredBufferPool(4<<10, 64<<10, 260<<10, 1<<20+4<<10)

// packet is the one message type on the port's streams: bytes. gRPC frees an
// outgoing one when it is written; who receives one frees it.
type packet struct {
	data mem.BufferSlice
}

// outgoing returns an empty packet and room for n bytes to append to; seal makes
// the packet of what was appended.
func outgoing(n int) *[]byte {
	b := buffers.Get(n)
	*b = (*b)[:0]
	return b
}

func seal(room *[]byte, filled []byte) *packet {
	*room = filled
	return &packet{data: mem.BufferSlice{mem.NewBuffer(room, buffers)}}
}

// bytes are the packet's, in one piece, until free.
func (p *packet) bytes() []byte {
	switch len(p.data) {
	case 0:
		return nil
	case 1:
		return p.data[0].ReadOnlyData()
	}
	whole := p.data.MaterializeToBuffer(buffers)
	p.data.Free()
	p.data = mem.BufferSlice{whole}
	return whole.ReadOnlyData()
}

func (p *packet) len() int { return p.data.Len() }

func (p *packet) free() {
	p.data.Free()
	p.data = nil
}

// codec passes packets through. It is forced on both sides, so that nothing is
// looked up in gRPC's process-wide registry.
type codec struct{}

// Name is the content subtype.
func (codec) Name() string { return "chumi" }

// Marshal hands the packet's bytes to gRPC, which frees them.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	p, ok := v.(*packet)
	if !ok {
		return nil, fmt.Errorf("a %T is no packet", v)
	}
	out := p.data
	p.data = nil
	return out, nil
}

// Unmarshal keeps the received bytes.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	p, ok := v.(*packet)
	if !ok {
		return fmt.Errorf("a %T is no packet", v)
	}
	data.Ref()
	p.data = data
	return nil
}
