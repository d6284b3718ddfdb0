package main

// board is a dashboard: rows of panels.
type board struct {
	uid, title, about string
	rows              []row
}

// row is a line of panels under a heading.
type row struct {
	title  string
	panels []panel
}

// panel shows the results of queries over time, or their latest value as a number.
type panel struct {
	title, about string
	// unit is Grafana's id of a unit.
	unit    string
	number  bool
	queries []query
	// warn and alarm colour a number that reaches them; 0 for none.
	warn, alarm float64
	// signed is true for what may be below 0.
	signed bool
	// stacked lays the series on top of each other.
	stacked bool
}

// query asks Prometheus; legend names its series.
type query struct{ expr, legend string }

// Units by what they measure.
const (
	perSecond = "reqps"
	seconds   = "s"
	octets    = "bytes"
	octetRate = "Bps"
	share     = "percentunit"
	number    = "short"
)

// quantiles asks for the median and the tail of a histogram, over all nodes that are
// chosen.
func quantiles(metric string) []query {
	sum := "sum by (le) (rate(" + metric + "_bucket{instance=~\"$instance\"}[$__rate_interval]))"
	return []query{
		{"histogram_quantile(0.5, " + sum + ")", "p50"},
		{"histogram_quantile(0.95, " + sum + ")", "p95"},
		{"histogram_quantile(0.99, " + sum + ")", "p99"},
	}
}

// rateBy asks how fast a counter rises, by one of its labels.
func rateBy(metric, label string) []query {
	return []query{{"sum by (" + label + ") (rate(" + metric + "{instance=~\"$instance\"}[$__rate_interval]))", "{{" + label + "}}"}}
}

// rateOf asks how fast a counter rises on each node.
func rateOf(metric string) []query { return rateBy(metric, "instance") }

// of asks for a gauge on each node.
func of(metric string) []query {
	return []query{{metric + "{instance=~\"$instance\"}", "{{instance}}"}}
}

// by asks for a gauge by a label, over all nodes.
func by(metric, label string) []query {
	return []query{{"sum by (" + label + ") (" + metric + "{instance=~\"$instance\"})", "{{" + label + "}}"}}
}

// total asks for one number over all nodes.
func total(expr string) []query { return []query{{expr, ""}} }
