package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// command runs one and returns its exit code and what it printed.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, nil, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// TestReplay_NamesTheConversationsThatGotWorse records talks of several customers,
// makes their prompts again, and asks a model that answers one of them badly. Nothing
// is sent and nothing is written.
func TestReplay_NamesTheConversationsThatGotWorse(t *testing.T) {
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap)
	dir := t.TempDir()
	e := startEngine(t, dir, bootstrap, args...)
	sims.meta.SetHooks("http://" + e.edge)
	events := e.stream("key-of-acme")
	account, _ := sims.meta.Account("acme-wa")
	for i, text := range []string{"Are you open on Saturday?", "And on Sunday?", "Thanks!"} {
		m := sims.meta.Text(account, metasim.Customer{ID: fmt.Sprint(4915550100042 + i), Name: "Ada"}, text)
		if err := sims.meta.Deliver(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		until(t, events, func(ev apiEvent) bool { return ev.Status != nil && ev.Status.Status == "read" })
	}
	e.stop()
	before, sends := exported(t, dir, "acme"), len(sims.meta.Sends())
	base := []string{"replay", "--data-dir", dir, "--tenant", "acme"}

	code, out, errs := command(t, base...)
	if code != exitOK || !strings.Contains(out, "3 conversations, 3 model calls: 3 prompts are the same, byte for byte") {
		t.Fatalf("same: %d\n%s%s", code, out, errs)
	}

	worse := openaisim.New(openaisim.Options{Plan: openaisim.Plan{Answer: func(a *openaisim.Asked) openaisim.Said {
		text := "Yes."
		for _, m := range a.Messages {
			if strings.Contains(m.Text, "Sunday") {
				text = "No idea, ask the COMPETITION."
			}
		}
		b, _ := json.Marshal(chat.Response{Messages: []string{text}, Sentiment: "neutral", Sources: []string{}})
		return openaisim.Said{Text: string(b)}
	}}})
	addr, err := worse.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = worse.Close() })
	file, tape, results := write(t, "worse.yaml", "instructions: Be unhelpful.\n"), filepath.Join(t.TempDir(), "tape.jsonl"), filepath.Join(t.TempDir(), "results.jsonl")
	live := append(slices.Clone(base), "--assistant", file, "--must-not", "competition")
	asked := append(slices.Clone(live), "--assistant-base-url", "http://"+addr+"/v1", "--cassette", tape)
	code, out, errs = command(t, append(asked, "--out", results)...)
	guilty := ""
	for _, ev := range before {
		if ev.Kind == "message_received" && strings.Contains(ev.line, "Sunday") {
			guilty = *ev.ConversationID
		}
	}
	if code != exitViolation || !strings.Contains(errs, "1 conversations are worse: ["+guilty+"]") || !strings.Contains(out, "says: competition") {
		t.Errorf("worse: %d\n%s%s", code, out, errs)
	}
	// The recorded answers do without the model, and say the same.
	if again, o, e := command(t, append(slices.Clone(live), "--cassette", tape)...); again != exitViolation || !strings.Contains(e, guilty) {
		t.Errorf("cassette: %d\n%s%s", again, o, e)
	}
	// What is done is not asked again; a line that a crash cut is.
	asking := len(worse.Calls())
	data, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(results, data[:len(data)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, o, e := command(t, append(append(slices.Clone(live), "--assistant-base-url", "http://"+addr+"/v1"), "--out", results)...); code != exitViolation || !strings.Contains(e, guilty) {
		t.Errorf("resumed: %d\n%s%s", code, o, e)
	}
	if n := len(worse.Calls()); n != asking+1 {
		t.Errorf("resumed: %d more calls, want 1", n-asking)
	}
	if code, _, e := command(t, append(base, "--model", "x", "--out", results)...); code != exitUsage {
		t.Errorf("a file of another replay: %d %s", code, e)
	}

	after := exported(t, dir, "acme")
	if len(sims.meta.Sends()) != sends || len(after) != len(before) || after[len(after)-1].line != before[len(before)-1].line {
		t.Error("a replay left traces")
	}
	checked(t, dir)
}
