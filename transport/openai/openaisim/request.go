package openaisim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// chatRequest is what of a chat completion request has a meaning here. Unknown
// keys are sampling options and are allowed.
type chatRequest struct {
	Model    string        `json:"model"`
	Messages []chatMessage `json:"messages"`
	N        *int          `json:"n"`
	Stream   bool          `json:"stream"`
	Options  *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Format *struct {
		Type   string `json:"type"`
		Schema *struct {
			Schema json.RawMessage `json:"schema"`
			Strict bool            `json:"strict"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Tools []struct {
		Type     string       `json:"type"`
		Function functionSpec `json:"function"`
	} `json:"tools"`
	Max int `json:"max_completion_tokens"`
}

type functionSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

type chatMessage struct {
	Role    string      `json:"role"`
	Content content     `json:"content"`
	CallID  string      `json:"tool_call_id"`
	Calls   []callShape `json:"tool_calls"`
}

// callShape is a call on the wire of chat completions.
type callShape struct {
	Index    *int   `json:"index,omitempty"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// content is a string, null, or a list of parts of which the texts and the images count.
type content struct {
	text     string
	pictures int
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *content) UnmarshalJSON(b []byte) error {
	var s *string
	if json.Unmarshal(b, &s) == nil {
		if s != nil {
			c.text = *s
		}
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return errors.New("content must be a string or a list of parts")
	}
	var texts []string
	for _, p := range parts {
		switch p.Type {
		case "text", "input_text", "output_text":
			texts = append(texts, p.Text)
		case "image_url", "input_image":
			c.pictures++
		}
	}
	c.text = strings.Join(texts, "\n")
	return nil
}

// decodeChat reads a body; param is what is wrong with it, and why.
func decodeChat(body []byte) (a *Asked, param, why string) {
	var r chatRequest
	if json.Unmarshal(body, &r) != nil {
		return nil, "", unparsed
	}
	switch {
	case r.N != nil && *r.N != 1:
		return nil, "n", "the simulator makes one choice"
	case r.Options != nil && !r.Stream:
		return nil, "stream_options", "only allowed when stream is true"
	}
	a = &Asked{api: apiChat, Model: r.Model, Stream: r.Stream, usage: r.Options != nil && r.Options.IncludeUsage, cutShort: r.Max}
	if r.Format != nil && r.Format.Type != "text" {
		if a.Form = r.Format.Type; r.Format.Schema != nil {
			a.Schema, a.Strict = r.Format.Schema.Schema, r.Format.Schema.Strict
		}
	}
	for _, t := range r.Tools {
		if t.Type != "function" {
			return nil, "tools", fmt.Sprintf("%q is not a type of tool here", t.Type)
		}
		a.Tools = append(a.Tools, Tool{t.Function.Name, t.Function.Description, t.Function.Parameters})
	}
	for _, m := range r.Messages {
		said := Message{Role: m.Role, Text: m.Content.text, Pictures: m.Content.pictures, CallID: m.CallID}
		for _, c := range m.Calls {
			said.Calls = append(said.Calls, ToolCall{c.ID, c.Function.Name, c.Function.Arguments})
		}
		a.Messages = append(a.Messages, said)
	}
	param, why = a.check()
	return a, param, why
}

// responsesRequest is the same of the Responses API.
type responsesRequest struct {
	Model  string          `json:"model"`
	Input  json.RawMessage `json:"input"`
	Stream bool            `json:"stream"`
	Store  *bool           `json:"store"`
	Max    int             `json:"max_output_tokens"`
	Text   *struct {
		Format *struct {
			Type   string          `json:"type"`
			Schema json.RawMessage `json:"schema"`
			Strict bool            `json:"strict"`
		} `json:"format"`
	} `json:"text"`
	Tools []struct {
		Type string `json:"type"`
		functionSpec
	} `json:"tools"`
}

type inputItem struct {
	Type      string  `json:"type"`
	Role      string  `json:"role"`
	Content   content `json:"content"`
	CallID    string  `json:"call_id"`
	Name      string  `json:"name"`
	Arguments string  `json:"arguments"`
	Output    string  `json:"output"`
}

func decodeResponses(body []byte) (a *Asked, param, why string) {
	var r responsesRequest
	if json.Unmarshal(body, &r) != nil {
		return nil, "", unparsed
	}
	a = &Asked{api: apiResponses, Model: r.Model, Stream: r.Stream, stored: r.Store == nil || *r.Store, cutShort: r.Max}
	if r.Text != nil && r.Text.Format != nil && r.Text.Format.Type != "text" {
		a.Form, a.Schema, a.Strict = r.Text.Format.Type, r.Text.Format.Schema, r.Text.Format.Strict
	}
	for _, t := range r.Tools {
		if t.Type != "function" {
			return nil, "tools", fmt.Sprintf("%q is not a type of tool here", t.Type)
		}
		a.Tools = append(a.Tools, Tool{t.Name, t.Description, t.Parameters})
	}
	var text string
	var items []inputItem
	switch {
	case json.Unmarshal(r.Input, &text) == nil:
		a.Messages = []Message{{Role: "user", Text: text}}
	case json.Unmarshal(r.Input, &items) != nil:
		return nil, "input", "must be a string or a list of items"
	}
	for _, i := range items {
		switch i.Type {
		case "", "message":
			a.Messages = append(a.Messages, Message{Role: i.Role, Text: i.Content.text, Pictures: i.Content.pictures})
		case "function_call":
			a.Messages = append(a.Messages, Message{Role: "assistant", Calls: []ToolCall{{i.CallID, i.Name, i.Arguments}}})
		case "function_call_output":
			a.Messages = append(a.Messages, Message{Role: "tool", Text: i.Output, CallID: i.CallID})
		default:
			return nil, "input", fmt.Sprintf("%q is not a type of item here", i.Type)
		}
	}
	param, why = a.check()
	return a, param, why
}

const unparsed = "We could not parse the JSON body of your request."
