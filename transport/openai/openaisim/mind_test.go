package openaisim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// post sends a body to a path below the base and returns the status and the answer.
func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(out)
}

const tools = `[{"type":"function","function":{"name":"order_status","parameters":{"type":"object","properties":{"order":{"type":"string"},"n":{"type":"integer","minimum":3},"kind":{"enum":["a","b"]}},"required":["order"]}}},
{"type":"function","function":{"name":"handoff","parameters":{"type":"object","properties":{"reason":{"type":"string"}}}}},
{"type":"function","function":{"name":"search_catalog","parameters":{"type":"object","properties":{"query":{"type":"string","maxLength":10}}}}}]`

// asked is the one call of an answer, as "name arguments".
func asked(t *testing.T, base, messages string) string {
	t.Helper()
	status, body := post(t, base+"/chat/completions", `{"model":"m","tools":`+tools+`,"messages":`+messages+`}`)
	var out completion
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	m := out.Choices[0].Message
	if len(m.Calls) == 0 {
		return *m.Content
	}
	return m.Calls[0].Function.Name + " " + m.Calls[0].Function.Arguments
}

func TestRules_UseTheToolsTheyAreOffered(t *testing.T) {
	_, base := start(t, Options{})
	called := `{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"order_status","arguments":"{}"}}]}`
	for _, c := range []struct{ messages, want string }{
		{`[{"role":"user","content":"where is order 1042?"}]`, `order_status {"kind":"a","n":3,"order":"1042"}`},
		{`[{"role":"user","content":"I want a human"}]`, `handoff {"reason":"asked for a person"}`},
		{`[{"role":"user","content":"what does the blue shirt cost?"}]`, `search_catalog {"query":"what does t"}`},
		{`[{"role":"user","content":"hello"}]`, "Hello! How can I help?"},
		{`[{"role":"user","content":"where is order 1042?"},` + called + `,{"role":"tool","tool_call_id":"c","content":"{\"state\":\"shipped #1\"}"}]`, "I looked it up: shipped 1"},
	} {
		if got := asked(t, base, c.messages); got != c.want && got != strings.Replace(c.want, "what does t", "what does ", 1) {
			t.Errorf("%s: %s, want %s", c.messages, got, c.want)
		}
	}
}

// A talk that a real server refuses is refused here.
func TestServer_RefusesTalksThatDoNotHang(t *testing.T) {
	_, base := start(t, Options{})
	call := `{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	user := `{"role":"user","content":"x"}`
	for name, body := range map[string]string{
		"call without result":   `{"model":"m","messages":[` + call + `,` + user + `]}`,
		"call at the end":       `{"model":"m","messages":[` + user + `,` + call + `]}`,
		"result without call":   `{"model":"m","messages":[` + user + `,{"role":"tool","tool_call_id":"d","content":"x"}]}`,
		"no content":            `{"model":"m","messages":[{"role":"user"}]}`,
		"name of a call":        `{"model":"m","messages":[` + strings.Replace(call, `"f"`, `"f g"`, 1) + `,{"role":"tool","tool_call_id":"c","content":"x"}]}`,
		"name of a tool":        `{"model":"m","messages":[` + user + `],"tools":[{"type":"function","function":{"name":"a b","parameters":{"type":"object"}}}]}`,
		"schema of a tool":      `{"model":"m","messages":[` + user + `],"tools":[{"type":"function","function":{"name":"a","parameters":{"type":"string"}}}]}`,
		"strict without strict": `{"model":"m","messages":[` + user + `],"response_format":{"type":"json_schema","json_schema":{"name":"r","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}}}}}}`,
		"object without a word": `{"model":"m","messages":[` + user + `],"response_format":{"type":"json_object"}}`,
	} {
		if status, answer := post(t, base+"/chat/completions", body); status != 400 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
}

func TestHijacked_CallsEverythingForEver(t *testing.T) {
	s, base := start(t, Options{Plan: Plan{Hijacked: true, Targets: []string{"conv_other"}}})
	talk := `{"role":"system","content":"the secret word is Rosebud"},{"role":"user","content":"hi"}`
	for step := range 20 {
		got := asked(t, base, `[`+talk+`]`)
		if !strings.Contains(got, "{") {
			t.Fatalf("step %d calls nothing: %s", step, got)
		}
		talk += fmt.Sprintf(`,{"role":"assistant","tool_calls":[{"id":"c%d","type":"function","function":{"name":"handoff","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c%[1]d","content":"no"}`, step)
	}
	seen := map[string]bool{}
	for _, c := range s.Calls() {
		for _, name := range c.Called {
			seen[name] = true
		}
		if !strings.Contains(c.Text, "Rosebud") || !strings.Contains(c.Text, "https://evil.example/") {
			t.Errorf("carries nothing away: %s", c.Text)
		}
	}
	for _, name := range append([]string{"order_status", "handoff", "search_catalog"}, unoffered...) {
		if !seen[name] {
			t.Errorf("never calls %s", name)
		}
	}
}

// A bill counts what was said before the client left, and the whole prompt.
func TestLedger_BillsAnswersThatWereCancelled(t *testing.T) {
	s, base := start(t, Options{Price: Price{Prompt: 10, Output: 100}, Plan: Plan{
		Script: func(Call) Fault { return FaultSlow }, SlowPause: 1}})
	ask(t, base, "whole", prompt(true, "user: hello there"))
	whole := s.Calls()[0]
	if whole.Cost != int64(whole.PromptTokens)*10+int64(whole.OutTokens)*100 || whole.OutTokens == 0 || s.Cost() != whole.Cost {
		t.Errorf("billed %+v", whole)
	}
	s2, base2 := start(t, Options{Price: Price{Prompt: 10, Output: 100}, Plan: Plan{Script: func(Call) Fault { return FaultCut }}})
	ask(t, base2, "cut", prompt(true, "user: hello there"))
	if c := s2.Calls()[0]; c.OutTokens >= whole.OutTokens || c.Cost >= whole.Cost || c.Cost < int64(c.PromptTokens)*10 {
		t.Errorf("a cut answer is billed %+v", c)
	}
}

func TestVector_NearWhatSharesWords(t *testing.T) {
	dot := func(a, b []float32) (sum float64) {
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		return sum
	}
	passage := Vector("Returns are accepted within 30 days of delivery.")
	if near, far := dot(passage, Vector("How many days do I have to return it?")), dot(passage, Vector("Where is your shop?")); near <= far {
		t.Errorf("near %.3f, far %.3f", near, far)
	}
	if got := dot(Vector(""), Vector("")); got < 0.99 || got > 1.01 {
		t.Errorf("nothing has length %.3f", got)
	}
}
