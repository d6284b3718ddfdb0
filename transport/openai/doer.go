package openai

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/chumiai/chumi/chat"
)

// turnHeader names the turn a request belongs to, for the provider's logs and
// for whoever stands between.
const turnHeader = "X-Chumi-Turn"

// retryAfterMax caps the pause a provider may ask for.
const retryAfterMax = 10 * time.Minute

// exchange is what one call wants to say and know beside go-openai's types.
// It travels in the request's context and belongs to the calling goroutine.
type exchange struct {
	turn chat.TurnID
	// responses is true for the Responses API.
	responses bool
	// keep asks for the body as well, in raw.
	keep bool
	raw  []byte
	// status is of the response, 0 without one; retryAfter is its wish.
	status     int
	retryAfter time.Duration
	// firstAt is when the first piece of the answer came.
	firstAt time.Time
	// whole is true once a streamed answer is there, whatever is still to come.
	whole bool
}

type exchangeKey struct{}

// doer is go-openai's HTTP client: it names the turn, notes Retry-After, which
// go-openai's errors lose, refuses redirects, bounds the response and keeps its
// connection.
type doer struct {
	http        *http.Client
	responseMax int64
}

// Do implements go-openai's HTTPDoer.
func (d *doer) Do(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		x = &exchange{}
	}
	if x.turn != "" {
		req.Header.Set(turnHeader, string(x.turn))
	}
	ctx, end := context.WithCancelCause(context.WithoutCancel(req.Context()))
	loose := context.AfterFunc(req.Context(), func() { end(context.Cause(req.Context())) })
	resp, err := d.http.Do(req.WithContext(ctx))
	if err != nil {
		loose()
		end(nil)
		return nil, err
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: d.responseMax, x: x, stream: streamed(req), loose: loose, end: end}
	x.status = resp.StatusCode
	x.retryAfter = retryAfter(resp.Header.Get("Retry-After"))
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close()
		return nil, errRedirected
	}
	if x.keep {
		if x.raw, err = io.ReadAll(resp.Body); err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(x.raw))
	}
	if err := reframeWhole(req, resp, x.responses); err != nil {
		return nil, err
	}
	return resp, nil
}

func streamed(req *http.Request) bool { return req.Header.Get("Accept") == "text/event-stream" }

// retryAfter reads seconds or an HTTP date.
func retryAfter(header string) time.Duration {
	if header == "" {
		return 0
	}
	var d time.Duration
	if s, err := strconv.ParseFloat(header, 64); err == nil {
		if s >= retryAfterMax.Seconds() {
			return retryAfterMax
		}
		d = time.Duration(s * float64(time.Second))
	} else if at, err := http.ParseTime(header); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), retryAfterMax)
}

// How long and how much is read of a response whose answer is there: a stream ends with
// a few bytes.
const (
	restWait = time.Second
	restMax  = 4 << 10
)

// bounded is a body that fails once more than left bytes were read.
type bounded struct {
	io.ReadCloser
	left int64
	x    *exchange
	// stream is true of one that ends when the other side is done, ended once it has.
	stream, ended bool
	// loose keeps the end of the caller's context from ending the request, and is false
	// when it has; end ends it.
	loose func() bool
	end   context.CancelCauseFunc
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// Close implements io.Closer. A connection on which something is still to come cannot be
// used again, and providers end a stream in a packet of its own, behind what says that it
// is done: that is waited for, by nobody who needs the answer.
func (b *bounded) Close() error {
	if !b.loose() || b.ended || b.stream && !b.x.whole {
		defer b.end(nil)
		return b.ReadCloser.Close()
	}
	go func() {
		defer b.end(nil)
		late := time.AfterFunc(restWait, func() { b.end(nil) })
		defer late.Stop()
		_, _ = io.CopyN(io.Discard, b.ReadCloser, restMax)
		_ = b.ReadCloser.Close()
	}()
	return nil
}
