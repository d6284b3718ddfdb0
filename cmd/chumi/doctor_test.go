package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chumiai/chumi/persistence/seal"
)

// healthy is a doctor on a healthy machine where no engine runs.
func healthy(t *testing.T) *doctor {
	t.Helper()
	c := DefaultConfig()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	c.Edge.Addr, c.API.Addr, c.Ops.Addr = freeAddr(t), freeAddr(t), freeAddr(t)
	d := (&cli{stdout: io.Discard, stderr: io.Discard}).newDoctor(&c)
	d.disk = func(string) (disk, error) { return disk{kind: "ext4", free: 100 << 30}, nil }
	d.syncTime = func(string) (time.Duration, error) { return time.Millisecond, nil }
	d.descriptors = func() int { return 1 << 20 }
	return d
}

// found fails unless one finding of a check has the level, and the words in its line.
func found(t *testing.T, list []finding, check string, l level, words ...string) {
	t.Helper()
	var lines []string
	for _, f := range list {
		if f.Check != check {
			continue
		}
		lines = append(lines, f.String())
		all := f.Level == l && (l == levelOK || f.Fix != "" || check == "config")
		for _, w := range words {
			all = all && strings.Contains(f.String(), w)
		}
		if all {
			return
		}
	}
	t.Errorf("no %s of %s with a fix and %q; there is:\n%s", l, check, words, strings.Join(lines, "\n"))
}

func makeKey(t *testing.T, path string) {
	t.Helper()
	if _, _, err := seal.LoadOrCreateKEK(path); err != nil {
		t.Fatal(err)
	}
}

func TestDoctor_Key(t *testing.T) {
	d := healthy(t)
	look := func() []finding { return d.key(t.Context()) }
	found(t, look(), "key", levelWarn, "will be made", "beside the data")
	if err := os.MkdirAll(storeDir(d.config), 0o700); err != nil {
		t.Fatal(err)
	}
	found(t, look(), "key", levelFail, "does not", "restore")
	file := keyFile(d.config)
	makeKey(t, file)
	found(t, look(), "key", levelWarn, "beside the data", "keys.file")
	if err := os.Chmod(file, 0o444); err != nil {
		t.Fatal(err)
	}
	found(t, look(), "key", levelFail, "others may read", "chmod 0400 "+file)
	bad := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(bad, []byte("no key"), 0o400); err != nil {
		t.Fatal(err)
	}
	d.config.Keys.File = bad
	found(t, look(), "key", levelFail, "cannot be used")
	d.config.Keys.File = filepath.Join(t.TempDir(), "kek")
	makeKey(t, d.config.Keys.File)
	found(t, look(), "key", levelOK)
	d.config.Keys.File = filepath.Join(d.config.DataDir, "kek")
	makeKey(t, d.config.Keys.File)
	found(t, look(), "key", levelWarn, "in the data directory")
}

func TestDoctor_Disk(t *testing.T) {
	d := healthy(t)
	look := func() []finding { return d.directory(t.Context()) }
	found(t, look(), "data_dir", levelOK, "will be made")
	found(t, look(), "fsync", levelOK, "1ms")
	found(t, look(), "space", levelOK)
	d.syncTime = func(string) (time.Duration, error) { return 80 * time.Millisecond, nil }
	found(t, look(), "fsync", levelWarn, "80ms")
	d.syncTime = func(dir string) (time.Duration, error) {
		return 0, &os.PathError{Op: "open", Path: dir, Err: syscall.EROFS}
	}
	found(t, look(), "data_dir", levelFail, "cannot be written", "read-only")
	d.syncTime = syncTime
	if err := os.Mkdir(d.config.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range look() {
		if f.Level == levelFail {
			t.Error(f)
		}
	}
	if left, err := os.ReadDir(d.config.DataDir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	for kind, want := range map[string]level{"ext4": levelOK, "xfs": levelOK, "": levelOK, "tmpfs": levelFail, "ramfs": levelFail, "overlay": levelWarn, "nfs": levelWarn, "fuse": levelWarn} {
		d.disk = func(string) (disk, error) { return disk{kind: kind, free: 100 << 30}, nil }
		found(t, look(), "filesystem", want)
	}
	for free, want := range map[uint64]level{100 << 30: levelOK, 1 << 30: levelOK, 1<<30 - 1: levelWarn, 512 << 20: levelWarn, 511 << 20: levelFail} {
		d.disk = func(string) (disk, error) { return disk{kind: "ext4", free: free}, nil }
		found(t, look(), "space", want)
	}
	d.config.Engine.DiskFreeMin = 0
	found(t, look(), "space", levelWarn, "no reserve")
	d.disk = func(string) (disk, error) { return disk{}, syscall.ENOSYS }
	if list := look(); list[len(list)-1].Check != "disk" || list[len(list)-1].Level != levelWarn {
		t.Errorf("a file system that says nothing: %v", list)
	}
}

func TestDoctor_Limits(t *testing.T) {
	d := healthy(t)
	for have, want := range map[int]level{0: levelOK, 1024: levelWarn, 65536: levelOK} {
		d.descriptors = func() int { return have }
		found(t, d.limits(t.Context()), "descriptors", want)
	}
}

func TestDoctor_Listeners(t *testing.T) {
	d := healthy(t)
	held, err := net.Listen("tcp", d.config.API.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	d.config.Ops.Addr = "203.0.113.7:8082"
	list := d.listeners(t.Context())
	found(t, list, "listener", levelOK, "edge.addr", "free")
	found(t, list, "listener", levelFail, "api.addr", "another program")
	found(t, list, "listener", levelFail, "ops.addr", "cannot listen")
}

// TestDoctor_OfARunningEngine looks at a real one from outside.
func TestDoctor_OfARunningEngine(t *testing.T) {
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	_, sims := quickSimulators(t, bootstrap)
	d := healthy(t)
	e := startEngine(t, d.config.DataDir, bootstrap, sims...)
	d.config.Edge.Addr, d.config.API.Addr, d.config.Ops.Addr, d.offline = e.edge, e.api, e.ops, true
	list := d.examine(t.Context())
	found(t, list, "listener", levelOK, "edge.addr", "the engine runs")
	found(t, list, "engine", levelOK, "is ready")
	found(t, list, "channel", levelOK, "CHUMI_KEY")
	found(t, list, "server", levelOK, "--offline")
	d.cli.env = []string{"CHUMI_KEY=key-of-acme"}
	await(t, "the engine has asked how its channels stand", func() bool {
		for _, f := range d.channels(t.Context()) {
			if strings.Contains(f.String(), "acme-wa") && !strings.Contains(f.String(), "not been asked") {
				return true
			}
		}
		return false
	})
	d.cli.env = []string{"CHUMI_KEY=wrong"}
	found(t, d.channels(t.Context()), "channel", levelFail, "CHUMI_KEY")
	d.config.Edge.Addr = freeAddr(t)
	found(t, d.listeners(t.Context()), "listener", levelWarn, "edge.addr", "other addresses")
	e.stop()
	found(t, d.examine(t.Context()), "engine", levelOK, "no engine answers")
}

// scripted stands where an engine's listener does.
func scripted(t *testing.T, answers map[string]string, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestDoctor_OfAnEngineInTrouble(t *testing.T) {
	d := healthy(t)
	d.config.Ops.Addr = scripted(t, map[string]string{"/livez": "alive\n",
		"/readyz": `{"ready":false,"checks":[{"name":"groups","ready":true},{"name":"disk","ready":false,"reason":"free space is below engine.disk_free_min"}]}`}, 503)
	d.config.API.Addr = scripted(t, map[string]string{
		"/v1/channels":          `{"data":[{"id":"a","kind":"whatsapp","held":"token"},{"id":"b","kind":"whatsapp"},{"id":"c","kind":"whatsapp"},{"id":"d","kind":"whatsapp"}]}`,
		"/v1/channels/a/health": `{"ok":false,"fix":"Make a new access token."}`, "/v1/channels/b/health": `{"ok":false,"fix":"Subscribe the app."}`,
		"/v1/channels/c/health": `{"ok":true}`, "/v1/channels/d/health": `nonsense`}, 200)
	d.cli.env, d.offline = []string{"CHUMI_KEY=k"}, true
	list := d.examine(t.Context())
	found(t, list, "engine", levelFail, "disk: free space", "runbook")
	found(t, list, "channel", levelFail, "channel a holds its sends: token", "Make a new access token.")
	found(t, list, "channel", levelWarn, "channel b", "Subscribe the app.")
	found(t, list, "channel", levelOK, "channel c")
	found(t, list, "channel", levelFail, "channel d")
}

func TestDoctor_OfARestoredEngine(t *testing.T) {
	d := healthy(t)
	d.running = true
	d.config.Ops.Addr = scripted(t, map[string]string{
		"/readyz": `{"ready":true,"checks":[{"name":"restored","ready":true,"note":"was restored: it sends nothing"}]}`}, 200)
	list := d.ready(t.Context())
	found(t, list, "engine", levelOK, "ready")
	found(t, list, "restored", levelWarn, "sends nothing", "backup.md")
}

func TestDoctor_Servers(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	// Handshakes that are broken off are the point here.
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	gone := freeAddr(t)
	d := healthy(t)
	d.roots = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c := d.config
	c.Meta.GraphURL, c.Meta.InstagramURL = s.URL, "https://localhost:"+s.URL[strings.LastIndex(s.URL, ":")+1:]
	c.Assistant.BaseURL = "http://" + gone
	c.Assistant.Providers = map[string]ProviderConfig{"eu": {BaseURL: s.URL}}
	c.Media.S3 = S3Config{Endpoint: gone, Bucket: "b", TLS: true}
	look := func() []finding { return d.servers(t.Context()) }
	list := look()
	found(t, list, "server", levelOK, "meta.graph_url", "answers")
	found(t, list, "server", levelOK, "assistant.providers.eu.base_url", "answers")
	found(t, list, "server", levelFail, "meta.instagram_url", "certificate")
	found(t, list, "server", levelFail, "assistant.base_url", "cannot be reached", "refused")
	found(t, list, "server", levelFail, "media.s3.endpoint", "cannot be reached")
	found(t, list, "clock", levelOK)
	for shift, want := range map[time.Duration]level{-time.Second: levelOK, 20 * time.Second: levelWarn, -20 * time.Second: levelWarn, time.Hour: levelFail, -time.Hour: levelFail} {
		d.now = func() time.Time { return time.Now().Add(shift) }
		found(t, look(), "clock", want)
	}
	d.roots = x509.NewCertPool()
	found(t, look(), "server", levelFail, "meta.graph_url", "vouched for by nobody")
	found(t, []finding{unreachable("k", "h", &url.Error{Err: &net.OpError{Err: &net.DNSError{Err: "no such host"}}})}, "server", levelFail, "does not resolve")
	found(t, []finding{unreachable("k", "h", &url.Error{Err: context.DeadlineExceeded})}, "server", levelFail, "within")
	for text, want := range map[string]bool{"http://10.0.0.5:8000/v1": true, "http://model.example": true, "http://127.0.0.1:1": false, "http://localhost:1": false, "https://10.0.0.5": false} {
		u, err := url.Parse(text)
		if err != nil || overheard(u) != want {
			t.Errorf("%s: overheard %v, %v", text, !want, err)
		}
	}
}

func TestDoctor_Bucket(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.Trim(r.URL.Path, "/") {
		case "files":
		case "others":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	d := healthy(t)
	found := func(bucket string, l level, words ...string) {
		t.Helper()
		d.config.Media.S3 = S3Config{Endpoint: strings.TrimPrefix(s.URL, "http://"), Bucket: bucket, Region: "r", AccessKey: "id", SecretKey: "sk-canary-77c1"}
		list := d.bucket(t.Context())
		found(t, list, "bucket", l, words...)
		if strings.Contains(list[0].String(), "canary") {
			t.Errorf("it prints the key: %s", list[0])
		}
	}
	found("files", levelOK)
	found("none", levelFail, "there is no bucket none")
	found("others", levelFail, "cannot be used")
	s.Close()
	found("files", levelFail, "cannot be used")
	d.config.Media.S3 = S3Config{}
	if list := d.bucket(t.Context()); list != nil {
		t.Errorf("without a bucket: %v", list)
	}
}

func TestDoctor_Cluster(t *testing.T) {
	c := foundCluster(t, 2)
	c.start(2)
	c.settle(nil)
	d := healthy(t)
	dir := filepath.Join(c.dir, "node-1")
	d.config.DataDir, d.config.Keys.File = c.data(1), filepath.Join(dir, "kek")
	d.config.Cluster = ClusterConfig{CertFile: filepath.Join(dir, "node.crt"), KeyFile: filepath.Join(dir, "node.key"), CAFile: filepath.Join(dir, "ca.crt")}
	d.config.Ops.Addr, d.running = c.nodes[1].ops, true
	look := func() []finding { return d.membership(t.Context()) }
	list := look()
	found(t, list, "certificate", levelOK, "node 1 of cluster chumi")
	found(t, list, "peer", levelOK, "node 2", "answers")
	found(t, list, "groups", levelOK, "are led")
	found(t, list, "format", levelOK, "format 6, the newest")
	if code, out, errs := ran(t, "cluster", "finalize", "--ops-addr", c.nodes[2].ops); code != exitOK || out != "format 6\n" {
		t.Errorf("finalize where there is nothing to: %d %s%s", code, out, errs)
	}
	found(t, d.settings(t.Context()), "config", levelWarn, "bucket")
	addr := c.nodes[2].peer()
	c.stop(2)
	found(t, look(), "peer", levelFail, "node 2", "does not answer", "cluster remove")
	await(t, "half of two is no majority", func() bool {
		for _, f := range look() {
			if f.Check == "groups" && f.Level == levelFail {
				return true
			}
		}
		return false
	})
	c.stop(1)
	d.running = false
	found(t, look(), "peer", levelFail, "node 2 at "+addr, "cannot be reached")
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	found(t, look(), "peer", levelOK, "node 2 at "+addr)
	d.offline = true
	found(t, look(), "peer", levelOK, "--offline")

	now := time.Now()
	for later, want := range map[time.Duration]level{0: levelOK, 350 * 24 * time.Hour: levelWarn, 3 * 365 * 24 * time.Hour: levelFail} {
		d.now = func() time.Time { return now.Add(later) }
		found(t, look(), "certificate", want)
	}
	d.now = time.Now
	d.config.DataDir = t.TempDir()
	found(t, look(), "peer", levelOK, "in no cluster yet")
}

func TestDoctor_Command(t *testing.T) {
	const canary = "sk-canary-91ab"
	dir := t.TempDir()
	exec := func(env []string, args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"doctor", "--offline", "--data-dir", filepath.Join(dir, "data"),
			"--edge-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ops-addr", freeAddr(t)}, args...), env, &out, &errs)
		return code, out.String(), errs.String()
	}
	secrets := []string{"CHUMI_ASSISTANT__API_KEY=" + canary, "CHUMI_MEDIA__S3__SECRET_KEY=" + canary, "CHUMI_KEY=" + canary}
	var report struct {
		OK       bool
		Findings []finding
	}
	code, out, errs := exec(secrets, "--json")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	bad := 0
	for _, f := range report.Findings {
		if f.Level == levelFail {
			bad++
		}
	}
	// Only the disk of the machine that tests may be a failure.
	if (code == exitOK) != (bad == 0) || report.OK != (bad == 0) || len(report.Findings) < 8 {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	for _, args := range [][]string{nil, {"--json"}, {"--set", "assistant.call_max=1"}} {
		if _, out, errs := exec(secrets, args...); strings.Contains(out+errs, canary) {
			t.Errorf("%v prints a secret: %s%s", args, out, errs)
		}
	}
	code, out, errs = exec(nil, "--set", "sends.whatsapp_class=never", "--set", "engine.groups=maybe")
	if code != exitFailed || strings.Count(out, "fail  config") != 2 || !strings.Contains(errs, "2 of 2") {
		t.Errorf("a wrong configuration: exit %d: %s%s", code, out, errs)
	}
}

// A finding is one line, whatever is in it.
func TestFinding_IsOneLine(t *testing.T) {
	if line := fail("a", "b\nc", "d\ne").String(); strings.Contains(line, "\n") {
		t.Errorf("%q", line)
	}
}
