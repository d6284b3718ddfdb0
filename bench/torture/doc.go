// Package torture kills the engine with SIGKILL, again and again, while
// simulated customers write and simulated Meta and model answer, and then
// compares what the simulators know with what the engine stored.
// `chumi torture` runs it.
//
// The engine is a child process and a black box. A [Book] collects three
// accounts of the same time: what was posted and acknowledged and what Graph
// accepted (the simulators' ledgers), what the engine exported after it
// stopped, and what its feed had shown while it ran. [Book.Audit] holds them
// against each other; every finding is a broken promise, with the number of
// chances beside it.
//
// A kill comes at a random moment, at a step seen from outside (a simulator has
// received or answered something), or at a step inside (a failpoint, in a child
// built with -tags torture). A kill counts only when at least one POST, turn or
// send was in flight.
//
// A run is a row of segments. Each begins with an empty store, kills a number
// of times, drains, and is audited; only audited segments count, and a run can
// be resumed between them.
//
// With Options.Nodes it tortures a cluster instead: three nodes in network
// namespaces of their own (package netns), behind a load balancer that sends
// every webhook to any of them, once. A deck drawn from the seed deals faults,
// see [FaultKinds]: one at a time, at times a second one on the same node or on
// none, with healthy time in between, so that a majority is always well; only
// [TwoDown] takes it away for some seconds. After each the cluster must become
// whole. The same accounts are compared, and more: a node that cannot commit is
// posted messages only it has seen and must not answer 200; clients write and
// read some conversations through any node, and Porcupine judges their histories
// (package linear); stopped nodes must hold the same events, one may only hold
// fewer; owners of earlier epochs must have been refused, or the run proved
// nothing about them; and after the kill of a leader it is measured when each of
// its groups takes writes again.
//
// With Options.CatchUp one node of the cluster misses more than the logs of the
// others keep, and is killed at the steps of taking in the snapshots it then needs
// ([failpoint.ClusterPoints]), again and again, before it may catch up.
//
// To show that the audit notices, [Plant] runs it against builds with known
// bugs; each must be found.
package torture
