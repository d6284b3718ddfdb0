package replica_test

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence/replica"
)

// TestCluster_ShowsItsGroups looks at the instruments of three nodes: one leads every
// group; of another that is cut off the leader says that it is silent, and the one that is
// cut off that it knows of no leaders; both are over once the network is whole.
func TestCluster_ShowsItsGroups(t *testing.T) {
	c := newCluster(t)
	seen := map[chat.NodeID]*metrics.Raft{}
	all := []chat.NodeID{1, 2, 3}
	for _, id := range all {
		m := metrics.New(nil)
		seen[id] = &m.Journal.Raft
		c.start(id, vfs.NewMem(), replica.Options{Voters: slices.Clone(all), Metrics: &m.Journal})
	}
	leader := c.leader(0)
	c.leadAll(leader)
	groups := float64(len(leader.store.GroupIDs()))
	state := func(id chat.NodeID, word string) float64 {
		return testutil.ToFloat64(seen[id].Groups.WithLabelValues(word))
	}
	other := all[leader.id%3]
	whole := func() bool {
		return state(leader.id, "leading") == groups && state(other, "following") == groups && testutil.ToFloat64(seen[leader.id].Silent) == 0
	}
	c.eventually("the whole cluster is shown", whole)
	if testutil.ToFloat64(seen[leader.id].Changes) < groups || testutil.ToFloat64(seen[leader.id].Term) == 0 {
		t.Error("that it began to lead is not shown")
	}
	c.mu.Lock()
	c.cut[other] = true
	c.mu.Unlock()
	c.eventually("the cut is shown", func() bool {
		return testutil.ToFloat64(seen[leader.id].Silent) == groups && state(other, "leaderless") == groups
	})
	c.mu.Lock()
	c.cut[other] = false
	c.mu.Unlock()
	c.eventually("the end of the cut is shown", whole)
}
