package chat_test

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/chumiai/chumi/chat"
)

// proof is how far a world's journal was held against the invariants, and what was
// seen up to there.
type proof struct {
	seen    int
	replay  chat.Conversation
	started map[chat.MessageID]int
	queued  map[chat.MessageID]chat.Author
	files   map[string]int
	// taken is true while a person holds the conversation.
	taken bool
	// cost is what calls cost, reserved what is held for the one under way.
	cost, reserved int64
	// calls are those of tools that the latest answer asked for, by id.
	calls map[string]*callProof
	// waiting is the turn whose calls these are; empty when it has ended.
	waiting chat.TurnID
	// answered are turns that were.
	answered map[chat.TurnID]bool
}

type callProof struct {
	started           int
	ended             bool
	acts, mayBeginNew bool
}

// check holds what came since the last check against the invariants.
func (w *world) check() error {
	p := &w.proof
	if p.started == nil {
		*p = proof{started: map[chat.MessageID]int{}, queued: map[chat.MessageID]chat.Author{}, files: map[string]int{},
			calls: map[string]*callProof{}, answered: map[chat.TurnID]bool{}}
	}
	for ; p.seen < len(w.events); p.seen++ {
		e := &w.events[p.seen]
		if e.Seq != chat.Seq(p.seen+1) {
			return fmt.Errorf("C1: event %d has seq %d", p.seen+1, e.Seq)
		}
		p.replay.Apply(*e)
		if err := p.sends(e); err != nil {
			return err
		}
		if err := p.turns(e); err != nil {
			return err
		}
	}
	if len(w.events) > 0 {
		p.replay.Armed = w.state.Armed
		if replay := p.replay.Clone(); !reflect.DeepEqual(replay, w.state.Clone()) {
			return fmt.Errorf("C2: replay gives\n%+v\nstate is\n%+v", replay, w.state)
		}
	}
	if _, owes := w.state.Owes(); owes == w.state.Armed.IsZero() {
		return fmt.Errorf("C9: owes %v, armed %v", owes, w.state.Armed)
	}
	if w.money != p.cost+p.reserved {
		return fmt.Errorf("C13: %d counted, %d spent and %d reserved", w.money, p.cost, p.reserved)
	}
	return p.work(&w.state)
}

// sends follows messages and files.
func (p *proof) sends(e *chat.Event) error {
	switch e.Kind {
	case chat.MediaStored, chat.MediaFailed:
		key := fmt.Sprint(e.Media.Message, e.Media.Index)
		if p.files[key]++; p.files[key] > 1 {
			return fmt.Errorf("C11: the file %s is told of twice", key)
		}
	case chat.MessageQueued:
		p.queued[e.Message.ID] = e.Message.Author
	case chat.HandoffTaken:
		p.taken = true
	case chat.HandoffReturned:
		p.taken = false
	case chat.AttemptStarted:
		author, ok := p.queued[e.Attempt.Message]
		if !ok {
			return fmt.Errorf("C5: attempt of %s, which was never queued", e.Attempt.Message)
		}
		if author == chat.AuthorAssistant && p.taken {
			return fmt.Errorf("C7: attempt of an assistant's message after takeover")
		}
		p.started[e.Attempt.Message]++
	case chat.MessageAccepted:
		if p.started[e.Attempt.Message] == 0 {
			return fmt.Errorf("C6: %s accepted without an attempt", e.Attempt.Message)
		}
	}
	return nil
}

// turns follows calls of models and tools, and money.
func (p *proof) turns(e *chat.Event) error {
	switch {
	case e.Turn != nil:
		return p.called(e)
	case e.Kind == chat.SummaryMade:
		p.cost += int64(e.Summary.Cost)
	case e.Kind == chat.MediaTranscribed:
		p.cost += int64(e.Media.Used.Cost)
	case e.Tool != nil && !e.Tool.Late:
		return p.tool(e)
	}
	return nil
}

// called follows the calls of a model.
func (p *proof) called(e *chat.Event) error {
	r := e.Turn
	p.cost, p.reserved = p.cost+int64(r.Cost), 0
	if id := p.open(); id != "" {
		return fmt.Errorf("C12: %v while call %s of a tool has no result", e.Kind, id)
	}
	switch p.waiting = ""; e.Kind {
	case chat.TurnStarted:
		p.reserved = int64(r.Reserved)
	case chat.TurnCalled:
		p.waiting = r.ID
		clear(p.calls)
		for _, k := range r.Calls {
			p.calls[k.ID] = &callProof{}
		}
	case chat.TurnAnswered:
		if p.answered[r.ID] {
			return fmt.Errorf("C8: turn %s is answered twice", r.ID)
		}
		p.answered[r.ID] = true
	}
	return nil
}

// open names a call without a result; empty for none.
func (p *proof) open() string {
	for id, k := range p.calls {
		if !k.ended {
			return id
		}
	}
	return ""
}

// tool follows the calls of tools.
func (p *proof) tool(e *chat.Event) error {
	k := p.calls[e.Tool.ID]
	if k == nil || e.Tool.Turn != p.waiting {
		return fmt.Errorf("C12: %v of call %s, which nobody asked for", e.Kind, e.Tool.ID)
	}
	if k.ended {
		return fmt.Errorf("C12: %v of call %s, which has a result", e.Kind, e.Tool.ID)
	}
	switch e.Kind {
	case chat.ToolStarted:
		if k.started++; k.started > 1 && k.acts && !k.mayBeginNew {
			return fmt.Errorf("C12: call %s is made again, and changes something each time", e.Tool.ID)
		}
		if e.Tool.N != k.started {
			return fmt.Errorf("C12: call %s says that it is made for the %dth time, it is the %dth", e.Tool.ID, e.Tool.N, k.started)
		}
		k.acts, k.mayBeginNew = e.Tool.Acts, e.Tool.Repeatable
	case chat.ToolEnded:
		k.ended = true
	}
	return nil
}

// work holds what the state says of the turn under way: there is work iff there is a
// turn, and it waits for the calls that have no result.
func (p *proof) work(c *chat.Conversation) error {
	t := c.Turn
	under := t.Phase == chat.TurnRunning || t.Phase == chat.TurnWorking || t.Phase == chat.TurnWaiting && t.Call > 0
	if under != (c.Work != nil) {
		return fmt.Errorf("C12: a turn is under way: %v, there is work: %v", under, c.Work != nil)
	}
	var open, pending []string
	for id, k := range p.calls {
		if !k.ended {
			open = append(open, id)
		}
	}
	if c.Work != nil {
		for _, k := range c.Work.Calls {
			pending = append(pending, k.ID)
		}
	}
	slices.Sort(open)
	slices.Sort(pending)
	if !slices.Equal(open, pending) || (len(pending) > 0) != (t.Phase == chat.TurnWorking) {
		return fmt.Errorf("C12: the calls %v have no result, the turn, which is in phase %d, waits for %v", open, t.Phase, pending)
	}
	return nil
}
