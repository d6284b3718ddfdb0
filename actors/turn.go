package actors

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// promptAhead is how many events after the last message to be answered a
// prompt may still see: replies that were queued meanwhile.
const promptAhead = 64

// turnJob is a model call to be made.
type turnJob struct {
	tenant       chat.TenantID
	group        chat.Group
	conversation chat.ConversationID
	channel      chat.ChannelID
	contact      chat.ContactID
	effect       chat.StartTurn
	// due is when the call should have begun, zero when it began with no tick;
	// released is when its turn_started was durable.
	due, released time.Time
}

// late is the engine's own time between due and now.
func (j *turnJob) late(now time.Time) time.Duration {
	if j.due.IsZero() || j.due.After(now) {
		return now.Sub(j.released)
	}
	return now.Sub(j.due)
}

// turns makes model calls off the mailboxes, a bounded number at once. Above
// the bound jobs wait, and tenants take turns.
type turns struct {
	sys *System

	mu sync.Mutex // guards the fields below
	// calls holds what is waiting or under way, by turn.
	calls  map[chat.TurnID]*call
	places places
	parked bool
}

// call is a job with the means to end it.
type call struct {
	turnJob
	ctx    context.Context
	cancel context.CancelCauseFunc
}

var (
	errCancelled = errors.New("the turn is not wanted any more")
	errTimeout   = errors.New("the call took too long")
)

func newTurns(s *System) *turns {
	return &turns{sys: s, calls: make(map[chat.TurnID]*call),
		places: newPlaces(s.opt.TurnsInFlightMax, s.opt.TenantTurnsMax)}
}

// start makes the call soon. The same call asked for twice is made once; a
// later call of a turn replaces an earlier one.
func (t *turns) start(job turnJob) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.parked {
		return
	}
	if c, ok := t.calls[job.effect.Turn]; ok {
		if c.effect.Call >= job.effect.Call {
			return
		}
		c.cancel(errCancelled)
	}
	c := &call{turnJob: job}
	c.ctx, c.cancel = context.WithCancelCause(t.sys.life)
	t.calls[job.effect.Turn] = c
	if t.places.take(c) {
		t.run(c)
	}
}

// cancel ends a call; its result is dropped.
func (t *turns) cancel(id chat.TurnID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.calls[id]; ok {
		c.cancel(errCancelled)
		delete(t.calls, id)
	}
}

// forsake cancels the calls of a group that this node leads no more: whoever
// leads it makes them again.
func (t *turns) forsake(g chat.Group) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, c := range t.calls {
		if c.group == g {
			c.cancel(errCancelled)
			delete(t.calls, id)
		}
	}
}

// park cancels every call and takes no more: the next start of the process
// makes them again.
func (t *turns) park() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parked = true
	for _, c := range t.calls {
		c.cancel(errCancelled)
	}
	clear(t.calls)
	t.places.empty()
}

// run works on c in its own goroutine and then on whoever waits. Called with
// mu held.
func (t *turns) run(c *call) {
	t.sys.workers.run(func() {
		for c != nil {
			t.work(c)
			c = t.next(c)
		}
	})
}

// next ends c and returns the call to go on with, nil for none.
func (t *turns) next(c *call) *call {
	c.cancel(nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[c.effect.Turn] == c {
		delete(t.calls, c.effect.Turn)
	}
	return t.places.pass(c)
}

// work makes the call and brings the result to the conversation.
func (t *turns) work(c *call) {
	failpoint.Hit(failpoint.TurnRequested)
	met := &t.sys.met.Turn
	met.InFlight.Inc()
	defer met.InFlight.Dec()
	reply, began, err := t.complete(c)
	ended := t.sys.opt.Clock.Now()
	met.Call.Observe(ended.Sub(began).Seconds())
	t.sys.laps.answered(c.conversation, c.late(began), ended)
	if cause := context.Cause(c.ctx); cause != nil && !errors.Is(cause, errTimeout) {
		return
	}
	failpoint.Hit(failpoint.ModelAnswering)
	var fact chat.Fact = chat.ModelAnswered{Turn: c.effect.Turn, Call: c.effect.Call, Answer: reply}
	if err != nil {
		failed := failedCall(c, err)
		met.Errors.WithLabelValues(failed.Reason).Inc()
		fact = failed
	}
	t.sys.insist(c.tenant, c.group, c.conversation, fact)
}

// complete assembles the prompt and asks the model, for at most the timeout.
// began is when the model was asked.
func (t *turns) complete(c *call) (reply chat.Answer, began time.Time, err error) {
	began = t.sys.opt.Clock.Now()
	if t.sys.opt.Model == nil {
		return reply, began, &chat.ModelError{Reason: "no_model", Permanent: true}
	}
	after := chat.Seq(0)
	if back := chat.Seq(chat.PromptEventMax - promptAhead); c.effect.UpTo > back {
		after = c.effect.UpTo - back
	}
	events, err := t.sys.opt.Journal.Events(c.tenant, c.conversation, after, chat.PromptEventMax)
	if err != nil {
		return reply, began, &chat.ModelError{Reason: "no_history", RetryAfter: time.Second}
	}
	defer t.typing(c, events)()
	settings, err := t.sys.core.profiles.settings(c.ctx, c.tenant, t.sys.opt.Leadership.Epoch(c.group), c.channel, "")
	if err != nil {
		return reply, began, &chat.ModelError{Reason: "no_assistant", RetryAfter: time.Second}
	}
	prompt := chat.Prompt{Tenant: c.tenant, Conversation: c.conversation, Turn: c.effect.Turn, Call: c.effect.Call,
		Lines: chat.Assemble(settings, events, c.effect.From, c.effect.UpTo)}
	stop := t.sys.opt.Clock.AfterFunc(c.effect.Timeout, func() { c.cancel(errTimeout) })
	defer stop()
	began = t.sys.opt.Clock.Now()
	reply, err = t.sys.opt.Model.Complete(c.ctx, prompt)
	return reply, began, err
}

func failedCall(c *call, err error) chat.ModelFailed {
	failed := chat.ModelFailed{Turn: c.effect.Turn, Call: c.effect.Call, Reason: "failed"}
	var known *chat.ModelError
	switch {
	case errors.Is(context.Cause(c.ctx), errTimeout):
		failed.Reason = "timeout"
	case errors.As(err, &known):
		failed.Reason, failed.Permanent, failed.RetryAfter = known.Reason, known.Permanent, known.RetryAfter
	}
	return failed
}
