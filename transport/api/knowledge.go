package api

import (
	"errors"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

const knowledgePath = "/v1/knowledge"

var errNoSource = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "source_not_found",
	message: "There is no such source of knowledge."}

// sourceView is a source as the API shows it: what opens its file never.
type sourceView struct {
	ID       chat.SourceID    `json:"id"`
	Kind     chat.SourceKind  `json:"kind"`
	Title    string           `json:"title"`
	URL      string           `json:"url,omitempty"`
	PagesMax int              `json:"pages_max,omitempty"`
	MIME     string           `json:"mime_type,omitempty"`
	Filename string           `json:"filename,omitempty"`
	Size     int64            `json:"size,omitempty"`
	Revision int              `json:"revision"`
	Live     int              `json:"live_revision"`
	State    chat.SourceState `json:"state"`
	Reason   string           `json:"reason,omitempty"`
	Progress sourceProgress   `json:"progress"`
	// Model made the vectors; null when none did.
	Model   *string   `json:"embedding_model"`
	Created time.Time `json:"created_at"`
	Changed time.Time `json:"changed_at"`
}

// sourceProgress tells how far the reading is: Stored and Embedded of Chunks.
type sourceProgress struct {
	Pages    int `json:"pages"`
	Chunks   int `json:"chunks"`
	Stored   int `json:"stored"`
	Embedded int `json:"embedded"`
}

func sourceOf(s *chat.Source) sourceView {
	v := sourceView{ID: s.ID, Kind: s.Kind, Title: s.Title, URL: s.URL, PagesMax: s.PagesMax, MIME: s.MIME, Filename: s.Filename, Size: s.Size,
		Revision: s.Revision, Live: s.Live, State: s.State, Reason: s.Reason,
		Progress: sourceProgress{Pages: s.Pages, Chunks: s.Chunks, Stored: s.Stored, Embedded: s.Embedded},
		Created:  s.Created, Changed: s.Changed}
	if s.Model != "" {
		v.Model = &s.Model
	}
	return v
}

// sources is the way to the knowledge, or the answer of an engine without.
func (r *call) sources() (Sources, *failure) {
	if r.opt.Sources == nil {
		return nil, &errNoSource
	}
	return r.opt.Sources, nil
}

// listSources is GET /v1/knowledge: there is one page.
func (r *call) listSources() *failure {
	k, fail := r.sources()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	list, err := k.List(ctx, r.principal.Tenant)
	if err != nil {
		return r.sourceFailed(err)
	}
	page := struct {
		Data []sourceView `json:"data"`
		Next *string      `json:"next_cursor"`
	}{Data: make([]sourceView, 0, len(list))}
	for i := range list {
		page.Data = append(page.Data, sourceOf(&list[i]))
	}
	return r.answerJSON(page)
}

// showSource is GET /v1/knowledge/{id}.
func (r *call) showSource() *failure {
	k, fail := r.sources()
	if fail != nil {
		return fail
	}
	s, err := k.Source(r.principal.Tenant, chat.SourceID(r.object))
	if err != nil {
		return r.sourceFailed(err)
	}
	return r.answerJSON(sourceOf(&s))
}

// addSource is POST /v1/knowledge.
func (r *call) addSource() *failure {
	k, fail := r.sources()
	if fail != nil {
		return fail
	}
	key, fail := r.idempotencyKey()
	if fail != nil {
		return fail
	}
	given, fail := r.given()
	if fail != nil {
		return fail
	}
	r.ctx.Response.Header.Set("Idempotency-Key", key)
	ctx, cancel := r.writing()
	defer cancel()
	s, replayed, err := k.Add(ctx, r.principal.Tenant, key, given)
	if err != nil {
		return r.sourceFailed(err)
	}
	if replayed {
		r.ctx.Response.Header.Set("Idempotent-Replayed", "true")
	}
	r.ctx.SetStatusCode(fasthttp.StatusCreated)
	return r.answerJSON(sourceOf(&s))
}

// replaceSource is PUT /v1/knowledge/{id}.
func (r *call) replaceSource() *failure {
	k, fail := r.sources()
	if fail != nil {
		return fail
	}
	given, fail := r.given()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	s, err := k.Replace(ctx, r.principal.Tenant, chat.SourceID(r.object), given)
	if err != nil {
		return r.sourceFailed(err)
	}
	return r.answerJSON(sourceOf(&s))
}

// reindexSource is POST /v1/knowledge/{id}/reindex.
func (r *call) reindexSource() *failure {
	k, fail := r.sources()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	s, err := k.Reindex(ctx, r.principal.Tenant, chat.SourceID(r.object))
	if err != nil {
		return r.sourceFailed(err)
	}
	return r.answerJSON(sourceOf(&s))
}

// removeSource is DELETE /v1/knowledge/{id}.
func (r *call) removeSource() *failure {
	k, fail := r.sources()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := k.Remove(ctx, r.principal.Tenant, chat.SourceID(r.object)); err != nil {
		return r.sourceFailed(err)
	}
	r.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// searchKnowledge is POST /v1/knowledge/search: what the assistant would find.
func (r *call) searchKnowledge() *failure {
	k, fail := r.sources()
	if fail != nil {
		return fail
	}
	var in struct {
		Query string `json:"query"`
		Limit *int   `json:"limit"`
	}
	if fail := decodeStrict(r.ctx.PostBody(), &in); fail != nil {
		return fail
	}
	limit := 6
	if in.Limit != nil {
		limit = *in.Limit
	}
	switch {
	case strings.TrimSpace(in.Query) == "":
		return invalid("parameter_missing", "query", "query is what to look for.")
	case len(in.Query) > chat.QueryMax:
		return invalid("parameter_invalid", "query", "query must be at most "+strconv.Itoa(chat.QueryMax)+" bytes.")
	case limit < 1 || limit > chat.SearchMax:
		return invalid("parameter_invalid", "limit", "limit must be between 1 and "+strconv.Itoa(chat.SearchMax)+".")
	}
	ctx, cancel := r.reading()
	defer cancel()
	list, err := k.Search(ctx, r.principal.Tenant, in.Query, limit)
	if err != nil {
		return r.sourceFailed(err)
	}
	if list == nil {
		list = []chat.Passage{}
	}
	return r.answerJSON(struct {
		Data []chat.Passage `json:"data"`
		Next *string        `json:"next_cursor"`
	}{Data: list})
}

// sourceBody is a source in JSON: a text, or a website.
type sourceBody struct {
	Title    string `json:"title"`
	Text     string `json:"text"`
	MIME     string `json:"mime_type"`
	URL      string `json:"url"`
	PagesMax int    `json:"pages_max"`
}

// textTypes are those that a text in JSON may be of.
var textTypes = []string{"", "text/plain", "text/markdown", "text/html", "text/csv"}

// given is what a request gives: JSON with a text or a website, else a file.
func (r *call) given() (chat.Given, *failure) {
	t, _, _ := mime.ParseMediaType(string(r.ctx.Request.Header.ContentType()))
	if t != "application/json" {
		info, body, fail := r.uploaded()
		if fail != nil {
			return chat.Given{}, fail
		}
		title := info.Filename
		if asked := string(r.ctx.QueryArgs().Peek("title")); asked != "" {
			title = asked
		}
		g := chat.Given{Kind: chat.SourceFile, Title: title, Body: slices.Clone(body), MIME: info.MIME, Filename: info.Filename}
		return g, titled(g.Title)
	}
	var in sourceBody
	if fail := decodeStrict(r.ctx.PostBody(), &in); fail != nil {
		return chat.Given{}, fail
	}
	switch {
	case (strings.TrimSpace(in.Text) == "") == (in.URL == ""):
		return chat.Given{}, invalid("parameter_missing", "text", "A source has either text or url.")
	case in.URL != "":
		g := chat.Given{Kind: chat.SourceWebsite, Title: in.Title, URL: in.URL, PagesMax: in.PagesMax}
		if err := r.opt.CheckURL(in.URL); err != nil {
			return g, invalid("url_refused", "url", "The engine does not fetch this address: it must be a public https page ("+reasonOf(err)+").")
		}
		if in.PagesMax < 0 || in.PagesMax > pagesMax || in.MIME != "" {
			return g, invalid("parameter_invalid", "pages_max", "A website has at most "+strconv.Itoa(pagesMax)+" pages, and no mime_type.")
		}
		return g, titled(in.Title)
	case !slices.Contains(textTypes, in.MIME):
		return chat.Given{}, invalid("parameter_invalid", "mime_type", "A text is text/plain, text/markdown, text/html or text/csv; send other types as a file.")
	}
	g := chat.Given{Kind: chat.SourceText, Title: in.Title, Body: []byte(in.Text), MIME: in.MIME}
	if g.MIME == "" {
		g.MIME = "text/plain"
	}
	return g, titled(in.Title)
}

// pagesMax is what a crawl fetches at most.
const pagesMax = 500

func titled(title string) *failure {
	if len(title) > chat.SourceTitleMax || !utf8.ValidString(title) {
		return invalid("parameter_invalid", "title", "title must be at most "+strconv.Itoa(chat.SourceTitleMax)+" bytes of text.")
	}
	return nil
}

func reasonOf(err error) string {
	var e *chat.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return "unreadable"
}

// sourceFailed is failed with the words of sources.
func (r *call) sourceFailed(err error) *failure {
	switch reason := reasonOf(err); {
	case chat.KindOf(err) == chat.KindNotFound:
		return &errNoSource
	case chat.KindOf(err) == chat.KindConflict:
		return refused(reason)
	case chat.KindOf(err) == chat.KindInvalid:
		return invalid(reason, "", "The source cannot be taken as it is: "+reason+".")
	}
	return r.failed(err)
}
