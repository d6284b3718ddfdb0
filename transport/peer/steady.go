package peer

import (
	"net"
	"sync/atomic"
	"time"
)

// steady is a connection whose writes have a deadline each, so that a stream may
// stand for hours and a peer that does not read is found in StallTimeout. The
// reader needs no such thing: a peer that is gone is found by TCP's keepalive,
// which Go switches on.
type steady struct {
	net.Conn
	// stall is the time of one write; 0 leaves deadlines to others. It is not
	// changed once two goroutines have the connection.
	stall time.Duration
	// written counts the bytes that the network took.
	written atomic.Int64
}

// Write implements net.Conn.
func (c *steady) Write(b []byte) (int, error) {
	if c.stall > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}
