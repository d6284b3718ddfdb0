package actors

import (
	"context"
	"errors"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// useTool makes a tool call and brings its result to the conversation.
func (t *turns) useTool(c *call) {
	failpoint.Hit(failpoint.ToolRequested)
	if t.stale(c) {
		return
	}
	began := t.sys.opt.Clock.Now()
	result := t.runTool(c)
	if cause := context.Cause(c.ctx); errors.Is(cause, errCancelled) || t.sys.life.Err() != nil {
		return
	}
	word := "done"
	if result.Error != "" {
		word = "failed"
	}
	t.sys.met.Turn.Tools.WithLabelValues(word).Inc()
	if t.sys.opt.Tracer != nil {
		t.sys.below(c.tool.Turn, t.sys.firstOf(c.tenant, c.tool.Turn), Span{Conversation: c.conversation, Name: SpanTool,
			Of: string(c.tool.Turn) + "/" + c.tool.Call, Began: began, Outcome: word, Failed: result.Error != ""})
	}
	failpoint.Hit(failpoint.ToolAnswering)
	t.sys.insist(c.tenant, c.group, c.conversation, chat.ToolFinished{
		Turn: c.tool.Turn, Call: c.tool.Call, Name: c.tool.Name, Acts: c.tool.Acts, Result: result})
}

// runTool is the result of the call; every outcome is one.
func (t *turns) runTool(c *call) chat.ToolResult {
	run, err := t.toolRun(c)
	if err != nil || t.sys.opt.Toolbox == nil {
		return chat.ToolFailed("unavailable")
	}
	stop := t.sys.opt.Clock.AfterFunc(c.tool.Timeout, func() { c.cancel(errTimeout) })
	defer stop()
	if !t.begin(c) {
		return chat.ToolFailed("timeout")
	}
	result := t.sys.opt.Toolbox.Run(c.ctx, run)
	if !errors.Is(context.Cause(c.ctx), errTimeout) {
		return result
	}
	if run.Tool.Acts {
		return chat.ToolFailed("unknown")
	}
	return chat.ToolFailed("timeout")
}

// toolRun is the call with what the engine supplies: what it is called with stands in
// the journal, and who it is for is never the model's to say.
func (t *turns) toolRun(c *call) (run chat.ToolRun, err error) {
	s, err := t.sys.core.profiles.settings(c.ctx, c.tenant, t.sys.opt.Leadership.Epoch(c.group), c.channel, c.tool.Version)
	if err != nil {
		return run, err
	}
	tool, found := s.Tools[c.tool.Name]
	if !found {
		return run, errAbsent
	}
	_, begun, _ := c.tool.Turn.Parse()
	events, err := t.sys.opt.Journal.Events(c.tenant, c.conversation, begun-1, chat.PromptEventMax)
	if err != nil {
		return run, err
	}
	for i := range events {
		r := events[i].Turn
		if r == nil || r.ID != c.tool.Turn {
			continue
		}
		for _, k := range r.Calls {
			if k.ID == c.tool.Call && k.Name == c.tool.Name {
				return chat.ToolRun{Tenant: c.tenant, Channel: c.channel, Conversation: c.conversation, Contact: c.contact,
					Turn: c.tool.Turn, Call: k, Tool: tool, Key: chat.ToolKey(c.conversation, k.Name, k.Args, c.tool.Oldest)}, nil
			}
		}
	}
	return run, errAbsent
}

// Decide lets a tool call that waits for a person be made, or not. KindNotFound means
// that no such call waits; deciding again what was decided changes nothing.
func (i *Ingress) Decide(ctx context.Context, t chat.TenantID, id chat.ConversationID, d chat.ToolDecision) error {
	v, err := i.command(ctx, t, id, d)
	if err == nil && v.Kind == chat.VerdictRefused {
		return chat.E("ingress.Decide", chat.KindNotFound, v.Reason, nil)
	}
	return err
}
