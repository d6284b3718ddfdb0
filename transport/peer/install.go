package peer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/chumiai/chumi/chat"
)

// serveSnapshot gives one incoming snapshot to the handler and its answer to the
// sender.
func (t *Transport) serveSnapshot(s *session) (err error) {
	if t.o.Snapshot == nil {
		return status.Error(codes.Unimplemented, "this node takes no snapshots")
	}
	select {
	case t.snapshots <- struct{}{}:
		defer func() { <-t.snapshots }()
	default:
		return refusal(ReasonTooMany, "%d snapshots are being received", cap(t.snapshots))
	}
	if err := s.hello(); err != nil {
		return err
	}
	defer func() { t.o.Metrics.Snapshots.WithLabelValues("in", result(err)).Inc() }()
	body := &body{ctx: s.Context(), stall: t.o.StallTimeout, next: make(chan piece), sum: sha256.New()}
	// A read from the stream cannot be given up, but by the end of this function.
	t.wg.Go(func() { body.pull(s) })
	header, err := body.header()
	if err != nil {
		return err
	}
	failed := t.o.Snapshot(s.Context(), s.node, header, &counting{body, t})
	switch {
	case body.failed != nil:
		// Whatever the handler made of it: what it has is not the snapshot.
		return body.failed
	case failed != nil:
		t.o.Log.Error("a snapshot was not installed", "node", s.node, "error", failed)
		return status.Error(codes.Aborted, clipped(failed.Error()))
	case !body.done:
		t.o.Log.Error("a snapshot was installed without being read to its end", "node", s.node)
		return status.Error(codes.Aborted, "the handler did not read the snapshot to its end")
	}
	return s.SendMsg(&packet{})
}

// piece is what one read from the stream gave.
type piece struct {
	p   *packet
	err error
}

// body reads a snapshot's chunks as one stream. All but pull belongs to the
// goroutine of the handler.
type body struct {
	ctx   context.Context
	stall time.Duration
	next  chan piece

	held   *packet // the chunk being read
	rest   []byte  // of it
	sum    hash.Hash
	length uint64
	done   bool  // the end has come and was right
	failed error // what the stream ends with otherwise
}

// pull reads ahead by one packet, until the stream ends.
func (b *body) pull(s *session) {
	for {
		p, err := s.receive(max(HeaderMax, ChunkMax) + 1)
		select {
		case b.next <- piece{p, err}:
		case <-b.ctx.Done():
			if p != nil {
				p.free()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// packet is the next of the stream: its kind and the rest, until it is freed.
func (b *body) packet() (*packet, byte, []byte, error) {
	timer := time.NewTimer(b.stall)
	defer timer.Stop()
	select {
	case n := <-b.next:
		if errors.Is(n.err, io.EOF) {
			return nil, 0, nil, status.Error(codes.DataLoss, "the snapshot ended before its end")
		}
		if n.err != nil {
			return nil, 0, nil, n.err
		}
		data := n.p.bytes()
		if len(data) == 0 {
			return nil, 0, nil, refusal(ReasonMalformed, "an empty packet in a snapshot")
		}
		return n.p, data[0], data[1:], nil
	case <-timer.C:
		return nil, 0, nil, status.Error(codes.Unavailable, "the snapshot stalled")
	case <-b.ctx.Done():
		return nil, 0, nil, b.ctx.Err()
	}
}

func (b *body) header() ([]byte, error) {
	p, kind, data, err := b.packet()
	if err != nil {
		return nil, err
	}
	defer p.free()
	if kind != snapshotHeader {
		return nil, refusal(ReasonMalformed, "a snapshot begins with packet kind %d", kind)
	}
	if len(data) > HeaderMax {
		return nil, refusal(ReasonOversized, "a snapshot's header of %d bytes", len(data))
	}
	return append([]byte(nil), data...), nil
}

// Read implements io.Reader. io.EOF means that all has arrived as it was sent.
func (b *body) Read(into []byte) (int, error) {
	if b.failed != nil {
		return 0, b.why()
	}
	for len(b.rest) == 0 {
		if b.done {
			return 0, io.EOF
		}
		if err := b.advance(); err != nil {
			b.failed = err
			return 0, b.why()
		}
	}
	n := copy(into, b.rest)
	b.rest = b.rest[n:]
	if len(b.rest) == 0 {
		b.held.free()
		b.held = nil
	}
	return n, nil
}

func (b *body) why() error {
	return chat.E("peer.Snapshot", chat.KindCorrupt, "the snapshot did not arrive whole; install nothing of it", b.failed)
}

// advance takes the next packet.
func (b *body) advance() error {
	p, kind, data, err := b.packet()
	if err != nil {
		return err
	}
	switch {
	case kind == snapshotChunk && len(data) > ChunkMax:
		p.free()
		return refusal(ReasonOversized, "a snapshot's chunk of %d bytes, at most %d", len(data), ChunkMax)
	case kind == snapshotChunk && len(data) > 0:
		b.sum.Write(data)
		b.length += uint64(len(data))
		b.held, b.rest = p, data
		return nil
	}
	defer p.free()
	if kind != snapshotEnd || len(data) != endLen-1 {
		return refusal(ReasonMalformed, "a packet of kind %d with %d bytes in a snapshot", kind, len(data))
	}
	if length := binary.BigEndian.Uint64(data); length != b.length || string(data[8:]) != string(b.sum.Sum(nil)) {
		return status.Error(codes.DataLoss, fmt.Sprintf("the snapshot has %d bytes, its end says %d, or their checksums differ", b.length, length))
	}
	b.done = true
	return nil
}

// counting counts what a handler reads.
type counting struct {
	*body
	t *Transport
}

// Read implements io.Reader.
func (c *counting) Read(into []byte) (int, error) {
	n, err := c.body.Read(into)
	c.t.o.Metrics.Bytes.WithLabelValues("snapshot", "in").Add(float64(n))
	return n, err
}
