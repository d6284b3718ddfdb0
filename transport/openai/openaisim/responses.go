package openaisim

import (
	"fmt"
	"io"
	"strings"
)

// responsesDialect is the Responses API.
type responsesDialect struct{}

func (responsesDialect) decode(body []byte) (a *Asked, param, why string) {
	return decodeResponses(body)
}

type responseBody struct {
	ID         string         `json:"id"`
	Object     string         `json:"object"`
	Created    int64          `json:"created_at"`
	Status     string         `json:"status"`
	Incomplete *incomplete    `json:"incomplete_details"`
	Model      string         `json:"model"`
	Output     []any          `json:"output"`
	Store      bool           `json:"store"`
	Usage      *responseUsage `json:"usage"`
}

type incomplete struct {
	Reason string `json:"reason"`
}

type responseUsage struct {
	Input        int `json:"input_tokens"`
	InputDetails struct {
		Cached int `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	Output        int `json:"output_tokens"`
	OutputDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	Total int `json:"total_tokens"`
}

type outputMessage struct {
	ID      string       `json:"id"`
	Type    string       `json:"type"`
	Status  string       `json:"status"`
	Role    string       `json:"role"`
	Content []outputPart `json:"content"`
}

type outputPart struct {
	Type    string `json:"type"`
	Text    string `json:"text,omitempty"`
	Refusal string `json:"refusal,omitempty"`
}

type outputCall struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

func responseOf(a *Asked, c Call, said Said) responseBody {
	r := responseBody{ID: idOf("resp_sim_", c), Object: "response", Created: c.Time.Unix(), Status: "completed", Model: ModelName,
		Output: []any{}, Store: a.stored}
	switch said.Finish {
	case "length":
		r.Status, r.Incomplete = "incomplete", &incomplete{"max_output_tokens"}
	case "content_filter":
		r.Status, r.Incomplete = "incomplete", &incomplete{"content_filter"}
	}
	if said.Text != "" {
		r.Output = append(r.Output, message(c, outputPart{Type: "output_text", Text: said.Text}))
	}
	if said.Refusal != "" {
		r.Output = append(r.Output, message(c, outputPart{Type: "refusal", Refusal: said.Refusal}))
	}
	for i, call := range said.Calls {
		r.Output = append(r.Output, outputCall{fmt.Sprintf("fc_sim_%d", i), "function_call", "completed", call.ID, call.Name, call.Arguments})
	}
	if !c.noUsage {
		u := &responseUsage{Input: c.PromptTokens, Output: c.OutTokens, Total: c.PromptTokens + c.OutTokens}
		u.InputDetails.Cached, u.OutputDetails.Reasoning = c.CachedTokens, c.reasoning
		r.Usage = u
	}
	return r
}

func message(c Call, part outputPart) outputMessage {
	return outputMessage{idOf("msg_sim_", c), "message", "completed", "assistant", []outputPart{part}}
}

func (responsesDialect) whole(a *Asked, c Call, said Said) []byte {
	return encode(responseOf(a, c, said))
}

func (responsesDialect) stream(w io.Writer, a *Asked, c Call, said Said, next func(int)) {
	n := 0
	send := func(typ string, fields map[string]any) {
		fields["type"], fields["sequence_number"] = typ, n
		n++
		_, _ = io.WriteString(w, "event: "+typ+"\n")
		event(w, encode(fields))
	}
	whole := responseOf(a, c, said)
	begun := whole
	begun.Status, begun.Output, begun.Usage, begun.Incomplete = "in_progress", []any{}, nil, nil
	send("response.created", map[string]any{"response": begun})
	for i, item := range whole.Output {
		send("response.output_item.added", map[string]any{"output_index": i, "item": map[string]any{"type": "message"}})
		switch item := item.(type) {
		case outputMessage:
			for _, word := range strings.SplitAfter(item.Content[0].Text+item.Content[0].Refusal, " ") {
				next(tokens(word))
				typ := "response.output_text.delta"
				if item.Content[0].Refusal != "" {
					typ = "response.refusal.delta"
				}
				send(typ, map[string]any{"output_index": i, "delta": word})
			}
		case outputCall:
			next(4 + tokens(item.Arguments))
			send("response.function_call_arguments.delta", map[string]any{"output_index": i, "delta": item.Arguments})
		}
		send("response.output_item.done", map[string]any{"output_index": i, "item": item})
	}
	send("response."+whole.Status, map[string]any{"response": whole})
}
