package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
)

const opCall = "peer.Call"

// answerGrace is how long a call that broke off waits for the answer which may
// explain it.
const answerGrace = time.Second

// Call sends a request to a node and returns when its answer is in resp: any
// status is an answer, those with RefusedHeader are the port's own. Connections
// are kept for later calls. Nothing is sent twice, but for a call no byte of
// which had left when a kept connection turned out to be dead.
//
// With resp.StreamBody set it returns when the answer's head has come; the
// caller reads the body and then calls resp.CloseBodyStream, which any goroutine
// may, also while one reads. ctx bounds all of it: when it ends, so do the wait
// and the body. A request without a host gets one, so req may change.
//
// The error is a *chat.Error. NotSent says whether the node surely did not
// execute the call: its kind is then Unavailable, or Busy when CallsMax of them
// are under way. Otherwise the node may have executed it, and the kind is
// Unknown.
func (t *Transport) Call(ctx context.Context, node chat.NodeID, req *fasthttp.Request, resp *fasthttp.Response) (err error) {
	defer func() { t.o.Metrics.Calls.WithLabelValues("out", result(err)).Inc() }()
	if err := t.ready(ctx); err != nil {
		return err
	}
	r := t.roadTo(node)
	if r == nil {
		return chat.E(opCall, chat.KindUnavailable, fmt.Sprintf("node %d is not a peer", node), &unsent{})
	}
	for {
		l, err := r.calls.take(ctx)
		if err != nil {
			return err
		}
		again := l.used && !req.IsBodyStream()
		req.Header.Set(formatHeader, t.format())
		if err = l.exchange(ctx, t.o.CallBodyMax, req, resp, r.calls.done); err == nil || !again || !NotSent(err) || ctx.Err() != nil {
			if err == nil {
				t.heard(node, resp)
			}
			return err
		}
	}
}

// CallAddr is Call to an address, when it is not known which node is there: any
// of the cluster may answer but this one. It returns who did. The connection is
// not kept.
func (t *Transport) CallAddr(ctx context.Context, addr string, req *fasthttp.Request, resp *fasthttp.Response) (node chat.NodeID, err error) {
	defer func() { t.o.Metrics.Calls.WithLabelValues("out", result(err)).Inc() }()
	if err := t.ready(ctx); err != nil {
		return 0, err
	}
	l, err := t.dial(ctx, 0, addr)
	if err != nil {
		return 0, unreached(ctx, "the node at "+addr, err)
	}
	go func() { l.first <- l.listen() }()
	req.Header.Set(formatHeader, t.format())
	err = l.exchange(ctx, t.o.CallBodyMax, req, resp, func(l *lane, _ bool) {
		l.unhook()
		l.cut()
	})
	if err == nil {
		t.heard(l.node, resp)
	}
	return l.node, err
}

// ready says why no call can be made.
func (t *Transport) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return unreached(ctx, "the node", ctx.Err())
	}
	if t.ctx.Err() != nil {
		return unreached(t.ctx, "the node", errClosed)
	}
	return nil
}

// unsent marks the error of a call of which nothing was sent.
type unsent struct{ err error }

// Error says why.
func (u *unsent) Error() string {
	if u.err == nil {
		return "nothing was sent"
	}
	return "nothing was sent: " + u.err.Error()
}

// Unwrap returns the cause.
func (u *unsent) Unwrap() error { return u.err }

// NotSent reports whether an error of Call or CallAddr means that the node did
// not execute the call and never will.
func NotSent(err error) bool {
	var u *unsent
	return errors.As(err, &u)
}

// unreached is the error of a call that did not get as far as a connection.
func unreached(ctx context.Context, who string, err error) error {
	if ctx.Err() != nil && ReasonOf(err) == "" {
		err = errors.Join(context.Cause(ctx), err)
	}
	return chat.E(opCall, chat.KindUnavailable, who+" cannot be reached", &unsent{err})
}

// exchange makes one call over a lane, which done gets in the end: at once, or
// when the streamed body is closed.
func (l *lane) exchange(ctx context.Context, bodyMax int, req *fasthttp.Request, resp *fasthttp.Response, done func(l *lane, well bool)) error {
	stop := context.AfterFunc(ctx, l.cut)
	fail := func(what string, err error, sent bool) error {
		stop()
		l.cut()
		done(l, false)
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		what = fmt.Sprintf("node %d %s", l.node, what)
		if !sent {
			return chat.E(opCall, chat.KindUnavailable, what, &unsent{err})
		}
		return chat.E(opCall, chat.KindUnknown, what, err)
	}
	if len(req.Header.Host()) == 0 && len(req.URI().Host()) == 0 {
		req.SetHost(Address(l.node))
	}
	before := l.raw.written.Load()
	err := req.Write(l.out)
	if err == nil {
		err = l.out.Flush()
	}
	if err != nil {
		if l.raw.written.Load() == before {
			return fail("was not called", err, false)
		}
		if broken := (*net.OpError)(nil); !errors.As(err, &broken) || broken.Timeout() {
			return fail("was not called to the end", err, true)
		}
		// A node that refuses a call does not read all of it; it says why.
		_ = l.conn.SetReadDeadline(time.Now().Add(answerGrace))
	}
	if first := <-l.first; first != nil {
		return fail("ended the connection before it answered", errors.Join(err, first), true)
	}
	stream := resp.StreamBody
	resp.Reset()
	resp.StreamBody, resp.SkipBody = stream, req.Header.IsHead()
	if stream && !resp.SkipBody {
		inner := fasthttp.AcquireResponse()
		inner.StreamBody = true
		if err := inner.Read(l.in); err != nil {
			fasthttp.ReleaseResponse(inner)
			return fail("sent no answer that can be read", err, true)
		}
		inner.Header.CopyTo(&resp.Header)
		if inner.IsBodyStream() {
			length := inner.Header.ContentLength()
			b := &answer{ctx: ctx, inner: inner, cut: l.cut}
			b.ended.Store(length == 0)
			closing := err != nil || req.ConnectionClose() || inner.ConnectionClose()
			b.done = func(well bool) { done(l, stop() && well && !closing && l.in.Buffered() == 0) }
			resp.SetBodyStream(b, max(length, chunked))
			return nil
		}
		fasthttp.ReleaseResponse(inner)
	} else if err := resp.ReadLimitBody(l.in, bodyMax); err != nil {
		return fail("sent no answer that can be read", err, true)
	}
	done(l, stop() && err == nil && !req.ConnectionClose() && !resp.ConnectionClose() && l.in.Buffered() == 0)
	return nil
}

// answer is the body of a streamed answer.
type answer struct {
	ctx   context.Context
	cut   func()
	done  func(well bool)
	ended atomic.Bool // read to its end
	once  sync.Once

	// mu is held while reading; inner is nil once closed.
	mu    sync.Mutex
	inner *fasthttp.Response
}

// Read implements io.Reader.
func (a *answer) Read(into []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inner == nil {
		return 0, net.ErrClosed
	}
	n, err := a.inner.BodyStream().Read(into)
	switch {
	case err == io.EOF:
		a.ended.Store(true)
	case err != nil && a.ctx.Err() != nil:
		err = errors.Join(context.Cause(a.ctx), err)
	}
	return n, err
}

// Close ends the body, read to its end or not. A Read under way returns.
func (a *answer) Close() error {
	a.once.Do(func() {
		ended := a.ended.Load()
		if !ended {
			a.cut()
		}
		a.mu.Lock()
		fasthttp.ReleaseResponse(a.inner)
		a.inner = nil
		a.mu.Unlock()
		a.done(ended)
	})
	return nil
}
