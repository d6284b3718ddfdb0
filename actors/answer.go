package actors

import (
	"context"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// promptAhead is how many events after the last message to be answered a prompt
	// may still see: replies that were queued meanwhile, and what the turn has done.
	promptAhead = 128
	// passagesMax bounds what of the knowledge a prompt is given unasked, questionMax the
	// bytes of the question for it.
	passagesMax = 5
	questionMax = 2000
	// knowledgeWait is how long a prompt waits for the knowledge.
	knowledgeWait = 3 * time.Second
)

// modelCall is one call of a model in the making.
type modelCall struct {
	turns *turns
	call  *call
	// began is when the model was asked.
	began time.Time
	talk  chat.Talk
	// addresses are the customer's.
	addresses []chat.Address
	answer    chat.Answer
}

// complete assembles the prompt and asks the model, for at most the timeout.
func (a *modelCall) complete() error {
	c, sys := a.call, a.turns.sys
	if sys.opt.Model == nil {
		return &chat.ModelError{Reason: "no_model", Permanent: true}
	}
	if err := a.gather(); err != nil {
		return err
	}
	defer a.turns.typing(c, a.talk.Events)()
	stop := sys.opt.Clock.AfterFunc(c.effect.Timeout, func() { c.cancel(errTimeout) })
	defer stop()
	a.hear()
	a.look()
	a.search()
	prompt := a.talk.Prompt()
	a.began = sys.opt.Clock.Now()
	answer, err := sys.opt.Model.Complete(c.ctx, prompt)
	if err != nil {
		return err
	}
	a.answer = answer
	a.answer.Saw, a.answer.Facts, a.answer.Horizon = a.talk.Saw, a.talk.Facts, a.talk.Horizon()
	a.answer.PromptHash, a.answer.Made = prompt.Hash(), a.talk.Made(&prompt)
	a.answer.Sources = a.talk.Named(answer.Text)
	a.answer.Cost = sys.costOf(&a.answer, prompt.Models)
	return nil
}

// gather reads what the prompt is made of.
func (a *modelCall) gather() error {
	c, sys := a.call, a.turns.sys
	events, err := a.events()
	if err != nil {
		return &chat.ModelError{Reason: "no_history", RetryAfter: time.Second}
	}
	settings, err := sys.core.profiles.settings(c.ctx, c.tenant, sys.opt.Leadership.Epoch(c.group), c.channel, c.effect.Version)
	if err != nil {
		return &chat.ModelError{Reason: "no_assistant", RetryAfter: time.Second}
	}
	a.talk = chat.Talk{Tenant: c.tenant, Conversation: c.conversation, Settings: settings, Events: events,
		Turn: c.effect.Turn, Call: c.effect.Call, From: c.effect.From, UpTo: c.effect.UpTo}
	if settings.Profile == nil {
		return nil
	}
	contact, err := sys.opt.Contacts.Contact(c.tenant, c.contact)
	if err != nil {
		return &chat.ModelError{Reason: "no_contact", RetryAfter: time.Second}
	}
	a.addresses = contact.Addresses
	zone := settings.Zone
	if zone == nil {
		zone = time.UTC
	}
	a.talk.Facts = chat.FactsOf(&contact, c.kind, a.started(), zone)
	return nil
}

// events are the latest of the conversation that a prompt looks at.
func (a *modelCall) events() ([]chat.Event, error) {
	c, after := a.call, chat.Seq(0)
	if back := chat.Seq(chat.PromptEventMax - promptAhead); c.effect.UpTo > back {
		after = c.effect.UpTo - back
	}
	return a.turns.sys.opt.Histories.History(c.tenant, c.conversation, after, c.effect.From, chat.PromptEventMax)
}

// started is when the call was decided: the time that its prompt speaks of.
func (a *modelCall) started() time.Time {
	for i := len(a.talk.Events) - 1; i >= 0; i-- {
		e := &a.talk.Events[i]
		if e.Kind == chat.TurnStarted && e.Turn.ID == a.talk.Turn && e.Turn.Call == a.talk.Call {
			return e.Time
		}
	}
	return a.began
}

// search finds what the business has written about the question. Without it the
// model answers from what it has.
func (a *modelCall) search() {
	sys := a.turns.sys
	query := a.talk.Unanswered()
	if sys.opt.Knowledge == nil || a.talk.Settings.Profile == nil || strings.TrimSpace(query) == "" {
		return
	}
	ctx, cancel := context.WithCancel(a.call.ctx)
	defer cancel()
	defer sys.opt.Clock.AfterFunc(knowledgeWait, cancel)()
	saw, err := sys.opt.Knowledge.Search(ctx, a.call.tenant, shortened(query, questionMax), passagesMax)
	if err != nil {
		sys.opt.Logger.Warn("a turn goes without the knowledge", "tenant", a.call.tenant, "error", err)
		return
	}
	a.talk.Saw = saw
}

// shortened is at most n bytes of text, whole characters.
func shortened(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}

// guard says why the answer may not go out; empty when it may. Only an assistant of
// the tenant's own is held to the tenant's texts: without one there are none.
func (a *modelCall) guard(err error) string {
	if err != nil || a.talk.Settings.Profile == nil {
		return ""
	}
	response, bad := chat.ReadResponse(a.answer.Text)
	if bad != "" {
		return ""
	}
	blocked := chat.GuardResponse(response.Messages, a.talk.Sayable(a.addresses))
	if blocked != "" {
		a.turns.sys.met.Turn.Blocked.WithLabelValues(blocked).Inc()
	}
	return blocked
}

// sumUp makes a summary of a long talk once the answer is on its way. It is not owed:
// the next turn makes one that was lost.
func (a *modelCall) sumUp() {
	prompt, upTo, ok := a.talk.SumUp()
	if !ok || a.call.ctx.Err() != nil {
		return
	}
	sys := a.turns.sys
	answer, err := sys.opt.Model.Complete(a.call.ctx, prompt)
	if err != nil || strings.TrimSpace(answer.Text) == "" {
		return
	}
	sys.insist(a.call.tenant, a.call.group, a.call.conversation, chat.Summarized{Summary: chat.Summary{
		PromptHash: prompt.Hash(), Version: a.call.effect.Version, First: a.answer.Made.First, Horizon: a.answer.Horizon, UpTo: upTo, Text: strings.TrimSpace(answer.Text), Model: answer.Model, Tokens: answer.Tokens,
		Cost: sys.costOf(&answer, prompt.Models), Simulated: answer.Simulated}})
}

// costOf is what an answer cost by the price list; zero for a model that is not on
// it.
func (s *System) costOf(a *chat.Answer, asked []chat.ModelRef) chat.Money {
	tokens := a.Tokens
	if tokens == (chat.Tokens{}) {
		tokens = chat.Tokens{Prompt: a.PromptTokens, Output: a.OutTokens}
	}
	p := s.price(chat.ModelRef{Provider: a.Provider, Model: a.Model}, asked...)
	return p.Of(tokens)
}

// price is the first that the list has: of the model that answered, or of those that
// were asked; nothing when it has none. Providers name the served model with its date:
// the list may have it without.
func (s *System) price(served chat.ModelRef, asked ...chat.ModelRef) (p chat.Price) {
	if s.opt.Prices == nil {
		return p
	}
	refs := append([]chat.ModelRef{served, {Provider: served.Provider, Model: undated(served.Model)}}, asked...)
	for _, ref := range refs {
		if p, found := s.opt.Prices.Price(ref); found {
			return p
		}
	}
	return p
}

// undated is the name of a model without the date behind it: -2026-01-31.
func undated(model string) string {
	const date = "-2006-01-02"
	if n := len(model) - len(date); n > 0 {
		if _, err := time.Parse(date, model[n:]); err == nil {
			return model[:n]
		}
	}
	return model
}
