package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/chumiai/chumi/chat"
)

func (d *desk) Usage(_ context.Context, t chat.TenantID, from, to string) (map[chat.UsageKey]chat.UsageSum, error) {
	sums := map[chat.UsageKey]chat.UsageSum{}
	for i, day := range []string{"2026-11-01", "2026-11-02", "2026-12-01"} {
		for _, v := range []chat.AssistantRef{"", "main@1", "main@2"} {
			if t == "acme" && from <= day && day <= to {
				sums[chat.UsageKey{Day: day, Channel: "acme-wa", Assistant: v}] = chat.UsageSum{Calls: int64(i + 1), Cost: 1_500_000}
			}
		}
	}
	return sums, nil
}

func (d *desk) Budget(context.Context, chat.TenantID) (b chat.BudgetView, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, doc := range d.docs {
		if doc.Noun == chat.DocAllowance {
			b.Allowance = chat.AllowanceOf(doc.Value)
		}
	}
	s := (&chat.Settings{Budget: 100e9, BudgetSoft: 80e9, Broke: chat.BrokeApology}).Allowing(b.Allowance)
	b.Bound, b.Soft, b.Fallback, b.Month, b.Counted = s.Budget, s.BudgetSoft, s.Broke, "2026-11", 1_500_000
	return b, nil
}

func (d *desk) SetAllowance(_ context.Context, _ chat.TenantID, f chat.SetAllowance) (chat.Verdict, error) {
	if wrong := f.Allowance.Check(); wrong != nil {
		return chat.Verdict{Kind: chat.VerdictRefused, Limit: wrong}, nil
	}
	return d.do(f)
}

func (d *desk) Past(context.Context, chat.TenantID) (*chat.Past, error) {
	return chat.ReadPast(d.docs), nil
}

// talking fills the talk with turns: each asks for a tool and loses a call first.
func (d *desk) talking(turns, between int) (ids []chat.TurnID) {
	add := func(e chat.Event) {
		e.Seq = chat.Seq(len(d.talk) + 1)
		e.Pos, e.Time, e.Tenant, e.Channel, e.Conversation = chat.Pos(1000+e.Seq), noon.Add(time.Duration(e.Seq)*time.Second), "acme", "acme-wa", asked
		d.talk = append(d.talk, e)
	}
	for range turns {
		add(chat.Event{Kind: chat.MessageReceived, Message: &chat.Message{ID: chat.MessageIDAt(asked, chat.Seq(len(d.talk)+1)), Type: chat.TypeText, Text: "Where is my order?"}})
		from := chat.Seq(len(d.talk))
		id := chat.TurnIDAt(asked, from+1)
		ids = append(ids, id)
		step := func(k chat.EventKind, r chat.TurnRecord) {
			r.ID, r.From, r.UpTo, r.Version = id, from, from, "main@2"
			add(chat.Event{Kind: k, Turn: &r})
		}
		tool := func(k chat.EventKind, r chat.ToolRecord) {
			r.Turn, r.ID, r.Name = id, "1", "orders"
			add(chat.Event{Kind: k, Tool: &r})
		}
		step(chat.TurnStarted, chat.TurnRecord{Call: 1, Reserved: 100})
		step(chat.TurnStarted, chat.TurnRecord{Call: 2, Reserved: 100, Cost: 70})
		step(chat.TurnCalled, chat.TurnRecord{Call: 2, Model: "m", PromptHash: "ab", PromptTokens: 90, OutTokens: 5, Cost: 50,
			Calls: []chat.ToolCall{{ID: "1", Name: "orders", Args: json.RawMessage(`{"order":"17"}`)}}})
		tool(chat.ToolStarted, chat.ToolRecord{N: 1})
		tool(chat.ToolEnded, chat.ToolRecord{Result: &chat.ToolResult{Content: "On its way."}})
		step(chat.TurnStarted, chat.TurnRecord{Call: 3, Reserved: 100})
		step(chat.TurnAnswered, chat.TurnRecord{Call: 3, Model: "m", Provider: "own", Request: "r1", PromptHash: "cd", Cost: 60, Answer: "It is on its way.",
			Tokens: chat.Tokens{Prompt: 120, Cached: 100, Output: 9}, Horizon: from + 5, Saw: []chat.Passage{{Chunk: "c1", Source: "s", Text: "x"}}})
		add(chat.Event{Kind: chat.MessageQueued, Message: &chat.Message{ID: chat.MessageIDAt(asked, chat.Seq(len(d.talk)+1)), Type: chat.TypeText, Text: "It is on its way.", Turn: id}})
		for range between {
			add(chat.Event{Kind: chat.StatusChanged, Status: &chat.StatusChange{Remote: "wamid.1", Status: chat.StatusRead}})
		}
	}
	return ids
}

func TestContract_TurnsUsageBudget(t *testing.T) {
	s := start(t, nil)
	id := s.desk.talking(3, 0)[1]
	doc := contract(t)
	doc.Servers = nil
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	turns := "/v1/conversations/" + string(asked) + "/turns"
	for _, tc := range []struct {
		method, path, key, body string
		ok                      bool
		want                    int
		holds                   string
	}{
		{"GET", "/v1/turns/" + string(id), "acme-reader", "", true, 200, `"state":"answered"`},
		{"GET", "/v1/turns/" + string(id) + "?include=prompts", "acme-reader", "", true, 200, `"prompts":[{"call":2,"prompt_hash":"ab","lost":"`},
		{"GET", "/v1/turns/" + string(id) + "?include=all", "acme-reader", "", false, 400, `"include"`},
		{"GET", "/v1/turns/" + string(chat.TurnIDAt(asked, 1)), "acme-key", "", true, 404, "turn_not_found"},
		{"GET", "/v1/turns/" + string(chat.TurnIDAt(other, 1)), "acme-key", "", true, 404, "turn_not_found"},
		{"GET", "/v1/turns/nonsense", "acme-key", "", true, 404, "turn_not_found"},
		{"GET", "/v1/turns/" + string(id), "acme-writer", "", true, 403, "scope_missing"},
		{"GET", turns, "acme-reader", "", true, 200, `"next_cursor":null`},
		{"GET", turns + "?limit=2", "acme-reader", "", true, 200, `"next_cursor":"`},
		{"GET", turns + "?cursor=x", "acme-reader", "", true, 400, "cursor_invalid"},
		{"GET", "/v1/conversations/" + string(other) + "/turns", "acme-key", "", true, 404, "conversation_not_found"},
		{"GET", "/v1/usage?from=2026-11-01&to=2026-11-30", "acme-reader", "", true, 200, `"total":{"messages_in":0,"messages_out":0,"turns":0,"model_calls":9,`},
		{"GET", "/v1/usage?from=2026-11-01&to=2026-11-30&by=assistant", "acme-reader", "", true, 200, `{"assistant":"main@1","messages_in":0,"messages_out":0,"turns":0,"model_calls":3,`},
		{"GET", "/v1/usage?from=2026-11-01&to=2026-12-31&by=day,channel,assistant", "acme-reader", "", true, 200, `"day":"2026-12-01","channel_id":"acme-wa","assistant":"main@2"`},
		{"GET", "/v1/usage?to=2026-11-01", "acme-reader", "", true, 200, `"cost":"0.0045"`},
		{"GET", "/v1/usage", "acme-reader", "", true, 200, `"currency":"EUR"`},
		{"GET", "/v1/usage?from=yesterday", "acme-reader", "", false, 400, `"from"`},
		{"GET", "/v1/usage?from=2026-11-02&to=2026-11-01", "acme-reader", "", true, 400, `"from"`},
		{"GET", "/v1/usage?by=" + url.QueryEscape("hour"), "acme-reader", "", true, 400, `"by"`},
		{"GET", "/v1/usage", "acme-writer", "", true, 403, "scope_missing"},
		{"GET", "/v1/budget", "acme-reader", "", true, 200, `"effective":{"per_month":"100.00","soft":"80.00","fallback":"apology"}`},
		{"PUT", "/v1/budget", "acme-writer", `{"version":0,"per_month":"50"}`, true, 403, "scope_missing"},
		{"PUT", "/v1/budget", "acme-manager", `{"version":0,"per_month":"50"}`, true, 200, `"own":{"per_month":"50.00","soft":null,"fallback":""}`},
		{"PUT", "/v1/budget", "acme-manager", `{"version":0,"per_month":"50"}`, true, 200, `"version":1`},
		{"PUT", "/v1/budget", "acme-manager", `{"version":0,"per_month":"60"}`, true, 409, "budget_changed"},
		{"PUT", "/v1/budget", "acme-manager", `{"version":1,"per_month":"5","soft":"6"}`, true, 400, `"soft"`},
		{"PUT", "/v1/budget", "acme-manager", `{"version":1,"per_month":"much"}`, true, 400, `"per_month"`},
		{"PUT", "/v1/budget", "acme-manager", `{"per_month":"5"}`, false, 400, `"version"`},
		{"PUT", "/v1/budget", "acme-manager", `{"version":1,"fallback":"handoff"}`, true, 200, `"effective":{"per_month":"100.00","soft":"80.00","fallback":"handoff"}`},
	} {
		a := checked(t, s, router, tc.ok, tc.method, tc.path, tc.key, tc.body)
		if a.status != tc.want || !strings.Contains(a.body, tc.holds) {
			t.Errorf("%s %s %s: %d, want %d with %s\n%s", tc.method, tc.path, tc.body, a.status, tc.want, tc.holds, a.body)
		}
	}
}

func TestTurn_ShowsWhatWasDoneAndWhatItCost(t *testing.T) {
	s := start(t, nil)
	id := s.desk.talking(2, 0)[1]
	a := s.do(t, "GET", "/v1/turns/"+string(id), "acme-key", "")
	var v chat.TurnView
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	var sum chat.Money
	for _, c := range v.Calls {
		outcomes = append(outcomes, fmt.Sprint(c.N, " ", c.Outcome, " ", int64(c.Cost)))
		sum += c.Cost
	}
	if want := []string{"1 lost 70", "2 tools 50", "3 answered 60"}; !slices.Equal(outcomes, want) {
		t.Errorf("calls %q, want %q", outcomes, want)
	}
	if v.Cost != 180 || sum != v.Cost || v.Lost != 1 || v.Tokens.Prompt != 210 || v.Tokens.Cached != 100 || v.Version != "main@2" || len(v.Saw) != 1 || len(v.Messages) != 1 {
		t.Errorf("turn %+v", v)
	}
	if k := v.Tools[0]; k.State != "ended" || k.Result != "On its way." || k.Tries != 1 || string(k.Args) != `{"order":"17"}` {
		t.Errorf("tool %+v", k)
	}
}

// TestTurns_EachOnce pages through talks of turns far apart: each turn is listed once,
// and whole.
func TestTurns_EachOnce(t *testing.T) {
	for _, between := range []int{0, 700, 5000} {
		s := start(t, nil)
		want := s.desk.talking(7, between)
		var got []chat.TurnID
		for cursor, pages := "", 0; ; pages++ {
			a := s.do(t, "GET", "/v1/conversations/"+string(asked)+"/turns?limit=2&cursor="+cursor, "acme-key", "")
			var page struct {
				Data []chat.TurnView
				Next *string `json:"next_cursor"`
			}
			if err := json.Unmarshal([]byte(a.body), &page); err != nil || pages > 50 {
				t.Fatal(err, a.body)
			}
			for _, v := range page.Data {
				got = append(got, v.ID)
				if v.State != "answered" || len(v.Calls) != 3 {
					t.Errorf("%d between: %s is %s with %d calls", between, v.ID, v.State, len(v.Calls))
				}
			}
			if page.Next == nil {
				break
			}
			cursor = *page.Next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d events between: listed %v, want %v", between, got, want)
		}
	}
}
