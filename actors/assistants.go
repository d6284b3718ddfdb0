package actors

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Assistants is what people and programs do with a tenant's assistants: look, draft,
// publish, roll back. What a verdict says is durable when it is returned, and used by
// every turn that starts afterwards. Safe for concurrent use.
type Assistants struct{ sys *System }

// Assistants returns the way to the assistants.
func (s *System) Assistants() *Assistants { return &Assistants{s} }

// Heads lists a tenant's assistants by id.
func (a *Assistants) Heads(ctx context.Context, t chat.TenantID) ([]chat.AssistantHead, error) {
	docs, err := a.sys.opt.Documents.Docs(ctx, t, chat.DocAssistant)
	if err != nil {
		return nil, err
	}
	heads := make([]chat.AssistantHead, 0, len(docs))
	for _, d := range docs {
		head, found := chat.HeadOf(docs, chat.AssistantID(d.ID))
		if !found {
			return nil, errBrokenHead
		}
		heads = append(heads, head)
	}
	slices.SortFunc(heads, func(x, y chat.AssistantHead) int { return strings.Compare(string(x.ID), string(y.ID)) })
	return heads, nil
}

// Version returns a version of an assistant with its tag, see chat.DocTag;
// KindNotFound when there is none.
func (a *Assistants) Version(t chat.TenantID, ref chat.AssistantRef) (v chat.Assistant, tag string, err error) {
	value, found, err := a.sys.opt.Documents.Doc(t, chat.DocVersion, string(ref))
	switch {
	case err != nil:
		return v, "", err
	case !found:
		return v, "", chat.E("assistants", chat.KindNotFound, "there is no such version", nil)
	case json.Unmarshal(value, &v) != nil:
		return v, "", chat.E("assistants", chat.KindCorrupt, "a version of an assistant is unreadable", nil)
	}
	return v, chat.DocTag(value), nil
}

// Draft writes the draft of an assistant, which may be its first. The verdict names
// its version.
func (a *Assistants) Draft(ctx context.Context, t chat.TenantID, f chat.DraftAssistant) (chat.Verdict, error) {
	wrong := chat.CheckAssistant(&f.Draft)
	if wrong == nil {
		var err error
		if wrong, err = a.fits(t, &f.Draft); err != nil {
			return chat.Verdict{}, err
		}
	}
	if wrong != nil {
		return invalidAssistant(wrong), nil
	}
	return a.change(ctx, t, f)
}

// Publish lets a version answer. It must fit what there is now: its channels, tools
// and models, and the tenant's budget.
func (a *Assistants) Publish(ctx context.Context, t chat.TenantID, f chat.PublishAssistant) (chat.Verdict, error) {
	wrong, err := a.mayAnswer(t, f.ID, func(h *chat.AssistantHead) int {
		if f.Version == 0 {
			return h.Draft
		}
		return f.Version
	})
	if err != nil {
		return chat.Verdict{}, err
	}
	if wrong != nil {
		return invalidAssistant(wrong), nil
	}
	return a.change(ctx, t, f)
}

// RollBack lets a version answer that did before.
func (a *Assistants) RollBack(ctx context.Context, t chat.TenantID, f chat.RollBackAssistant) (chat.Verdict, error) {
	wrong, err := a.mayAnswer(t, f.ID, f.Target)
	if err != nil {
		return chat.Verdict{}, err
	}
	if wrong != nil {
		return invalidAssistant(wrong), nil
	}
	return a.change(ctx, t, f)
}

// Place says on which channels an assistant answers.
func (a *Assistants) Place(ctx context.Context, t chat.TenantID, f chat.PlaceAssistant) (chat.Verdict, error) {
	for _, ch := range f.Channels {
		if wrong := a.channel(t, "channels", ch); wrong != nil {
			return invalidAssistant(wrong), nil
		}
	}
	return a.change(ctx, t, f)
}

func invalidAssistant(wrong *chat.LimitError) chat.Verdict {
	return chat.Verdict{Kind: chat.VerdictRefused, Reason: "assistant_invalid", Limit: wrong}
}

// change makes a fact about the tenant's assistants durable.
func (a *Assistants) change(ctx context.Context, t chat.TenantID, f chat.Fact) (chat.Verdict, error) {
	if !a.sys.asking.enter() {
		return chat.Verdict{}, errDraining
	}
	defer a.sys.asking.leave()
	answered := a.sys.ask(ctx, &mail{tenant: t, group: a.sys.opt.Leadership.Group(t), items: []item{{fact: f}}})
	if answered.err != nil {
		return chat.Verdict{}, answered.err
	}
	return answered.verdicts[0], nil
}

// mayAnswer checks a version that shall answer. One that is not there passes: the
// fact itself is then refused, by who knows.
func (a *Assistants) mayAnswer(t chat.TenantID, id chat.AssistantID, which func(*chat.AssistantHead) int) (*chat.LimitError, error) {
	value, found, err := a.sys.opt.Documents.Doc(t, chat.DocAssistant, string(id))
	if err != nil || !found {
		return nil, err
	}
	head, _ := chat.HeadOf([]chat.Doc{{Noun: chat.DocAssistant, ID: string(id), Value: value}}, id)
	v, _, err := a.Version(t, chat.RefOf(id, which(&head)))
	switch {
	case chat.KindOf(err) == chat.KindNotFound:
		return nil, nil
	case err != nil:
		return nil, err
	}
	if wrong, err := a.fits(t, &v); err != nil || wrong != nil {
		return wrong, err
	}
	return a.affordable(t, &v)
}

// fits reports what an assistant names that there is not.
func (a *Assistants) fits(t chat.TenantID, v *chat.Assistant) (*chat.LimitError, error) {
	if v.Hours != nil {
		if _, err := time.LoadLocation(v.Hours.Zone); err != nil {
			return unknownName("hours.zone", "hours.zone must be a time zone such as Europe/Berlin."), nil
		}
	}
	for _, ch := range slices.Sorted(maps.Keys(v.Channels)) {
		if wrong := a.channel(t, "channels", ch); wrong != nil {
			return wrong, nil
		}
	}
	for i, m := range v.Models {
		if a.sys.opt.Models != nil && !a.sys.opt.Models.Knows(m) {
			return unknownName("models["+strconv.Itoa(i)+"]", "No provider "+m.Provider+" is configured that is asked for the model "+m.Model+"."), nil
		}
	}
	for _, g := range v.Tools {
		if _, found := chat.EngineTool(g.Name); found {
			continue
		}
		_, found, err := a.sys.opt.Documents.Doc(t, chat.DocTool, g.Name)
		switch {
		case err != nil:
			return nil, err
		case !found:
			return unknownName("tools", "There is no tool "+g.Name+"."), nil
		}
	}
	return nil, nil
}

func (a *Assistants) channel(t chat.TenantID, param string, id chat.ChannelID) *chat.LimitError {
	if ch, found := a.sys.opt.Directory.ChannelByID(id); !found || ch.Tenant != t {
		return unknownName(param, "There is no channel "+string(id)+".")
	}
	return nil
}

func unknownName(param, message string) *chat.LimitError {
	return &chat.LimitError{Param: param, Code: "parameter_invalid", Message: message}
}

// affordable refuses what a budget could not bound: a model without a price.
func (a *Assistants) affordable(t chat.TenantID, v *chat.Assistant) (*chat.LimitError, error) {
	allowance, err := a.allowance(t)
	if err != nil {
		return nil, err
	}
	if v.Limits.Cost <= 0 && a.sys.opt.Directory.Settings(t).Allowing(allowance).Budget <= 0 {
		return nil, nil
	}
	return a.unpriced(t, v.Models), nil
}
