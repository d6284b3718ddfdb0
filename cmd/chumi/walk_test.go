//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// walkPatience bounds the whole walk.
const walkPatience = 4 * time.Minute

// TestReadme_WalkKillsAndRestores runs the operator's walk of the README, each line as it
// is printed, in a directory that has nothing but the Makefile and tools/cluster.sh: the
// engine is this test's own binary, put where `go build` would put it.
func TestReadme_WalkKillsAndRestores(t *testing.T) {
	for _, tool := range []string{"sh", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not on PATH", tool)
		}
	}
	// The README names fixed addresses.
	for _, addr := range []string{"127.0.0.1:9080", "127.0.0.1:9081", "127.0.0.1:18180", "127.0.0.1:18183", "127.0.0.1:18282", "127.0.0.1:18382"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skipf("%s is taken, a cluster may run here: %v", addr, err)
		}
		_ = l.Close()
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, walk, _ := strings.Cut(string(readme), "## Run three")
	walk, _, _ = strings.Cut(walk, "\n## ")
	blocks := guideBlock.FindAllStringSubmatch(walk, -1)
	if len(blocks) < 6 || blocks[0][1] != "make cluster\n" {
		t.Fatalf("the walk has %d blocks of commands, the first %q", len(blocks), blocks[:1])
	}
	w := walker{t: t, dir: t.TempDir()}
	w.furnish()
	up := w.start("up", "make cluster\n")
	eventually(t, "the cluster is up", func() bool { return strings.Contains(w.said("up"), "Ctrl-C stops everything") })
	var script strings.Builder
	for i, b := range blocks[1:] {
		for line := range strings.Lines(b[1]) {
			fmt.Fprintf(&script, "%s\necho \"=== %d exit $?\"\n", strings.TrimSuffix(line, "\n"), i+1)
		}
	}
	began := time.Now()
	sh := w.start("walk", script.String())
	if err := sh.Wait(); err != nil {
		t.Errorf("the shell ended with %v", err)
	}
	t.Logf("the walk took %v", time.Since(began).Round(100*time.Millisecond))
	w.compare(blocks[1:])

	// Ctrl-C ends everything, also what was started by hand.
	if err := syscall.Kill(-up.Process.Pid, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	_ = up.Wait() // make fails when it is interrupted
	eventually(t, "the restored engine stops too", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:18182")
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
}

// walker has a directory in which a reader of the README types.
type walker struct {
	t   *testing.T
	dir string
	env []string
}

// furnish puts into the directory what the walk needs of the repository, and a stand-in
// for go that builds by copying.
func (w *walker) furnish() {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	builder := fmt.Sprintf("#!/bin/sh\nwhile [ $# -gt 1 ]; do [ \"$1\" != -o ] || ln -f %q \"$2\" 2>/dev/null || cp %[1]q \"$2\"; shift; done\n", self)
	tools := filepath.Join(w.dir, "tools")
	if err := os.Mkdir(tools, 0o700); err != nil {
		w.t.Fatal(err)
	}
	stand := filepath.Join(w.t.TempDir(), "go")
	if err := os.WriteFile(stand, []byte(builder), 0o700); err != nil {
		w.t.Fatal(err)
	}
	for _, name := range []string{"Makefile", "tools/cluster.sh"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(w.dir, name), text, 0o700)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.env = append(os.Environ(), "GO="+stand, "CHUMI_TEST_ENGINE=1")
}

// start runs lines in a shell whose output goes to a file: processes that it leaves
// behind hold the file, and nobody waits for them. They end with the test.
func (w *walker) start(name, lines string) *exec.Cmd {
	w.t.Helper()
	out, err := os.Create(filepath.Join(w.dir, name+".txt"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.CommandContext(w.t.Context(), "sh")
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = w.dir, w.env, strings.NewReader(lines), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	over := time.AfterFunc(walkPatience, func() { _ = cmd.Cancel() })
	w.t.Cleanup(func() { over.Stop(); _ = cmd.Cancel() })
	return cmd
}

func (w *walker) said(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, name+".txt"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

var exited = regexp.MustCompile(`=== (\d+) exit (\d+)\n`)

// compare holds what each block printed against what the README says that it does. A
// command fails only where the README shows an answer that does not come.
func (w *walker) compare(blocks [][]string) {
	w.t.Helper()
	printed := make([]string, len(blocks)+1)
	rest := w.said("walk")
	at := 0
	for _, m := range exited.FindAllStringSubmatchIndex(rest, -1) {
		var block, code int
		_, _ = fmt.Sscan(rest[m[2]:m[3]], &block)
		_, _ = fmt.Sscan(rest[m[4]:m[5]], &code)
		part := rest[at:m[0]]
		printed[block] += part
		if code != 0 && !strings.Contains(part, "nothing was answered within") {
			w.t.Errorf("a command of block %d exits %d:\n%s", block, code, part)
		}
		at = m[1]
	}
	for i, b := range blocks {
		for want := range strings.Lines(b[2]) {
			if want = strings.TrimSpace(want); !strings.Contains(printed[i+1], want) {
				w.t.Errorf("%s\nprints\n%s\nwithout %s", b[1], printed[i+1], want)
			}
		}
	}
}
