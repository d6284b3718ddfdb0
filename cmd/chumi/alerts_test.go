//go:build alerts

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// alertPatience bounds the wait for an alert: its own "for" of a minute, and a busy machine.
const alertPatience = 4 * time.Minute

// watched is a cluster of processes and a Prometheus with the shipped rules that looks
// at it every second.
type watched struct {
	t     *testing.T
	nodes []child.Options
	run   []*child.Engine
	addr  string
}

// TestAlerts_FollowANodeThatIsKilled kills a node of three by its process id: the shipped
// alerts about it fire, and no alert about lost leadership does; it is started again, and
// they end.
func TestAlerts_FollowANodeThatIsKilled(t *testing.T) {
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed (Debian: apt install prometheus): the alerts are not watched")
	}
	w := &watched{t: t}
	w.assemble()
	w.watch(prometheus)
	w.await("every node up, every rule sound, nothing on fire", func() bool {
		return w.count(`up{job="chumi"} == 1`) == 3 && w.rulesAreSound() && len(w.firing()) == 0
	})
	ops := w.run[2].Addrs.Ops
	w.run[2].Kill()
	w.await("the alerts about the node fire", func() bool {
		on := w.firing()
		return slices.Contains(on, "ChumiNodeDown "+ops) && slices.ContainsFunc(on, func(a string) bool { return strings.HasPrefix(a, "ChumiFollowerSilent ") })
	})
	if on := w.firing(); slices.ContainsFunc(on, func(a string) bool { return strings.HasPrefix(a, "ChumiGroupsLeaderless") }) {
		t.Errorf("two of three nodes are up, and groups are without a leader: %v", on)
	}
	w.start(2)
	w.await("all alerts end", func() bool { return len(w.firing()) == 0 && w.count(`up{job="chumi"} == 1`) == 3 })
}

// assemble builds the engine and starts a cluster of three processes.
func (w *watched) assemble() {
	w.t.Helper()
	dir := w.t.TempDir()
	binary := filepath.Join(dir, "chumi")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		w.t.Fatalf("go build: %v\n%s", err, text)
	}
	secrets := filepath.Join(dir, "secrets")
	if err := child.InitCluster(w.t.Context(), child.Options{Binary: binary}, secrets, 3); err != nil {
		w.t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		home := filepath.Join(dir, fmt.Sprint(n))
		if err := os.MkdirAll(home, 0o700); err != nil {
			w.t.Fatal(err)
		}
		config, bootstrap, err := child.WriteFiles(home, child.NewWorld(1), child.Config{GraphURL: "http://127.0.0.1:9", InstagramURL: "http://127.0.0.1:9",
			Node: &child.NodeConfig{Secrets: child.NodeSecrets(secrets, n), PerIPMax: 100}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.nodes = append(w.nodes, child.Options{Binary: binary, DataDir: filepath.Join(home, "data"), Config: config, Bootstrap: bootstrap,
			Found: n == 1, ReadyIn: time.Minute})
		w.run = append(w.run, nil)
		w.start(n - 1)
	}
	w.t.Cleanup(func() {
		for _, e := range w.run {
			e.Kill()
		}
	})
}

// start starts a node, at the addresses it had before.
func (w *watched) start(i int) {
	w.t.Helper()
	o := w.nodes[i]
	for j, other := range w.run {
		if j != i && other != nil {
			o.Join = append(o.Join, other.Addrs.Peer)
		}
	}
	e, err := child.Start(context.WithoutCancel(w.t.Context()), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.run[i], w.nodes[i].Found, w.nodes[i].Listen = e, false, e.Addrs
}

// watch starts Prometheus with the shipped rules.
func (w *watched) watch(binary string) {
	w.t.Helper()
	dir := w.t.TempDir()
	rules, err := filepath.Abs("../../deploy/prometheus/rules")
	if err != nil {
		w.t.Fatal(err)
	}
	targets := ""
	for _, e := range w.run {
		targets += fmt.Sprintf("      - %q\n", e.Addrs.Ops)
	}
	config := fmt.Sprintf("global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [%q]\nscrape_configs:\n- job_name: chumi\n  static_configs:\n  - targets:\n%s",
		rules+"/*.yml", targets)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	// Prometheus does not tell which port it chose.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = free.Addr().String()
	_ = free.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(binary, "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "tsdb"), "--web.listen-address", w.addr)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && w.t.Failed() {
			w.t.Logf("prometheus said:\n%s", text)
		}
		_ = log.Close()
	})
}

// ask gets a page of Prometheus' API; false while it does not answer.
func (w *watched) ask(path string, data any) bool {
	resp, err := http.Get("http://" + w.addr + "/api/v1/" + path)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	whole := struct{ Data any }{data}
	return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&whole) == nil
}

// firing lists the alerts that fire, each with its instance.
func (w *watched) firing() (list []string) {
	w.t.Helper()
	var page struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	if !w.ask("alerts", &page) {
		w.t.Fatal("prometheus does not list its alerts")
	}
	for _, a := range page.Alerts {
		if a.State == "firing" {
			list = append(list, a.Labels["alertname"]+" "+a.Labels["instance"])
		}
	}
	return list
}

// count is how many series a query returns.
func (w *watched) count(query string) int {
	var page struct{ Result []any }
	if !w.ask("query?query="+strings.NewReplacer(" ", "%20", `"`, "%22", "{", "%7B", "}", "%7D").Replace(query), &page) {
		return -1
	}
	return len(page.Result)
}

// rulesAreSound reports whether every rule was evaluated without an error.
func (w *watched) rulesAreSound() bool {
	var page struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if !w.ask("rules", &page) || len(page.Groups) == 0 {
		return false
	}
	for _, g := range page.Groups {
		for _, r := range g.Rules {
			if r.LastError != "" {
				w.t.Errorf("%s: %s", r.Name, r.LastError)
			}
			if r.Health != "ok" {
				return false
			}
		}
	}
	return true
}

func (w *watched) await(what string, done func() bool) {
	w.t.Helper()
	began := time.Now()
	for !done() {
		if time.Since(began) > alertPatience {
			w.t.Fatalf("not after %v: %s; firing are %v", alertPatience, what, w.firing())
		}
		time.Sleep(200 * time.Millisecond)
	}
	w.t.Logf("%s: after %v", what, time.Since(began).Round(time.Second))
}
