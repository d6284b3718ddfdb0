package chat

import (
	"encoding/json"
	"slices"
	"strings"
)

// RecordedCall is a call of a model whose answer the journal holds.
type RecordedCall struct {
	Turn TurnID
	Call int
	// Seq is of the event that holds the answer; Hash names the prompt.
	Seq  Seq
	Hash string
	// Version is the assistant that was asked.
	Version AssistantRef
	// Record is what a turn recorded; of a summary Summary is set instead.
	Record  *TurnRecord
	Summary *Summary
	Channel ChannelID
}

// Why a prompt cannot be made again. Each is somebody's decision or an engine of old,
// but for PromptDiffers, which is a fault of the engine.
const (
	PromptErased      = "erased"            // the person was erased
	PromptWithdrawn   = "withdrawn"         // a message was taken back after the call
	PromptUnrecorded  = "unrecorded"        // the answer does not say what it was made of
	PromptNoAssistant = "assistant_missing" // the version is no more
	PromptNoTool      = "tool_missing"      // a tool as it was told to the model is no more
	PromptDiffers     = "differs"
)

// RecordedCalls lists the calls in the events of a conversation, in order. What was
// erased is not among them: see ErasedCalls.
func RecordedCalls(events []Event) (calls []RecordedCall) {
	versions := map[TurnID]AssistantRef{}
	for i := range events {
		e := &events[i]
		switch {
		case e.Turn != nil && e.Kind == TurnStarted:
			versions[e.Turn.ID] = e.Turn.Version
		case e.Turn != nil && modelSaid(e):
			calls = append(calls, RecordedCall{Turn: e.Turn.ID, Call: e.Turn.Call, Seq: e.Seq, Hash: e.Turn.PromptHash,
				Version: versions[e.Turn.ID], Record: e.Turn, Channel: e.Channel})
		case e.Kind == SummaryMade && e.Summary != nil:
			calls = append(calls, RecordedCall{Seq: e.Seq, Hash: e.Summary.PromptHash, Version: e.Summary.Version, Summary: e.Summary, Channel: e.Channel})
		}
	}
	return calls
}

// modelSaid reports whether an event holds what a model answered: words, calls, or
// something that could not be used.
func modelSaid(e *Event) bool {
	return e.Kind == TurnAnswered || e.Kind == TurnCalled || e.Kind == TurnFailed && e.Turn.Model != ""
}

// ErasedCalls counts the answers in the events of a conversation that were erased.
func ErasedCalls(events []Event) (n int) {
	for i := range events {
		if u := events[i].Update; events[i].Kind == Erased && u != nil &&
			(u.Type == TurnAnswered.String() || u.Type == TurnCalled.String() || u.Type == SummaryMade.String()) {
			n++
		}
	}
	return n
}

// Past is what prompts were made of that stands in no conversation: the assistants of
// a tenant, and tools as they were told to models.
type Past struct {
	versions map[AssistantRef]*Assistant
	tools    map[string]ToolSpec
	named    map[string]Tool
}

// ReadPast makes it of a tenant's documents of DocVersion, DocTool and DocToolText.
// Others are passed over.
func ReadPast(docs []Doc) *Past {
	p := &Past{versions: map[AssistantRef]*Assistant{}, tools: map[string]ToolSpec{}, named: map[string]Tool{}}
	for _, t := range EngineTools() {
		p.addTool(t)
	}
	for _, d := range docs {
		switch d.Noun {
		case DocVersion:
			a := new(Assistant)
			if json.Unmarshal(d.Value, a) == nil {
				p.versions[AssistantRef(d.ID)] = a
			}
		case DocTool:
			var t Tool
			if _, own := engineTools[d.ID]; !own && json.Unmarshal(d.Value, &t) == nil {
				p.addTool(t)
			}
		case DocToolText:
			var s ToolSpec
			if json.Unmarshal(d.Value, &s) == nil {
				p.tools[d.ID] = s
			}
		}
	}
	return p
}

func (p *Past) addTool(t Tool) {
	spec := t.Spec()
	p.tools[spec.Digest()], p.named[t.Name] = spec, t
}

// Version is an assistant of the tenant; nil when there is none.
func (p *Past) Version(ref AssistantRef) *Assistant { return p.versions[ref] }

// Settings are those that an assistant answers with now, on a channel.
func (p *Past) Settings(a *Assistant, ch ChannelID) *Settings {
	granted := map[string]Tool{}
	for _, g := range a.Tools {
		if t, ok := p.named[g.Name]; ok {
			granted[g.Name] = t
		}
	}
	return (&Settings{}).Answering(a, ch, granted, CallCost{})
}

// then are the settings that a call was made with.
func (p *Past) then(c *RecordedCall, m *Made) (s *Settings, lost string) {
	if c.Version == "" || c.Version.Configured() {
		s = &Settings{Instructions: DefaultInstructions}
		if m.Instructions != "" {
			s.Instructions = m.Instructions
		}
		return s, ""
	}
	a := p.versions[c.Version]
	if a == nil {
		return nil, PromptNoAssistant
	}
	tools := map[string]Tool{}
	for _, digest := range m.Tools {
		spec, ok := p.tools[digest]
		if !ok {
			return nil, PromptNoTool
		}
		tools[spec.Name] = Tool{Name: spec.Name, Description: spec.Description, Parameters: spec.Parameters}
	}
	return (&Settings{}).Answering(a, c.Channel, tools, CallCost{}), ""
}

// window are the events that a prompt looked at.
func window(events []Event, first, horizon Seq) []Event {
	from, _ := slices.BinarySearchFunc(events, first, bySeq)
	to, _ := slices.BinarySearchFunc(events, horizon+1, bySeq)
	return events[from:max(from, to)]
}

func bySeq(e Event, s Seq) int { return int(int64(e.Seq) - int64(s)) } // #nosec G115 -- seqs are small

// Talk is the talk that the call's prompt was made of, from all events of its
// conversation; lost says why there is none.
func (c *RecordedCall) Talk(events []Event, past *Past) (t Talk, lost string) {
	if c.Summary != nil {
		s := c.Summary
		if s.PromptHash == "" || s.Horizon == 0 {
			return t, PromptUnrecorded
		}
		m := Made{First: s.First}
		if a := past.versions[s.Version]; a != nil {
			// Tools are no part of a summary.
			t.Settings = (&Settings{}).Answering(a, c.Channel, nil, CallCost{})
		} else if t.Settings, lost = past.then(c, &m); lost != "" {
			return t, lost
		}
		t.Events = window(events, s.First, s.Horizon)
		return t, ""
	}
	r := c.Record
	switch {
	case r.Answer == "" && r.Reason == "message_revoked":
		return t, PromptWithdrawn
	case r.PromptHash == "" || r.Made == nil:
		return t, PromptUnrecorded
	}
	settings, lost := past.then(c, r.Made)
	if lost != "" {
		return t, lost
	}
	t = Talk{Settings: settings, Events: window(events, r.Made.First, r.Horizon), Turn: r.ID, Call: r.Call,
		From: r.From, UpTo: r.UpTo, Saw: r.Saw, Facts: r.Facts}
	t.showAgain(r.Made)
	return t, ""
}

// Prompt is the call's prompt made again; lost says why it cannot be, or that it is
// another one.
func (c *RecordedCall) Prompt(events []Event, past *Past) (p Prompt, lost string) {
	t, lost := c.Talk(events, past)
	if lost != "" {
		return p, lost
	}
	if c.Summary == nil {
		p = t.Prompt()
	} else if p, _, _ = t.SumUp(); len(p.Lines) == 0 {
		return p, gone(&t, events)
	}
	if p.Hash() != c.Hash {
		return p, gone(&t, events)
	}
	return p, ""
}

// gone says why a prompt is another one than it was: somebody was erased, or took a
// message back after it was made.
func gone(t *Talk, events []Event) string {
	horizon, before := t.Horizon(), map[MessageID]bool{}
	for i := range t.Events {
		switch e := &t.Events[i]; {
		case e.Kind == Erased:
			return PromptErased
		case e.Kind == MessageRevoked:
			before[e.Message.ID] = true
		}
	}
	for i := range events {
		if e := &events[i]; e.Seq > horizon && e.Kind == MessageRevoked && !before[e.Message.ID] {
			if _, seq, ok := e.Message.ID.Parse(); !ok || seq <= horizon {
				return PromptWithdrawn
			}
		}
	}
	return PromptDiffers
}

// ToolUse is a tool call with what came of it.
type ToolUse struct {
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
	// Error is a word when it failed; NotRecorded when nobody knows what would have
	// come of it.
	Error string `json:"error,omitempty"`
}

// NotRecorded is the word for a call that was never made.
const NotRecorded = "not_recorded"

// Recording is what tools came to in a conversation.
type Recording struct {
	results map[string][]recordedResult
}

type recordedResult struct {
	turn   TurnID
	result ToolResult
}

// RecordingOf reads the results out of the events of a conversation.
func RecordingOf(events []Event) *Recording {
	r := &Recording{results: map[string][]recordedResult{}}
	type place struct {
		turn TurnID
		id   string
	}
	asked := map[place]string{}
	for i := range events {
		e := &events[i]
		switch {
		case e.Turn != nil && e.Kind == TurnCalled:
			for _, k := range e.Turn.Calls {
				asked[place{e.Turn.ID, k.ID}] = toolPlace(k.Name, k.Args)
			}
		case e.Kind == ToolEnded && e.Tool.Result != nil && e.Tool.Result.Error != "dropped":
			if key := asked[place{e.Tool.Turn, e.Tool.ID}]; key != "" {
				r.results[key] = append(r.results[key], recordedResult{e.Tool.Turn, *e.Tool.Result})
			}
		}
	}
	return r
}

// Result is what a call of a turn came to, as far as is recorded.
func (r *Recording) Result(turn TurnID, name string, args json.RawMessage) ToolResult {
	result, _ := r.result(turn, &ToolCall{Name: name, Args: args})
	return result
}

// result is what a call came to: in its own turn, or else in the latest before it, or
// the first after it.
func (r *Recording) result(turn TurnID, k *ToolCall) (ToolResult, bool) {
	all := r.results[toolPlace(k.Name, k.Args)]
	if len(all) == 0 {
		return ToolResult{Error: NotRecorded, Content: "[not recorded] This call was not made in the recorded conversation, so its result is not known."}, false
	}
	_, at, _ := turn.Parse()
	best := 0
	for i := range all {
		_, seq, _ := all[i].turn.Parse()
		if seq <= at {
			best = i
		}
		if all[i].turn == turn {
			return all[i].result, true
		}
	}
	return all[best].result, true
}

// toolPlace names a call by its tool and canonical arguments.
func toolPlace(name string, args json.RawMessage) string {
	if canonical, err := CanonicalArgs(args); err == nil {
		args = canonical
	}
	return name + " " + strings.TrimSpace(string(args))
}
