package chat

import (
	"slices"
	"time"
)

// Work is what the turn under way has done so far. It is replaced and never changed,
// so that copies of a conversation share it. It holds no personal data: arguments
// and results stand in the journal.
type Work struct {
	// Version is the assistant that the turn began on and ends on.
	Version AssistantRef
	// Since is when its first call began.
	Since time.Time
	// Steps counts model answers that asked for tools, Tools the calls made.
	Steps, Tools int
	// Acted is true once a tool that changes something was started: from then on the
	// turn is not begun again.
	Acted bool
	// Repaired is true once an answer was sent back to the model.
	Repaired bool
	// Spent is what its calls cost so far; Reserved is held for the one under way,
	// since Called.
	Spent, Reserved Money
	Called          time.Time
	// Calls are the tool calls of the latest answer that have no result yet.
	Calls []PendingCall
}

// PendingCall is a tool call without a result.
type PendingCall struct {
	ID, Tool string
	State    CallState
	// Acts and Repeatable are the tool's, when the call was started.
	Acts, Repeatable bool
	// N counts how often it was started; Epoch is of the latest.
	N     int
	Epoch Epoch
	// At is when it is overdue, or when nobody has approved it.
	At time.Time
}

// CallState is where a tool call stands. Stored; values never change.
type CallState uint8

// The states.
const (
	CallPlanned CallState = 1 // asked for by the model
	CallAsked   CallState = 2 // waits for a person's approval
	CallStarted CallState = 3 // under way
)

// Version names the assistant that the turn under way runs on; empty when there is
// none, and the next to begin runs on the one that is published then.
func (c *Conversation) Version() AssistantRef {
	switch {
	case c.Work == nil:
		return ""
	case c.Work.Version == "":
		return RefOf(DefaultAssistant, 0)
	}
	return c.Work.Version
}

// pending returns the call of an id, nil for none.
func (w *Work) pending(id string) *PendingCall {
	if w == nil {
		return nil
	}
	for i := range w.Calls {
		if w.Calls[i].ID == id {
			return &w.Calls[i]
		}
	}
	return nil
}

// working returns a copy of the work that may be changed.
func (c *Conversation) working() *Work {
	w := new(Work)
	if c.Work != nil {
		*w = *c.Work
		w.Calls = slices.Clone(w.Calls)
	}
	c.Work = w
	return w
}

// applyTool moves a tool call on.
func (c *Conversation) applyTool(e Event) {
	w := c.working()
	call := w.pending(e.Tool.ID)
	if call == nil {
		return // a result that came late
	}
	switch e.Kind {
	case ToolAsked:
		call.State, call.At = CallAsked, e.At
	case ToolDecided:
		call.State, call.At = CallPlanned, time.Time{}
	case ToolStarted:
		call.State, call.At = CallStarted, e.At
		call.Acts, call.Repeatable, call.N, call.Epoch = e.Tool.Acts, e.Tool.Repeatable, e.Tool.N, e.Tool.Epoch
		w.Acted = w.Acted || call.Acts
		if call.N == 1 {
			w.Tools++
		}
	case ToolEnded:
		w.Calls = slices.DeleteFunc(w.Calls, func(k PendingCall) bool { return k.ID == e.Tool.ID })
	}
	c.Turn.At = w.next(e.Time)
}

// next is when the first of its calls is overdue; now when there is one to begin, or
// none left.
func (w *Work) next(now time.Time) (at time.Time) {
	for i := range w.Calls {
		switch k := w.Calls[i].At; {
		case k.IsZero():
			return now
		case at.IsZero(), k.Before(at):
			at = k
		}
	}
	if at.IsZero() {
		return now
	}
	return at
}

// applyWork follows a turn through its calls.
func (c *Conversation) applyWork(e Event) {
	r := e.Turn
	switch e.Kind {
	case TurnStarted:
		if r.Call == 1 {
			c.Work = nil
		}
		w := c.working()
		if r.Call == 1 {
			w.Version, w.Since = r.Version, e.Time
		}
		w.Spent += r.Cost
		w.Reserved, w.Called, w.Calls = r.Reserved, e.Time, nil
	case TurnCalled:
		w := c.working()
		w.Steps++
		w.Spent, w.Reserved = w.Spent+r.Cost, 0
		w.Calls = make([]PendingCall, len(r.Calls))
		for i, k := range r.Calls {
			w.Calls[i] = PendingCall{ID: k.ID, Tool: k.Name, State: CallPlanned}
		}
	case TurnFailed:
		w := c.working()
		w.Spent, w.Reserved = w.Spent+r.Cost, 0
		w.Repaired = w.Repaired || r.Model != ""
	default:
		c.Work = nil
	}
}
