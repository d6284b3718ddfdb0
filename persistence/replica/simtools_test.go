package replica

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// The classes of tools: one that only reads, one whose other side knows repetitions,
// and one that must not be called twice, with approval or without.
var toolClasses = []string{"reads", "repeatable", "once"}

func classOf(tool string) string {
	return map[string]string{"look": "reads", "book": "repeatable"}[tool] + map[string]string{"pay": "once", "refund": "once"}[tool]
}

// turnTown is what the outside knows of turns: the model and the tools, which no crash
// of ours touches, and what engines were told is recorded.
type turnTown struct {
	town *town
	// asked counts requests for one step of a turn, stepRecorded says that an engine was
	// told that an answer to it is durable.
	asked        map[turnStep]int
	stepRecorded map[turnStep]bool
	// bills is what an answer cost, by its request.
	bills map[string]*bill
	// used are calls of tools that got to the tool, in order; done says that an engine
	// was told that the result is durable.
	used map[toolUse][]execution
	done map[toolUse]bool
	// money is what events bill, by tenant; turn is what the journal says of each.
	money map[chat.TenantID]chat.Money
	turn  map[chat.TurnID]*turnStory
	// tally is what the reckoning found.
	tally turnTally
	// strays are requests of a process that did not know yet that another leads.
	strays int
}

// turnStep is the nth answer that a turn asks for.
type turnStep struct {
	turn chat.TurnID
	n    int
}

type bill struct {
	step turnStep
	cost chat.Money
	// lines count the events that bill it.
	lines int
}

type toolUse struct {
	turn chat.TurnID
	call string
}

type execution struct {
	n   int
	key string
}

// newTurns gives the town's assistant tools and the cluster traps.
func newTurns(w *town) {
	w.turns = &turnTown{town: w, asked: map[turnStep]int{}, stepRecorded: map[turnStep]bool{}, bills: map[string]*bill{},
		used: map[toolUse][]execution{}, done: map[toolUse]bool{},
		money: map[chat.TenantID]chat.Money{}, turn: map[chat.TurnID]*turnStory{}}
	w.trap = &trap{springs: map[named]*[acts]int{}}
	object := json.RawMessage(`{"type":"object"}`)
	w.settings.Tools = map[string]chat.Tool{}
	w.settings.Profile = &chat.Assistant{ID: chat.DefaultAssistant, Plain: true}
	for _, tool := range []chat.Tool{{Name: "look"}, {Name: "book", Acts: true, Repeatable: true}, {Name: "pay", Acts: true}, {Name: "refund", Acts: true}} {
		tool.Kind, tool.Parameters, tool.Timeout = chat.ToolHTTP, object, 3*time.Second
		w.settings.Tools[tool.Name] = tool
		w.settings.Profile.Tools = append(w.settings.Profile.Tools, chat.ToolGrant{Name: tool.Name, Approval: tool.Name == "refund"})
	}
	own, _ := chat.EngineTool(chat.ToolHandoff)
	w.settings.Tools[own.Name] = own
	w.settings.Profile.Tools = append(w.settings.Profile.Tools, chat.ToolGrant{Name: own.Name})
	w.settings.CallCost, w.settings.Budget = chat.CallCost{Prompt: 70, Output: 30}, 1_000_000
	if w.sim.seed%5 == 2 {
		w.settings.Budget = 3000 // it is used up in the course of the day
	}
}

// record notes that an engine was told that an answer or a result is durable.
func (o *turnTown) record(e *chat.Event) {
	if o == nil {
		return
	}
	if e.Tool != nil {
		if !e.Tool.Late {
			o.done[toolUse{e.Tool.Turn, e.Tool.ID}] = true
		}
		return
	}
	if b := o.bills[e.Turn.Request]; b != nil {
		o.stepRecorded[b.step] = true
	}
}

// leads reports whether a node still is the leader that the cluster has.
func (e *engine) leads(g chat.Group) bool { return e.town.sim.leader(g) == e.node }

// ask takes a prompt to the model. told is called with the answer, if the process is
// still there.
func (o *turnTown) ask(e *engine, g chat.Group, prompt chat.Prompt, step turnStep, told func(chat.Answer, *chat.ModelError)) {
	s := o.town.sim
	if o.stepRecorded[step] {
		if e.leads(g) {
			s.violate("n%d asks for answer %d of %s again, which is recorded", e.node.id, step.n, step.turn)
		}
		o.strays++
	}
	results := map[string]bool{}
	for _, l := range prompt.Lines {
		results[l.Result] = true
	}
	for _, l := range prompt.Lines {
		for _, k := range l.Calls {
			if !results[k.ID] {
				s.violate("a model is asked without the result of call %s of %s", k.ID, step.turn)
			}
		}
	}
	s.after(s.between(time.Millisecond, 10*time.Millisecond), func() {
		o.asked[step]++
		answer, err := o.think(prompt, step)
		e.after(s.between(20*time.Millisecond, 400*time.Millisecond), func() { told(answer, err) })
	})
}

// think is what the model says.
func (o *turnTown) think(prompt chat.Prompt, step turnStep) (a chat.Answer, err *chat.ModelError) {
	s := o.town.sim
	if s.chance(4) {
		return a, &chat.ModelError{Reason: "failed"}
	}
	a.Model, a.Request, a.Cost = "sim", fmt.Sprint("req-", len(o.bills)+1), chat.Money(10+s.rng.IntN(80))
	a.Tokens = chat.Tokens{Prompt: 100, Output: 10}
	o.bills[a.Request] = &bill{step: step, cost: a.Cost}
	if more := max(5, 75-25*step.n); !s.chance(more) {
		a.Text = "re " + string(step.turn)
		return a, nil
	}
	names := []string{"look", "look", "book", "book", "pay", "pay", "refund", "refund", "refund", "evil"}
	for i := range 1 + s.rng.IntN(3) {
		a.Calls = append(a.Calls, chat.ToolCall{ID: fmt.Sprintf("%d.%d", prompt.Call, i), Name: names[s.rng.IntN(len(names))],
			Args: json.RawMessage(fmt.Sprintf(`{"n":%d}`, s.rng.IntN(3)))})
	}
	if s.chance(3) {
		a.Calls[len(a.Calls)-1] = chat.ToolCall{ID: a.Calls[len(a.Calls)-1].ID, Name: chat.ToolHandoff, Args: json.RawMessage(`{"reason":"asks for it"}`)}
	}
	return a, nil
}

// use takes a call to the tool. told is called with the result, if the process is still
// there.
func (o *turnTown) use(e *engine, g chat.Group, run toolUse, name string, x execution, told func(chat.ToolResult)) {
	s := o.town.sim
	if o.done[run] {
		if e.leads(g) {
			s.violate("n%d makes call %s of %s again, which has a result", e.node.id, run.call, run.turn)
		}
		o.strays++
	}
	s.after(s.between(time.Millisecond, 10*time.Millisecond), func() {
		o.used[run] = append(o.used[run], x)
		s.note("%s is called: %s of %s, %d", name, run.call, run.turn, x.n)
		d := s.between(5*time.Millisecond, 300*time.Millisecond)
		if s.chance(4) {
			d = 10 * time.Second // longer than the engine waits
		}
		e.after(d, func() { told(chat.ToolResult{Content: fmt.Sprint(name, " is done")}) })
	})
}

// askModel makes a call of the model as turns.work does.
func (e *engine) askModel(t chat.TenantID, id chat.ConversationID, c *modelCall, start chat.StartTurn) {
	e.town.sim.start(func(f *fiber) {
		if e.hit(f, failpoint.TurnRequested, c.group) || c.cancelled || !e.alive() || e.node.store.Epoch(c.group) != c.epoch {
			return
		}
		events, err := e.node.store.History(t, id, 0, start.From, chat.PromptEventMax)
		if err != nil {
			e.town.sim.violate("n%d: %v", e.node.id, err)
			return
		}
		talk := chat.Talk{Tenant: t, Conversation: id, Settings: e.town.settings, Events: events, Turn: start.Turn, Call: start.Call,
			From: start.From, UpTo: start.UpTo}
		step := turnStep{turn: start.Turn}
		for i := range events {
			if ev := &events[i]; ev.Kind == chat.TurnCalled && ev.Seq >= start.From && ev.Turn.ID == start.Turn {
				step.n++
			}
		}
		told := false
		tell := func(fact chat.Fact) {
			if told || c.cancelled {
				return
			}
			told = true
			if e.hit(nil, failpoint.ModelAnswering, c.group) {
				return
			}
			if e.calls[start.Turn] == c {
				delete(e.calls, start.Turn)
			}
			e.insist(t, id, fact)
		}
		e.after(start.Timeout, func() { tell(chat.ModelFailed{Turn: start.Turn, Call: start.Call, Reason: "timeout"}) })
		e.town.turns.ask(e, c.group, talk.Prompt(), step, func(a chat.Answer, err *chat.ModelError) {
			if err != nil {
				tell(chat.ModelFailed{Turn: start.Turn, Call: start.Call, Reason: err.Reason})
				return
			}
			tell(chat.ModelAnswered{Turn: start.Turn, Call: start.Call, Answer: a})
		})
	})
}

// toolCall is a call of a tool under way.
type toolCall struct {
	group     chat.Group
	epoch     chat.Epoch
	n         int
	acts      bool
	begun     bool
	cancelled bool
}

// useTool makes a call of a tool as turns.useTool does.
func (e *engine) useTool(t chat.TenantID, id chat.ConversationID, start chat.StartTool, epoch chat.Epoch) {
	place := toolUse{start.Turn, start.Call}
	if c := e.tools[place]; c != nil {
		if c.n >= start.N {
			return
		}
		c.cancelled = true
	}
	c := &toolCall{group: e.node.store.Group(t), epoch: epoch, n: start.N, acts: start.Acts}
	e.tools[place] = c
	class := classOf(start.Name)
	told := false
	tell := func(r chat.ToolResult) {
		if told || c.cancelled {
			return
		}
		told = true
		if e.hit(nil, failpoint.ToolAnswering, c.group, class) {
			return
		}
		if e.tools[place] == c {
			delete(e.tools, place)
		}
		e.insist(t, id, chat.ToolFinished{Turn: start.Turn, Call: start.Call, Name: start.Name, Acts: start.Acts, Result: r})
	}
	e.town.sim.start(func(f *fiber) {
		if e.hit(f, failpoint.ToolRequested, c.group, class) || c.cancelled || !e.alive() || e.node.store.Epoch(c.group) != c.epoch {
			return
		}
		args, found := e.argsOf(t, id, start)
		if !found {
			tell(chat.ToolFailed("unavailable"))
			return
		}
		c.begun = true
		e.after(start.Timeout, func() { tell(chat.ToolFailed(map[bool]string{true: "unknown", false: "timeout"}[start.Acts])) })
		e.town.turns.use(e, c.group, place, start.Name, execution{start.N, chat.ToolKey(id, start.Name, args, start.Oldest)}, tell)
	})
}

// argsOf is what a call is made with, as the journal says.
func (e *engine) argsOf(t chat.TenantID, id chat.ConversationID, start chat.StartTool) (json.RawMessage, bool) {
	_, begun, _ := start.Turn.Parse()
	events, err := e.node.store.Events(t, id, begun-1, chat.PromptEventMax)
	if err != nil {
		return nil, false
	}
	for i := range events {
		if r := events[i].Turn; r != nil && r.ID == start.Turn {
			for _, k := range r.Calls {
				if k.ID == start.Call {
					return k.Args, true
				}
			}
		}
	}
	return nil, false
}

// approver looks at calls that wait for a person.
func (w *town) approver(f *fiber) {
	s := w.sim
	for !s.ended {
		f.sleep(s.between(50*time.Millisecond, 400*time.Millisecond))
		p := w.people[s.rng.IntN(len(w.people))]
		n := s.leader(w.groupOf(p.channel))
		if s.ended || n == nil || !p.locate() {
			continue
		}
		st, found, err := n.store.Load(p.channel.Tenant, p.place.Conversation)
		if err != nil || !found || st.Work == nil {
			continue
		}
		for _, k := range st.Work.Calls {
			if k.State == chat.CallAsked {
				l := n.engine.solos.Write(p.channel.Tenant, p.place.Conversation, chat.ToolDecision{Call: k.ID, Approved: s.chance(80), Member: "mia"})
				n.engine.ask(f, []*actors.Letter{l}, 2*time.Second)
				break
			}
		}
	}
}
