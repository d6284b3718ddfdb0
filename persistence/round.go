package persistence

import (
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Proposer makes prepared commits durable in an order that every replica of a
// group agrees on. Package replica implements it. Safe for concurrent use.
type Proposer interface {
	// Propose queues c for group g and waits for its answer; when ctx ends first
	// the answer is Unknown. An error means that c was not queued: KindBusy when
	// too many wait, KindUnavailable when nothing more is taken. c must not be
	// changed until it is answered, and never after Unknown: it may still be used.
	Propose(ctx context.Context, g chat.Group, c *recordpb.Commit) (Outcome, error)
	// CutLog returns when this node's log of g begins behind all that was applied when
	// it was called. KindUnavailable when ctx ends before: another node needs the log.
	CutLog(ctx context.Context, g chat.Group) error
	// Close takes no more commits, answers those that wait and returns when no
	// round is under way.
	Close() error
}

// Outcome is what stage says about a commit.
type Outcome struct {
	// Answer is 0 while nothing was said.
	Answer chat.CommitAnswer
	// pos is of the last event, or of the commit when it has none.
	pos chat.Pos
	// counter names the reservation, when LimitReached.
	counter string
	// original is a copy of the row that made it a Duplicate, as stored: of kind
	// kindAddress, kindRow, kindClaim, or 0 for a plain row.
	original     []byte
	originalKind byte
	originalHash id16
}

// Round is one batch of state in the making: commits of any groups, staged in
// the order they were agreed on. One round is staged at a time, by one
// goroutine; a staged one may be on its way to the disk while the next is
// staged.
//
// The order of calls is Stage any number of times, Write, then Applied once the
// batch was given to Pebble, then Landed once what it says may be told.
type Round struct {
	store *Store
	// open lists the groups with writes that Write has not collected yet.
	open  []*group
	parts []part
	// format is the newest of what was staged, where the store's row is below it.
	format FormatVersion
}

// part is one group's share of a round.
type part struct {
	group   *group
	tenants []landed
	erased  []realmKey
	due     int64
	dated   bool
}

// landed is a tenant's position once a round may be told.
type landed struct {
	tenant chat.TenantID
	last   chat.Pos
}

// NewRound begins a round. The one before must be Applied.
func (s *Store) NewRound() *Round {
	s.recent.mu.RLock()
	return &Round{store: s}
}

// Stage evaluates a commit's conditions under the epoch of the entry that
// carries it, and collects its writes when they hold. An error means that the
// store is unreadable, or the commit of a format that this build does not know, and
// the process must end.
//
// The conditions of plain rows mean the same in every format: an entry that would have
// finalized, and was refused because a node joined before it, ends nobody.
func (r *Round) Stage(g chat.Group, epoch chat.Epoch, c *recordpb.Commit) (Outcome, error) {
	v := FormatOf(c)
	unknown := r.store.Understands(v)
	if unknown != nil && !unfenced(c) {
		return Outcome{}, unknown
	}
	grp := r.store.groupAt(g)
	if !grp.staging {
		grp.staging = true
		grp.stager.begin()
		r.open = append(r.open, grp)
	}
	grp.stager.epoch = epoch
	out, err := grp.stager.stage(c)
	if err != nil || out.Answer != chat.Applied {
		return out, err
	}
	if unknown == nil && v > r.store.Format() {
		r.format = v
		r.store.raised(v)
	}
	return out, unknown
}

// Write puts what was staged into b.
func (r *Round) Write(b *pebble.Batch) error {
	slices.SortFunc(r.open, func(a, b *group) int { return int(a.id) - int(b.id) })
	for _, g := range r.open {
		g.staging = false
		st := g.stager
		if err := st.finish(b); err != nil {
			return err
		}
		p := part{group: g, erased: slices.Clone(st.erased)}
		for _, t := range st.touched {
			p.tenants = append(p.tenants, landed{t.id, t.last})
		}
		if p.due, p.dated = st.earliestDue(); p.dated {
			g.agenda.lower(p.due)
		}
		g.begun.Add(1)
		r.parts = append(r.parts, p)
	}
	r.open = nil
	if r.format != 0 {
		return b.Set(keyFormat(), r.format.record(), nil)
	}
	return nil
}

// Applied follows the hand-over of a batch of size bytes to Pebble, which shows
// it to readers at once.
func (r *Round) Applied(size int) {
	s := r.store
	s.recent.mu.RUnlock()
	s.recent.wrote(size)
	for i := range r.parts {
		if p := &r.parts[i]; p.dated {
			p.group.agenda.landed()
		}
	}
}

// Landed tells readers and waiters of the round: what it wrote will not be
// undone.
func (r *Round) Landed() {
	for i := range r.parts {
		r.parts[i].group.publish(&r.parts[i])
	}
}
