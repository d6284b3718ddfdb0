package actors

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// turnJob is a model call to be made, or a tool call.
type turnJob struct {
	tenant       chat.TenantID
	group        chat.Group
	conversation chat.ConversationID
	channel      chat.ChannelID
	kind         chat.ChannelKind
	contact      chat.ContactID
	effect       chat.StartTurn
	// tool is set of a tool call; effect is then empty.
	tool chat.StartTool
	// epoch is of the activation that wants it.
	epoch chat.Epoch
	// due is when the call should have begun, zero when it began with no tick;
	// released is when its turn_started was durable.
	due, released time.Time
}

// turn names the turn of the job, and place the one call of it that may be under way
// at a time: empty for the model, the id of a tool call.
func (j *turnJob) turn() chat.TurnID {
	if j.tool.Call != "" {
		return j.tool.Turn
	}
	return j.effect.Turn
}

// n counts the calls of one place.
func (j *turnJob) n() int {
	if j.tool.Call != "" {
		return j.tool.N
	}
	return j.effect.Call
}

// late is the engine's own time between due and now.
func (j *turnJob) late(now time.Time) time.Duration {
	if j.due.IsZero() || j.due.After(now) {
		return now.Sub(j.released)
	}
	return now.Sub(j.due)
}

// turns makes the calls to models and tools off the mailboxes, a bounded number at
// once. Above the bound jobs wait, and tenants take turns.
type turns struct {
	sys *System

	mu sync.Mutex // guards the fields below
	// calls holds what is waiting or under way, by turn: the latest begun, and by next
	// those before it.
	calls  map[chat.TurnID]*call
	places places
	parked bool
}

// call is a job with the means to end it.
type call struct {
	turnJob
	ctx    context.Context
	cancel context.CancelCauseFunc
	// begun is true of a call of a tool that is being carried out.
	begun bool
	// next is another call of the same turn; nil for most.
	next *call
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
// later call of the model, or of the same tool call, replaces an earlier one.
func (t *turns) start(job turnJob) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.parked || t.sys.held(job.tenant) {
		return
	}
	turn := job.turn()
	for c := t.calls[turn]; c != nil; c = c.next {
		if c.tool.Call != job.tool.Call {
			continue
		}
		if c.n() >= job.n() {
			return
		}
		c.cancel(errCancelled)
		t.remove(c)
		break
	}
	c := &call{turnJob: job, next: t.calls[turn]}
	c.ctx, c.cancel = context.WithCancelCause(t.sys.life)
	t.calls[turn] = c
	if t.places.take(c) {
		t.run(c)
	}
}

// remove takes a call out of those of its turn. Called with mu held.
func (t *turns) remove(c *call) {
	turn := c.turn()
	at := t.calls[turn]
	if at == c {
		if c.next == nil {
			delete(t.calls, turn)
		} else {
			t.calls[turn] = c.next
		}
		return
	}
	for ; at != nil; at = at.next {
		if at.next == c {
			at.next = c.next
			return
		}
	}
}

// cancel ends the calls of a turn; their results are dropped. A tool that changes
// something goes on once it has begun: what became of it must be known.
func (t *turns) cancel(id chat.TurnID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := t.calls[id]; c != nil; c = c.next {
		if !c.tool.Acts || !c.begun {
			c.cancel(errCancelled)
			t.remove(c)
		}
	}
}

// forsake cancels the calls of a group that this node leads no more: whoever
// leads it makes them again.
func (t *turns) forsake(g chat.Group) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, c := range t.calls {
		if c.group != g {
			continue
		}
		for ; c != nil; c = c.next {
			c.cancel(errCancelled)
		}
		delete(t.calls, id)
	}
}

// park cancels every call and takes no more: the next start of the process
// makes them again.
func (t *turns) park() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parked = true
	for _, c := range t.calls {
		for ; c != nil; c = c.next {
			c.cancel(errCancelled)
		}
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
	t.remove(c)
	return t.places.pass(c)
}

// begin notes that a call of a tool is about to be carried out; false when it is not
// wanted any more.
func (t *turns) begin(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.begun = c.ctx.Err() == nil
	return c.begun
}

// stale reports whether another epoch rules than the one under which the call was
// decided, or the call is not wanted any more. Whoever leads makes it again, and may
// have done so: a goroutine that was not scheduled between two elections would
// otherwise ask for what is recorded.
func (t *turns) stale(c *call) bool {
	return c.ctx.Err() != nil || t.sys.opt.Leadership.Epoch(c.group) != c.epoch
}

// work makes the call and brings the result to the conversation.
func (t *turns) work(c *call) {
	if c.tool.Call != "" {
		t.useTool(c)
		return
	}
	failpoint.Hit(failpoint.TurnRequested)
	if !t.sys.throttle.pass(c.ctx, c.tenant, workCall) || t.stale(c) {
		return
	}
	met := &t.sys.met.Turn
	met.InFlight.Inc()
	defer met.InFlight.Dec()
	a := modelCall{turns: t, call: c, began: t.sys.opt.Clock.Now()}
	err := a.complete()
	ended := t.sys.opt.Clock.Now()
	met.Call.Observe(ended.Sub(a.began).Seconds())
	if t.sys.opt.Tracer != nil {
		s := Span{Conversation: c.conversation, Name: SpanModel, Of: string(c.effect.Turn) + "/" + strconv.Itoa(c.effect.Call),
			Began: a.began, Outcome: "answered"}
		if err != nil {
			s.Outcome, s.Failed = failedCall(c, err).Reason, true
		}
		t.sys.below(c.effect.Turn, c.effect.From, s)
	}
	t.sys.laps.answered(c.conversation, c.late(a.began), ended)
	if cause := context.Cause(c.ctx); cause != nil && !errors.Is(cause, errTimeout) {
		return
	}
	failpoint.Hit(failpoint.ModelAnswering)
	var fact chat.Fact = chat.ModelAnswered{Turn: c.effect.Turn, Call: c.effect.Call, Answer: a.answer, Blocked: a.guard(err)}
	if err != nil {
		failed := failedCall(c, err)
		met.Errors.WithLabelValues(failed.Reason).Inc()
		fact = failed
	}
	t.sys.insist(c.tenant, c.group, c.conversation, fact)
	if err == nil {
		a.sumUp()
	}
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
