package chat_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// turning executes the commands of turns with tools and money. known is false for
// another command; without a fact it only set something.
//
//	grant NAME [acts] [repeatable] [approval] [max=N] [timeout=5s]
//	profile steps=N tools=N cost=N disclosure="text" version=N
//	hours 9-17 ["text"]          of every day in UTC, and what is sent outside them
//	cost prompt=N output=N [budget=N] [broke=handoff]
//	uses NAME N                  how often a tool was called lately
//	calls NAME [NAME ...] [cost=N] [text="..."]  the model asks for tools, ids "1", "2", ...
//	invalid NAME                 it asks for one with arguments that are not valid
//	handoff "note" [text=x] [blocked=WORD]  it asks for the engine's tool
//	result ID "text" [error=word] [turn=old] [acts]
//	decide ID yes|no
//	blocked "text" WORD          an answer that breaks a rule
func turning(w *world, words []string, opt map[string]string) (f chat.Fact, known bool) {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	has := func(word string) bool {
		for _, v := range words[1:] {
			if v == word {
				return true
			}
		}
		return false
	}
	num := func(key string) int64 { n, _ := strconv.ParseInt(opt[key], 10, 64); return n }
	if w.set.Profile == nil {
		w.set.Profile, w.set.Tools = &chat.Assistant{ID: "main"}, map[string]chat.Tool{}
	}
	call := func(names ...string) chat.ModelAnswered {
		a := chat.Answer{Model: "m", Cost: chat.Money(num("cost")), Text: opt["text"]}
		for i, name := range names {
			a.Calls = append(a.Calls, chat.ToolCall{ID: strconv.Itoa(i + 1), Name: name, Args: json.RawMessage(`{}`)})
		}
		return chat.ModelAnswered{Turn: w.state.TurnID(), Call: w.state.Turn.Call, Answer: a}
	}
	p := *w.set.Profile
	switch arg(0) {
	case "grant":
		p.Tools = append(p.Tools[:len(p.Tools):len(p.Tools)], chat.ToolGrant{Name: arg(1), Approval: has("approval"), Max: int(num("max"))})
		timeout, _ := time.ParseDuration(opt["timeout"])
		w.set.Tools[arg(1)] = chat.Tool{Name: arg(1), Acts: has("acts"), Repeatable: has("repeatable"), Timeout: timeout}
	case "profile":
		p.Limits.Steps, p.Limits.Tools, p.Limits.Cost = int(num("steps")), int(num("tools")), chat.Money(num("cost"))
		p.Version, p.Disclosure = int(num("version")), opt["disclosure"]
	case "hours":
		var from, to int
		_, _ = fmt.Sscanf(arg(1), "%d-%d", &from, &to)
		p.Away, p.Hours = arg(2), &chat.Hours{Zone: "UTC"}
		for day := range 7 {
			p.Hours.Open = append(p.Hours.Open, chat.OpenSpan{Day: time.Weekday(day), From: from * 60, To: to * 60})
		}
	case "cost":
		w.set.CallCost = chat.CallCost{Prompt: chat.Money(num("prompt")), Output: chat.Money(num("output"))}
		w.set.Budget, w.set.Broke = chat.Money(num("budget")), chat.BudgetFallback(opt["broke"])
	case "uses":
		n, _ := strconv.Atoi(arg(2))
		w.uses = map[string]int{arg(1): n}
	case "calls":
		var names []string
		for _, v := range words[1:] {
			if !strings.Contains(v, "=") {
				names = append(names, v)
			}
		}
		return call(names...), true
	case "invalid":
		m := call(arg(1))
		m.Answer.Calls[0].Invalid = "field x is missing"
		return m, true
	case "handoff":
		w.set.Tools[chat.ToolHandoff] = chat.Tool{Name: chat.ToolHandoff}
		p.Tools = append(p.Tools[:len(p.Tools):len(p.Tools)], chat.ToolGrant{Name: chat.ToolHandoff})
		w.set.Profile = &p
		m := call(chat.ToolHandoff)
		m.Blocked = opt["blocked"]
		m.Answer.Calls[0].Args, _ = json.Marshal(map[string]string{"reason": arg(1)})
		return m, true
	case "result":
		r := chat.ToolFinished{Turn: w.state.TurnID(), Call: arg(1), Name: "late", Acts: has("acts"),
			Result: chat.ToolResult{Content: arg(2), Error: opt["error"]}}
		if opt["turn"] == "old" {
			r.Turn = chat.TurnIDAt(w.state.ID, 1)
		}
		return r, true
	case "decide":
		return chat.ToolDecision{Call: arg(1), Approved: arg(2) == "yes", Member: "ana"}, true
	case "blocked":
		return chat.ModelAnswered{Turn: w.state.TurnID(), Call: w.state.Turn.Call, Answer: chat.Answer{Text: arg(1), Model: "m"}, Blocked: arg(2)}, true
	default:
		return nil, false
	}
	w.set.Profile = &p
	return nil, true
}

func turnDetail(r *chat.TurnRecord) (s string) {
	if r.Version != "" && r.Version != "main@0" {
		s += " version=" + string(r.Version)
	}
	if r.Reserved != 0 {
		s += fmt.Sprintf(" reserved=%d", r.Reserved)
	}
	if r.Cost != 0 {
		s += fmt.Sprintf(" cost=%d", r.Cost)
	}
	for _, c := range r.Calls {
		s += fmt.Sprintf(" %s=%s", c.ID, c.Name)
	}
	return s
}

func toolDetail(r *chat.ToolRecord) string {
	s := fmt.Sprintf(" %s=%s", r.ID, r.Name)
	if r.N > 0 {
		s += fmt.Sprintf(" n=%d", r.N)
	}
	if r.Acts {
		s += " acts"
	}
	if r.Member != "" {
		s += fmt.Sprintf(" approved=%v by %s", r.Approved, r.Member)
	}
	if r.Result != nil && r.Result.Error != "" {
		s += " " + r.Result.Error
	} else if r.Result != nil {
		s += fmt.Sprintf(" %q", r.Result.Content)
	}
	if r.Late {
		s += " late"
	}
	return s
}
