package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// troubled is what a model may do wrong: by itself, or in what it says.
type troubled struct {
	name  string
	fault openaisim.Fault
	said  func(*openaisim.Asked) openaisim.Said
}

// form is a structured answer with one member replaced.
func form(member string) func(*openaisim.Asked) openaisim.Said {
	name, _, _ := strings.Cut(strings.TrimPrefix(member, `"`), `"`)
	parts := []string{member}
	for _, other := range []string{`"messages":["Yes."]`, `"intent":"x"`, `"sentiment":"neutral"`, `"language":"en"`, `"confidence":0.5`, `"handoff":""`, `"note":""`, `"sources":[]`} {
		if !strings.HasPrefix(other, `"`+name+`"`) {
			parts = append(parts, other)
		}
	}
	return text("{" + strings.Join(parts, ",") + "}")
}

func text(s string) func(*openaisim.Asked) openaisim.Said {
	return func(*openaisim.Asked) openaisim.Said { return openaisim.Said{Text: s} }
}

func calling(calls ...openaisim.ToolCall) func(*openaisim.Asked) openaisim.Said {
	return func(*openaisim.Asked) openaisim.Said { return openaisim.Said{Calls: calls} }
}

var troubles = []troubled{
	{name: "throttled", fault: openaisim.FaultThrottled}, {name: "5xx", fault: openaisim.FaultServerError},
	{name: "hangs", fault: openaisim.FaultHang}, {name: "cut", fault: openaisim.FaultCut}, {name: "empty", fault: openaisim.FaultEmpty},
	{name: "slow drip", fault: openaisim.FaultSlow}, {name: "no API", fault: openaisim.FaultMalformed},
	{name: "refusal", fault: openaisim.FaultRefusal}, {name: "filtered", fault: openaisim.FaultFiltered},
	{name: "truncated", fault: openaisim.FaultTruncated}, {name: "language", fault: openaisim.FaultLanguage},
	{name: "form", fault: openaisim.FaultForm}, {name: "calls", fault: openaisim.FaultCall},

	{name: "blank", said: text("  \n\t ")}, {name: "zero width", said: text("\u200b\u200b\ufeff")}, {name: "half of an object", said: text(`{"messages":["Yes`)},
	{name: "two objects", said: text(`{"messages":["a"]}{"messages":["b"]}`)}, {name: "a list", said: text(`["Yes."]`)}, {name: "null", said: text(`null`)},
	{name: "NaN", said: form(`"confidence":NaN`)}, {name: "more than sure", said: form(`"confidence":7`)}, {name: "huge number", said: form(`"confidence":1e999`)},
	{name: "no messages", said: form(`"messages":[]`)}, {name: "blank messages", said: form(`"messages":[" ","\n"]`)}, {name: "fifty messages", said: form(`"messages":[` + strings.Repeat(`"x",`, 49) + `"x"]`)},
	{name: "a message that is none", said: form(`"messages":[{"a":1}]`)}, {name: "unknown member", said: form(`"admin":true`)}, {name: "sentiment", said: form(`"sentiment":"furious"`)},
	{name: "huge", said: text(strings.Repeat("word ", 200_000))}, {name: "long for the channel", said: text(strings.Repeat("word ", 3000))},
	{name: "deep", said: text(strings.Repeat(`{"messages":`, 10_000))}, {name: "bytes", said: text("\xff\xfe\x00")},
	{name: "a call with no name", said: calling(openaisim.ToolCall{ID: "1", Arguments: "{}"})},
	{name: "a call of nothing offered", said: calling(openaisim.ToolCall{ID: "1", Name: "shell", Arguments: `{"command":"id"}`})},
	{name: "calls with one id", said: calling(openaisim.ToolCall{ID: "1", Name: "search_catalog", Arguments: `{"query":"a"}`}, openaisim.ToolCall{ID: "1", Name: "search_catalog", Arguments: `{"query":"b"}`})},
	{name: "calls without end", said: calling(openaisim.ToolCall{ID: "1", Name: "search_catalog", Arguments: `{"query":"a"}`})},
	{name: "calls without ids", said: calling(openaisim.ToolCall{Name: "search_catalog", Arguments: `{"query":"a"}`})},
	{name: "arguments that are none", said: calling(openaisim.ToolCall{ID: "1", Name: "search_catalog", Arguments: `{"query":`})},
	{name: "arguments NaN", said: calling(openaisim.ToolCall{ID: "1", Name: "search_catalog", Arguments: `{"query":NaN}`})},
	{name: "huge arguments", said: calling(openaisim.ToolCall{ID: "1", Name: "search_catalog", Arguments: `{"query":"` + strings.Repeat("x", 1<<20) + `"}`})},
	{name: "a hundred calls", said: func(*openaisim.Asked) (s openaisim.Said) {
		for i := range 100 {
			s.Calls = append(s.Calls, openaisim.ToolCall{ID: fmt.Sprint(i), Name: "search_catalog", Arguments: `{"query":"a"}`})
		}
		return s
	}},
}

const withTools = twoTenants + `
assistants:
  - tenant: acme
    instructions: Answer.
    disclosure: You are talking to an assistant.
    tools: [{name: search_catalog}, {name: order_status}, {name: set_contact_field}, {name: handoff}]
`

// TestTrouble_EveryTurnEnds has the model do everything wrong that it can, for as long
// as it is asked: everybody gets an answer, an apology or people before the deadline,
// and nobody an empty message.
func TestTrouble_EveryTurnEnds(t *testing.T) {
	const deadline = 8 * time.Second
	of := func(asked *openaisim.Asked) *troubled {
		for i := len(asked.Messages) - 1; i >= 0; i-- {
			var n int
			if _, err := fmt.Sscanf(asked.Messages[i].Text, "trouble %d", &n); err == nil && asked.Messages[i].Role == "user" {
				return &troubles[n]
			}
		}
		return &troubled{}
	}
	plan := openaisim.Plan{SlowPause: 500 * time.Millisecond, HangFor: time.Minute,
		Answer: func(a *openaisim.Asked) openaisim.Said {
			if k := of(a); k.said != nil {
				return k.said(a)
			}
			return form(`"messages":["Yes, that is how it is here with us every day of the week."]`)(a)
		},
		Script: func(c openaisim.Call) openaisim.Fault {
			for _, token := range c.Tokens {
				var n int
				if _, err := fmt.Sscanf(token, "#%d", &n); err == nil && n < len(troubles) {
					return troubles[n].fault
				}
			}
			return openaisim.FaultNone
		}}
	s := newStage(t, withTools, openaisim.Options{Plan: plan},
		"--set", "assistant.turn_timeout=2s", "--set", "assistant.silence_deadline="+deadline.String())
	for i := range troubles {
		s.says("acme-wa", phone(i), fmt.Sprintf("trouble %d #%d", i, i))
	}
	// What a customer waits for is over when its conversation is not the assistant's any
	// more, or an answer left.
	ended := map[string]time.Duration{}
	began := map[string]time.Time{}
	until(t, s.stream("key-of-acme"), func(ev apiEvent) bool {
		var line struct {
			Time    time.Time `json:"time"`
			Message struct {
				Author string `json:"author"`
			} `json:"message"`
		}
		if err := json.Unmarshal([]byte(ev.line), &line); err != nil {
			t.Fatal(err)
		}
		c := ev.conversation()
		switch ev.Kind {
		case "message_received":
			began[c] = line.Time
		case "handoff_requested", "turn_answered":
			if _, twice := ended[c]; !twice {
				ended[c] = line.Time.Sub(began[c])
			}
		}
		return len(ended) == len(troubles)
	})
	late := time.Duration(0)
	for c, took := range ended {
		if late = max(late, took); took > deadline+2*time.Second {
			t.Errorf("%s waited %s", c, took)
		}
	}
	eventually(t, "everybody got a message", func() bool { return len(byTo(s.sent())) == len(troubles) })
	s.stop()
	checked(t, s.dir)
	for to, got := range byTo(s.sent()) {
		var told []string
		for _, m := range got {
			if strings.TrimSpace(strings.Trim(m.Text, "\u200b\ufeff")) == "" {
				t.Errorf("%s got an empty message", to)
			}
			told = append(told, m.Text)
		}
		if len(got) > 6 {
			t.Errorf("%s got %d messages: %.300q", to, len(got), told)
		}
	}
	t.Logf("%d troubles, %d requests, the latest end after %s of %s", len(troubles), len(s.sims.model.Calls()), late.Round(time.Millisecond), deadline)
}

// TestTrouble_TheModelComesBack has customers write while the model fails, and comes
// back before they have waited too long: all are answered, once, and no more calls than
// allowed are made at a time.
func TestTrouble_TheModelComesBack(t *testing.T) {
	const customers, callsMax, share = 60, 8, 6
	var down atomic.Bool
	var inside, most atomic.Int64
	down.Store(true)
	s := newStage(t, twoTenants, openaisim.Options{
		Plan: openaisim.Plan{Latency: openaisim.Latency{Median: 5 * time.Millisecond}, Script: func(openaisim.Call) openaisim.Fault {
			if down.Load() {
				return openaisim.FaultServerError
			}
			return openaisim.FaultNone
		}},
		OnCall: func(m openaisim.Moment, _ openaisim.Call) {
			switch m {
			case openaisim.CallReceived:
				n := inside.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					continue
				}
			case openaisim.CallAnswering:
				inside.Add(-1)
			}
		}}, "--set", fmt.Sprint("assistant.calls_max=", callsMax), "--set", "assistant.silence_deadline=25s")
	for i := range customers {
		s.says("acme-wa", phone(i), fmt.Sprint("hello #", 1000+i))
	}
	eventually(t, "the model was asked in vain", func() bool { return len(s.sims.model.Calls()) >= 5 })
	down.Store(false)
	eventually(t, "everybody got a message", func() bool { return len(byTo(s.sent())) == customers })
	s.stop()
	checked(t, s.dir)
	answered := 0
	for to, got := range byTo(s.sent()) {
		if len(got) != 1 {
			t.Errorf("%s got %d messages", to, len(got))
		}
		if strings.Contains(got[0].Text, "#") {
			answered++
		}
	}
	if n := most.Load(); n > share {
		t.Errorf("%d calls of a tenant at once, want at most %d", n, share)
	}
	if n := len(s.sims.model.Calls()); n > 4*customers {
		t.Errorf("%d calls for %d customers", n, customers)
	}
	t.Logf("%d of %d answered by the model after %d calls, at most %d at once", answered, customers, len(s.sims.model.Calls()), most.Load())
}
