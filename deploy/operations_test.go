package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// standIns are the programs that the commands of docs/operations.md call and a test
// cannot: each checks that the files it is given are there, and notes that it was
// called. The kubectl makes Secrets without content.
var standIns = map[string]string{
	"systemctl":        `:`,
	"systemd-sysusers": `[ -f "$root/usr/lib/sysusers.d/chumi.conf" ]`,
	"docker": `while [ $# -gt 0 ]; do case $1 in -f) [ -f "$2" ] || { echo "no $2" >&2; exit 1; } ;; esac; shift; done
[ -z "${CHUMI_BOOTSTRAP-}" ] || [ -f "$CHUMI_BOOTSTRAP" ]`,
	"kubectl": `case " $* " in *" apply -f - "*) grep -q '^kind: Secret' || { echo "no Secret" >&2; exit 1; } ;;
*" create secret generic "*) for arg; do case $arg in --from-file=*) [ -s "${arg##*=}" ] || { echo "no ${arg##*=}" >&2; exit 1; } ;; esac; done
	printf 'kind: Secret\n' ;; esac
while [ $# -gt 0 ]; do case $1 in -k) [ -f "$2/kustomization.yaml" ] || { echo "no $2" >&2; exit 1; } ;; esac; shift; done`,
}

// TestOperations_CommandsRun runs the commands of docs/operations.md in the order they
// stand in, where absolute paths begin at a directory of the test's.
func TestOperations_CommandsRun(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 8 {
		t.Fatalf("only %d blocks", len(blocks))
	}
	dir := t.TempDir()
	root, bin, work := filepath.Join(dir, "root"), filepath.Join(dir, "bin"), filepath.Join(dir, "work")
	for _, d := range []string{filepath.Join(root, "usr/local/bin"), filepath.Join(root, "etc"), bin, filepath.Join(work, "bin")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	calls := filepath.Join(dir, "calls")
	for name, text := range standIns {
		script := "#!/bin/sh\nset -eu\nroot=" + root + "\necho " + name + " \"$@\" >> " + calls + "\n" + text + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{filepath.Join(work, "deploy"): here, filepath.Join(work, "bin/chumi"): binary(t), filepath.Join(bin, "chumi"): binary(t)} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(work, "bootstrap.yaml"), []byte(bootstrap), 0o600); err != nil {
		t.Fatal(err)
	}
	absolute := regexp.MustCompile(`(^|\s)/(usr|etc|run)/`)
	for _, b := range blocks {
		cmd := exec.Command("sh", "-euxc", absolute.ReplaceAllString(b[1], "${1}"+root+"/$2/"))
		cmd.Dir, cmd.Env = work, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	for path, mode := range map[string]os.FileMode{
		"usr/local/bin/chumi": 0o755, "etc/chumi/kek": 0o400, "etc/chumi/bootstrap.yaml": 0o400, "etc/chumi/node.key": 0o400, "etc/chumi/node.crt": 0o444,
		"etc/systemd/system/chumi.service": 0o644, "etc/systemd/system/chumi.service.d/cluster.conf": 0o644,
	} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("/%s: %v, %v, want mode %o", path, info, err, mode)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "run/systemd/system/chumi.service.d/found.conf")); err == nil {
		t.Error("--found is left behind")
	}
	called, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"systemctl enable --now chumi", "docker build ", "docker compose ", "kubectl apply -k deploy/kubernetes/overlays/cluster"} {
		if !strings.Contains(string(called), want) {
			t.Errorf("nobody called %q:\n%s", want, called)
		}
	}
}
