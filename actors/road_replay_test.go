package actors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
)

// busyModel asks for tools, answers in a form that nobody can use, fetches people and
// sums up, each when a word of the customer says so.
type busyModel struct{}

// Complete implements actors.Model.
func (busyModel) Complete(_ context.Context, p chat.Prompt) (chat.Answer, error) {
	a := chat.Answer{Model: "m", Tokens: chat.Tokens{Prompt: 10, Output: 5}}
	if !p.Structured && len(p.Tools) == 0 {
		a.Text = "They talk about bikes."
		return a, nil
	}
	last, text := &p.Lines[len(p.Lines)-1], ""
	for _, l := range p.Lines {
		if l.Role == chat.RoleCustomer {
			text = l.Text
		}
	}
	say := func(text, handoff string) {
		b, _ := json.Marshal(chat.Response{Messages: []string{text}, Intent: "bikes", Sentiment: "neutral", Handoff: handoff})
		a.Text = string(b)
	}
	switch {
	case last.Role == chat.RoleTool:
		say("found: "+last.Result, "")
	case strings.Contains(text, "price"):
		a.Calls = []chat.ToolCall{{ID: fmt.Sprintf("%d.0", p.Call), Name: chat.ToolSearchCatalog, Args: json.RawMessage(`{"query":"bike"}`)}}
	case strings.Contains(text, "broken") && last.Role != chat.RoleSystem:
		a.Text = `{"messages":"broken"}`
	case strings.Contains(text, "human"):
		say("a person comes", "asked")
	default:
		say("well", "")
	}
	return a, nil
}

// listed finds the same passage for every question.
type listed struct{}

// Search implements actors.Knowledge.
func (listed) Search(_ context.Context, _ chat.TenantID, query string, _ int) ([]chat.Passage, error) {
	return []chat.Passage{{Chunk: "k1", Source: "faq", Title: "Hours", Text: "We open at nine. " + query}}, nil
}

func busyRoad(t *testing.T) *road {
	return newTunedRoad(t, func(o *actors.Options) {
		store := o.Documents
		o.Model, o.Knowledge = busyModel{}, listed{}
		o.Toolbox = actors.NewWorkbench(actors.WorkbenchOptions{Documents: store, Contacts: o.Contacts})
	})
}

// past is what a replay is given of a store.
func (r *road) past() *chat.Past {
	r.t.Helper()
	var all []chat.Doc
	for _, noun := range []chat.DocNoun{chat.DocVersion, chat.DocTool, chat.DocToolText} {
		docs, err := r.store.Docs(r.t.Context(), "acme", noun)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, docs...)
	}
	return chat.ReadPast(all)
}

// rest waits until nothing of a conversation is under way.
func (r *road) rest(who string) {
	r.t.Helper()
	id := r.place(who).Conversation
	until(r.t, func() bool {
		c, _, err := r.store.Load("acme", id)
		return err == nil && c.Turn.Phase == chat.TurnNone && c.Owing() == 0
	})
}

func (r *road) publish(a chat.Assistant) {
	r.t.Helper()
	a.ID = chat.DefaultAssistant
	if v, err := r.sys.Assistants().Draft(r.t.Context(), "acme", chat.DraftAssistant{Draft: a}); err != nil || v.Kind == chat.VerdictRefused {
		r.t.Fatalf("%+v, %v", v, err)
	}
	if v, err := r.sys.Assistants().Publish(r.t.Context(), "acme", chat.PublishAssistant{ID: a.ID}); err != nil || v.Kind == chat.VerdictRefused {
		r.t.Fatalf("%+v, %v", v, err)
	}
}

// TestReplay_MakesThePromptsOfADayAgain drives bursts, tool calls, repairs, takeovers,
// edits, withdrawals and long talks, while the assistant and its tools change, and
// makes every prompt again from what is stored.
func TestReplay_MakesThePromptsOfADayAgain(t *testing.T) {
	r := busyRoad(t)
	random := rand.New(rand.NewPCG(1, 2))
	const people, rounds = 5, 26
	r.deliver(said("15550000", "wamid.first", "before there is an assistant"))
	r.rest("15550000")
	if _, err := r.sys.Catalog().Put(t.Context(), "acme", []chat.CatalogItem{{ID: "B1", Name: "Blue bike", Price: 69900, Currency: "EUR"}}, "k"); err != nil {
		t.Fatal(err)
	}
	book := chat.Tool{Name: "book", Kind: chat.ToolHTTP, Parameters: json.RawMessage(`{"type":"object"}`), HTTP: &chat.HTTPTool{Method: "POST", URL: "https://a.example"}}
	tools := []chat.ToolGrant{{Name: chat.ToolSearchCatalog}, {Name: "book"}}
	number, latest := 0, map[int]chat.RemoteID{}
	for round := range rounds {
		if round%7 == 0 {
			book.Description = fmt.Sprint("books, as of round ", round)
			if err := r.sys.Tools().PutTool(t.Context(), "acme", book, "k"); err != nil {
				t.Fatal(err)
			}
			r.publish(chat.Assistant{Instructions: fmt.Sprint("Sell bikes. Round ", round), Tools: tools})
		}
		for p := range people {
			who := fmt.Sprint(15550000 + p)
			var burst []chat.Inbound
			for range 1 + random.IntN(3) {
				number++
				words := []string{"hello", "the price?", "it is broken", "thanks", "and another thing", "price please"}
				in := said(who, fmt.Sprint("wamid.", number), words[random.IntN(len(words))])
				if random.IntN(12) == 0 && latest[p] != "" {
					in.Type, in.Text, in.Content = "edit", "", &chat.Content{Edit: &chat.Edit{Target: latest[p], Text: "I meant: hello"}}
				}
				if p == people-1 && random.IntN(6) == 0 && latest[p] != "" {
					in.Type, in.Text, in.Content = "revoke", "", &chat.Content{Revoke: &chat.Revoke{Target: latest[p]}}
				}
				if in.Type == chat.TypeText {
					latest[p] = in.Remote
				}
				burst = append(burst, in)
			}
			r.deliver(burst...)
			if random.IntN(10) == 0 {
				id := r.place(who).Conversation
				if _, err := r.sys.Ingress().TakeOver(t.Context(), "acme", id, chat.TakeOver{Member: "eve"}); err != nil {
					t.Fatal(err)
				}
				if _, err := r.sys.Ingress().HandBack(t.Context(), "acme", id, chat.HandBack{Member: "eve"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for p := range people {
			r.rest(fmt.Sprint(15550000 + p))
		}
	}
	past := r.past()
	count := map[string]int{}
	for p := range people {
		events := r.events(fmt.Sprint(15550000 + p))
		for _, c := range chat.RecordedCalls(events) {
			_, lost := c.Prompt(events, past)
			count[lost]++
			switch {
			case lost == "" && c.Summary != nil:
				count["summaries"]++
			case lost == "" && len(c.Record.Calls) > 0:
				count["tools"]++
			case lost == "" && c.Record.Reason != "":
				count["repairs"]++
			case lost == chat.PromptWithdrawn && p == people-1:
			case lost != "":
				t.Errorf("the prompt of %s call %d at %d cannot be made again: %s", c.Turn, c.Call, c.Seq, lost)
			}
		}
	}
	t.Logf("%v", count)
	for _, want := range []string{"summaries", "tools", "repairs", chat.PromptWithdrawn} {
		if count[want] == 0 {
			t.Errorf("the day had no %s: it shows less than it should", want)
		}
	}
}

// A person who was erased, and a version or a tool that is no more, are named.
func TestReplay_NamesWhatCannotBeMadeAgain(t *testing.T) {
	r := busyRoad(t)
	r.publish(chat.Assistant{Instructions: "Sell bikes.", Tools: []chat.ToolGrant{{Name: chat.ToolSearchCatalog}}})
	r.deliver(said("15550001", "wamid.1", "the price?"))
	r.rest("15550001")
	events := r.events("15550001")
	calls := chat.RecordedCalls(events)
	if len(calls) != 2 {
		t.Fatalf("%d calls", len(calls))
	}
	if _, lost := calls[1].Prompt(events, chat.ReadPast(nil)); lost != chat.PromptNoAssistant {
		t.Errorf("without the version: %q", lost)
	}
	changed := calls[1]
	changed.Hash = "other"
	if _, lost := changed.Prompt(events, r.past()); lost != chat.PromptDiffers {
		t.Errorf("another hash: %q", lost)
	}
	record := *calls[1].Record
	record.Made = &chat.Made{Tools: []string{"gone"}}
	changed = calls[1]
	changed.Record = &record
	if _, lost := changed.Prompt(events, r.past()); lost != chat.PromptNoTool {
		t.Errorf("without the tool: %q", lost)
	}
	if _, err := r.store.Erase(t.Context(), "acme", r.place("15550001").Contact); err != nil {
		t.Fatal(err)
	}
	id, _, _ := calls[0].Turn.Parse()
	left, err := r.store.Events("acme", id, 0, 1000)
	if err != nil || len(chat.RecordedCalls(left)) != 0 || chat.ErasedCalls(left) != 2 {
		t.Errorf("%d calls are left, %d erased, %v", len(chat.RecordedCalls(left)), chat.ErasedCalls(left), err)
	}
}
