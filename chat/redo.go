package chat

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Outcome is what came of a turn.
type Outcome struct {
	Messages []string  `json:"messages"`
	Tools    []ToolUse `json:"tools,omitempty"`
	// Handoff is why people were asked; empty when they were not.
	Handoff   string   `json:"handoff,omitempty"`
	Intent    string   `json:"intent,omitempty"`
	Sentiment string   `json:"sentiment,omitempty"`
	Language  string   `json:"language,omitempty"`
	Sources   []string `json:"sources,omitempty"`
	// Failed is a word when nothing could be said: a rule of GuardResponse, a fault of
	// the answer, or of the model.
	Failed string `json:"failed,omitempty"`
	// Structured is true when the answer was in the form that was asked for.
	Structured bool          `json:"structured"`
	Calls      int           `json:"calls"`
	Tokens     Tokens        `json:"tokens"`
	Cost       Money         `json:"cost"`
	Took       time.Duration `json:"took"`
}

// Redo asks models again for what a turn came to: the same talk, another assistant or
// model, tools from the recording. It sends nothing, runs no tool and writes nothing:
// whoever drives it takes a Prompt, asks a model, and brings what it said, until there
// is no other Prompt.
type Redo struct {
	// Models replace those of the prompt, where there are any.
	Models []ModelRef
	// Addresses are the customer's.
	Addresses []Address
	// Run is asked before the recording what a call comes to; it changes nothing
	// anywhere. Can be nil.
	Run func(*ToolCall) (r ToolResult, known bool)

	talk     Talk
	tools    *Recording
	out      Outcome
	steps    int
	repaired bool
	done     bool
}

// NewRedo is a Redo of a talk, which is not changed.
func NewRedo(t Talk, tools *Recording) *Redo {
	t.Events, t.Call = slices.Clone(t.Events), 1
	return &Redo{talk: t, tools: tools}
}

// RedoOf is a Redo of a recorded turn: everything that its last call knew, but for
// what the turn did itself. calls are of the turn, in order. settings nil takes those
// that it was made with.
func RedoOf(calls []RecordedCall, events []Event, past *Past, settings *Settings) (r *Redo, lost string) {
	last := &calls[len(calls)-1]
	t, lost := last.Talk(events, past)
	if lost != "" {
		return nil, lost
	}
	if _, lost = last.Prompt(events, past); lost == PromptErased || lost == PromptWithdrawn {
		return nil, lost
	}
	if settings != nil {
		t.Settings = settings
	}
	t.Events = slices.DeleteFunc(slices.Clone(t.Events), func(e Event) bool {
		return e.Turn != nil && e.Turn.ID == t.Turn && e.Kind != TurnStarted || e.Tool != nil && e.Tool.Turn == t.Turn
	})
	return NewRedo(t, RecordingOf(events)), ""
}

// Prompt is what to ask next; ok is false when the turn has ended.
func (r *Redo) Prompt() (p Prompt, ok bool) {
	if r.done {
		return p, false
	}
	p = r.talk.Prompt()
	if len(r.Models) > 0 {
		p.Models = r.Models
	}
	return p, true
}

// Outcome is what the turn came to so far.
func (r *Redo) Outcome() Outcome { return r.out }

// Failed ends the turn: the model gave no answer, for a reason in a word.
func (r *Redo) Failed(reason string) { r.end(reason) }

func (r *Redo) end(failed string) { r.out.Failed, r.done = failed, true }

// Answered goes on with what the model said.
func (r *Redo) Answered(a Answer, cost Money, took time.Duration) {
	r.out.Calls++
	r.out.Took += took
	r.out.Cost += cost
	r.out.Tokens.Prompt += a.Tokens.Prompt
	r.out.Tokens.Cached += a.Tokens.Cached
	r.out.Tokens.Output += a.Tokens.Output
	r.out.Tokens.Reasoning += a.Tokens.Reasoning
	limits := r.talk.Settings.limits()
	switch {
	case len(a.Calls) > 0 && r.steps >= limits.Steps:
		r.end("step_limit")
	case len(a.Calls) > 0:
		r.steps++
		r.called(a, limits.Tools)
	default:
		r.said(a)
	}
}

// next is the seq of another event.
func (r *Redo) next() Seq { return r.talk.Horizon() + 1 }

func (r *Redo) called(a Answer, most int) {
	seq := r.next()
	r.talk.Events = append(r.talk.Events, Event{Seq: seq, Kind: TurnCalled,
		Turn: &TurnRecord{ID: r.talk.Turn, Call: r.talk.Call, Answer: a.Text, Calls: a.Calls, Model: a.Model}})
	for i := range a.Calls {
		k := &a.Calls[i]
		result := r.use(k, most)
		r.out.Tools = append(r.out.Tools, ToolUse{Name: k.Name, Args: k.Args, Error: result.Error})
		if k.Name == ToolHandoff && result.Error == "" {
			if text := strings.TrimSpace(a.Text); text != "" {
				r.out.Messages = append(r.out.Messages, text)
			}
			r.out.Handoff, r.done = "requested", true
			return
		}
		r.talk.Events = append(r.talk.Events, Event{Seq: r.next(), Kind: ToolEnded,
			Tool: &ToolRecord{Turn: r.talk.Turn, ID: k.ID, Name: k.Name, Result: &result}})
	}
	r.talk.Call++
}

// use is what a call comes to: what the engine says itself, or what is recorded.
func (r *Redo) use(k *ToolCall, most int) ToolResult {
	profile := r.talk.Settings.Profile
	_, known := r.talk.Settings.Tools[k.Name]
	switch {
	case k.Invalid != "":
		return failedTool("invalid", k.Invalid)
	case profile == nil || !known || !slices.ContainsFunc(profile.Tools, func(g ToolGrant) bool { return g.Name == k.Name }):
		return failedTool("not_permitted", "")
	case len(r.out.Tools) >= most:
		return failedTool("too_many", "")
	case k.Name == ToolHandoff:
		return ToolResult{}
	}
	if r.Run != nil {
		if result, ok := r.Run(k); ok {
			return result
		}
	}
	result, _ := r.tools.result(r.talk.Turn, k)
	return result
}

func (r *Redo) said(a Answer) {
	response, bad := ReadResponse(a.Text)
	if bad == "" && r.talk.Settings.Profile != nil {
		bad = GuardResponse(response.Messages, r.talk.Sayable(r.Addresses))
	}
	if bad == "" && len(response.Messages) == 0 && response.Handoff == "" {
		r.end("empty_answer")
		return
	}
	if bad != "" && !r.repaired {
		r.repaired = true
		r.talk.Events = append(r.talk.Events, Event{Seq: r.next(), Kind: TurnFailed,
			Turn: &TurnRecord{ID: r.talk.Turn, Call: r.talk.Call, Answer: a.Text, Model: "m", Reason: bad}})
		r.talk.Call++
		return
	}
	if bad != "" {
		r.end(bad)
		return
	}
	response.Sources = r.talk.Named(a.Text)
	r.out.take(&response, a.Structured())
	r.done = true
}

// take is the outcome of a response.
func (o *Outcome) take(r *Response, structured bool) {
	o.Messages, o.Intent, o.Sentiment, o.Language, o.Sources = append(o.Messages, r.Messages...), r.Intent, r.Sentiment, r.Language, r.Sources
	o.Structured = structured
	if r.Handoff != "" {
		o.Handoff = "requested"
	}
}

// OutcomeOf is what a turn came to, by the events of its conversation; found is false
// when it did not end.
func OutcomeOf(events []Event, turn TurnID) (o Outcome, found bool) {
	uses, words := map[string]int{}, map[Seq]bool{}
	began := time.Time{}
	for i := range events {
		e := &events[i]
		switch r := e.Turn; {
		case r == nil && e.Kind == ToolEnded && e.Tool.Turn == turn && e.Tool.Result != nil:
			if at, ok := uses[e.Tool.ID]; ok {
				o.Tools[at].Error = e.Tool.Result.Error
				if e.Tool.Name == ToolHandoff && e.Tool.Result.Error == "" {
					o.Handoff, found = "requested", true
				}
			}
			continue
		case r == nil || r.ID != turn:
			continue
		case e.Kind == TurnStarted:
			began = e.Time
			continue
		default:
			o.Cost += r.Cost
			o.Tokens.Prompt += r.Tokens.Prompt
			o.Tokens.Cached += r.Tokens.Cached
			o.Tokens.Output += r.Tokens.Output
			o.Tokens.Reasoning += r.Tokens.Reasoning
		}
		r := e.Turn
		if modelSaid(e) && !words[e.Seq] {
			words[e.Seq] = true
			o.Calls++
			o.Took += e.Time.Sub(began)
		}
		switch e.Kind {
		case TurnCalled:
			for _, k := range r.Calls {
				uses[k.ID] = len(o.Tools)
				o.Tools = append(o.Tools, ToolUse{Name: k.Name, Args: k.Args})
				if text := strings.TrimSpace(r.Answer); k.Name == ToolHandoff && text != "" {
					o.Messages = append(o.Messages, text)
				}
			}
		case TurnAnswered:
			found = true
			response := r.Response
			if response == nil {
				response = &Response{}
				if text := strings.TrimSpace(r.Answer); text != "" {
					response.Messages = []string{text}
				}
			}
			o.take(response, r.Response != nil)
		case TurnAbandoned:
			if r.Reason != "requested" && o.Handoff == "" {
				o.Failed = r.Reason
			}
			found = true
		}
	}
	return o, found
}

// Worth is how an outcome compares with the recorded one. The words are stable.
type Worth string

// The worths.
const (
	WorthSame    Worth = "same"
	WorthChanged Worth = "changed"
	WorthWorse   Worth = "worse"
)

// Rules say what no answer may lose, or say.
type Rules struct {
	// Must are texts that an answer keeps where the recorded one has them, MustNot are
	// in no answer; in any case.
	Must, MustNot []string
}

// Compare tells how an outcome differs from the recorded one, and why it is worse.
func Compare(was, now *Outcome, rules *Rules) (w Worth, why []string) {
	before, after := strings.ToLower(strings.Join(was.Messages, "\n")), strings.ToLower(strings.Join(now.Messages, "\n"))
	if now.Failed != "" && was.Failed == "" {
		why = append(why, "no answer: "+now.Failed)
	}
	if now.Handoff != "" && was.Handoff == "" && was.Failed == "" {
		why = append(why, "handed to people")
	}
	for _, m := range rules.Must {
		if m = strings.ToLower(m); strings.Contains(before, m) && !strings.Contains(after, m) {
			why = append(why, "lost: "+m)
		}
	}
	for _, m := range rules.MustNot {
		if m = strings.ToLower(m); strings.Contains(after, m) {
			why = append(why, "says: "+m)
		}
	}
	if len(why) > 0 {
		return WorthWorse, why
	}
	if before == after && was.Handoff == now.Handoff && was.Failed == now.Failed && was.Intent == now.Intent && slices.EqualFunc(was.Tools, now.Tools, sameUse) {
		return WorthSame, nil
	}
	return WorthChanged, nil
}

func sameUse(a, b ToolUse) bool {
	return a.Name == b.Name && bytes.Equal(canonicalOr(a.Args), canonicalOr(b.Args))
}

func canonicalOr(args json.RawMessage) json.RawMessage {
	if c, err := CanonicalArgs(args); err == nil {
		return c
	}
	return args
}
