package actors

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
)

// answeringMax bounds what is kept of one tenant: its channels, and the versions that
// running turns began with. Above it all of that is read anew.
const answeringMax = 512

// profiles knows which assistant answers for each tenant: from memory, as of the
// latest commit that changed one. Every such commit passes an activation of this
// node while it leads the tenant's group, and marks what is known as old; what was
// learned under another epoch is old too. Safe for concurrent use.
type profiles struct {
	opt *Options

	mu sync.RWMutex // guards of
	// of grows with the tenants that were active here, by some 100 bytes for each: what
	// is known of them goes with their actor.
	of map[chat.TenantID]*answering
}

// answering is what answers for one tenant.
type answering struct {
	// changed counts the commits that may have changed it.
	changed atomic.Uint64
	known   atomic.Pointer[resolved]
	// reading lets one reader at a time go to the store.
	reading sync.Mutex
}

// resolved is what was true when it was read. It is replaced and never changed.
type resolved struct {
	epoch   chat.Epoch
	changed uint64
	// base is what the tenant has without an assistant of its own.
	base *chat.Settings
	of   map[asked]*chat.Settings
}

// asked is what is asked for: who answers on a channel, or a certain version there.
type asked struct {
	channel chat.ChannelID
	ref     chat.AssistantRef
}

func newProfiles(o *Options) *profiles {
	return &profiles{opt: o, of: map[chat.TenantID]*answering{}}
}

// tenant is what answers for a tenant; it is always the same for one.
func (p *profiles) tenant(t chat.TenantID) *answering {
	p.mu.RLock()
	a := p.of[t]
	p.mu.RUnlock()
	if a != nil {
		return a
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a = p.of[t]; a == nil {
		a = new(answering)
		p.of[t] = a
	}
	return a
}

// forget lets go of what is known of a tenant.
func (p *profiles) forget(t chat.TenantID) { p.tenant(t).known.Store(nil) }

// committed notes that documents were written, or may have been.
func (p *profiles) committed(t chat.TenantID, docs []chat.Doc) {
	for i := range docs {
		switch docs[i].Noun {
		case chat.DocAssistant, chat.DocVersion, chat.DocTool, chat.DocAllowance:
			p.tenant(t).changed.Add(1)
			return
		}
	}
}

// settings are those of a channel of the tenant: with the published assistant when
// ref is empty, else with the version that ref names. They are never changed. An
// assistant that cannot be read answers nobody: people do.
func (p *profiles) settings(ctx context.Context, t chat.TenantID, epoch chat.Epoch, ch chat.ChannelID, ref chat.AssistantRef) (*chat.Settings, error) {
	a, base := p.tenant(t), p.opt.Directory.Settings(t)
	if k := a.known.Load(); k != nil && k.epoch == epoch && k.base == base && k.changed == a.changed.Load() {
		if s := k.of[asked{ch, ref}]; s != nil {
			return s, nil
		}
	}
	return p.resolve(ctx, a, t, base, epoch, asked{ch, ref})
}

// resolve is settings for what is not known, or known no more.
func (p *profiles) resolve(ctx context.Context, a *answering, t chat.TenantID, base *chat.Settings, epoch chat.Epoch, q asked) (*chat.Settings, error) {
	a.reading.Lock()
	defer a.reading.Unlock()
	next := &resolved{epoch: epoch, changed: a.changed.Load(), base: base}
	k := a.known.Load()
	if k != nil && k.epoch == epoch && k.base == base && k.changed == next.changed && len(k.of) < answeringMax {
		if s := k.of[q]; s != nil {
			return s, nil
		}
		next.of = make(map[asked]*chat.Settings, len(k.of)+1)
		for q, s := range k.of {
			next.of[q] = s
		}
	} else {
		next.of = make(map[asked]*chat.Settings, 1)
	}
	s, err := p.read(ctx, t, base, q)
	if err != nil {
		return nil, err
	}
	next.of[q] = s
	a.known.Store(next)
	return s, nil
}

// read asks the store.
func (p *profiles) read(ctx context.Context, t chat.TenantID, base *chat.Settings, q asked) (*chat.Settings, error) {
	allowance, _, err := p.opt.Documents.Doc(t, chat.DocAllowance, chat.AllowanceKey)
	if err != nil {
		return nil, err
	}
	base = base.Allowing(chat.AllowanceOf(allowance))
	ref := q.ref
	if ref == "" {
		heads, err := p.opt.Documents.Docs(ctx, t, chat.DocAssistant)
		if err != nil {
			return nil, err
		}
		if ref, err = placed(heads, q.channel); err != nil {
			return p.people(t, base, "a head is unreadable"), nil
		}
	}
	if ref.Configured() {
		return base, nil
	}
	version := new(chat.Assistant)
	switch found, err := p.document(t, chat.DocVersion, string(ref), version); {
	case unreadable(err) || err == nil && !found:
		return p.people(t, base, string(ref)+" is missing or unreadable"), nil
	case err != nil:
		return nil, err
	}
	tools, err := p.granted(t, version)
	if err != nil {
		return nil, err
	}
	var cost chat.CallCost
	if p.opt.Prices != nil && !base.Simulated {
		cost = p.opt.Prices.CallCost(version.Models, version.Limits)
	}
	s := base.Answering(version, q.channel, tools, cost)
	if h := version.Hours; h != nil {
		if s.Zone, err = time.LoadLocation(h.Zone); err != nil {
			return p.people(t, base, "its time zone is not known here"), nil
		}
	}
	return s, nil
}

// placed is the version that answers on a channel: of the assistant that is placed
// there, or else of the default one.
func placed(heads []chat.Doc, ch chat.ChannelID) (chat.AssistantRef, error) {
	ref := chat.RefOf(chat.DefaultAssistant, 0)
	for _, d := range heads {
		head, found := chat.HeadOf([]chat.Doc{d}, chat.AssistantID(d.ID))
		switch {
		case !found:
			return "", errBrokenHead
		case head.On(ch):
			return head.Ref(), nil
		case head.ID == chat.DefaultAssistant:
			ref = head.Ref()
		}
	}
	return ref, nil
}

var errBrokenHead = chat.E("profiles", chat.KindCorrupt, "the head of an assistant is unreadable", nil)

// granted are the tools that an assistant may use. One that is gone is not among
// them.
func (p *profiles) granted(t chat.TenantID, a *chat.Assistant) (map[string]chat.Tool, error) {
	tools := make(map[string]chat.Tool, len(a.Tools))
	for _, g := range a.Tools {
		if own, found := chat.EngineTool(g.Name); found {
			tools[g.Name] = own
			continue
		}
		var tool chat.Tool
		switch found, err := p.document(t, chat.DocTool, g.Name, &tool); {
		case err != nil && !unreadable(err):
			return nil, err
		case err != nil || !found:
			p.opt.Logger.Warn("an assistant is granted a tool that cannot be read", "tenant", t, "assistant", a.Ref(), "tool", g.Name)
		default:
			tools[g.Name] = tool
		}
	}
	return tools, nil
}

// people is base for a tenant whose assistant is broken.
func (p *profiles) people(t chat.TenantID, base *chat.Settings, why string) *chat.Settings {
	p.opt.Logger.Error("an assistant cannot answer: its customers go to people", "tenant", t, "why", why)
	s := *base
	s.Assistant, s.Simulated = false, false
	return &s
}

func (p *profiles) document(t chat.TenantID, noun chat.DocNoun, id string, into any) (found bool, err error) {
	value, found, err := p.opt.Documents.Doc(t, noun, id)
	if err == nil && found && json.Unmarshal(value, into) != nil {
		err = chat.E("profiles", chat.KindCorrupt, "a document is unreadable", nil)
	}
	return found, err
}

func unreadable(err error) bool { return chat.KindOf(err) == chat.KindCorrupt }

// settings are what decides about this conversation now: with the assistant that
// answers on its channel, or with the version that ref names. Facts about the
// tenant as a whole have no assistant.
func (a *activation) settings(ref chat.AssistantRef) (*chat.Settings, error) {
	if a.state.ID == "" {
		return a.core.opt.Directory.Settings(a.state.Tenant), nil
	}
	return a.core.profiles.settings(a.core.life, a.state.Tenant, a.epoch, a.state.Channel, ref)
}
