package actors

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// bench of tools: what was run, and what a run waits for.
type toolLedger struct {
	mu   sync.Mutex
	runs []chat.ToolRun
	// ended counts runs that came to their end, cancelled those whose context did.
	ended, cancelled int
	takes            time.Duration
}

// Run implements Toolbox.
func (l *toolLedger) Run(ctx context.Context, r chat.ToolRun) chat.ToolResult {
	l.mu.Lock()
	l.runs = append(l.runs, r)
	takes := l.takes
	l.mu.Unlock()
	select {
	case <-time.After(takes):
		l.mu.Lock()
		l.ended++
		l.mu.Unlock()
		return chat.ToolResult{Content: "result of " + r.Call.Name}
	case <-ctx.Done():
		l.mu.Lock()
		l.cancelled++
		l.mu.Unlock()
		return chat.ToolResult{Error: "cancelled", Content: "cancelled"}
	}
}

func (l *toolLedger) names() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.runs {
		names = append(names, l.runs[i].Call.Name)
	}
	return names
}

// toolModel asks for tools as often as there are names in what the customer said, one
// step each, and then tells what it was told.
func toolModel(seen *[]chat.Prompt) Model {
	return scriptModel{func(_ context.Context, p chat.Prompt) (chat.Answer, error) {
		*seen = append(*seen, p)
		var words, results []string
		for _, l := range p.Lines {
			switch l.Role {
			case chat.RoleCustomer:
				words = append(words, strings.Fields(l.Text)...)
			case chat.RoleTool:
				results = append(results, l.Text)
			}
		}
		if len(results) < len(words) {
			name := words[len(results)]
			return chat.Answer{Model: "m", Calls: []chat.ToolCall{{ID: name + "-" + strconv.Itoa(p.Call), Name: name, Args: json.RawMessage(`{"a":1}`)}}}, nil
		}
		return chat.Answer{Text: strings.Join(results, "; "), Model: "m"}, nil
	}}
}

// tooled publishes an assistant with tools: look changes nothing, pay does, book does
// and knows repetitions.
func tooled(t *testing.T, store *memStore) {
	t.Helper()
	a := chat.Assistant{ID: chat.DefaultAssistant, Version: 1, Instructions: "help", Tools: []chat.ToolGrant{{Name: "look"}, {Name: "pay"}, {Name: "book"}}}
	docs := published(t, a)
	for _, tool := range []chat.Tool{{Name: "look", Kind: chat.ToolHTTP}, {Name: "pay", Kind: chat.ToolHTTP, Acts: true},
		{Name: "book", Kind: chat.ToolHTTP, Acts: true, Repeatable: true}} {
		docs = append(docs, chat.Doc{Noun: chat.DocTool, ID: tool.Name, Value: jsonOf(t, tool)})
	}
	for _, d := range docs {
		store.setDoc(d.Noun, d.ID, d.Value)
	}
}

func TestTools_ATurnCallsThemAndAnswers(t *testing.T) {
	ledger, seen := &toolLedger{takes: time.Second}, []chat.Prompt{}
	inBubble(t, func(o *Options) { o.Model, o.Toolbox = toolModel(&seen), ledger }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		tooled(t, store)
		deliver(t, s, textFrom("1555", "wamid.1", "look pay"))
		settle(30 * time.Second)
		if got := graph.texts(); !slices.Equal(got, []string{"result of look; result of pay"}) {
			t.Errorf("sent %q", got)
		}
		if got := ledger.names(); !slices.Equal(got, []string{"look", "pay"}) {
			t.Fatalf("tools run: %q", got)
		}
		r := ledger.runs[1]
		if r.Tenant != "acme" || r.Conversation != conversationOf("1555") || r.Contact == "" || r.Key == "" || r.Key == ledger.runs[0].Key ||
			!r.Tool.Acts || string(r.Call.Args) != `{"a":1}` {
			t.Errorf("run %+v", r)
		}
		if len(seen) != 3 || len(seen[0].Tools) != 3 || !seen[0].Structured {
			t.Errorf("%d prompts, the first with %d tools", len(seen), len(seen[0].Tools))
		}
		var roles []chat.PromptRole
		for _, l := range seen[2].Lines {
			roles = append(roles, l.Role)
		}
		want := []chat.PromptRole{chat.RoleSystem, chat.RoleCustomer, chat.RoleAssistant, chat.RoleTool, chat.RoleAssistant, chat.RoleTool}
		if !slices.Equal(roles, want) {
			t.Errorf("lines %v, want %v", roles, want)
		}
		got := store.kinds(conversationOf("1555"))
		wantKinds := []string{"conversation_started", "message_received", "turn_started", "turn_called", "tool_started", "tool_ended",
			"turn_started", "turn_called", "tool_started", "tool_ended", "turn_started", "turn_answered", "message_queued", "attempt_started", "message_accepted"}
		if !slices.Equal(got, wantKinds) {
			t.Errorf("events %q", got)
		}
	})
}

// A newer message ends a tool that changes nothing, and the turn begins anew; one that
// changes something goes on, and the message joins the next step.
func TestTools_ANewerMessageEndsWhatChangesNothing(t *testing.T) {
	for _, c := range []struct {
		tool             string
		ended, cancelled int
	}{{"look", 2, 1}, {"pay", 2, 0}} {
		t.Run(c.tool, func(t *testing.T) {
			ledger, seen := &toolLedger{takes: 5 * time.Second}, []chat.Prompt{}
			inBubble(t, func(o *Options) { o.Model, o.Toolbox = toolModel(&seen), ledger }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
				tooled(t, store)
				deliver(t, s, textFrom("1555", "wamid.1", c.tool))
				settle(4 * time.Second)
				deliver(t, s, textFrom("1555", "wamid.2", "look"))
				settle(40 * time.Second)
				if ledger.ended != c.ended || ledger.cancelled != c.cancelled {
					t.Errorf("%d ended, %d cancelled; want %d and %d", ledger.ended, ledger.cancelled, c.ended, c.cancelled)
				}
				if got := graph.texts(); !slices.Equal(got, []string{"result of " + c.tool + "; result of look"}) {
					t.Errorf("sent %q", got)
				}
			})
		})
	}
}

// Another leader takes over while tools are under way: what changes nothing, or knows
// repetitions by its key, is run again; what does neither is not.
func TestTools_AnotherLeaderResumesTheTurn(t *testing.T) {
	for _, c := range []struct {
		tool string
		runs int
		sent string
	}{{"look", 2, "result of look"}, {"book", 2, "result of book"}, {"pay", 1, chat.ToolFailed("unknown").Content}} {
		t.Run(c.tool, func(t *testing.T) {
			ledger, seen := &toolLedger{takes: 10 * time.Second}, []chat.Prompt{}
			inBubble(t, func(o *Options) { o.Model, o.Toolbox = toolModel(&seen), ledger }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
				tooled(t, store)
				deliver(t, s, textFrom("1555", "wamid.1", c.tool))
				settle(4 * time.Second)
				store.elect(store.Epoch(0) + 1)
				settle(time.Minute)
				if got := ledger.names(); len(got) != c.runs {
					t.Errorf("runs %q, want %d", got, c.runs)
				}
				if c.runs == 2 && ledger.runs[0].Key != ledger.runs[1].Key {
					t.Error("a repetition has another key")
				}
				if got := graph.texts(); !slices.Equal(got, []string{c.sent}) {
					t.Errorf("sent %q, want %q", got, c.sent)
				}
			})
		})
	}
}

// After a takeover nothing of the turn goes out, and what a tool that changes
// something came to is recorded.
func TestTools_TakeoverEndsTheTurn(t *testing.T) {
	ledger, seen := &toolLedger{takes: 10 * time.Second}, []chat.Prompt{}
	inBubble(t, func(o *Options) { o.Model, o.Toolbox = toolModel(&seen), ledger }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		tooled(t, store)
		deliver(t, s, textFrom("1555", "wamid.1", "pay"))
		settle(4 * time.Second)
		if _, err := s.Ingress().TakeOver(t.Context(), "acme", conversationOf("1555"), chat.TakeOver{Member: "ana"}); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		if got := graph.texts(); len(got) != 0 {
			t.Errorf("sent %q", got)
		}
		events, err := store.Events("acme", conversationOf("1555"), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		last := events[len(events)-1]
		if last.Kind != chat.ToolEnded || !last.Tool.Late || last.Tool.Result.Content != "result of pay" {
			t.Errorf("the last event is %s %+v", last.Kind, last.Tool)
		}
	})
}

// A call that needs a person waits, and is made once that person said so.
func TestTools_ApprovalLetsACallBeMade(t *testing.T) {
	ledger, seen := &toolLedger{takes: time.Second}, []chat.Prompt{}
	inBubble(t, func(o *Options) { o.Model, o.Toolbox = toolModel(&seen), ledger }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		tooled(t, store)
		for _, d := range published(t, chat.Assistant{ID: chat.DefaultAssistant, Version: 2, Tools: []chat.ToolGrant{{Name: "pay", Approval: true}}}) {
			store.setDoc(d.Noun, d.ID, d.Value)
		}
		id := conversationOf("1555")
		deliver(t, s, textFrom("1555", "wamid.1", "pay"))
		settle(20 * time.Second)
		if len(ledger.names()) != 0 {
			t.Fatal("it was made without approval")
		}
		err := s.Ingress().Decide(t.Context(), "acme", id, chat.ToolDecision{Call: "other-1", Approved: true, Member: "ana"})
		if chat.KindOf(err) != chat.KindNotFound {
			t.Errorf("a call that nobody asked for: %v", err)
		}
		for range 2 {
			if err := s.Ingress().Decide(t.Context(), "acme", id, chat.ToolDecision{Call: "pay-1", Approved: true, Member: "ana"}); err != nil {
				t.Fatal(err)
			}
		}
		settle(20 * time.Second)
		if got := graph.texts(); len(ledger.names()) != 1 || !slices.Equal(got, []string{"result of pay"}) {
			t.Errorf("runs %q, sent %q", ledger.names(), got)
		}
	})
}
