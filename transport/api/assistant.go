package api

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

var (
	errNoAssistant = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "assistant_not_found",
		message: "There is no such assistant."}
	errNoVersion = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "version_not_found",
		message: "The assistant has no such version."}
	errVersionConflict = failure{status: fasthttp.StatusPreconditionFailed, kind: kindConflict, code: "version_conflict", param: "If-Match",
		message: "Somebody has changed it meanwhile; read it again and change that."}
)

// versionView is a version of an assistant as the API shows it.
type versionView struct {
	ID      chat.AssistantID `json:"id"`
	Version int              `json:"version"`
	State   string           `json:"state"` // draft, published or past
	Created string           `json:"created_at"`
	Author  string           `json:"author,omitempty"`
	Tag     string           `json:"etag"`
	assistantBody
}

func showVersion(h *chat.AssistantHead, a *chat.Assistant, tag string) versionView {
	v := versionView{ID: a.ID, Version: a.Version, State: "past", Author: a.Author, Tag: tag, assistantBody: bodyOf(a),
		Created: a.Created.UTC().Format(timeLayout)}
	switch a.Version {
	case h.Draft:
		v.State = "draft"
	case h.Published:
		v.State = "published"
	}
	return v
}

func (r *call) assistant() chat.AssistantID { return chat.AssistantID(r.object) }

// head is the head of the assistant that the path names.
func (r *call) head(ctx context.Context) (h chat.AssistantHead, fail *failure) {
	heads, err := r.opt.Assistants.Heads(ctx, r.principal.Tenant)
	if err != nil {
		return h, r.failed(err)
	}
	i := slices.IndexFunc(heads, func(h chat.AssistantHead) bool { return h.ID == r.assistant() })
	if i < 0 {
		return h, &errNoAssistant
	}
	return heads[i], nil
}

// version reads a version of an assistant.
func (r *call) version(h *chat.AssistantHead, n int) (a chat.Assistant, tag string, fail *failure) {
	a, tag, err := r.opt.Assistants.Version(r.principal.Tenant, chat.RefOf(h.ID, n))
	switch {
	case chat.KindOf(err) == chat.KindNotFound:
		return a, "", &errNoVersion
	case err != nil:
		return a, "", r.failed(err)
	}
	return a, tag, nil
}

// listAssistants is GET /v1/assistants.
func (r *call) listAssistants() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	heads, err := r.opt.Assistants.Heads(ctx, r.principal.Tenant)
	if err != nil {
		return r.failed(err)
	}
	return r.answerJSON(map[string]any{"data": heads})
}

// showAssistant is GET /v1/assistants/{id}.
func (r *call) showAssistant() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	h, fail := r.head(ctx)
	if fail != nil {
		return fail
	}
	out := struct {
		chat.AssistantHead
		Answers *versionView `json:"published_version"`
		Writes  *versionView `json:"draft_version"`
	}{AssistantHead: h}
	if out.Answers, fail = r.showOf(&h, h.Published); fail == nil {
		out.Writes, fail = r.showOf(&h, h.Draft)
	}
	if fail != nil {
		return fail
	}
	return r.answerJSON(out)
}

// showOf is a version as the API shows it; nil for 0.
func (r *call) showOf(h *chat.AssistantHead, n int) (*versionView, *failure) {
	if n == 0 {
		return nil, nil
	}
	a, tag, fail := r.version(h, n)
	if fail != nil {
		return nil, fail
	}
	v := showVersion(h, &a, tag)
	return &v, nil
}

const versionsDefault, versionsMost = 20, 100

// listVersions is GET /v1/assistants/{id}/versions: the newest first.
func (r *call) listVersions() *failure {
	limit, fail := r.limit(versionsDefault, versionsMost)
	if fail != nil {
		return fail
	}
	cursor, fail := r.cursor()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	h, fail := r.head(ctx)
	if fail != nil {
		return fail
	}
	from := h.Latest
	if cursor != "" {
		n, err := strconv.Atoi(cursor)
		if err != nil || n < 1 || n > h.Latest {
			return errCursor
		}
		from = n
	}
	page := struct {
		Data []versionView `json:"data"`
		Next *string       `json:"next_cursor"`
	}{Data: []versionView{}}
	for ; from > 0 && len(page.Data) < limit; from-- {
		a, tag, fail := r.version(&h, from)
		if fail != nil {
			return fail
		}
		page.Data = append(page.Data, showVersion(&h, &a, tag))
	}
	if from > 0 {
		next := strconv.Itoa(from)
		page.Next = &next
	}
	return r.answerJSON(page)
}

// match is the tag of the If-Match header, "" without one.
func (r *call) match() string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(string(r.ctx.Request.Header.Peek("If-Match"))), "W/"), `"`)
}

// draftAssistant is POST /v1/assistants/{id}/versions: it writes the draft.
func (r *call) draftAssistant() *failure {
	var in assistantBody
	if fail := decodeStrict(slices.Clone(r.ctx.PostBody()), &in); fail != nil {
		return fail
	}
	a, fail := in.read()
	if fail != nil {
		return fail
	}
	a.ID, a.Author = r.assistant(), r.principal.Key
	ctx, cancel := r.writing()
	defer cancel()
	v, err := r.opt.AssistantChanges.Draft(ctx, r.principal.Tenant, chat.DraftAssistant{Draft: a, Match: r.match()})
	if fail := r.changed(v, err); fail != nil {
		return fail
	}
	h, fail := r.head(ctx)
	if fail != nil {
		return fail
	}
	a, tag, fail := r.version(&h, v.Version)
	if fail != nil {
		return fail
	}
	r.ctx.Response.Header.Set("ETag", `"`+tag+`"`)
	if v.Kind != chat.VerdictDuplicate {
		r.ctx.SetStatusCode(fasthttp.StatusCreated)
	}
	return r.answerJSON(showVersion(&h, &a, tag))
}

// changed is the failure of a change, nil for none.
func (r *call) changed(v chat.Verdict, err error) *failure {
	switch {
	case err != nil:
		return r.failed(err)
	case v.Kind != chat.VerdictRefused:
		return nil
	case v.Limit != nil:
		return invalid(v.Limit.Code, v.Limit.Param, v.Limit.Message)
	}
	switch v.Reason {
	case "no_such_assistant":
		return &errNoAssistant
	case "no_such_version":
		return &errNoVersion
	case "version_conflict":
		return &errVersionConflict
	}
	return refused(v.Reason)
}

// switched answers with the head of an assistant after a change of it.
func (r *call) switched(change func(context.Context) (chat.Verdict, error)) *failure {
	ctx, cancel := r.writing()
	defer cancel()
	v, err := change(ctx)
	if fail := r.changed(v, err); fail != nil {
		return fail
	}
	h, fail := r.head(ctx)
	if fail != nil {
		return fail
	}
	return r.answerJSON(h)
}

// publishAssistant is POST /v1/assistants/{id}/publish.
func (r *call) publishAssistant() *failure {
	var in struct {
		Version int    `json:"version"`
		Note    string `json:"note"`
	}
	if fail := decode(r.ctx.PostBody(), &in, true); fail != nil {
		return fail
	}
	if fail := noteFits(in.Version, in.Note); fail != nil {
		return fail
	}
	return r.switched(func(ctx context.Context) (chat.Verdict, error) {
		return r.opt.AssistantChanges.Publish(ctx, r.principal.Tenant, chat.PublishAssistant{
			ID: r.assistant(), Version: in.Version, Match: r.match(), By: r.principal.Key, Note: in.Note})
	})
}

// rollBackAssistant is POST /v1/assistants/{id}/rollback.
func (r *call) rollBackAssistant() *failure {
	var in struct {
		Version *int   `json:"version"`
		From    int    `json:"from"`
		Note    string `json:"note"`
	}
	if fail := decode(r.ctx.PostBody(), &in, true); fail != nil {
		return fail
	}
	f := chat.RollBackAssistant{ID: r.assistant(), Previous: in.Version == nil, From: in.From, By: r.principal.Key, Note: in.Note}
	if in.Version != nil {
		f.Version = *in.Version
	}
	if fail := noteFits(min(f.Version, f.From), in.Note); fail != nil {
		return fail
	}
	return r.switched(func(ctx context.Context) (chat.Verdict, error) {
		return r.opt.AssistantChanges.RollBack(ctx, r.principal.Tenant, f)
	})
}

// changeNoteMax bounds what is said about a change, in bytes.
const changeNoteMax = 2000

func noteFits(version int, note string) *failure {
	switch {
	case version < 0:
		return invalid("parameter_invalid", "version", "version must not be negative.")
	case len(note) > changeNoteMax:
		return invalid("parameter_too_long", "note", "note must be at most 2000 bytes.")
	}
	return nil
}

// placeAssistant is PUT /v1/assistants/{id}/channels.
func (r *call) placeAssistant() *failure {
	var in struct {
		Channels *[]string `json:"channels"`
	}
	if fail := decode(r.ctx.PostBody(), &in, false); fail != nil {
		return fail
	}
	if in.Channels == nil {
		return missing("channels")
	}
	f := chat.PlaceAssistant{ID: r.assistant(), By: r.principal.Key}
	for _, ch := range *in.Channels {
		f.Channels = append(f.Channels, chat.ChannelID(ch))
	}
	return r.switched(func(ctx context.Context) (chat.Verdict, error) {
		return r.opt.AssistantPlaces.Place(ctx, r.principal.Tenant, f)
	})
}

// numbered reads the version that a query parameter names; 0 is the configuration's.
func (r *call) numbered(h *chat.AssistantHead, param string, def int) (a chat.Assistant, fail *failure) {
	n, fail := r.number(param, uint64(max(def, 0))) // #nosec G115 -- not negative
	if fail != nil {
		return a, fail
	}
	if n > uint64(max(h.Latest, 0)) || n == 0 { // #nosec G115
		return a, &errNoVersion
	}
	a, _, fail = r.version(h, int(n)) // #nosec G115 -- at most Latest
	return a, fail
}

// diffAssistant is GET /v1/assistants/{id}/diff: what differs between two versions,
// by default from the one that answers to the draft.
func (r *call) diffAssistant() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	h, fail := r.head(ctx)
	if fail != nil {
		return fail
	}
	from, fail := r.numbered(&h, "from", h.Published)
	if fail != nil {
		return fail
	}
	to, fail := r.numbered(&h, "to", h.Draft)
	if fail != nil {
		return fail
	}
	return r.answerJSON(map[string]any{"id": h.ID, "from": from.Version, "to": to.Version, "changes": differences(&from, &to)})
}

// difference is a member that two versions say otherwise; null for nothing.
type difference struct {
	Field  string          `json:"field"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// differences compares what two versions say, member by member in their order.
func differences(from, to *chat.Assistant) []difference {
	before, after := members(from), members(to)
	names := make([]string, 0, len(before)+len(after))
	for _, list := range [...]map[string]json.RawMessage{before, after} {
		for name := range list {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	changes := []difference{}
	for _, name := range slices.Compact(names) {
		if name != "note" && !bytes.Equal(before[name], after[name]) {
			changes = append(changes, difference{name, orNull(before[name]), orNull(after[name])})
		}
	}
	return changes
}

func members(a *chat.Assistant) (m map[string]json.RawMessage) {
	text, err := json.Marshal(bodyOf(a))
	if err != nil || json.Unmarshal(text, &m) != nil {
		return nil
	}
	return m
}

func orNull(b json.RawMessage) json.RawMessage {
	if b == nil {
		return json.RawMessage("null")
	}
	return b
}

// previewAssistant is GET /v1/assistants/{id}/preview: what a model is told.
func (r *call) previewAssistant() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	h, fail := r.head(ctx)
	if fail != nil {
		return fail
	}
	def := h.Draft
	if def == 0 {
		def = h.Published
	}
	a, fail := r.numbered(&h, "version", def)
	if fail != nil {
		return fail
	}
	ch := string(r.ctx.QueryArgs().Peek("channel"))
	tools := make([]string, 0, len(a.Tools))
	for _, g := range a.Tools {
		tools = append(tools, g.Name)
	}
	v := a.Channels[chat.ChannelID(ch)]
	out := map[string]any{"assistant": a.Ref(), "channel_id": nil, "answers": !v.Off, "tools": tools,
		"system_prompt": chat.SystemPrompt(a.On(chat.ChannelID(ch)))}
	if ch != "" {
		out["channel_id"] = ch
	}
	return r.answerJSON(out)
}
