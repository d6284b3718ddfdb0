package knowledge

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Documents reads a tenant's documents, unsealed. Safe for concurrent use.
type Documents interface {
	Doc(t chat.TenantID, noun chat.DocNoun, id string) (value []byte, found bool, err error)
	Docs(ctx context.Context, t chat.TenantID, noun chat.DocNoun) ([]chat.Doc, error)
}

// Embedder makes vectors of texts. Safe for concurrent use.
type Embedder interface {
	// EmbeddingModel names the model of a tenant; "" for none.
	EmbeddingModel(t chat.TenantID) string
	// Embed returns one vector for each text, all of one length.
	Embed(ctx context.Context, t chat.TenantID, texts []string) ([][]float32, error)
}

// The defaults of Options.
const (
	// DefaultMemoryMax holds some twenty tenants at their limit, or thousands of
	// ordinary ones.
	DefaultMemoryMax = 512 << 20
	DefaultIdleAfter = 30 * time.Minute
	// DefaultEmbedTimeout is how long a search waits for the vector of its query; it
	// then goes by words alone.
	DefaultEmbedTimeout = 3 * time.Second
)

// Options is what Indexes need. Documents and Clock are required.
type Options struct {
	Documents Documents
	// Embedder can be nil: no tenant then has a model.
	Embedder Embedder
	// MemoryMax is about what all indexes may take, in bytes: the least recently used
	// are dropped. One index may be larger.
	MemoryMax    int64
	IdleAfter    time.Duration
	EmbedTimeout time.Duration
	Clock        func() time.Time
}

// Indexes are the indexes of all tenants that were asked of late. Safe for
// concurrent use.
type Indexes struct {
	opt Options

	mu sync.Mutex // guards tenants and what slot says it guards
	// tenants has a slot for each index, in memory or being made.
	tenants map[chat.TenantID]*slot
}

// slot is the place of one tenant's index.
type slot struct {
	// used and size are guarded by Indexes.mu.
	used time.Time
	size int64

	mu sync.Mutex // held while the index is searched or changed
	// index is nil until it is made, and after it was dropped.
	index *index
	// turn is of the head that the index shows.
	turn int64
}

// New returns Indexes without any.
func New(o Options) *Indexes {
	if o.MemoryMax <= 0 {
		o.MemoryMax = DefaultMemoryMax
	}
	if o.IdleAfter <= 0 {
		o.IdleAfter = DefaultIdleAfter
	}
	if o.EmbedTimeout <= 0 {
		o.EmbedTimeout = DefaultEmbedTimeout
	}
	return &Indexes{opt: o, tenants: map[chat.TenantID]*slot{}}
}

// Close drops every index.
func (x *Indexes) Close() { x.evict(func(*slot, int64) bool { return true }) }

// Search returns up to n passages of a tenant's knowledge that bear on the text, best
// first: the same for the same knowledge and query. Without knowledge there are none. It
// sees all that was shown before it was called.
func (x *Indexes) Search(ctx context.Context, t chat.TenantID, text string, n int) ([]chat.Passage, error) {
	text = strings.ToValidUTF8(text, "")
	if len(text) > chat.QueryMax {
		text = strings.ToValidUTF8(text[:chat.QueryMax], "")
	}
	n = min(n, chat.SearchMax)
	turn, found, err := x.head(t)
	if err != nil || !found || n <= 0 || strings.TrimSpace(text) == "" {
		return nil, err
	}
	model, query := x.query(ctx, t, text)
	s := x.slot(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := x.freshen(ctx, t, s, turn, model); err != nil {
		return nil, err
	}
	look := s.index.look(text, query)
	hits := look.passages(n)
	list := make([]chat.Passage, 0, len(hits))
	for _, h := range hits {
		e := s.index.chunks[h.key]
		title := e.title
		if e.chunk.Title != "" && e.chunk.Title != title {
			title = strings.TrimPrefix(title+" > "+e.chunk.Title, " > ")
		}
		list = append(list, chat.Passage{Chunk: e.chunk.ID, Version: e.chunk.Version, Source: string(e.chunk.Source),
			Title: title, URL: e.chunk.URL, Text: e.chunk.Text, Score: h.score, Weak: !look.reaches(h.key, enough)})
	}
	return list, nil
}

// head is the turn of what a tenant shows.
func (x *Indexes) head(t chat.TenantID) (turn int64, found bool, err error) {
	value, found, err := x.opt.Documents.Doc(t, chat.DocSource, "")
	if err != nil || !found {
		return 0, false, err
	}
	var h chat.KnowledgeHead
	if json.Unmarshal(value, &h) != nil {
		return 0, false, errUnreadable
	}
	return h.Turn, true, nil
}

var errUnreadable = chat.E("knowledge", chat.KindCorrupt, "a document of the knowledge is unreadable", nil)

// query is a text as a vector of the tenant's model; nil when there is none, or it
// does not answer in time.
func (x *Indexes) query(ctx context.Context, t chat.TenantID, text string) (model string, v []float32) {
	if x.opt.Embedder == nil {
		return "", nil
	}
	if model = x.opt.Embedder.EmbeddingModel(t); model == "" {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, x.opt.EmbedTimeout)
	defer cancel()
	if got, err := x.opt.Embedder.Embed(ctx, t, []string{text}); err == nil && len(got) == 1 {
		v = append(v, got[0]...)
	}
	return model, v
}

// slot is a tenant's place. Others go when memory is short or they are idle.
func (x *Indexes) slot(t chat.TenantID) *slot {
	now := x.opt.Clock()
	x.mu.Lock()
	s := x.tenants[t]
	if s == nil {
		s = &slot{}
		x.tenants[t] = s
	}
	s.used = now
	x.mu.Unlock()
	x.evict(func(other *slot, over int64) bool {
		return other != s && (over > 0 || now.Sub(other.used) > x.opt.IdleAfter)
	})
	return s
}

// evict drops indexes that nobody searches now, the least recently used first, for
// which gone says so; over is how much memory is above the limit.
func (x *Indexes) evict(gone func(s *slot, over int64) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	over := -x.opt.MemoryMax
	for _, s := range x.tenants {
		over += s.size
	}
	for tried := map[chat.TenantID]bool{}; ; {
		var oldest chat.TenantID
		for t, s := range x.tenants {
			if !tried[t] && gone(s, over) && (oldest == "" || s.used.Before(x.tenants[oldest].used)) {
				oldest = t
			}
		}
		if oldest == "" {
			return
		}
		tried[oldest] = true
		s := x.tenants[oldest]
		if !s.mu.TryLock() {
			continue
		}
		s.index = nil
		over -= s.size
		s.size = 0
		delete(x.tenants, oldest)
		s.mu.Unlock()
	}
}

// Resident is how many tenants have an index in memory, and about what all take.
func (x *Indexes) Resident() (tenants int, size int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.tenants {
		size += s.size
	}
	return len(x.tenants), size
}
