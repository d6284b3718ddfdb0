package main

import (
	"encoding/json"
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
