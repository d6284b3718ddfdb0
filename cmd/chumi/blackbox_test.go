package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// outside starts a Graph and a model that know nothing of the bootstrap file,
// and returns the flags that point an engine at them.
func outside(t testing.TB) (*simulators, []string) {
	t.Helper()
	sims, err := startSimulators("127.0.0.1:0", "127.0.0.1:0", metasim.Options{}, openaisim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sims.Close(); err != nil {
			t.Error(err)
		}
	})
	config := write(t, "chumi.yaml", fmt.Sprintf("meta:\n  graph_url: %[1]s\n  instagram_url: %[1]s\nassistant:\n  base_url: %[2]s\n  quiet_period: 20ms\n",
		sims.graphURL, sims.modelURL))
	return sims, []string{"--config", config}
}

func TestServe_AnswersThePlatformAsItExpects(t *testing.T) {
	_, args := outside(t)
	e := startEngine(t, t.TempDir(), write(t, "b.yaml", twoTenants), args...)
	good := waText("106000000000001", "102000000000001", "4915550100001", "wamid.GOOD1", "hello")
	for _, c := range []struct {
		name, app, secret string
		body              []byte
		want              int
	}{
		{"signed", "acme-app", "secret-of-acme", good, 200},
		{"repeated", "acme-app", "secret-of-acme", good, 200},
		{"signed by another app", "acme-app", "secret-of-bolt", good, 401},
		{"unsigned", "acme-app", "", good, 401},
		{"unknown app", "nobody", "secret-of-acme", good, 404},
		{"another app's number", "bolt-app", "secret-of-bolt", good, 200},
		{"unknown number", "acme-app", "secret-of-acme", waText("999", "998", "4915550100001", "wamid.STRANGE", "hello"), 200},
		{"not JSON", "acme-app", "secret-of-acme", []byte("{\"object\":"), 200},
		{"empty list", "acme-app", "secret-of-acme", []byte(`{"object":"whatsapp_business_account","entry":[]}`), 200},
		{"null entries", "acme-app", "secret-of-acme", []byte(`{"object":"whatsapp_business_account","entry":[null,{"changes":null}]}`), 200},
		{"deeply nested", "acme-app", "secret-of-acme", []byte(strings.Repeat(`{"entry":[`, 5000)), 200},
		{"too large", "acme-app", "secret-of-acme", bytes.Repeat([]byte(" "), 5<<20), 413},
	} {
		if got := e.post(c.app, c.secret, c.body); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
	for query, want := range map[string]int{
		"hub.mode=subscribe&hub.verify_token=token-of-acme&hub.challenge=1158201444":   200,
		"hub.mode=subscribe&hub.verify_token=token-of-bolt&hub.challenge=1158201444":   403,
		"hub.mode=subscribe&hub.verify_token=&hub.challenge=1158201444":                403,
		"hub.mode=unsubscribe&hub.verify_token=token-of-acme&hub.challenge=1158201444": 403,
	} {
		status, body := get(t, "http://"+e.edge+"/hooks/acme-app?"+query, "")
		if status != want || want == 200 && body != "1158201444" {
			t.Errorf("handshake %s: %d %q, want %d", query, status, body, want)
		}
	}
	for path, want := range map[string]int{"/": 404, "/v1/conversations": 404, "/metrics": 404, "/livez": 404} {
		if status, _ := get(t, "http://"+e.edge+path, ""); status != want {
			t.Errorf("the edge serves %s: %d", path, status)
		}
	}
	_, metrics := get(t, "http://"+e.ops+"/metrics", "")
	for _, want := range []string{`chumi_quarantined_total{reason="unknown_account"} 2`, `chumi_webhook_posts_total{code="401"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s:\n%s", want, lines(metrics, "chumi_quarantined", "chumi_webhook_posts"))
		}
	}
}

// lines picks the lines that begin with one of the words.
func lines(text string, words ...string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		for _, w := range words {
			if strings.HasPrefix(line, w) {
				out.WriteString(line)
			}
		}
	}
	return out.String()
}

func TestServe_RestartKeepsEverything(t *testing.T) {
	sims, args := outside(t)
	dir, bootstrap := t.TempDir(), write(t, "b.yaml", twoTenants)
	e := startEngine(t, dir, bootstrap, args...)
	events := e.stream("key-of-acme")
	for n := range 5 {
		body := waText("106000000000001", "102000000000001", fmt.Sprintf("491555010000%d", n), fmt.Sprintf("wamid.KEEP%d", n), "hello")
		if status := e.post("acme-app", "secret-of-acme", body); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	accepted := 0
	until(t, events, func(ev apiEvent) bool {
		if ev.Kind == "message_accepted" {
			accepted++
		}
		return accepted == 5
	})
	_, metrics := get(t, "http://"+e.ops+"/metrics", "")
	if want := `chumi_send_attempts_total{channel="whatsapp",result="accepted"} 5`; !strings.Contains(metrics, want) {
		t.Errorf("metrics lack %s:\n%s", want, lines(metrics, "chumi_send_attempts"))
	}
	e.stop()
	before := exported(t, dir, "acme")
	checked(t, dir)

	e = startEngine(t, dir, bootstrap, args...)
	if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", "4915550100000", "wamid.KEEP0", "hello")); status != 200 {
		t.Errorf("a redelivery after the restart: status %d", status)
	}
	e.stop()
	after := exported(t, dir, "acme")
	gapFree(t, after)
	if len(after) != len(before) {
		t.Errorf("%d events before the restart, %d after it and a redelivery", len(before), len(after))
	}
	for i := range min(len(before), len(after)) {
		if before[i].line != after[i].line {
			t.Errorf("event %d changed:\n%s%s", i, before[i].line, after[i].line)
		}
	}
	if got := len(sims.meta.Sends()); got != 5 {
		t.Errorf("Graph got %d sends, want 5", got)
	}
}

func TestServe_TakesInQuarantinedUpdatesOnceTheChannelIsBound(t *testing.T) {
	_, args := outside(t)
	dir := t.TempDir()
	without := strings.Replace(twoTenants, `  - {id: acme-wa, tenant: acme, app: acme-app, kind: whatsapp, phone_number_id: "106000000000001", waba_id: "102000000000001", access_token: ta1}`+"\n", "", 1)
	if without == twoTenants {
		t.Fatal("the channel was not left out")
	}
	e := startEngine(t, dir, write(t, "b.yaml", without), args...)
	body := waText("106000000000001", "102000000000001", "4915550100007", "wamid.EARLY", "too early")
	if status := e.post("acme-app", "secret-of-acme", body); status != 200 {
		t.Fatalf("status %d", status)
	}
	e.stop()
	if got := exported(t, dir, "acme"); len(got) != 0 {
		t.Fatalf("a tenant got what was not its own: %d events", len(got))
	}
	full := write(t, "b.yaml", twoTenants)
	for range 2 { // the second start finds the quarantine empty
		startEngine(t, dir, full, args...).stop()
	}
	found := 0
	for _, ev := range exported(t, dir, "acme") {
		if ev.Kind == "message_received" && *ev.Message.RemoteID == "wamid.EARLY" {
			found++
		}
	}
	if found != 1 {
		t.Errorf("the message is in the export %d times, want once", found)
	}
	checked(t, dir)
}

// Without a model, customers are handed to people, never to the simulator.
func TestServe_WithoutAModelPeopleAnswer(t *testing.T) {
	e := startEngine(t, t.TempDir(), write(t, "b.yaml", twoTenants), "--set", "assistant.quiet_period=20ms")
	events := e.stream("key-of-acme")
	if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", "4915550100001", "wamid.P1", "hello")); status != 200 {
		t.Fatalf("status %d", status)
	}
	seen := until(t, events, func(ev apiEvent) bool { return strings.HasPrefix(ev.Kind, "handoff_") })
	for _, ev := range seen {
		if ev.Kind == "turn_started" || ev.Kind == "message_queued" {
			t.Errorf("the engine answered by itself: %s", ev.line)
		}
	}
	if last := seen[len(seen)-1]; last.Handoff.Reason != "no_assistant" {
		t.Errorf("handed off for %q", last.Handoff.Reason)
	}
}

func TestServe_TenantsSeeOnlyTheirOwn(t *testing.T) {
	_, args := outside(t)
	e := startEngine(t, t.TempDir(), write(t, "b.yaml", twoTenants), args...)
	events := e.stream("key-of-acme")
	if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", "4915550100001", "wamid.T1", "hello")); status != 200 {
		t.Fatalf("status %d", status)
	}
	conversation := until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_received" })[0].conversation()
	base := "http://" + e.api + "/v1/conversations"
	for _, c := range []struct {
		url, key string
		status   int
		shows    bool
	}{
		{base, "key-of-acme", 200, true},
		{base, "key-of-bolt", 200, false},
		{base, "", 401, false},
		{base, "key-of-nobody", 401, false},
		{base + "/" + conversation + "/events", "key-of-acme", 200, true},
		{base + "/" + conversation + "/events", "key-of-bolt", 404, false},
	} {
		status, body := get(t, c.url, c.key)
		if status != c.status || strings.Contains(body, conversation) != c.shows {
			t.Errorf("%s with %q: %d %s", c.url, c.key, status, body)
		}
	}
	req, err := http.NewRequest(http.MethodPost, base+"/"+conversation+"/takeover", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key-of-bolt")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("another tenant's takeover: %s", resp.Status)
	}
}
