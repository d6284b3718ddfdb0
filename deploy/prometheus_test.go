package deploy

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const runbook = "https://github.com/chumiai/chumi/blob/main/docs/runbook.md#"

// ruleFile is a file of Prometheus' rules, testFile one of their tests, as far as is
// looked at here.
type (
	ruleFile struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	rule struct {
		Record, Alert, Expr, For string
		Labels, Annotations      map[string]string
	}
	testFile struct {
		Tests []struct {
			Name  string
			Cases []struct {
				Alert string     `yaml:"alertname"`
				Fires []struct{} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
)

// readAll reads the YAML files of a pattern, of which there must be some.
func readAll[T any](t *testing.T, pattern string) map[string]T {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s (%v)", pattern, err)
	}
	out := map[string]T{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var one T
		if err := yaml.Unmarshal(text, &one); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[f] = one
	}
	return out
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	for _, f := range readAll[ruleFile](t, "prometheus/rules/*.yml") {
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// TestRules_PassPromtool has Prometheus' own tool read the rules and run their tests.
func TestRules_PassPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian: apt install prometheus): the rules and their tests are not run")
	}
	for _, args := range [][]string{{"check", "rules"}, {"test", "rules"}} {
		files, err := filepath.Glob("prometheus/" + map[string]string{"check": "rules", "test": "tests"}[args[0]] + "/*.yml")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files to %s (%v)", args[0], err)
		}
		if text, err := exec.Command(tool, append(args, files...)...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, text)
		}
	}
}

// TestAlerts_HaveARunbookAndTests holds every alert to its section of the runbook, and
// to a case in which it fires and one in which it does not.
func TestAlerts_HaveARunbookAndTests(t *testing.T) {
	text, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, s := range strings.Split(string(text), "\n### ")[1:] {
		title, body, _ := strings.Cut(s, "\n")
		sections[title] = body
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, f := range readAll[testFile](t, "prometheus/tests/*.yml") {
		for _, one := range f.Tests {
			for _, c := range one.Cases {
				if len(c.Fires) > 0 {
					fires[c.Alert] = true
				} else {
					quiet[c.Alert] = true
				}
			}
		}
	}
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		body, ok := sections[r.Alert]
		switch {
		case !ok:
			t.Errorf("%s: write a section of that name into docs/runbook.md", r.Alert)
		case !strings.Contains(body, "\n- Look at: ") || !strings.Contains(body, "\n- Do: "):
			t.Errorf("%s: its section says what to look at (\"- Look at:\") and what to do (\"- Do:\")", r.Alert)
		}
		if want := runbook + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
		if r.Annotations["summary"] == "" || !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
			t.Errorf("%s: it needs a summary, and the severity page or ticket", r.Alert)
		}
		if !fires[r.Alert] || !quiet[r.Alert] {
			t.Errorf("%s: prometheus/tests needs a case in which it fires (there is: %v) and one in which it does not (%v)", r.Alert, fires[r.Alert], quiet[r.Alert])
		}
	}
	for title := range sections {
		if strings.HasPrefix(title, "Chumi") && !alerts[title] {
			t.Errorf("docs/runbook.md: there is no alert %s", title)
		}
	}
}

// TestMetricNames_AreRegistered finds every name of a metric in rules, dashboards and
// pages, and looks for it among those that the engine has.
func TestMetricNames_AreRegistered(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	known, histogram := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (\\w+)").FindAllStringSubmatch(string(page), -1) {
		known[m[1]], histogram[m[1]] = true, m[2] == "histogram"
	}
	recorded := map[string]bool{}
	for _, r := range rules(t) {
		recorded[r.Record] = true
	}
	name := regexp.MustCompile(`\bchumi(_|:[a-z])[a-z0-9_:]*[a-z0-9]`)
	part := regexp.MustCompile(`_(bucket|sum|count)$`)
	files := []string{"../README.md"}
	for _, dir := range []string{".", "../docs"} {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && slices.Contains([]string{".md", ".yml", ".yaml", ".json"}, filepath.Ext(p)) {
				files = append(files, p)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range name.FindAllString(string(text), -1) {
			found++
			base := part.ReplaceAllString(n, "")
			if !known[n] && !recorded[n] && !(base != n && histogram[base]) {
				t.Errorf("%s: %s is not a metric of the engine, see docs/metrics.md", f, n)
			}
		}
	}
	if found < len(known) {
		t.Errorf("only %d names found: the search is broken", found)
	}
}
