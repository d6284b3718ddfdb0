package chat

import (
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// limits are those of a turn that runs on the settings. Time is unbounded where no
// assistant bounds it: the customer's deadline ends every turn.
func (s *Settings) limits() (l TurnLimits) {
	if s.Profile != nil {
		l = s.Profile.Limits
	}
	if l.Steps <= 0 {
		l.Steps = DefaultTurnSteps
	}
	if l.Tools <= 0 {
		l.Tools = DefaultTurnTools
	}
	return l
}

// tickTurn starts, resumes or gives up the turn.
func (p *step) tickTurn() {
	t := p.c.Turn
	switch {
	case p.c.Holder != HolderAssistant:
	case failpoint.Planted(failpoint.BugAnswerTwice) && t.Phase == TurnNone && t.Begun != 0 && t.Epoch != p.in.Epoch:
		p.startCall()
	case t.Phase == TurnWaiting && !t.At.After(p.now):
		p.startCall()
	case t.Phase == TurnRunning && t.Epoch != p.in.Epoch:
		p.startCall()
	case t.Phase == TurnRunning && !t.At.After(p.now):
		p.effect(CancelTurn{Turn: p.c.TurnID()})
		p.callFailed(ModelFailed{Turn: p.c.TurnID(), Call: t.Call, Reason: "timeout"})
	case t.Phase == TurnWorking:
		p.tickTools()
	}
}

// startCall begins a model call: of a new turn, of one being retried, of one whose
// tools have answered, or of one whose call died with the process that made it.
// Nothing of that was recorded, so it is made again.
func (p *step) startCall() {
	if !p.c.Window().Open(p.now) {
		p.giveUp("window_closed")
		return
	}
	t := p.c.Turn
	r := TurnRecord{ID: p.c.TurnID(), Call: t.Call + 1, Epoch: p.in.Epoch, From: p.c.WaitingFrom, UpTo: p.c.LastIn}
	if w := p.c.Work; w != nil && t.Call > 0 {
		r.Version = w.Version
	} else if p.set.Profile != nil {
		r.Version = p.set.Profile.Ref()
	}
	if t.Phase == TurnRunning {
		r.From, r.UpTo = t.From, t.UpTo
	}
	if t.Phase == TurnWorking {
		r.From = t.From
	}
	if r.From == 0 {
		r.From = t.UpTo + 1
	}
	if t.Call == 0 {
		r.ID = TurnIDAt(p.c.ID, p.next())
	}
	r.Reserved = p.set.CallCost.Prompt + p.set.CallCost.Output
	daily := Reservation{Counter: "turns/" + p.now.Format(time.DateOnly), Amount: 1, Limit: p.set.TurnsPerDayMax}
	money := Reservation{Counter: BudgetCounter(p.now), Amount: int64(r.Reserved), Limit: int64(p.set.Budget)}
	counts, costs := t.Call == 0 && daily.Limit > 0, r.Reserved > 0
	// What is counted is counted once, so nothing may be before all is known to be had.
	switch reason := p.limit(); {
	case t.Call > 0 && reason != "":
		p.giveUp(reason)
		return
	case counts && p.exhausted(daily):
		p.giveUp("turn_limit")
		return
	case costs && p.exhausted(money):
		p.giveUp("budget")
		return
	}
	if counts {
		p.d.Reserve = append(p.d.Reserve, daily)
	}
	if t.Phase == TurnRunning && !failpoint.Planted(failpoint.BugBudgetLeak) {
		r.Cost = p.settle(p.estimate())
	}
	if costs {
		p.d.Reserve = append(p.d.Reserve, money)
	}
	p.emit(Event{Kind: TurnStarted, At: p.now.Add(p.set.TurnTimeout + CallGrace), Turn: &r})
	p.effect(StartTurn{Turn: r.ID, Call: r.Call, From: r.From, UpTo: r.UpTo, Version: p.c.Version(), Timeout: p.set.TurnTimeout})
}

// exhausted reports whether a reservation is known not to be had.
func (p *step) exhausted(r Reservation) bool { return slices.Contains(p.in.Known.Exhausted, r.Counter) }

// limit tells which limit forbids another call of the turn; empty for none.
func (p *step) limit() string {
	w, l := p.c.Work, p.set.limits()
	switch {
	case w == nil:
	case w.Steps >= l.Steps:
		return "step_limit"
	case l.Time > 0 && !w.Since.IsZero() && p.now.Sub(w.Since) >= l.Time:
		return "time_limit"
	case l.Cost > 0 && w.Spent+p.set.CallCost.Prompt+p.set.CallCost.Output > l.Cost:
		return "cost_limit"
	}
	return ""
}

// estimate is what a call is taken to have cost that was made and whose answer is
// lost, or not wanted: all of the prompt and nothing of the answer.
func (p *step) estimate() Money {
	if w := p.c.Work; w != nil {
		return min(w.Reserved, p.set.CallCost.Prompt)
	}
	return 0
}

// settle replaces what is reserved for the call under way by what it cost.
func (p *step) settle(cost Money) Money {
	held, at := Money(0), p.now
	if w := p.c.Work; w != nil {
		held = w.Reserved
		if !w.Called.IsZero() {
			at = w.Called
		}
	}
	if cost != held {
		p.d.Reserve = append(p.d.Reserve, Reservation{Counter: BudgetCounter(at), Amount: int64(cost - held)})
	}
	return cost
}

// restartTurn replaces a running turn after a newer message, while it may.
func (p *step) restartTurn() {
	if p.c.Turn.busy() && p.mayRestart() {
		p.supersede("newer_message")
	}
}

// mayRestart reports whether the running turn may still be replaced.
func (p *step) mayRestart() bool {
	return !(p.c.Work != nil && p.c.Work.Acted) && int(p.c.Turn.Restarts) < min(p.set.RestartMax, RestartsMax) &&
		p.now.Before(p.c.WaitingSince.Add(p.set.RestartWindow))
}

// supersede makes the running turn start again after the quiet period.
func (p *step) supersede(reason string) {
	t := p.c.Turn
	p.dropCalls()
	p.emit(Event{Kind: TurnSuperseded, At: p.quietEnd(), Turn: &TurnRecord{
		ID: p.c.TurnID(), Call: t.Call, From: t.From, UpTo: t.UpTo, Reason: reason, Cost: p.settle(p.estimate())}})
	p.effect(CancelTurn{Turn: p.c.TurnID()})
}

// abandonTurn ends whatever turn there is without an answer.
func (p *step) abandonTurn(reason string) {
	t := p.c.Turn
	if t.Phase == TurnNone {
		return
	}
	id := p.c.TurnID()
	r := TurnRecord{ID: id, Call: t.Call, From: t.From, UpTo: t.UpTo, Reason: reason}
	if t.Phase == TurnRunning {
		r.Cost = p.settle(p.estimate())
	}
	p.dropCalls()
	p.emit(Event{Kind: TurnAbandoned, Turn: &r})
	if t.busy() {
		p.effect(CancelTurn{Turn: id})
	}
}

// current reports whether a model result belongs to the call under way.
func (p *step) current(id TurnID, call int) bool {
	t := p.c.Turn
	return t.Phase == TurnRunning && p.c.TurnID() == id && t.Call == call
}

// modelAnswered records the answer and queues it, or begins what it asks for, in one
// commit: an answer that is recorded is used, and never asked for again.
func (p *step) modelAnswered(f ModelAnswered) {
	switch {
	case !p.current(f.Turn, f.Call):
		p.duplicate()
	case len(f.Answer.Calls) > 0:
		p.toolsCalled(f)
	default:
		p.answered(f)
	}
}

// record is what the journal keeps of an answer.
func (p *step) record(a *Answer) *TurnRecord {
	t := p.c.Turn
	return &TurnRecord{
		ID: p.c.TurnID(), Call: t.Call, Epoch: t.Epoch, From: t.From, UpTo: t.UpTo, Answer: a.Text, Model: a.Model,
		PromptHash: a.PromptHash, PromptTokens: a.PromptTokens, OutTokens: a.OutTokens, Simulated: a.Simulated,
		Tokens: a.Tokens, Provider: a.Provider, Request: a.Request, Cost: p.settle(a.Cost), Calls: a.Calls,
		Saw: a.Saw, Facts: a.Facts, Horizon: a.Horizon, Made: a.Made,
	}
}

// answered ends the turn with what the model says.
func (p *step) answered(f ModelAnswered) {
	response, bad := ReadResponse(f.Answer.Text)
	if bad == "" {
		bad = f.Blocked
	}
	if bad != "" {
		p.repair(f.Answer, bad)
		return
	}
	var parts []string
	for _, text := range response.Messages {
		parts = append(parts, SplitText(p.c.Kind, text)...)
	}
	if len(parts) == 0 && response.Handoff == "" {
		p.callFailed(ModelFailed{Turn: f.Turn, Call: f.Call, Reason: "empty_answer", Cost: f.Answer.Cost})
		return
	}
	t, id := p.c.Turn, p.c.TurnID()
	r := p.record(&f.Answer)
	if f.Answer.Structured() {
		response.Sources = append([]string{}, f.Answer.Sources...)
		r.Response = &response
	}
	e := Event{Kind: TurnAnswered, Turn: r}
	if p.c.LastIn > t.UpTo && response.Handoff == "" {
		e.At = p.now.Add(p.set.QuietPeriod)
	}
	p.emit(e)
	if p.c.Owing()+len(parts) > OutboxMax {
		p.giveUp("outbox_full")
		return
	}
	for i, text := range parts {
		if i == 0 {
			p.disclose(id)
		}
		p.queue(Message{Author: AuthorAssistant, Text: text, Turn: id, Simulated: f.Answer.Simulated})
	}
	if response.Handoff != "" {
		p.passOn(response.Note, len(parts) == 0)
	}
}

// repair shows the model once what is wrong with its answer, and then asks people.
func (p *step) repair(a Answer, bad string) {
	t := p.c.Turn
	r := p.record(&a)
	r.Reason, r.Calls = bad, nil
	again := p.c.Work == nil || !p.c.Work.Repaired
	p.emit(Event{Kind: TurnFailed, At: p.now, Turn: r})
	if again && t.Call-p.c.Work.Steps < p.set.ModelTryMax {
		p.startCall()
		return
	}
	p.giveUp("model_failed")
}

// passOn gives the conversation to people because the assistant asks for it. mute
// says that it told the customer nothing.
func (p *step) passOn(note string, mute bool) {
	if mute && p.c.Window().Open(p.now) && p.c.Owing() < OutboxMax {
		p.queue(Message{Author: AuthorEngine, Text: p.set.Handover})
	}
	p.abandonTurn("requested")
	if p.c.Holder == HolderAssistant {
		p.emit(Event{Kind: HandoffRequested, Handoff: &Handoff{Reason: "requested", Note: note}})
	}
}

// disclose tells a person once that an assistant answers.
func (p *step) disclose(turn TurnID) {
	if p.set.Profile == nil || strings.TrimSpace(p.set.Profile.Disclosure) == "" || p.c.Disclosed {
		return
	}
	p.queue(Message{Author: AuthorEngine, Text: p.set.Profile.Disclosure, Turn: turn})
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
	t, steps := p.c.Turn, 0
	if p.c.Work != nil {
		steps = p.c.Work.Steps
	}
	cost := f.Cost
	if f.Reason == "timeout" || f.Reason == "cut" {
		cost = max(cost, p.estimate())
	}
	try := f.Call - steps
	p.emit(Event{Kind: TurnFailed, At: p.now.Add(backoff(try, f.RetryAfter)), Turn: &TurnRecord{
		ID: p.c.TurnID(), Call: t.Call, Epoch: t.Epoch, From: t.From, UpTo: t.UpTo, Reason: f.Reason, Cost: p.settle(cost)}})
	if f.Permanent || try >= p.set.ModelTryMax {
		p.giveUp("model_failed")
	}
}

// summarized keeps a summary.
func (p *step) summarized(f Summarized) {
	s := f.Summary
	if p.in.Known.Seen {
		p.duplicate()
		return
	}
	if s.UpTo == 0 || s.UpTo > p.c.Seq || strings.TrimSpace(s.Text) == "" {
		p.refuse("no_summary")
		return
	}
	p.pay(s.Cost)
	p.emit(Event{Kind: SummaryMade, Summary: &s})
}

// transcribed keeps what is heard in a voice note.
func (p *step) transcribed(f Transcribed) {
	if p.in.Known.Seen {
		p.duplicate()
		return
	}
	p.pay(f.Used.Cost)
	p.emit(Event{Kind: MediaTranscribed, Media: &MediaRecord{Message: f.Message, Index: f.Index, Transcript: f.Text, Used: &f.Used}})
}

// pay counts what was not reserved.
func (p *step) pay(cost Money) {
	if cost > 0 {
		p.d.Reserve = append(p.d.Reserve, Reservation{Counter: BudgetCounter(p.now), Amount: int64(cost)})
	}
}
