package openai

import (
	"context"
	"errors"
	"time"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// Complete asks the models of the prompt, in order, until one answers. The error is
// always a *chat.ModelError: that of the first model whose failure may pass, else of
// the first.
func (c *Client) Complete(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
	refs := p.Models
	if len(refs) == 0 {
		refs = []chat.ModelRef{{Model: c.opt.Model}}
	}
	limit, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	r := round{client: c, ctx: ctx, prompt: &p}
	for i, ref := range refs {
		if ref.Provider == "" && ref.Model == "" {
			ref.Model = c.opt.Model
		}
		a, failure := r.try(limit, ref, len(refs)-i)
		if failure == nil {
			a.Provider, a.PromptHash, a.Simulated = ref.Provider, p.Hash(), c.opt.Simulated
			return a, nil
		}
		r.fail(failure)
		if !elsewhere[failure.Reason] || limit.Err() != nil {
			break
		}
		if i+1 < len(refs) {
			c.opt.Metrics.Failovers.WithLabelValues(failure.Reason).Inc()
		}
	}
	return chat.Answer{}, r.failure
}

// round is one Complete.
type round struct {
	client *Client
	// ctx is the caller's: its end is told apart from our own time-out.
	ctx    context.Context
	prompt *chat.Prompt
	// asked are the providers that got a request.
	asked   []*provider
	failure *chat.ModelError
}

// fail keeps the failure that the caller can do most with: the first that may pass.
// The caller is told to come back as soon as any of the models may work.
func (r *round) fail(f *chat.ModelError) {
	switch {
	case r.failure == nil, r.failure.Permanent && !f.Permanent:
		kept := *f
		r.failure = &kept
	case !f.Permanent:
		r.failure.RetryAfter = min(r.failure.RetryAfter, f.RetryAfter)
	}
}

// try asks one model. left counts the models of the list from this one on: one that
// has others after it gets half of the time that is left.
func (r *round) try(ctx context.Context, ref chat.ModelRef, left int) (chat.Answer, *chat.ModelError) {
	c := r.client
	p, failure := c.provider(r.prompt.Tenant, ref)
	if failure != nil {
		return chat.Answer{}, failure
	}
	again := false
	for _, other := range r.asked {
		again = again || other == p
	}
	if !p.budget.begin(again) {
		return chat.Answer{}, r.failure
	}
	defer p.budget.end(again)
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	var a chat.Answer
	began := c.opt.Now()
	asked, failure := c.guard(p, func() *chat.ModelError {
		x := &exchange{turn: r.prompt.Turn}
		var f *chat.ModelError
		a, f = r.exchange(ctx, p, ref.Model, x)
		if !x.firstAt.IsZero() {
			c.opt.Metrics.FirstChunk.Observe(x.firstAt.Sub(began).Seconds())
		}
		return f
	})
	if asked {
		r.asked = append(r.asked, p)
	}
	c.observe(operationChat, began, asked, failure, a.Tokens)
	return a, failure
}

// guard makes a call if the provider is well, and learns from it how it is. asked is
// false when it was not made.
func (c *Client) guard(p *provider, call func() *chat.ModelError) (asked bool, failure *chat.ModelError) {
	if wait := p.throttled(c.opt.Now()); wait > 0 {
		return false, &chat.ModelError{Reason: reasonThrottled, RetryAfter: wait}
	}
	if !p.breaker.TryAcquirePermit() {
		return false, &chat.ModelError{Reason: reasonBreakerOpen, RetryAfter: max(p.breaker.RemainingDelay(), time.Second)}
	}
	probe := p.breaker.IsHalfOpen()
	failure = call()
	p.record(failure, probe, c.opt.Now())
	return true, failure
}

// exchange asks for a structured answer in the strictest form that the server takes.
func (r *round) exchange(ctx context.Context, p *provider, model string, x *exchange) (chat.Answer, *chat.ModelError) {
	c := r.client
	a := &ask{model: model, prompt: r.prompt, form: formText, out: max(c.opt.OutputTokenMax, 0)}
	if r.prompt.OutTokens > 0 {
		a.out = int(r.prompt.OutTokens)
	}
	if r.prompt.Structured {
		a.form = p.form(model, c.opt.Now())
	}
	first := a.form
	for {
		answer, err := c.once(ctx, p, a, x)
		failure := classify(r.ctx, err, x)
		switch {
		case failure == nil && a.form != first:
			p.learn(model, a.form, c.opt.Now())
			return answer, nil
		case failure != nil && failure.Reason == reasonBadRequest && a.form < formText && formRefused(err):
			a.form++
		default:
			return answer, failure
		}
	}
}

// formRefused reports whether a refusal may be about the form: those that name another
// parameter are not.
func formRefused(err error) bool {
	var api *goopenai.APIError
	if !errors.As(err, &api) || api.Param == nil || *api.Param == "" {
		return true
	}
	switch *api.Param {
	case "messages", "model", "tools", "input", "max_completion_tokens", "max_output_tokens":
		return false
	}
	return true
}

// once makes one request. A machine without a descriptor to spare makes the call wait
// for one instead of failing it.
func (c *Client) once(ctx context.Context, p *provider, a *ask, x *exchange) (chat.Answer, error) {
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	for pause := roomPause; ; pause = min(2*pause, roomPauseMax) {
		answer, err := c.send(ctx, p, a, x)
		if err == nil || !noRoom(err) || !wait(ctx, pause) {
			return answer, err
		}
	}
}

const (
	roomPause    = 10 * time.Millisecond
	roomPauseMax = time.Second
)

// wait reports whether the time has passed before the end of ctx.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) send(ctx context.Context, p *provider, a *ask, x *exchange) (chat.Answer, error) {
	x.responses = p.place.api == APIResponses
	if x.responses {
		return c.responses(ctx, p, a, x)
	}
	var answer chat.Answer
	var err error
	if p.whole {
		answer, err = c.whole(ctx, p, a, x)
	} else {
		answer, err = c.stream(ctx, p, a, x)
	}
	if errors.Is(err, goopenai.ErrReasoningToolsRequireResponses) && p.place.api == APIChat {
		// Nothing was sent: this model takes tools by the other API only.
		x.responses = true
		return c.responses(ctx, p, a, x)
	}
	return answer, err
}
