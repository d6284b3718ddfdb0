package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/transport/console"
)

func TestServe_RefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := write(t, "b.yaml", twoTenants)
	keyless := t.TempDir()
	startEngine(t, keyless, good).stop()
	if err := os.Remove(filepath.Join(keyless, "secrets", "kek")); err != nil {
		t.Fatal(err)
	}
	otherKey := t.TempDir()
	startEngine(t, otherKey, good).stop()
	foreign := write(t, "kek", strings.Repeat("ab", 32)+"\n")
	used := t.TempDir()
	startEngine(t, used, good)

	free := []string{"--edge-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"address taken", []string{"--data-dir", t.TempDir(), "--edge-addr", taken.Addr().String()}, exitFailed, []string{"edge.addr", "in use"}},
		{"no bootstrap file", []string{"--data-dir", t.TempDir(), "--bootstrap", "/nonexistent.yaml"}, exitUsage, []string{"/nonexistent.yaml"}},
		{"bad bootstrap", []string{"--data-dir", t.TempDir(), "--bootstrap", write(t, "b.yaml", "tenant: []\n")}, exitUsage, []string{"b.yaml:1", `"tenants"`}},
		{"channel of no tenant", []string{"--data-dir", t.TempDir(), "--bootstrap",
			write(t, "b.yaml", strings.Replace(twoTenants, "tenant: bolt, app: bolt-app, kind: whatsapp", "tenant: nobody, app: bolt-app, kind: whatsapp", 1))},
			exitUsage, []string{"bolt-wa", "nobody"}},
		{"key lost", []string{"--data-dir", keyless}, exitFailed, []string{"kek", "restore"}},
		{"another key", []string{"--data-dir", otherKey, "--set", "keys.file=" + foreign}, exitFailed, []string{"keys.file"}},
		{"directory in use", []string{"--data-dir", used}, exitFailed, []string{"lock"}},
		{"ops open to all", []string{"--data-dir", t.TempDir(), "--ops-addr", "0.0.0.0:0"}, exitUsage, []string{"ops.addr", "allow_remote"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var errs bytes.Buffer
			args := append(append([]string{"serve"}, free...), c.args...)
			if code := run(t.Context(), args, nil, io.Discard, &errs); code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			for _, w := range c.want {
				if !strings.Contains(errs.String(), w) {
					t.Errorf("stderr lacks %q:\n%s", w, errs.String())
				}
			}
			if strings.Contains(errs.String(), "\nready ") {
				t.Error("it said that it was ready")
			}
		})
	}
}

func TestOffline_RefusesWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	startEngine(t, dir, write(t, "b.yaml", twoTenants)).stop()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"export", "--data-dir", dir, "--tenant", "nobody"}, exitUsage, "acme bolt"},
		{[]string{"export", "--data-dir", t.TempDir(), "--tenant", "acme"}, exitFailed, "no store"},
		{[]string{"export", "--data-dir", dir, "--tenant", "acme", "--all"}, exitUsage, "one of them"},
		{[]string{"check", "--data-dir", "/nonexistent"}, exitFailed, "no store"},
		{[]string{"erase", "--data-dir", dir, "--tenant", "acme"}, exitUsage, "--contact"},
		{[]string{"tail"}, exitUsage, "CHUMI_KEY"},
		{[]string{"tail", "--key", "k", "--url", "http://127.0.0.1:1"}, exitFailed, "does not answer"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, nil, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: exit %d, want %d; stderr %q lacks %q", c.args, code, c.code, errs.String(), c.want)
		}
		if out.Len() > 0 {
			t.Errorf("%v printed %q", c.args, out.String())
		}
	}
}

func TestExport_AllIsEveryTenantInTurn(t *testing.T) {
	_, args := outside(t)
	dir := t.TempDir()
	e := startEngine(t, dir, write(t, "b.yaml", twoTenants), args...)
	for _, c := range []struct{ app, secret, number, waba string }{
		{"acme-app", "secret-of-acme", "106000000000001", "102000000000001"}, {"bolt-app", "secret-of-bolt", "106000000000002", "102000000000002"}} {
		if status := e.post(c.app, c.secret, waText(c.number, c.waba, "4915550100001", "wamid.ALL"+c.app, "hello")); status != 200 {
			t.Fatalf("a webhook for %s got %d", c.app, status)
		}
	}
	e.stop()
	var out, errs, want bytes.Buffer
	if code := run(t.Context(), []string{"export", "--data-dir", dir, "--all"}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, tenant := range []string{"acme", "bolt"} {
		events := exported(t, dir, tenant)
		if len(events) == 0 {
			t.Errorf("%s has no events", tenant)
		}
		for _, ev := range events {
			want.WriteString(ev.line)
		}
	}
	if out.String() != want.String() {
		t.Errorf("all is\n%s\nwant\n%s", out.String(), want.String())
	}
}

func TestTail_FollowsWithoutShowingWhatPeopleWrote(t *testing.T) {
	_, args := outside(t)
	e := startEngine(t, t.TempDir(), write(t, "b.yaml", twoTenants), args...)
	if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", "4915550100001", "wamid.TAIL1", "a secret of mine")); status != 200 {
		t.Fatalf("status %d", status)
	}
	tail := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		ended := make(chan int, 1)
		go func() {
			code := run(ctx, append([]string{"tail", "--url", "http://" + e.api}, args...), []string{"CHUMI_KEY=key-of-acme"}, w, io.Discard)
			_ = w.Close()
			ended <- code
		}()
		var text strings.Builder
		buf := make([]byte, 4096)
		for !strings.Contains(text.String(), "message_received") {
			n, err := r.Read(buf)
			text.Write(buf[:n])
			if err != nil {
				t.Fatalf("tail ended: %v", err)
			}
		}
		cancel()
		go func() { _, _ = io.Copy(io.Discard, r) }()
		if code := <-ended; code != exitOK {
			t.Errorf("tail exited %d", code)
		}
		return text.String()
	}
	if text := tail("--tenant", "acme"); strings.Contains(text, "secret") || !strings.Contains(text, "inbound text") {
		t.Errorf("tail printed:\n%s", text)
	}
	if text := tail("--text"); !strings.Contains(text, `"a secret of mine"`) {
		t.Errorf("tail --text printed:\n%s", text)
	}
	if text := tail("--json"); !strings.Contains(text, `"tenant_id":"acme"`) {
		t.Errorf("tail --json printed:\n%s", text)
	}
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"tail", "--url", "http://" + e.api, "--key", "wrong"}, nil, io.Discard, &errs); code != exitFailed || !strings.Contains(errs.String(), "401") {
		t.Errorf("a wrong key: exit %d, %s", code, errs.String())
	}
}

// TestTail_EndsWithWhatThereIs reads a feed of several pages.
func TestTail_EndsWithWhatThereIs(t *testing.T) {
	_, args := outside(t)
	e := startEngine(t, t.TempDir(), write(t, "b.yaml", twoTenants), args...)
	const messages = 150
	for i := range messages {
		if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", "4915550100001", fmt.Sprint("wamid.PAST", i), fmt.Sprint("message ", i))); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	code, out, errs := ran(t, "tail", "--past", "--text", "--url", "http://"+e.api, "--key", "key-of-acme")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	last := 0
	for line := range strings.Lines(out) {
		var pos int
		if _, err := fmt.Sscan(line, &pos); err != nil || pos <= last {
			t.Fatalf("after %d: %s", last, line)
		}
		last = pos
	}
	for i := range messages {
		if n := strings.Count(out, fmt.Sprintf("\"message %d\"\n", i)); n != 1 {
			t.Errorf("message %d is printed %d times", i, n)
		}
	}
	if code, _, errs := ran(t, "tail", "--past", "--url", "http://"+e.api, "--key", "wrong"); code != exitFailed || !strings.Contains(errs, "401") {
		t.Errorf("a wrong key: exit %d, %s", code, errs)
	}
}

// TestDev_FirstReply is what a newcomer does: open the page, type, read the
// answer.
func TestDev_FirstReply(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	e := start(t, &out, "dev", "--data-dir", dir, "--set", "assistant.quiet_period=10ms")
	base := "http://" + e.api
	for path, want := range map[string]string{"/": "<!doctype html>", "/app.js": "import", "/openapi.json": `"openapi"`} {
		if status, body := get(t, base+path, ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d", path, status)
		}
	}
	_, body := get(t, base+console.ConfigPath, "")
	var page console.Config
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Channels) != 2 {
		t.Fatalf("the page's configuration: %v %s", err, body)
	}
	events := e.stream(page.APIKey)
	for _, ch := range page.Channels {
		from := page.Contact.WhatsApp
		if ch.Kind == "instagram" {
			from = page.Contact.Instagram
		}
		say, err := json.Marshal(map[string]string{"channel": ch.Account, "from": from, "name": page.Contact.Name, "text": "Hi!"})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(base+"/simulator/api/messages", "application/json", bytes.NewReader(say))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("%s: the simulator answered %s", ch.Kind, resp.Status)
		}
		// First the person is told that an assistant answers, then it answers, labelled.
		told, labelled, accepted := false, false, 0
		for _, ev := range until(t, events, func(ev apiEvent) bool {
			if ev.Kind == "message_accepted" {
				accepted++
			}
			return accepted == 2
		}) {
			told = told || ev.Kind == "message_queued" && strings.Contains(ev.Message.Text, "assistant of Demo Shop")
			labelled = labelled || ev.Kind == "message_queued" && ev.Message.Simulated
		}
		if !told || !labelled {
			t.Errorf("%s: told that an assistant answers: %v; the answer labelled as simulated: %v", ch.Kind, told, labelled)
		}
	}
	e.stop()
	for _, want := range []string{base + "/", page.APIKey} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("dev did not print %s:\n%s", want, out.String())
		}
	}
	// The key and what was said are there at the next start.
	e = start(t, io.Discard, "dev", "--data-dir", dir)
	if status, body := get(t, "http://"+e.api+"/v1/conversations", page.APIKey); status != http.StatusOK || strings.Count(body, `"conv_`) != 2 {
		t.Errorf("after a restart: %d %s", status, body)
	}
}

func TestSimulate_StandsAlone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "--graph-addr", "127.0.0.1:0", "--model-addr", "127.0.0.1:0",
			"--bootstrap", write(t, "b.yaml", twoTenants)}, nil, io.Discard, w)
	}()
	buf := make([]byte, 256)
	n, err := r.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	line := string(buf[:n])
	at := strings.Index(line, "model=")
	if !strings.HasPrefix(line, "ready graph=http://") || at < 0 {
		t.Fatalf("simulate said %q", line)
	}
	if status, body := get(t, strings.TrimSpace(line[at+len("model="):])+"/models", ""); status != http.StatusOK || !strings.Contains(body, simulatedModel) {
		t.Errorf("the model simulator answered %d %s", status, body)
	}
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("simulate exited %d", code)
	}
}
