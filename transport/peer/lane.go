package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// lanesIdleMax is the connections to one node that are kept for later calls.
	lanesIdleMax = 64
	// laneIdleMax is how long one is kept: less than callIdleMax, see there.
	laneIdleMax = 30 * time.Second
	// laneReuseMax is how long one may have been idle and carry another call. After
	// that its end may be under way.
	laneReuseMax = laneIdleMax - time.Second
)

// lane is one connection for calls to one node, one call at a time. At any time
// one goroutine waits for the first byte that the node sends: while a call is
// under way that is its answer, and otherwise the end of the connection, which
// is so known before another call is sent into it.
//
// fasthttp.HostClient is not used: it neither ends a wait with a context nor
// tells whether a call that failed was sent, and its goroutines outlive it.
type lane struct {
	conn *tls.Conn
	raw  *steady
	node chat.NodeID // who the certificate says is there
	in   *bufio.Reader
	out  *bufio.Writer
	// first gets what waiting for the first byte gave, once per call.
	first chan error
	used  bool // carried a call before
	// idled is when its latest call ended.
	idled time.Time
	// unhook undoes that the lane is cut when the port closes.
	unhook func() bool
}

// cut ends the connection and all that waits for it.
func (l *lane) cut() { _ = l.raw.Close() }

// listen waits for the first byte.
func (l *lane) listen() error {
	_, err := l.in.Peek(1)
	return err
}

// dial connects to an address, where node must be, or any but us when it is 0.
func (t *Transport) dial(ctx context.Context, node chat.NodeID, addr string) (l *lane, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.o.DialTimeout)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	defer func() { t.o.Metrics.Connects.WithLabelValues("call", result(err)).Inc() }()
	conn, err := t.o.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	raw := &steady{Conn: conn, stall: t.o.StallTimeout}
	shaking := &handshake{t: t, node: node, protocol: protoCalls, why: &atomic.Pointer[Refusal]{}}
	secured, info, err := shaking.ClientHandshake(ctx, "", raw)
	if err != nil {
		return nil, err // settle closed it
	}
	who, _ := info.(proven)
	l = &lane{conn: secured.(*tls.Conn), raw: raw, node: who.node, first: make(chan error, 1),
		in: bufio.NewReaderSize(secured, callHeaderMax), out: bufio.NewWriter(secured)}
	l.unhook = context.AfterFunc(t.ctx, l.cut)
	return l, nil
}

// lanes are the connections for calls to one node at one address.
type lanes struct {
	// Immutable.
	t    *Transport
	node chat.NodeID
	addr string

	// mu guards what is below.
	mu    sync.Mutex
	idle  []*lane
	open  int // idle or not
	ended bool
}

func (t *Transport) newLanes(node chat.NodeID, addr string) *lanes {
	return &lanes{t: t, node: node, addr: addr}
}

// take returns a lane for one call; done takes it back. Nothing was sent when it
// fails.
func (p *lanes) take(ctx context.Context) (*lane, error) {
	p.mu.Lock()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		l := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if len(l.first) == 0 && time.Since(l.idled) < laneReuseMax {
			p.mu.Unlock()
			_ = l.conn.SetReadDeadline(time.Time{})
			return l, nil
		}
		p.closeLocked(l)
	}
	full := p.open >= p.t.o.CallsMax
	if !full {
		p.open++
	}
	p.mu.Unlock()
	if full {
		return nil, chat.E(opCall, chat.KindBusy, fmt.Sprintf("%d calls to node %d are under way", p.t.o.CallsMax, p.node), &unsent{})
	}
	l, err := p.t.dial(ctx, p.node, p.addr)
	if err != nil {
		p.mu.Lock()
		p.open--
		p.mu.Unlock()
		return nil, unreached(ctx, fmt.Sprintf("node %d at %s", p.node, p.addr), err)
	}
	go p.watch(l)
	return l, nil
}

// watch waits for the first byte. When it comes, or the end, while no call is
// under way, the lane is of no use any more.
func (p *lanes) watch(l *lane) {
	err := l.listen()
	p.mu.Lock()
	if i := slices.Index(p.idle, l); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		p.closeLocked(l)
	}
	p.mu.Unlock()
	l.first <- err
}

// done takes a lane back. It is kept when its call went well.
func (p *lanes) done(l *lane, well bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !well || p.ended || len(p.idle) >= lanesIdleMax || l.conn.SetReadDeadline(time.Now().Add(laneIdleMax)) != nil {
		p.closeLocked(l)
		return
	}
	l.used, l.idled = true, time.Now()
	p.idle = append(p.idle, l)
	go p.watch(l)
}

// closeLocked closes a lane. mu is held.
func (p *lanes) closeLocked(l *lane) {
	l.unhook()
	l.cut()
	p.open--
}

// end closes what is idle; the rest is closed when its call ends.
func (p *lanes) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, l := range p.idle {
		p.closeLocked(l)
	}
	p.idle = nil
}
