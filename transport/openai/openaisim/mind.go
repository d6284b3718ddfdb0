package openaisim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// think makes the answer to a request.
func (s *Server) think(a *Asked) Said {
	switch {
	case s.o.Plan.Answer != nil:
		return s.o.Plan.Answer(a)
	case s.o.Plan.Hijacked:
		return hijacked(a, s.o.Plan.Targets)
	case s.o.Plan.Use != nil:
		if calls := s.o.Plan.Use(a); len(calls) > 0 {
			return Said{Calls: calls}
		}
	}
	return rules(a)
}

// The tools that the rules know what to do with.
const (
	toolHandoff   = "handoff"
	toolKnowledge = "search_knowledge"
	toolCatalog   = "search_catalog"
	toolOrder     = "order_status"
)

// rules answer as a well-behaved assistant would: they look things up where a tool for
// it is offered, say what it found, and fetch a person for who asks for one.
func rules(a *Asked) Said {
	run := a.lastUserRun()
	text := strings.Join(run, "\n")
	book, about := recognise(text)
	results := a.results()
	if len(results) == 0 {
		if call, ok := lookUp(a, about, text); ok {
			return Said{Calls: []ToolCall{call}}
		}
	}
	said, sources := reply(run), []any{}
	if text, source, looked := a.found(results, about, text); looked {
		said = book.unknown
		if text != "" {
			said = strings.Replace(book.found, "%s", text, 1)
		}
		if source != "" {
			sources = append(sources, source)
		}
		if covered := tokensOf(run); len(covered) > 0 {
			said += " (" + strings.Replace(book.covers, "%s", strings.Join(covered, " "), 1) + ")"
		}
	}
	return a.formed(said, book.language, about, sources...)
}

type result struct{ name, text string }

// results are what tools said since the last user message.
func (a *Asked) results() []result {
	names := map[string]string{}
	var out []result
	for _, m := range a.Messages[a.lastUser()+1:] {
		for _, c := range m.Calls {
			names[c.ID] = c.Name
		}
		if m.Role == "tool" {
			out = append(out, result{names[m.CallID], m.Text})
		}
	}
	return out
}

// lookUp is the call to make before an answer.
func lookUp(a *Asked, about topic, text string) (ToolCall, bool) {
	number := strings.TrimPrefix(tokenForm.FindString(text), "#")
	if number == "" {
		number = digitForm.FindString(text)
	}
	name, hint := "", text
	switch {
	case about == topicHuman:
		name, hint = toolHandoff, "asked for a person"
	case about == topicOrder && number != "":
		name, hint = toolOrder, number
	case about == topicPrice:
		name = toolCatalog
	case about == topicHours, about == topicOther && strings.Contains(text, "?"):
		name = toolKnowledge
	}
	t := a.offers(name)
	if t == nil {
		return ToolCall{}, false
	}
	return ToolCall{ID: fmt.Sprintf("call_sim_%d", len(a.Messages)), Name: name, Arguments: filled(t.Parameters, map[string]any{"": hint})}, true
}

// readable is a text as a person can read it; of JSON the values. It must not look
// like a token of the customer.
func readable(text string) string {
	const most = 600
	var value any
	if json.Unmarshal([]byte(text), &value) == nil {
		if product, ok := value.(map[string]any); ok {
			delete(product, "id")
		}
		text = strings.Join(leaves(value, nil), ", ")
	}
	runes := []rune(strings.Join(strings.Fields(strings.ReplaceAll(text, "#", "")), " "))
	return string(runes[:min(len(runes), most)])
}

func leaves(value any, out []string) []string {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = leaves(v[key], out)
		}
	case []any:
		for _, e := range v {
			out = leaves(e, out)
		}
	case nil:
	default:
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// intents are the words of structured answers.
var intents = map[topic]string{
	topicOther: "other", topicHours: "opening hours", topicPrice: "price", topicOrder: "order status",
	topicThanks: "thanks", topicGreeting: "greeting", topicMedia: "sends a file", topicHuman: "wants a person",
}

// formed says text in the form that is asked for.
func (a *Asked) formed(text, language string, about topic, sources ...any) Said {
	hints := map[string]any{
		"messages": []any{text}, "intent": intents[about], "sentiment": "neutral", "language": language,
		"confidence": 0.9, "handoff": "", "note": "", "sources": append([]any{}, sources...), "": "",
	}
	if about == topicThanks {
		hints["sentiment"] = "positive"
	}
	if about == topicHuman {
		hints["handoff"], hints["note"] = "asked for a person", "The customer asked for a person."
	}
	switch a.Form {
	case "json_schema":
		return Said{Text: filled(a.Schema, hints), reply: text}
	case "json_object":
		delete(hints, "")
		return Said{Text: string(encode(hints)), reply: text}
	}
	return Said{Text: text, reply: text}
}

// spoiled is an answer with the fault of a request.
func (a *Asked) spoiled(f Fault, said Said) Said {
	switch f {
	case FaultEmpty:
		return Said{}
	case FaultRefusal:
		return Said{Refusal: "I'm sorry, I can't help with that."}
	case FaultFiltered:
		return Said{Finish: "content_filter"}
	case FaultTruncated:
		words := strings.SplitAfter(said.Text, " ")
		return Said{Text: strings.Join(words[:len(words)/2], ""), Finish: "length"}
	case FaultLanguage:
		text := "Mila esker mezuagatik. Laster erantzungo dizugu."
		if covered := tokensOf(a.lastUserRun()); len(covered) > 0 {
			text += " (" + strings.Join(covered, " ") + ")"
		}
		return a.formed(text, "eu", topicOther)
	case FaultForm:
		if a.Form != "" {
			said.Text = `{"messages":"` + strings.ReplaceAll(said.reply, `"`, "'") + `","confidence":"very"}`
		}
	case FaultCall:
		if len(a.Tools) > 0 {
			return Said{Calls: misshapen(a)}
		}
	}
	return said
}

// misshapen are calls that no schema allows.
func misshapen(a *Asked) []ToolCall {
	var out []ToolCall
	for i, args := range []string{`{"a":`, `{"a":NaN}`, `{"a":1e999999}`, `{"a":1,"a":2}`, `[]`, strings.Repeat(`{"a":`, 1000), ``, `{"__proto__":{}}`} {
		name := a.Tools[i%len(a.Tools)].Name
		if i == 0 {
			name = "no such tool\x00"
		}
		out = append(out, ToolCall{ID: "call_same", Name: name, Arguments: args})
	}
	return out
}

// names lists tools, for the ledger.
func names(tools []Tool) []string {
	var out []string
	for _, t := range tools {
		out = append(out, t.Name)
	}
	slices.Sort(out)
	return out
}
