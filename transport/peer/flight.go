package peer

import (
	"sync"
	"sync/atomic"

	"github.com/chumiai/chumi/chat"
)

// flights counts the requests to each node that wait for an answer. The counts
// outlive SetPeers: who acquired will release.
type flights struct {
	nodes sync.Map // chat.NodeID -> *atomic.Int64
}

func (f *flights) of(node chat.NodeID) *atomic.Int64 {
	if n, ok := f.nodes.Load(node); ok {
		return n.(*atomic.Int64)
	}
	n, _ := f.nodes.LoadOrStore(node, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// Acquire takes a place for one request to a node's actors, or reports that
// Options.InFlightMax of them wait already: answer Busy then, mailboxes between
// nodes have no other bound that the sender sees. Each true wants one Release,
// when the answer is there or is no longer waited for.
func (t *Transport) Acquire(node chat.NodeID) bool {
	n := t.flights.of(node)
	if n.Add(1) > int64(t.o.InFlightMax) {
		n.Add(-1)
		t.o.Metrics.Dropped.WithLabelValues("mail", "in_flight").Inc()
		return false
	}
	t.o.Metrics.InFlight.Inc()
	return true
}

// Release gives a place back.
func (t *Transport) Release(node chat.NodeID) {
	t.flights.of(node).Add(-1)
	t.o.Metrics.InFlight.Dec()
}

// InFlight is the number of places taken for a node.
func (t *Transport) InFlight(node chat.NodeID) int { return int(t.flights.of(node).Load()) }
