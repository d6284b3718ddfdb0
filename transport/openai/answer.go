package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
	"github.com/valyala/fastjson"
)

// draft is an answer as it comes in.
type draft struct {
	model, request string
	text           strings.Builder
	calls          gatherer
	tokens         *chat.Tokens
	finish         goopenai.FinishReason
	refused        bool
	// most bounds the text, coming counts what of it is announced.
	most, coming int
}

func (d *draft) write(text string) error {
	if d.text.Len()+len(text) > d.most {
		return errTooLong
	}
	d.text.WriteString(text)
	return nil
}

// answer judges what arrived and hands it on whole.
func (d *draft) answer(a *ask, v *validator) (chat.Answer, error) {
	out := chat.Answer{Text: strings.TrimSpace(d.text.String()), Model: d.model, Request: d.request}
	if out.Model == "" {
		out.Model = a.model
	}
	if len(d.calls.calls) > 0 && len(a.prompt.Tools) == 0 {
		return chat.Answer{}, errToolCall
	}
	switch d.finish {
	case "", goopenai.FinishReasonNull:
		return chat.Answer{}, errCut
	case goopenai.FinishReasonLength:
		return chat.Answer{}, errTruncated
	case goopenai.FinishReasonContentFilter:
		return chat.Answer{}, errContentFilter
	case goopenai.FinishReasonStop, goopenai.FinishReasonToolCalls, goopenai.FinishReasonFunctionCall:
	default:
		// A word of another server for "done".
	}
	out.Calls = d.calls.decode(a.prompt, v)
	switch {
	case d.refused:
		return chat.Answer{}, errRefused
	case out.Text == "" && len(out.Calls) == 0:
		return chat.Answer{}, errEmpty
	}
	settle(&out, d.tokens, a.prompt)
	return out, nil
}

// stream reads the answer piece by piece and returns it whole.
func (c *Client) stream(ctx context.Context, p *provider, a *ask, x *exchange) (chat.Answer, error) {
	r := c.chatRequest(a)
	r.StreamOptions = &goopenai.StreamOptions{IncludeUsage: true}
	s, err := p.api.CreateChatCompletionStream(ctx, r)
	if err != nil {
		return chat.Answer{}, err
	}
	defer s.Close()
	d := draft{most: c.opt.TextMax}
	for {
		raw, err := s.RecvRaw()
		if errors.Is(err, io.EOF) {
			x.whole = true
			break
		}
		if err != nil && d.finish != "" {
			// The answer is complete; only its usage or the end mark is missing.
			break
		}
		if err != nil {
			return chat.Answer{}, err
		}
		x.first(c.opt.Now())
		if err := d.piece(raw); err != nil {
			return chat.Answer{}, err
		}
	}
	return d.answer(a, &c.validator)
}

var parsers fastjson.ParserPool

// piece takes one chunk as it came. Nearly all chunks of an answer carry some text and
// nothing else: those are read without making go-openai's types of them.
func (d *draft) piece(raw []byte) error {
	p := parsers.Get()
	defer parsers.Put(p)
	if text, finish, ok := d.plain(p, raw); ok {
		if finish != "" && finish != string(goopenai.FinishReasonNull) {
			d.finish = goopenai.FinishReason(finish)
		}
		return d.write(text)
	}
	var chunk goopenai.ChatCompletionStreamResponse
	if err := json.Unmarshal(raw, &chunk); err != nil {
		if d.finish != "" {
			// The answer is complete; only its usage is missing.
			return nil
		}
		return err
	}
	return d.chunk(&chunk)
}

// plain reads a chunk that has text and why the answer ends, or neither, and that names
// the model and the request, whichever is missing so far. ok is false of any other, and
// of one that encoding/json would read otherwise; d is then as before.
func (d *draft) plain(p *fastjson.Parser, raw []byte) (text, finish string, ok bool) {
	if !utf8.Valid(raw) || bytes.Contains(raw, []byte(`\u`)) {
		return "", "", false
	}
	v, err := p.ParseBytes(raw)
	if err != nil || !isNull(v.Get("usage")) {
		return "", "", false
	}
	choices := v.GetArray("choices")
	if len(choices) != 1 {
		return "", "", false
	}
	delta := choices[0].GetObject("delta")
	if delta == nil {
		return "", "", false
	}
	ok = true
	// read is a string, "" of null and of nothing.
	read := func(v *fastjson.Value) string {
		if isNull(v) {
			return ""
		}
		b, err := v.StringBytes()
		ok = ok && err == nil
		return string(b)
	}
	finish = read(choices[0].Get("finish_reason"))
	delta.Visit(func(key []byte, v *fastjson.Value) {
		switch string(key) {
		case "content":
			text = read(v)
		case "role":
		default:
			ok = ok && isNull(v)
		}
	})
	model, request := d.model, d.request
	if model == "" {
		model = read(v.Get("model"))
	}
	if request == "" {
		request = read(v.Get("id"))
	}
	if ok {
		d.model, d.request = model, request
	}
	return text, finish, ok
}

func isNull(v *fastjson.Value) bool { return v == nil || v.Type() == fastjson.TypeNull }

func (d *draft) chunk(chunk *goopenai.ChatCompletionStreamResponse) error {
	if chunk.Model != "" {
		d.model = chunk.Model
	}
	if chunk.ID != "" {
		d.request = chunk.ID
	}
	if t := tokensOf(chunk.Usage); t != nil {
		d.tokens = t
	}
	// The chunk with the usage has no choices.
	if len(chunk.Choices) == 0 {
		return nil
	}
	choice := &chunk.Choices[0]
	if err := d.write(choice.Delta.Content); err != nil {
		return err
	}
	d.refused = d.refused || choice.Delta.Refusal != ""
	for i := range choice.Delta.ToolCalls {
		if err := d.calls.add(&choice.Delta.ToolCalls[i]); err != nil {
			return err
		}
	}
	if err := d.legacy(choice.Delta.FunctionCall); err != nil {
		return err
	}
	if choice.FinishReason != "" && choice.FinishReason != goopenai.FinishReasonNull {
		d.finish = choice.FinishReason
	}
	return nil
}

// legacy takes the one call of servers that know no tools yet, only functions.
func (d *draft) legacy(f *goopenai.FunctionCall) error {
	if f == nil {
		return nil
	}
	first := 0
	return d.calls.add(&goopenai.ToolCall{Index: &first, Function: *f})
}

// whole asks for the answer in one piece.
func (c *Client) whole(ctx context.Context, p *provider, a *ask, x *exchange) (chat.Answer, error) {
	resp, err := p.api.CreateChatCompletion(ctx, c.chatRequest(a))
	if err != nil {
		return chat.Answer{}, err
	}
	x.first(c.opt.Now())
	d := draft{most: c.opt.TextMax, model: resp.Model, request: resp.ID, tokens: tokensOf(&resp.Usage)}
	if len(resp.Choices) == 0 {
		return chat.Answer{}, errEmpty
	}
	m := &resp.Choices[0].Message
	d.finish, d.refused = resp.Choices[0].FinishReason, m.Refusal != ""
	if err := d.write(m.Content); err != nil {
		return chat.Answer{}, err
	}
	for i := range m.ToolCalls {
		// Whatever the ids and indexes say, each is a call of its own.
		g, err := d.calls.begin(i, m.ToolCalls[i].ID, m.ToolCalls[i].Function.Name)
		if err != nil {
			return chat.Answer{}, err
		}
		g.write(m.ToolCalls[i].Function.Arguments)
	}
	if err := d.legacy(m.FunctionCall); err != nil {
		return chat.Answer{}, err
	}
	return d.answer(a, &c.validator)
}

// first notes when the first piece of an answer came.
func (x *exchange) first(now time.Time) {
	if x.firstAt.IsZero() {
		x.firstAt = now
	}
}
