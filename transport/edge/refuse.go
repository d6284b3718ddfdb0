package edge

import (
	"errors"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// lingerMax and lingerTime bound how much of a refused body is read and
	// thrown away. A client that is still writing would otherwise meet a reset
	// connection and never see the answer.
	lingerMax  = 16 << 20
	lingerTime = 2 * time.Second
	// lingerIdle ends the reading early, when the client has stopped writing.
	lingerIdle = 100 * time.Millisecond
)

// refuse answers a request that could not be read, and closes the connection
// afterwards.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	ctx.SetConnectionClose()
	status, reason := classify(err)
	s.metrics.Refused.WithLabelValues(s.name, reason).Inc()
	if status == fasthttp.StatusRequestEntityTooLarge || status == fasthttp.StatusRequestHeaderFieldsTooLarge {
		linger(ctx.Conn())
	}
	plain(ctx, status, fasthttp.StatusMessage(status))
}

func classify(err error) (status int, reason string) {
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return fasthttp.StatusRequestEntityTooLarge, "body_too_large"
	case errors.As(err, &small):
		return fasthttp.StatusRequestHeaderFieldsTooLarge, "header_too_large"
	case timeout(err):
		return fasthttp.StatusRequestTimeout, "timeout"
	}
	return fasthttp.StatusBadRequest, "malformed"
}

// expect answers "Expect: 100-continue" before the body is sent.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	if ctx.Request.Header.ContentLength() > s.bodyMost(&ctx.Request.Header) {
		s.metrics.Refused.WithLabelValues(s.name, "body_too_large").Inc()
		return fasthttp.StatusRequestEntityTooLarge
	}
	if compressed(&ctx.Request.Header) {
		s.metrics.Refused.WithLabelValues(s.name, "encoding").Inc()
		return fasthttp.StatusUnsupportedMediaType
	}
	return fasthttp.StatusContinue
}

// linger reads and drops what the client is still sending, within bounds.
func linger(c net.Conn) {
	if c == nil {
		return
	}
	end := time.Now().Add(lingerTime)
	var buf [8 << 10]byte
	for n := 0; n < lingerMax; {
		until := time.Now().Add(lingerIdle)
		if until.After(end) {
			until = end
		}
		if c.SetReadDeadline(until) != nil {
			return
		}
		k, err := c.Read(buf[:])
		n += k
		if err != nil {
			return
		}
	}
}
