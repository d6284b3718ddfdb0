package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

// C8, C12 and C13 hold through turns that call tools of every class, whatever comes
// between: world.do checks them after each fact. What is drawn fits the state mostly, so
// that turns get far.
func TestStep_TurnsOfToolsKeepTheInvariants(t *testing.T) {
	var steps, acted, late, asked int
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(chat.WhatsApp)
		tooled(w)
		w.set.Profile.Limits.Tools = rapid.SampledFrom([]int{0, 1, 4}).Draw(t, "tools max")
		w.set.Profile.Limits.Steps = rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "steps max")
		if rapid.IntRange(0, 3).Draw(t, "full") == 0 {
			w.contact = full()
		}
		for i := range rapid.IntRange(40, 200).Draw(t, "steps") {
			f := workFact(t, w, i)
			if f == nil {
				w.epoch++
				f = chat.Tick{}
			}
			if err := w.do(f); err != nil {
				t.Fatalf("after %T %+v: %v", f, f, err)
			}
		}
		for _, e := range w.events {
			switch {
			case e.Kind == chat.TurnCalled:
				steps++
			case e.Kind == chat.ToolStarted && e.Tool.Acts:
				acted++
			case e.Kind == chat.ToolAsked:
				asked++
			case e.Kind == chat.ToolEnded && e.Tool.Late:
				late++
			}
		}
	})
	t.Logf("%d steps, %d calls that change something, %d approvals, %d late results", steps, acted, asked, late)
	if steps < 100 || acted < 50 || asked < 10 || late < 5 {
		t.Errorf("turns do not get far: %d steps, %d calls that change something, %d approvals, %d late results", steps, acted, asked, late)
	}
}

// full is a contact without room for another field.
func full() (c chat.Contact) {
	c.ID, c.Fields = "ct_1", map[string]string{}
	for i := range chat.FieldsMax {
		c.Fields[fmt.Sprint("f", i)] = "x"
	}
	return c
}

// workFact draws a fact that the turn may be waiting for; nil stands for a crash.
func workFact(t *rapid.T, w *world, i int) chat.Fact {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
	switch rapid.IntRange(0, 39).Draw(t, "whatever") {
	case 0:
		return nil
	case 1:
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
		return chat.Tick{}
	case 2:
		return rapid.SampledFrom([]chat.Fact{chat.TakeOver{}, chat.HandBack{}, chat.HandBack{}}).Draw(t, "desk")
	case 3:
		return anyFact(t, w, i)
	case 4:
		w.alter(rapid.IntRange(0, 6).Draw(t, "alter"))
	case 5:
		return anyTool(t, w)
	case 6:
		return chat.ToolFinished{Turn: chat.TurnIDAt(w.state.ID, 1), Call: "1", Name: "pay", Acts: true, Result: chat.ToolResult{Content: "late"}}
	case 7:
		if w.state.Seq > 0 {
			return chat.Summarized{Summary: chat.Summary{UpTo: w.state.Seq, Text: "they talked", Cost: chat.Money(rapid.IntRange(0, 9).Draw(t, "cost"))}}
		}
	}
	if due := w.state.Armed; !due.IsZero() && due.After(w.now) && rapid.IntRange(0, 2).Draw(t, "wait") == 0 {
		w.now = due
	}
	switch turn := w.state.Turn; turn.Phase {
	case chat.TurnRunning:
		return modelFact(t, w)
	case chat.TurnWorking:
		k := w.state.Work.Calls[rapid.IntRange(0, len(w.state.Work.Calls)-1).Draw(t, "pending")]
		if k.State == chat.CallAsked {
			return chat.ToolDecision{Call: k.ID, Approved: rapid.Bool().Draw(t, "approved"), Member: "ana"}
		}
		r := chat.ToolResult{Content: "x", Error: rapid.SampledFrom([]string{"", "", "failed"}).Draw(t, "error")}
		return chat.ToolFinished{Turn: w.state.TurnID(), Call: k.ID, Name: k.Tool, Acts: k.Acts, Result: r}
	case chat.TurnWaiting:
		return chat.Tick{}
	}
	switch {
	case w.state.Holder != chat.HolderAssistant && w.state.Seq > 0:
		return chat.HandBack{}
	case len(w.state.Outbox) > 0 && w.state.Outbox[0].State == chat.SendQueued:
		return chat.AttemptDue{Message: w.state.Outbox[0].Message}
	case len(w.state.Outbox) > 0 && w.state.Outbox[0].State == chat.SendAttempting:
		o := w.state.Outbox[0]
		return chat.AttemptFinished{Message: o.Message, N: o.N, Outcome: chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID("s" + o.Message)}}
	}
	return &chat.Inbound{Kind: chat.InboundMessage, Customer: w.customer(), Type: chat.TypeText, Text: "hi", Time: w.now,
		Remote: chat.RemoteID(fmt.Sprint("work", i))}
}

// alter changes what the tenant has while a turn is under way.
func (w *world) alter(how int) {
	switch tools := w.set.Tools; how {
	case 0:
		delete(tools, "book")
	case 1:
		delete(tools, "refund")
	case 2:
		tools["book"], tools["refund"] = chat.Tool{Acts: true, Repeatable: true, Timeout: time.Second}, chat.Tool{Acts: true}
	case 3:
		w.uses = map[string]int{"look": 3}
	case 4:
		w.uses = nil
	case 5:
		w.exhausted = []string{chat.BudgetCounter(w.now)}
	case 6:
		w.exhausted = nil
	}
}

// modelFact draws what a model may say when it is asked.
func modelFact(t *rapid.T, w *world) chat.Fact {
	turn, cost := w.state.Turn, chat.Money(rapid.IntRange(0, 120).Draw(t, "cost"))
	answer := func(a chat.Answer) chat.Fact {
		a.Model, a.Cost = "m", cost
		return chat.ModelAnswered{Turn: w.state.TurnID(), Call: turn.Call, Answer: a}
	}
	switch rapid.IntRange(0, 9).Draw(t, "says") {
	case 0:
		return chat.ModelFailed{Turn: w.state.TurnID(), Call: turn.Call, Cost: cost,
			Reason: rapid.SampledFrom([]string{"timeout", "cut", "rate_limited"}).Draw(t, "reason"), Permanent: rapid.IntRange(0, 9).Draw(t, "permanent") == 0}
	case 1:
		return answer(chat.Answer{Text: rapid.SampledFrom([]string{"", "  ", "hello", strings.Repeat("long ", 3000)}).Draw(t, "text")})
	case 2:
		m := answer(chat.Answer{Text: "the price is 3 EUR"}).(chat.ModelAnswered)
		m.Blocked = "price"
		return m
	case 3:
		return answer(chat.Answer{Text: "hello"})
	}
	a := chat.Answer{Text: rapid.SampledFrom([]string{"", "a moment, please"}).Draw(t, "aside")}
	names := []string{"look", "look", "pay", "book", "book", "refund", "refund", "evil", chat.ToolSetContact, chat.ToolHandoff}
	for i := range rapid.IntRange(1, 4).Draw(t, "calls") {
		k := chat.ToolCall{ID: fmt.Sprintf("%d.%d", turn.Call, i+1), Name: rapid.SampledFrom(names).Draw(t, "name")}
		k.Args, _ = json.Marshal(map[string]string{
			"field": rapid.SampledFrom([]string{"size", "Size!", "", "one_field_with_a_name_that_is_far_too_long", "f1"}).Draw(t, "field"),
			"value": rapid.SampledFrom([]string{"M", "", strings.Repeat("x", chat.FieldMax+1)}).Draw(t, "value"),
			"note":  rapid.SampledFrom([]string{"", "wants a person"}).Draw(t, "note")})
		if rapid.IntRange(0, 19).Draw(t, "invalid") == 0 {
			k.Invalid = "no"
		}
		a.Calls = append(a.Calls, k)
	}
	return answer(a)
}
