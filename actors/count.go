package actors

import "github.com/chumiai/chumi/chat"

// count reports what a settled draft means.
func (c *core) count(d *draft) {
	inbound := c.met.Actors.Inbound
	for i := range d.verdicts {
		if inboundOf(d.facts[i].fact) == nil {
			continue
		}
		switch d.verdicts[i].Kind {
		case chat.VerdictDuplicate:
			inbound.WithLabelValues("duplicate").Inc()
		case chat.VerdictRefused:
			inbound.WithLabelValues("refused").Inc()
		default:
			inbound.WithLabelValues("applied").Inc()
		}
	}
	if d.poisoned > 0 {
		inbound.WithLabelValues("quarantined").Add(float64(d.poisoned))
	}
	for i := range d.commit.Events {
		c.countEvent(&d.commit.Events[i])
	}
}

func (c *core) countEvent(e *chat.Event) {
	turns := c.met.Turn.Turns
	switch e.Kind {
	case chat.MessageReceived:
		c.ear.note(e.Channel, e.Time)
	case chat.TurnAnswered:
		turns.WithLabelValues("answered").Inc()
		c.countTokens(e.Turn.PromptTokens, e.Turn.OutTokens)
	case chat.TurnCalled:
		c.countTokens(e.Turn.PromptTokens, e.Turn.OutTokens)
	case chat.SummaryMade:
		c.countTokens(e.Summary.Tokens.Prompt, e.Summary.Tokens.Output)
	case chat.BudgetReached:
		c.met.Turn.Budgets.WithLabelValues(string(e.Budget.Level)).Inc()
	case chat.TurnFailed:
		turns.WithLabelValues("failed").Inc()
		c.countTokens(e.Turn.PromptTokens, e.Turn.OutTokens)
	case chat.TurnSuperseded:
		turns.WithLabelValues("superseded").Inc()
	case chat.TurnAbandoned:
		turns.WithLabelValues("abandoned").Inc()
	case chat.HandoffRequested, chat.HandoffTaken, chat.HandoffReturned:
		c.met.Actors.Handoffs.WithLabelValues(e.Handoff.Reason).Inc()
	}
}

// replied measures what the customer waited when a draft, which is durable and not
// adopted yet, says that the answer was accepted: the assistant's, or what the engine
// says before it (that an assistant answers) or in its place (an apology).
func (a *activation) replied(d *draft) {
	if a.state.WaitingSince.IsZero() {
		return
	}
	for i := range d.commit.Events {
		e := &d.commit.Events[i]
		if e.Kind != chat.MessageAccepted {
			continue
		}
		entry := a.state.Entry(e.Attempt.Message)
		if entry != nil && entry.Author != chat.AuthorMember && entry.Covers >= a.state.WaitingFrom {
			a.core.met.Graph.Reply.Observe(e.Time.Sub(a.state.WaitingSince).Seconds())
			return
		}
	}
}

func (c *core) countTokens(prompt, output int64) {
	c.met.Turn.Tokens.WithLabelValues("prompt").Add(float64(prompt))
	c.met.Turn.Tokens.WithLabelValues("output").Add(float64(output))
}
