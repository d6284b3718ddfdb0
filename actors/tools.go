package actors

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/chumiai/chumi/chat"
)

// Tools is what people and programs of a business do with its tools: look, write,
// delete. Every change is durable when it returns. Whether a definition may stand is
// looked at before. Safe for concurrent use.
type Tools struct{ sys *System }

// Tools returns the way to the tools.
func (s *System) Tools() *Tools { return &Tools{sys: s} }

// Limits of what one tenant has. They are looked at before a write and not within its
// commit: two writers may pass by as many as they are.
const (
	toolsMax       = 200
	toolServersMax = 20
	toolSecretsMax = 200
	toolHostsMax   = 100
)

var (
	errNoTool     = chat.E("tools", chat.KindNotFound, "no such tool", nil)
	errManyTools  = chat.E("tools", chat.KindConflict, "too_many", nil)
	errBrokenTool = chat.E("tools", chat.KindCorrupt, "a document is unreadable", nil)
)

// put makes a fact about the tenant as a whole durable and returns its verdict.
func (s *System) put(ctx context.Context, t chat.TenantID, f chat.Fact) (chat.Verdict, error) {
	if !s.asking.enter() {
		return chat.Verdict{}, errDraining
	}
	defer s.asking.leave()
	a := s.ask(ctx, &mail{tenant: t, group: s.opt.Leadership.Group(t), items: []item{{fact: f}}})
	if a.err != nil {
		return chat.Verdict{}, a.err
	}
	v := a.verdicts[0]
	if v.Kind == chat.VerdictRefused {
		return v, chat.E("tenant.put", chat.KindConflict, v.Reason, nil)
	}
	return v, nil
}

// documentsOf reads every document of a noun, by id.
func documentsOf[T any](ctx context.Context, s *System, t chat.TenantID, noun chat.DocNoun, key func(*T) string) ([]T, error) {
	docs, err := s.opt.Documents.Docs(ctx, t, noun)
	if err != nil {
		return nil, err
	}
	list := make([]T, len(docs))
	for i := range docs {
		if json.Unmarshal(docs[i].Value, &list[i]) != nil {
			return nil, errBrokenTool
		}
	}
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(&a), key(&b)) })
	return list, s.opt.Barrier.Barrier(ctx, t)
}

// documentOf reads one document; KindNotFound when there is none.
func documentOf[T any](ctx context.Context, s *System, t chat.TenantID, noun chat.DocNoun, id string) (v T, err error) {
	value, found, err := s.opt.Documents.Doc(t, noun, id)
	switch {
	case err != nil:
		return v, err
	case !found:
		return v, errNoTool
	case json.Unmarshal(value, &v) != nil:
		return v, errBrokenTool
	}
	return v, s.opt.Barrier.Barrier(ctx, t)
}

// List returns the tools of a tenant by name, without the engine's own.
func (o *Tools) List(ctx context.Context, t chat.TenantID) ([]chat.Tool, error) {
	return documentsOf(ctx, o.sys, t, chat.DocTool, func(v *chat.Tool) string { return v.Name })
}

// Tool returns one of them.
func (o *Tools) Tool(ctx context.Context, t chat.TenantID, name string) (chat.Tool, error) {
	return documentOf[chat.Tool](ctx, o.sys, t, chat.DocTool, name)
}

// PutTool writes a tool. REQUIRES: it passed the checks of whoever runs it.
func (o *Tools) PutTool(ctx context.Context, t chat.TenantID, tool chat.Tool, by string) error {
	return o.write(ctx, t, chat.DocTool, tool.Name, toolsMax, &tool, by)
}

// Servers returns the tool servers of a tenant by name.
func (o *Tools) Servers(ctx context.Context, t chat.TenantID) ([]chat.ToolServer, error) {
	return documentsOf(ctx, o.sys, t, chat.DocToolServer, func(v *chat.ToolServer) string { return v.Name })
}

// Server returns one of them.
func (o *Tools) Server(ctx context.Context, t chat.TenantID, name string) (chat.ToolServer, error) {
	return documentOf[chat.ToolServer](ctx, o.sys, t, chat.DocToolServer, name)
}

// PutServer writes a tool server.
func (o *Tools) PutServer(ctx context.Context, t chat.TenantID, server chat.ToolServer, by string) error {
	return o.write(ctx, t, chat.DocToolServer, server.Name, toolServersMax, &server, by)
}

// SecretNames lists the secrets there are; nothing returns one.
func (o *Tools) SecretNames(ctx context.Context, t chat.TenantID) ([]string, error) {
	docs, err := o.sys.opt.Documents.Docs(ctx, t, chat.DocToolSecret)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(docs))
	for i := range docs {
		names[i] = docs[i].ID
	}
	slices.Sort(names)
	return names, o.sys.opt.Barrier.Barrier(ctx, t)
}

// PutSecret writes a secret.
func (o *Tools) PutSecret(ctx context.Context, t chat.TenantID, name string, secret chat.Secret, by string) error {
	return o.write(ctx, t, chat.DocToolSecret, name, toolSecretsMax, secret.Reveal(), by)
}

// Hosts returns the hosts that the tenant's tools may talk to.
func (o *Tools) Hosts(ctx context.Context, t chat.TenantID) (chat.ToolHosts, error) {
	h, err := documentOf[chat.ToolHosts](ctx, o.sys, t, chat.DocToolHosts, chat.ToolHostsID)
	if chat.KindOf(err) == chat.KindNotFound {
		return chat.ToolHosts{}, nil
	}
	return h, err
}

// PutHosts replaces them.
func (o *Tools) PutHosts(ctx context.Context, t chat.TenantID, h chat.ToolHosts, by string) error {
	if len(h.Hosts) > toolHostsMax {
		return errManyTools
	}
	return o.write(ctx, t, chat.DocToolHosts, chat.ToolHostsID, toolHostsMax, &h, by)
}

// write stores a document of a tool.
func (o *Tools) write(ctx context.Context, t chat.TenantID, noun chat.DocNoun, id string, most int, v any, by string) error {
	value, err := json.Marshal(v)
	if err != nil {
		return chat.E("tools", chat.KindInvalid, "not JSON", nil)
	}
	if _, found, err := o.sys.opt.Documents.Doc(t, noun, id); err != nil {
		return err
	} else if !found {
		docs, err := o.sys.opt.Documents.Docs(ctx, t, noun)
		if err != nil {
			return err
		}
		if len(docs) >= most {
			return errManyTools
		}
	}
	_, err = o.sys.put(ctx, t, chat.ToolsPut{Docs: []chat.Doc{{Noun: noun, ID: id, Value: value}}, By: by})
	return err
}

// Drop deletes a tool, a server or a secret by name; KindNotFound when there is none.
func (o *Tools) Drop(ctx context.Context, t chat.TenantID, noun chat.DocNoun, id, by string) error {
	v, err := o.sys.put(ctx, t, chat.ToolsPut{Docs: []chat.Doc{{Noun: noun, ID: id}}, By: by})
	if err == nil && v.Kind == chat.VerdictDuplicate {
		return errNoTool
	}
	return err
}
