package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// slowShape is a way to occupy a connection. Each tick it writes what comes next.
type slowShape struct {
	name string
	// whole is written at once, when the connection is open.
	whole string
	// then is written a byte each tick, again from its beginning when it is over; empty
	// for a connection that says no more.
	then string
	// unread has it write whole each tick, and read no answer.
	unread bool
}

// slowBody is how long the bodies are said to be that come a byte at a time: as long as
// the edge takes them.
const slowBody = 4 << 20

// slowShapes lists them, for an app.
func slowShapes(app string) []slowShape {
	head := "POST /hooks/" + app + " HTTP/1.1\r\nHost: bench\r\n"
	return []slowShape{
		{name: "header a byte at a time", then: head + strings.Repeat("X-Slow: 1\r\n", 100)},
		{name: "body a byte at a time", whole: head + fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", slowBody), then: " "},
		{name: "nothing"},
		{name: "answers not read", whole: "GET /hooks/" + app + " HTTP/1.1\r\nHost: bench\r\n\r\n", unread: true},
	}
}

// What an attacker does: it writes every slowTick, and opens a connection anew slowRetry
// after it was cut or refused.
const (
	slowTick  = time.Second
	slowRetry = 2 * time.Second
	// slowDial bounds connecting: an attacker that cannot do that neither waits.
	slowDial = 5 * time.Second
)

// slowConns are the connections of an attack. Those of a shape are spread over all
// addresses.
type slowConns struct {
	addr   string
	tick   time.Duration
	retry  time.Duration
	shapes []slowShape
	seen   []slowSeen
	work   sync.WaitGroup
	cancel context.CancelFunc
}

// slowSeen is what the connections of one shape met.
type slowSeen struct {
	mu sync.Mutex // guards all below
	// opened were taken, of which cut were closed by the engine, after what held says.
	opened, cut int64
	held        *hdrhistogram.Histogram
	// answered are statuses that came with the end; refused those that say that there are
	// too many connections; failed were not even connected.
	answered, refused map[int]int64
	failed            int64
}

// startSlow opens n connections over a time and keeps so many open until stop, from
// addresses of this machine, so many from each.
func startSlow(ctx context.Context, addr string, tick, retry time.Duration, shapes []slowShape, n, perAddress int, over time.Duration) *slowConns {
	ctx, cancel := context.WithCancel(ctx)
	c := &slowConns{addr: addr, tick: tick, retry: retry, shapes: shapes, cancel: cancel, seen: make([]slowSeen, len(shapes))}
	for i := range c.seen {
		s := &c.seen[i]
		s.held, s.answered, s.refused = newHistogram(), map[int]int64{}, map[int]int64{}
	}
	for i := range n {
		at := i / perAddress
		from := net.IPv4(127, 0, byte(at/250), 1+byte(at%250))
		c.work.Go(func() {
			if pause(ctx, over*time.Duration(i)/time.Duration(n)) {
				c.occupy(ctx, i%len(c.shapes), &net.TCPAddr{IP: from})
			}
		})
	}
	return c
}

// stop closes every connection.
func (c *slowConns) stop() {
	c.cancel()
	c.work.Wait()
}

// pause waits and tells whether it was let to.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// occupy keeps one connection open, again and again.
func (c *slowConns) occupy(ctx context.Context, shape int, from *net.TCPAddr) {
	seen := &c.seen[shape]
	dialer := net.Dialer{LocalAddr: from, Timeout: slowDial}
	for ctx.Err() == nil {
		conn, err := dialer.DialContext(ctx, "tcp", c.addr)
		if err != nil {
			seen.mu.Lock()
			seen.failed++
			seen.mu.Unlock()
			pause(ctx, c.retry)
			continue
		}
		closed := context.AfterFunc(ctx, func() { _ = conn.Close() })
		began := time.Now()
		status := c.hold(conn, &c.shapes[shape])
		closed()
		_ = conn.Close()
		seen.note(ctx, status, time.Since(began))
		pause(ctx, c.retry)
	}
}

// note counts a connection that has ended; one that ended with the attack was not cut.
func (s *slowSeen) note(ctx context.Context, status int, held time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		s.refused[status]++
		return
	}
	s.opened++
	if ctx.Err() != nil {
		return
	}
	s.cut++
	record(s.held, held)
	if status != 0 {
		s.answered[status]++
	}
}

// hold keeps a connection as its shape says until it ends, and returns what it was
// answered, 0 when nothing.
func (c *slowConns) hold(conn net.Conn, shape *slowShape) (status int) {
	r := bufio.NewReaderSize(conn, 512)
	// What is refused mostly is so at once.
	if status, over := c.listen(conn, r); over {
		return status
	}
	if _, err := conn.Write([]byte(shape.whole)); err != nil {
		return 0
	}
	for i := 0; ; i++ {
		if shape.unread {
			time.Sleep(c.tick) // the pace of the attack; a connection that was closed shows it by a write
			if _, err := conn.Write([]byte(shape.whole)); err != nil {
				return 0
			}
			continue
		}
		if status, over := c.listen(conn, r); over {
			return status
		}
		if shape.then != "" {
			at := i % len(shape.then)
			if _, err := conn.Write([]byte(shape.then[at : at+1])); err != nil {
				return 0
			}
		}
	}
}

// listen reads for a tick, and tells whether the connection is over, and its answer.
func (c *slowConns) listen(conn net.Conn, r *bufio.Reader) (status int, over bool) {
	if conn.SetReadDeadline(time.Now().Add(c.tick)) != nil {
		return 0, true
	}
	if _, err := r.Peek(1); err != nil {
		var n net.Error
		return 0, !errors.As(err, &n) || !n.Timeout()
	}
	status, _, err := readResponse(r)
	if err != nil {
		status = 0
	}
	return status, true
}
