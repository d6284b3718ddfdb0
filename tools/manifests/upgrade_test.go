package manifests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newer builds an engine that knows another format as well: the same sources but for
// the number.
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

// TestCluster_UpgradesToAnotherFormat does what docs/operations.md says of an upgrade,
// with a version that knows another format: node after node while the others go on, one
// of them back to the version of before, and a finalize at the end. Nothing that was
// acknowledged is missing, and no moment refuses what is posted to a node that is up.
func TestCluster_UpgradesToAnotherFormat(t *testing.T) {
	n := newNamespace(t, bootstrap)
	older, newer := n.chumi, n.newer()
	found, cluster := render(t, "overlays/found"), render(t, "overlays/cluster")
	founder := n.begin(found, 1).ready()
	pods := []*pod{founder, n.begin(cluster, 2).ready(), n.begin(cluster, 3).ready()}
	n.whole(founder, 3)
	var taken []string
	took := func(text string) {
		t.Helper()
		for _, p := range pods {
			taken = append(taken, text+" by "+p.name)
			if code := post(t, p.edge, fmt.Sprint("wamid.", len(taken)), taken[len(taken)-1]); code != http.StatusOK {
				t.Errorf("%s was answered %d", taken[len(taken)-1], code)
			}
		}
	}
	restart := func(i int, binary string) {
		t.Helper()
		pods[i-1].stop()
		n.chumi = binary
		pods[i-1] = n.begin(cluster, i).ready()
		n.whole(pods[i-1], 3)
	}
	finalize := func() string {
		t.Helper()
		out, _ := exec.Command(newer, "cluster", "finalize", "--ops-addr", pods[0].ops).CombinedOutput()
		return string(out)
	}
	took("before")
	for _, step := range []struct {
		pod    int
		binary string
	}{{1, newer}, {2, newer}, {2, older}, {2, newer}} {
		restart(step.pod, step.binary)
		took(fmt.Sprint("among two versions, ", len(taken)))
		if said := finalize(); !strings.Contains(said, "node 3 knows formats up to") {
			t.Errorf("finalize with an older node: %s", said)
		}
	}
	restart(3, newer)
	took("before it is finalized")
	if said := finalize(); said != "format 1000\n" {
		t.Errorf("finalize: %s", said)
	}
	took("after it was")
	n.whole(pods[1], 3)
	text := events(t, pods[1].api)
	for _, want := range taken {
		if strings.Count(text, `"`+want+`"`) != 1 {
			t.Errorf("%q is not there once: %s", want, text)
		}
	}
	pods[2].stop()
	n.chumi = older
	if said := n.begin(cluster, 3).refused(); !strings.Contains(said, "start the newer binary that wrote it") {
		t.Errorf("the older version takes the newer format: %s", said)
	}
}
