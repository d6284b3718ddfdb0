package openai_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// startSim starts a simulator and returns it with its base URL.
func startSim(t *testing.T, o openaisim.Options) (*openaisim.Server, string) {
	t.Helper()
	sim := openaisim.New(o)
	addr, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return sim, openaisim.Base(addr)
}

// open returns a client that is closed before the simulators are.
func open(t *testing.T, o openai.Options) *openai.Client {
	t.Helper()
	if o.Model == "" {
		o.Model = openaisim.ModelName
	}
	c, err := openai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// counted is a transport that counts requests.
type counted struct {
	http.Transport
	n atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.Transport.RoundTrip(r)
}

func newCounted(t *testing.T) *counted {
	c := &counted{}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func modelError(t *testing.T, err error) *chat.ModelError {
	t.Helper()
	var me *chat.ModelError
	if !errors.As(err, &me) {
		t.Fatalf("got %v, want a model error", err)
	}
	return me
}

func asks(lines ...chat.PromptLine) chat.Prompt {
	return chat.Prompt{Tenant: "acme", Turn: "turn_x_7", Call: 1,
		Lines: append([]chat.PromptLine{{Role: chat.RoleSystem, Text: "You are the assistant."}}, lines...)}
}

func says(text string) chat.PromptLine { return chat.PromptLine{Role: chat.RoleCustomer, Text: text} }

var catalogTool = chat.ToolSpec{Name: chat.ToolSearchCatalog, Description: "Finds products.", Parameters: json.RawMessage(
	`{"type":"object","properties":{"query":{"type":"string","maxLength":200},"limit":{"type":"integer","minimum":1}},"required":["query"],"additionalProperties":false}`)}

var orderTool = chat.ToolSpec{Name: chat.ToolOrderStatus, Description: "Tells where an order is.", Parameters: json.RawMessage(
	`{"type":"object","properties":{"order":{"type":"string"}},"required":["order"],"additionalProperties":false}`)}

// dialects are the ways the same question is asked.
var dialects = map[string]openai.Options{
	"chat":            {},
	"chat whole":      {Whole: true},
	"responses":       {API: openai.APIResponses},
	"responses whole": {API: openai.APIResponses, Whole: true},
	"azure":           {API: openai.APIAzure},
}
