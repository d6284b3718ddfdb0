package metrics

import "github.com/prometheus/client_golang/prometheus"

// Node is what a process reports about its machine.
type Node struct {
	// Clock is the wall clock as it was less than two seconds ago: against the time of the
	// scrape it shows a clock that is off.
	Clock prometheus.Gauge
	// Jumps counts the times that the wall clock moved by more than a second against the
	// monotonic one.
	Jumps prometheus.Counter
}

func newNode(reg prometheus.Registerer) Node {
	return Node{
		Clock: gauge(reg, "chumi_clock_timestamp_seconds", "The wall clock, in Unix time, set every second."),
		Jumps: counter(reg, "chumi_clock_jumps_total", "Times that the wall clock was moved by more than a second."),
	}
}
