package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// deployed is where dashboards and rules lie, seen from here.
const deployed = "../../deploy"

// decode reads a dashboard as strictly as its schema is. The strict decoder returns an
// empty list of errors for none, at every level, and leaves out the panels for it: it
// judges, and what is read comes from the ordinary one.
func decode(text []byte) (d dashboard.Dashboard, err error) {
	plugins.RegisterDefaultPlugins()
	if err := found(new(dashboard.Dashboard).UnmarshalJSONStrict(text)); err != nil {
		return d, err
	}
	// Queries are of their data source, and judged by its schema.
	var of struct {
		Panels []struct{ Targets []json.RawMessage }
	}
	if err := json.Unmarshal(text, &of); err != nil {
		return d, err
	}
	for _, p := range of.Panels {
		for _, q := range p.Targets {
			if err := found(new(prometheus.Dataquery).UnmarshalJSONStrict(q)); err != nil {
				return d, err
			}
		}
	}
	return d, json.Unmarshal(text, &d)
}

func found(err error) error {
	if list, ok := errors.AsType[cog.BuildErrors](err); ok && len(list) == 0 {
		return nil
	}
	return err
}

// TestDashboards_AreWritten compares the committed files with what this package writes.
func TestDashboards_AreWritten(t *testing.T) {
	files, err := filepath.Glob(deployed + "/grafana/dashboards/*.json")
	if err != nil || len(files) != len(boards) {
		t.Fatalf("%d files for %d dashboards (%v)", len(files), len(boards), err)
	}
	for i := range boards {
		want, err := boards[i].text()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(deployed, "grafana/dashboards", boards[i].file()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go run ./dashboards ../deploy/grafana/dashboards in tools", boards[i].file())
		}
	}
}

// TestDashboards_KeepTheSchema decodes every committed dashboard strictly: an unknown
// field, or one of another type, is an error. So it is in one that is damaged here.
func TestDashboards_KeepTheSchema(t *testing.T) {
	uids := map[string]bool{}
	for i := range boards {
		name := boards[i].file()
		text, err := os.ReadFile(filepath.Join(deployed, "grafana/dashboards", name))
		if err != nil {
			t.Fatal(err)
		}
		d, err := decode(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := d.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if uids[*d.Uid] {
			t.Errorf("%s: another dashboard has uid %s", name, *d.Uid)
		}
		uids[*d.Uid] = true
		panels := 0
		for _, p := range d.Panels {
			if p.Panel == nil {
				continue
			}
			panels++
			if len(p.Panel.Targets) == 0 || p.Panel.Title == nil || *p.Panel.Title == "" {
				t.Errorf("%s: panel %d has no title or no query", name, panels)
			}
		}
		for _, damage := range [][2]string{{`"schemaVersion"`, `"schemeVersion"`}, {`"expr"`, `"expression"`}, {`"gridPos"`, `"gridPosition"`},
			{`"lineWidth"`, `"lineWidths"`}, {`"graphMode"`, `"graphModus"`}, {`"calcs"`, `"calculations"`}} {
			if !bytes.Contains(text, []byte(damage[0])) {
				continue
			}
			if _, err := decode(bytes.Replace(text, []byte(damage[0]), []byte(damage[1]), 1)); err == nil {
				t.Errorf("%s: with %s for %s it is taken all the same", name, damage[1], damage[0])
			}
		}
	}
}

// TestProvisioning_LeadsToWhatIsThere reads the files that tell Grafana where
// Prometheus and the dashboards are, and Prometheus what to do.
func TestProvisioning_LeadsToWhatIsThere(t *testing.T) {
	var sources struct {
		Version     int `yaml:"apiVersion"`
		Datasources []struct{ Name, Type, Access, URL, UID string }
	}
	var providers struct {
		Version   int `yaml:"apiVersion"`
		Providers []struct {
			Name, Type string
			Options    struct{ Path string }
		}
	}
	for file, to := range map[string]any{"datasources/prometheus.yml": &sources, "dashboards/chumi.yml": &providers} {
		text, err := os.ReadFile(filepath.Join(deployed, "grafana/provisioning", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, to); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if sources.Version != 1 || len(sources.Datasources) != 1 || sources.Datasources[0].Type != "prometheus" {
		t.Errorf("data sources: %+v", sources)
	}
	if providers.Version != 1 || len(providers.Providers) != 1 || providers.Providers[0].Type != "file" {
		t.Errorf("providers: %+v", providers)
	}
	compose, err := os.ReadFile(deployed + "/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if mount := "./grafana/dashboards:" + providers.Providers[0].Options.Path; !strings.Contains(string(compose), mount) {
		t.Errorf("compose.yaml mounts the dashboards elsewhere than %s", mount)
	}
	c, err := config.LoadFile(deployed+"/prometheus/prometheus.yml", false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.ScrapeConfigs) != 1 || c.ScrapeConfigs[0].JobName != "chumi" {
		t.Errorf("prometheus.yml scrapes %v", c.ScrapeConfigs)
	}
	var rules []string
	for _, pattern := range c.RuleFiles {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, found...)
	}
	if all, _ := filepath.Glob(deployed + "/prometheus/rules/*"); len(rules) == 0 || !slices.Equal(rules, clean(all)) {
		t.Errorf("prometheus.yml reads %v of %v", rules, all)
	}
}

func clean(paths []string) []string {
	for i := range paths {
		paths[i] = filepath.Clean(paths[i])
	}
	return paths
}

// exprs lists the queries of a decoded dashboard.
func exprs(t *testing.T, d *dashboard.Dashboard) (list []string) {
	t.Helper()
	for _, p := range d.Panels {
		if p.Panel == nil {
			continue
		}
		for _, target := range p.Panel.Targets {
			text, err := json.Marshal(target)
			if err != nil {
				t.Fatal(err)
			}
			var q struct{ Expr string }
			if err := json.Unmarshal(text, &q); err != nil || q.Expr == "" {
				t.Fatalf("a query without an expression: %s (%v)", text, err)
			}
			list = append(list, q.Expr)
		}
	}
	return list
}
