package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	goopenai "github.com/sashabaranov/go-openai"
)

// reframeWhole lets a server answer a request for a stream with one JSON
// object, as some compatible servers do: the object becomes the stream that was
// asked for. A stream never begins with a brace.
func reframeWhole(req *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK || req.Header.Get("Accept") != "text/event-stream" {
		return nil
	}
	body := bufio.NewReader(resp.Body)
	first, err := body.Peek(1)
	if err != nil || first[0] != '{' {
		resp.Body = &peeked{Reader: body, Closer: resp.Body}
		return nil
	}
	defer resp.Body.Close()
	return reframe(resp, body)
}

// peeked is a body whose first bytes were looked at.
type peeked struct {
	io.Reader
	io.Closer
}

// reframe replaces the response's body. A body that is no answer becomes a stream that ends before one.
func reframe(resp *http.Response, from io.Reader) error {
	body, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	var whole goopenai.ChatCompletionResponse
	if json.Unmarshal(body, &whole) != nil || len(whole.Choices) == 0 {
		resp.Body = io.NopCloser(bytes.NewReader(nil))
		return nil
	}
	choice := &whole.Choices[0]
	finish := choice.FinishReason
	if finish == "" {
		finish = goopenai.FinishReasonStop
	}
	chunk := goopenai.ChatCompletionStreamResponse{
		ID: whole.ID, Object: "chat.completion.chunk", Created: whole.Created, Model: whole.Model, Usage: &whole.Usage,
		Choices: []goopenai.ChatCompletionStreamChoice{{
			Delta: goopenai.ChatCompletionStreamChoiceDelta{
				Content: choice.Message.Content, Role: choice.Message.Role, Refusal: choice.Message.Refusal,
				ToolCalls: choice.Message.ToolCalls, FunctionCall: choice.Message.FunctionCall,
			},
			FinishReason: finish,
		}},
	}
	data, err := json.Marshal(chunk)
	if err != nil {
		return err
	}
	var framed bytes.Buffer
	framed.Grow(len(data) + 32)
	framed.WriteString("data: ")
	framed.Write(data)
	framed.WriteString("\n\ndata: [DONE]\n\n")
	resp.Body = io.NopCloser(&framed)
	return nil
}
