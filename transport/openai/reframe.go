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
func reframeWhole(req *http.Request, resp *http.Response, responses bool) error {
	if resp.StatusCode != http.StatusOK || !streamed(req) {
		return nil
	}
	body := bufio.NewReaderSize(resp.Body, peekSize)
	first, err := body.Peek(1)
	if err != nil || first[0] != '{' {
		resp.Body = &peeked{Reader: body, Closer: resp.Body}
		return nil
	}
	defer resp.Body.Close()
	if responses {
		return reframeResponse(resp, body)
	}
	return reframe(resp, body)
}

// peekSize is the least a bufio.Reader takes: what reads behind it has a buffer of its own.
const peekSize = 16

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
	for i := range choice.Message.ToolCalls {
		choice.Message.ToolCalls[i].Index = &i
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
	frame(resp, data)
	return nil
}

// reframeResponse does the same for the Responses API.
func reframeResponse(resp *http.Response, from io.Reader) error {
	body, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	data, err := json.Marshal(struct {
		Type     string          `json:"type"`
		Response json.RawMessage `json:"response"`
	}{"response.completed", body})
	if err != nil {
		resp.Body = io.NopCloser(bytes.NewReader(nil))
		return nil
	}
	frame(resp, data)
	return nil
}

// frame makes one event and the end of the stream the response's body.
func frame(resp *http.Response, data []byte) {
	var framed bytes.Buffer
	framed.Grow(len(data) + 32)
	framed.WriteString("data: ")
	framed.Write(data)
	framed.WriteString("\n\ndata: [DONE]\n\n")
	resp.Body = io.NopCloser(&framed)
}
