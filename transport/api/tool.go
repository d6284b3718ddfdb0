package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// The failures of tools, products and orders.
var (
	errNoTool = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "tool_not_found",
		message: "There is no such tool, tool server or secret."}
	errNoItem = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "item_not_found",
		message: "There is no such product or order."}
	errTooMany = failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "too_many",
		message: "There are as many as a tenant may have; delete one first."}
)

// toolView is a tool as the API shows and takes it.
type toolView struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Kind        chat.ToolKind   `json:"kind"`
	Acts        bool            `json:"acts"`
	Repeatable  bool            `json:"repeatable"`
	TimeoutMs   int64           `json:"timeout_ms,omitempty"`
	HTTP        *chat.HTTPTool  `json:"http,omitempty"`
	MCP         *chat.MCPTool   `json:"mcp,omitempty"`
}

func toolViewOf(t *chat.Tool) toolView {
	return toolView{Name: t.Name, Description: t.Description, Parameters: t.Parameters, Kind: t.Kind, Acts: t.Acts, Repeatable: t.Repeatable,
		TimeoutMs: t.Timeout.Milliseconds(), HTTP: t.HTTP, MCP: t.MCP}
}

func (v *toolView) tool() chat.Tool {
	return chat.Tool{Name: v.Name, Description: v.Description, Parameters: v.Parameters, Kind: v.Kind, Acts: v.Acts, Repeatable: v.Repeatable,
		Timeout: time.Duration(v.TimeoutMs) * time.Millisecond, HTTP: v.HTTP, MCP: v.MCP}
}

// page is a list that has one page only.
type page[T any] struct {
	Data []T     `json:"data"`
	Next *string `json:"next_cursor"`
}

// named is the id in the path, as it was before it was escaped.
func (r *call) named() string {
	if id, err := url.PathUnescape(r.object); err == nil {
		return id
	}
	return r.object
}

// tooling is what tools are done with; a route without it is none.
func (r *call) tooling() (*Tooling, *failure) {
	if r.opt.Tooling == nil {
		return nil, &errNoRoute
	}
	return r.opt.Tooling, nil
}

// toolFailed is failed for tools and what else tenants write.
func (r *call) toolFailed(err error, none *failure) *failure {
	var e *chat.Error
	switch kind := chat.KindOf(err); {
	case kind == chat.KindNotFound:
		return none
	case kind == chat.KindConflict && errors.As(err, &e) && (e.Reason == "too_many" || e.Reason == "catalog_full"):
		return &errTooMany
	}
	return r.failed(err)
}

func overLimit(l *chat.LimitError) *failure { return invalid(l.Code, l.Param, l.Message) }

// listTools is GET /v1/tools: the engine's own first.
func (r *call) listTools() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	list, err := o.Tools.List(ctx, r.principal.Tenant)
	if err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	all := page[toolView]{Data: []toolView{}}
	for _, t := range append(chat.EngineTools(), list...) {
		all.Data = append(all.Data, toolViewOf(&t))
	}
	return r.answerJSON(all)
}

// findTool is a tool of the tenant or of the engine.
func (r *call) findTool(ctx context.Context, o *Tooling) (chat.Tool, *failure) {
	if own, found := chat.EngineTool(r.named()); found {
		return own, nil
	}
	t, err := o.Tools.Tool(ctx, r.principal.Tenant, r.named())
	if err != nil {
		return t, r.toolFailed(err, &errNoTool)
	}
	return t, nil
}

// showTool is GET /v1/tools/{id}.
func (r *call) showTool() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	t, fail := r.findTool(ctx, o)
	if fail != nil {
		return fail
	}
	return r.answerJSON(toolViewOf(&t))
}

// readTool reads a definition and checks it. What a tool of a server leaves out is as
// it was approved.
func (r *call) readTool(ctx context.Context, o *Tooling, name string) (t chat.Tool, fail *failure) {
	var in toolView
	if fail = decodeStrict(slices.Clone(r.ctx.PostBody()), &in); fail != nil {
		return t, fail
	}
	if in.Name == "" {
		in.Name = name
	}
	if name != "" && in.Name != name {
		return t, invalid("parameter_invalid", "name", "name is that in the path.")
	}
	t = in.tool()
	if t.Kind == chat.ToolMCP && t.MCP != nil {
		server, err := o.Servers.Server(ctx, r.principal.Tenant, t.MCP.Server)
		pinned := server.Pinned(t.MCP.Tool)
		switch {
		case chat.KindOf(err) == chat.KindNotFound || err == nil && pinned == nil:
			return t, invalid("tool_not_approved", "mcp", "The server has no approved tool of this name; see POST /v1/tool-servers/{id}/discover and /approve.")
		case err != nil:
			return t, r.toolFailed(err, &errNoTool)
		}
		if len(t.Parameters) == 0 {
			t.Parameters = pinned.Schema
		}
		if t.Description == "" {
			t.Description = pinned.Description
		}
	}
	if wrong := o.Checks.CheckTool(r.principal.Tenant, &t); wrong != nil {
		return t, overLimit(wrong)
	}
	return t, nil
}

// validateTool is POST /v1/tools/validate: what PUT would say, and nothing is written.
func (r *call) validateTool() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	t, fail := r.readTool(ctx, o, "")
	if fail != nil {
		return fail
	}
	return r.answerJSON(toolViewOf(&t))
}

// putTool is PUT /v1/tools/{id}.
func (r *call) putTool() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	t, fail := r.readTool(ctx, o, r.named())
	if fail != nil {
		return fail
	}
	if err := o.Tools.PutTool(ctx, r.principal.Tenant, t, r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	return r.answerJSON(toolViewOf(&t))
}

// drop deletes a document of a tool.
func (r *call) drop(noun chat.DocNoun) *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := o.Drops.Drop(ctx, r.principal.Tenant, noun, r.named(), r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	r.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

func (r *call) deleteTool() *failure   { return r.drop(chat.DocTool) }
func (r *call) deleteServer() *failure { return r.drop(chat.DocToolServer) }
func (r *call) deleteSecret() *failure { return r.drop(chat.DocToolSecret) }

// trial is what a test run came to.
type trial struct {
	Test    bool    `json:"test"`
	Tool    string  `json:"tool"`
	Error   *string `json:"error"`
	Content string  `json:"content"`
}

// testTool is POST /v1/tools/{id}/test: a run as an assistant's, for no customer. A
// tool that changes something really does.
func (r *call) testTool() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	var in struct {
		Arguments json.RawMessage `json:"arguments"`
		Acts      bool            `json:"acts"`
	}
	if fail := decodeStrict(slices.Clone(r.ctx.PostBody()), &in); fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	t, fail := r.findTool(ctx, o)
	if fail != nil {
		return fail
	}
	if t.Acts && !in.Acts {
		return invalid("tool_acts", "acts", "This tool changes something outside, and a test does so too: say acts to mean it.")
	}
	result := o.Trials.Run(ctx, chat.ToolRun{Tenant: r.principal.Tenant, Tool: t, Key: newID("test_"),
		Call: chat.ToolCall{ID: "test", Name: t.Name, Args: in.Arguments}})
	out := trial{Test: true, Tool: t.Name, Content: result.Content}
	if result.Error != "" {
		out.Error = &result.Error
	}
	return r.answerJSON(out)
}

// listSecrets is GET /v1/tool-secrets: their names.
func (r *call) listSecrets() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	names, err := o.Secrets.SecretNames(ctx, r.principal.Tenant)
	if err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	type secret struct {
		Name string `json:"name"`
	}
	all := page[secret]{Data: []secret{}}
	for _, n := range names {
		all.Data = append(all.Data, secret{n})
	}
	return r.answerJSON(all)
}

// putSecret is PUT /v1/tool-secrets/{id}.
func (r *call) putSecret() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	var in struct {
		Secret string `json:"secret"`
	}
	if fail := decode(r.ctx.PostBody(), &in, false); fail != nil {
		return fail
	}
	if !chat.ValidToolName(r.named()) {
		return invalid("parameter_invalid", "id", "The name of a secret holds letters, digits, _ and - only, at most 64.")
	}
	if why := chat.CheckToolSecret(in.Secret); why != "" {
		return invalid("parameter_invalid", "secret", why)
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := o.Secrets.PutSecret(ctx, r.principal.Tenant, r.named(), chat.Secret(in.Secret), r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	r.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// showHosts is GET /v1/tool-hosts.
func (r *call) showHosts() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	h, err := o.Hosts.Hosts(ctx, r.principal.Tenant)
	if err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	if h.Hosts == nil {
		h.Hosts = []string{}
	}
	return r.answerJSON(h)
}

// putHosts is PUT /v1/tool-hosts.
func (r *call) putHosts() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	var in struct {
		Hosts []string `json:"hosts"`
	}
	if fail := decode(r.ctx.PostBody(), &in, false); fail != nil {
		return fail
	}
	if in.Hosts == nil {
		return missing("hosts")
	}
	for _, h := range in.Hosts {
		if why := chat.CheckToolHost(h); why != "" {
			return invalid("parameter_invalid", "hosts", why)
		}
	}
	slices.Sort(in.Hosts)
	hosts := chat.ToolHosts{Hosts: slices.Compact(in.Hosts)}
	ctx, cancel := r.writing()
	defer cancel()
	if err := o.Hosts.PutHosts(ctx, r.principal.Tenant, hosts, r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoTool)
	}
	return r.answerJSON(hosts)
}
