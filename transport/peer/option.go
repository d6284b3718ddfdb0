package peer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// The limits of the port. FrameMax and MessageMax are of Raft, MailMax is of
// mail; a node must accept what its peers of another version send, so lowering
// one is a change of the protocol.
const (
	// DefaultFrameMax is how much of the queue one frame gathers: large enough
	// to amortize a write, small enough to pass in a few milliseconds.
	DefaultFrameMax = 1 << 20
	// DefaultMessageMax is the largest single Raft message, which gets a frame of
	// its own: a group's largest append, with room.
	DefaultMessageMax = 64 << 20
	// DefaultMailMax is the largest frame of mail; media go by reference.
	DefaultMailMax = 256 << 10
	// ChunkMax is the largest piece of a snapshot.
	ChunkMax = 256 << 10
	// HeaderMax is the largest header of a snapshot.
	HeaderMax = 1 << 20
	// DefaultQueueBytes and DefaultQueueLen bound what waits for one node. Raft
	// resends what is dropped, and late messages are worth little.
	DefaultQueueBytes = 64 << 20
	DefaultQueueLen   = 16 << 10
	// DefaultInFlightMax is the requests to one node that may wait for answers.
	DefaultInFlightMax = 2000
	// DefaultSnapshotsMax is the snapshots received at once: each fills a disk.
	DefaultSnapshotsMax = 4
	// DefaultConnMax is the connections open at once, without those that carry
	// calls; a node needs three.
	DefaultConnMax = 256
	// DefaultCallsMax is the connections with calls that are served at once, and
	// those that are open to one node: a relayed event stream holds one for hours.
	DefaultCallsMax = 4096
	// DefaultCallBodyMax is the largest body of a call or of an answer that is not
	// streamed: what the API takes, with room.
	DefaultCallBodyMax = 8 << 20

	// DefaultStallTimeout is how long a snapshot may stand still, and one write of
	// a call.
	DefaultStallTimeout = 30 * time.Second
	// DefaultDialTimeout bounds connecting, handshake included, on either side.
	DefaultDialTimeout = 5 * time.Second
	// DefaultBackoffMin and DefaultBackoffMax bound the pause before another try.
	// The maximum stays below an election's time-out, so that a node that comes
	// back is not a further term away.
	DefaultBackoffMin = 50 * time.Millisecond
	DefaultBackoffMax = time.Second
	// DefaultPingEvery and DefaultPingTimeout find a connection that is dead
	// without being closed. gRPC does not ping more often than every 10 s.
	DefaultPingEvery   = 10 * time.Second
	DefaultPingTimeout = 5 * time.Second
	// DefaultConnAgeMax is how long a connection stands: after it, a peer whose
	// certificate has expired or whose authority was exchanged is out.
	DefaultConnAgeMax = 24 * time.Hour
	// DefaultLogEvery is the least time between two lines about the same refusal.
	DefaultLogEvery = 10 * time.Second
)

// Options describes the port of one node.
type Options struct {
	// Credentials prove this node and check others; required.
	Credentials *Credentials
	// Receive gets each frame of Raft messages in the order the node sent them,
	// on one goroutine per peer, and owns them. from is proven by the peer's
	// certificate and is the From of each message. While it blocks, that peer
	// waits, and then drops. Required.
	Receive func(from chat.NodeID, messages []GroupMessage)
	// Unreachable hears that messages to a node were lost: report it to the Raft
	// groups that replicate to it. It is called by one goroutine, never from
	// within Send, once for many losses. Can be nil.
	Unreachable func(node chat.NodeID)
	// Snapshot takes one snapshot and returns when it is installed, or why not;
	// the sender gets that answer. body yields io.EOF only when all of it has
	// arrived and its checksum is right: install nothing before. ctx ends with the
	// sender. Can be nil: then snapshots are refused.
	Snapshot func(ctx context.Context, from chat.NodeID, header []byte, body io.Reader) error
	// Calls answers one call of another node, whose number its certificate proves.
	// It is called by many goroutines. As ever with fasthttp, ctx is not used after
	// it returned. A body without a length is streamed piece by piece and may take
	// hours; when the port closes, the body's Close is called, from another
	// goroutine. A panic of Calls or of the body's Read is answered or ends the
	// connection; what runs on goroutines of its own, as a fasthttp.StreamWriter
	// does, must recover itself. Can be nil: then no calls are taken.
	Calls func(from chat.NodeID, ctx *fasthttp.RequestCtx)
	// OpenPaths are the paths of calls that a node may make which Admit says no
	// to, such as the one that asks to be admitted. Can be nil.
	OpenPaths []string
	// Admit is asked for each stream and call whether a proven node is served: a
	// node that was removed keeps its certificate. It must not block. Can be nil:
	// then each node of the cluster is.
	Admit func(node chat.NodeID) bool
	// Formats is what the build can write: a stream or a call of a node that has no
	// part in it is refused.
	Formats Formats
	// MailTypes are the full names of the protobuf messages that actors of
	// different nodes may send one another, in both directions. Each must be
	// registered in this binary, and none may be one of protoactor's own that
	// stop or watch an actor. Can be nil.
	MailTypes []string

	// The bounds; zero takes the default of the same name.
	FrameMax, MessageMax, MailMax int
	QueueBytes, QueueLen          int
	InFlightMax                   int
	SnapshotsMax                  int
	ConnMax                       int
	CallsMax, CallBodyMax         int
	StallTimeout, DialTimeout     time.Duration
	BackoffMin, BackoffMax        time.Duration
	PingEvery, PingTimeout        time.Duration
	ConnAgeMax, LogEvery          time.Duration

	// Dial opens connections; nil means TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Now is the clock of logs and backoff; nil means time.Now.
	Now func() time.Time
	// Jitter draws from [0, 1); nil means math/rand. It is called by many
	// goroutines.
	Jitter func() float64
	// Metrics and Log are required.
	Metrics *metrics.Peer
	Log     *slog.Logger
}

// EnsureDefaults fills what is zero.
func (o Options) EnsureDefaults() Options {
	or(&o.FrameMax, DefaultFrameMax)
	or(&o.MessageMax, DefaultMessageMax)
	or(&o.MailMax, DefaultMailMax)
	or(&o.QueueBytes, DefaultQueueBytes)
	or(&o.QueueLen, DefaultQueueLen)
	or(&o.InFlightMax, DefaultInFlightMax)
	or(&o.SnapshotsMax, DefaultSnapshotsMax)
	or(&o.ConnMax, DefaultConnMax)
	or(&o.CallsMax, DefaultCallsMax)
	or(&o.CallBodyMax, DefaultCallBodyMax)
	or(&o.StallTimeout, DefaultStallTimeout)
	or(&o.DialTimeout, DefaultDialTimeout)
	or(&o.BackoffMin, DefaultBackoffMin)
	or(&o.BackoffMax, DefaultBackoffMax)
	or(&o.PingEvery, DefaultPingEvery)
	or(&o.PingTimeout, DefaultPingTimeout)
	or(&o.ConnAgeMax, DefaultConnAgeMax)
	or(&o.LogEvery, DefaultLogEvery)
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	return o
}

func or[T comparable](field *T, fallback T) {
	var zero T
	if *field == zero {
		*field = fallback
	}
}

// Validate names the first option that is wrong. It wants the defaults filled.
func (o Options) Validate() error {
	const op = "peer.New"
	if o.Credentials == nil || o.Receive == nil || o.Metrics == nil || o.Log == nil {
		return chat.E(op, chat.KindInvalid, "Credentials, Receive, Metrics and Log are required", nil)
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"FrameMax", int64(o.FrameMax)}, {"MessageMax", int64(o.MessageMax)}, {"MailMax", int64(o.MailMax)},
		{"QueueBytes", int64(o.QueueBytes)}, {"QueueLen", int64(o.QueueLen)},
		{"InFlightMax", int64(o.InFlightMax)}, {"SnapshotsMax", int64(o.SnapshotsMax)}, {"ConnMax", int64(o.ConnMax)},
		{"CallsMax", int64(o.CallsMax)}, {"CallBodyMax", int64(o.CallBodyMax)},
		{"StallTimeout", int64(o.StallTimeout)}, {"DialTimeout", int64(o.DialTimeout)},
		{"BackoffMin", int64(o.BackoffMin)}, {"BackoffMax", int64(o.BackoffMax)},
		{"PingEvery", int64(o.PingEvery)}, {"PingTimeout", int64(o.PingTimeout)},
		{"ConnAgeMax", int64(o.ConnAgeMax)}, {"LogEvery", int64(o.LogEvery)},
	} {
		if f.value <= 0 {
			return chat.E(op, chat.KindInvalid, fmt.Sprintf("%s is %d, it must be positive", f.name, f.value), nil)
		}
	}
	if o.FrameMax > o.MessageMax || o.BackoffMin > o.BackoffMax {
		return chat.E(op, chat.KindInvalid, "FrameMax is at most MessageMax, BackoffMin at most BackoffMax", nil)
	}
	_, err := mailTypes(o.MailTypes)
	return err
}

// wireMax bounds any gRPC message of the port: a frame of one message.
func (o Options) wireMax() int {
	return max(o.MessageMax+frameHead+messageHead, o.MailMax, ChunkMax+1, HeaderMax+1)
}

// types maps the names of mail to what they are decoded as.
type types map[string]protoreflect.MessageType
