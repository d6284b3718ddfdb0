package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func TestPricing_TheListThatComesWithThisVersion(t *testing.T) {
	list, err := loadPricing("")
	if err != nil {
		t.Fatal(err)
	}
	p, found := list.Price(chat.ModelRef{Model: DefaultModel})
	if !found || p != (chat.Price{Input: 400, Cached: 100, Output: 1600}) || list.AsOf == "" || list.Currency != "USD" {
		t.Errorf("the default model costs %+v (%t), as of %q in %q", p, found, list.AsOf, list.Currency)
	}
	if got := p.Of(chat.Tokens{Prompt: 1_000_000, Cached: 500_000, Output: 1_000_000}); got != 1_850_000_000 {
		t.Errorf("a million tokens each way, half of the prompt known, cost %d, want 1.85 in billionths", got)
	}
	for model, want := range map[string]chat.Money{"whisper-1": 9_000_000, "gpt-4o-transcribe": 3_500_000, "gpt-4o-mini-transcribe": 1_750_000} {
		p, found := list.Price(chat.ModelRef{Model: model})
		used := chat.Spend{Tokens: chat.Tokens{Prompt: 1000, Output: 100}, Seconds: 90}
		if !found || p.For(&used) != want {
			t.Errorf("a minute and a half by %s costs %d, want %d", model, p.For(&used), want)
		}
	}
	if _, found := list.Price(chat.ModelRef{Model: "gpt-9"}); found {
		t.Error("a model that is not in the list has a price")
	}
}

func TestPricing_ProblemsNameTheLine(t *testing.T) {
	const head = "as_of: 2026-09-23\ncurrency: EUR\nmodels:\n"
	for text, want := range map[string]string{
		"as_of: 2026\ncurrency: EUR\n":                                                                 `p.yaml:1: as_of: wants the day`,
		"as_of: 2026-09-23\ncurrency: euro\n":                                                          `p.yaml:2: currency: wants a word`,
		head + "  - model: m\n    input: 1\n    outptu: 2\n":                                           `p.yaml:6: models[0].outptu: is not a known key; did you mean "models[0].output"?`,
		head + "  - model: m\n    input: 1\n":                                                          `p.yaml:4: models[0].output: is required`,
		head + "  - model: m\n    input: -1\n    output: 2\n":                                          `p.yaml:5: models[0].input: wants an amount`,
		head + "  - model: m\n    minute: 0.0000001\n":                                                 `p.yaml:5: models[0].minute: is no whole number`,
		head + "  - model: m\n    input: 0.0005\n    output: 2\n":                                      `p.yaml:5: models[0].input: has more than three digits`,
		head + "  - {model: m, input: 1, output: 1}\n  - {model: x, also: [m], input: 1, output: 1}\n": `p.yaml:5: models[1].model: has the price of "m" for the second time`,
	} {
		_, err := parsePricing("p.yaml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestPricing_ProvidersMayDiffer(t *testing.T) {
	list, err := parsePricing("p.yaml", []byte("as_of: 2026-09-23\ncurrency: EUR\nmodels:\n"+
		"  - {model: m, input: 1, output: 2}\n  - {provider: own, model: m, input: 0, output: 0}\n"))
	if err != nil {
		t.Fatal(err)
	}
	list.Models = []chat.ModelRef{{Model: "m"}}
	limits := chat.TurnLimits{PromptTokens: 10, OutTokens: 5}
	if c := list.CallCost(nil, limits); c != (chat.CallCost{Prompt: 10_000, Output: 10_000}) {
		t.Errorf("the model of the configuration costs %+v", c)
	}
	if c := list.CallCost([]chat.ModelRef{{Provider: "own", Model: "m"}}, limits); c != (chat.CallCost{}) {
		t.Errorf("a provider of one's own costs %+v", c)
	}
	if u := list.Unpriced([]chat.ModelRef{{Provider: "own", Model: "m"}, {Provider: "own", Model: "n"}}); len(u) != 1 || u[0].Model != "n" {
		t.Errorf("unpriced: %v", u)
	}
}

func TestConfig_Budget(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prices.yaml")
	if err := os.WriteFile(file, []byte("as_of: 2026-09-23\ncurrency: EUR\nmodels:\n  - {model: ours, input: 2, output: 4}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(flags map[string]string) (*Loaded, error) {
		flags["data_dir"] = t.TempDir()
		return Load(Sources{Flags: flags})
	}
	loaded, err := load(map[string]string{"assistant.budget_per_month": "50", "assistant.budget_fallback": "handoff"})
	if err != nil {
		t.Fatal(err)
	}
	s := loaded.Config.Settings()
	if s.Budget != 50e9 || s.BudgetSoft != 40e9 || s.Broke != chat.BrokeHandoff || s.CallCost != (chat.CallCost{Prompt: 16384 * 400, Output: 1024 * 1600}) {
		t.Errorf("budget %d, soft %d, then %s; a call %+v", s.Budget, s.BudgetSoft, s.Broke, s.CallCost)
	}
	if _, err = load(map[string]string{"assistant.budget_per_month": "50", "assistant.model": "ours", "assistant.pricing_file": file}); err != nil {
		t.Errorf("a model with a price of one's own: %v", err)
	}
	for want, flags := range map[string]map[string]string{
		"assistant.budget_per_month: cannot bound what the model \"local\" costs": {"assistant.budget_per_month": "50", "assistant.model": "local"},
		"assistant.budget_per_month: wants an amount":                             {"assistant.budget_per_month": "5,00"},
		"assistant.budget_soft: is above":                                         {"assistant.budget_per_month": "5", "assistant.budget_soft": "5.01"},
		"assistant.budget_fallback: wants one of apology, handoff":                {"assistant.budget_fallback": "none"},
		"no-such-file.yaml: cannot be read":                                       {"assistant.pricing_file": "no-such-file.yaml"},
	} {
		if _, err := load(flags); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
