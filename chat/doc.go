// Package chat is the vocabulary and the decision core of the engine. It has no
// I/O, no clock, no goroutine and no randomness: time and ids come in with the
// input, and everything the outside must do comes out as data.
//
//	Step(state, input) Decision   what follows from one fact
//	Apply(state, event)           how an event changes a conversation
//
// A [Decision] holds events (facts that become true), index rows and claims
// that belong to the same atomic unit, and effects. Events MUST be durable
// before effects run: the shell appends a [Commit] built from the decision,
// and only when that commit is answered Applied does it release the effects.
//
// Invariants. Each one is a test in this package and a check on stored data:
//
//	C1  A conversation's events are numbered gap-free from 1; only Apply of an
//	    event moves a conversation's state.
//	C2  Replaying a journal from the empty state reproduces its state exactly.
//	C3  Any duplication or reordering of deliveries of the same updates leads to
//	    the same set of messages and the same final status of each.
//	C4  A status only moves a message forward in the lattice of [Status];
//	    every distinct status is one event.
//	C5  Nothing is attempted that is not an outbox entry, and every outbox entry
//	    was created by a message_queued event of the same conversation.
//	C6  An attempt begins only with an attempt_started event.
//	C7  After handoff_taken no entry written by the assistant begins an attempt.
//	C8  At most one turn of a conversation runs; its answer is used at most once.
//	C9  A conversation that owes something (a turn, an attempt, a
//	    reconciliation, a deadline) has a due time; one that owes nothing has none.
//	C10 Each customer message ends in an answer, an apology or a handoff before
//	    the silence deadline of its tenant.
//	C11 Each file of a message is told of once: stored, or not to be had. Until
//	    then the conversation owes it.
//	C12 A tool call that has a result is never made again, and has one result.
//	C13 What is counted against a budget is what the calls of turns cost, and what
//	    is reserved for those under way.
package chat
