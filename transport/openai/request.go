package openai

import (
	"encoding/base64"
	"strings"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// ask is one request to be made.
type ask struct {
	model  string
	prompt *chat.Prompt
	// form counts when the prompt wants a structured answer.
	form form
	out  int
}

// noted reports whether the schema has to be in the prompt.
func (a *ask) noted() bool { return a.prompt.Structured && a.form >= formObject }

func (c *Client) chatRequest(a *ask) goopenai.ChatCompletionRequest {
	r := goopenai.ChatCompletionRequest{Model: a.model, MaxCompletionTokens: a.out, Messages: chatMessages(a)}
	for i := range a.prompt.Tools {
		t := functionOf(&a.prompt.Tools[i])
		r.Tools = append(r.Tools, goopenai.Tool{Type: goopenai.ToolTypeFunction, Function: &t})
	}
	if a.prompt.Structured {
		r.ResponseFormat = chatFormat(a.form)
	}
	return r
}

func chatMessages(a *ask) []goopenai.ChatCompletionMessage {
	out := make([]goopenai.ChatCompletionMessage, 0, len(a.prompt.Lines)+1)
	for i := range a.prompt.Lines {
		l := &a.prompt.Lines[i]
		m := goopenai.ChatCompletionMessage{Role: role(l.Role), Content: l.Text}
		switch l.Role {
		case chat.RoleTool:
			m.Content, m.ToolCallID = resultText(l), wireID(l.Result)
		case chat.RoleAssistant:
			for _, call := range l.Calls {
				m.ToolCalls = append(m.ToolCalls, goopenai.ToolCall{ID: wireID(call.ID), Type: goopenai.ToolTypeFunction,
					Function: goopenai.FunctionCall{Name: call.Name, Arguments: argsText(&call)}})
			}
		case chat.RoleCustomer:
			if len(l.Pictures) > 0 {
				m.Content, m.MultiContent = "", pictured(l)
			}
		case chat.RoleSystem:
		}
		// A message without content is refused.
		if m.Content != "" || len(m.MultiContent) > 0 || len(m.ToolCalls) > 0 {
			out = append(out, m)
		}
	}
	if a.noted() {
		out = append(out, goopenai.ChatCompletionMessage{Role: goopenai.ChatMessageRoleSystem, Content: formNote})
	}
	return out
}

func role(r chat.PromptRole) string {
	switch r {
	case chat.RoleSystem:
		return goopenai.ChatMessageRoleSystem
	case chat.RoleAssistant:
		return goopenai.ChatMessageRoleAssistant
	case chat.RoleTool:
		return goopenai.ChatMessageRoleTool
	case chat.RoleCustomer:
	}
	return goopenai.ChatMessageRoleUser
}

func functionOf(t *chat.ToolSpec) goopenai.FunctionDefinition {
	f := goopenai.FunctionDefinition{Name: t.Name, Description: t.Description, Parameters: t.Parameters}
	if len(t.Parameters) == 0 {
		f.Parameters = map[string]any{"type": "object", "properties": map[string]any{}}
	}
	return f
}

func pictured(l *chat.PromptLine) []goopenai.ChatMessagePart {
	var parts []goopenai.ChatMessagePart
	if l.Text != "" {
		parts = append(parts, goopenai.ChatMessagePart{Type: goopenai.ChatMessagePartTypeText, Text: l.Text})
	}
	for i := range l.Pictures {
		parts = append(parts, goopenai.ChatMessagePart{Type: goopenai.ChatMessagePartTypeImageURL,
			ImageURL: &goopenai.ChatMessageImageURL{URL: dataURI(&l.Pictures[i])}})
	}
	return parts
}

func dataURI(p *chat.Picture) string {
	var b strings.Builder
	b.Grow(len("data:;base64,") + len(p.MIME) + base64.StdEncoding.EncodedLen(len(p.Bytes)))
	b.WriteString("data:")
	b.WriteString(p.MIME)
	b.WriteString(";base64,")
	enc := base64.NewEncoder(base64.StdEncoding, &b)
	_, _ = enc.Write(p.Bytes) // a builder takes everything
	_ = enc.Close()
	return b.String()
}

// resultText is never empty: a message without content is refused.
func resultText(l *chat.PromptLine) string {
	if l.Text == "" {
		return "(nothing)"
	}
	return l.Text
}

func argsText(c *chat.ToolCall) string {
	if len(c.Args) == 0 {
		return "{}"
	}
	return string(c.Args)
}

// wireID spells the id of a call so that every server takes it: some allow letters,
// digits, "_" and "-" alone.
func wireID(id string) string {
	return "call_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, id)
}

// responsesRequest leaves nothing at the provider: the whole talk is the input.
func (c *Client) responsesRequest(a *ask) goopenai.CreateResponseRequest {
	keep := false
	r := goopenai.CreateResponseRequest{Model: a.model, MaxOutputTokens: a.out, Input: responsesInput(a), Store: &keep}
	for i := range a.prompt.Tools {
		f := functionOf(&a.prompt.Tools[i])
		tool := goopenai.NewResponseFunctionTool(f)
		// Left out it means true, and schemas must then have another shape.
		tool.Parameters["strict"] = false
		r.Tools = append(r.Tools, tool)
	}
	if a.prompt.Structured {
		r.Text = responsesFormat(a.form)
	}
	return r
}

// functionCall is a call that the model made, as an input item. go-openai has no type
// for it.
type functionCall struct {
	Type      string `json:"type"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

func responsesInput(a *ask) []any {
	out := make([]any, 0, len(a.prompt.Lines)+1)
	say := func(role string, content any) {
		out = append(out, goopenai.ResponseInputMessage{Type: "message", Role: role, Content: content})
	}
	for i := range a.prompt.Lines {
		l := &a.prompt.Lines[i]
		switch {
		case l.Role == chat.RoleTool:
			out = append(out, goopenai.ResponseFunctionCallOutput{Type: "function_call_output", CallID: wireID(l.Result), Output: resultText(l)})
		case l.Role == chat.RoleCustomer && len(l.Pictures) > 0:
			var parts []any
			if l.Text != "" {
				parts = append(parts, goopenai.ResponseInputText{Type: "input_text", Text: l.Text})
			}
			for i := range l.Pictures {
				parts = append(parts, goopenai.ResponseInputImage{Type: "input_image", Detail: "auto", ImageURL: dataURI(&l.Pictures[i])})
			}
			say(goopenai.ChatMessageRoleUser, parts)
		case l.Text != "":
			say(role(l.Role), l.Text)
		}
		if l.Role == chat.RoleAssistant {
			for _, call := range l.Calls {
				out = append(out, functionCall{Type: "function_call", CallID: wireID(call.ID), Name: call.Name, Arguments: argsText(&call)})
			}
		}
	}
	if a.noted() {
		say(goopenai.ChatMessageRoleSystem, formNote)
	}
	return out
}
