package torture

import (
	"slices"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// Step is a moment at which a kill can come.
type Step struct {
	Name string `json:"name"`
	// Where is random, outside (a simulator's moment) or inside (a failpoint).
	Where string `json:"where"`
}

// Where a step is.
const (
	WhereRandom  = "random"
	WhereOutside = "outside"
	WhereInside  = "inside"
)

// The steps seen from outside.
const (
	stepRandom         = "random"
	stepPostStarting   = "post-starting"   // a webhook is about to be posted
	stepPostAnswered   = "post-answered"   // its answer was read
	stepModelReceived  = "model-received"  // the model has read a request
	stepModelReplying  = "model-replying"  // and is about to answer
	stepModelAnswered  = "model-answered"  // and has answered
	stepGraphReceived  = "graph-received"  // Graph has read a send
	stepGraphReplying  = "graph-replying"  // and is about to answer
	stepGraphAnswered  = "graph-answered"  // and has answered
	stepStatusStarting = "status-starting" // a delivery report is about to be posted
	stepAPIAnswered    = "api-answered"    // the answer to an API write was read
	stepToolReceived   = "tool-received"   // the server of a tool has read a call
	stepToolReplying   = "tool-replying"   // and is about to answer
	stepToolAnswered   = "tool-answered"   // and has answered
)

// Steps lists every step; those inside need a child built with -tags torture.
func Steps() []Step {
	steps := []Step{{stepRandom, WhereRandom}}
	for _, name := range []string{stepPostStarting, stepPostAnswered, stepModelReceived, stepModelReplying, stepModelAnswered,
		stepGraphReceived, stepGraphReplying, stepGraphAnswered, stepStatusStarting, stepAPIAnswered,
		stepToolReceived, stepToolReplying, stepToolAnswered} {
		steps = append(steps, Step{name, WhereOutside})
	}
	for _, p := range append(failpoint.Points(), failpoint.ToolPoints()...) {
		steps = append(steps, Step{string(p), WhereInside})
	}
	return steps
}

// stepsNamed returns the steps with the given names, or all when there are none.
func stepsNamed(names []string) []Step {
	return slices.DeleteFunc(Steps(), func(s Step) bool {
		return len(names) > 0 && !slices.Contains(names, s.Name)
	})
}

// hitsMax bounds the number of hits of a step before the kill, so that kills
// spread over the life of a process and rare steps are still reached.
func (s Step) hitsMax() int {
	switch failpoint.Point(s.Name) {
	case failpoint.AgendaFired, failpoint.TurnRequested, failpoint.ModelAnswering, failpoint.TurnRecorded,
		failpoint.AttemptCommitted, failpoint.SendAnswered, failpoint.SendRecorded:
		return 40
	case failpoint.APIAnswering:
		return 2
	case failpoint.ToolRequested, failpoint.ToolAnswering, failpoint.ToolRecorded:
		return 20
	}
	switch s.Name {
	case stepAPIAnswered:
		return 2
	case stepToolReceived, stepToolReplying, stepToolAnswered:
		return 20
	case stepModelReceived, stepModelReplying, stepModelAnswered, stepGraphReceived, stepGraphReplying, stepGraphAnswered:
		return 40
	}
	return 150
}

// working reports whether reaching the step means by itself that a POST, turn
// or send is in flight.
func (s Step) working() bool {
	switch s.Name {
	case stepRandom, stepPostStarting, stepPostAnswered, stepModelAnswered, stepGraphAnswered, stepStatusStarting, stepAPIAnswered, stepToolAnswered:
		return false
	}
	return true
}
