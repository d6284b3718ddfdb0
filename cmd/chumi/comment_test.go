package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// request asks the API and returns its answer.
func (e *engine) request(method, path, key, body string) (int, string) {
	e.t.Helper()
	req, err := http.NewRequest(method, "http://"+e.api+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// Who writes below a post gets what the business has set, in private and once: however
// often and in whatever ways the comment is told, and across a kill of the engine.
func TestServe_CommentsAreAnsweredInPrivateOnce(t *testing.T) {
	dir, bootstrap := t.TempDir(), write(t, "bootstrap.yaml", twoTenants)
	sims, flags := quickSimulators(t, bootstrap, func(o *metasim.Options) { o.Windows = true })
	e := startEngine(t, dir, bootstrap, flags...)
	sims.meta.SetHooks("http://" + e.edge)
	gram, _ := sims.meta.Account("acme-ig")
	events := e.stream("key-of-acme")

	const settings = "/v1/channels/acme-ig/settings"
	set := func(version int, inner string) (int, string) {
		return e.request("PUT", settings, "key-of-acme", fmt.Sprintf(`{"version":%d%s}`, version, inner))
	}
	on := func(text string) string {
		return `,"comments":{"private_reply":{"enabled":true,"text":"` + text + `"}}`
	}
	deliver := func(updates ...metasim.Update) {
		t.Helper()
		for _, u := range updates {
			if err := sims.meta.Deliver(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
	}
	accepted := func(n int) {
		t.Helper()
		for range n {
			seen := until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_accepted" || ev.Kind == "message_failed" })
			if last := seen[len(seen)-1]; last.Kind != "message_accepted" {
				t.Fatalf("%s", last.line)
			}
		}
	}
	now := time.Now()
	before := sims.meta.Comment(gram, metasim.Customer{ID: "9100", Name: "bob"}, "how much?", now, false)
	deliver(before)
	if status, body := e.request("GET", settings, "key-of-acme", ""); status != 200 || !strings.Contains(body, `"version":0`) {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := set(0, on("Two euros.")); status != 200 || !strings.Contains(body, `"version":1`) || !strings.Contains(body, `"changed_by"`) {
		t.Fatalf("%d %s", status, body)
	}
	until(t, events, func(ev apiEvent) bool { return ev.Kind == "settings_changed" })
	if status, body := set(0, on("Three euros.")); status != 409 || !strings.Contains(body, "settings_changed") {
		t.Fatalf("a change of settings that nobody has seen: %d %s", status, body)
	}
	if status, body := e.request("GET", settings, "key-of-bolt", ""); status != 404 {
		t.Fatalf("another tenant: %d %s", status, body)
	}

	first := sims.meta.Comment(gram, metasim.Customer{ID: "9101", Name: "eve"}, "how much?", now, false)
	again := first
	again.Text = "how much? " // as the ad tells it
	deliver(first, first, again, before)
	live := sims.meta.Comment(gram, metasim.Customer{ID: "9102", Name: "lea"}, "and live?", now, true)
	over := sims.meta.Comment(gram, metasim.Customer{ID: "9103", Name: "old"}, "is it still on?", now.Add(-5*time.Hour), true)
	late := sims.meta.Comment(gram, metasim.Customer{ID: "9104", Name: "old"}, "last week's", now.Add(-8*24*time.Hour), false)
	deliver(live, over, late)
	accepted(2)

	e.stop()
	e = startEngine(t, dir, bootstrap, flags...)
	sims.meta.SetHooks("http://" + e.edge)
	events = e.stream("key-of-acme")
	deliver(first, again, live)
	last := sims.meta.Comment(gram, metasim.Customer{ID: "9105", Name: "kim"}, "thanks", time.Now(), false)
	deliver(last)
	until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_accepted" })
	e.stop()
	checked(t, dir)

	to := map[string]int{}
	for _, s := range sims.meta.Sends() {
		if !s.Private || s.Answer != metasim.AnswerAccepted || s.Text != "Two euros." {
			t.Errorf("sent to %s: %q, private %v, %s", s.To, s.Text, s.Private, s.Answer)
		}
		to[s.To]++
	}
	if len(to) != 3 || to["9101"] != 1 || to["9102"] != 1 || to["9105"] != 1 {
		t.Errorf("private replies went to %v", to)
	}
	for _, ev := range exported(t, dir, "acme") {
		if ev.Kind == "handoff_requested" {
			t.Errorf("people were asked for: %s", ev.line)
		}
	}
}
