package manifests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
)

// patience bounds every wait; nothing waits that long unless it is broken.
const patience = 60 * time.Second

// nowhere is where these engines look for Graph.
const nowhere = "http://127.0.0.1:9"

// namespace stands in for Kubernetes: Secrets, and a volume and an address for each
// pod of the set.
type namespace struct {
	t       *testing.T
	dir     string
	chumi   string
	secrets map[string]map[string][]byte
	peers   map[string]string
}

// newNamespace builds the engine, and makes the Secrets as docs/operations.md says.
func newNamespace(t *testing.T, bootstrap string) *namespace {
	t.Helper()
	dir, err := os.MkdirTemp("", "chumi-pods-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n := &namespace{t: t, dir: dir, chumi: filepath.Join(dir, "chumi"), secrets: map[string]map[string][]byte{}, peers: map[string]string{}}
	build := exec.Command("go", "build", "-trimpath", "-o", n.chumi, "./cmd/chumi")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	n.run(build)
	file := filepath.Join(dir, "bootstrap.yaml")
	if err := os.WriteFile(file, []byte(bootstrap), 0o600); err != nil {
		t.Fatal(err)
	}
	shop := filepath.Join(dir, "shop")
	n.run(exec.Command(n.chumi, "cluster", "init", "--out", shop, "--nodes", "3"))
	script := exec.Command(filepath.Join(deployed, "secrets.sh"), shop, file)
	if _, err := exec.LookPath("kubectl"); err != nil {
		script.Env = append(os.Environ(), "PATH="+n.standIn()+":"+os.Getenv("PATH"))
	}
	list, err := decode([]byte(n.run(script)))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		s := o.(*core.Secret)
		n.secrets[s.Name] = s.Data
	}
	for i := 1; i <= 3; i++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		n.peers[fmt.Sprintf("chumi-%d.chumi-peer:8083", i)] = l.Addr().String()
		_ = l.Close()
	}
	return n
}

// standIn is a directory with a kubectl that can do what secrets.sh asks for.
func (n *namespace) standIn() string {
	n.t.Helper()
	n.t.Log("kubectl is not installed: a stand-in makes the Secrets")
	dir := filepath.Join(n.dir, "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		n.t.Fatal(err)
	}
	text := `#!/bin/sh
[ "$1 $2 $3" = "create secret generic" ] || exit 2
printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\ndata:\n' "$4"
for arg; do case $arg in --from-file=*)
	pair=${arg#--from-file=}
	printf '  %s: %s\n' "${pair%%=*}" "$(base64 -w 0 "${pair#*=}")"
esac; done
`
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(text), 0o755); err != nil {
		n.t.Fatal(err)
	}
	return dir
}

// run runs a command to its end.
func (n *namespace) run(cmd *exec.Cmd) string {
	n.t.Helper()
	out, err := cmd.Output()
	if err != nil {
		var e *exec.ExitError
		if errors.As(err, &e) {
			out = append(out, e.Stderr...)
		}
		n.t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// pod is one process that runs as a pod of a rendered set would.
type pod struct {
	name           string
	edge, api, ops string

	t    *testing.T
	cmd  *exec.Cmd
	done chan error
	mu   sync.Mutex
	log  strings.Builder
}

// places maps what a pod sees to what this machine has.
func (n *namespace) places(r *rendered, name string) *strings.Replacer {
	list := []string{}
	for host, addr := range n.peers {
		list = append(list, host, addr)
	}
	for _, m := range r.container().VolumeMounts {
		list = append(list, m.MountPath, filepath.Join(n.dir, name, m.MountPath))
	}
	return strings.NewReplacer(append(list, `":8080"`, "127.0.0.1:0", `":8081"`, "127.0.0.1:0", `":8082"`, "127.0.0.1:0")...)
}

// mount makes the volumes of a pod, with the owners and modes that Kubernetes gives
// them for a pod with a group. What is there already stays.
func (n *namespace) mount(r *rendered, name string) {
	n.t.Helper()
	place := n.places(r, name)
	sources := map[string]map[string][]byte{}
	for _, v := range r.pod().Volumes {
		sources[v.Name] = map[string][]byte{}
		if v.Secret != nil {
			if n.secrets[v.Secret.SecretName] == nil {
				n.t.Fatalf("nobody makes the Secret %s", v.Secret.SecretName)
			}
			sources[v.Name] = n.secrets[v.Secret.SecretName]
		}
		if v.ConfigMap != nil {
			for file, text := range r.configs[v.ConfigMap.Name].Data {
				sources[v.Name][file] = []byte(place.Replace(text))
			}
		}
	}
	group := int(*r.pod().SecurityContext.FSGroup)
	for _, m := range r.container().VolumeMounts {
		dir := place.Replace(m.MountPath)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			n.t.Fatal(err)
		}
		for file, text := range sources[m.Name] {
			path := filepath.Join(dir, file)
			_ = os.Remove(path)
			if err := os.WriteFile(path, text, 0o400); err != nil {
				n.t.Fatal(err)
			}
			n.give(path, group, 0o440)
		}
		if !m.ReadOnly {
			n.give(dir, group, 0o2775)
		}
	}
}

// give hands a path of root's to a group. Without the right to do so the process is
// the owner, and its files are its own.
func (n *namespace) give(path string, group int, mode os.FileMode) {
	n.t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := errors.Join(os.Chown(path, 0, group), os.Chmod(path, mode)); err != nil {
		n.t.Fatal(err)
	}
}

// begin starts pod i of a rendered set and does not wait for it.
func (n *namespace) begin(r *rendered, i int) *pod {
	n.t.Helper()
	p := &pod{t: n.t, name: fmt.Sprintf("chumi-%d", i), done: make(chan error, 1)}
	n.mount(r, p.name)
	place := n.places(r, p.name)
	c := r.container()
	var args []string
	for _, a := range c.Args {
		args = append(args, place.Replace(a))
	}
	p.cmd = exec.Command(n.chumi, args...)
	p.cmd.Dir = place.Replace("/var/lib/chumi")
	p.cmd.Env = []string{"CHUMI_DATA_DIR=" + p.cmd.Dir, "TMPDIR=/nonexistent", "CHUMI_API_PORT=tcp://10.0.0.1:8081",
		"CHUMI_META__GRAPH_URL=" + nowhere, "CHUMI_META__INSTAGRAM_URL=" + nowhere}
	for _, e := range c.Env {
		value := place.Replace(strings.ReplaceAll(e.Value, "$(POD_NAME)", p.name))
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "metadata.name" {
			value = p.name
		} else if e.ValueFrom != nil {
			continue // optional, and not there
		}
		if value == ":8083" {
			value = n.peers[p.name+".chumi-peer:8083"]
		}
		p.cmd.Env = append(p.cmd.Env, e.Name+"="+value)
	}
	if s := r.pod().SecurityContext; os.Geteuid() == 0 {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(*s.RunAsUser), Gid: uint32(*s.RunAsGroup)}}
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
		}
		p.done <- p.cmd.Wait()
	}()
	n.t.Cleanup(p.stop)
	return p
}

func (p *pod) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// ready waits until the pod can accept.
func (p *pod) ready() *pod {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		_, rest, found := strings.Cut("\n"+p.said(), "\nready ")
		if line, _, whole := strings.Cut(rest, "\n"); found && whole {
			if _, err := fmt.Sscanf(line, "edge=%s api=%s ops=%s", &p.edge, &p.api, &p.ops); err != nil {
				p.t.Fatal(err)
			}
			return p
		}
		select {
		case err := <-p.done:
			p.done <- err
			p.t.Fatalf("%s ended: %v\n%s", p.name, err, p.said())
		case <-ctx.Done():
			p.t.Fatalf("%s is not ready:\n%s", p.name, p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// refused waits until the pod ends by itself and returns what it said.
func (p *pod) refused() string {
	p.t.Helper()
	select {
	case err := <-p.done:
		p.done <- nil
		if err == nil {
			p.t.Errorf("%s ended well:\n%s", p.name, p.said())
		}
	case <-time.After(patience):
		p.t.Errorf("%s goes on:\n%s", p.name, p.said())
	}
	return p.said()
}

// stop ends the pod as Kubernetes does. It may be called twice.
func (p *pod) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		p.done <- nil
		if err != nil {
			p.t.Errorf("%s ended with %v:\n%s", p.name, err, p.said())
		}
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		p.t.Errorf("%s does not stop:\n%s", p.name, p.said())
	}
}
