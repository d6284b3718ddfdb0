package openaisim

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Asked is what a request asks for, by whichever API.
type Asked struct {
	Model    string
	Messages []Message
	Tools    []Tool
	// Form is "json_schema", "json_object" or empty for text; Schema is of the first,
	// Strict whether the answer is held to it.
	Form   string
	Schema json.RawMessage
	Strict bool
	Stream bool

	api      string
	usage    bool // a chunk with the usage is wanted
	stored   bool // the provider is asked to keep the talk
	cutShort int  // bound of the output, 0 for none
}

// Message is one message of a request.
type Message struct {
	// Role is system, user, assistant or tool.
	Role string
	Text string
	// Pictures counts the images with it.
	Pictures int
	// Calls are what the assistant asked for; CallID is the call that a result is of.
	Calls  []ToolCall
	CallID string
}

// Tool is a function that may be called.
type Tool struct {
	Name, Description string
	Parameters        json.RawMessage
}

// ToolCall is a call of a function. Arguments should be JSON.
type ToolCall struct{ ID, Name, Arguments string }

// Said is an answer. Empty fields are not said.
type Said struct {
	Text    string
	Calls   []ToolCall
	Refusal string
	// Finish is the reason the answer ends for; empty for stop, or tool_calls.
	Finish string
	// reply is what a person reads of a structured Text.
	reply string
}

func (s *Said) finish() string {
	switch {
	case s.Finish != "":
		return s.Finish
	case len(s.Calls) > 0:
		return "tool_calls"
	}
	return "stop"
}

var functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// check returns the parameter that is wrong and why, or "": what a provider refuses of
// any request.
func (a *Asked) check() (param, why string) {
	if a.Model == "" {
		return "model", "you must provide a model parameter"
	}
	if len(a.Messages) == 0 {
		return a.messages(), "[] is too short - 'messages'"
	}
	if param, why := a.checkTalk(); param != "" {
		return param, why
	}
	for i, t := range a.Tools {
		var schema struct{ Type string }
		switch {
		case !functionName.MatchString(t.Name):
			return fmt.Sprintf("tools[%d].name", i), "does not match '^[a-zA-Z0-9_-]+$'"
		case json.Unmarshal(t.Parameters, &schema) != nil || schema.Type != "object":
			return "tools", fmt.Sprintf("Invalid schema for function '%s': schema must be a JSON Schema of 'type: \"object\"'", t.Name)
		}
	}
	switch a.Form {
	case "", "json_schema", "json_object":
	default:
		return a.form(), fmt.Sprintf("%q is not one of text, json_object, json_schema", a.Form)
	}
	if a.Form == "json_object" && !a.mentions("json") {
		return a.messages(), "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
	}
	if a.Form == "json_schema" {
		var schema map[string]any
		if json.Unmarshal(a.Schema, &schema) != nil || schema == nil {
			return a.form(), "a schema is required"
		}
		if why := unstrict(schema); a.Strict && why != "" {
			return a.form(), "Invalid schema for response_format: " + why
		}
	}
	return "", ""
}

// checkTalk holds calls and results against one another.
func (a *Asked) checkTalk() (param, why string) {
	open := map[string]bool{}
	for i, m := range a.Messages {
		at := fmt.Sprintf("%s[%d]", a.messages(), i)
		if m.Role != "tool" && len(open) > 0 && a.api == apiChat {
			return a.messages(), "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
		}
		switch m.Role {
		case "system", "developer", "user":
		case "assistant":
			for _, c := range m.Calls {
				if !functionName.MatchString(c.Name) {
					return at + ".tool_calls", "name does not match '^[a-zA-Z0-9_-]+$'"
				}
				open[c.ID] = true
			}
		case "tool":
			if !open[m.CallID] {
				return at, "a tool result must answer a preceding call"
			}
			delete(open, m.CallID)
		default:
			return at + ".role", fmt.Sprintf("%q is not one of system, developer, user, assistant, tool", m.Role)
		}
		if m.Text == "" && m.Pictures == 0 && len(m.Calls) == 0 {
			return at + ".content", "content is required"
		}
	}
	if len(open) > 0 {
		return a.messages(), "No tool output found for a function call."
	}
	return "", ""
}

func (a *Asked) messages() string {
	if a.api == apiResponses {
		return "input"
	}
	return "messages"
}

func (a *Asked) form() string {
	if a.api == apiResponses {
		return "text.format"
	}
	return "response_format"
}

func (a *Asked) mentions(word string) bool {
	for _, m := range a.Messages {
		if strings.Contains(strings.ToLower(m.Text), word) {
			return true
		}
	}
	return false
}

// lastUserRun returns the texts of the last consecutive user messages.
func (a *Asked) lastUserRun() []string {
	end := a.lastUser() + 1
	first := end
	for first > 0 && a.Messages[first-1].Role == "user" {
		first--
	}
	var texts []string
	for _, m := range a.Messages[first:end] {
		texts = append(texts, m.Text)
	}
	return texts
}

// lastUser is the place of the last user message, -1 for none.
func (a *Asked) lastUser() int {
	i := len(a.Messages) - 1
	for i >= 0 && a.Messages[i].Role != "user" {
		i--
	}
	return i
}

func (a *Asked) offers(name string) *Tool {
	for i := range a.Tools {
		if a.Tools[i].Name == name {
			return &a.Tools[i]
		}
	}
	return nil
}

func (a *Asked) pictures() int {
	n := 0
	for _, m := range a.Messages {
		n += m.Pictures
	}
	return n
}

func (a *Asked) hash() string {
	parts := make([]string, 0, 2*len(a.Messages))
	for _, m := range a.Messages {
		parts = append(parts, m.Role, m.Text)
		for _, c := range m.Calls {
			parts = append(parts, c.ID, c.Name, c.Arguments)
		}
	}
	d := digest(0, parts...)
	return hex.EncodeToString(d[:16])
}

// tokens estimates what a text costs: four bytes of ASCII, or one other
// character, are about one token.
func tokens(text string) int {
	ascii, other := 0, 0
	for _, c := range text {
		if c < utf8.RuneSelf {
			ascii++
		} else {
			other++
		}
	}
	return (ascii+3)/4 + other
}

// pictureTokens is what an image costs.
const pictureTokens = 765

func (a *Asked) promptTokens() int {
	n := 3
	for _, m := range a.Messages {
		n += 4 + tokens(m.Text) + m.Pictures*pictureTokens
		for _, c := range m.Calls {
			n += 4 + tokens(c.Name) + tokens(c.Arguments)
		}
	}
	for _, t := range a.Tools {
		n += 8 + tokens(t.Name) + tokens(t.Description) + tokens(string(t.Parameters))
	}
	return n + tokens(string(a.Schema))
}

func (s *Said) tokens() int {
	n := tokens(s.Text) + tokens(s.Refusal)
	for _, c := range s.Calls {
		n += 4 + tokens(c.Name) + tokens(c.Arguments)
	}
	return n
}
