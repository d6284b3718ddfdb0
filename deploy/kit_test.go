// Package deploy holds how the engine is brought to a machine: an image, a unit of
// systemd, manifests of Kubernetes, a configuration of nginx. Its tests take the
// same steps, as far as a machine without those can.
package deploy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait; nothing waits that long unless it is broken.
const patience = 60 * time.Second

// nobody is the user that the image and the pods run as.
const nobody = 65532

// image is the root that the Dockerfile fills, built once.
var image = sync.OnceValues(func() (string, error) {
	out, err := os.MkdirTemp("", "chumi-image-*")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(out, 0o755); err != nil {
		return "", err
	}
	text, err := exec.Command("./docker-steps.sh", out, "VERSION="+imageVersion).CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("docker-steps.sh: %w\n%s", err, text)
	}
	return out, nil
})

const imageVersion = "v0.0.0-test"

func TestMain(m *testing.M) {
	code := m.Run()
	if built {
		if out, _ := image(); out != "" {
			_ = os.RemoveAll(out)
		}
	}
	os.Exit(code)
}

// built says whether a test asked for the image.
var built bool

// binary is the engine out of the image. Tests that ask for it do not run in parallel.
func binary(t *testing.T) string {
	t.Helper()
	built = true
	root, err := image()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "usr/local/bin/chumi")
}

// public is a temporary directory that other users may enter.
func public(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chumi-deploy-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// asNobody makes a command run as the user of the image, where this process may do so.
func asNobody(cmd *exec.Cmd) {
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}

// give hands a path to the user of the image, where this process may do so.
func give(t *testing.T, path string, uid, gid int, mode os.FileMode) {
	t.Helper()
	if os.Geteuid() == 0 {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// serving is an engine in a process of its own, from its ready line on.
type serving struct {
	edge, api, ops, peer string

	t    *testing.T
	cmd  *exec.Cmd
	done chan error
	mu   sync.Mutex
	log  strings.Builder
}

// serve starts a command that serves and waits for its ready line.
func serve(t *testing.T, cmd *exec.Cmd) *serving {
	t.Helper()
	s := &serving{t: t, cmd: cmd, done: make(chan error, 1)}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if strings.HasPrefix(lines.Text(), "ready ") {
				ready <- lines.Text()
			}
		}
		_, _ = io.Copy(io.Discard, stderr)
		s.done <- cmd.Wait()
	}()
	t.Cleanup(s.stop)
	select {
	case line := <-ready:
		for _, word := range strings.Fields(line) {
			name, addr, _ := strings.Cut(word, "=")
			if to := map[string]*string{"edge": &s.edge, "api": &s.api, "ops": &s.ops, "peer": &s.peer}[name]; to != nil {
				*to = addr
			}
		}
	case err := <-s.done:
		s.done <- err
		t.Fatalf("it ended: %v\n%s", err, s.said())
	case <-time.After(patience):
		t.Fatalf("it is not ready:\n%s", s.said())
	}
	return s
}

func (s *serving) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// stop is SIGTERM, as every manager of services stops a process. It may be called twice.
func (s *serving) stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		s.done <- err
		if err != nil {
			s.t.Errorf("it ended with %v:\n%s", err, s.said())
		}
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		s.t.Errorf("it does not stop:\n%s", s.said())
	}
}

// command runs the engine's binary once.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	text, err := exec.CommandContext(ctx, binary(t), args...).CombinedOutput()
	return string(text), err
}

// anyPorts are flags for free ports of loopback.
var anyPorts = []string{"--edge-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"}

// nowhere is where these engines look for Graph.
const nowhere = "http://127.0.0.1:9"

// bootstrap is one shop with a WhatsApp number.
const bootstrap = `
apps: [{id: shop, app_secret: secret-of-shop, verify_token: token-of-shop}]
tenants: [{id: acme, name: Acme}]
channels: [{id: acme-wa, tenant: acme, app: shop, kind: whatsapp, phone_number_id: "106000000000001", waba_id: "102000000000001", access_token: t1}]
api_keys: [{tenant: acme, secret: key-of-acme, scopes: ["*"]}]
`
