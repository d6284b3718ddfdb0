package metrics

import "github.com/prometheus/client_golang/prometheus"

// Edge is what the webhook edge reports.
type Edge struct {
	// Posts counts webhook POSTs by code class: "200", "401", "413", "4xx", "503".
	Posts *prometheus.CounterVec
	// Ack is the time from request read to answer decided, of 200s.
	Ack prometheus.Histogram
	// InFlight is the number of POSTs being made durable.
	InFlight prometheus.Gauge
	// Updates counts decoded updates by kind: message, status, echo, read, update, malformed.
	Updates *prometheus.CounterVec
	// SecretUsed counts verified signatures by the index of the app secret.
	SecretUsed *prometheus.CounterVec
}

func newEdge(reg prometheus.Registerer) Edge {
	return Edge{
		Posts:      counters(reg, "chumi_webhook_posts_total", "Webhook POSTs by answer.", "code"),
		Ack:        histogram(reg, "chumi_webhook_ack_seconds", "Time from a webhook read to its 200 decided."),
		InFlight:   gauge(reg, "chumi_webhook_in_flight", "Webhook POSTs being made durable."),
		Updates:    counters(reg, "chumi_webhook_updates_total", "Decoded updates by kind.", "kind"),
		SecretUsed: counters(reg, "chumi_webhook_secret_used_total", "Verified signatures by index of the app secret.", "index"),
	}
}
