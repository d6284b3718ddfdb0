package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
	"google.golang.org/grpc/credentials"

	"github.com/chumiai/chumi/chat"
)

// RefusedHeader stands on each answer that the port gave in the handler's place,
// with the Reason: the handler did not run, or panicked.
const RefusedHeader = "Chumi-Peer-Refused"

const (
	// callHeaderMax is the largest header of a call and of its answer.
	callHeaderMax = 16 << 10
	// callReadTimeout is how long a call may take to arrive.
	callReadTimeout = 30 * time.Second
	// callIdleMax is how long a connection stands without a call. The caller gives
	// it up long before, so that it does not send into a closing one.
	callIdleMax = 90 * time.Second
	// lingerMax and lingerTime bound how much of a refused body is thrown away: a
	// caller that still writes into a closed connection never sees the answer.
	lingerMax  = 16 << 20
	lingerTime = 2 * time.Second
	// chunked is how fasthttp marks a body without a length.
	chunked = -1
)

// serverTLS is the configuration of one handshake of the listener. With no
// handler of calls, or no place for one more, a caller is told so before it has
// sent anything: the handshake fails.
func (t *Transport) serverTLS() *tls.Config {
	if t.o.Calls == nil {
		return t.o.Credentials.server(protoStreams)
	}
	cfg := t.o.Credentials.server(protoStreams, protoCalls)
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		calls := slices.Contains(hello.SupportedProtos, protoCalls) && !slices.Contains(hello.SupportedProtos, protoStreams)
		if calls && len(t.places) == cap(t.places) {
			return nil, t.crowded()
		}
		return nil, nil
	}
	return cfg
}

func (t *Transport) crowded() error {
	return refusal(ReasonTooMany, "%d connections with calls are open, no more are taken", cap(t.places))
}

// dispatch serves the calls of a connection that has shaken hands. It moves from
// the places of ConnMax to those of CallsMax, so that calls, however many, never
// keep Raft out. What it returns is for gRPC.
func (t *Transport) dispatch(raw net.Conn, conn *tls.Conn, node chat.NodeID) error {
	p, ok := raw.(*placed)
	if !ok {
		_ = raw.Close()
		return fmt.Errorf("a connection of type %T did not pass the listener", raw)
	}
	select {
	case t.places <- struct{}{}:
	default:
		err := t.crowded()
		t.refused(err, raw.RemoteAddr(), node)
		_ = raw.Close()
		return err
	}
	p.leave()
	_ = p.SetDeadline(time.Time{})
	p.stall = t.o.StallTimeout
	c := &callConn{Conn: conn, raw: p, node: node, opened: t.o.Now()}
	t.wg.Go(func() { t.serveConn(c) })
	return credentials.ErrConnDispatched
}

// callConn is a connection whose calls are served. It belongs to the goroutine
// that serves it.
type callConn struct {
	*tls.Conn
	raw    net.Conn
	node   chat.NodeID
	opened time.Time
	// forget ends the watch over the last body that was streamed; can be nil.
	forget func() bool
	linger bool
}

// Close closes the connection; after an answer to what was not read whole, when
// the caller has had time to read it.
func (c *callConn) Close() error {
	if c.linger && c.CloseWrite() == nil {
		_ = c.raw.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.raw, lingerMax)
		return c.raw.Close()
	}
	return c.Conn.Close()
}

// serveConn serves a connection until either side ends it, or it is too old.
func (t *Transport) serveConn(c *callConn) {
	defer func() { <-t.places }()
	defer func() {
		if p := recover(); p != nil {
			_ = t.panicked(p, c.raw.RemoteAddr(), c.node)
		}
		_ = c.raw.Close()
		if c.forget != nil {
			c.forget()
		}
	}()
	cut := func() { _ = c.raw.Close() }
	defer context.AfterFunc(t.ctx, cut)()
	defer time.AfterFunc(t.o.ConnAgeMax+connAgeGrace, cut).Stop()
	// How else it ended was answered, or is the caller's business.
	if p := (*fasthttp.ErrBodyStreamWritePanic)(nil); errors.As(t.calls.ServeConn(c), &p) {
		_ = t.panicked(p, c.raw.RemoteAddr(), c.node)
	}
}

func (t *Transport) newCallServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:            t.serveCall,
		ErrorHandler:       t.callRefused,
		Logger:             printf{t.o.Log},
		Concurrency:        t.o.CallsMax,
		ReadBufferSize:     callHeaderMax,
		MaxRequestBodySize: t.o.CallBodyMax,
		ReadTimeout:        callReadTimeout,
		IdleTimeout:        callIdleMax,

		// There is no WriteTimeout: it would cut streams. See steady.

		// An answer is relayed as the handler wrote it.
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		NoDefaultDate:                true,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
	}
}

// serveCall answers one call.
func (t *Transport) serveCall(ctx *fasthttp.RequestCtx) {
	c, ok := ctx.Conn().(*callConn)
	if !ok {
		ctx.SetStatusCode(fasthttp.StatusInternalServerError)
		return
	}
	if c.forget != nil {
		c.forget()
		c.forget = nil
	}
	outcome := "failed"
	defer func() { t.o.Metrics.Calls.WithLabelValues("in", outcome).Inc() }()
	if t.o.Now().Sub(c.opened) > t.o.ConnAgeMax {
		ctx.SetConnectionClose()
	}
	if t.o.Admit != nil && !slices.Contains(t.o.OpenPaths, string(ctx.Path())) && !t.o.Admit(c.node) {
		err := refusal(ReasonNotAdmitted, "node %d has a certificate but is not to be served", c.node)
		t.refused(err, ctx.RemoteAddr(), c.node)
		refuse(ctx, fasthttp.StatusForbidden, err)
		return
	}
	if err := t.otherFormat(c.node, string(ctx.Request.Header.Peek(formatHeader))); err != nil {
		t.refused(err, ctx.RemoteAddr(), c.node)
		refuse(ctx, fasthttp.StatusConflict, err)
		ctx.Response.Header.Set(formatHeader, t.format())
		return
	}
	defer func() {
		if p := recover(); p != nil {
			outcome = "failed"
			refuse(ctx, fasthttp.StatusInternalServerError, t.panicked(p, ctx.RemoteAddr(), c.node))
		}
	}()
	t.o.Calls(c.node, ctx)
	outcome = "ok"
	if body, ok := ctx.Response.BodyStream().(io.Closer); ok && ctx.Response.Header.ContentLength() == chunked {
		c.forget = context.AfterFunc(t.ctx, func() {
			// In this order: the end of the body would read like a whole answer.
			_ = c.raw.Close()
			_ = body.Close()
		})
	}
}

// panicked tells of a handler's panic.
func (t *Transport) panicked(p any, remote net.Addr, node chat.NodeID) error {
	t.o.Log.Error("a handler of the peer port panicked", "node", node, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	err := refusal(ReasonPanic, "the handler panicked")
	t.refused(err, remote, node)
	return err
}

// refuse answers in the handler's place, and ends the connection.
func refuse(ctx *fasthttp.RequestCtx, status int, err error) {
	ctx.Response.Reset()
	ctx.SetStatusCode(status)
	ctx.SetConnectionClose()
	ctx.Response.Header.Set(RefusedHeader, string(ReasonOf(err)))
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(err.Error())
}

// callRefused answers a call that could not be read. fasthttp closes the
// connection afterwards.
func (t *Transport) callRefused(ctx *fasthttp.RequestCtx, err error) {
	c, ok := ctx.Conn().(*callConn)
	var small *fasthttp.ErrSmallBuffer
	var op net.Error
	status := fasthttp.StatusBadRequest
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		status, err = fasthttp.StatusRequestEntityTooLarge, refusal(ReasonOversized, "a call with a body of more than %d bytes", t.o.CallBodyMax)
	case errors.As(err, &small):
		status, err = fasthttp.StatusRequestHeaderFieldsTooLarge, refusal(ReasonOversized, "a call with a header of more than %d bytes", callHeaderMax)
	case errors.As(err, &op) && op.Timeout():
		status, err = fasthttp.StatusRequestTimeout, refusal(ReasonMalformed, "a call that did not arrive in %s", callReadTimeout)
	case !ok || errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return // the caller went, nobody hears
	default:
		err = refusal(ReasonMalformed, "a call that is no HTTP request")
	}
	if !ok {
		return
	}
	c.linger = true
	t.o.Metrics.Calls.WithLabelValues("in", "failed").Inc()
	t.refused(err, ctx.RemoteAddr(), c.node)
	refuse(ctx, status, err)
}

// printf gives fasthttp's log lines to slog, at debug: what matters of them is
// logged as a refusal.
type printf struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (l printf) Printf(format string, args ...any) {
	l.log.Debug("http server of the peer port", "message", fmt.Sprintf(format, args...))
}
