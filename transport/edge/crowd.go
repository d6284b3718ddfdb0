package edge

import (
	"container/list"
	"net"
	"sync"
	"time"
)

// crowd is the open connections of a listener, and decides which one makes room when
// there are as many as it may have. A listener that refused newcomers then could be
// occupied by anyone with patience: connections that send a byte a second, or nothing,
// and are opened again when ReadTimeout has cut them, would leave no place for Meta's.
//
// Whoever has waited longest goes: first those of which no request was ever answered
// well, from when they were opened, then the others, from their last answer. One whose
// request is being handled, or whose answer is being written, stays; so does one that has
// waited for less than graceTime, since it may have been unable to say anything yet. A
// request that arrives in one piece thus always finds a place, unless more connections
// come within graceTime than there may be.
//
// Safe for concurrent use.
type crowd struct {
	most int

	mu sync.Mutex // guards all below
	// conns are those that are open, leaving those among them that were told to go.
	conns   map[net.Conn]*guest
	leaving int
	// strangers were never answered well, known were; those that have waited longest are
	// in front, of whom some may be busy.
	strangers, known list.List
}

// guest is one connection.
type guest struct {
	conn net.Conn
	// in is its place in one of the lists, nil once it was told to go.
	in *list.Element
	// since is when it was opened, or was last answered well.
	since time.Time
	busy  bool
	// well tells that its last request was answered with no error.
	well  bool
	known bool
}

const (
	// graceTime is how long a connection has to get its request through, whatever
	// happens: some round trips to the other side of the world.
	graceTime = 500 * time.Millisecond
	// crowdSpare is the share of the places, one in so many, that are kept free for
	// connections that were told to go and are not gone yet.
	crowdSpare = 16
)

func newCrowd(connMax int) *crowd {
	return &crowd{most: connMax - max(1, connMax/crowdSpare), conns: map[net.Conn]*guest{}}
}

// opened adds a connection, and returns another one to be closed for it, or nil.
func (c *crowd) opened(conn net.Conn, now time.Time) (leave net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := &guest{conn: conn, since: now}
	g.in = c.strangers.PushBack(g)
	c.conns[conn] = g
	if len(c.conns)-c.leaving <= c.most {
		return nil
	}
	for _, l := range []*list.List{&c.strangers, &c.known} {
		for e := l.Front(); e != nil; e = e.Next() {
			g := e.Value.(*guest)
			if now.Sub(g.since) < graceTime {
				break // so have all behind it
			}
			if !g.busy {
				l.Remove(e)
				g.in = nil
				c.leaving++
				return g.conn
			}
		}
	}
	return nil
}

// active notes the first byte of a request. It counts for known connections only: a
// stranger's time began when it was opened.
func (c *crowd) active(conn net.Conn, now time.Time) {
	c.note(conn, func(g *guest) {
		if g.known && g.in != nil {
			g.since = now
			c.known.MoveToBack(g.in)
		}
	})
}

// begun notes that a request has arrived whole.
func (c *crowd) begun(conn net.Conn) { c.note(conn, func(g *guest) { g.busy = true }) }

// answering notes whether a request is answered with no error.
func (c *crowd) answering(conn net.Conn, well bool) { c.note(conn, func(g *guest) { g.well = well }) }

// idle notes that the answer is written.
func (c *crowd) idle(conn net.Conn, now time.Time) {
	c.note(conn, func(g *guest) {
		g.busy = false
		switch {
		case g.in == nil || !g.well:
		case g.known:
			g.since = now
			c.known.MoveToBack(g.in)
		default:
			c.strangers.Remove(g.in)
			g.since, g.known = now, true
			g.in = c.known.PushBack(g)
		}
	})
}

func (c *crowd) note(conn net.Conn, do func(*guest)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.conns[conn]; g != nil {
		do(g)
	}
}

// closed removes a connection, and tells whether it was there.
func (c *crowd) closed(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.conns[conn]
	switch {
	case g == nil:
		return false
	case g.in == nil:
		c.leaving--
	case g.known:
		c.known.Remove(g.in)
	default:
		c.strangers.Remove(g.in)
	}
	delete(c.conns, conn)
	return true
}

// cut closes every connection, and returns how many there were.
func (c *crowd) cut() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
	}
	return len(c.conns)
}
