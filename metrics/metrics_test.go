package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/metrics.txt")

// recorder is a Registerer that also remembers what was registered, so that
// vectors without a series are listed too.
type recorder struct {
	*prometheus.Registry
	all []prometheus.Collector
}

func (r *recorder) MustRegister(cs ...prometheus.Collector) {
	r.all = append(r.all, cs...)
	r.Registry.MustRegister(cs...)
}

var descParts = regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]*)", (?:unit: "[^"]*", )?constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}`)

func list(t *testing.T) (lines []string, labels map[string][]string) {
	t.Helper()
	r := &recorder{Registry: prometheus.NewRegistry()}
	metrics.New(r)
	labels = map[string][]string{}
	for _, c := range r.all {
		ch := make(chan *prometheus.Desc, 8)
		c.Describe(ch)
		close(ch)
		for d := range ch {
			m := descParts.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("cannot read %s", d)
			}
			lines = append(lines, fmt.Sprintf("%s %s {%s} %s", m[1], kind(c), m[3], m[2]))
			if m[3] != "" {
				labels[m[1]] = strings.Split(m[3], ",")
			}
		}
	}
	slices.Sort(lines)
	return lines, labels
}

func kind(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	case prometheus.Gauge:
		return "gauge"
	case prometheus.Counter:
		return "counter"
	}
	return "unknown"
}

// Changing a name, a label or a meaning is a visible change of the file:
// dashboards and alerts depend on it. Rewrite it with -rewrite.
func TestNew_MatchesGoldenList(t *testing.T) {
	const golden = "testdata/metrics.txt"
	lines, _ := list(t)
	got := strings.Join(lines, "\n") + "\n"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the instruments differ from %s; run go test ./metrics -rewrite and review the diff:\n%s", golden, got)
	}
}

// A label that names a tenant, a person or free text makes the number of
// series grow with traffic.
func TestNew_LabelsComeFromClosedSets(t *testing.T) {
	closed := []string{"answer", "channel", "code", "direction", "entity", "index", "invariant", "kind", "listener", "operation",
		"outcome", "reason", "receiver", "result", "route", "state"}
	_, labels := list(t)
	for name, ls := range labels {
		for _, l := range ls {
			if !slices.Contains(closed, l) {
				t.Errorf("%s: label %q is not one of %v", name, l, closed)
			}
		}
	}
}

func TestNew_PassesLint(t *testing.T) {
	reg := metrics.NewRegistry("v0.0.0-test")
	s := metrics.New(reg)
	s.Edge.Posts.WithLabelValues("200").Inc()
	s.Edge.Refused.WithLabelValues("hooks", "malformed").Inc()
	s.Edge.Connections.WithLabelValues("hooks").Inc()
	s.Actors.Activations.WithLabelValues("conversation").Inc()
	s.API.Requests.WithLabelValues("events", "2xx").Inc()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "chumi_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// Only labels multiply series; with every label at its busiest the engine stays
// far below the budget of 5,000.
func TestNew_SeriesStayBounded(t *testing.T) {
	reg := metrics.NewRegistry("v0.0.0-test")
	s := metrics.New(reg)
	before := series(t, reg)
	// The routes of the API and the codes of Graph, which are not seeded, are fewer than 100.
	if limit := 5000 - 1000; before > limit {
		t.Errorf("%d series before anything happened, want at most %d", before, limit)
	}
	for range 10_000 {
		s.Edge.Posts.WithLabelValues("200").Inc()
		s.Edge.Ack.Observe(0.004)
		s.Journal.Append.Observe(0.002)
	}
	if after := series(t, reg); after != before {
		t.Errorf("10,000 requests added %d series, want none", after-before)
	}
}

func series(t *testing.T, reg *prometheus.Registry) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		for _, m := range f.Metric {
			n++
			if h := m.Histogram; h != nil {
				n += len(h.Bucket) + 2 // the bucket without a bound, sum and count
			}
		}
	}
	return n
}
