package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

var language = parser.NewParser(parser.Options{})

// asked is a query, and where it stands.
type asked struct {
	where, expr string
	// record is the name under which the result is stored; "" for no rule that records.
	record string
}

// queries are those of all rules, in order, and then those of all dashboards. What
// Grafana fills in is filled in.
func queries(t *testing.T) (list []asked) {
	t.Helper()
	for _, file := range []string{"recording.yml", "alerts.yml"} {
		groups, errs := rulefmt.ParseFile(filepath.Join(deployed, "prometheus/rules", file), false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				list = append(list, asked{where: file + ": " + r.Record + r.Alert, expr: r.Expr, record: r.Record})
			}
		}
	}
	fill := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*")
	for i := range boards {
		text, err := os.ReadFile(filepath.Join(deployed, "grafana/dashboards", boards[i].file()))
		if err != nil {
			t.Fatal(err)
		}
		d, err := decode(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range exprs(t, &d) {
			list = append(list, asked{where: boards[i].file(), expr: fill.Replace(e)})
		}
	}
	return list
}

// TestQueries_NameWhatIsRegistered takes the names of metrics out of every query, as
// Prometheus reads it, and looks for them among those that the engine has.
func TestQueries_NameWhatIsRegistered(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (\\w+)").FindAllStringSubmatch(string(page), -1) {
		known[m[1]] = m[2]
	}
	all := queries(t)
	for _, q := range all {
		if q.record != "" {
			known[q.record] = "recorded"
		}
	}
	// What Prometheus and the Go runtime bring.
	others := regexp.MustCompile(`^(up|scrape_[a-z_]+|process_[a-z_]+|go_[a-z_]+)$`)
	part := regexp.MustCompile(`_(bucket|sum|count)$`)
	used := map[string]bool{}
	for _, q := range all {
		e, err := language.ParseExpr(q.expr)
		if err != nil {
			t.Errorf("%s: %v", q.where, err)
			continue
		}
		parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
			v, ok := n.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			base := part.ReplaceAllString(v.Name, "")
			switch {
			case others.MatchString(v.Name), known[v.Name] != "" && known[v.Name] != "histogram":
				used[v.Name] = true
			case base != v.Name && known[base] == "histogram":
				used[base] = true
			default:
				t.Errorf("%s: %s is no metric of the engine", q.where, v.Name)
			}
			return nil
		})
	}
	for name, kind := range known {
		if !used[name] && kind != "recorded" && !unseen[name] {
			t.Errorf("%s is on no dashboard and in no rule", name)
		}
	}
}

// unseen are metrics that are for looking at when something is wrong, and on no
// dashboard.
var unseen = map[string]bool{
	"chumi_webhook_secret_used_total": true, // for one moment: the rotation of a secret
	"chumi_graph_signs_total":         true,
	"chumi_media_fetch_seconds":       true,
	"chumi_media_fetches_in_flight":   true,
}
