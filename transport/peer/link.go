package peer

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	"github.com/chumiai/chumi/chat"
)

// link carries one kind of traffic to one node: a bounded queue, and one
// goroutine that owns connection and stream and is the only writer. It connects
// when there is something to send. What cannot be sent is given to lost, and is
// not tried again: Raft and callers of actors have better things to repeat by
// then.
type link[T any] struct {
	// Immutable.
	t      *Transport
	node   chat.NodeID
	kind   string // of metrics: "raft", "mail"
	method string
	max    int // bytes gathered into one frame
	// every is the least time from one frame to the next: what comes meanwhile
	// shares one. A link that was idle for that long does not wait.
	every  time.Duration
	encode func(batch []T, size int) (*packet, error)
	lost   func(item T)
	queue  *queue[T]
	ctx    context.Context
	stop   context.CancelFunc
	moved  chan struct{}

	// mu guards what is below.
	mu   sync.Mutex
	addr string
	cut  context.CancelFunc // of the attempt or session under way; can be nil
}

// start runs the link.
func (l *link[T]) start() *link[T] {
	l.queue = newQueue[T](l.t.o.QueueLen, l.t.o.QueueBytes)
	l.moved = make(chan struct{}, 1)
	l.ctx, l.stop = context.WithCancel(l.t.ctx)
	l.t.wg.Go(l.run)
	return l
}

// end stops the link; what waits is lost. It does not wait.
func (l *link[T]) end() {
	l.queue.close()
	l.stop()
}

// move sends the link elsewhere, at once.
func (l *link[T]) move(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addr = addr
	if l.cut != nil {
		l.cut()
	}
	select {
	case l.moved <- struct{}{}:
	default:
	}
}

// put queues an item, or reports that it has no place.
func (l *link[T]) put(item T, size int) bool {
	if l.queue.put(item, size) {
		return true
	}
	l.t.o.Metrics.Dropped.WithLabelValues(l.kind, "overflow").Inc()
	return false
}

func (l *link[T]) run() {
	failures := 0
	var batch []T
	for {
		select {
		case <-l.ctx.Done():
			l.drop("closed", nil)
			return
		case <-l.queue.ready:
		}
		opened := l.t.o.Now()
		err := l.session(&batch)
		if l.ctx.Err() != nil {
			l.drop("closed", batch)
			return
		}
		l.drop("unreachable", batch)
		batch = batch[:0]
		// A peer that accepts and then breaks off is as much a failure as one
		// that does not answer, unless it did so after a while.
		if l.t.o.Now().Sub(opened) > l.t.o.BackoffMax {
			failures = 0
		}
		failures++
		l.complain(err, failures)
		l.t.unreachable(l.node)
		l.pause(failures)
	}
}

// session connects and sends until something breaks. batch then holds what may
// not have arrived.
func (l *link[T]) session(batch *[]T) error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	l.mu.Lock()
	addr := l.addr
	l.cut = cancel
	// A move before now is what addr holds.
	select {
	case <-l.moved:
	default:
	}
	l.mu.Unlock()

	conn, stream, err := l.t.open(ctx, cancel, l.node, addr, l.method)
	l.t.o.Metrics.Connects.WithLabelValues(l.kind, result(err)).Inc()
	if err != nil {
		return err
	}
	broken := make(chan error, 1)
	watched := make(chan struct{})
	// The peer says nothing on these streams but how they end.
	go func() {
		defer close(watched)
		var p packet
		err := stream.RecvMsg(&p)
		for ; err == nil; err = stream.RecvMsg(&p) {
			p.free()
		}
		broken <- err
	}()
	defer func() {
		cancel()
		_ = conn.Close()
		<-watched
	}()
	if _, ok := l.t.limit.allow("connected " + l.kind + " " + Address(l.node)); ok {
		l.t.o.Log.Info("connected to a peer", "node", l.node, "remote", addr, "kind", l.kind)
	}
	l.queue.wake()
	var sent time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			return err
		case <-l.queue.ready:
		}
		// Milliseconds: an end of the link can wait for them.
		time.Sleep(l.every - time.Since(sent))
		sent = time.Now()
		var size int
		if *batch, size = l.queue.take((*batch)[:0], l.max); len(*batch) == 0 {
			continue
		}
		p, err := l.encode(*batch, size)
		if err != nil {
			// What does not encode now never will; the rest goes on.
			l.t.o.Log.Error("a frame to a peer was not encoded", "node", l.node, "kind", l.kind, "error", err)
			l.drop("malformed", *batch)
			*batch = (*batch)[:0]
			continue
		}
		n := p.len()
		if err := stream.SendMsg(p); err != nil {
			// SendMsg only says EOF; the reason is with the reader.
			cancelAfter := time.AfterFunc(l.t.o.DialTimeout, cancel)
			err = errors.Join(err, <-broken)
			cancelAfter.Stop()
			return err
		}
		l.t.o.Metrics.Messages.WithLabelValues(l.kind, "out").Add(float64(len(*batch)))
		l.t.o.Metrics.Bytes.WithLabelValues(l.kind, "out").Add(float64(n))
		clear(*batch)
		*batch = (*batch)[:0]
	}
}

// drop gives batch and all that waits to lost.
func (l *link[T]) drop(reason string, batch []T) {
	all, _ := l.queue.take(append([]T(nil), batch...), 1<<62)
	for _, item := range all {
		if l.lost != nil {
			l.lost(item)
		}
	}
	l.t.o.Metrics.Dropped.WithLabelValues(l.kind, reason).Add(float64(len(all)))
}

// complain logs a failure, rarely. A refusal was logged where it happened.
func (l *link[T]) complain(err error, failures int) {
	if l.movedNow() || ReasonOf(err) != "" {
		return
	}
	if suppressed, ok := l.t.limit.allow("unreachable " + l.kind + " " + Address(l.node)); ok {
		l.mu.Lock()
		addr := l.addr
		l.mu.Unlock()
		l.t.o.Log.Warn("a peer is unreachable", "node", l.node, "remote", addr, "kind", l.kind,
			"failures", failures, "suppressed", suppressed, "error", err)
	}
}

func (l *link[T]) movedNow() bool {
	select {
	case <-l.moved:
		select {
		case l.moved <- struct{}{}: // pause wants it too
		default:
		}
		return true
	default:
		return false
	}
}

// pause waits before the next try: doubling, capped, with the upper half drawn
// so that nodes do not come back in step. A new address ends it.
func (l *link[T]) pause(failures int) {
	d := l.t.o.BackoffMin << min(failures-1, 20)
	if d > l.t.o.BackoffMax || d <= 0 {
		d = l.t.o.BackoffMax
	}
	d = d/2 + time.Duration(l.t.o.Jitter()*float64(d/2))
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.ctx.Done():
	case <-l.moved:
	case <-timer.C:
	}
}

func result(err error) string {
	if err != nil {
		return "failed"
	}
	return "ok"
}

// both is the shape of every stream: either side may speak.
var both = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// open dials a node and opens one stream, within DialTimeout; cancel must end
// ctx. The stream is open when the peer has said so with an empty packet: what
// is written before that is lost without a word when the peer refuses. Each
// stream has a connection of its own, which the caller closes.
func (t *Transport) open(ctx context.Context, cancel context.CancelFunc, node chat.NodeID, addr, method string) (*grpc.ClientConn, grpc.ClientStream, error) {
	const op = "peer.Dial"
	shaking := &handshake{t: t, node: node, protocol: protoStreams, why: &atomic.Pointer[Refusal]{}}
	conn, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(shaking),
		grpc.WithContextDialer(t.o.Dial),
		grpc.WithNoProxy(), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithIdleTimeout(0),
		// The pauses are the link's; gRPC tries once.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Hour, Multiplier: 1, MaxDelay: time.Hour}, MinConnectTimeout: t.o.DialTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: t.o.PingEvery, Timeout: t.o.PingTimeout, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(HeaderMax), grpc.MaxCallSendMsgSize(t.o.wireMax())))
	if err != nil {
		return nil, nil, chat.E(op, chat.KindInvalid, "the address is not one", err)
	}
	timer := time.AfterFunc(t.o.DialTimeout, cancel)
	stream, err := conn.NewStream(t.withFormat(ctx), both, method)
	if err == nil {
		hello := &packet{}
		if err = stream.RecvMsg(hello); errors.Is(err, io.EOF) {
			err = errors.New("the peer ended the stream")
		}
		hello.free()
	}
	if !timer.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		_ = conn.Close()
		if why := shaking.why.Load(); why != nil {
			err = why
		}
		return nil, nil, chat.E(op, chat.KindUnavailable, "no stream to the node", err)
	}
	return conn, stream, nil
}
