package persistence

import (
	"slices"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// checkedTurns follows the turns of one journal: the calls of tools that the latest
// answer of a model asked for, and the money that is held for the call under way.
type checkedTurns struct {
	// turn is the one whose calls these are; empty when it waits for none.
	turn  chat.TurnID
	calls map[string]*checkedCall
	// counter is what the call under way is counted against, reserved what is held.
	counter  string
	reserved chat.Money
	// plain is true of a call that says neither which assistant makes it nor what it may
	// cost: it may be of a version that knew neither.
	plain bool
}

// checkedCall is a call of a tool.
type checkedCall struct {
	n, ended         int
	acts, repeatable bool
}

// turn takes an event into the turns of a journal.
func (k *checker) turn(t *checkedTurns, e *chat.Event, key []byte) {
	switch {
	case e.Turn != nil:
		k.modelCall(t, e, key)
	case e.Kind == chat.SummaryMade && e.Summary != nil:
		k.tenant.counted[chat.BudgetCounter(e.Time)] += int64(e.Summary.Cost)
	case e.Aside() != nil:
		k.tenant.counted[chat.BudgetCounter(e.Time)] += int64(e.Aside().Cost)
	case e.Tool != nil && !e.Tool.Late && k.tenant.journal.erased == 0:
		k.toolCall(t, e, key)
	}
}

func (k *checker) modelCall(t *checkedTurns, e *chat.Event, key []byte) {
	counter := t.counter
	if counter == "" {
		counter = chat.BudgetCounter(e.Time)
	}
	k.tenant.counted[counter] += int64(e.Turn.Cost)
	if open := t.open(); len(open) > 0 {
		k.broken(InvariantTool, key, "the turn goes on while call "+open[0]+" has no result")
	}
	t.turn, t.counter, t.reserved, t.calls = "", "", 0, nil
	switch e.Kind {
	case chat.TurnStarted:
		t.counter, t.reserved = chat.BudgetCounter(e.Time), e.Turn.Reserved
		t.plain = e.Turn.Version == "" && e.Turn.Reserved == 0
	case chat.TurnCalled:
		t.turn, t.calls = e.Turn.ID, make(map[string]*checkedCall, len(e.Turn.Calls))
		for _, c := range e.Turn.Calls {
			t.calls[c.ID] = new(checkedCall)
		}
	}
}

func (k *checker) toolCall(t *checkedTurns, e *chat.Event, key []byte) {
	r := e.Tool
	c := t.calls[r.ID]
	switch {
	case c == nil || r.Turn != t.turn:
		k.broken(InvariantTool, key, "nobody asked for call "+r.ID)
		return
	case c.ended > 0:
		k.broken(InvariantTool, key, "call "+r.ID+" has a result already")
	}
	switch e.Kind {
	case chat.ToolEnded:
		c.ended++
	case chat.ToolStarted:
		if c.n > 0 && c.acts && !c.repeatable {
			k.broken(InvariantTool, key, "call "+r.ID+" changes something and is made again")
		}
		if c.n++; r.N != c.n {
			k.broken(InvariantTool, key, "call "+r.ID+" is made for the "+strconv.Itoa(c.n)+". time and says "+strconv.Itoa(r.N))
		}
		c.acts, c.repeatable = r.Acts, r.Repeatable
	}
}

// open lists the calls without a result, by id.
func (t *checkedTurns) open() (ids []string) {
	for id, c := range t.calls {
		if c.ended == 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// endTurns holds the turns of a journal that has ended against the stored state.
func (k *checker) endTurns(j *checkedJournal, stored *chat.Conversation) {
	t := &j.turns
	k.tenant.counted[t.counter] += int64(t.reserved)
	if j.erased > 0 || j.torn {
		return
	}
	var waits []string
	if stored.Work != nil {
		for i := range stored.Work.Calls {
			waits = append(waits, stored.Work.Calls[i].ID)
		}
	}
	slices.Sort(waits)
	if open := t.open(); !slices.Equal(open, waits) {
		k.broken(InvariantTool, j.key, "the calls ["+strings.Join(open, " ")+"] have no result, the turn waits for ["+strings.Join(waits, " ")+"]")
	}
	switch under := underWay(&j.replayed); {
	case !under && stored.Work != nil:
		k.broken(InvariantTurn, j.key, "has work and no turn")
	case under && stored.Work == nil && !t.plain:
		k.broken(InvariantTurn, j.key, "has a turn and no work")
	}
}

// underWay reports whether a turn has begun and not ended.
func underWay(c *chat.Conversation) bool {
	t := c.Turn
	return t.Phase == chat.TurnRunning || t.Phase == chat.TurnWorking || t.Phase == chat.TurnWaiting && t.Call > 0
}

// older leaves out of a replayed state what a turn of a version that kept no account
// of its work does not have: the work, or once it was resumed when it began.
func (t *checkedTurns) older(replayed, stored *chat.Conversation) {
	switch {
	case replayed.Work == nil:
	case stored.Work == nil && t.plain:
		replayed.Work = nil
	case stored.Work != nil && stored.Work.Since.IsZero():
		w := *replayed.Work
		w.Since, replayed.Work = stored.Work.Since, &w
	}
}
