package cluster

import (
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/peer"
)

// The defaults of Options.
const (
	// DefaultTend is how often the leader of a group looks whether its members are
	// those the directory wants.
	DefaultTend = 500 * time.Millisecond
	// DefaultSpread is how often the leader of the metadata group looks whether
	// leadership is spread over the nodes.
	DefaultSpread = 10 * time.Second
	// callTimeout bounds one call to a node that shall be known to live.
	callTimeout = 2 * time.Second
)

// Options is what a Node needs. All but Seeds, Found, LogLen, KeepFormat, Beyond, Warnings,
// Tend and Spread are
// required.
type Options struct {
	// Credentials prove this node; its number is in its certificate.
	Credentials *peer.Credentials
	// Listener is the peer port, Advertise where other nodes reach it.
	Listener  net.Listener
	Advertise string
	// Seeds are peer addresses of members: a new store asks them to join. The node's
	// own address among them is passed over, so that all nodes can be given one list.
	Seeds []string
	// Found makes a new store the first of a new cluster. It is said once, by a
	// person: a member whose disk was lost must not found a second cluster beside
	// the one that still has its data.
	Found bool
	// Store is open and not served yet.
	Store   *persistence.Store
	Metrics *metrics.Set
	Log     *slog.Logger
	// LogLen is how many applied entries each group keeps for nodes that are
	// behind; 0 means the replica's default.
	LogLen uint64
	// KeepFormat lets a founder's store keep its format rather than have the newest that
	// this build knows.
	KeepFormat bool
	// Beyond is told when another member writes a format that this build does not know:
	// this node has no place among them and must end. It must not block, and may be told
	// again. Can be nil.
	Beyond func(error)
	// Warnings is what an operator should know of this node's configuration. Can be
	// nil.
	Warnings []string

	Tend, Spread time.Duration
}

// EnsureDefaults fills what is zero.
func (o *Options) EnsureDefaults() {
	o.Seeds = slices.DeleteFunc(slices.Clone(o.Seeds), func(addr string) bool { return addr == o.Advertise })
	if o.Tend <= 0 {
		o.Tend = DefaultTend
	}
	if o.Spread <= 0 {
		o.Spread = DefaultSpread
	}
}

// Validate names what is missing.
func (o *Options) Validate() error {
	if o.Credentials == nil || o.Listener == nil || o.Advertise == "" || o.Store == nil || o.Metrics == nil || o.Log == nil {
		return chat.E("cluster.Open", chat.KindInvalid, "Credentials, Listener, Advertise, Store, Metrics and Log are required", nil)
	}
	return nil
}
