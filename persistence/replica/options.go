package replica

import (
	"log/slog"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// The defaults of Options.
const (
	// DefaultQueueLen bounds commits that wait for their pass: at the slowest disk
	// measured (25 ms per sync) the last one waits half a second.
	DefaultQueueLen = 4096
	// DefaultTick and DefaultElectionTicks make a group look for another leader
	// after one to two seconds of silence. A slow sync must not: the slowest one
	// measured took 129 ms.
	DefaultTick          = 100 * time.Millisecond
	DefaultElectionTicks = 10
	// DefaultLogLen is how many applied entries a group keeps for followers that
	// are behind; who is further behind gets a snapshot.
	DefaultLogLen = 20_000
)

// Options configure a Node. The zero value is a node alone.
type Options struct {
	// ID names this node within its cluster; 0 means 1.
	ID chat.NodeID
	// Voters are the members of the groups of a new store, by this node's choice;
	// empty means this node alone. A node that joins names others, not itself: it
	// has nothing until it is added and gets a snapshot. The same goes for one whose
	// disk was lost: as a voter it could vote twice. An existing store knows its
	// members.
	Voters []chat.NodeID
	// Transport carries messages to other nodes. Nil for a node alone.
	Transport Transport
	// Boot names this process among all that ever wrote to the cluster's logs.
	// 0 draws one.
	Boot uint64
	// QueueLen bounds the commits that wait; more are refused with KindBusy.
	QueueLen int
	// Tick is the length of Raft's unit of time, ElectionTicks how many of them a
	// silent leader is given.
	Tick          time.Duration
	ElectionTicks int
	// LogLen is how many applied entries a group keeps for followers.
	LogLen uint64
	// Logger receives what the node has to say; nil means slog.Default.
	Logger *slog.Logger
	// Metrics are the instruments; nil means unregistered ones.
	Metrics *metrics.Journal
}

// EnsureDefaults fills every unset field but Transport and Boot.
func (o *Options) EnsureDefaults() {
	if o.ID == 0 {
		o.ID = 1
	}
	if len(o.Voters) == 0 {
		o.Voters = []chat.NodeID{o.ID}
	}
	if o.QueueLen <= 0 {
		o.QueueLen = DefaultQueueLen
	}
	if o.Tick <= 0 {
		o.Tick = DefaultTick
	}
	if o.ElectionTicks <= 0 {
		o.ElectionTicks = DefaultElectionTicks
	}
	if o.LogLen == 0 {
		o.LogLen = DefaultLogLen
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = &metrics.New(nil).Journal
	}
}

// Validate reports the first option that cannot be used.
func (o *Options) Validate() error {
	const op = "replica.Options"
	seen := map[chat.NodeID]bool{}
	for _, v := range o.Voters {
		if v == 0 || seen[v] {
			return chat.E(op, chat.KindInvalid, "Voters are distinct and above 0", nil)
		}
		seen[v] = true
	}
	if o.Transport == nil && (len(o.Voters) != 1 || o.Voters[0] != o.ID) {
		return chat.E(op, chat.KindInvalid, "a node with others needs a Transport", nil)
	}
	return nil
}
