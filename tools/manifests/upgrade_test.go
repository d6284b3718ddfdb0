package manifests

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newer builds an engine that writes the next format: the same sources but for the
// number.
func (n *namespace) newer() string {
	n.t.Helper()
	file, err := filepath.Abs(filepath.Join(root, "persistence/format.go"))
	if err != nil {
		n.t.Fatal(err)
	}
	before, after, found := strings.Cut(string(read(n.t, file)), "FormatNewest = Format")
	if !found {
		n.t.Fatal("persistence/format.go does not say what FormatNewest is any more")
	}
	_, after, _ = strings.Cut(after, "\n")
	changed := filepath.Join(n.dir, "format.go")
	if err := os.WriteFile(changed, []byte(before+"FormatNewest FormatVersion = 1000\n"+after), 0o600); err != nil {
		n.t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		n.t.Fatal(err)
	}
	list := filepath.Join(n.dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		n.t.Fatal(err)
	}
	out := filepath.Join(n.dir, "chumi-newer")
	build := exec.Command("go", "build", "-trimpath", "-overlay", list, "-o", out, "./cmd/chumi")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	n.run(build)
	return out
}

// TestCluster_UpgradesToAnotherFormat does what docs/operations.md says of a version
// with another format, node after node: those of two formats are down to each other,
// a majority of either goes on, and nothing that was acknowledged is missing.
func TestCluster_UpgradesToAnotherFormat(t *testing.T) {
	n := newNamespace(t, bootstrap)
	older, newer := n.chumi, n.newer()
	found, cluster := render(t, "overlays/found"), render(t, "overlays/cluster")
	founder := n.begin(found, 1).ready()
	second, third := n.begin(cluster, 2).ready(), n.begin(cluster, 3).ready()
	n.whole(founder, 3)
	took := func(p *pod, id, text string) {
		t.Helper()
		if code := post(t, p.edge, id, text); code != http.StatusOK {
			t.Errorf("%s was answered %d", text, code)
		}
	}
	took(founder, "wamid.1", "before")

	founder.stop()
	n.chumi = newer
	first := n.begin(cluster, 1)
	eventually(t, "the others refuse the first", func() bool {
		return strings.Contains(second.said()+third.said(), "run the same version on both")
	})
	took(third, "wamid.2", "while one is ahead")
	second.stop()
	second = n.begin(cluster, 2)
	first.ready()
	second.ready()
	took(first, "wamid.3", "while one is behind")
	if code := post(t, third.edge, "wamid.4", "to the one behind"); code != http.StatusServiceUnavailable {
		t.Errorf("the last one of the older format answers %d", code)
	}
	third.stop()
	third = n.begin(cluster, 3).ready()
	n.whole(third, 3)
	took(third, "wamid.4", "to the one behind")
	text := events(t, second.api)
	for _, want := range []string{"before", "while one is ahead", "while one is behind", "to the one behind"} {
		if strings.Count(text, `"`+want+`"`) != 1 {
			t.Errorf("%q is not there once: %s", want, text)
		}
	}
	third.stop()
	n.chumi = older
	if said := n.begin(cluster, 3).refused(); !strings.Contains(said, "start the newer binary that wrote it") {
		t.Errorf("the older version takes the newer format: %s", said)
	}
}

// eventually waits for what another process is about to do.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}
