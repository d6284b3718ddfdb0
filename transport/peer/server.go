package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/chumiai/chumi/chat"
)

// The methods of the port.
const (
	service        = "chumi.peer.Port"
	methodRaft     = "/" + service + "/Raft"
	methodMail     = "/" + service + "/Mail"
	methodSnapshot = "/" + service + "/Snapshot"
)

const (
	// streamsMax is the streams of one connection; ours hold one each.
	streamsMax = 8
	// connAgeGrace is how long a stream may outlast its connection's age.
	connAgeGrace = time.Minute
	// windowMax is what one connection may have received and not yet given to a
	// handler. It is fixed: gRPC's own estimate goes up to 16 MiB.
	windowMax = 4 << 20
	// pingFloor is how often peers may ping; less than what ours do.
	pingFloor = 2 * time.Second
)

// newServer returns the gRPC server with the port's one service. Nothing of
// protoactor's own is registered on it, so its ListProcesses, which panics, is
// an unknown method here.
func (t *Transport) newServer() *grpc.Server {
	s := grpc.NewServer(
		grpc.Creds(&handshake{t: t}),
		grpc.ForceServerCodecV2(codec{}),
		grpc.StreamInterceptor(t.guarded),
		grpc.UnaryInterceptor(t.guardedCall),
		grpc.UnknownServiceHandler(t.unknownMethod),
		grpc.MaxRecvMsgSize(t.o.wireMax()), grpc.MaxSendMsgSize(HeaderMax),
		grpc.MaxHeaderListSize(16<<10), grpc.MaxConcurrentStreams(streamsMax),
		grpc.StaticStreamWindowSize(windowMax), grpc.StaticConnWindowSize(windowMax),
		grpc.ConnectionTimeout(t.o.DialTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: t.o.PingEvery, Timeout: t.o.PingTimeout,
			MaxConnectionAge: t.o.ConnAgeMax, MaxConnectionAgeGrace: connAgeGrace}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingFloor, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	stream := func(name string, serve func(*session) error) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, ClientStreams: true, ServerStreams: true,
			Handler: func(_ any, raw grpc.ServerStream) error {
				s, ok := raw.(*session)
				if !ok {
					return status.Error(codes.Internal, "the stream did not pass the guard")
				}
				return serve(s)
			}}
	}
	s.RegisterService(&grpc.ServiceDesc{ServiceName: service, Streams: []grpc.StreamDesc{
		stream("Raft", t.serveRaft), stream("Mail", t.serveMail), stream("Snapshot", t.serveSnapshot),
	}}, nil)
	return s
}

// session is an incoming stream of a proven peer.
type session struct {
	grpc.ServerStream
	node   chat.NodeID
	remote net.Addr
}

// hello tells the peer that the stream is admitted.
func (s *session) hello() error { return s.SendMsg(&packet{}) }

// receive returns the next packet of at most max bytes, which the caller frees.
// io.EOF means that the peer is done; a Refusal that it sent too much.
func (s *session) receive(max int) (*packet, error) {
	p := &packet{}
	if err := s.RecvMsg(p); err != nil {
		if status.Code(err) == codes.ResourceExhausted {
			return nil, refusal(ReasonOversized, "%s", status.Convert(err).Message())
		}
		return nil, err
	}
	if n := p.len(); n > max {
		p.free()
		return nil, refusal(ReasonOversized, "a frame of %d bytes, at most %d", n, max)
	}
	return p, nil
}

// guarded is around every stream: it knows the peer, and turns a panic and a
// refusal into the end of the stream, a log line and a count.
func (t *Transport) guarded(_ any, raw grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	node, remote, ok := provenOf(raw.Context())
	if !ok {
		return status.Error(codes.Unauthenticated, "the peer is not proven")
	}
	defer func() { err = t.answer(recover(), err, node, remote) }()
	if t.o.Admit != nil && !t.o.Admit(node) {
		return refusal(ReasonNotAdmitted, "node %d has a certificate but is not to be served", node)
	}
	if err := t.otherFormat(node, formatOf(raw.Context())); err != nil {
		return err
	}
	return handler(nil, &session{ServerStream: raw, node: node, remote: remote})
}

// guardedCall is the same around calls that are no streams. There are none
// today; it stands for the one that will be added.
func (t *Transport) guardedCall(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	node, remote, ok := provenOf(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "the peer is not proven")
	}
	defer func() { err = t.answer(recover(), err, node, remote) }()
	return handler(ctx, req)
}

// answer is the status a stream ends with.
func (t *Transport) answer(panicked any, err error, node chat.NodeID, remote net.Addr) error {
	if panicked != nil {
		t.o.Log.Error("a handler of the peer port panicked", "node", node, "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
		err = refusal(ReasonPanic, "the handler panicked")
	}
	reason := ReasonOf(err)
	if reason != "" {
		t.refused(err, remote, node)
	}
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return nil
	case reason == ReasonPanic:
		return status.Error(codes.Internal, err.Error())
	case reason == ReasonUnknownMethod:
		return status.Error(codes.Unimplemented, err.Error())
	case reason == ReasonNotAdmitted:
		return status.Error(codes.PermissionDenied, err.Error())
	case reason == ReasonFormat:
		return status.Error(codes.FailedPrecondition, err.Error())
	case reason == ReasonTooMany:
		return status.Error(codes.ResourceExhausted, err.Error())
	case reason != "":
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return err
}

// unknownMethod answers what is not registered: newer peers, and tools.
func (t *Transport) unknownMethod(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if len(method) > 100 {
		method = method[:100]
	}
	return refusal(ReasonUnknownMethod, "this node does not know %q", method)
}
