package openai

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// responses asks by the Responses API.
func (c *Client) responses(ctx context.Context, p *provider, a *ask, x *exchange) (chat.Answer, error) {
	r := c.responsesRequest(a)
	d := draft{most: c.opt.TextMax}
	if p.whole {
		resp, err := p.api.CreateResponse(ctx, r)
		if err != nil {
			return chat.Answer{}, err
		}
		x.first(c.opt.Now())
		if err := d.response(&resp, false); err != nil {
			return chat.Answer{}, err
		}
		return d.answer(a, &c.validator)
	}
	s, err := p.api.CreateResponseStream(ctx, r)
	if err != nil {
		return chat.Answer{}, err
	}
	defer s.Close()
	read := false
	for d.finish == "" {
		e, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return chat.Answer{}, err
		}
		x.first(c.opt.Now())
		switch e.Type {
		case goopenai.ResponseStreamEventOutputTextDelta:
			err = d.room(len(e.Delta))
		case goopenai.ResponseStreamEventOutputItemDone:
			if e.Item != nil {
				read = true
				err = d.item(e.Item)
			}
		case goopenai.ResponseStreamEventCompleted, goopenai.ResponseStreamEventIncomplete, goopenai.ResponseStreamEventFailed:
			if e.Response != nil {
				err = d.response(e.Response, read)
			}
		case goopenai.ResponseStreamEventError:
			code := e.Code
			if e.Error != nil {
				code = e.Error.Code
			}
			err = &goopenai.APIError{Code: code}
		default:
		}
		if err != nil {
			return chat.Answer{}, err
		}
	}
	x.whole = true
	return d.answer(a, &c.validator)
}

// room refuses text that is too long before it is complete.
func (d *draft) room(more int) error {
	if d.coming += more; d.coming > d.most {
		return errTooLong
	}
	return nil
}

func (d *draft) item(i *goopenai.ResponseOutputItem) error {
	switch i.Type {
	case "message":
		for _, part := range i.Content {
			d.refused = d.refused || part.Type == "refusal"
			if part.Type != "output_text" {
				continue
			}
			if err := d.write(part.Text); err != nil {
				return err
			}
		}
	case "function_call":
		g, err := d.calls.begin(len(d.calls.calls), i.CallID, i.Name)
		if err != nil {
			return err
		}
		g.write(i.Arguments)
	}
	return nil
}

// response takes the end of an answer, with its items unless they were read before.
func (d *draft) response(r *goopenai.CreateResponseResponse, read bool) error {
	d.model, d.request, d.tokens = r.Model, r.ID, tokensOfResponse(r.Usage)
	for _, raw := range r.Output {
		if read {
			break
		}
		var i goopenai.ResponseOutputItem
		data, err := json.Marshal(raw)
		if err == nil {
			err = json.Unmarshal(data, &i)
		}
		if err == nil {
			err = d.item(&i)
		}
		if err != nil {
			return err
		}
	}
	switch r.Status {
	case goopenai.ResponseStatusIncomplete:
		d.finish = goopenai.FinishReasonLength
		if r.IncompleteDetails != nil && r.IncompleteDetails.Reason == "content_filter" {
			d.finish = goopenai.FinishReasonContentFilter
		}
	case goopenai.ResponseStatusFailed, goopenai.ResponseStatusCancelled:
		code := ""
		if r.Error != nil {
			code = r.Error.Code
		}
		return &goopenai.APIError{Code: code}
	default:
		d.finish = goopenai.FinishReasonStop
	}
	return nil
}
