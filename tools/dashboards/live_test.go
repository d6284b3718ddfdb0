package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// patience bounds every wait; nothing waits that long unless it is broken.
const patience = 2 * time.Minute

// absent are the metrics without a series in a sound engine that a few customers wrote
// to, and why. Queries that ask for one of them need not return any.
var absent = map[string]string{
	"chumi_training_rows_total": "nobody makes training data",
	"chumi_redactions_total":    "nobody makes training data",
	"chumi_graph_calls_total":   "by operation and result, of which there are too many to begin with all",
}

// engine is `chumi dev` as a process of its own.
type engine struct{ api, ops, key string }

// startEngine builds and starts the engine with its simulators and demo business.
func startEngine(t *testing.T) *engine {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "chumi")
	build := exec.Command("go", "build", "-o", binary, "./cmd/chumi")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	cmd := exec.Command(binary, "dev", "--data-dir", filepath.Join(dir, "data"), "--edge-addr", "127.0.0.1:0",
		"--api-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--set", "assistant.quiet_period=100ms")
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout = said
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the engine ended with %v", err)
		}
	})
	ready := make(chan *engine, 1)
	go func() {
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			if m := regexp.MustCompile(`^ready edge=\S+ api=(\S+) ops=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				ready <- &engine{api: m[1], ops: m[2]}
			}
		}
	}()
	select {
	case e := <-ready:
		// What tells the key was written before the ready line.
		text, err := os.ReadFile(said.Name())
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`API key\s+(\S+)`).FindSubmatch(text); m != nil {
			e.key = string(m[1])
		}
		return e
	case <-time.After(patience):
		t.Fatal("the engine is not ready")
		return nil
	}
}

// says writes as a customer of the demo business.
func (e *engine) says(t *testing.T, from, text string) {
	t.Helper()
	body := fmt.Sprintf(`{"channel":"demo-wa","from":%q,"text":%q}`, from, text)
	resp, err := http.Post("http://"+e.api+"/simulator/api/messages", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
		t.Fatalf("the simulator answers %d: %s", resp.StatusCode, text)
	}
}

// scraped is a Prometheus of this process: a database that an engine is scraped into.
type scraped struct {
	t      *testing.T
	db     *tsdb.DB
	engine *promql.Engine
}

func newScraped(t *testing.T) *scraped {
	t.Helper()
	o := tsdb.DefaultOptions()
	db, err := tsdb.Open(t.TempDir(), slog.New(slog.DiscardHandler), nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &scraped{t, db, promql.NewEngine(promql.EngineOpts{Logger: slog.New(slog.DiscardHandler), MaxSamples: 1e6,
		Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true})}
}

// scrape stores what the engine shows at a time, as Prometheus 3 with native histograms
// and always_scrape_classic_histograms does, and returns how many series that are and
// which of them are native histograms.
func (s *scraped) scrape(e *engine, at time.Time) (series int, native map[string]bool) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+e.ops+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("/metrics: %d (%v)", resp.StatusCode, err)
	}
	p, err := textparse.New(text, resp.Header.Get("Content-Type"), labels.NewSymbolTable(),
		textparse.ParserOptions{KeepClassicOnClassicAndNativeHistograms: true})
	if err != nil {
		s.t.Fatal(err)
	}
	app := s.db.Appender(context.Background())
	native = map[string]bool{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.t.Fatal(err)
		}
		var l labels.Labels
		switch entry {
		case textparse.EntrySeries:
			p.Labels(&l)
			_, _, v := p.Series()
			series++
			_, err = app.Append(0, target(l), at.UnixMilli(), v)
		case textparse.EntryHistogram:
			p.Labels(&l)
			_, _, h, f := p.Histogram()
			native[l.Get("__name__")] = true
			_, err = app.AppendHistogram(0, target(l), at.UnixMilli(), h, f)
		}
		if err != nil {
			s.t.Fatalf("%s: %v", l, err)
		}
	}
	for name, v := range map[string]float64{"up": 1, "scrape_samples_post_metric_relabeling": float64(series)} {
		if _, err := app.Append(0, target(labels.FromStrings("__name__", name)), at.UnixMilli(), v); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		s.t.Fatal(err)
	}
	return series, native
}

// target adds the labels that a scrape does.
func target(l labels.Labels) labels.Labels {
	return labels.NewBuilder(l).Set("job", "chumi").Set("instance", "one").Labels()
}

// ask evaluates a query at a time.
func (s *scraped) ask(expr string, at time.Time) (promql.Vector, error) {
	q, err := s.engine.NewInstantQuery(context.Background(), s.db, nil, expr, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	r := q.Exec(context.Background())
	if r.Err != nil {
		return nil, r.Err
	}
	v, err := r.Vector()
	// The vector is the query's own.
	return append(promql.Vector(nil), v...), err
}

// record stores what a rule yields.
func (s *scraped) record(name string, v promql.Vector, at time.Time) {
	s.t.Helper()
	app := s.db.Appender(context.Background())
	for _, one := range v {
		l := labels.NewBuilder(one.Metric).Set("__name__", name).Labels()
		if _, err := app.Append(0, l, at.UnixMilli(), one.F); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		s.t.Fatal(err)
	}
}

// lenient is a query whose comparisons answer instead of filtering, so that it returns a
// series also while nothing is wrong. exempt tells why it need not.
func lenient(t *testing.T, expr string) (out, exempt string) {
	t.Helper()
	e, err := language.ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.BinaryExpr:
			if n.Op.IsComparisonOperator() {
				n.ReturnBool = true
			}
		case *parser.Call:
			if n.Func.Name == "absent" {
				exempt = "asks whether there is none"
			}
		case *parser.VectorSelector:
			if why := absent[n.Name]; why != "" {
				exempt = why
			}
		}
		return nil
	})
	return e.String(), exempt
}

// TestQueries_FindSeries starts the engine with its simulators, has customers write,
// scrapes it, and asks every query of rules and dashboards: each returns a series. It
// also counts the series, and looks whether durations are native histograms.
func TestQueries_FindSeries(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an engine")
	}
	e, s := startEngine(t), newScraped(t)
	began := time.Now()
	at := func(i int) time.Time { return began.Add(time.Duration(i) * 15 * time.Second) }
	for i := range 3 {
		e.says(t, fmt.Sprint("49155501000", i), "Are you open on Saturday?")
	}
	answered(t, e)
	req, err := http.NewRequest(http.MethodGet, "http://"+e.api+"/v1/conversations", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.key)
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the API answers %v, %v", resp, err)
	}
	var series int
	var native map[string]bool
	const scrapes = 4
	for i := range scrapes {
		// Scrapes are as far apart as usual by their time, which nobody waits for.
		series, native = s.scrape(e, at(i))
	}
	if series > 5000 {
		t.Errorf("%d series, at most 5,000", series)
	}
	for _, name := range []string{"chumi_webhook_ack_seconds", "chumi_append_seconds", "chumi_sync_seconds", "chumi_reply_seconds",
		"chumi_model_call_seconds", "chumi_gen_ai_client_operation_duration_seconds"} {
		if !native[name] {
			t.Errorf("%s is no native histogram", name)
		}
	}
	now, asked, exempted := at(scrapes-1), 0, 0
	for _, q := range queries(t) {
		expr, exempt := lenient(t, q.expr)
		v, err := s.ask(expr, now)
		switch {
		case err != nil:
			t.Errorf("%s: %s: %v", q.where, q.expr, err)
		case len(v) == 0 && exempt == "":
			t.Errorf("%s: no series for %s", q.where, q.expr)
		case len(v) == 0:
			exempted++
		}
		asked++
		if q.record != "" {
			s.record(q.record, v, now)
		}
	}
	t.Logf("%d series, %d native histograms; %d queries, %d of them exempt", series, len(native), asked, exempted)
	if v, err := s.ask(`histogram_quantile(0.5, rate(chumi_webhook_ack_seconds[1m]))`, now); err != nil || len(v) != 1 {
		t.Errorf("a native histogram answers %v, %v", v, err)
	}
}

// answered waits until customers have their answers.
func answered(t *testing.T, e *engine) {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get("http://" + e.ops + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^chumi_reply_seconds_count [3-9]`).Match(text) {
			return
		}
		if time.Now().After(limit) {
			t.Fatal("nobody answers")
		}
	}
}
