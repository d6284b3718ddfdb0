package netns

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMain lets this binary be a node: it listens on ADDR and, for every line
// that holds an address, says whether that could be reached.
func TestMain(m *testing.M) {
	addr := os.Getenv("NETNS_TEST_LISTEN")
	if addr == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		os.Exit(1)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		go answer(c)
	}
}

func answer(c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		_, _ = c.Write([]byte(verdict(reach(lines.Text())) + "\n"))
	}
}

func reach(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

func verdict(ok bool) string {
	if ok {
		return "reached"
	}
	return "not reached"
}

// node starts this binary in a namespace and returns a way to ask it whether it
// reaches an address.
func node(t *testing.T, w *Network, n int) func(addr string) bool {
	t.Helper()
	at := w.Node(n).At(7000)
	c := append(w.Node(n).Within(), os.Args[0])
	cmd := exec.Command(c[0], c[1:]...)
	cmd.Env = append(os.Environ(), "NETNS_TEST_LISTEN="+at)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		if reach(at) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return func(addr string) bool {
		conn, err := net.DialTimeout("tcp", at, time.Second)
		if err != nil {
			t.Fatalf("the host does not reach node %d: %v", n, err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = conn.Write([]byte(addr + "\n"))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			t.Fatalf("node %d does not answer the host: %v", n, err)
		}
		return strings.TrimSpace(line) == verdict(true)
	}
}

func TestNetwork_CutsNodesFromOneAnotherOnly(t *testing.T) {
	w, err := New(3)
	if errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := exec.Command("ip", "netns", "list").Output(); strings.Contains(string(left), w.nodes[0].Name) {
			t.Errorf("left behind: %s", left)
		}
	})
	one, two := node(t, w, 1), node(t, w, 2)
	three := node(t, w, 3)
	links := func(when string, want1to2, want2to1, want2to3 bool) {
		t.Helper()
		for _, l := range []struct {
			name string
			from func(string) bool
			to   int
			want bool
		}{{"1 to 2", one, 2, want1to2}, {"2 to 1", two, 1, want2to1}, {"2 to 3", two, 3, want2to3}} {
			if got := l.from(w.Node(l.to).At(7000)); got != l.want {
				t.Errorf("%s: node %s: reached is %v, want %v", when, l.name, got, l.want)
			}
		}
		three(w.Node(3).At(7000)) // fails unless the host reaches it
	}
	links("whole", true, true, true)
	for _, c := range []struct {
		when string
		d    Direction
	}{{"both ways cut", Both}, {"incoming cut", In}, {"outgoing cut", Out}} {
		if err := w.Cut(1, c.d); err != nil {
			t.Fatal(err)
		}
		// A connection needs both ways; which packets arrive, it cannot tell.
		links(c.when, false, false, true)
	}
	for range 2 {
		if err := w.Heal(1); err != nil {
			t.Fatal(err)
		}
	}
	links("healed", true, true, true)
}

func TestNew_SaysWhatIsMissing(t *testing.T) {
	if os.Geteuid() != 0 {
		if _, err := New(3); !errors.Is(err, ErrUnavailable) {
			t.Errorf("without root: %v", err)
		}
		return
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := New(3); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "ip") {
		t.Errorf("without ip: %v", err)
	}
	if _, err := New(0); err == nil {
		t.Error("no nodes were taken")
	}
}
