package replica

import "testing"

// What tests of the whole node need of the inside.

// Fault is a mistake that a test makes on purpose.
type Fault = fault

// The mistakes that a snapshot can suffer.
const (
	FaultSnapshotUnplaced = faultSnapshotUnplaced
	FaultLogKept          = faultLogKept
)

// Plant makes a running node do f.
func (n *Node) Plant(f Fault) {
	done := make(chan struct{})
	if n.do(func(c *core) { c.plant(f); close(done) }) {
		<-done
	}
}

// SmallTables makes snapshots arrive in tables of about size bytes during a test.
// REQUIRES: no node runs.
func SmallTables(t testing.TB, size uint64) {
	was := incomingTableSize
	incomingTableSize = size
	t.Cleanup(func() { incomingTableSize = was })
}
