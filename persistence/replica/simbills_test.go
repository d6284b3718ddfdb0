package replica

import (
	"fmt"

	"github.com/chumiai/chumi/chat"
)

// turnTally is what happened to turns that call tools.
type turnTally struct {
	turns, replies, withTools, steps, calls, results, unknown, approvals int
	// asked counts what models were asked, recorded what of that was; the rest is wasted.
	asked, recorded, bills int
	// used counts what tools were called, again what of that for a call that had been
	// made, of which no result was recorded; keys how many of those were new to the tool.
	used, again, strays int
	spent               chat.Money
}

func (a *turnTally) add(b turnTally) {
	a.turns += b.turns
	a.replies += b.replies
	a.withTools += b.withTools
	a.steps += b.steps
	a.calls += b.calls
	a.results += b.results
	a.unknown += b.unknown
	a.approvals += b.approvals
	a.asked += b.asked
	a.recorded += b.recorded
	a.bills += b.bills
	a.used += b.used
	a.again += b.again
	a.strays += b.strays
	a.spent += b.spent
}

func (a turnTally) String() string {
	return fmt.Sprintf("turns %d (%d with tools), replies %d, model asked %d times: recorded %d, bill lines %d, wasted %d; "+
		"answers that call tools %d, calls begun %d, with results %d (unknown %d), approvals %d, tools called %d times, again before a result was recorded %d; "+
		"requests of a process that led no more %d; money spent %d",
		a.turns, a.withTools, a.replies, a.asked, a.recorded, a.bills, a.asked-a.recorded, a.steps, a.calls, a.results, a.unknown, a.approvals,
		a.used, a.again, a.strays, a.spent)
}

// turnStory is what the journal says of a turn.
type turnStory struct {
	steps    int
	calls    map[string]*callStory
	finished bool
}

// callStory is what it says of a call of a tool.
type callStory struct {
	name    string
	started map[int]chat.Epoch
	ended   bool
}

// tell takes an event into the stories of turns.
func (o *turnTown) tell(e *chat.Event) {
	s := o.town.sim
	switch {
	case e.Turn != nil:
		o.money[e.Tenant] += e.Turn.Cost
		t := o.turn[e.Turn.ID]
		if t == nil {
			t = &turnStory{calls: map[string]*callStory{}}
			o.turn[e.Turn.ID] = t
			o.tally.turns++
		}
		if b := o.bills[e.Turn.Request]; e.Turn.Request != "" {
			if o.tally.bills++; b == nil {
				s.violate("%s bills the request %s, which the model did not see", e.Turn.ID, e.Turn.Request)
				return
			}
			if b.lines++; b.lines > 1 || b.cost != e.Turn.Cost {
				s.violate("%s is billed for the %dth time, with %d, it cost %d", e.Turn.Request, b.lines, e.Turn.Cost, b.cost)
			}
		}
		switch e.Kind {
		case chat.TurnAnswered:
			o.tally.replies++
			t.finished = true
		case chat.TurnCalled:
			o.tally.steps++
			if t.steps++; t.steps == 1 {
				o.tally.withTools++
			}
			for _, k := range e.Turn.Calls {
				t.calls[k.ID] = &callStory{name: k.Name, started: map[int]chat.Epoch{}}
			}
		}
	case e.Tool != nil && !e.Tool.Late:
		o.tellTool(e.Kind, e.Tool)
	}
}

func (o *turnTown) tellTool(kind chat.EventKind, r *chat.ToolRecord) {
	s, t := o.town.sim, o.turn[r.Turn]
	if t == nil || t.calls[r.ID] == nil {
		s.violate("nobody asked for call %s of %s", r.ID, r.Turn)
		return
	}
	c := t.calls[r.ID]
	if c.ended {
		s.violate("%v of call %s of %s, which has a result", kind, r.ID, r.Turn)
	}
	switch kind {
	case chat.ToolDecided:
		o.tally.approvals++
	case chat.ToolStarted:
		if o.tally.calls++; r.N > 1 && c.started[r.N-1] == r.Epoch {
			s.violate("call %s of %s is made again and nobody died", r.ID, r.Turn)
		}
		c.started[r.N] = r.Epoch
	case chat.ToolEnded:
		o.tally.results++
		if c.ended = true; r.Result.Error == "unknown" {
			o.tally.unknown++
		}
	}
}

// reckon holds what model and tools saw against the journal.
func (o *turnTown) reckon() {
	s := o.town.sim
	for id, t := range o.turn {
		for call, c := range t.calls {
			if !c.ended {
				s.violate("call %s of %s has no result in the end", call, id)
			}
		}
	}
	for place, list := range o.used {
		t := o.turn[place.turn]
		if t == nil || t.calls[place.call] == nil {
			s.violate("a tool was called for call %s of %s, which is not in the journal", place.call, place.turn)
			return
		}
		c, seen := t.calls[place.call], map[int]bool{}
		for _, x := range list {
			_, begun := c.started[x.n]
			if !begun || seen[x.n] || x.key != list[0].key {
				s.violate("%s was called for call %s of %s: %+v; the journal has %v", c.name, place.call, place.turn, list, c.started)
			}
			seen[x.n] = true
		}
		if classOf(c.name) == "once" && len(list) > 1 {
			s.violate("%s, which must not be called twice, was called %d times for call %s of %s", c.name, len(list), place.call, place.turn)
		}
		o.tally.used += len(list)
		o.tally.again += len(list) - 1
	}
	recorded := map[turnStep]int{}
	for _, b := range o.bills {
		recorded[b.step] += b.lines
	}
	for step, n := range recorded {
		if o.tally.recorded += n; n > 1 {
			s.violate("answer %d of %s is recorded %d times", step.n, step.turn, n)
		}
	}
	for _, n := range o.asked {
		o.tally.asked += n
	}
	for _, cost := range o.money {
		o.tally.spent += cost
	}
	o.tally.strays = o.strays
}
