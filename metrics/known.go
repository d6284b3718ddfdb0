package metrics

import "github.com/prometheus/client_golang/prometheus"

// seed makes the series of a counter that alerts and dashboards ask for, at 0: without
// it a counter of failures is absent until the first, and the increase to one is lost.
func seed(c *prometheus.CounterVec, words ...string) {
	for _, w := range words {
		c.WithLabelValues(w)
	}
}

// seedPairs is seed for two labels.
func seedPairs(c *prometheus.CounterVec, first, second []string) {
	for _, a := range first {
		for _, b := range second {
			c.WithLabelValues(a, b)
		}
	}
}

var (
	listeners = []string{"hooks", "api", "ops"}
	channels  = []string{"whatsapp", "instagram"}
	outcomes  = []string{"ok", "failed"}
	ways      = []string{"in", "out"}
)
