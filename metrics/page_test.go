package metrics_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page is where operators read what each metric means.
const page = "../docs/metrics.md"

const pageHead = `# Metrics

Every metric of the engine, as ` + "`/metrics`" + ` of the ops listener shows it, beside those of the Go runtime and the process. Names, types, labels and help are those of the code; ` + "`go test ./metrics -rewrite`" + ` writes them anew and keeps the last column. Durations are in seconds, as classic and native histograms. No label names a tenant, a customer, a channel or a node, so the number of series does not grow with traffic. What to do about them stands in the [runbook](runbook.md).

| name | type | labels | what it is | what it tells |
|---|---|---|---|---|
`

var pageRow = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|.*\\| ([^|]*) \\|$")

// TestPage_ListsEveryMetric keeps the page whole: each metric is there as it is
// registered, with a word on what it tells, and nothing else is.
func TestPage_ListsEveryMetric(t *testing.T) {
	lines, _ := list(t)
	lines = append(lines, "chumi_build_info gauge {version} 1, labelled with the version of this binary.")
	slices.Sort(lines)
	was, err := os.ReadFile(page)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	tells := map[string]string{}
	for _, m := range pageRow.FindAllStringSubmatch(string(was), -1) {
		tells[m[1]] = strings.TrimSpace(m[2])
	}
	var b strings.Builder
	b.WriteString(pageHead)
	for _, l := range lines {
		name, rest, _ := strings.Cut(l, " ")
		kind, rest, _ := strings.Cut(rest, " ")
		labels, help, _ := strings.Cut(strings.TrimPrefix(rest, "{"), "} ")
		if labels != "" {
			labels = "`" + strings.ReplaceAll(labels, ",", "` `") + "`"
		}
		if tells[name] == "" {
			t.Errorf("%s: say in the last column of %s what it tells an operator", name, page)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, kind, labels, help, tells[name])
	}
	if *rewrite {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if b.String() != string(was) {
		t.Errorf("%s is not what is registered; run go test ./metrics -rewrite and review the diff", page)
	}
}
