package main

import (
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// simulatedPrices is what the model costs in these tests: 1 and 2 per million tokens.
const simulatedPrices = "as_of: 2026-11-27\ncurrency: USD\nmodels:\n  - {model: chumi-simulated, input: \"1\", output: \"2\"}\n"

// callMost is the most that one call costs by it: prompt and answer within the default
// limits.
const callMost = chat.DefaultPromptTokens*1000 + chat.DefaultOutTokens*2000

// counted reads a counter of a tenant whose engine is stopped.
func (s *stage) counted(tenant chat.TenantID, name string) int64 {
	s.t.Helper()
	c := DefaultConfig()
	c.DataDir = s.dir
	store, err := openOffline(&c, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	n, err := store.Counter(tenant, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// TestBudget_HoldsForCallsAtOnce gives a tenant money for ten calls and has fifty
// customers write at once: the model sees ten requests, everybody gets a message, the
// team is told once, and what is counted is what the model reckoned; over two more
// starts of the engine, with calls cut by its stops, too.
func TestBudget_HoldsForCallsAtOnce(t *testing.T) {
	const customers, calls = 50, 10
	gate := make(chan struct{})
	var hold atomic.Pointer[chan struct{}]
	hold.Store(&gate)
	s := newStage(t, twoTenants, openaisim.Options{Price: openaisim.Price{Prompt: 1000, Output: 2000},
		OnCall: func(m openaisim.Moment, _ openaisim.Call) {
			if m == openaisim.CallReceived {
				<-*hold.Load()
			}
		}},
		"--set", "assistant.model="+simulatedModel, "--set", "assistant.pricing_file="+write(t, "prices.yaml", simulatedPrices),
		"--set", "assistant.budget_per_month="+chat.Money(calls*callMost).String())
	var all sync.WaitGroup
	for i := range customers {
		all.Go(func() { s.says("acme-wa", phone(i), "hello") })
	}
	all.Wait()
	eventually(t, "the others got the apology", func() bool { return len(s.sent()) == customers-calls })
	if n := len(s.sims.model.Calls()); n != calls {
		t.Errorf("the model saw %d requests, want %d", n, calls)
	}
	close(gate)
	eventually(t, "everybody got a message", func() bool { return len(byTo(s.sent())) == customers })
	until(t, s.stream("key-of-acme"), func(ev apiEvent) bool { return ev.Kind == "budget_reached" })
	eventually(t, "both bounds are counted", func() bool {
		return s.metric(`chumi_budgets_reached_total{kind="hard"}`) == "1" && s.metric(`chumi_budgets_reached_total{kind="soft"}`) == "1"
	})

	// Another tenant pays for itself.
	s.says("bolt-wa", phone(0), "hello")
	eventually(t, "the other tenant is answered", func() bool { return len(s.sent()) == customers+1 })

	// Stopped in the middle of calls, twice, with money enough.
	again := customers
	for range 2 {
		next := make(chan struct{})
		hold.Store(&next)
		before := len(s.sims.model.Calls())
		for i := range 4 {
			s.says("acme-wa", phone(again+i), "hello")
		}
		again += 4
		eventually(t, "four calls are under way", func() bool { return len(s.sims.model.Calls()) == before+4 })
		s.stop()
		close(next)
		s.serve("--set", "assistant.budget_per_month=10")
		eventually(t, "they are answered after the start", func() bool { return len(byTo(s.sent())) == again })
	}
	s.stop()
	checked(t, s.dir)

	var cost, lost, budgets int64
	answered := 0
	for _, ev := range exported(t, s.dir, "acme") {
		var line turnLine
		if err := json.Unmarshal([]byte(ev.line), &line); err != nil {
			t.Fatal(err)
		}
		switch ev.Kind {
		case "turn_answered":
			answered++
			cost += line.Turn.Cost
		case "turn_started", "turn_superseded", "turn_failed", "turn_abandoned":
			if line.Turn.Cost > 0 {
				lost++
			}
			cost += line.Turn.Cost
		case "budget_reached":
			budgets++
		}
	}
	ledger, left := int64(0), int64(0)
	for _, c := range s.sims.model.Calls() {
		if c.Answer == openaisim.AnswerGiven {
			ledger += c.Cost
		} else {
			left++
		}
	}
	for _, ev := range exported(t, s.dir, "bolt") {
		var line turnLine
		if json.Unmarshal([]byte(ev.line), &line) == nil && ev.Kind == "turn_answered" {
			ledger -= line.Turn.Cost
		}
	}
	month := chat.BudgetCounter(time.Now())
	count := s.counted("acme", month)
	const estimate = chat.DefaultPromptTokens * 1000
	if want := ledger + lost*estimate; count != want || cost != want || left != lost {
		t.Errorf("counted %d, in the journal %d; the model reckons %d for what it answered, and %d calls were cut (%d in the journal), estimated at %d each",
			count, cost, ledger, left, lost, int64(estimate))
	}
	if budgets != 2 || answered != calls+8 {
		t.Errorf("%d bounds told, %d answers; want 2 and %d", budgets, answered, calls+8)
	}
	t.Logf("%d calls, %d cut; counted %d", len(s.sims.model.Calls()), left, count)
}
