package replica_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/persistence/replica"
)

// The conformance suite on the leader of three. Closing its store is the loss of
// a leader; opening it again is a node that comes back and is made leader.
func TestStore_OfThreeNodes(t *testing.T) {
	place := func(t testing.TB) persistence.Options { return options(t, vfs.NewMem()) }
	persistencetest.TestOpened(t, place, func(t testing.TB) persistencetest.Opener {
		c := newCluster(t)
		return func(_ testing.TB, o persistence.Options) *persistence.Store {
			n := c.start(1, o.FS, replica.Options{Voters: three})
			for _, id := range three[1:] {
				if c.nodes[id] == nil {
					c.start(id, vfs.NewMem(), replica.Options{Voters: three})
				}
			}
			c.leadAll(n)
			return n.store
		}
	})
}
