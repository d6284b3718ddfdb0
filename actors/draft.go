package actors

import (
	"errors"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// draft is one commit in the making: the decisions about several facts, each
// made on what the ones before it left behind.
type draft struct {
	a        *activation
	settings *chat.Settings
	now      time.Time

	// next is the state after the decisions; due moved when its Armed did. trial
	// is the copy that Step is given.
	next    chat.Conversation
	trial   chat.Conversation
	moved   bool
	commit  chat.Commit
	effects []chat.Effect
	// verdicts are one per fact.
	verdicts []chat.Verdict
	// duplicate is true when a fact was found to be known already.
	duplicate bool
	// poisoned counts updates that are recorded instead of processed; kinds of
	// the facts are kept for counting and failpoints.
	poisoned int
	facts    []item
	// fewRows is room for the row of a draft that has a single one.
	fewRows [1]chat.RemoteRow
}

var drafts = sync.Pool{New: func() any { return new(draft) }}

// release lets the next draft have the memory. The verdicts live on.
func (d *draft) release() {
	*d = draft{}
	drafts.Put(d)
}

// draft decides about items without storing anything. The caller releases it.
func (a *activation) draft(items []item) (*draft, error) {
	d := drafts.Get().(*draft)
	d.a, d.now = a, a.core.now(a.group)
	d.next, d.verdicts, d.facts = a.state.Clone(), make([]chat.Verdict, 0, len(items)), items
	d.commit = chat.Commit{Tenant: a.state.Tenant, Channel: a.state.Channel, Conversation: a.state.ID,
		Epoch: a.epoch, Expected: a.state.Seq, Now: d.now, Rows: d.fewRows[:0]}
	for i := range items {
		if err := d.add(&items[i]); err != nil {
			return nil, err
		}
	}
	if a.state.ID != "" {
		d.commit.State = &d.next
	}
	return d, nil
}

// dirty reports whether there is anything to store.
func (d *draft) dirty() bool {
	c := &d.commit
	return d.moved || len(c.Events) > 0 || len(c.Rows) > 0 || len(c.Claims) > 0 ||
		len(c.Reserve) > 0 || len(c.Docs) > 0 || c.Contact != nil
}

// add decides about one fact.
func (d *draft) add(it *item) error {
	fact := it.fact
	var err error
	if d.settings, err = d.a.settings(d.next.Version()); err != nil {
		return err
	}
	known, err := d.known(it)
	known.Exhausted = it.exhausted
	if err != nil {
		return err
	}
	in, _ := fact.(*chat.Inbound)
	slot := -1
	if in != nil && d.a.core.opt.Strikes != nil {
		var strikes int
		if slot, strikes = d.a.core.opt.Strikes.Enter(fingerprint(in)); strikes >= strikesMax {
			fact = chat.Poison{Inbound: in, Reason: "process_killed"}
		}
	}
	err = d.decide(fact, known)
	if slot >= 0 {
		d.a.core.opt.Strikes.Leave(slot)
	}
	if err != nil && in != nil {
		err = d.decide(chat.Poison{Inbound: in, Reason: "panic"}, known)
		if err != nil {
			return d.keepAside(in)
		}
	}
	return err
}

// strikesMax is how often an update may be found in Step after an unclean exit
// before it is recorded unprocessed.
const strikesMax = 3

// keepAside is the last resort for an update that cannot even be recorded in
// its conversation.
func (d *draft) keepAside(in *chat.Inbound) error {
	d.poisoned++
	d.verdicts = append(d.verdicts, chat.Verdict{})
	return d.a.core.opt.Quarantine.Keep(d.a.core.life, in.App, "panic", in, d.now)
}

// decide runs Step on a copy of the state and adds what it decided; a panic
// leaves the draft as it was and is returned as an error.
func (d *draft) decide(fact chat.Fact, known chat.Known) (err error) {
	defer func() {
		if r := recover(); r != nil {
			d.a.core.met.Actors.Panics.Inc()
			d.a.core.opt.Logger.Error("step panicked", "panic", panicWord(r))
			err = errPanicked
		}
	}()
	d.trial = d.next.Clone()
	trial := &d.trial
	decision := d.a.core.step(trial, chat.Input{
		Now: d.now, Epoch: d.a.epoch, Settings: d.settings, Known: known, Fact: fact})
	for _, e := range decision.Events {
		if d.a.state.ID != "" {
			trial.Apply(e)
		}
	}
	if !decision.Due.Equal(trial.Armed) {
		trial.Armed = decision.Due
		d.moved = d.a.state.ID != ""
	}
	d.take(fact, decision)
	return nil
}

func (d *draft) take(fact chat.Fact, decision chat.Decision) {
	d.next = d.trial
	c := &d.commit
	c.Events = adopt(c.Events, decision.Events)
	for _, row := range decision.Rows {
		d.setRow(row)
	}
	d.redact(decision.Redact)
	c.Claims = adopt(c.Claims, decision.Claims)
	c.Releases = adopt(c.Releases, decision.Releases)
	c.Reserve = adopt(c.Reserve, decision.Reserve)
	for _, doc := range decision.Docs {
		c.Docs = setDoc(c.Docs, doc)
	}
	if decision.Contact != nil {
		c.Contact = decision.Contact
	}
	d.effects = withdrawn(adopt(d.effects, decision.Effects))
	d.verdicts = append(d.verdicts, decision.Verdict)
	d.duplicate = d.duplicate || decision.Verdict.Kind == chat.VerdictDuplicate
	switch f := fact.(type) {
	case chat.Poison:
		d.poisoned++
	case *chat.Inbound:
		if f.Kind == chat.InboundStatus && len(decision.Events) > 0 {
			failpoint.Hit(failpoint.StatusDecided)
		}
	}
}

// adopt appends more, which nobody else uses, to list.
func adopt[T any](list, more []T) []T {
	if list == nil {
		return more
	}
	return append(list, more...)
}

// setDoc adds a document; a later one of the same id replaces the earlier.
func setDoc(docs []chat.Doc, doc chat.Doc) []chat.Doc {
	for i := range docs {
		if docs[i].Noun == doc.Noun && docs[i].ID == doc.ID {
			docs[i] = doc
			return docs
		}
	}
	return append(docs, doc)
}

// setRow adds a row; a later one of the same key replaces the earlier, which
// must still not exist in the store if it had to be fresh.
func (d *draft) setRow(row chat.RemoteRow) {
	if failpoint.Planted(failpoint.BugSkipDedupe) {
		row.Fresh = false
	}
	for i := range d.commit.Rows {
		if r := &d.commit.Rows[i]; r.Remote == row.Remote && r.Revision == row.Revision {
			row.Fresh = r.Fresh
			*r = row
			return
		}
	}
	d.commit.Rows = append(d.commit.Rows, row)
}

// withdrawn leaves out the calls of a turn that an effect behind them ends: nothing of
// them has begun, and their end is part of the commit that says that they began.
func withdrawn(effects []chat.Effect) []chat.Effect {
	for i := 1; i < len(effects); i++ {
		end, ok := effects[i].(chat.CancelTurn)
		if !ok {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(effects[:i]), func(e chat.Effect) bool {
			turn, isTurn := e.(chat.StartTurn)
			tool, isTool := e.(chat.StartTool)
			return isTurn && turn.Turn == end.Turn || isTool && tool.Turn == end.Turn
		})
		if len(kept) < i {
			effects = append(kept, effects[i:]...)
			i = len(kept)
		}
	}
	return effects
}

// recorded names the steps of a message's life that this commit completed.
func (d *draft) recorded() {
	if !failpoint.Armed {
		return
	}
	for i := range d.facts {
		switch d.facts[i].fact.(type) {
		case chat.ModelAnswered:
			failpoint.Hit(failpoint.TurnRecorded)
		case chat.ToolFinished:
			failpoint.Hit(failpoint.ToolRecorded)
		case chat.AttemptFinished:
			failpoint.Hit(failpoint.SendRecorded)
		}
	}
}

// fingerprint identifies an update across restarts of the process.
func fingerprint(in *chat.Inbound) uint64 {
	h := fnv.New64a()
	for _, s := range [...]string{string(in.Remote), in.Revision, in.Type, in.Digest, in.Text} {
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte{0, byte(in.Kind)})
	}
	_, _ = h.Write(in.Raw)
	return h.Sum64()
}

// moved reports whether err means that a fact belongs somewhere else.
func elsewhere(err error) bool { return errors.Is(err, errMoved) || errors.Is(err, errAbsent) }
