package chat

import (
	"encoding/json"
	"reflect"
	"testing"
)

func hashed() *Prompt {
	return &Prompt{
		Tenant: "acme", Conversation: "c", Turn: "t", Call: 2,
		Lines: []PromptLine{
			{Role: RoleSystem, Text: "Be brief."},
			{Role: RoleCustomer, Text: "this one?", Pictures: []Picture{{MIME: "image/png", SHA256: "ab", Bytes: []byte("x")}}},
			{Role: RoleAssistant, Calls: []ToolCall{{ID: "1.0", Name: "search_catalog", Args: json.RawMessage(`{"q":"one"}`)}}},
			{Role: RoleTool, Result: "1.0", Text: "24 euros"},
		},
		Models:     []ModelRef{{Model: "m"}},
		Tools:      []ToolSpec{{Name: "search_catalog", Description: "d", Parameters: json.RawMessage(`{}`)}},
		Structured: true, OutTokens: 7,
	}
}

func TestPromptHash_CoversWhatTheModelSees(t *testing.T) {
	for name, change := range map[string]func(*Prompt){
		"role":                func(p *Prompt) { p.Lines[1].Role = RoleAssistant },
		"text":                func(p *Prompt) { p.Lines[0].Text = "Be brief!" },
		"text moved":          func(p *Prompt) { p.Lines[0].Text, p.Lines[1].Text = "Be brief.t", "his one?" },
		"line added":          func(p *Prompt) { p.Lines = append(p.Lines, PromptLine{}) },
		"line taken":          func(p *Prompt) { p.Lines = p.Lines[:3] },
		"picture":             func(p *Prompt) { p.Lines[1].Pictures[0].SHA256 = "cd" },
		"picture type":        func(p *Prompt) { p.Lines[1].Pictures[0].MIME = "image/gif" },
		"picture added":       func(p *Prompt) { p.Lines[1].Pictures = append(p.Lines[1].Pictures, Picture{}) },
		"call id":             func(p *Prompt) { p.Lines[2].Calls[0].ID = "1.1" },
		"call name":           func(p *Prompt) { p.Lines[2].Calls[0].Name = "handoff" },
		"call arguments":      func(p *Prompt) { p.Lines[2].Calls[0].Args = json.RawMessage(`{"q":"two"}`) },
		"call invalid":        func(p *Prompt) { p.Lines[2].Calls[0].Invalid = "schema" },
		"call added":          func(p *Prompt) { p.Lines[2].Calls = append(p.Lines[2].Calls, ToolCall{}) },
		"result of":           func(p *Prompt) { p.Lines[3].Result = "1.1" },
		"result":              func(p *Prompt) { p.Lines[3].Text = "25 euros" },
		"tool":                func(p *Prompt) { p.Tools[0].Name = "x" },
		"tool description":    func(p *Prompt) { p.Tools[0].Description = "e" },
		"tool parameters":     func(p *Prompt) { p.Tools[0].Parameters = json.RawMessage(`{"type":"object"}`) },
		"tool added":          func(p *Prompt) { p.Tools = append(p.Tools, ToolSpec{}) },
		"structured":          func(p *Prompt) { p.Structured = false },
		"model":               func(p *Prompt) { p.Models[0].Model = "n" },
		"provider":            func(p *Prompt) { p.Models[0] = ModelRef{Provider: "m"} },
		"model added":         func(p *Prompt) { p.Models = append(p.Models, ModelRef{}) },
		"bound of the answer": func(p *Prompt) { p.OutTokens = 8 },
	} {
		p := hashed()
		if change(p); p.Hash() == hashed().Hash() {
			t.Errorf("%s: the hash is the same", name)
		}
	}
	for name, change := range map[string]func(*Prompt){
		"who and which call":   func(p *Prompt) { p.Tenant, p.Conversation, p.Turn, p.Call = "x", "y", "z", 9 },
		"bytes with a digest":  func(p *Prompt) { p.Lines[1].Pictures[0].Bytes = nil },
		"an empty list for no": func(p *Prompt) { p.Lines[0].Calls = []ToolCall{} },
	} {
		p := hashed()
		if change(p); p.Hash() != hashed().Hash() {
			t.Errorf("%s: changes the hash", name)
		}
	}
	if h := hashed().Hash(); len(h) != 64 {
		t.Errorf("hash %q", h)
	}
	bare := &Prompt{Lines: []PromptLine{{Pictures: []Picture{{Bytes: []byte("a")}}}}}
	other := &Prompt{Lines: []PromptLine{{Pictures: []Picture{{Bytes: []byte("b")}}}}}
	if bare.Hash() == other.Hash() {
		t.Error("pictures without a digest share a hash")
	}
}

// A field that is added to what a model sees must be hashed; this list is held
// against Hash by hand.
func TestPromptHash_KnowsEveryField(t *testing.T) {
	for typ, want := range map[reflect.Type]int{
		reflect.TypeFor[Prompt](): 9, reflect.TypeFor[PromptLine](): 5, reflect.TypeFor[Picture](): 3,
		reflect.TypeFor[ToolSpec](): 3, reflect.TypeFor[ToolCall](): 4, reflect.TypeFor[ModelRef](): 2,
	} {
		if typ.NumField() != want {
			t.Errorf("%s has %d fields: hash what a model sees of it, then write %[2]d here", typ.Name(), typ.NumField())
		}
	}
}
