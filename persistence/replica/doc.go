// Package replica makes commits durable by consensus: every group of a store is
// a Raft group (go.etcd.io/raft), and a single node is a group of one voter that
// runs the same code.
//
// # From a commit to its answer
//
//	Propose ─▶ queue ─▶ entry ─▶ log of a majority ─▶ apply = Round.Stage ─▶ answer
//
// One goroutine owns every group's state machine and runs in passes. A pass takes
// what waits (proposals, messages, ticks, syncs that ended), lets the groups
// digest it, and ends in one flight: a batch that holds the log entries, hard
// states and applied state of all groups, synced once. Commits of one group that
// wait together share an entry. While a flight is on its way to the disk the next
// pass runs; the log is one and ordered, so a crash keeps a prefix.
//
// What rests on a flight's durability is told only after its sync: messages that
// promise an append or a vote, answers, positions, epochs. Other messages leave
// before it, so that followers sync while the leader does.
//
// # A group of one
//
// A sole voter without learners is its own majority. Its entries commit in the
// pass that proposes them, and the same batch that would hold the entry holds
// what it did; so the entry is not written, and the log is empty behind the
// applied index. The first other member makes the group write its log from there
// on, and gets what came before as a snapshot.
//
// # Changes of members
//
// A change counts from when it is applied, on each member for itself, and whoever
// it removes may have the longest log and refuse votes with it for ever. So the
// leader stays, one voter goes at a time, and while a leader's own knowledge of a
// change is on its way to the disk its messages wait for that. The same wait keeps
// what only a group of one knows from everybody else until it is durable.
//
// A node that joins, or whose disk was lost, has no log that could match: it gets
// a snapshot. It keeps its number only if every member has applied its removal
// before, and no message of its former life is still on its way.
//
// # Epochs
//
// The epoch of a group is the term of its leader. It is published once the
// leader's first entry of its own term is applied, and withdrawn with leadership.
// Every commit names the epoch it was made under; stage compares that with the
// term of the entry that carries it, on every replica, and refuses another.
// Activations of an earlier leader are fenced by that and by nothing else.
//
// # What must be deterministic
//
// stage and everything an entry leads to: no time, randomness or encryption. The
// pass itself is a function of its inputs (core); clocks, goroutines and sockets
// are in node and in the transport. The tests run clusters of cores on one
// goroutine: from a seed (simulator_test.go), with the activations and senders of
// package actors above them (simengine_test.go), or from a script (testdata).
package replica
