package edge

import (
	"errors"
	"io"
	"sync"

	"github.com/valyala/fasthttp"
)

const (
	// bodyFirst is the first room for a body, which doubles as it is filled.
	bodyFirst = 16 << 10
	// bodyKept is the largest room that is used again.
	bodyKept = 256 << 10
)

var bodyRooms = sync.Pool{New: func() any { b := make([]byte, bodyFirst); return &b }}

// body reads what fasthttp has not: it takes the first kilobytes and leaves the rest to be
// read, so that a body takes memory as it arrives. Given the whole of it to read,
// fasthttp makes room for as much as Content-Length says, and a few hundred bytes of
// header take megabytes for as long as ReadTimeout lets them wait.
//
// It returns the room that is to be released when the request has been answered, nil for
// none, and an error that classify knows.
func (s *Server) body(ctx *fasthttp.RequestCtx) (room *[]byte, err error) {
	stream := ctx.RequestBodyStream()
	if stream == nil {
		return nil, nil
	}
	length, most := ctx.Request.Header.ContentLength(), s.bodyMost(&ctx.Request.Header)
	if length > most {
		return nil, fasthttp.ErrBodyTooLarge
	}
	room = bodyRooms.Get().(*[]byte)
	body, err := readBody(stream, (*room)[:cap(*room)], length, most)
	*room = body
	if err == nil {
		ctx.Request.SetBodyRaw(body)
	}
	return room, err
}

// release gives back what body returned. The request has no body afterwards.
func release(ctx *fasthttp.RequestCtx, room *[]byte) {
	ctx.Request.ResetBody()
	if room != nil && cap(*room) <= bodyKept {
		bodyRooms.Put(room)
	}
}

// bodyMost is how large the body of a request may be.
func (s *Server) bodyMost(h *fasthttp.RequestHeader) int {
	most := s.http.MaxRequestBodySize
	if s.bodyMax != nil {
		most = max(most, s.bodyMax(h).MaxRequestBodySize)
	}
	return most
}

// readBody reads a body of the given length, or one in chunks if that is negative, into
// b or what it must become.
func readBody(r io.Reader, b []byte, length, most int) ([]byte, error) {
	for n := 0; ; {
		k, err := r.Read(b[n:])
		if n += k; n > most {
			return b[:n], fasthttp.ErrBodyTooLarge
		}
		switch {
		case errors.Is(err, io.EOF) && length >= 0 && n < length:
			return b[:n], io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return b[:n], nil
		case err != nil:
			return b[:n], err
		}
		if n == len(b) {
			size := 2 * n
			if length > n {
				size = min(size, length)
			}
			b = append(make([]byte, 0, size), b...)[:size]
		}
	}
}
