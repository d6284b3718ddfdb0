package openai

import (
	"context"
	"math"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// embedMax texts go into one request: servers take some hundreds to thousands.
const embedMax = 128

// Embed turns texts into vectors, one for each, all of one length. model names what
// made them: vectors of different models must not be compared. The error is always a
// *chat.ModelError.
func (c *Client) Embed(ctx context.Context, t chat.TenantID, texts []string) (vectors [][]float32, model string, err error) {
	ref := c.opt.Embedding
	p, failure := c.provider(t, ref)
	if failure != nil {
		return nil, "", failure
	}
	for begin := 0; begin < len(texts); begin += embedMax {
		part := texts[begin:min(begin+embedMax, len(texts))]
		got, name, failure := c.embed(ctx, p, t, ref, part)
		if failure != nil {
			return nil, "", failure
		}
		if model != "" && name != model || len(vectors) > 0 && len(got[0]) != len(vectors[0]) {
			return nil, "", &chat.ModelError{Reason: reasonMalformed}
		}
		vectors, model = append(vectors, got...), name
	}
	return vectors, model, nil
}

func (c *Client) embed(ctx context.Context, p *provider, t chat.TenantID, ref chat.ModelRef, texts []string) ([][]float32, string, *chat.ModelError) {
	var resp goopenai.EmbeddingResponse
	var vectors [][]float32
	var tokens chat.Tokens
	began := c.opt.Now()
	asked, failure := c.side(ctx, p, func(ctx context.Context, _ *exchange) error {
		var err error
		resp, err = p.api.CreateEmbeddings(ctx, goopenai.EmbeddingRequestStrings{Input: texts, Model: goopenai.EmbeddingModel(ref.Model)})
		if err != nil {
			return err
		}
		vectors, err = inOrder(resp.Data, len(texts))
		return err
	})
	if failure == nil {
		tokens = *tokensOf(&resp.Usage)
		if tokens.Prompt == 0 {
			tokens.Estimated = true
			for _, text := range texts {
				tokens.Prompt += textTokens(text)
			}
		}
		if c.opt.Spent != nil {
			c.opt.Spent(t, chat.Spend{Operation: chat.OperationEmbeddings, Provider: ref.Provider, Model: ref.Model, Tokens: tokens})
		}
	}
	c.observe(operationEmbeddings, began, asked, failure, tokens)
	model := string(resp.Model)
	if model == "" {
		model = ref.Model
	}
	return vectors, model, failure
}

// inOrder puts vectors where their texts are and refuses those that cannot be used.
func inOrder(data []goopenai.Embedding, n int) ([][]float32, error) {
	if len(data) != n {
		return nil, errMalformed
	}
	out := make([][]float32, n)
	for _, d := range data {
		if d.Index < 0 || d.Index >= n || out[d.Index] != nil || len(d.Embedding) == 0 || len(d.Embedding) != len(data[0].Embedding) {
			return nil, errMalformed
		}
		for _, f := range d.Embedding {
			if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
				return nil, errMalformed
			}
		}
		out[d.Index] = d.Embedding
	}
	return out, nil
}

// side makes a call besides Complete, guarded as those are.
func (c *Client) side(ctx context.Context, p *provider, call func(context.Context, *exchange) error) (asked bool, failure *chat.ModelError) {
	limit, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	return c.guard(p, func() *chat.ModelError {
		for pause := roomPause; ; pause = min(2*pause, roomPauseMax) {
			x := &exchange{}
			err := call(context.WithValue(limit, exchangeKey{}, x), x)
			if err == nil || !noRoom(err) || !wait(limit, pause) {
				return classify(ctx, err, x)
			}
		}
	})
}
