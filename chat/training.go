package chat

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// The nouns of documents about training data.
const (
	DocTraining       DocNoun = 'g' // TrainingPolicy, by TrainingPolicyID
	DocTrainingExport DocNoun = 'y' // TrainingExport, by id; its lineage by id/part
)

// TrainingPolicyID names the only document of its noun.
const TrainingPolicyID = "policy"

// DefaultAnonymity is how many contacts a pattern must have.
const DefaultAnonymity = 5

// TrainingPolicy is what a business allows to be made of its talks. Without one nothing
// is.
type TrainingPolicy struct {
	Enabled bool `json:"enabled"`
	// K is how many contacts a pattern, and a word, must have to leave; at least 2.
	K int `json:"k"`
}

// Why an exchange is not exported.
const (
	TrainingKept        = "kept"
	TrainingFewContacts = "few_contacts" // fewer than K contacts have the pattern
	TrainingUncommon    = "uncommon"     // most of its words are those of too few contacts
	TrainingSimulated   = "simulated"    // the built-in simulator answered
	TrainingUnclear     = "unclear"      // it says nothing of its intent, or its prompt is not known
	TrainingPersonal    = "personal"     // something is left that looks like personal data
)

// TrainingStates are all of them.
var TrainingStates = []string{TrainingKept, TrainingFewContacts, TrainingUncommon, TrainingSimulated, TrainingUnclear, TrainingPersonal}

// Exchange is what one turn answered, before anything is taken out of it.
type Exchange struct {
	Conversation ConversationID
	Contact      ContactID
	Turn         TurnID
	Version      AssistantRef
	System       string
	Tools        []ToolSpec
	Lines        []PromptLine
	Answer       Response
	// State is why it cannot be used; empty when it may be.
	State string
}

// TrainingRow is one exchange as it is exported, or why it is not.
type TrainingRow struct {
	Conversation ConversationID `json:"conversation_id"`
	Contact      ContactID      `json:"contact_id"`
	Turn         TurnID         `json:"turn_id"`
	Version      AssistantRef   `json:"assistant_version,omitempty"`
	// State is TrainingKept or why it is suppressed. Pattern is a digest: the pattern of
	// a suppressed row is not told.
	State   string `json:"state"`
	Pattern string `json:"pattern,omitempty"`
	// Line is the exchange as fine-tuning JSONL, of a kept row.
	Line json.RawMessage `json:"line,omitempty"`
}

// TrainingReport counts what an export did.
type TrainingReport struct {
	K int `json:"k"`
	// States counts rows, Redactions what was taken out of kept rows, by kind.
	States     map[string]int `json:"states"`
	Redactions map[string]int `json:"redactions"`
	Patterns   int            `json:"patterns"`
}

// ExchangesOf lists what the turns of a conversation answered. What people wrote, what
// was withdrawn or erased, and turns that failed are not among it.
func ExchangesOf(contact ContactID, events []Event, past *Past) (list []Exchange) {
	for _, c := range RecordedCalls(events) {
		if c.Record == nil || c.Record.Response == nil && c.Record.Answer == "" {
			continue
		}
		id, _, _ := c.Turn.Parse()
		x := Exchange{Conversation: id, Contact: contact, Turn: c.Turn, Version: c.Version}
		if at := slices.IndexFunc(events, func(e Event) bool { return e.Seq == c.Seq }); events[at].Kind != TurnAnswered {
			continue
		}
		t, lost := c.Talk(events, past)
		if lost == "" {
			_, lost = c.Prompt(events, past)
		}
		switch {
		case lost == PromptErased || lost == PromptWithdrawn:
			continue
		case c.Record.Simulated:
			x.State = TrainingSimulated
		case lost != "" || c.Record.Response == nil || strings.TrimSpace(c.Record.Response.Intent) == "":
			x.State = TrainingUnclear
		default:
			x.fill(&t, c.Record.Response)
		}
		list = append(list, x)
	}
	return list
}

// fill takes the exchange out of a talk: the messages that the turn answered, and what
// it did for that.
func (x *Exchange) fill(t *Talk, answer *Response) {
	own := *t
	own.Pictures, own.Facts = nil, nil
	own.Events = slices.DeleteFunc(slices.Clone(t.Events), func(e Event) bool {
		return e.Seq < t.From || e.Kind == SummaryMade || e.Kind == MessageImported || e.Message != nil && e.Message.Author == AuthorMember
	})
	own.Saw = slices.DeleteFunc(slices.Clone(t.Saw), func(p Passage) bool { return p.Source == "orders" })
	p := own.Prompt()
	x.System, x.Tools, x.Lines, x.Answer = p.Lines[0].Text, p.Tools, p.Lines[1:], *answer
}

// pattern is what exchanges have in common: what the customer wanted and how it was
// met. It holds a digest only, as intents are a model's words.
func (x *Exchange) pattern() string {
	parts := []string{"pattern 1", strings.Join(strings.Fields(strings.ToLower(plainDigits(x.Answer.Intent))), " "), x.Answer.Language}
	for i := range x.Lines {
		for _, k := range x.Lines[i].Calls {
			parts = append(parts, k.Name)
		}
	}
	if x.Answer.Handoff != "" {
		parts = append(parts, "handoff")
	}
	return digestOf(parts...)
}

// Anonymize makes rows of exchanges: personal data is taken out, patterns and words of
// fewer than K contacts are suppressed, and what still looks personal is too. Rows are
// in the order of the exchanges. A policy that is not enabled makes none.
func Anonymize(policy *TrainingPolicy, list []Exchange, r *Redactor) (rows []TrainingRow, report TrainingReport) {
	report = TrainingReport{K: max(policy.K, 2), States: map[string]int{}, Redactions: map[string]int{}}
	if !policy.Enabled {
		return nil, report
	}
	patterns := map[string]map[ContactID]bool{}
	words := map[string]map[ContactID]bool{}
	clean := make([]Exchange, len(list))
	for i := range list {
		x := &list[i]
		if x.State != "" {
			continue
		}
		note(patterns, x.pattern(), x.Contact)
		clean[i] = x.redacted(r, map[string]int{})
		for _, text := range clean[i].said() {
			for _, w := range wordsOf(text) {
				note(words, w, x.Contact)
			}
		}
	}
	kept := map[string]bool{}
	for i := range list {
		x := &list[i]
		row := TrainingRow{Conversation: x.Conversation, Contact: x.Contact, Turn: x.Turn, Version: x.Version, State: x.State}
		if row.State == "" {
			found := map[string]int{}
			if row.State = TrainingFewContacts; len(patterns[x.pattern()]) >= report.K {
				common := x.redacted(r, found)
				row.Line, row.State = common.line(func(w string) bool { return len(words[w]) >= report.K }, r, found)
			}
			if row.State == TrainingKept {
				row.Pattern = x.pattern()
				kept[row.Pattern] = true
				for kind, n := range found {
					report.Redactions[kind] += n
				}
			}
		}
		report.States[row.State]++
		rows = append(rows, row)
	}
	report.Patterns = len(kept)
	return rows, report
}

func note(of map[string]map[ContactID]bool, key string, c ContactID) {
	if of[key] == nil {
		of[key] = map[ContactID]bool{}
	}
	of[key][c] = true
}

// redacted is the exchange with personal data taken out.
func (x *Exchange) redacted(r *Redactor, found map[string]int) Exchange {
	hide := func(s string) string { return r.Redact(s, found) }
	out := *x
	out.System = hide(x.System)
	out.Lines, out.Tools = slices.Clone(x.Lines), slices.Clone(x.Tools)
	for i := range out.Tools {
		out.Tools[i].Description = hide(out.Tools[i].Description)
	}
	for i := range out.Lines {
		l := &out.Lines[i]
		l.Text, l.Pictures, l.Calls = hide(l.Text), nil, slices.Clone(l.Calls)
		for k := range l.Calls {
			l.Calls[k].Args, l.Calls[k].Invalid = hiddenArgs(l.Calls[k].Args, hide), ""
		}
	}
	out.Answer.Messages = nil
	for _, m := range x.Answer.Messages {
		out.Answer.Messages = append(out.Answer.Messages, hide(m))
	}
	out.Answer.Intent, out.Answer.Handoff, out.Answer.Note, out.Answer.Sources = hide(x.Answer.Intent), hide(x.Answer.Handoff), "", nil
	return out
}

// hiddenArgs are arguments with every text in them changed.
func hiddenArgs(args json.RawMessage, hide func(string) string) json.RawMessage {
	var tree any
	d := json.NewDecoder(strings.NewReader(string(args)))
	d.UseNumber()
	if d.Decode(&tree) != nil {
		return json.RawMessage("{}")
	}
	out, err := json.Marshal(hiddenTree(tree, hide))
	if err != nil {
		return json.RawMessage("{}")
	}
	return out
}

func hiddenTree(v any, hide func(string) string) any {
	switch v := v.(type) {
	case string:
		return hide(v)
	case json.Number:
		return hide(v.String())
	case []any:
		for i := range v {
			v[i] = hiddenTree(v[i], hide)
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, e := range v {
			out[hide(key)] = hiddenTree(e, hide)
		}
		return out
	}
	return v
}

// said is what the people of an exchange said, and what was made of it: its words must
// be those of many. The business's own texts are not among it.
func (x *Exchange) said() (texts []string) {
	for i := range x.Lines {
		texts = append(texts, x.Lines[i].Text)
		for _, k := range x.Lines[i].Calls {
			texts = append(texts, string(k.Args))
		}
	}
	return append(append(texts, x.Answer.Messages...), x.Answer.Handoff, x.Answer.Intent)
}

// allowed are the words of the business itself.
func (x *Exchange) allowed() map[string]bool {
	all := map[string]bool{}
	for _, w := range wordsOf(x.System) {
		all[w] = true
	}
	return all
}

// trainingLine is a line of fine-tuning JSONL.
type trainingLine struct {
	Messages []trainingMessage `json:"messages"`
	Tools    []trainingTool    `json:"tools,omitempty"`
}

type trainingMessage struct {
	Role    string         `json:"role"`
	Content string         `json:"content,omitempty"`
	Calls   []trainingCall `json:"tool_calls,omitempty"`
	Call    string         `json:"tool_call_id,omitempty"`
}

type trainingCall struct {
	ID       string           `json:"id"`
	Type     string           `json:"type"`
	Function trainingFunction `json:"function"`
}

type trainingFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type trainingTool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
	} `json:"function"`
}

// line writes a redacted exchange, without words that are not common; state says
// whether it may leave.
func (x *Exchange) line(common func(string) bool, r *Redactor, found map[string]int) (line json.RawMessage, state string) {
	business, words, hidden := x.allowed(), 0, 0
	hide := func(text string) string {
		return eachToken(text, func(w string) string {
			words++
			if l := strings.ToLower(w); business[l] || common(l) {
				return w
			}
			hidden++
			found[PersonalUncommon]++
			return marked(PersonalUncommon)
		})
	}
	out := trainingLine{Messages: []trainingMessage{{Role: "system", Content: x.System}}}
	roles := map[PromptRole]string{RoleSystem: "system", RoleCustomer: "user", RoleAssistant: "assistant", RoleTool: "tool"}
	for i := range x.Lines {
		l := &x.Lines[i]
		m := trainingMessage{Role: roles[l.Role], Content: hide(l.Text), Call: l.Result}
		for _, k := range l.Calls {
			m.Calls = append(m.Calls, trainingCall{ID: k.ID, Type: "function",
				Function: trainingFunction{Name: k.Name, Arguments: string(hiddenArgs(k.Args, hide))}})
		}
		out.Messages = append(out.Messages, m)
	}
	answer := Response{Intent: hide(x.Answer.Intent), Sentiment: x.Answer.Sentiment, Language: x.Answer.Language,
		Confidence: x.Answer.Confidence, Handoff: hide(x.Answer.Handoff), Messages: []string{}, Sources: []string{}}
	for _, m := range x.Answer.Messages {
		answer.Messages = append(answer.Messages, hide(m))
	}
	content, err := json.Marshal(answer)
	if err != nil || words > 0 && 2*hidden > words {
		return nil, TrainingUncommon
	}
	out.Messages = append(out.Messages, trainingMessage{Role: "assistant", Content: string(content)})
	for i := range x.Tools {
		var t trainingTool
		t.Type, t.Function.Name, t.Function.Description, t.Function.Parameters = "function", x.Tools[i].Name, x.Tools[i].Description, x.Tools[i].Parameters
		out.Tools = append(out.Tools, t)
	}
	line, err = json.Marshal(out)
	if err != nil || r.leaks(&out) {
		return nil, TrainingPersonal
	}
	return line, TrainingKept
}

// leaks looks at every text of a line again: what was taken out twice was not taken out
// once.
func (r *Redactor) leaks(out *trainingLine) bool {
	again := map[string]int{}
	for i := range out.Messages {
		r.Redact(out.Messages[i].Content, again)
		for _, k := range out.Messages[i].Calls {
			r.Redact(k.Function.Arguments, again)
		}
	}
	delete(again, PersonalNumber) // a confidence
	for kind := range maps.Keys(again) {
		if again[kind] > 0 {
			return true
		}
	}
	return false
}

// eachToken replaces the words of a text that are no marks.
func eachToken(text string, with func(string) string) string {
	var b strings.Builder
	for at := 0; at < len(text); {
		if text[at] == '[' {
			if end := strings.IndexByte(text[at:], ']'); end > 0 && isMark(text[at:at+end+1]) {
				b.WriteString(text[at : at+end+1])
				at += end + 1
				continue
			}
		}
		n := tokenLen(text[at:])
		if n == 0 {
			_, n = utf8.DecodeRuneInString(text[at:])
			b.WriteString(text[at : at+n])
		} else {
			b.WriteString(with(text[at : at+n]))
		}
		at += n
	}
	return b.String()
}

// wordsOf are the words of a text that are no marks, in lower case.
func wordsOf(text string) (list []string) {
	eachToken(text, func(w string) string { list = append(list, strings.ToLower(w)); return w })
	return list
}

func isMark(s string) bool {
	for _, kind := range PersonalKinds {
		if s == marked(kind) {
			return true
		}
	}
	return false
}
