package manifests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// pinned is an image by version and digest.
var pinned = regexp.MustCompile(`^[a-z./-]+:v?[0-9][0-9.]+@sha256:[0-9a-f]{64}$`)

// TestCompose_IsUnderstood loads the file as docker compose does, which refuses what
// its schema does not have, and looks at what it opens and mounts.
func TestCompose_IsUnderstood(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join(root, "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(t.TempDir(), "bootstrap.yaml")
	if err := os.WriteFile(secrets, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	details := types.ConfigDetails{WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml")}},
		Environment: types.Mapping{"CHUMI_BOOTSTRAP": secrets, "GRAFANA_PASSWORD": "x"}}
	project, err := loader.LoadWithContext(t.Context(), details)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range project.Services {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s is published at %q:%s", name, p.HostIP, p.Published)
			}
		}
		if s.Privileged || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not confined", name)
		}
		for _, v := range s.Volumes {
			if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
				t.Errorf("%s mounts %s, which is not there", name, v.Source)
			}
		}
		if s.Build == nil && !pinned.MatchString(s.Image) {
			t.Errorf("%s runs %s: name it by tag and digest", name, s.Image)
		}
	}
	chumi := project.Services["chumi"]
	if _, err := os.Stat(filepath.Join(chumi.Build.Context, chumi.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	if !chumi.ReadOnly || *chumi.StopGracePeriod <= 30e9 {
		t.Errorf("the engine: read only %v, stopped after %v", chumi.ReadOnly, chumi.StopGracePeriod)
	}
	// What the monitoring says of names is so here.
	for file, words := range map[string][]string{
		"prometheus/prometheus.yml":                       {"chumi:8082"},
		"grafana/provisioning/dashboards/chumi.yml":       {"path: /var/lib/grafana/dashboards"},
		"grafana/provisioning/datasources/prometheus.yml": {"http://prometheus:9090"},
	} {
		for _, w := range words {
			if text := string(read(t, filepath.Join(dir, file))); !strings.Contains(text, w) {
				t.Errorf("%s does not say %s", file, w)
			}
		}
	}
	if addr := chumi.Environment["CHUMI_OPS__ADDR"]; addr == nil || *addr != "0.0.0.0:8082" {
		t.Errorf("Prometheus asks port 8082, the operator's listener is at %v", addr)
	}
	for _, missing := range []string{"CHUMI_BOOTSTRAP", "GRAFANA_PASSWORD"} {
		details.Environment = types.Mapping{"CHUMI_BOOTSTRAP": secrets, "GRAFANA_PASSWORD": "x"}
		delete(details.Environment, missing)
		if _, err := loader.LoadWithContext(t.Context(), details); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}
