package metrics

import "github.com/prometheus/client_golang/prometheus"

// Turn is what assistant turns report.
type Turn struct {
	// Turns counts turns by outcome: answered, superseded, failed, abandoned.
	Turns *prometheus.CounterVec
	// InFlight is model calls under way; Call their duration.
	InFlight prometheus.Gauge
	Call     prometheus.Histogram
	// Tokens counts tokens by direction: prompt, output.
	Tokens *prometheus.CounterVec
	// Errors counts failed calls by reason.
	Errors *prometheus.CounterVec
	// Tools counts tool calls by outcome: done, failed.
	Tools *prometheus.CounterVec
	// Budgets counts months of tenants whose money reached a bound: soft, hard.
	Budgets *prometheus.CounterVec
	// Blocked counts answers that the guard held back, by reason.
	Blocked *prometheus.CounterVec
}

func newTurn(reg prometheus.Registerer) Turn {
	t := Turn{
		Turns:    counters(reg, "chumi_turns_total", "Assistant turns by outcome.", "outcome"),
		InFlight: gauge(reg, "chumi_model_calls_in_flight", "Model calls under way."),
		Call:     histogram(reg, "chumi_model_call_seconds", "Duration of model calls."),
		Tokens:   counters(reg, "chumi_model_tokens_total", "Model tokens by direction.", "direction"),
		Errors:   counters(reg, "chumi_model_errors_total", "Failed model calls by reason.", "reason"),
		Tools:    counters(reg, "chumi_tool_calls_total", "Tool calls of assistants by outcome.", "outcome"),
		Budgets:  counters(reg, "chumi_budgets_reached_total", "Months of tenants whose money reached a bound, by bound.", "kind"),
		Blocked:  counters(reg, "chumi_answers_blocked_total", "Answers that a guard held back, by reason.", "reason"),
	}
	seed(t.Turns, "answered", "superseded", "failed", "abandoned")
	seed(t.Tokens, "prompt", "output")
	seed(t.Errors, "timeout", "unreachable", "throttled", "provider_error", "breaker_open")
	seed(t.Tools, "done", "failed")
	seed(t.Budgets, "soft", "hard")
	seed(t.Blocked, "price_unknown", "link_not_allowed", "picture", "address_unknown", "account_unknown", "secret", "canary")
	return t
}
