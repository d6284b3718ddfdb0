package actors

import (
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
)

// usesSpan is how far back calls of a tool count against what its grant allows.
const usesSpan = 24 * time.Hour

// knownAnswer is what Step must know of an answer that asks for tools: the contact
// whose field one would set, and how often those were called whose grant bounds it.
func (d *draft) knownAnswer(f chat.ModelAnswered) (k chat.Known, err error) {
	calls := func(name string) bool {
		return slices.ContainsFunc(f.Answer.Calls, func(c chat.ToolCall) bool { return c.Name == name })
	}
	if calls(chat.ToolSetContact) {
		if k.Contact, err = d.person(); err != nil {
			return k, err
		}
	}
	if d.settings.Profile == nil {
		return k, nil
	}
	if !slices.ContainsFunc(d.settings.Profile.Tools, func(g chat.ToolGrant) bool { return g.Max > 0 && calls(g.Name) }) {
		return k, nil
	}
	k.ToolUses, err = d.toolUses()
	return k, err
}

// toolUses counts the calls of the conversation, by tool, since usesSpan ago.
func (d *draft) toolUses() (map[string]int, error) {
	uses := map[string]int{}
	after := chat.Seq(0)
	if d.a.state.Seq > chat.PromptEventMax {
		after = d.a.state.Seq - chat.PromptEventMax
	}
	events, err := d.a.core.opt.Journal.Events(d.a.state.Tenant, d.a.state.ID, after, chat.PromptEventMax)
	for i := range events {
		if e := &events[i]; e.Kind == chat.ToolStarted && e.Tool.N == 1 && d.now.Sub(e.Time) < usesSpan {
			uses[e.Tool.Name]++
		}
	}
	return uses, err
}

// told reports whether the conversation has an event after one, stored or of the same
// draft. A result that is brought again because the answer to the first was lost finds
// itself there.
func (d *draft) told(after chat.Seq, is func(*chat.Event) bool) (bool, error) {
	events, err := d.a.core.opt.Journal.Events(d.a.state.Tenant, d.a.state.ID, after, chat.PromptEventMax)
	if err != nil {
		return false, err
	}
	for i := range events {
		if is(&events[i]) {
			return true, nil
		}
	}
	for i := range d.commit.Events {
		if is(&d.commit.Events[i]) {
			return true, nil
		}
	}
	return false, nil
}
