package metrics

import "github.com/prometheus/client_golang/prometheus"

// API is what the REST API reports.
type API struct {
	// Requests counts requests by route and code class.
	Requests *prometheus.CounterVec
	Latency  prometheus.Histogram
	// Streams is open event streams.
	Streams prometheus.Gauge
}

func newAPI(reg prometheus.Registerer) API {
	return API{
		Requests: counters(reg, "chumi_api_requests_total", "API requests by route and code class.", "route", "code"),
		Latency:  histogram(reg, "chumi_api_request_seconds", "Duration of API requests without streams."),
		Streams:  gauge(reg, "chumi_api_streams", "Open event streams."),
	}
}
