package openai_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// baseFor is where a dialect finds the simulator.
func baseFor(o openai.Options, base string) string {
	if o.API == openai.APIAzure {
		return strings.TrimSuffix(base, "/v1")
	}
	return base
}

// A question about a product is looked up with a tool and answered with what it found,
// whichever API is spoken.
func TestClient_CallsToolsAndUsesTheirResults(t *testing.T) {
	for name, o := range dialects {
		sim, base := startSim(t, openaisim.Options{APIKey: "key-1", Plan: openaisim.Plan{ReasoningTokens: 5}})
		o.BaseURL, o.APIKey = baseFor(o, base), "key-1"
		c := open(t, o)
		p := asks(says("How much is the blue shirt? #7"))
		p.Lines[1].Pictures = []chat.Picture{{MIME: "image/png", SHA256: "ab", Bytes: []byte("png")}}
		p.Tools = []chat.ToolSpec{orderTool, catalogTool}
		a, err := c.Complete(t.Context(), p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(a.Calls) != 1 || a.Calls[0].ID != "1.0" || a.Calls[0].Name != chat.ToolSearchCatalog || a.Calls[0].Invalid != "" ||
			string(a.Calls[0].Args) != `{"limit":1,"query":"How much is the blue shirt? #7"}` || a.Text != "" {
			t.Fatalf("%s: %+v", name, a)
		}
		if a.Request == "" || a.Tokens.Prompt == 0 || a.Tokens.Output == 0 || a.Tokens.Reasoning != 5 || a.Tokens.Estimated || a.PromptTokens != a.Tokens.Prompt {
			t.Errorf("%s: used %+v of %q", name, a.Tokens, a.Request)
		}
		p.Call = 2
		p.Lines = append(p.Lines, chat.PromptLine{Role: chat.RoleAssistant, Calls: a.Calls},
			chat.PromptLine{Role: chat.RoleTool, Result: a.Calls[0].ID, Text: `{"products":[{"name":"Shirt, blue","price":"24.00 EUR"}]}`})
		a, err = c.Complete(t.Context(), p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(a.Text, "Shirt, blue, 24.00 EUR") || !strings.Contains(a.Text, "#7") || len(a.Calls) != 0 {
			t.Errorf("%s: %+v", name, a)
		}
		for _, call := range sim.Calls() {
			if call.Pictures != 1 || call.Stored || len(call.Tools) != 2 || call.Model != openaisim.ModelName && o.API != openai.APIAzure {
				t.Errorf("%s: the ledger holds %+v", name, call)
			}
		}
	}
}

// A result that is nothing, and a system prompt that is empty, are no reason for a
// server to refuse the request.
func TestClient_SendsNoEmptyMessage(t *testing.T) {
	for name, o := range dialects {
		_, base := startSim(t, openaisim.Options{})
		o.BaseURL = baseFor(o, base)
		p := asks(says("price?"), chat.PromptLine{Role: chat.RoleAssistant, Calls: []chat.ToolCall{{ID: "1.0", Name: chat.ToolSearchCatalog}}},
			chat.PromptLine{Role: chat.RoleTool, Result: "1.0"})
		p.Lines[0].Text = ""
		if _, err := open(t, o).Complete(t.Context(), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// checkResponse holds a structured answer against its type, strictly.
func checkResponse(t *testing.T, name, text string) chat.Response {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var r chat.Response
	if err := dec.Decode(&r); err != nil || len(r.Messages) != 1 {
		t.Errorf("%s: %q: %v", name, text, err)
	}
	return r
}

func TestClient_AsksForStructure(t *testing.T) {
	for name, o := range dialects {
		sim, base := startSim(t, openaisim.Options{})
		o.BaseURL = baseFor(o, base)
		p := asks(says("I want to talk to a human"))
		p.Structured = true
		a, err := open(t, o).Complete(t.Context(), p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r := checkResponse(t, name, a.Text); r.Handoff == "" || r.Language != "en" || r.Sentiment != "neutral" {
			t.Errorf("%s: %+v", name, r)
		}
		if call := sim.Calls()[0]; call.Form != "json_schema" || strings.HasPrefix(call.Text, "{") {
			t.Errorf("%s: the ledger holds %+v", name, call)
		}
	}
}

// Servers that refuse a form are asked for the next, and not asked in vain again; the
// words in the prompt are the last form, which every server takes.
func TestClient_FallsBackToFormsThatAreKnown(t *testing.T) {
	for _, c := range []struct {
		refused []string
		first   int64
		form    string
	}{
		{nil, 1, "json_schema"},
		{[]string{"strict"}, 2, "json_schema"},
		{[]string{"strict", "json_schema"}, 3, "json_object"},
		{[]string{"strict", "json_schema", "json_object"}, 4, ""},
	} {
		for _, api := range []openai.API{openai.APIChat, openai.APIResponses} {
			sim, base := startSim(t, openaisim.Options{Plan: openaisim.Plan{RefusesForms: c.refused}})
			rt := newCounted(t)
			client := open(t, openai.Options{BaseURL: base, API: api, Transport: rt})
			p := asks(says("hello"))
			p.Structured = true
			a, err := client.Complete(t.Context(), p)
			if err != nil {
				t.Fatalf("%v: %v", c.refused, err)
			}
			if c.form != "" {
				checkResponse(t, c.form, a.Text)
			}
			if n := rt.n.Load(); n != c.first || sim.Calls()[0].Form != c.form {
				t.Errorf("%v: %d requests, the last for %q", c.refused, n, sim.Calls()[0].Form)
			}
			if _, err := client.Complete(t.Context(), p); err != nil || rt.n.Load() != c.first+1 {
				t.Errorf("%v: asked %d times the second time, %v", c.refused, rt.n.Load()-c.first, err)
			}
		}
	}
}

// A refusal that names something else is not about the form.
func TestClient_AsksOnceWhenTheRequestIsWrong(t *testing.T) {
	rt := newCounted(t)
	c := serve(t, openai.Options{Transport: rt}, status(400, "", `{"error":{"message":"x","param":"messages"}}`))
	p := prompt
	p.Structured = true
	_, err := c.Complete(t.Context(), p)
	if me := modelError(t, err); me.Reason != "bad_request" || rt.n.Load() != 1 {
		t.Errorf("%+v after %d requests", me, rt.n.Load())
	}
}

// Whatever a hijacked or broken model asks for, what comes out either matches the
// schema of a tool that was offered or says why it is not made.
func TestClient_HijackedModelMakesNoCallOfItsOwn(t *testing.T) {
	for name, plan := range map[string]openaisim.Plan{
		"hijacked": {Hijacked: true, Targets: []string{"conv_of_somebody_else"}},
		"broken":   {Script: func(openaisim.Call) openaisim.Fault { return openaisim.FaultCall }},
	} {
		for dialect, o := range dialects {
			_, base := startSim(t, openaisim.Options{Plan: plan})
			o.BaseURL = baseFor(o, base)
			c := open(t, o)
			p := asks(says("hello"))
			p.Tools = []chat.ToolSpec{catalogTool, orderTool}
			invalid := 0
			for step := range 5 {
				p.Call = step + 1
				a, err := c.Complete(t.Context(), p)
				if err != nil {
					t.Fatalf("%s %s: %v", name, dialect, err)
				}
				p.Lines = append(p.Lines, chat.PromptLine{Role: chat.RoleAssistant, Text: a.Text, Calls: a.Calls})
				ids := map[string]bool{}
				for _, call := range a.Calls {
					var args map[string]any
					switch {
					case ids[call.ID]:
						t.Errorf("%s %s: the id %s twice", name, dialect, call.ID)
					case call.Invalid != "":
						invalid++
					case json.Unmarshal(call.Args, &args) != nil,
						call.Name == chat.ToolSearchCatalog && args["query"] == nil,
						call.Name == chat.ToolOrderStatus && (args["order"] == nil || len(args) > 1),
						call.Name != chat.ToolSearchCatalog && call.Name != chat.ToolOrderStatus:
						t.Errorf("%s %s: made %+v", name, dialect, call)
					}
					ids[call.ID] = true
					p.Lines = append(p.Lines, chat.PromptLine{Role: chat.RoleTool, Result: call.ID, Text: call.Invalid})
				}
			}
			if invalid == 0 {
				t.Errorf("%s %s: nothing was refused", name, dialect)
			}
		}
	}
}

func TestClient_EstimatesWhatNobodyCounts(t *testing.T) {
	for name, o := range dialects {
		_, base := startSim(t, openaisim.Options{Plan: openaisim.Plan{NoUsage: true}})
		o.BaseURL = baseFor(o, base)
		a, err := open(t, o).Complete(t.Context(), asks(says(strings.Repeat("Wörter ", 100))))
		if err != nil {
			t.Fatal(err)
		}
		if !a.Tokens.Estimated || a.Tokens.Prompt < 200 || a.Tokens.Output < 10 || a.PromptTokens != a.Tokens.Prompt || a.OutTokens != a.Tokens.Output {
			t.Errorf("%s: %+v", name, a.Tokens)
		}
	}
}

// Every end of an answer is told apart, also by the other API.
func TestClient_AgreesWithTheSimulatorOnEveryFault(t *testing.T) {
	for fault, reason := range map[openaisim.Fault]string{
		openaisim.FaultRefusal: "refused", openaisim.FaultFiltered: "content_filter", openaisim.FaultTruncated: "truncated",
		openaisim.FaultMalformed: "malformed", openaisim.FaultCut: "cut", openaisim.FaultEmpty: "empty", openaisim.FaultLanguage: "",
		openaisim.FaultForm: "", openaisim.FaultThrottled: "throttled", openaisim.FaultServerError: "provider_error",
	} {
		for name, o := range dialects {
			_, base := startSim(t, openaisim.Options{Plan: openaisim.Plan{Script: func(openaisim.Call) openaisim.Fault { return fault }}})
			o.BaseURL = baseFor(o, base)
			p := asks(says("hello, how are you today?"))
			p.Structured = true
			_, err := open(t, o).Complete(t.Context(), p)
			got := ""
			if err != nil {
				got = modelError(t, err).Reason
			}
			if got != reason {
				t.Errorf("%s %s: %q, want %q", name, fault, got, reason)
			}
		}
	}
}

// go-openai refuses tools of some models by the one API: they are asked by the other.
func TestClient_ToolsOfReasoningModelsGoByResponses(t *testing.T) {
	sim, base := startSim(t, openaisim.Options{})
	p := asks(says("price?"))
	p.Tools = []chat.ToolSpec{catalogTool}
	a, err := open(t, openai.Options{BaseURL: base, Model: "gpt-6-astra"}).Complete(t.Context(), p)
	if err != nil || len(a.Calls) != 1 || sim.Calls()[0].API != "responses" {
		t.Errorf("%+v, %v by %+v", a, err, sim.Calls())
	}
}

func TestClient_AzureIsAskedByDeployment(t *testing.T) {
	var got *http.Request
	c := serve(t, openai.Options{API: openai.APIAzure, APIKey: "k", Model: "my.gpt 4"}, func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(r.Context())
		sse(chunk("ok", "stop"), done)(w, r)
	})
	if _, err := c.Complete(t.Context(), prompt); err != nil {
		t.Fatal(err)
	}
	if got.URL.Path != "/v1/openai/deployments/my.gpt 4/chat/completions" || got.URL.Query().Get("api-version") != openai.DefaultAzureVersion || got.Header.Get("api-key") != "k" {
		t.Errorf("asked %s with %v", got.URL, got.Header)
	}
}
