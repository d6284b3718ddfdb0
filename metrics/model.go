package metrics

import "github.com/prometheus/client_golang/prometheus"

// Model is what calls of models report, after the names that OpenTelemetry gives to
// generative AI. A model's name is no label: tenants choose it.
type Model struct {
	// Calls counts requests by operation (chat, embeddings, transcription) and outcome:
	// ok, or why not.
	Calls *prometheus.CounterVec
	// Duration is of requests by operation, FirstChunk the time to the first piece of an
	// answer.
	Duration   *prometheus.HistogramVec
	FirstChunk prometheus.Histogram
	// Tokens counts by operation and kind: input, input_cached (part of it), output,
	// output_reasoning (part of it).
	Tokens *prometheus.CounterVec
	// Failovers counts models passed over for the next of their list, by reason.
	Failovers *prometheus.CounterVec
	// Breakers is providers that are not called because they failed.
	Breakers prometheus.Gauge
}

func newModel(reg prometheus.Registerer) Model {
	m := Model{
		Calls:      counters(reg, "chumi_gen_ai_client_operations_total", "Requests to providers of models by operation and outcome.", "operation", "outcome"),
		Duration:   histograms(reg, "chumi_gen_ai_client_operation_duration_seconds", "Duration of requests to providers of models.", "operation"),
		FirstChunk: histogram(reg, "chumi_gen_ai_client_time_to_first_chunk_seconds", "Time from a request to the first piece of its answer."),
		Tokens:     counters(reg, "chumi_gen_ai_client_token_usage_total", "Tokens by operation and kind.", "operation", "kind"),
		Failovers:  counters(reg, "chumi_gen_ai_client_failovers_total", "Models passed over for the next of their list, by reason.", "reason"),
		Breakers:   gauge(reg, "chumi_gen_ai_client_breakers_open", "Providers that are not called for a while because they failed."),
	}
	operations := []string{"chat", "embeddings", "transcription"}
	seedPairs(m.Calls, operations, []string{"ok", "timeout", "throttled", "provider_error", "unreachable", "breaker_open"})
	seedPairs(m.Tokens, operations, []string{"input", "input_cached", "output", "output_reasoning"})
	seed(m.Failovers, "timeout", "throttled", "provider_error", "unreachable", "breaker_open")
	for _, o := range operations {
		m.Duration.WithLabelValues(o)
	}
	return m
}
