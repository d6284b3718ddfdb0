package deploy

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestMonitoring_OfKubernetesIsTheSame: the operator's PrometheusRule has the groups of
// the rule files, and each dashboard is named for a ConfigMap. `make verify-deploy` holds
// both against the operator's types; this needs none of them, and runs with every change.
func TestMonitoring_OfKubernetesIsTheSame(t *testing.T) {
	type groups struct {
		Groups []any
	}
	var want []any
	rules := readAll[groups](t, "prometheus/rules/*.yml")
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		want = append(want, rules[name].Groups...)
	}
	for name, rule := range readAll[struct{ Spec groups }](t, "kubernetes/monitoring/prometheusrule.yaml") {
		if len(want) < 9 || !reflect.DeepEqual(rule.Spec.Groups, want) {
			t.Errorf("%s is not what the rules say; its first line says how to write it", name)
		}
	}

	text, err := os.ReadFile("grafana/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		Generators []struct{ Files []string } `yaml:"configMapGenerator"`
	}
	if err := yaml.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, g := range k.Generators {
		for _, f := range g.Files {
			named = append(named, filepath.Join("grafana", f))
		}
	}
	slices.Sort(named)
	if there, err := filepath.Glob("grafana/dashboards/*.json"); err != nil || len(there) < 5 || !slices.Equal(named, there) {
		t.Errorf("grafana/kustomization.yaml names %v, there are %v", named, there)
	}
}
