package chat

import (
	"strings"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// tickTurn starts, resumes or gives up the turn.
func (p *step) tickTurn() {
	t := p.c.Turn
	switch {
	case p.c.Holder != HolderAssistant:
	case failpoint.Planted(failpoint.BugAnswerTwice) && t.Phase == TurnNone && t.ID != "" && t.Epoch != p.in.Epoch:
		p.startCall()
	case t.Phase == TurnWaiting && !t.At.After(p.now):
		p.startCall()
	case t.Phase == TurnRunning && t.Epoch != p.in.Epoch:
		p.startCall()
	case t.Phase == TurnRunning && !t.At.After(p.now):
		p.effect(CancelTurn{Turn: t.ID})
		p.callFailed(ModelFailed{Turn: t.ID, Call: t.Call, Reason: "timeout"})
	}
}

// startCall begins a model call: of a new turn, of one being retried, or of one
// whose call died with the process that made it. Nothing of it was recorded, so
// it is made again.
func (p *step) startCall() {
	if !p.c.Window().Open(p.now) {
		p.giveUp("window_closed")
		return
	}
	t := p.c.Turn
	r := TurnRecord{ID: t.ID, Call: t.Call + 1, Epoch: p.in.Epoch, From: p.c.WaitingFrom, UpTo: p.c.LastIn}
	if t.Phase == TurnRunning {
		r.From, r.UpTo = t.From, t.UpTo
	}
	if r.From == 0 {
		r.From = t.UpTo + 1
	}
	if t.Call == 0 {
		r.ID = TurnIDAt(p.c.ID, p.next())
		if max := p.set.TurnsPerDayMax; max > 0 {
			p.d.Reserve = append(p.d.Reserve, Reservation{
				Counter: "turns/" + p.now.Format("2006-01-02"), Amount: 1, Limit: max})
		}
	}
	p.emit(Event{Kind: TurnStarted, At: p.now.Add(p.set.TurnTimeout + CallGrace), Turn: &r})
	p.effect(StartTurn{Turn: r.ID, Call: r.Call, From: r.From, UpTo: r.UpTo, Timeout: p.set.TurnTimeout})
}

// restartTurn replaces a running turn after a newer message, while it may.
func (p *step) restartTurn() {
	if p.c.Turn.Phase == TurnRunning && p.mayRestart() {
		p.supersede("newer_message")
	}
}

// mayRestart reports whether the running turn may still be replaced.
func (p *step) mayRestart() bool {
	return int(p.c.Turn.Restarts) < min(p.set.RestartMax, RestartsMax) &&
		p.now.Before(p.c.WaitingSince.Add(p.set.RestartWindow))
}

// supersede makes the running turn start again after the quiet period.
func (p *step) supersede(reason string) {
	t := p.c.Turn
	p.emit(Event{Kind: TurnSuperseded, At: p.quietEnd(), Turn: &TurnRecord{
		ID: t.ID, Call: t.Call, From: t.From, UpTo: t.UpTo, Reason: reason}})
	p.effect(CancelTurn{Turn: t.ID})
}

// abandonTurn ends whatever turn there is without an answer.
func (p *step) abandonTurn(reason string) {
	t := p.c.Turn
	if t.Phase == TurnNone {
		return
	}
	p.emit(Event{Kind: TurnAbandoned, Turn: &TurnRecord{
		ID: t.ID, Call: t.Call, From: t.From, UpTo: t.UpTo, Reason: reason}})
	if t.Phase == TurnRunning {
		p.effect(CancelTurn{Turn: t.ID})
	}
}

// current reports whether a model result belongs to the call under way.
func (p *step) current(id TurnID, call int) bool {
	t := p.c.Turn
	return t.Phase == TurnRunning && t.ID == id && t.Call == call
}

// modelAnswered records the answer and queues it, in one commit: an answer that
// is recorded is used, and never asked for again.
func (p *step) modelAnswered(f ModelAnswered) {
	if !p.current(f.Turn, f.Call) {
		p.duplicate()
		return
	}
	parts := SplitText(p.c.Kind, strings.TrimSpace(f.Answer.Text))
	if len(parts) == 0 {
		p.callFailed(ModelFailed{Turn: f.Turn, Call: f.Call, Reason: "empty_answer"})
		return
	}
	t := p.c.Turn
	e := Event{Kind: TurnAnswered, Turn: &TurnRecord{
		ID: t.ID, Call: t.Call, Epoch: t.Epoch, From: t.From, UpTo: t.UpTo,
		Answer: f.Answer.Text, Model: f.Answer.Model, PromptHash: f.Answer.PromptHash,
		PromptTokens: f.Answer.PromptTokens, OutTokens: f.Answer.OutTokens, Simulated: f.Answer.Simulated,
	}}
	if p.c.LastIn > t.UpTo {
		e.At = p.now.Add(p.set.QuietPeriod)
	}
	p.emit(e)
	if p.c.Owing()+len(parts) > OutboxMax {
		p.giveUp("outbox_full")
		return
	}
	for _, text := range parts {
		p.queue(Message{Author: AuthorAssistant, Text: text, Turn: t.ID, Simulated: f.Answer.Simulated})
	}
}

func (p *step) modelFailed(f ModelFailed) {
	if !p.current(f.Turn, f.Call) {
		p.duplicate()
		return
	}
	p.callFailed(f)
}

// callFailed retries the call, or gives the turn up to people.
func (p *step) callFailed(f ModelFailed) {
	t := p.c.Turn
	p.emit(Event{Kind: TurnFailed, At: p.now.Add(backoff(f.Call, f.RetryAfter)), Turn: &TurnRecord{
		ID: t.ID, Call: t.Call, Epoch: t.Epoch, From: t.From, UpTo: t.UpTo, Reason: f.Reason}})
	if f.Permanent || f.Call >= p.set.ModelTryMax {
		p.giveUp("model_failed")
	}
}
