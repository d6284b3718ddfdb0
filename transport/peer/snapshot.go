package peer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/chumiai/chumi/chat"
)

// The packets of a snapshot's stream begin with one byte:
//
//	header  1 | the caller's bytes, at most HeaderMax      first, once
//	chunk   2 | at most ChunkMax bytes of the body
//	end     3 | length u64 | SHA-256 of the body            last, once
//
// As on every stream of the port the receiver begins with an empty packet. It
// answers with another one when its handler returned nil, and with a status
// otherwise.
const (
	snapshotHeader byte = 1
	snapshotChunk  byte = 2
	snapshotEnd    byte = 3
	endLen              = 1 + 8 + sha256.Size
)

// SendSnapshot streams header and body to a node and returns when the handler
// there has returned: nil means installed. It holds a chunk or two of the body
// in memory. It ends early when ctx does, when the receiver refuses, and when
// no chunk moves for StallTimeout; the installation itself is bounded by ctx
// alone, a receiver that died meanwhile is found by pings. body is not read
// after it returned.
//
// The error is of kind NotFound when the node is not known, Unavailable when it
// cannot be reached or stalls, Busy when it takes no more snapshots at once,
// Corrupt when what arrived is not what was sent, Other when its handler failed.
func (t *Transport) SendSnapshot(ctx context.Context, to chat.NodeID, header []byte, body io.Reader) (err error) {
	const op = "peer.SendSnapshot"
	r := t.roadTo(to)
	if r == nil {
		return chat.E(op, chat.KindNotFound, fmt.Sprintf("node %d is not a peer", to), nil)
	}
	if len(header) > HeaderMax {
		return chat.E(op, chat.KindInvalid, fmt.Sprintf("the header has %d bytes, at most %d", len(header), HeaderMax), nil)
	}
	defer func() { t.o.Metrics.Snapshots.WithLabelValues("out", result(err)).Inc() }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(errClosed) })()
	conn, stream, err := t.open(ctx, func() { cancel(errStalled) }, to, r.addr, methodSnapshot)
	if err != nil {
		return snapshotError(ctx, err)
	}
	defer conn.Close()
	sum, length := sha256.New(), uint64(0)
	watch := time.AfterFunc(t.o.StallTimeout, func() { cancel(errStalled) })
	defer watch.Stop()
	send := func(kind byte, data []byte) error {
		room := outgoing(len(data) + 1)
		if err := stream.SendMsg(seal(room, append(append(*room, kind), data...))); err != nil {
			return err
		}
		watch.Reset(t.o.StallTimeout)
		t.o.Metrics.Bytes.WithLabelValues("snapshot", "out").Add(float64(len(data)))
		return nil
	}
	// answered is what the receiver has to say to a stream that broke.
	answered := func(err error) error {
		if errors.Is(err, io.EOF) {
			err = stream.RecvMsg(&packet{})
		}
		return snapshotError(ctx, err)
	}
	if err := send(snapshotHeader, header); err != nil {
		return answered(err)
	}
	chunk := make([]byte, ChunkMax)
	for {
		n, readErr := io.ReadFull(body, chunk)
		if n > 0 {
			sum.Write(chunk[:n])
			length += uint64(n)
			if err := send(snapshotChunk, chunk[:n]); err != nil {
				return answered(err)
			}
		}
		if readErr == io.EOF || readErr == io.ErrUnexpectedEOF {
			break
		}
		if readErr != nil {
			return chat.E(op, chat.KindOther, "the snapshot could not be read", readErr)
		}
	}
	if err := send(snapshotEnd, sum.Sum(binary.BigEndian.AppendUint64(nil, length))); err != nil {
		return answered(err)
	}
	if err := stream.CloseSend(); err != nil {
		return answered(err)
	}
	watch.Stop()
	if err := stream.RecvMsg(&packet{}); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the receiver ended without an answer")
		}
		return snapshotError(ctx, err)
	}
	return nil
}

var (
	errStalled = errors.New("nothing moved for the stall time-out")
	errClosed  = errors.New("the port is closing")
)

// snapshotError gives a stream's error its kind.
func snapshotError(ctx context.Context, err error) error {
	const op = "peer.SendSnapshot"
	cause := context.Cause(ctx)
	switch code := status.Code(err); {
	case errors.Is(cause, errStalled) || errors.Is(cause, errClosed):
		return chat.E(op, chat.KindUnavailable, "the snapshot was given up", cause)
	case cause != nil:
		return chat.E(op, chat.KindOther, "the snapshot was cancelled", cause)
	case code == codes.ResourceExhausted:
		return chat.E(op, chat.KindBusy, "the node takes no more snapshots now", err)
	case code == codes.DataLoss:
		return chat.E(op, chat.KindCorrupt, "the snapshot arrived damaged", err)
	case code == codes.Aborted:
		return chat.E(op, chat.KindOther, "the node did not install the snapshot", err)
	case chat.KindOf(err) != chat.KindOther:
		return err
	default:
		return chat.E(op, chat.KindUnavailable, "the snapshot broke off", err)
	}
}
