package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

var tape = flag.Bool("tape", false, "record the cassettes of evals/ anew, from the model simulator")

// simulatedBase starts a model simulator.
func simulatedBase(t *testing.T) string {
	t.Helper()
	sim := openaisim.New(openaisim.Options{})
	addr, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return "http://" + addr + "/v1"
}

// TestEvals_OfTheDemoBusiness runs the committed cases from their cassettes, without a
// key or a network.
func TestEvals_OfTheDemoBusiness(t *testing.T) {
	dir := filepath.Join("..", "..", "evals")
	if *tape {
		if code, out, errs := command(t, "eval", dir, "--live", "--assistant-base-url", simulatedBase(t)); code != exitOK {
			t.Fatalf("%d\n%s%s", code, out, errs)
		}
	}
	code, out, errs := command(t, "eval", dir)
	if code != exitOK || !strings.Contains(out, "3 cases, 0 failed") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

func TestEvals_SayWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("a.assistant.yaml", "instructions: Be brief.\n")
	typo := put("typo.yaml", "name: x\nassistant: a.assistant.yaml\nturns:\n  - customer: [hi]\n    must_nott: [x]\n")
	if code, _, errs := command(t, "eval", typo); code != exitUsage || !strings.Contains(errs, "typo.yaml:5: turns[0].must_nott") {
		t.Errorf("a typo: %d %s", code, errs)
	}
	put("b.assistant.yaml", "instructions: Be brief.\ntune: x\n")
	wrong := put("wrong.yaml", "name: x\nassistant: b.assistant.yaml\nturns:\n  - customer: [hi]\n")
	if code, _, errs := command(t, "eval", wrong); code != exitUsage || !strings.Contains(errs, `b.assistant.yaml: unknown field "tune"`) {
		t.Errorf("an assistant with a typo: %d %s", code, errs)
	}
	bad := put("bad.yaml", "name: bad\nassistant: a.assistant.yaml\nturns:\n  - customer: [\"Are you open?\"]\n    must: [zebra]\n    must_not: [sorry]\n    handoff: true\n    tools: [search_catalog]\n")
	if code, out, _ := command(t, "eval", bad); code != exitViolation || !strings.Contains(out, "run it with --live once") {
		t.Errorf("without a cassette: %d %s", code, out)
	}
	code, out, errs := command(t, "eval", bad, "--live", "--assistant-base-url", simulatedBase(t))
	for _, want := range []string{`does not say "zebra"`, `it says "sorry"`, "handed to people: false, want true", "search_catalog was not called", "1 of 1 cases failed"} {
		if code != exitViolation || !strings.Contains(out+errs, want) {
			t.Errorf("%d: no %q in\n%s%s", code, want, out, errs)
		}
	}
}

// TestEvals_ACorrectedAnswerBecomesACase makes a case of a stored answer, without what
// is personal, and runs it.
func TestEvals_ACorrectedAnswerBecomesACase(t *testing.T) {
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap)
	dir, cases := t.TempDir(), t.TempDir()
	e := startEngine(t, dir, bootstrap, args...)
	sims.meta.SetHooks("http://" + e.edge)
	events := e.stream("key-of-acme")
	account, _ := sims.meta.Account("acme-wa")
	m := sims.meta.Text(account, metasim.Customer{ID: "4915550100042", Name: "Quetzalina"}, "I am Quetzalina, are you open on Saturday?")
	if err := sims.meta.Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	until(t, events, func(ev apiEvent) bool { return ev.Status != nil && ev.Status.Status == "read" })
	e.stop()
	conversation, seq := "", ""
	for _, ev := range exported(t, dir, "acme") {
		if ev.Kind == "turn_answered" {
			conversation, seq = *ev.ConversationID, fmt.Sprint(ev.Seq)
		}
	}
	add := []string{"eval", "add", "--data-dir", dir, "--tenant", "acme", "--conversation", conversation, "--dir", cases, "--name", "saturday"}
	if code, out, errs := command(t, append(add, "--seq", seq, "--expected", "I am sorry, I do not know that.")...); code != exitOK {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	text, err := os.ReadFile(filepath.Join(cases, "saturday.yaml"))
	if err != nil || strings.Contains(string(text), "Quetz") || !strings.Contains(string(text), "[NAME], are you open on Saturday?") {
		t.Errorf("%s, %v", text, err)
	}
	if code, out, errs := command(t, "eval", cases, "--live", "--assistant-base-url", simulatedBase(t)); code != exitOK {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	if code, _, errs := command(t, append(add, "--seq", "1", "--expected", "x")...); code != exitUsage {
		t.Errorf("no answer: %d %s", code, errs)
	}
}
