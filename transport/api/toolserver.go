package api

import (
	"errors"
	"slices"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// listServers is GET /v1/tool-servers.
func (r *call) listServers() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	list, err := o.Servers.Servers(ctx, r.principal.Tenant)
	if err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	if list == nil {
		list = []chat.ToolServer{}
	}
	return r.answerJSON(page[chat.ToolServer]{Data: list})
}

// showServer is GET /v1/tool-servers/{id}.
func (r *call) showServer() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	s, err := o.Servers.Server(ctx, r.principal.Tenant, r.named())
	if err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	return r.answerJSON(s)
}

// putServer is PUT /v1/tool-servers/{id}. What was approved stays approved while the
// URL is the same.
func (r *call) putServer() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	var in struct {
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}
	if fail := decodeStrict(slices.Clone(r.ctx.PostBody()), &in); fail != nil {
		return fail
	}
	s := chat.ToolServer{Name: r.named(), URL: in.URL, Headers: in.Headers}
	if wrong := o.Checks.CheckServer(r.principal.Tenant, &s); wrong != nil {
		return overLimit(wrong)
	}
	ctx, cancel := r.writing()
	defer cancel()
	switch before, err := o.Servers.Server(ctx, r.principal.Tenant, s.Name); {
	case err == nil && before.URL == s.URL:
		s.Tools = before.Tools
	case err != nil && chat.KindOf(err) != chat.KindNotFound:
		return r.toolFailed(err, &errNoTool)
	}
	if err := o.Servers.PutServer(ctx, r.principal.Tenant, s, r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	return r.answerJSON(s)
}

// discovered is what a server has, held against what was approved.
type discovered struct {
	Server string           `json:"server"`
	Tools  []discoveredTool `json:"tools"`
	// Unusable are tools that cannot be used, by name.
	Unusable []string `json:"unusable"`
}

type discoveredTool struct {
	chat.PinnedTool
	// State is approved, changed or new.
	State string `json:"state"`
}

// discover asks a server for its tools.
func (r *call) discover() (*Tooling, chat.ToolServer, *discovered, *failure) {
	o, fail := r.tooling()
	if fail != nil {
		return nil, chat.ToolServer{}, nil, fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	s, err := o.Servers.Server(ctx, r.principal.Tenant, r.named())
	if err != nil {
		return nil, s, nil, r.toolFailed(err, &errNoTool)
	}
	tools, left, err := o.Checks.Discover(ctx, r.principal.Tenant, &s)
	var e *chat.Error
	switch {
	case chat.KindOf(err) == chat.KindConflict && errors.As(err, &e):
		return nil, s, nil, &failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "tool_server_failed",
			message: "The tool server did not tell its tools: " + e.Reason + "."}
	case err != nil:
		return nil, s, nil, r.toolFailed(err, &errNoTool)
	}
	d := &discovered{Server: s.Name, Tools: []discoveredTool{}, Unusable: append([]string{}, left...)}
	for _, t := range tools {
		state := "new"
		if p := s.Pinned(t.Name); p != nil && p.Digest == t.Digest {
			state = "approved"
		} else if p != nil {
			state = "changed"
		}
		d.Tools = append(d.Tools, discoveredTool{t, state})
	}
	return o, s, d, nil
}

// discoverServer is POST /v1/tool-servers/{id}/discover.
func (r *call) discoverServer() *failure {
	if fail := decode(r.ctx.PostBody(), &nothing{}, true); fail != nil {
		return fail
	}
	_, _, d, fail := r.discover()
	if fail != nil {
		return fail
	}
	return r.answerJSON(d)
}

// approveServer is POST /v1/tool-servers/{id}/approve: the tools that are named, by
// the digest that was looked at, and no others.
func (r *call) approveServer() *failure {
	var in struct {
		Tools []struct {
			Name   string `json:"name"`
			Digest string `json:"digest"`
		} `json:"tools"`
	}
	if fail := decodeStrict(slices.Clone(r.ctx.PostBody()), &in); fail != nil {
		return fail
	}
	if in.Tools == nil {
		return missing("tools")
	}
	o, s, d, fail := r.discover()
	if fail != nil {
		return fail
	}
	s.Tools = nil
	for _, want := range in.Tools {
		i := slices.IndexFunc(d.Tools, func(t discoveredTool) bool { return t.Name == want.Name && t.Digest == want.Digest })
		if i < 0 {
			return invalid("tool_changed", "tools", "The server has no tool of this name and digest now; discover them again.")
		}
		s.Tools = append(s.Tools, d.Tools[i].PinnedTool)
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := o.Servers.PutServer(ctx, r.principal.Tenant, s, r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	return r.answerJSON(s)
}
