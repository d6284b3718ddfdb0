package openai

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// stream reads the answer piece by piece and returns it whole.
func (c *Client) stream(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
	r := c.request(p)
	r.StreamOptions = &goopenai.StreamOptions{IncludeUsage: true}
	s, err := c.api.CreateChatCompletionStream(ctx, r)
	if err != nil {
		return chat.Answer{}, err
	}
	defer s.Close()
	var text strings.Builder
	a := chat.Answer{Model: c.opt.Model}
	var finish goopenai.FinishReason
	refused := false
	for {
		chunk, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && finish != "" {
			// The answer is complete; only its usage or the end mark is missing.
			break
		}
		if err != nil {
			return chat.Answer{}, err
		}
		if chunk.Model != "" {
			a.Model = chunk.Model
		}
		if chunk.Usage != nil {
			a.PromptTokens, a.OutTokens = int64(chunk.Usage.PromptTokens), int64(chunk.Usage.CompletionTokens)
		}
		// The chunk with the usage has no choices.
		if len(chunk.Choices) == 0 {
			continue
		}
		choice := &chunk.Choices[0]
		text.WriteString(choice.Delta.Content)
		if text.Len() > c.opt.TextMax {
			return chat.Answer{}, errTooLong
		}
		refused = refused || choice.Delta.Refusal != ""
		if len(choice.Delta.ToolCalls) > 0 || choice.Delta.FunctionCall != nil {
			return chat.Answer{}, errToolCall
		}
		if choice.FinishReason != "" && choice.FinishReason != goopenai.FinishReasonNull {
			finish = choice.FinishReason
		}
	}
	a.Text = strings.TrimSpace(text.String())
	return a, judge(a.Text, finish, refused)
}

// whole asks for the answer in one piece.
func (c *Client) whole(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
	resp, err := c.api.CreateChatCompletion(ctx, c.request(p))
	if err != nil {
		return chat.Answer{}, err
	}
	a := chat.Answer{
		Model:        resp.Model,
		PromptTokens: int64(resp.Usage.PromptTokens),
		OutTokens:    int64(resp.Usage.CompletionTokens),
	}
	if a.Model == "" {
		a.Model = c.opt.Model
	}
	if len(resp.Choices) == 0 {
		return chat.Answer{}, errEmpty
	}
	m := &resp.Choices[0].Message
	if len(m.ToolCalls) > 0 || m.FunctionCall != nil {
		return chat.Answer{}, errToolCall
	}
	if len(m.Content) > c.opt.TextMax {
		return chat.Answer{}, errTooLong
	}
	a.Text = strings.TrimSpace(m.Content)
	return a, judge(a.Text, resp.Choices[0].FinishReason, m.Refusal != "")
}

// judge decides whether what arrived is a whole answer.
func judge(text string, finish goopenai.FinishReason, refused bool) error {
	switch finish {
	case goopenai.FinishReasonStop:
	case "", goopenai.FinishReasonNull:
		return errCut
	case goopenai.FinishReasonLength:
		return errTruncated
	case goopenai.FinishReasonContentFilter:
		return errContentFilter
	case goopenai.FinishReasonToolCalls, goopenai.FinishReasonFunctionCall:
		return errToolCall
	default:
		// A word of another server for "done".
	}
	switch {
	case refused:
		return errRefused
	case text == "":
		return errEmpty
	}
	return nil
}
