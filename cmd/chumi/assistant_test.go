package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// desk is an engine with an assistant of its bootstrap file, and customers.
type desk struct {
	*engine
	t    *testing.T
	sims *simulators
	said int
	seen <-chan apiEvent
	// turn is the latest.
	turn string
}

// chumi runs a command against the engine's API.
func (d *desk) chumi(args ...string) (code int, out string) {
	d.t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(d.t.Context(), append(args, "--url", "http://"+d.api), []string{"CHUMI_KEY=key-of-acme"}, &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

// must runs a command that has to succeed and say something.
func (d *desk) must(says string, args ...string) string {
	d.t.Helper()
	code, out := d.chumi(args...)
	if code != exitOK || !strings.Contains(out, says) {
		d.t.Fatalf("%v exited %d, want %q:\n%s", args, code, says, out)
	}
	return out
}

// ask has a new customer write, waits for the answer, and returns the model that was
// asked for it: each version names one of its own.
func (d *desk) ask() string {
	d.t.Helper()
	d.said++
	account, _ := d.sims.meta.Account("acme-wa")
	said := d.sims.meta.Text(account, metasim.Customer{ID: fmt.Sprint(4915550100042 + d.said), Name: "Ada"}, fmt.Sprint("Are you open? #", 100+d.said))
	if err := d.sims.meta.Deliver(d.t.Context(), said); err != nil {
		d.t.Fatal(err)
	}
	for _, ev := range until(d.t, d.seen, func(ev apiEvent) bool { return ev.Kind == "message_accepted" }) {
		if ev.Turn != nil {
			d.turn = ev.Turn.ID
		}
	}
	calls := d.sims.model.Calls()
	return calls[len(calls)-1].Model
}

const declaredOnce = twoTenants + `
assistants:
  - tenant: acme
    instructions: Answer as declared.
    models: [{model: declared}]
`

func TestAssistant_DraftPublishRollbackByCommand(t *testing.T) {
	bootstrap := write(t, "bootstrap.yaml", declaredOnce)
	sims, args := quickSimulators(t, bootstrap)
	dir := t.TempDir()
	d := &desk{t: t, sims: sims}
	serve := func() {
		d.engine = startEngine(t, dir, bootstrap, args...)
		sims.meta.SetHooks("http://" + d.edge)
		d.seen = d.stream("key-of-acme")
		if d.said > 0 {
			accepted := 0
			until(t, d.seen, func(ev apiEvent) bool {
				if ev.Kind == "message_accepted" {
					accepted++
				}
				return accepted == d.said
			})
		}
	}
	serve()
	var asked []string
	asked = append(asked, d.ask())

	shown := d.must("# main@1, published", "assistant", "show")
	if !strings.Contains(shown, "instructions: Answer as declared.\n") || !strings.Contains(shown, "model: declared\n") {
		t.Errorf("shown:\n%s", shown)
	}
	// What is shown can be drafted, and changes nothing.
	d.must("main@1 is published", "assistant", "draft", "-f", write(t, "same.yaml", shown))
	edited := strings.NewReplacer("declared.", "edited.", "model: declared", "model: edited").Replace(shown)
	d.must("main@2 is the draft", "assistant", "draft", "-f", write(t, "edited.yaml", edited), "--note", "friendlier")
	asked = append(asked, d.ask())
	d.must("Answer as edited.", "assistant", "preview")
	d.must("main@2 answers", "assistant", "publish")
	asked = append(asked, d.ask())
	if _, turn := get(t, "http://"+d.api+"/v1/turns/"+d.turn+"?include=prompts", "key-of-acme"); !strings.Contains(turn, `"version":"main@2"`) ||
		!strings.Contains(turn, `"state":"answered"`) || !strings.Contains(turn, "Answer as edited.") || !strings.Contains(turn, `"prompts":[{"call":1`) {
		t.Errorf("the turn: %s", turn)
	}

	// The same declaration undoes nothing that came later.
	d.stop()
	serve()
	asked = append(asked, d.ask())
	d.must("main@1 answers", "assistant", "rollback")
	asked = append(asked, d.ask())
	d.must("the engine's configuration answers", "assistant", "rollback")
	asked = append(asked, d.ask())
	if want := []string{"declared", "declared", "edited", "edited", "declared", DefaultModel}; !slices.Equal(asked, want) {
		t.Errorf("asked the models %q, want %q", asked, want)
	}
	history := d.must("friendlier", "assistant", "history")
	if n := strings.Count(history, "began to answer"); n != 4 {
		t.Errorf("%d publications, want 4:\n%s", n, history)
	}
	_, usage := get(t, "http://"+d.api+"/v1/usage?by=assistant", "key-of-acme")
	for _, want := range []string{`{"assistant":"","messages_in":6,`, `{"assistant":"main@1","messages_in":0,"messages_out":0,"turns":3,"model_calls":3,`,
		`{"assistant":"main@2","messages_in":0,"messages_out":0,"turns":2,`, `"currency":"USD"`} {
		if !strings.Contains(usage, want) {
			t.Errorf("usage lacks %s: %s", want, usage)
		}
	}
	if status, _ := get(t, "http://"+d.api+"/v1/assistants/main", "key-of-bolt"); status != http.StatusNotFound {
		t.Errorf("another tenant gets %d for it", status)
	}
	d.stop()
	kinds := map[string]int{}
	contact := ""
	for _, ev := range exported(t, dir, "acme") {
		kinds[ev.Kind]++
		if contact == "" && ev.Kind == "conversation_started" {
			contact = contactOf(t, ev.line)
		}
	}
	if kinds["assistant_drafted"] != 2 || kinds["assistant_published"] != 2 || kinds["assistant_rolled_back"] != 2 {
		t.Errorf("exported %v", kinds)
	}
	checked(t, dir)
	// What versions did for somebody who is erased still adds up.
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"erase", "--data-dir", dir, "--tenant", "acme", "--contact", contact}, nil, &out, &errs); code != exitOK {
		t.Fatalf("erase exited %d: %s", code, errs.String())
	}
	checked(t, dir)
}

func TestAssistant_FilesAreRefusedByLine(t *testing.T) {
	for text, want := range map[string]string{
		"tone: x\n":                   ":1: instructions: instructions is required",
		"instructions: x\ntonne: y\n": ":2: tonne: There is no member of this name",
		"instructions: x\nlanguages:\n  - de\n  - german\n":                                                        ":4: languages[1]: ",
		"instructions: x\nhours:\n  zone: UTC\n  open:\n    - days: [mon]\n      from: 9am\n      to: \"10:00\"\n": ":6: hours.open[0].from: ",
		"instructions: x\nlimits:\n  cost: five\n":                                                                 ":3: limits.cost: ",
		"instructions: x\nvoice: maybe\n":                                                                          ":2: voice: ",
		"instructions: &a x\ntone: *a\n":                                                                           "uses an anchor",
		"instructions: x\ninstructions: y\n":                                                                       "twice",
		"- x\n":                                                                                                    "must be a JSON object",
		"":                                                                                                         "is empty",
	} {
		n, err := readAssistantFile(write(t, "a.yaml", text))
		if err == nil {
			_, _, err = n.read()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	n, err := readAssistantFile(write(t, "a.yaml", "instructions: x\nlimits: {cost: 0.10, time_seconds: 30}\nhours:\n  zone: UTC\n  open: [{days: [mon], from: 09:00, to: 18:00}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := n.read()
	if err != nil || a.Limits.Cost != 100_000_000 || a.Hours.Open[0].From != 540 {
		t.Errorf("read %+v, %v", a, err)
	}
	for text, want := range map[string]string{
		"assistants:\n  - instructions: x\n":                                ":2: assistants.tenant: is required",
		"assistants:\n  - tenant: acme\n    instructions: x\n    id: [1]\n": ":4: assistants.id: has a value of the wrong type",
		"assistants:\n  - tenant: acme\n    tone: x\n":                      "instructions is required",
		"assistants: [x]\n": "wants keys below it",
	} {
		if _, err := parseBootstrap("b.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
