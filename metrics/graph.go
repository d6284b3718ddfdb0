package metrics

import "github.com/prometheus/client_golang/prometheus"

// Graph is what sends report.
type Graph struct {
	// Attempts counts HTTP attempts by channel kind and result.
	Attempts *prometheus.CounterVec
	// Attempt is the duration of an attempt.
	Attempt prometheus.Histogram
	// Errors counts Graph errors by code.
	Errors *prometheus.CounterVec
	// Calls counts requests of management calls by operation and result.
	Calls *prometheus.CounterVec
	// Signs counts read marks and typing signs by result.
	Signs *prometheus.CounterVec
	// Waiting is sends known to senders that are not under way.
	Waiting prometheus.Gauge
	// Crowded is conversations whose next message waits for a place in its portfolio's
	// messaging limit; Reservations counts the places asked for by result.
	Crowded      prometheus.Gauge
	Reservations *prometheus.CounterVec
	// Channels is channels of tenants led here by how they stand: sending,
	// reauth_required, restricted, disconnected. TokenExpiry is when the first of
	// their tokens ends.
	Channels    *prometheus.GaugeVec
	TokenExpiry prometheus.Gauge
	// Engine is the engine's own time per reply: webhook in to Graph call out,
	// without model time and quiet period.
	Engine prometheus.Histogram
	// Reply is what a customer waits for an answer or an apology: from the first message
	// without one to Graph's acceptance, the quiet period included. What members write
	// does not count.
	Reply prometheus.Histogram
}

func newGraph(reg prometheus.Registerer) Graph {
	g := Graph{
		Attempts:     counters(reg, "chumi_send_attempts_total", "Send attempts by channel kind and result.", "channel", "result"),
		Attempt:      histogram(reg, "chumi_send_attempt_seconds", "Duration of a send attempt."),
		Errors:       counters(reg, "chumi_send_errors_total", "Graph errors by code.", "code"),
		Calls:        counters(reg, "chumi_graph_calls_total", "Graph management requests by operation and result.", "operation", "result"),
		Signs:        counters(reg, "chumi_graph_signs_total", "Read marks and typing signs by result.", "result"),
		Waiting:      gauge(reg, "chumi_sends_waiting", "Sends known to senders that are not under way."),
		Crowded:      gauge(reg, "chumi_portfolio_waiting", "Conversations that wait for a place in their portfolio's messaging limit."),
		Reservations: counters(reg, "chumi_portfolio_reservations_total", "Places in messaging limits of portfolios asked for, by result.", "result"),
		Engine:       histogram(reg, "chumi_reply_engine_seconds", "Engine time per reply, without model time and quiet period."),
		Reply:        histogram(reg, "chumi_reply_seconds", "Time from a customer's first unanswered message to Graph's acceptance of an answer or an apology."),
		Channels:     gauges(reg, "chumi_channels", "Channels of tenants led here by how they stand.", "state"),
		TokenExpiry:  gauge(reg, "chumi_channel_token_expiry_timestamp_seconds", "When the first token of a channel ends, in Unix time; 0 when none does."),
	}
	seedPairs(g.Attempts, channels, []string{"accepted", "refused", "throttled", "ambiguous", "blocked", "unstarted"})
	seed(g.Errors, "other")
	seed(g.Reservations, "granted", "full", "failed")
	seed(g.Signs, "shown", "failed", "dropped")
	for _, state := range []string{"sending", "reauth_required", "restricted", "disconnected"} {
		g.Channels.WithLabelValues(state)
	}
	return g
}
