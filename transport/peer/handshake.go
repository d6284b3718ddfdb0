package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/chumiai/chumi/chat"
)

// handshake is gRPC's view of Credentials: it sees the raw connection, so a
// refusal can name who was refused. On the listener's side node is 0 and
// protocol "": there the peer chooses.
type handshake struct {
	t        *Transport
	node     chat.NodeID
	protocol string
	// why is the refusal of the dialled peer, which gRPC would turn into text;
	// nil on the listener's side.
	why *atomic.Pointer[Refusal]
}

// proven is what a handshake found out.
type proven struct {
	credentials.TLSInfo
	node chat.NodeID
}

// ServerHandshake admits a peer that dialled us. One that wants to make calls is
// led past gRPC.
func (h *handshake) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn := tls.Server(raw, h.t.serverTLS())
	out, info, err := h.settle(context.Background(), raw, conn)
	if err == nil && conn.ConnectionState().NegotiatedProtocol == protoCalls {
		return nil, nil, h.t.dispatch(raw, conn, info.(proven).node)
	}
	return out, info, err
}

// ClientHandshake admits the peer that was dialled.
func (h *handshake) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn := tls.Client(raw, h.t.o.Credentials.client(h.node, h.protocol))
	return h.settle(ctx, raw, conn)
}

// settle runs the handshake. The listener's side is bounded by the deadline
// gRPC put on raw.
func (h *handshake) settle(ctx context.Context, raw net.Conn, conn *tls.Conn) (net.Conn, credentials.AuthInfo, error) {
	err := conn.HandshakeContext(ctx)
	state := conn.ConnectionState()
	if err == nil && state.NegotiatedProtocol == "" {
		err = errNoALPN
	}
	if err != nil {
		_ = raw.Close()
		// A connection that ends without a byte is a port check; one that ends
		// with its caller, or with the port, is our doing. Neither was refused.
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
			err = sorted(err)
			h.t.refused(err, raw.RemoteAddr(), 0)
			if r := (*Refusal)(nil); h.why != nil && errors.As(err, &r) {
				h.why.Store(r)
			}
		}
		return nil, nil, err
	}
	id, err := IdentityOf(state.PeerCertificates[0])
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return conn, proven{node: id.Node, TLSInfo: credentials.TLSInfo{
		State: state, CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}}, nil
}

// Info describes the protocol to gRPC.
func (h *handshake) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls", SecurityVersion: "1.3"}
}

// Clone returns a copy.
func (h *handshake) Clone() credentials.TransportCredentials {
	return &handshake{t: h.t, node: h.node, protocol: h.protocol, why: h.why}
}

// OverrideServerName does nothing: nodes are known by number.
func (h *handshake) OverrideServerName(string) error { return nil }

// ValidateAuthority accepts any authority: who the peer is was settled before.
func (proven) ValidateAuthority(string) error { return nil }

// provenOf is who is behind a stream, and from where.
func provenOf(ctx context.Context) (node chat.NodeID, remote net.Addr, ok bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return 0, nil, false
	}
	id, ok := p.AuthInfo.(proven)
	return id.node, p.Addr, ok && id.node != 0
}

// capped bounds the connections of a listener, those in handshake included. One
// too many is closed at once: what waits in the backlog would look like a
// network that is down.
type capped struct {
	net.Listener
	t    *Transport
	free chan struct{}
}

// Accept returns the next connection that has a place.
func (l *capped) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.free <- struct{}{}:
			return &placed{steady: steady{Conn: c}, leave: sync.OnceFunc(func() { <-l.free })}, nil
		default:
			l.t.refused(refusal(ReasonTooMany, "%d connections are open, no more are taken", cap(l.free)), c.RemoteAddr(), 0)
			_ = c.Close()
		}
	}
}

// placed gives its place back when it is closed.
type placed struct {
	steady
	leave func()
}

// SetDeadline is gRPC's: it clears the deadline of the handshake after the
// connection was led past it, when another is in force.
func (c *placed) SetDeadline(at time.Time) error {
	if c.stall > 0 {
		return nil
	}
	return c.Conn.SetDeadline(at)
}

// Close closes the connection, once or more.
func (c *placed) Close() error {
	c.leave()
	return c.Conn.Close()
}
