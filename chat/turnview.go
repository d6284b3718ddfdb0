package chat

import (
	"encoding/json"
	"time"
)

// TurnView is a turn as people look at it: what it was asked, what the model saw and
// said, what was called, and what it cost.
type TurnView struct {
	ID           TurnID         `json:"id"`
	Conversation ConversationID `json:"conversation_id"`
	Channel      ChannelID      `json:"channel_id"`
	// Version is the assistant it ran on; empty for the configuration's.
	Version AssistantRef `json:"version,omitempty"`
	// State is running, answered, superseded or abandoned.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// From and UpTo are the seqs of the messages it answers, Begun and Ended those of
	// the events it began and ended with.
	From  Seq       `json:"from_seq"`
	UpTo  Seq       `json:"to_seq"`
	Begun Seq       `json:"begun_seq"`
	Ended Seq       `json:"ended_seq,omitempty"`
	Start time.Time `json:"started_at"`
	End   time.Time `json:"ended_at,omitzero"`

	Calls []CallView `json:"calls"`
	Tools []ToolView `json:"tools,omitempty"`
	// Answer is what the model said in the end, Response what it makes of the talk, Saw
	// the knowledge and the products before it.
	Answer   string    `json:"answer,omitempty"`
	Response *Response `json:"response,omitempty"`
	Saw      []Passage `json:"saw,omitempty"`
	// Messages are what was queued for the customer.
	Messages []MessageID `json:"message_ids,omitempty"`

	Tokens    Tokens `json:"tokens"`
	Cost      Money  `json:"cost_nanos"`
	Lost      int    `json:"lost_calls,omitempty"`
	Simulated bool   `json:"simulated,omitempty"`
}

// CallView is one call of a model.
type CallView struct {
	N     int       `json:"n"`
	Begun Seq       `json:"begun_seq"`
	Start time.Time `json:"started_at"`
	End   time.Time `json:"ended_at,omitzero"`
	// Outcome is answered, tools, failed, superseded, abandoned or lost, and empty while
	// it is under way.
	Outcome  string `json:"outcome,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model,omitempty"`
	Request  string `json:"provider_request,omitempty"`
	// PromptHash is of all that the model saw, Horizon the last event it was made of.
	PromptHash string `json:"prompt_hash,omitempty"`
	Horizon    Seq    `json:"horizon_seq,omitempty"`
	Tokens     Tokens `json:"tokens"`
	Cost       Money  `json:"cost_nanos"`
}

// ToolView is one call of a tool.
type ToolView struct {
	ID   string          `json:"id"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"arguments,omitempty"`
	// State is asked, approval, running, ended or late: nobody waited for it any more.
	State string `json:"state"`
	// Tries counts how often it was made.
	Tries   int       `json:"tries,omitempty"`
	Start   time.Time `json:"started_at,omitzero"`
	End     time.Time `json:"ended_at,omitzero"`
	Result  string    `json:"result,omitempty"`
	Error   string    `json:"error,omitempty"`
	Decided string    `json:"decided_by,omitempty"`
	Refused bool      `json:"refused,omitempty"`
	Saw     []Passage `json:"saw,omitempty"`
}

// TurnsOf are the turns that began within events of one conversation, which are in
// order, with all that the events say of them.
func TurnsOf(events []Event) []TurnView {
	var turns []TurnView
	at := map[TurnID]int{}
	find := func(id TurnID) *TurnView {
		i, known := at[id]
		if !known {
			return nil
		}
		return &turns[i]
	}
	for i := range events {
		e := &events[i]
		switch {
		case e.Turn != nil:
			if e.Kind == TurnStarted && e.Turn.Call == 1 {
				at[e.Turn.ID] = len(turns)
				turns = append(turns, TurnView{ID: e.Turn.ID, Conversation: e.Conversation, Channel: e.Channel,
					Version: e.Turn.Version, State: "running", From: e.Turn.From, Begun: e.Seq, Start: e.Time, Calls: []CallView{}})
			}
			if t := find(e.Turn.ID); t != nil {
				t.turn(e)
			}
		case e.Tool != nil:
			if t := find(e.Tool.Turn); t != nil {
				t.tool(e)
			}
		case e.Kind == MessageQueued && e.Message != nil && e.Message.Turn != "":
			if t := find(e.Message.Turn); t != nil {
				t.Messages = append(t.Messages, e.Message.ID)
			}
		}
	}
	return turns
}

// outcomes are how a call ends.
var outcomes = map[EventKind]string{TurnAnswered: "answered", TurnCalled: "tools", TurnFailed: "failed",
	TurnSuperseded: "superseded", TurnAbandoned: "abandoned"}

// turn follows a step of the turn.
func (t *TurnView) turn(e *Event) {
	r := e.Turn
	t.UpTo = r.UpTo
	t.Cost += r.Cost
	t.Simulated = t.Simulated || r.Simulated
	if e.Kind == TurnStarted {
		if n := len(t.Calls); n > 0 && t.Calls[n-1].Outcome == "" {
			last := &t.Calls[n-1]
			last.Outcome, last.End, last.Cost = "lost", e.Time, r.Cost
			t.Lost++
		}
		t.Calls = append(t.Calls, CallView{N: r.Call, Begun: e.Seq, Start: e.Time})
		return
	}
	if n := len(t.Calls); n > 0 && t.Calls[n-1].Outcome == "" {
		c := &t.Calls[n-1]
		c.End, c.Reason, c.Provider, c.Model, c.Request = e.Time, r.Reason, r.Provider, r.Model, r.Request
		c.PromptHash, c.Horizon, c.Tokens, c.Cost = r.PromptHash, r.Horizon, r.Tokens, r.Cost
		if c.Tokens == (Tokens{}) {
			c.Tokens.Prompt, c.Tokens.Output = r.PromptTokens, r.OutTokens
		}
		t.Tokens.add(c.Tokens)
		c.Outcome = outcomes[e.Kind]
	}
	switch e.Kind {
	case TurnAnswered:
		t.State, t.Answer, t.Response = "answered", r.Answer, r.Response
		t.end(e)
	case TurnAbandoned, TurnSuperseded:
		if t.State == "running" {
			t.State, t.Reason = outcomes[e.Kind], r.Reason
			t.end(e)
		}
	case TurnCalled:
		for _, k := range r.Calls {
			v := ToolView{ID: k.ID, Name: k.Name, Args: k.Args, State: "asked"}
			if k.Invalid != "" {
				v.State, v.Error = "ended", k.Invalid
			}
			t.Tools = append(t.Tools, v)
		}
	}
	t.Saw = append(t.Saw, r.Saw...)
}

func (t *TurnView) end(e *Event) { t.Ended, t.End = e.Seq, e.Time }

func (t *Tokens) add(o Tokens) {
	t.Prompt, t.Cached, t.Output, t.Reasoning = t.Prompt+o.Prompt, t.Cached+o.Cached, t.Output+o.Output, t.Reasoning+o.Reasoning
	t.Estimated = t.Estimated || o.Estimated
}

// tool follows a step of a tool call.
func (t *TurnView) tool(e *Event) {
	r := e.Tool
	var v *ToolView
	for i := range t.Tools {
		if t.Tools[i].ID == r.ID {
			v = &t.Tools[i]
		}
	}
	if v == nil {
		return
	}
	switch e.Kind {
	case ToolAsked:
		v.State = "approval"
	case ToolDecided:
		v.State, v.Decided, v.Refused = "asked", r.Member, !r.Approved
	case ToolStarted:
		v.State, v.Tries = "running", r.N
		if v.Start.IsZero() {
			v.Start = e.Time
		}
	case ToolEnded:
		v.State, v.End = "ended", e.Time
		if r.Late {
			v.State = "late"
		}
		if r.Result != nil {
			v.Result, v.Error, v.Saw = r.Result.Content, r.Result.Error, r.Result.Saw
		}
	}
}
