package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/valyala/fasthttp"
)

// Options describes one listener.
type Options struct {
	// Name is a word for logs and metrics: "hooks", "api", "ops".
	Name string
	// Limits must all be positive.
	Limits Limits
	// Routes are tried by longest prefix.
	Routes []Route
	// BodyMax says from a request's header how large its body may be, in bytes, and
	// how long reading it may take; zeros mean the limits. Can be nil.
	BodyMax func(*fasthttp.RequestHeader) (size int, d time.Duration)
	// OnDrain is called once, when Drain begins: it ends streams, which would
	// otherwise hold the drain until its deadline. Can be nil.
	OnDrain func()
	// Metrics receives refusals and panics; required.
	Metrics *metrics.Edge
	// Log receives panics and listener errors; required.
	Log *slog.Logger
}

// Server is one listener. New builds it, Start serves, Drain ends it; a drained
// server cannot start again.
type Server struct {
	name    string
	routes  table
	onDrain func()
	metrics *metrics.Edge
	log     *slog.Logger
	http    *fasthttp.Server
	// bodyMax is nil when all bodies have one limit.
	bodyMax func(*fasthttp.RequestHeader) fasthttp.RequestConfig

	draining atomic.Bool
	served   chan error

	// crowd is the connections that are open now.
	crowd *crowd
}

// New returns a server that is not listening yet, or an error that names the
// option that is wrong.
func New(o Options) (*Server, error) {
	if err := o.Limits.Validate(); err != nil {
		return nil, err
	}
	if o.Name == "" || o.Metrics == nil || o.Log == nil || len(o.Routes) == 0 {
		return nil, chat.E("edge.New", chat.KindInvalid, "Name, Metrics, Log and Routes are required", nil)
	}
	routes, err := newTable(o.Routes)
	if err != nil {
		return nil, err
	}
	s := &Server{
		name:    o.Name,
		routes:  routes,
		onDrain: o.OnDrain,
		metrics: o.Metrics,
		log:     o.Log.With("listener", o.Name),
		served:  make(chan error, 1),
		crowd:   newCrowd(o.Limits.ConnMax),
	}
	if o.BodyMax != nil {
		s.bodyMax = func(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
			size, d := o.BodyMax(h)
			return fasthttp.RequestConfig{MaxRequestBodySize: size, ReadTimeout: d}
		}
	}
	s.http = &fasthttp.Server{
		HeaderReceived:     s.bodyMax,
		Handler:            s.serve,
		ErrorHandler:       s.refuse,
		ExpectHandler:      s.expect,
		ConnState:          s.connState,
		Logger:             printfLog{s.log},
		Concurrency:        o.Limits.ConnMax,
		ReadBufferSize:     o.Limits.HeaderMax,
		ReadTimeout:        o.Limits.ReadTimeout,
		WriteTimeout:       o.Limits.WriteTimeout,
		IdleTimeout:        o.Limits.IdleTimeout,
		MaxConnsPerIP:      o.Limits.ConnsPerIPMax,
		MaxRequestsPerConn: o.Limits.RequestsPerConnMax,
		MaxRequestBodySize: o.Limits.BodyMax,
		StreamRequestBody:  true, // but handlers see none: see body

		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
	}
	return s, nil
}

// Start serves ln until Drain; it returns at once. ln is closed by Drain.
// A listener that fails on its own is reported by Failed.
func (s *Server) Start(ln net.Listener) {
	go func() { s.served <- s.http.Serve(ln) }()
}

// Failed yields what Serve returned: nil after Drain, an error when the listener
// broke. Only one receiver gets it.
func (s *Server) Failed() <-chan error { return s.served }

// Draining reports whether Drain was called.
func (s *Server) Draining() bool { return s.draining.Load() }

// Drain stops accepting, ends streams and waits until every request that was
// being served is answered. When ctx ends first it closes what is left and
// returns ctx's error: nothing of the server runs after that but handlers that
// ignore their connection.
func (s *Server) Drain(ctx context.Context) error {
	if s.draining.Swap(true) {
		return nil
	}
	if s.onDrain != nil {
		s.onDrain()
	}
	err := s.http.ShutdownWithContext(ctx)
	if ctx.Err() == nil {
		return err
	}
	return chat.E("edge.Drain", chat.KindUnavailable,
		fmt.Sprintf("%d connections of %s were cut at the deadline", s.crowd.cut(), s.name), ctx.Err())
}

// serve is the fasthttp handler: it reads what is left of the body, refuses compressed bodies and requests a
// proxy in front may have cut elsewhere, routes, and turns a panic into a 500 instead of the end of the process.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	room, err := s.body(ctx)
	defer release(ctx, room)
	if err != nil {
		s.refuse(ctx, err)
		return
	}
	s.crowd.begun(ctx.Conn())
	defer func() { s.crowd.answering(ctx.Conn(), ctx.Response.StatusCode() < fasthttp.StatusBadRequest) }()
	defer s.recovered(ctx)
	if compressed(&ctx.Request.Header) {
		s.metrics.Refused.WithLabelValues(s.name, "encoding").Inc()
		plain(ctx, fasthttp.StatusUnsupportedMediaType, "compressed request bodies are not accepted")
		return
	}
	if ambiguous(&ctx.Request.Header) {
		s.metrics.Refused.WithLabelValues(s.name, "malformed").Inc()
		ctx.SetConnectionClose()
		plain(ctx, fasthttp.StatusBadRequest, fasthttp.StatusMessage(fasthttp.StatusBadRequest))
		return
	}
	if h := s.routes.find(ctx.Path()); h != nil {
		h(ctx)
		return
	}
	plain(ctx, fasthttp.StatusNotFound, "")
}

func (s *Server) recovered(ctx *fasthttp.RequestCtx) {
	if p := recover(); p != nil {
		s.metrics.HandlerPanics.WithLabelValues(s.name).Inc()
		s.log.Error("a request handler panicked", "method", string(ctx.Method()), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		ctx.Response.Reset()
		plain(ctx, fasthttp.StatusInternalServerError, "")
	}
}

func (s *Server) connState(c net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateNew:
		s.metrics.Connections.WithLabelValues(s.name).Inc()
		if leave := s.crowd.opened(c, time.Now()); leave != nil {
			s.metrics.Refused.WithLabelValues(s.name, "crowded").Inc()
			_ = leave.Close() // whoever serves it notices
		}
	case fasthttp.StateActive:
		s.crowd.active(c, time.Now())
	case fasthttp.StateIdle:
		s.crowd.idle(c, time.Now())
	case fasthttp.StateClosed, fasthttp.StateHijacked:
		if s.crowd.closed(c) {
			s.metrics.Connections.WithLabelValues(s.name).Dec()
		}
	}
}

// compressed reports a Content-Encoding other than identity.
func compressed(h *fasthttp.RequestHeader) bool {
	e := h.ContentEncoding()
	return len(e) > 0 && !strings.EqualFold(string(e), "identity")
}

// plain answers with a text body that may be empty.
func plain(ctx *fasthttp.RequestCtx, status int, text string) {
	ctx.SetStatusCode(status)
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(text)
}

// printfLog gives fasthttp's log lines to slog, at debug: they name client
// addresses, and any stranger can cause them. The counters tell how many.
type printfLog struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (l printfLog) Printf(format string, args ...any) {
	l.log.Debug("http server", "message", fmt.Sprintf(format, args...))
}

// timeout reports whether err is a deadline of the connection.
func timeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
