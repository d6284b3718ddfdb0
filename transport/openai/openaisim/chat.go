package openaisim

import (
	"io"
	"strings"
)

// chatDialect is the chat completions API.
type chatDialect struct{}

func (chatDialect) decode(body []byte) (a *Asked, param, why string) { return decodeChat(body) }

type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index   int       `json:"index"`
	Message *chatSaid `json:"message,omitempty"`
	Delta   *chatSaid `json:"delta,omitempty"`
	Finish  *string   `json:"finish_reason"`
}

type chatSaid struct {
	Role    string      `json:"role,omitempty"`
	Content *string     `json:"content,omitempty"`
	Refusal string      `json:"refusal,omitempty"`
	Calls   []callShape `json:"tool_calls,omitempty"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	OutDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

func newCompletion(object string, c Call) completion {
	return completion{ID: idOf("chatcmpl-sim-", c), Object: object, Created: c.Time.Unix(), Model: ModelName, Choices: []choice{}}
}

func usageOf(c Call) *usage {
	u := &usage{Prompt: c.PromptTokens, Completion: c.OutTokens, Total: c.PromptTokens + c.OutTokens}
	u.Details.Cached, u.OutDetails.Reasoning = c.CachedTokens, c.reasoning
	return u
}

func shapeOf(t ToolCall) callShape {
	s := callShape{ID: t.ID, Type: "function"}
	s.Function.Name, s.Function.Arguments = t.Name, t.Arguments
	return s
}

func (chatDialect) whole(_ *Asked, c Call, said Said) []byte {
	out := newCompletion("chat.completion", c)
	m := &chatSaid{Role: "assistant", Content: &said.Text, Refusal: said.Refusal}
	for _, call := range said.Calls {
		m.Calls = append(m.Calls, shapeOf(call))
	}
	finish := said.finish()
	out.Choices = append(out.Choices, choice{Message: m, Finish: &finish})
	if !c.noUsage {
		out.Usage = usageOf(c)
	}
	return encode(out)
}

func (chatDialect) stream(w io.Writer, a *Asked, c Call, said Said, next func(int)) {
	send := func(delta *chatSaid, finish *string) {
		out := newCompletion("chat.completion.chunk", c)
		out.Choices = append(out.Choices, choice{Delta: delta, Finish: finish})
		event(w, encode(out))
	}
	empty := ""
	send(&chatSaid{Role: "assistant", Content: &empty}, nil)
	for _, word := range strings.SplitAfter(said.Text, " ") {
		next(tokens(word))
		if word != "" {
			send(&chatSaid{Content: &word}, nil)
		}
	}
	if said.Refusal != "" {
		next(tokens(said.Refusal))
		send(&chatSaid{Refusal: said.Refusal}, nil)
	}
	// The calls come in two halves each, all first halves before the second ones.
	for i, call := range said.Calls {
		s := shapeOf(call)
		s.Index, s.Function.Arguments = &i, call.Arguments[:len(call.Arguments)/2]
		next(4 + tokens(s.Function.Arguments))
		send(&chatSaid{Calls: []callShape{s}}, nil)
	}
	for i, call := range said.Calls {
		s := callShape{Index: &i}
		s.Function.Arguments = call.Arguments[len(call.Arguments)/2:]
		next(tokens(s.Function.Arguments))
		send(&chatSaid{Calls: []callShape{s}}, nil)
	}
	finish := said.finish()
	send(&chatSaid{}, &finish)
	if a.usage && !c.noUsage {
		out := newCompletion("chat.completion.chunk", c)
		out.Usage = usageOf(c)
		event(w, encode(out))
	}
	event(w, []byte("[DONE]"))
}
