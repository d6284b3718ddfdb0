// Package failpoint names the steps of a message's life at which a torture
// build can kill its own process, and the bugs a planted build can switch on.
// In every other build both are constants the compiler removes. A torture build
// also takes an [Order] to spoil its disk and its clock; no other build can.
//
// It is the one package beside metrics that all wings may import; it imports
// nothing of the module.
package failpoint

// Point is a named step.
type Point string

// The points, in the order a message meets them.
const (
	WebhookVerified  Point = "webhook-verified"  // HMAC is right, nothing decoded
	WebhookDecoded   Point = "webhook-decoded"   // updates decoded, none delivered
	StepDecided      Point = "step-decided"      // Step ran, nothing appended
	CommitQueued     Point = "commit-queued"     // sealed and in the committer's queue
	BatchStaged      Point = "batch-staged"      // in a Pebble batch, not written
	BatchSynced      Point = "batch-synced"      // fsynced, nobody told
	CommitAnswered   Point = "commit-answered"   // the activation knows, effects not released
	EffectsReleased  Point = "effects-released"  // effects handed out, caller not answered
	WebhookAnswering Point = "webhook-answering" // durable, 200 not yet written
	AgendaFired      Point = "agenda-fired"      // a due row was read, no tick delivered
	TurnRequested    Point = "turn-requested"    // turn_started durable, model not called
	ModelAnswering   Point = "model-answering"   // model answered, result not mailed
	TurnRecorded     Point = "turn-recorded"     // answer and reply durable, sender not woken
	AttemptCommitted Point = "attempt-committed" // attempt_started durable, request not made
	SendAnswered     Point = "send-answered"     // Graph answered, result not mailed
	SendRecorded     Point = "send-recorded"     // outcome durable, sender not told
	StatusDecided    Point = "status-decided"    // a status changed the state, not appended
	APIAnswering     Point = "api-answering"     // an API write is durable, not answered
)

// Points lists every point in order.
func Points() []Point {
	return []Point{WebhookVerified, WebhookDecoded, StepDecided, CommitQueued, BatchStaged,
		BatchSynced, CommitAnswered, EffectsReleased, WebhookAnswering, AgendaFired,
		TurnRequested, ModelAnswering, TurnRecorded, AttemptCommitted, SendAnswered,
		SendRecorded, StatusDecided, APIAnswering}
}

// The points of tool calls, in order. Only an assistant with tools meets them.
const (
	ToolRequested Point = "tool-requested" // tool_started durable, tool not called
	ToolAnswering Point = "tool-answering" // tool answered, result not mailed
	ToolRecorded  Point = "tool-recorded"  // result durable, model not asked again
)

// ToolPoints lists those in order.
func ToolPoints() []Point { return []Point{ToolRequested, ToolAnswering, ToolRecorded} }

// The points of a node that is behind and takes in a snapshot, in order. Only a
// node of a cluster meets them.
const (
	SnapshotReceiving  Point = "snapshot-receiving"  // rows go into tables, none of which counts
	SnapshotReceived   Point = "snapshot-received"   // all tables are on the disk, Raft was not told
	SnapshotInstalling Point = "snapshot-installing" // Raft took it, which is durable; the tables are not in place
	SnapshotInstalled  Point = "snapshot-installed"  // they are, nobody was told
)

// ClusterPoints lists those in order. A single engine never reaches them.
func ClusterPoints() []Point {
	return []Point{SnapshotReceiving, SnapshotReceived, SnapshotInstalling, SnapshotInstalled}
}

// Bug is a known mistake that a planted build makes on purpose, to show that
// the torture run notices it.
type Bug string

// The bugs.
const (
	BugAckBeforeCommit     Bug = "ack-before-commit"     // 200 before the append is durable
	BugNoSync              Bug = "no-sync"               // commits are not fsynced
	BugSkipDedupe          Bug = "skip-dedupe"           // remote-id rows are not looked at
	BugEffectsFirst        Bug = "effects-first"         // effects run before the append
	BugRetryUnknown        Bug = "retry-unknown"         // ambiguous sends are repeated at once
	BugUnknownIsSent       Bug = "unknown-is-sent"       // ambiguous sends are taken for accepted
	BugForgetQueued        Bug = "forget-queued"         // recovery does not wake queued sends
	BugAnswerTwice         Bug = "answer-twice"          // a finished turn is answered again after a restart
	BugBodyAliased         Bug = "body-aliased"          // decoded strings alias a buffer that is used again
	BugBatchTailDropped    Bug = "batch-tail-dropped"    // only the first update of a POST is delivered
	BugFeedOffByOne        Bug = "feed-off-by-one"       // a feed reader skips an event at each page
	BugAttemptingIsQueued  Bug = "attempting-is-queued"  // recovery repeats attempts under way
	BugBatchReversed       Bug = "batch-reversed"        // updates of one POST are applied backwards
	BugDuplicateNotDurable Bug = "duplicate-not-durable" // a duplicate is answered before the original is durable
)

// The bugs of turns that call tools. Only an assistant with tools shows them.
const (
	BugForgetToolResult Bug = "forget-tool-result" // a result is thrown away and the tool called again
	BugRepeatActingTool Bug = "repeat-acting-tool" // a call that changes something is made again after a crash
	BugBudgetLeak       Bug = "budget-leak"        // what was reserved for a call that was lost is never given back
)

// The bugs that break a promise without a trace in any answer: only a look at what is
// stored shows them.
const (
	BugForgetDue      Bug = "forget-due"      // the agenda is not told what a conversation owes
	BugForgetAttempt  Bug = "forget-attempt"  // nobody asks what became of an attempt
	BugForgetDeadline Bug = "forget-deadline" // nobody is asked to take over at the silence deadline
)

// ToolBugs lists those of tools.
func ToolBugs() []Bug { return []Bug{BugForgetToolResult, BugRepeatActingTool, BugBudgetLeak} }

// Bugs lists every bug that a talk without tools shows.
func Bugs() []Bug {
	return []Bug{BugAckBeforeCommit, BugNoSync, BugSkipDedupe, BugEffectsFirst, BugRetryUnknown,
		BugUnknownIsSent, BugForgetQueued, BugAnswerTwice, BugBodyAliased, BugBatchTailDropped,
		BugFeedOffByOne, BugAttemptingIsQueued, BugBatchReversed, BugDuplicateNotDurable}
}
