package manifests

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var rewrite = flag.Bool("rewrite", false, "write the PrometheusRule anew")

// ruleHead is all of the PrometheusRule that the rules do not say.
const ruleHead = `# Made of deploy/prometheus/rules: cd tools && go test ./manifests -run PrometheusRule -args -rewrite
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: chumi
  labels:
    app.kubernetes.io/name: chumi
`

// TestPrometheusRule_IsTheShippedRules: the operator's object has the rules that
// promtool tests and that a Prometheus without the operator reads, in their order.
func TestPrometheusRule_IsTheShippedRules(t *testing.T) {
	var want monitoring.PrometheusRuleSpec
	for _, path := range files(t, filepath.Join(root, "deploy/prometheus/rules"), ".yml") {
		var file monitoring.PrometheusRuleSpec
		if err := yaml.UnmarshalStrict(read(t, path), &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		want.Groups = append(want.Groups, file.Groups...)
	}
	body, err := yaml.Marshal(map[string]any{"spec": want})
	if err != nil {
		t.Fatal(err)
	}
	path, text := filepath.Join(deployed, "monitoring/prometheusrule.yaml"), append([]byte(ruleHead), body...)
	if *rewrite {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, path); !bytes.Equal(got, text) {
		t.Errorf("%s is not what the rules say; its first line says how to write it", path)
	}
	// What the cluster gets, read as the operator reads it.
	var found []*monitoring.PrometheusRule
	for _, o := range render(t, "monitoring").all {
		if r, ok := o.(*monitoring.PrometheusRule); ok {
			found = append(found, r)
		}
	}
	if len(found) != 1 || !reflect.DeepEqual(found[0].Spec, want) {
		t.Errorf("%d PrometheusRules are rendered; the one there should be has other rules than the files", len(found))
	}
	rules := 0
	for _, g := range want.Groups {
		rules += len(g.Rules)
	}
	if rules < 60 {
		t.Errorf("only %d rules", rules)
	}
}

// annotationMax is what kubectl apply may keep of an object in an annotation.
const annotationMax = 256 << 10

// TestDashboards_AreConfigMaps: each dashboard is in a ConfigMap that Grafana's sidecar
// takes up, byte for byte.
func TestDashboards_AreConfigMaps(t *testing.T) {
	left := map[string][]byte{}
	for _, path := range files(t, filepath.Join(root, "deploy/grafana/dashboards"), ".json") {
		left[filepath.Base(path)] = read(t, path)
	}
	if len(left) < 5 {
		t.Fatalf("only %d dashboards", len(left))
	}
	for _, o := range render(t, "monitoring").all {
		c, ok := o.(*core.ConfigMap)
		if !ok {
			continue
		}
		if c.Labels["grafana_dashboard"] != "1" || len(c.Data) != 1 {
			t.Errorf("%s: labels %v, %d files", c.Name, c.Labels, len(c.Data))
		}
		for name, text := range c.Data {
			if !bytes.Equal(left[name], []byte(text)) {
				t.Errorf("%s: %s is not the shipped dashboard", c.Name, name)
			}
			if len(text) > annotationMax/2 {
				t.Errorf("%s has %d bytes: quoted, kubectl apply may refuse it", name, len(text))
			}
			delete(left, name)
		}
	}
	for name := range left {
		t.Errorf("%s is in no ConfigMap: name it in deploy/grafana/kustomization.yaml", name)
	}
}
