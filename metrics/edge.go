package metrics

import "github.com/prometheus/client_golang/prometheus"

// Edge is what the webhook edge reports.
type Edge struct {
	// Posts counts webhook POSTs that reached the handler by code: "200", "401",
	// "404", "500", "503".
	Posts *Words
	// Ack is the time from request read to answer decided, of 200s.
	Ack prometheus.Histogram
	// InFlight is the number of POSTs being made durable.
	InFlight prometheus.Gauge
	// Updates counts decoded updates by kind: message, status, echo, read, update, malformed.
	Updates *Words
	// SecretUsed counts verified signatures by the index of the app secret.
	SecretUsed *Words
	// Refused counts requests that no handler saw, by listener and reason:
	// body_too_large, header_too_large, encoding, malformed, timeout; and, as crowded,
	// connections that were closed to make room for others.
	Refused *prometheus.CounterVec
	// HandlerPanics counts panics recovered in request handlers by listener.
	HandlerPanics *prometheus.CounterVec
	// Connections is open connections by listener.
	Connections *prometheus.GaugeVec
}

func newEdge(reg prometheus.Registerer) Edge {
	e := Edge{
		Posts:         words(reg, "chumi_webhook_posts_total", "Webhook POSTs by answer.", "code"),
		Ack:           histogram(reg, "chumi_webhook_ack_seconds", "Time from a webhook read to its 200 decided."),
		InFlight:      gauge(reg, "chumi_webhook_in_flight", "Webhook POSTs being made durable."),
		Updates:       words(reg, "chumi_webhook_updates_total", "Decoded updates by kind.", "kind"),
		SecretUsed:    words(reg, "chumi_webhook_secret_used_total", "Verified signatures by index of the app secret.", "index"),
		Refused:       counters(reg, "chumi_http_refused_total", "Requests refused before a handler saw them.", "listener", "reason"),
		HandlerPanics: counters(reg, "chumi_http_panics_total", "Panics recovered in request handlers.", "listener"),
	}
	e.Connections = gauges(reg, "chumi_http_connections", "Open connections by listener.", "listener")
	for _, code := range []string{"200", "401", "404", "500", "503"} {
		e.Posts.WithLabelValues(code)
	}
	for _, kind := range []string{"message", "status", "echo", "read", "update", "malformed"} {
		e.Updates.WithLabelValues(kind)
	}
	seedPairs(e.Refused, listeners, []string{"body_too_large", "header_too_large", "encoding", "malformed", "timeout", "crowded"})
	seed(e.HandlerPanics, listeners...)
	return e
}
