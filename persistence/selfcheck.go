package persistence

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

const (
	// selfCheckRows is how many rows a second a running node holds against its promises:
	// a small share of a core, most of it for opening what is sealed.
	selfCheckRows = 1000
	// selfCheckPage is how many rows are read at once: no iterator, which keeps
	// memtables and tables from being dropped, lives longer than that takes.
	selfCheckPage = 64
	// selfCheckRest is between two passes.
	selfCheckRest = time.Minute
	// selfCheckGrace is how late what is due may be done before a promise is broken:
	// a failover, or a tick that panicked and is tried again later.
	selfCheckGrace = 2 * time.Minute
	// selfCheckLogged bounds the violations of a tenant that are logged.
	selfCheckLogged = 10
)

// promiseOf is the promise, a word of metrics.Promises, that an invariant stands for.
func promiseOf(i Invariant) string {
	switch i {
	case InvariantOwes, InvariantAgenda, InvariantSeq, InvariantReplay, InvariantFeed, InvariantRemote:
		return "accept_outcome"
	case InvariantEnd, InvariantSends:
		return "intent_end"
	case InvariantTurn, InvariantTool, InvariantBudget, InvariantCounter:
		return "turn_bill"
	case InvariantSilence:
		return "silence"
	}
	return "stored"
}

// SelfCheck holds what the groups that this node leads have stored against the promises
// of the engine, tenant by tenant and slowly, until ctx ends. It reads only, and holds
// nothing that a writer waits for. What it finds are metrics and lines in the log.
//
// A tenant is walked as of one moment, with the checks of Check. What those read of the
// present, the keys of contacts, may be newer than that: a violation counts when a second
// walk finds it too. held tells whether a tenant must not act for now: then nothing of
// it is late.
func (s *Store) SelfCheck(ctx context.Context, held func(chat.TenantID) bool) {
	for ctx.Err() == nil {
		s.selfCheckPass(ctx, newPace(selfCheckRows), held)
		pauseFor(ctx, selfCheckRest)
	}
}

// selfChecked is what a pass has come to.
type selfChecked struct {
	broken map[string]int
	owed   map[string]int
}

func newSelfChecked() selfChecked {
	return selfChecked{broken: map[string]int{}, owed: map[string]int{}}
}

// selfCheckPass looks at every tenant of the groups that this node leads once.
func (s *Store) selfCheckPass(ctx context.Context, p *pace, held func(chat.TenantID) bool) {
	began := time.Now()
	sum, m := newSelfChecked(), &s.opts.Metrics.SelfCheck
	whole := true
	for _, g := range s.groups {
		for at := appendSection(nil, g.id, sectionTenant); ctx.Err() == nil && g.epoch.Load() != 0; {
			r, err := s.realmAfter(at, g.id)
			if err != nil {
				s.opts.Logger.Error("the self-check cannot read the store", "err", err)
				whole = false
			}
			if r == nil {
				break
			}
			if err := s.selfCheckTenant(ctx, r, &sum, p, held(r.tenant())); err != nil {
				whole = false
				if ctx.Err() == nil {
					s.opts.Logger.Warn("the self-check could not look at a tenant; the next pass tries again", "tenant", r.tenant(), "err", err)
				}
			}
			for _, promise := range metrics.Promises {
				// What was found is shown at once, that it is gone after the pass.
				if n := sum.broken[promise]; n > 0 {
					m.Violations.WithLabelValues(promise).Set(float64(n))
				}
			}
			at = prefixEnd(r)
		}
	}
	if ctx.Err() != nil || !whole {
		return
	}
	for _, promise := range metrics.Promises {
		m.Violations.WithLabelValues(promise).Set(float64(sum.broken[promise]))
	}
	for _, kind := range metrics.Debts {
		m.Owed.WithLabelValues(kind).Set(float64(sum.owed[kind]))
	}
	m.Passed.Set(float64(s.opts.Clock().Unix()))
	m.Pass.Set(time.Since(began).Seconds())
}

// realmAfter is the first tenant's range of a group at or after a key; nil for none.
func (s *Store) realmAfter(at []byte, g chat.Group) (realm, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: at, UpperBound: prefixEnd(appendSection(nil, g, sectionTenant))})
	if err != nil {
		return nil, err
	}
	var r realm
	if it.First() {
		if found, _, _, ok := splitRealm(it.Key()); ok {
			r = slices.Clone(found)
		}
	}
	return r, it.Close()
}

// selfCheckTenant walks one tenant, and again when something is broken.
func (s *Store) selfCheckTenant(ctx context.Context, r realm, sum *selfChecked, p *pace, held bool) error {
	first, err := s.walkTenant(ctx, r, p, held)
	if err != nil {
		return err
	}
	for kind, n := range first.live.owed {
		sum.owed[kind] += n
	}
	if len(first.report.Violations) == 0 {
		return nil
	}
	again, err := s.walkTenant(ctx, r, p, held)
	if err != nil {
		return err
	}
	seen := map[Violation]bool{}
	for _, v := range first.report.Violations {
		seen[Violation{Invariant: v.Invariant, Key: v.Key}] = true
	}
	logged := 0
	for _, v := range again.report.Violations {
		if !seen[Violation{Invariant: v.Invariant, Key: v.Key}] {
			continue
		}
		sum.broken[promiseOf(v.Invariant)]++
		if logged++; logged <= selfCheckLogged {
			s.opts.Logger.Error("the self-check found a broken promise", "promise", promiseOf(v.Invariant),
				"tenant", r.tenant(), "invariant", string(v.Invariant), "row", v.Key, "why", v.Detail)
		}
	}
	return nil
}

// walkTenant holds all rows of a tenant against the invariants, as of now.
func (s *Store) walkTenant(ctx context.Context, r realm, p *pace, held bool) (*checker, error) {
	due := appendDuePrefix(nil, r.group())
	dated := appendExpiryPrefix(nil, r.group())
	at := s.db.NewEventuallyFileOnlySnapshot([]pebble.KeyRange{
		{Start: due, End: prefixEnd(due)}, {Start: dated, End: prefixEnd(dated)}, {Start: r, End: prefixEnd(r)}})
	defer func() { _ = at.Close() }()
	k := &checker{store: s, at: at, live: &liveCheck{owed: map[string]int{}}}
	if !held {
		k.live.late = s.opts.Clock().Add(-selfCheckGrace)
	}
	for from := slices.Clone([]byte(r)); ; {
		rows, next, err := k.page(ctx, from, prefixEnd(r))
		s.opts.Metrics.SelfCheck.Rows.Add(float64(rows))
		if err != nil {
			return nil, err
		}
		if next == nil {
			return k, k.endTenant()
		}
		from = next
		if err := p.wait(ctx, rows); err != nil {
			return nil, err
		}
	}
}

// page checks up to selfCheckPage rows; next is nil when they were the last.
func (k *checker) page(ctx context.Context, from, end []byte) (rows int, next []byte, err error) {
	it, err := k.at.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return 0, nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if rows == selfCheckPage {
			next = slices.Clone(it.Key())
			break
		}
		rows++
		if err = k.row(it.Key(), it.Value()); err != nil {
			break
		}
	}
	return rows, next, errors.Join(err, it.Close())
}

// liveCheck is what a check of a running node looks at besides: time, and what is owed.
type liveCheck struct {
	// late is when what is due then should long have been done; zero when nothing is to
	// be done for now.
	late time.Time
	owed map[string]int
}

// conversation holds the state of a conversation against the time.
func (l *liveCheck) conversation(k *checker, c *chat.Conversation, key []byte) {
	if c.Turn.Phase != chat.TurnNone {
		l.owed["turn"]++
	}
	l.owed["file"] += len(c.Fetches())
	over := func(t time.Time) bool { return !t.IsZero() && t.Before(l.late) }
	for i := range c.Outbox {
		switch e := &c.Outbox[i]; e.State {
		case chat.SendQueued:
			l.owed["send"]++ // it may wait for a window, a token or its pace
		case chat.SendAttempting, chat.SendUnknown:
			l.owed[map[chat.SendState]string{chat.SendAttempting: "send", chat.SendUnknown: "unknown_send"}[e.State]]++
			if over(e.At) {
				k.broken(InvariantEnd, key, "a send that is "+e.State.String()+" should have ended at "+e.At.Format(time.RFC3339))
			}
		case chat.SendLeft:
			l.owed["unknown_send"]++
		}
	}
	if c.Turn.Phase == chat.TurnRunning && over(c.Turn.At) {
		k.broken(InvariantEnd, key, "a call of a model should have ended at "+c.Turn.At.Format(time.RFC3339))
	}
	if c.Holder == chat.HolderAssistant && over(c.Deadline) {
		k.broken(InvariantSilence, key, "the customer should have had an answer at "+c.Deadline.Format(time.RFC3339))
	}
}
