package main

import (
	"strings"
	"testing"
)

func TestSay_PrintsTheAnswer(t *testing.T) {
	bootstrap := write(t, "b.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap)
	e := startEngine(t, t.TempDir(), bootstrap, args...)
	sims.meta.SetHooks("http://" + e.edge)
	for _, to := range []string{"whatsapp", "acme-ig", "bolt-wa"} {
		code, out, errs := ran(t, "say", "--simulator", sims.graphURL, "--to", to, "Are you open on Saturday?")
		if code != exitOK || !strings.Contains(out, "customer: Are you open on Saturday?  [webhook answered 200 after ") ||
			!strings.Contains(out, "business: We are open Monday to Saturday, 9 am to 6 pm.  [after ") {
			t.Errorf("%s: exit %d\n%s%s", to, code, out, errs)
		}
	}
}

func TestSay_TellsWhatDidNotCome(t *testing.T) {
	bootstrap := write(t, "b.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap)
	say := func(more ...string) (int, string, string) {
		return ran(t, append([]string{"say", "--simulator", sims.graphURL, "--within", "1s"}, more...)...)
	}
	sims.meta.SetHooks("http://127.0.0.1:1")
	if code, out, errs := say("Hello?"); code != exitFailed || out != "" || !strings.Contains(errs, "no webhook was answered 200 within 1s") {
		t.Errorf("without an engine: exit %d\n%s%s", code, out, errs)
	}
	// An engine that knows the message and whose model is not there: nobody answers.
	e := startEngine(t, t.TempDir(), bootstrap, append(args, "--set", "assistant.base_url=")...)
	sims.meta.SetHooks("http://" + e.edge)
	if code, out, errs := say("Is anybody there?"); code != exitFailed || !strings.Contains(out, "answered 200") || !strings.Contains(errs, "nothing was answered within 1s") {
		t.Errorf("without a model: exit %d\n%s%s", code, out, errs)
	}
	for want, args := range map[string][]string{
		`no account "nobody"`:                     {"say", "--simulator", sims.graphURL, "--to", "nobody", "Hello?"},
		"say takes one text":                      {"say", "--simulator", sims.graphURL, "Hello", "there"},
		"no simulator answers at 127.0.0.1:1":     {"say", "--simulator", "127.0.0.1:1", "Hello?"},
		"what answers at " + e.ops + " is no sim": {"say", "--simulator", e.ops, "Hello?"},
	} {
		if code, _, errs := ran(t, args...); code == exitOK || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}
