package torture

import (
	"fmt"
	"slices"
	"strings"
)

// Rule names one promise the audit checks.
type Rule string

// The rules. Each breach is one finding.
const (
	Lost          Rule = "lost"              // acknowledged message not in the export
	Duplicated    Rule = "duplicated"        // message in the export more than once
	Reordered     Rule = "reordered"         // messages of a conversation out of order
	Altered       Rule = "altered"           // message stored with another text
	Foreign       Rule = "foreign"           // message stored with another tenant
	Invented      Rule = "invented"          // message stored that nobody posted
	Split         Rule = "split"             // one customer in two conversations
	Gap           Rule = "gap"               // seq of a conversation not 1, 2, 3, ...
	StatusLost    Rule = "status_lost"       // acknowledged status not in the export
	StatusTwice   Rule = "status_duplicated" // status in the export more than once
	RequestLost   Rule = "request_lost"      // acknowledged API send not in the export
	RequestTwice  Rule = "request_twice"     // API send with one key queued twice
	MissingSend   Rule = "missing_send"      // queued and never settled
	Claimed       Rule = "claimed"           // said to be accepted, but Graph never did
	SentCancelled Rule = "sent_cancelled"    // cancelled, but Graph accepted it
	Unqueued      Rule = "unqueued"          // Graph accepted what was never queued
	DoubleSend    Rule = "double_send"       // at_most_once send accepted more than once
	Hasty         Rule = "hasty_resend"      // ambiguous send repeated before reconciliation ended
	AnsweredTwice Rule = "answered_twice"    // two replies to the same message
	Unanswered    Rule = "unanswered"        // no reply, apology, person or handoff
	AfterTakeover Rule = "after_takeover"    // assistant message accepted during a takeover
	ToolTwice     Rule = "tool_twice"        // tool that must not be called twice was
	ToolAgain     Rule = "tool_again"        // tool called when its result was recorded
	ToolUnasked   Rule = "tool_unasked"      // tool called for what no turn began
	ToolOpen      Rule = "tool_open"         // call begun, and no result in the end
	FeedMissed    Rule = "feed_missed"       // exported event the feed did not show
	FeedUndurable Rule = "feed_undurable"    // event the feed showed that is not exported
	CheckFailed   Rule = "check_failed"      // the engine's own check found something
	NotReady      Rule = "not_ready"         // the engine did not start again
	UncleanExit   Rule = "unclean_exit"      // SIGTERM did not end it cleanly
	NeverDrained  Rule = "never_drained"     // owed work was left after the drain
	MinorityAcked Rule = "minority_acked"    // node that cannot commit answered 200
	NotLinear     Rule = "not_linear"        // no order explains a history of clients
	Undecided     Rule = "undecided"         // Porcupine did not find out in time
	Diverged      Rule = "diverged"          // nodes hold different events
	Forgotten     Rule = "forgotten"         // the API showed what no node holds
	Unhealed      Rule = "unhealed"          // the cluster was not whole again in time
	Unwritable    Rule = "unwritable"        // a group was not written to again after its leader was killed

	Outlived        Rule = "outlived_sync_error"    // the engine ran on after a sync had failed
	AckedAfterError Rule = "acked_after_sync_error" // 200 to what was posted after that
	AckedFull       Rule = "acked_below_reserve"    // 200 though the disk reserve was reached
	RefusedFull     Rule = "refused_below_reserve"  // read, export or erase that did not work then
	NotErased       Rule = "not_erased"             // text of an erased person in the export
	NotResumed      Rule = "not_resumed"            // no 200 in time after space came back
	LateAfterStall  Rule = "late_after_stall"       // acks that came too long after the disk did
	Swelled         Rule = "swelled_in_stall"       // memory grew while the disk stalled
	NotHandedOver   Rule = "not_handed_over"        // groups without a leader that can write for too long
	WrongServed     Rule = "wrong_data_served"      // an event that is not what was stored
	Unnoticed       Rule = "corruption_unnoticed"   // events missing, and nobody said so
	StepUnnoticed   Rule = "clock_step_unnoticed"   // a step of the clock that was not counted
	StoodStill      Rule = "waited_for_clock"       // owed work left because the clock was set back
)

// Chances name the denominators.
const (
	ChanceMessages = "acknowledged_messages"
	ChanceStatuses = "acknowledged_statuses"
	ChanceRequests = "acknowledged_requests"
	ChanceEvents   = "events"
	ChanceQueued   = "queued_sends"
	ChanceAtLeast  = "sends_at_least_once"
	ChanceAtMost   = "sends_at_most_once"
	ChanceTakeover = "takeovers"
	ChanceTools    = "tool_calls"
	ChanceTimed    = "tool_calls_held_against_results"
	ChanceOnce     = "tool_calls_once"

	ChanceMinority   = "posts_to_minorities"
	ChanceHistories  = "histories"
	ChanceOperations = "history_operations"
	ChanceCopies     = "events_compared_between_nodes"

	ChanceSyncErrors = "sync_errors"
	ChanceAfterError = "posts_after_sync_error"
	ChanceFull       = "posts_below_reserve"
	ChanceFullReads  = "reads_exports_and_erases_below_reserve"
	ChanceErased     = "persons_erased_below_reserve"
	ChanceFreed      = "times_space_came_back"
	ChanceStalls     = "stalls"
	ChanceHandovers  = "stalls_of_leaders"
	ChanceFlips      = "bits_flipped"
	ChanceServed     = "events_read_of_stores_with_a_flipped_bit"
	ChanceOOM        = "oom_kills"
	ChanceSteps      = "steps_of_the_clock"
	ChanceBacks      = "clocks_set_back"
	ChanceReposted   = "acknowledged_posts_repeated_after_steps"
)

// Tally is what an audit counted. Tallies of several audits add up.
type Tally struct {
	// Breaches by rule; a rule without breach is absent.
	Breaches map[Rule]int64 `json:"breaches,omitempty"`
	// Chances by name: how often a promise could have been broken.
	Chances map[string]int64 `json:"chances"`
	// Doubled counts at_least_once sends that Graph accepted once more than
	// needed, which their policy allows; Unknown sends shown as unknown.
	Doubled int64 `json:"doubled_at_least_once"`
	Unknown int64 `json:"unknown"`
	// Repeated counts calls of tools made again before a result was recorded, which the
	// class of the tool allows.
	Repeated int64 `json:"tools_repeated"`
	// Examples describe the first breaches, without personal data: all of it is made up.
	Examples []string `json:"examples,omitempty"`
}

// examplesMax bounds Examples.
const examplesMax = 20

func newTally() *Tally {
	return &Tally{Breaches: map[Rule]int64{}, Chances: map[string]int64{}}
}

func (t *Tally) breach(r Rule, format string, args ...any) {
	t.Breaches[r]++
	if t.Breaches[r] <= 3 && len(t.Examples) < examplesMax {
		t.Examples = append(t.Examples, string(r)+": "+fmt.Sprintf(format, args...))
	}
}

// Add adds other to t.
func (t *Tally) Add(other *Tally) {
	for r, n := range other.Breaches {
		t.Breaches[r] += n
	}
	for c, n := range other.Chances {
		t.Chances[c] += n
	}
	t.Doubled += other.Doubled
	t.Unknown += other.Unknown
	t.Repeated += other.Repeated
	if room := examplesMax - len(t.Examples); room > 0 {
		t.Examples = append(t.Examples, other.Examples[:min(room, len(other.Examples))]...)
	}
}

// Red reports whether any promise was broken.
func (t *Tally) Red() bool { return len(t.Breaches) > 0 }

// Names lists the broken rules, sorted, with their counts.
func (t *Tally) Names() string {
	var out []string
	for r, n := range t.Breaches {
		out = append(out, fmt.Sprintf("%s %d", r, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
