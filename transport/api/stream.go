package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

const (
	// streamPage is how many events are read at once; at 1 KB each they are
	// what fasthttp's bounded reader holds.
	streamPage = 128
	// streamRetry is how long a browser waits before it connects again.
	streamRetry = 2 * time.Second
)

// stream is GET /v1/events as server-sent events: everything after a position,
// then what comes, until the client leaves or the node drains.
func (r *call) stream() *failure {
	from, fail := r.number("from", 0)
	if fail != nil {
		return fail
	}
	if last := r.ctx.Request.Header.Peek("Last-Event-ID"); len(last) > 0 {
		n, err := strconv.ParseUint(string(last), 10, 63)
		if err != nil {
			return invalid("parameter_invalid", "Last-Event-ID", "Last-Event-ID must be the id of an event of this stream.")
		}
		from = n
	}
	if r.ended.Load() {
		return &errDraining
	}
	if !r.streams.open(r.principal) {
		return &errStreams
	}
	r.streaming = true
	s := &stream{API: r.API, principal: r.principal, id: r.id, conn: r.ctx.Conn(), after: chat.Pos(from)}
	r.ctx.SetContentType("text/event-stream")
	// nginx would otherwise collect events until a buffer is full.
	r.ctx.Response.Header.Set("X-Accel-Buffering", "no")
	r.ctx.SetConnectionClose()
	r.opt.Metrics.Streams.Inc()
	r.ctx.Response.ImmediateHeaderFlush = true
	r.ctx.Response.SetBodyStream(fasthttp.NewBoundedStreamReader(s.run), -1)
	return nil
}

// stream is one open stream. It is owned by its goroutine, which outlives the
// handler: it holds the connection, to move its deadline, and nothing of the
// request.
type stream struct {
	*API
	principal chat.Principal
	id        string
	conn      net.Conn
	after     chat.Pos
	line      []byte
}

// run writes until the client is gone, the node drains or the feed fails. The
// client then connects again with Last-Event-ID, here or elsewhere.
func (s *stream) run(w *bufio.Writer) {
	defer s.opt.Metrics.Streams.Dec()
	defer s.streams.close(s.principal)
	defer func() {
		// A panic on this goroutine would end the process, not one request.
		if p := recover(); p != nil {
			s.log.Error("an event stream panicked", "request_id", s.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	_, _ = w.WriteString("retry: " + strconv.FormatInt(streamRetry.Milliseconds(), 10) + "\n: " + s.id + "\n\n")
	if s.flush(w) != nil {
		return
	}
	for s.live.Err() == nil {
		events, err := s.opt.Feed.Feed(s.live, s.principal.Tenant, s.after, streamPage)
		if err != nil {
			s.stopped(err)
			return
		}
		if len(events) > 0 {
			err = s.write(w, events)
		} else {
			err = s.wait(w)
		}
		if err != nil {
			return
		}
	}
}

// write sends events and moves on.
func (s *stream) write(w *bufio.Writer, events []chat.Event) error {
	for i := range events {
		e := &events[i]
		b := append(s.line[:0], "id: "...)
		b = strconv.AppendUint(b, uint64(e.Pos), 10)
		b = append(b, "\nevent: "...)
		b = append(b, e.Kind.String()...)
		b = append(b, "\ndata: "...)
		b = AppendEvent(b, e)
		b = append(b, "\n\n"...)
		s.line = b
		if _, err := w.Write(b); err != nil {
			return err
		}
		s.after = e.Pos
	}
	return s.flush(w)
}

// wait returns when there may be more, and sends a heartbeat when there was
// nothing for a while.
func (s *stream) wait(w *bufio.Writer) error {
	ctx, cancel := context.WithTimeout(s.live, s.opt.Heartbeat)
	defer cancel()
	err := s.opt.Feed.WaitFeed(ctx, s.principal.Tenant, s.after)
	switch {
	case err == nil:
		return nil
	case s.live.Err() != nil:
		return s.live.Err()
	case ctx.Err() == nil:
		s.stopped(err)
		return err
	}
	if _, err := w.WriteString(": alive\n\n"); err != nil {
		return err
	}
	return s.flush(w)
}

// flush hands what was written to the connection, which gets FlushTimeout for
// it: the listener's WriteTimeout would cut the stream.
func (s *stream) flush(w *bufio.Writer) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.opt.FlushTimeout)); err != nil {
		return err
	}
	return w.Flush()
}

func (s *stream) stopped(err error) {
	if s.live.Err() == nil && !errors.Is(err, context.Canceled) {
		s.log.Error("an event stream ended", "request_id", s.id, "err", err)
	}
}
