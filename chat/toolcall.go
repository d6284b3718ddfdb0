package chat

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// Limits of tool calls.
const (
	// ToolTimeout is how long a tool may take that names no time itself.
	ToolTimeout = 20 * time.Second
	// ApprovalMax is how long a call waits for a person. The silence deadline of the
	// customer is usually shorter, and holds.
	ApprovalMax = time.Hour
	// FieldsMax bounds the fields of a contact, FieldMax the characters of one.
	FieldsMax, FieldMax = 32, 500
)

// What a model is told of a call that was not made.
var notMade = map[string]string{
	"not_permitted": "This tool is not available here.",
	"too_many":      "No more tool calls are allowed in this turn. Answer with what is known.",
	"used_up":       "This tool has been used as often as it may be in this conversation.",
	"unknown":       "It is not known whether this was done. Do not call it again; a person will look.",
	"timeout":       "The tool did not answer in time.",
	"refused":       "A person of the team refused this.",
	"not_approved":  "Nobody of the team approved this in time.",
	"unavailable":   "The tool cannot be used now.",
	"dropped":       "The turn ended before the result came.",
}

// ToolFinished is the result of a tool call.
type ToolFinished struct {
	Turn TurnID
	Call string
	Name string
	// Acts is true of a tool that changes something: its result is kept even when
	// nobody waits for it any more.
	Acts   bool
	Result ToolResult
}

// ToolDecision is a person allowing or refusing a call that waits for it.
type ToolDecision struct {
	Call     string
	Approved bool
	Member   string
}

func (ToolFinished) fact() {}
func (ToolDecision) fact() {}

// StartTool asks for a tool call. What it is called with stands in the journal.
type StartTool struct {
	Turn TurnID
	// Call and Name are the ToolCall's; N counts how often it was started.
	Call, Name string
	N          int
	// Acts is true of a tool that changes something.
	Acts bool
	// Oldest is the first message the turn answers: part of the idempotency key.
	Oldest  Seq
	Version AssistantRef
	Timeout time.Duration
}

func (StartTool) effect() {}

// toolsCalled records what the model asks for and begins it.
func (p *step) toolsCalled(f ModelAnswered) {
	p.emit(Event{Kind: TurnCalled, Turn: p.record(&f.Answer)})
	for i := range f.Answer.Calls {
		if p.c.Turn.Phase != TurnWorking {
			return
		}
		p.toolCalled(&f, &f.Answer.Calls[i])
	}
	p.nextStep()
}

// nextStep calls the model again when every tool has answered.
func (p *step) nextStep() {
	if p.c.Turn.Phase == TurnWorking && len(p.c.Work.Calls) == 0 {
		p.startCall()
	}
}

// toolCalled decides about one call.
func (p *step) toolCalled(f *ModelAnswered, k *ToolCall) {
	grant, word := p.granted(k)
	switch {
	case word != "":
		p.endTool(k.ID, k.Name, failedTool(word, k.Invalid))
	case k.Name == ToolHandoff:
		p.handoffCalled(f, k)
	case k.Name == ToolSetContact:
		p.endTool(k.ID, k.Name, p.setContact(k.Args))
	case grant.Approval:
		p.emit(Event{Kind: ToolAsked, At: p.now.Add(ApprovalMax), Tool: &ToolRecord{Turn: p.c.TurnID(), ID: k.ID, Name: k.Name}})
	default:
		p.startTool(k.ID, k.Name, 1)
	}
}

// granted tells whether a call may be made, and in a word why not.
func (p *step) granted(k *ToolCall) (g ToolGrant, word string) {
	if k.Invalid != "" {
		return g, "invalid"
	}
	i := -1
	if p.set.Profile != nil {
		i = slices.IndexFunc(p.set.Profile.Tools, func(g ToolGrant) bool { return g.Name == k.Name })
	}
	if _, ok := p.set.Tools[k.Name]; i < 0 || !ok {
		return g, "not_permitted"
	}
	g = p.set.Profile.Tools[i]
	// Calls of this answer that wait for approval count as made, and those of the
	// tool as uses of it.
	asked, uses := 0, p.in.Known.ToolUses[k.Name]
	for i := range p.c.Work.Calls {
		c := &p.c.Work.Calls[i]
		if c.State == CallAsked {
			asked++
		}
		if c.Tool == k.Name && c.State != CallPlanned {
			uses++
		}
	}
	switch {
	case p.c.Work.Tools+asked >= p.set.limits().Tools:
		return g, "too_many"
	case g.Max > 0 && uses >= g.Max:
		return g, "used_up"
	}
	return g, ""
}

// failedTool is the result of a call that was not made, or came to nothing.
func failedTool(word, detail string) ToolResult {
	said := notMade[word]
	if said == "" {
		said = "The call is not valid: " + detail
	}
	return ToolResult{Error: word, Content: said}
}

// ToolFailed is the result of a call that came to nothing, for a word.
func ToolFailed(word string) ToolResult { return failedTool(word, "") }

// startTool begins a call, or begins it again.
func (p *step) startTool(id, name string, n int) {
	tool := p.set.Tools[name]
	limit := tool.Timeout
	if limit <= 0 {
		limit = ToolTimeout
	}
	p.emit(Event{Kind: ToolStarted, At: p.now.Add(limit + CallGrace), Tool: &ToolRecord{Turn: p.c.TurnID(), ID: id, Name: name,
		N: n, Epoch: p.in.Epoch, Acts: tool.Acts, Repeatable: tool.Repeatable}})
	p.effect(StartTool{Turn: p.c.TurnID(), Call: id, Name: name, N: n, Acts: tool.Acts, Oldest: p.c.Turn.From,
		Version: p.c.Version(), Timeout: limit})
}

func (p *step) endTool(id, name string, r ToolResult) {
	p.emit(Event{Kind: ToolEnded, Tool: &ToolRecord{Turn: p.c.TurnID(), ID: id, Name: name, Result: &r}})
}

// toolFinished records a result: one that is recorded is never asked for again.
func (p *step) toolFinished(f ToolFinished) {
	t := p.c.Turn
	k := p.c.Work.pending(f.Call)
	if t.Phase != TurnWorking || p.c.TurnID() != f.Turn || k == nil || k.State != CallStarted {
		if p.duplicate(); f.Acts && (p.c.TurnID() != f.Turn || t.Phase != TurnWorking) {
			p.emit(Event{Kind: ToolEnded, Tool: &ToolRecord{Turn: f.Turn, ID: f.Call, Name: f.Name, Late: true, Result: &f.Result}})
		}
		return
	}
	if failpoint.Planted(failpoint.BugForgetToolResult) && k.N == 1 {
		p.startTool(f.Call, k.Tool, k.N+1)
		return
	}
	p.endTool(f.Call, k.Tool, f.Result)
	p.nextStep()
}

// toolDecided lets a call be made, or tells the model that it is not.
func (p *step) toolDecided(f ToolDecision) {
	k := p.c.Work.pending(f.Call)
	switch {
	case p.c.Turn.Phase != TurnWorking || k == nil:
		p.refuse("no_such_call")
		return
	case k.State != CallAsked:
		p.duplicate()
		return
	}
	name := k.Tool
	p.emit(Event{Kind: ToolDecided, Tool: &ToolRecord{Turn: p.c.TurnID(), ID: f.Call, Name: name, Approved: f.Approved, Member: f.Member}})
	if _, known := p.set.Tools[name]; f.Approved && known {
		p.startTool(f.Call, name, 1)
		return
	}
	p.endTool(f.Call, name, failedTool("refused", ""))
	p.nextStep()
}

// tickTools resumes calls that died with the process that made them, and ends those
// that took too long.
func (p *step) tickTools() {
	for _, k := range slices.Clone(p.c.Work.Calls) {
		overdue := !k.At.After(p.now)
		switch {
		case k.State == CallStarted && k.Epoch != p.in.Epoch:
			if _, granted := p.set.Tools[k.Tool]; granted && (!k.Acts || k.Repeatable || failpoint.Planted(failpoint.BugRepeatActingTool)) {
				p.startTool(k.ID, k.Tool, k.N+1)
			} else {
				p.endTool(k.ID, k.Tool, failedTool("unknown", ""))
			}
		case k.State == CallStarted && overdue && k.Acts:
			p.endTool(k.ID, k.Tool, failedTool("unknown", ""))
		case k.State == CallStarted && overdue:
			p.endTool(k.ID, k.Tool, failedTool("timeout", ""))
		case k.State == CallAsked && overdue:
			p.endTool(k.ID, k.Tool, failedTool("not_approved", ""))
		}
	}
	p.nextStep()
}

// dropCalls gives every call under way an end: its turn has one.
func (p *step) dropCalls() {
	if p.c.Turn.Phase != TurnWorking || p.c.Work == nil {
		return
	}
	for _, k := range slices.Clone(p.c.Work.Calls) {
		p.endTool(k.ID, k.Tool, failedTool("dropped", ""))
	}
}

// handoffCalled ends the turn: people are asked, and the customer is told once.
// What may not go out as an answer may not go out with the call either.
func (p *step) handoffCalled(f *ModelAnswered, k *ToolCall) {
	var args struct{ Reason, Note string }
	_ = json.Unmarshal(k.Args, &args) // checked against the schema before
	p.endTool(k.ID, k.Name, ToolResult{Content: "A person of the team will take over."})
	var said []string
	if response, bad := ReadResponse(f.Answer.Text); bad == "" && f.Blocked == "" {
		for _, text := range response.Messages {
			said = append(said, SplitText(p.c.Kind, text)...)
		}
	}
	turn := p.c.TurnID()
	for i, text := range said {
		if i == 0 {
			p.disclose(turn)
		}
		if p.c.Owing() < OutboxMax {
			p.queue(Message{Author: AuthorAssistant, Text: text, Turn: turn, Simulated: f.Answer.Simulated})
		}
	}
	note := strings.TrimSpace(args.Note)
	if note == "" {
		note = strings.TrimSpace(args.Reason)
	}
	p.passOn(note, len(said) == 0)
}

// setContact keeps what a customer said of themselves.
func (p *step) setContact(raw json.RawMessage) ToolResult {
	var args struct{ Field, Value string }
	if json.Unmarshal(raw, &args) != nil || !validField(args.Field) || utf8.RuneCountInString(args.Value) > FieldMax {
		return failedTool("invalid", "a field is a word of a-z, 0-9 and _, a value at most 500 characters")
	}
	c := p.person()
	if p.d.Contact == nil && p.in.Known.Contact.ID == "" {
		return failedTool("unknown", "")
	}
	fields := make(map[string]string, len(c.Fields)+1)
	for k, v := range c.Fields {
		fields[k] = v
	}
	if fields[args.Field] = strings.TrimSpace(args.Value); fields[args.Field] == "" {
		delete(fields, args.Field)
	}
	if len(fields) > FieldsMax {
		return failedTool("invalid", "there are too many fields")
	}
	c.Fields = fields
	p.keep(ContactLinked, c)
	return ToolResult{Content: "Kept."}
}

// validField reports whether a name of a contact's field is plain.
func validField(name string) bool {
	if name == "" || len(name) > 32 {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return true
}
