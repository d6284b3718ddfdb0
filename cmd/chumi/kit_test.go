package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// patience bounds every wait of these tests; nothing waits that long unless it
// is broken.
const patience = 30 * time.Second

// engine is one `chumi serve` in this process, known only by what an operator
// and an integrator can see of it.
type engine struct {
	t              testing.TB
	edge, api, ops string

	cancel context.CancelFunc
	code   chan int
	log    *logLines
}

// logLines keeps what the engine says on stderr.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startEngine runs serve on free ports and waits for its ready line.
func startEngine(t testing.TB, dir, bootstrap string, args ...string) *engine {
	t.Helper()
	return start(t, io.Discard, append([]string{"serve", "--data-dir", dir, "--bootstrap", bootstrap}, args...)...)
}

// start runs a command that serves, on free ports, and waits for its ready line.
func start(t testing.TB, stdout io.Writer, args ...string) *engine {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &engine{t: t, cancel: cancel, code: make(chan int, 1), log: &logLines{}}
	stderr, w := io.Pipe()
	args = append(args, "--edge-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0")
	go func() {
		code := run(ctx, args, nil, stdout, w)
		_ = w.Close()
		e.code <- code
	}()
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			e.log.mu.Lock()
			e.log.text.WriteString(lines.Text() + "\n")
			e.log.mu.Unlock()
			if strings.HasPrefix(lines.Text(), "ready ") {
				ready <- lines.Text()
			}
		}
	}()
	select {
	case line := <-ready:
		if n, err := fmt.Sscanf(line, "ready edge=%s api=%s ops=%s", &e.edge, &e.api, &e.ops); n != 3 {
			t.Fatalf("ready line %q: %v", line, err)
		}
	case code := <-e.code:
		t.Fatalf("serve ended with %d:\n%s", code, e.log)
	case <-time.After(patience):
		t.Fatalf("serve is not ready:\n%s", e.log)
	}
	t.Cleanup(func() { e.stop() })
	return e
}

// stop is SIGTERM, as main turns it into the end of the context. It may be
// called twice.
func (e *engine) stop() {
	e.t.Helper()
	e.cancel()
	select {
	case code := <-e.code:
		e.code <- code
		if code != exitOK {
			e.t.Errorf("serve exited %d:\n%s", code, e.log)
		}
	case <-time.After(patience):
		e.t.Fatalf("serve does not stop:\n%s", e.log)
	}
}

// post sends a webhook body to an app, signed with secret, and returns the status.
func (e *engine) post(app, secret string, body []byte) int {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+e.edge+"/hooks/"+app, bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", signature(secret, body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// signature signs a body as Meta does.
func signature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// metric is the value of a series on the ops page, "0" for none.
func (e *engine) metric(series string) string {
	e.t.Helper()
	_, page := get(e.t, "http://"+e.ops+"/metrics", "")
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "0"
}

// get reads a URL and returns status and body.
func get(t testing.TB, url, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// apiEvent is an event as the API, the stream and the export show it.
type apiEvent struct {
	Pos            uint64  `json:"pos"`
	Seq            uint64  `json:"seq"`
	Kind           string  `json:"kind"`
	TenantID       string  `json:"tenant_id"`
	ConversationID *string `json:"conversation_id"`
	Message        *struct {
		ID        string  `json:"id"`
		RemoteID  *string `json:"remote_id"`
		Direction string  `json:"direction"`
		Type      string  `json:"type"`
		Text      string  `json:"text"`
		Simulated bool    `json:"simulated"`

		Content json.RawMessage `json:"content"`
	} `json:"message"`
	Status *struct {
		RemoteID  *string `json:"remote_id"`
		MessageID *string `json:"message_id"`
		Status    string  `json:"status"`

		Participant string          `json:"participant"`
		Content     json.RawMessage `json:"content"`
	} `json:"status"`
	Update *struct {
		Type     string          `json:"type"`
		RemoteID *string         `json:"remote_id"`
		Revision string          `json:"revision"`
		Reason   string          `json:"reason"`
		Raw      json.RawMessage `json:"raw"`
		Content  json.RawMessage `json:"content"`
	} `json:"update"`
	Turn *struct {
		ID     string `json:"id"`
		Answer string `json:"answer"`
	} `json:"turn"`
	Handoff *struct {
		Reason string `json:"reason"`
	} `json:"handoff"`
	line string
}

func (e *apiEvent) conversation() string {
	if e.ConversationID == nil {
		return ""
	}
	return *e.ConversationID
}

// stream follows a tenant's feed from its beginning until the test ends.
func (e *engine) stream(key string) <-chan apiEvent {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.api+"/v1/events?from=0", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		e.t.Fatalf("the stream answered %s", resp.Status)
	}
	out := make(chan apiEvent, 1024)
	go func() {
		defer close(out)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				var ev apiEvent
				if json.Unmarshal([]byte(data), &ev) == nil {
					ev.line = data
					out <- ev
				}
			}
		}
	}()
	return out
}

// until collects events until done says so.
func until(t *testing.T, events <-chan apiEvent, done func(apiEvent) bool) []apiEvent {
	t.Helper()
	var seen []apiEvent
	limit := time.After(patience)
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				t.Fatalf("the stream ended after %d events", len(seen))
			}
			seen = append(seen, ev)
			if done(ev) {
				return seen
			}
		case <-limit:
			var kinds []string
			for _, ev := range seen {
				kinds = append(kinds, ev.Kind)
			}
			t.Fatalf("what was waited for did not come; seen: %v", kinds)
		}
	}
}

// exported runs chumi export on a stopped engine's directory.
func exported(t *testing.T, dir, tenant string, more ...string) []apiEvent {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), append([]string{"export", "--data-dir", dir, "--tenant", tenant}, more...), nil, &out, &errs); code != exitOK {
		t.Fatalf("export exited %d: %s", code, errs.String())
	}
	var events []apiEvent
	for line := range strings.Lines(out.String()) {
		var ev apiEvent
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("export printed a line that is not JSON: %v", err)
		}
		ev.line = line
		events = append(events, ev)
	}
	return events
}

// checked runs chumi check on a stopped engine's directory.
func checked(t *testing.T, dir string, more ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), append([]string{"check", "--data-dir", dir}, more...), nil, &out, &errs); code != exitOK {
		t.Errorf("check exited %d:\n%s%s", code, out.String(), errs.String())
	}
}

// gapFree fails unless each conversation is numbered from 1 without gaps and
// positions rise.
func gapFree(t *testing.T, events []apiEvent) {
	t.Helper()
	seqs, pos := map[string]uint64{}, uint64(0)
	for _, ev := range events {
		if ev.Pos <= pos {
			t.Errorf("pos %d after %d", ev.Pos, pos)
		}
		pos = ev.Pos
		c := ev.conversation()
		if c == "" {
			if ev.Seq != 0 {
				t.Errorf("pos %d: seq %d without a conversation", ev.Pos, ev.Seq)
			}
			continue
		}
		if ev.Seq != seqs[c]+1 {
			t.Errorf("pos %d: seq %d after %d", ev.Pos, ev.Seq, seqs[c])
		}
		seqs[c] = ev.Seq
	}
}

// write puts a file into a fresh directory and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// twoTenants declares acme and bolt, with an app of their own each.
const twoTenants = `
apps:
  - {id: acme-app, app_secret: secret-of-acme, verify_token: token-of-acme}
  - {id: bolt-app, app_secret: secret-of-bolt, verify_token: token-of-bolt}
tenants:
  - {id: acme, name: Acme}
  - {id: bolt, name: Bolt}
channels:
  - {id: acme-wa, tenant: acme, app: acme-app, kind: whatsapp, phone_number_id: "106000000000001", waba_id: "102000000000001", access_token: ta1}
  - {id: acme-ig, tenant: acme, app: acme-app, kind: instagram, ig_id: "17841400000000001", access_token: ta2}
  - {id: bolt-wa, tenant: bolt, app: bolt-app, kind: whatsapp, phone_number_id: "106000000000002", waba_id: "102000000000002", access_token: tb1}
  - {id: bolt-ig, tenant: bolt, app: bolt-app, kind: instagram, ig_id: "17841400000000002", access_token: tb2}
api_keys:
  - {tenant: acme, secret: key-of-acme, scopes: ["*"]}
  - {tenant: bolt, secret: key-of-bolt, scopes: ["*"]}
members:
  - {tenant: acme, email: ana@acme.example, role: owner, password: "correct horse"}
`

// waText is a webhook with one text to a WhatsApp number.
func waText(account, waba, from, id, text string) []byte {
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{
"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100000","phone_number_id":%q},
"contacts":[{"profile":{"name":"Ada"},"wa_id":%q}],
"messages":[{"from":%q,"id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]}}]}]}`,
		waba, account, from, from, id, time.Now().Unix(), text)
}

// quickSimulators starts a Graph and a model that know the channels of a bootstrap
// file and report at once, and returns the flags that point an engine at them.
// more changes what the first is started with.
func quickSimulators(t *testing.T, bootstrap string, more ...func(*metasim.Options)) (*simulators, []string) {
	t.Helper()
	declared, err := ReadBootstrap(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	quick := metasim.Latency{Median: time.Millisecond}
	o := metasim.Options{Accounts: simulatedAccounts(declared),
		Plan: metasim.Plan{Reports: metasim.Reports{Sent: quick, Delivered: quick, Read: quick}}}
	for _, change := range more {
		change(&o)
	}
	sims, err := startSimulators("127.0.0.1:0", "127.0.0.1:0", o, openaisim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sims.Close(); err != nil {
			t.Error(err)
		}
	})
	return sims, []string{"--set", "assistant.base_url=" + sims.modelURL, "--set", "assistant.quiet_period=50ms",
		"--set", "meta.graph_url=" + sims.graphURL, "--set", "meta.instagram_url=" + sims.graphURL}
}
