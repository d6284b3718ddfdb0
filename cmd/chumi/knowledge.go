package main

import (
	"context"
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/knowledge"
	"github.com/chumiai/chumi/transport/egress"
	"github.com/chumiai/chumi/transport/extract"
	"github.com/chumiai/chumi/transport/openai"
)

// crawlPause is between two pages of a website.
const crawlPause = 200 * time.Millisecond

// texts makes text of what a business gives of its knowledge.
type texts struct{ web *egress.Client }

// FileText implements actors.Texts.
func (texts) FileText(_ context.Context, mimeType, filename string, body []byte) ([]chat.Excerpt, error) {
	return extract.Sections(mimeType, filename, body)
}

// SiteText implements actors.Texts. A page without text is passed over; what stands
// on every page stays what it is.
func (t texts) SiteText(ctx context.Context, url string, pages int) (list []chat.Excerpt, read int, err error) {
	size := 0
	_, err = t.web.Crawl(ctx, egress.Crawl{Start: url, Pages: pages, Pause: crawlPause,
		Links: func(page *egress.Response) []string {
			if kind, _ := extract.Type(page.Header.Get("Content-Type"), page.URL.Path, page.Body); kind != extract.TypeHTML {
				return nil
			}
			return extract.Links(page.Body)
		}},
		func(page *egress.Response) error {
			excerpts, err := extract.Sections(page.Header.Get("Content-Type"), page.URL.Path, page.Body)
			if err != nil {
				return nil //nolint:nilerr // a picture, or a page of nothing
			}
			for _, e := range excerpts {
				e.URL = page.URL.String()
				if size += len(e.Text); size > chat.SourceTextMax {
					return chat.E("texts", chat.KindInvalid, "text_too_long", nil)
				}
				list = append(list, e)
			}
			read++
			return nil
		})
	if err == nil && len(list) == 0 {
		err = chat.E("texts", chat.KindInvalid, "no_text", nil)
	}
	return list, read, err
}

// embedder makes vectors by the model of the configuration, while there is money.
type embedder struct {
	client *openai.Client
	model  string
	// most is what is known of a call before it is made; affords reports whether a
	// tenant has the money for it.
	most    chat.Spend
	affords func(t chat.TenantID, most chat.Spend) bool
}

var errUnaffordable = chat.E("embed", chat.KindUnavailable, "budget_used_up", nil)

// EmbeddingModel implements actors.Embedder: the name includes the provider, as two
// may have models of one name.
func (e *embedder) EmbeddingModel(chat.TenantID) string { return e.model }

// Embed implements actors.Embedder.
func (e *embedder) Embed(ctx context.Context, t chat.TenantID, texts []string) ([][]float32, error) {
	most := e.most
	for _, text := range texts {
		most.Tokens.Prompt += int64(len(text)) // no token is less than a byte
	}
	if !e.affords(t, most) {
		return nil, errUnaffordable
	}
	vectors, _, err := e.client.Embed(ctx, t, texts)
	if err != nil {
		return nil, chat.E("embed", chat.KindUnavailable, "embedding_failed", err)
	}
	return vectors, nil
}

// giveKnowledge adds to the options of the actors what reads and finds knowledge. The
// simulator's vectors mean nothing: with it, knowledge is searched without a model.
func (s *Server) giveKnowledge(o *actors.Options) {
	c := &s.opt.Config.Assistant
	find := knowledge.Options{Documents: s.store, Clock: wallClock{}.Now}
	if s.model != nil && s.opt.Simulator == nil && c.EmbeddingModel != "" {
		e := &embedder{client: s.model, model: c.EmbeddingModel,
			most:    chat.Spend{Operation: chat.OperationEmbeddings, Provider: c.EmbeddingProvider, Model: c.EmbeddingModel},
			affords: func(t chat.TenantID, most chat.Spend) bool { return s.system.Affords(t, most) }}
		if c.EmbeddingProvider != "" {
			e.model = c.EmbeddingProvider + "/" + c.EmbeddingModel
		}
		o.Embedder, find.Embedder = e, e
	}
	indexes := knowledge.New(find)
	s.onClose(func() error { indexes.Close(); return nil })
	o.Knowledge, o.Texts = indexes, texts{s.egress}
}
