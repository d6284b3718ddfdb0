package metrics

import "github.com/prometheus/client_golang/prometheus"

// Media is what files report.
type Media struct {
	// Fetches counts attempts to get a file of a message by result: stored, failed
	// (it cannot be had), again (not yet).
	Fetches *prometheus.CounterVec
	// InFlight is files under way; Fetch the duration of an attempt.
	InFlight prometheus.Gauge
	Fetch    prometheus.Histogram
	// Orphans counts stored files that nothing referred to.
	Orphans prometheus.Counter
}

func newMedia(reg prometheus.Registerer) Media {
	m := Media{
		Fetches:  counters(reg, "chumi_media_fetches_total", "Attempts to fetch files of messages by result.", "result"),
		InFlight: gauge(reg, "chumi_media_fetches_in_flight", "Files being fetched."),
		Fetch:    histogram(reg, "chumi_media_fetch_seconds", "Duration of attempts to fetch files."),
		Orphans:  counter(reg, "chumi_media_orphans_total", "Stored files deleted because nothing referred to them."),
	}
	seed(m.Fetches, "stored", "failed", "again")
	return m
}
