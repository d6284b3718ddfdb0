package api

import (
	"context"
	"strconv"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

const (
	// turnEventsMax bounds the events read for one turn: limits of a turn keep it far
	// below.
	turnEventsMax = 4000
	// turnTail is how many events after its end may still be of a turn: what was queued,
	// and tools that nobody waited for.
	turnTail = 64
	// promptEventsMax bounds the events read to make prompts again.
	promptEventsMax         = 20_000
	turnsDefault, turnsMost = 20, 100
	includePrompts          = "prompts"
)

var errNoTurn = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "turn_not_found",
	message: "There is no such turn."}

// turnView is a turn with its prompts, when they are asked for.
type turnView struct {
	chat.TurnView
	Prompts []promptView `json:"prompts,omitempty"`
}

// promptView is what a model saw in one call, made again of what is stored.
type promptView struct {
	Call  int        `json:"call"`
	Hash  string     `json:"prompt_hash"`
	Lost  string     `json:"lost,omitempty"`
	Lines []lineView `json:"lines,omitempty"`
	Tools []string   `json:"tools,omitempty"`
}

type lineView struct {
	Role string `json:"role"`
	Text string `json:"text"`
}

var roleWords = map[chat.PromptRole]string{chat.RoleSystem: "system", chat.RoleCustomer: "customer", chat.RoleAssistant: "assistant", chat.RoleTool: "tool"}

// showTurn is GET /v1/turns/{id}.
func (r *call) showTurn() *failure {
	id := chat.TurnID(r.object)
	c, seq, ok := id.Parse()
	if !ok || seq == 0 {
		return &errNoTurn
	}
	include := string(r.ctx.QueryArgs().Peek("include"))
	if include != "" && include != includePrompts {
		return invalid("parameter_invalid", "include", "include can be prompts.")
	}
	ctx, cancel := r.reading()
	defer cancel()
	events, _, err := r.eventsOf(ctx, c, seq-1, func(turns []chat.TurnView, upTo chat.Seq) bool {
		return len(turns) == 0 || turns[0].Ended != 0 && turns[0].Ended+turnTail < upTo
	})
	switch {
	case chat.KindOf(err) == chat.KindNotFound:
		return &errNoTurn
	case err != nil:
		return r.failed(err)
	}
	turns := chat.TurnsOf(events)
	if len(turns) == 0 || turns[0].ID != id {
		return &errNoTurn
	}
	out := turnView{TurnView: turns[0]}
	if include == includePrompts {
		var fail *failure
		if out.Prompts, fail = r.prompts(ctx, c, &out.TurnView); fail != nil {
			return fail
		}
	}
	return r.answerJSON(out)
}

// eventsOf reads events after a seq until the turns among them are enough, or there
// are no more, or too many. It returns the seq read up to, 0 at the end.
func (r *call) eventsOf(ctx context.Context, c chat.ConversationID, after chat.Seq, enough func([]chat.TurnView, chat.Seq) bool) ([]chat.Event, chat.Seq, error) {
	var events []chat.Event
	for {
		page, err := r.opt.Views.ConversationEvents(ctx, r.principal.Tenant, c, after, eventsMax)
		if err != nil {
			return nil, 0, err
		}
		events = append(events, page...)
		if len(page) < eventsMax {
			return events, 0, nil
		}
		after = page[len(page)-1].Seq
		if len(events) >= turnEventsMax || enough(chat.TurnsOf(events), after) {
			return events, after, nil
		}
	}
}

// prompts makes the prompts of a turn again.
func (r *call) prompts(ctx context.Context, c chat.ConversationID, t *chat.TurnView) ([]promptView, *failure) {
	past, err := r.opt.Pasts.Past(ctx, r.principal.Tenant)
	if err != nil {
		return nil, r.failed(err)
	}
	upTo := t.Ended
	if upTo == 0 {
		upTo = t.Begun + turnEventsMax
	}
	var events []chat.Event
	for after := chat.Seq(0); after < upTo && len(events) < promptEventsMax; {
		page, err := r.opt.Views.ConversationEvents(ctx, r.principal.Tenant, c, after, eventsMax)
		if err != nil {
			return nil, r.failed(err)
		}
		if len(page) == 0 {
			break
		}
		events = append(events, page...)
		after = page[len(page)-1].Seq
	}
	out := []promptView{}
	for _, k := range chat.RecordedCalls(events) {
		if k.Turn != t.ID {
			continue
		}
		v := promptView{Call: k.Call, Hash: k.Hash}
		p, lost := k.Prompt(events, past)
		if v.Lost = lost; lost == "" {
			for _, l := range p.Lines {
				v.Lines = append(v.Lines, lineView{roleWords[l.Role], l.Text})
			}
			for _, s := range p.Tools {
				v.Tools = append(v.Tools, s.Name)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// listTurns is GET /v1/conversations/{id}/turns: oldest first. A page of a talk with
// little to answer may be empty and not the last.
func (r *call) listTurns() *failure {
	limit, fail := r.limit(turnsDefault, turnsMost)
	if fail != nil {
		return fail
	}
	cursor, fail := r.cursor()
	if fail != nil {
		return fail
	}
	after := chat.Seq(0)
	if cursor != "" {
		n, err := strconv.ParseUint(cursor, 10, 63)
		if err != nil {
			return errCursor
		}
		after = chat.Seq(n)
	}
	ctx, cancel := r.reading()
	defer cancel()
	events, upTo, err := r.eventsOf(ctx, r.conversation(), after, func(turns []chat.TurnView, _ chat.Seq) bool { return len(turns) > limit })
	if err != nil {
		return r.failed(err)
	}
	turns, next := chat.TurnsOf(events), chat.Seq(0)
	switch last := len(turns) - 1; {
	case len(turns) > limit:
		turns, next = turns[:limit], turns[limit].Begun-1
	case upTo == 0:
	case len(turns) > 1:
		turns, next = turns[:last], turns[last].Begun-1
	default:
		next = upTo
	}
	out := struct {
		Data []chat.TurnView `json:"data"`
		Next *string         `json:"next_cursor"`
	}{Data: append([]chat.TurnView{}, turns...)}
	if next > 0 {
		text := strconv.FormatUint(uint64(next), 10)
		out.Next = &text
	}
	return r.answerJSON(out)
}
