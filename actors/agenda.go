package actors

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// Pace of a walker.
const (
	// walkEvery is the shortest time between two looks at the agenda. Looks that
	// are slow are followed by a pause walkShare times as long, up to walkRest: a
	// walker takes a small share of a core whatever the store has to skip. Of the
	// last looksKept the quickest counts: one that waited for a processor took long
	// without taking anything from anybody.
	walkEvery = 2 * time.Millisecond
	walkShare = 16
	walkRest  = 50 * time.Millisecond
	looksKept = 4
	// walkAtLeast is the longest: a missed wake-up costs no more than this.
	walkAtLeast = time.Second
	// walkRetry is the pause before a row whose tick failed is fired again.
	walkRetry = 250 * time.Millisecond
	// walkRetryMax is the longest such pause before a row whose tick panicked: it
	// doubles each time, because the next try is likely to end as the last one did.
	walkRetryMax = 5 * time.Minute
	// tickLost is when a tick without an answer no longer counts as in flight.
	tickLost = time.Minute
)

// walker fires what is due in one group: each due row becomes a Tick for its
// conversation, which decides, acts and moves or removes the row. Whatever the
// process owed when it died is in the agenda too, so a walker is also the whole
// of recovery. All fields are owned by the goroutine of run.
type walker struct {
	sys   *System
	group chat.Group

	// flying holds rows that are fired and not to be fired again before the
	// given time.
	flying map[flight]time.Time
	// panics counts the panics in a row of the ticks of a conversation.
	panics map[flight]int
	// resumed are the tenants from archives that may act and whose live rows were fired.
	resumed map[chat.TenantID]bool
	// done brings the answers of ticks; its capacity bounds them.
	done inbox
	free int
	// looked are how long the latest looks at the agenda took, the latest first.
	looked [looksKept]time.Duration
}

// flight identifies a conversation in a group.
type flight struct {
	tenant       chat.TenantID
	conversation chat.ConversationID
}

func newWalker(s *System, g chat.Group) *walker {
	k := s.opt.TicksInFlightMax
	return &walker{sys: s, group: g, flying: make(map[flight]time.Time), panics: make(map[flight]int), resumed: make(map[chat.TenantID]bool), done: make(inbox, k), free: k}
}

// run walks the agenda under every epoch in which this node leads the group,
// until the walk ends.
func (w *walker) run() {
	ctx := w.sys.walk
	for epoch := w.sys.opt.Leadership.Epoch(w.group); ctx.Err() == nil; {
		if epoch == 0 {
			epoch = w.sys.opt.Elections.Changed(ctx, w.group, epoch)
			continue
		}
		reign, end := context.WithCancel(ctx)
		changed := make(chan chat.Epoch, 1)
		if !w.sys.workers.run(func() {
			changed <- w.sys.opt.Elections.Changed(reign, w.group, epoch)
			end()
		}) {
			end()
			return
		}
		w.reign(reign)
		end()
		if epoch = <-changed; ctx.Err() == nil {
			w.abdicate()
		}
	}
}

// reign first resumes what died with an earlier process or leader, then fires
// rows as they come due, until ctx ends.
func (w *walker) reign(ctx context.Context) {
	clear(w.resumed)
	w.released()
	if !failpoint.Planted(failpoint.BugForgetQueued) {
		w.resume(ctx, func(chat.TenantID) bool { return true })
	}
	for ctx.Err() == nil {
		if came := w.released(); len(came) > 0 {
			w.resume(ctx, func(t chat.TenantID) bool { return came[t] })
		}
		next := w.fireDue(ctx)
		w.wait(ctx, next)
	}
}

// abdicate lets go of what was begun under an epoch that ended: model calls that
// nobody may record, activations that may not append. The router sees the epoch
// with whatever mail comes next; the sweep is mail.
func (w *walker) abdicate() {
	clear(w.flying)
	clear(w.panics)
	w.sys.turns.forsake(w.group)
	if w.sys.files != nil {
		w.sys.files.forsake(w.group)
	}
	w.sys.root.Send(w.sys.routers[w.group], sweep{})
}

// released are the tenants that came from an archive and that were let act since this
// was asked last: what was under way where they come from is theirs to resume.
func (w *walker) released() map[chat.TenantID]bool {
	if w.sys.opt.Arrivals == nil {
		return nil
	}
	came := map[chat.TenantID]bool{}
	for t, held := range w.sys.opt.Arrivals() {
		if !held && !w.resumed[t] {
			came[t], w.resumed[t] = true, true
		}
	}
	return came
}

// resume fires rows whose obligation died with the process that armed it, of some
// tenants.
func (w *walker) resume(ctx context.Context, of func(chat.TenantID) bool) {
	var cursor []byte
	for ctx.Err() == nil {
		rows, next, err := w.sys.opt.Agenda.Live(w.group, cursor, w.sys.opt.TicksInFlightMax)
		if err != nil {
			w.failed(ctx, err)
			continue
		}
		done := len(rows) == 0 || len(next) == 0
		w.fire(ctx, slices.DeleteFunc(rows, func(o Owed) bool { return !of(o.Tenant) }))
		if done {
			return
		}
		cursor = next
	}
}

// fireDue fires every row that is due and returns when the next one will be.
func (w *walker) fireDue(ctx context.Context) (next time.Time) {
	now := w.sys.opt.Clock.Now()
	next = now.Add(walkAtLeast)
	var cursor []byte
	for ctx.Err() == nil {
		began := w.sys.opt.Clock.Now()
		rows, after, err := w.sys.opt.Agenda.Due(w.group, next, cursor, w.sys.opt.TicksInFlightMax)
		copy(w.looked[1:], w.looked[:])
		w.looked[0] = w.sys.opt.Clock.Now().Sub(began)
		if err != nil {
			w.failed(ctx, err)
			return now
		}
		due := 0
		for due < len(rows) && !rows[due].At.After(now) {
			due++
		}
		w.fire(ctx, rows[:due])
		if due < len(rows) {
			return rows[due].At
		}
		if len(rows) == 0 || len(after) == 0 {
			return next
		}
		cursor = after
	}
	return next
}

// fire posts a tick for each row that is not in flight, tenants in turns, and
// waits for room when there is none, and while deliveries need the processor.
func (w *walker) fire(ctx context.Context, rows []Owed) {
	for _, row := range inTurns(rows) {
		if w.sys.held(row.Tenant) {
			continue
		}
		w.collect()
		key := flight{row.Tenant, row.Conversation}
		now := w.sys.opt.Clock.Now()
		if until, ok := w.flying[key]; ok && now.Before(until) {
			continue
		}
		for w.free == 0 {
			select {
			case a := <-w.done:
				w.landed(a)
			case <-ctx.Done():
				return
			}
		}
		if !w.sys.throttle.pass(ctx, row.Tenant, workTick) {
			return
		}
		now = w.sys.opt.Clock.Now()
		w.free--
		w.flying[key] = now.Add(tickLost)
		w.sys.met.Actors.Ticks.Inc()
		if late := now.Sub(row.At); late >= 0 {
			w.sys.met.Actors.AgendaLag.Observe(late.Seconds())
		}
		failpoint.Hit(failpoint.AgendaFired)
		w.sys.post(&mail{tenant: row.Tenant, group: w.group, conversation: row.Conversation,
			exists: true, due: row.At, items: []item{{fact: chat.Tick{}}}, to: w.done})
	}
}

// collect takes the answers that are there, without waiting.
func (w *walker) collect() {
	for {
		select {
		case a := <-w.done:
			w.landed(a)
		default:
			return
		}
	}
}

// landed ends a flight. A row that stayed due is fired again after a pause.
func (w *walker) landed(a answer) {
	w.free++
	key := flight{a.mail.tenant, a.mail.conversation}
	now := w.sys.opt.Clock.Now()
	switch {
	case elsewhere(a.err):
		// The row is about a conversation without events; nothing can move it.
		w.flying[key] = now.Add(tickLost)
	case errors.Is(a.err, errPanicked), errors.Is(a.err, errCrashed):
		w.flying[key] = now.Add(w.panicPause(key))
		return
	case a.err != nil, !a.armed.IsZero() && !a.armed.After(now):
		w.flying[key] = now.Add(walkRetry)
	default:
		delete(w.flying, key)
	}
	delete(w.panics, key)
}

// panicPause is how long a conversation whose tick panicked is left alone: half of the
// pause, and a share of the rest that differs from one to the next.
func (w *walker) panicPause(key flight) time.Duration {
	pause := min(walkRetry<<min(w.panics[key], 20), walkRetryMax)
	w.panics[key]++
	return pause/2 + jittered(pause/2, w.sys.opt.Rand)
}

// wait returns when a row may be due: the next known one is, an earlier one was
// stored, or one to be repeated is.
func (w *walker) wait(ctx context.Context, next time.Time) {
	now := w.sys.opt.Clock.Now()
	for key, until := range w.flying {
		if !now.Before(until) {
			delete(w.flying, key)
		} else if until.Before(next) {
			next = until
		}
	}
	if !pause(ctx, w.sys.opt.Clock, min(max(walkEvery, walkShare*slices.Min(w.looked[:])), walkRest)) {
		return
	}
	rest := next.Sub(w.sys.opt.Clock.Now())
	if rest <= 0 {
		return
	}
	woken, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := w.sys.opt.Clock.AfterFunc(rest, cancel)
	defer stop()
	_ = w.sys.opt.Agenda.Earliest(woken, w.group, next)
}

// failed pauses after the agenda could not be read.
func (w *walker) failed(ctx context.Context, err error) {
	w.sys.opt.Logger.Error("agenda cannot be read", "err", err)
	pause(ctx, w.sys.opt.Clock, walkAtLeast)
}

// inTurns reorders a page so that tenants take turns and each tenant's rows
// keep their order.
func inTurns(rows []Owed) []Owed {
	if len(rows) < 3 {
		return rows
	}
	nth := make(map[chat.TenantID]int, 8)
	rounds := make([][]Owed, 0, 8)
	for _, row := range rows {
		n := nth[row.Tenant]
		nth[row.Tenant]++
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], row)
	}
	if len(nth) == 1 {
		return rows
	}
	out := make([]Owed, 0, len(rows))
	for _, round := range rounds {
		out = append(out, round...)
	}
	return out
}
