package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// hearing declares an assistant that listens to voice notes.
const hearing = twoTenants + `
assistants:
  - {tenant: acme, instructions: Answer., voice: true}
`

// sidePrices are those of what is asked for beside turns, as the simulator reckons in
// these tests; the model of the turns costs nothing.
const sidePrices = "as_of: 2026-11-27\ncurrency: USD\nmodels:\n  - {model: whisper-1, input: \"1\", output: \"2\"}\n" +
	"  - {model: text-embedding-3-small, input: \"1\", output: \"2\"}\n"

var sidePrice = openaisim.Price{Prompt: 1000, Output: 2000}

// sideLine is what of a spend an event shows.
type sideLine struct {
	Media struct {
		Used *chat.Spend `json:"used"`
	} `json:"media"`
	Used *chat.Spend `json:"used"`
}

// ofSides adds up what the simulator reckons for the requests to an API that it answered.
func ofSides(calls []openaisim.Call, api string) (n int, cost int64) {
	for _, c := range calls {
		if c.API == api && c.Answer == openaisim.AnswerGiven {
			n, cost = n+1, cost+c.Cost
		}
	}
	return n, cost
}

// usageOf is what GET /v1/usage says of this month in all, and what of it is counted
// against the budget.
func (e *engine) usageOf(t *testing.T, key string) (sum struct {
	Prompt int64  `json:"prompt_tokens"`
	Output int64  `json:"output_tokens"`
	Calls  int64  `json:"model_calls"`
	Lost   int64  `json:"model_calls_lost"`
	Cost   string `json:"cost"`
}, counted chat.Money) {
	t.Helper()
	var usage struct {
		Total json.RawMessage `json:"total"`
	}
	var budget struct {
		Counted string `json:"counted"`
	}
	for path, into := range map[string]any{"/v1/usage": &usage, "/v1/budget": &budget} {
		status, body := get(t, "http://"+e.api+path, key)
		if status != 200 || json.Unmarshal([]byte(body), into) != nil {
			t.Fatalf("%s: %d %s", path, status, body)
		}
	}
	counted, err := chat.ParseMoney(budget.Counted)
	if err != nil || json.Unmarshal(usage.Total, &sum) != nil {
		t.Fatal(err, string(usage.Total))
	}
	return sum, counted
}

// TestMoney_OfVoiceNotes has customers speak: what the simulator reckons for listening
// is in the events, the usage and the budget, each note once, over a restart too. With
// a price list that does not know the model the same comparison fails.
func TestMoney_OfVoiceNotes(t *testing.T) {
	for name, prices := range map[string]string{"priced": sidePrices, "unpriced": "as_of: 2026-11-27\ncurrency: USD\nmodels: []\n"} {
		t.Run(name, func(t *testing.T) {
			var gate atomic.Pointer[chan struct{}]
			s := newStage(t, hearing, openaisim.Options{Price: sidePrice, OnCall: func(m openaisim.Moment, c openaisim.Call) {
				if m == openaisim.CallReceived && c.API == "chat" {
					<-*gate.Load()
				}
			}}, "--set", "assistant.pricing_file="+write(t, "prices.yaml", prices))
			events := s.stream("key-of-acme")
			asked := func(api string) (n int) {
				for _, c := range s.sims.model.Calls() {
					if c.API == api {
						n++
					}
				}
				return n
			}
			speak := func(i int) {
				t.Helper()
				turns, notes := asked("chat"), asked("transcriptions")
				heard, err := s.sims.meta.Say(t.Context(), metasim.Said{Channel: "acme-wa", From: phone(i), Type: string(metasim.UpdateVoice)})
				if err != nil || !heard.Acknowledged {
					t.Fatal(heard, err)
				}
				until(t, events, func(ev apiEvent) bool { return ev.Kind == "media_stored" })
				eventually(t, "the model is asked", func() bool { return asked("chat") > turns })
				if asked("transcriptions") == notes {
					// The turn began before the note was stored: it begins anew.
					s.says("acme-wa", phone(i), "Did you hear me?")
				}
				eventually(t, "the note is listened to", func() bool { return asked("transcriptions") == notes+1 })
			}
			first, second := make(chan struct{}), make(chan struct{})
			gate.Store(&first)
			for i := range 3 {
				speak(i)
			}
			close(first)
			eventually(t, "everybody is answered", func() bool { return len(byTo(s.sent())) == 3 })
			s.stop()
			gate.Store(&second)
			s.serve()
			events = s.stream("key-of-acme")
			for range 3 {
				until(t, events, func(ev apiEvent) bool { return ev.Kind == "media_stored" })
			}
			speak(3)
			close(second)
			eventually(t, "the fourth is answered", func() bool { return len(byTo(s.sent())) == 4 })
			sum, counted := s.usageOf(t, "key-of-acme")
			s.stop()
			checked(t, s.dir)

			n, ledger := ofSides(s.sims.model.Calls(), "transcriptions")
			var shown chat.Money
			heard := map[string]int{}
			for _, ev := range exported(t, s.dir, "acme") {
				var line sideLine
				if err := json.Unmarshal([]byte(ev.line), &line); err != nil {
					t.Fatal(err)
				}
				if used := line.Media.Used; used != nil {
					heard[ev.conversation()]++
					shown += used.Cost
					if used.Operation != chat.OperationTranscription || used.Model != "whisper-1" || used.Tokens.Output == 0 {
						t.Errorf("%s", ev.line)
					}
				}
			}
			for c, times := range heard {
				if times != 1 {
					t.Errorf("the note in %s is paid %d times", c, times)
				}
			}
			if n != 4 || len(heard) != 4 || ledger == 0 || s.counted("acme", chat.BudgetCounter(time.Now())) != int64(counted) {
				t.Errorf("%d requests, %d notes, which cost %d; counted %d", n, len(heard), ledger, counted)
			}
			right := int64(shown) == ledger && int64(counted) == ledger && sum.Cost == chat.Money(ledger).String()
			if right != (name == "priced") {
				t.Errorf("the simulator reckons %d; in events %d, in the usage %s, in the budget %d", ledger, shown, sum.Cost, counted)
			}
		})
	}
}

// TestMoney_OfVectors has texts read and searched for: what the simulator reckons for
// their vectors is in the events, the usage and the budget, over a restart too. With a
// price list that does not know the model the same comparison fails.
func TestMoney_OfVectors(t *testing.T) {
	for name, prices := range map[string]string{"priced": sidePrices, "unpriced": "as_of: 2026-11-27\ncurrency: USD\nmodels: []\n"} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, twoTenants, openaisim.Options{Price: sidePrice}, "--set", "assistant.pricing_file="+write(t, "prices.yaml", prices))
			for i := range 3 {
				text := strings.Repeat(fmt.Sprintf("# Part %d\n\nThe harbour office opens at nine on day %d.\n\n", i, i), 20)
				if out, code := s.knowing("key-of-acme", "add", "--text", text, "--title", fmt.Sprint("Part ", i)); code != 0 || !strings.Contains(out, "ready") {
					t.Fatalf("%d: %s", code, out)
				}
				if out, code := s.knowing("key-of-acme", "search", "--query", "harbour office"); code != 0 || !strings.Contains(out, "nine") {
					t.Fatalf("%d: %s", code, out)
				}
				if i == 1 {
					s.stop()
					s.serve()
				}
			}
			sum, counted := s.usageOf(t, "key-of-acme")
			if other, theirs := s.usageOf(t, "key-of-bolt"); other.Cost != "0.00" || theirs != 0 {
				t.Errorf("another tenant pays %s, %d", other.Cost, theirs)
			}
			s.stop()
			checked(t, s.dir)
			n, ledger := ofSides(s.sims.model.Calls(), "embeddings")
			var shown chat.Money
			told := 0
			for _, ev := range exported(t, s.dir, "acme") {
				var line sideLine
				if err := json.Unmarshal([]byte(ev.line), &line); err != nil {
					t.Fatal(err)
				}
				if line.Used == nil {
					continue
				}
				told++
				shown += line.Used.Cost
				if ev.Kind != "model_used" || ev.Seq != 0 || line.Used.Operation != chat.OperationEmbeddings || line.Used.Tokens.Prompt == 0 {
					t.Errorf("%s", ev.line)
				}
			}
			if n < 6 || told != n || ledger != sum.Prompt*sidePrice.Prompt {
				t.Errorf("%d requests, %d events; they cost %d, and used %d tokens", n, told, ledger, sum.Prompt)
			}
			right := int64(shown) == ledger && int64(counted) == ledger && sum.Cost == chat.Money(ledger).String()
			if right != (name == "priced") {
				t.Errorf("the simulator reckons %d; in events %d, in the usage %s, in the budget %d", ledger, shown, sum.Cost, counted)
			}
		})
	}
}

// TestBudget_StopsVectorsAndNoSearch gives a tenant no money for vectors: nobody is
// asked for any, its texts say why they wait and are found by their words, and with
// money their vectors are made.
func TestBudget_StopsVectorsAndNoSearch(t *testing.T) {
	prices := sidePrices + "  - {model: chumi-simulated, input: \"1\", output: \"2\"}\n"
	s := newStage(t, twoTenants, openaisim.Options{Price: sidePrice}, "--set", "assistant.model="+simulatedModel,
		"--set", "assistant.pricing_file="+write(t, "prices.yaml", prices), "--set", "assistant.budget_per_month=0.000001")
	source := func() (state, reason string) {
		_, body := get(t, "http://"+s.api+"/v1/knowledge", "key-of-acme")
		var list struct {
			Data []struct{ State, Reason string }
		}
		if json.Unmarshal([]byte(body), &list) != nil || len(list.Data) != 1 {
			t.Fatal(body)
		}
		return list.Data[0].State, list.Data[0].Reason
	}
	if out, code := s.knowing("key-of-acme", "add", "--wait", "0", "--text", "The xylophone office opens at nine.", "--title", "Hours"); code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	eventually(t, "the text says why it waits", func() bool {
		state, reason := source()
		return state == "embedding" && reason == "budget_used_up"
	})
	search := func() {
		t.Helper()
		if out, code := s.knowing("key-of-acme", "search", "--query", "xylophone office"); code != 0 || !strings.Contains(out, "nine") {
			t.Errorf("%d: %s", code, out)
		}
	}
	search()
	if _, counted := s.usageOf(t, "key-of-acme"); counted != 0 || len(s.sims.model.Calls()) != 0 {
		t.Errorf("without money: %d requests, %d counted", len(s.sims.model.Calls()), counted)
	}
	s.stop()
	s.serve("--set", "assistant.budget_per_month=1")
	eventually(t, "the vectors are made", func() bool { state, reason := source(); return state == "ready" && reason == "" })
	search()
	if n, ledger := ofSides(s.sims.model.Calls(), "embeddings"); n != 2 || ledger == 0 {
		t.Errorf("with money: %d requests", n)
	}
}
