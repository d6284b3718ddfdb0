package actors

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// readEvery is how often the sources of all tenants are looked at.
	readEvery = time.Minute
	// readTogether bounds the sources being read: each holds a file and its text.
	readTogether = 2
	// embedTogether is how many texts a model is given at once.
	embedTogether = 2 * chat.VectorsPerBatch
)

// reading does what sources owe: it extracts their text, cuts it into chunks, stores
// those, shows them, and then has vectors made. All of it follows from the source's
// document (chat.Source.State), which says after each step how far it came: after a
// crash, or on another node, reading begins at the step that is missing. Of a file the
// same chunks come again, so that those stored are found to be; of a website what it
// says then. It looks after tenants whose group this node leads; that two nodes work on
// one source while leadership moves costs work and mixes nothing, see
// chat.KnowledgeChanged.
type reading struct {
	sys   *System
	slots chan struct{}
	woken chan struct{}

	mu sync.Mutex // guards the fields below
	// busy are sources being read; failing are those that failed for now.
	busy    map[sourceKey]bool
	failing map[sourceKey]setback
}

type sourceKey struct {
	tenant chat.TenantID
	id     chat.SourceID
}

func newReading(s *System) *reading {
	return &reading{sys: s, slots: make(chan struct{}, readTogether), woken: make(chan struct{}, 1),
		busy: map[sourceKey]bool{}, failing: map[sourceKey]setback{}}
}

// wake has the sources looked at soon.
func (r *reading) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// run looks after sources until the walkers stop.
func (r *reading) run() {
	for {
		r.look()
		due := make(chan struct{})
		stop := r.sys.opt.Clock.AfterFunc(readEvery/2+jittered(readEvery, r.sys.opt.Rand)/2, func() { close(due) })
		select {
		case <-due:
		case <-r.woken:
			stop()
		case <-r.sys.walk.Done():
			stop()
			return
		}
	}
}

// look starts what is owed now and waits for nothing but a place.
func (r *reading) look() {
	s := r.sys
	now := s.opt.Clock.Now()
	for _, t := range s.opt.Registry.Tenants() {
		if s.opt.Leadership.Epoch(s.opt.Leadership.Group(t.ID)) == 0 || s.held(t.ID) {
			continue
		}
		list, err := s.Sources().List(s.walk, t.ID)
		if err != nil {
			if s.walk.Err() == nil {
				s.opt.Logger.Warn("the knowledge of a tenant cannot be looked at", "tenant", t.ID, "err", err)
			}
			continue
		}
		for i := range list {
			key := sourceKey{t.ID, list[i].ID}
			if !r.owed(t.ID, &list[i]) || !r.claim(key, now) {
				continue
			}
			select {
			case r.slots <- struct{}{}:
			case <-s.walk.Done():
				r.settle(key, nil)
				return
			}
			if !s.workers.run(func() { r.work(key) }) {
				return
			}
		}
	}
}

// owed reports whether there is something to do for a source.
func (r *reading) owed(t chat.TenantID, s *chat.Source) bool {
	switch s.State {
	case chat.SourceWaiting, chat.SourceEmbedding:
		return true
	}
	return s.Live > 0 && s.Model != r.model(t)
}

// model is what makes a tenant's vectors; "" for nothing.
func (r *reading) model(t chat.TenantID) string {
	if r.sys.opt.Embedder == nil {
		return ""
	}
	return r.sys.opt.Embedder.EmbeddingModel(t)
}

func (r *reading) claim(key sourceKey, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[key] || now.Before(r.failing[key].until) {
		return false
	}
	r.busy[key] = true
	return true
}

func (r *reading) settle(key sourceKey, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, key)
	if err == nil {
		delete(r.failing, key)
		return
	}
	f := r.failing[key]
	f.pause = min(max(2*f.pause, keepEvery), keepPauseMax)
	f.until = r.sys.opt.Clock.Now().Add(f.pause)
	r.failing[key] = f
}

// work does what one source owes, to its end or to the first thing that fails.
func (r *reading) work(key sourceKey) {
	defer func() { <-r.slots }()
	ctx := r.sys.walk
	var err error
	for err == nil {
		var s chat.Source
		if s, err = r.sys.Sources().Source(key.tenant, key.id); err != nil || !r.owed(key.tenant, &s) {
			break
		}
		if s.State == chat.SourceWaiting {
			err = r.read(ctx, key.tenant, s)
		} else {
			err = r.embed(ctx, key.tenant, s)
		}
		if errors.Is(err, errSourceBusy) {
			err = nil // somebody changed it: what it owes now is done next
		}
		if err != nil && ctx.Err() == nil {
			r.sys.opt.Logger.Warn("a source could not be read yet", "tenant", key.tenant, "source", key.id, "err", err)
			r.note(ctx, key, err)
		}
	}
	if chat.KindOf(err) == chat.KindNotFound && errors.Is(err, errNoSource) {
		err = nil // it was removed
	}
	r.settle(key, err)
}

// note shows people why a source waits; that it cannot be shown is no matter.
func (r *reading) note(ctx context.Context, key sourceKey, why error) {
	s, err := r.sys.Sources().Source(key.tenant, key.id)
	if reason := reasonOf(why); err == nil && s.Reason != reason {
		s.Reason = reason
		_ = r.sys.learnt(ctx, key.tenant, chat.KnowledgeChanged{Source: s})
	}
}

func reasonOf(err error) string {
	var e *chat.Error
	if errors.As(err, &e) && e.Reason != "" {
		return e.Reason
	}
	return "unavailable"
}

// read makes chunks of a source and shows them.
func (r *reading) read(ctx context.Context, t chat.TenantID, s chat.Source) error {
	excerpts, err := r.excerpts(ctx, t, &s)
	if err != nil {
		if k := chat.KindOf(err); k != chat.KindInvalid && !errors.Is(err, errFileGone) {
			return err
		}
		return r.fail(ctx, t, s, reasonOf(err))
	}
	pieces := chat.Cut(excerpts)
	if reason, err := r.room(ctx, t, &s, len(pieces)); err != nil || reason != "" {
		if err != nil {
			return err
		}
		return r.fail(ctx, t, s, reason)
	}
	of, err := r.sys.holdings(ctx, t, s.ID)
	if err != nil {
		return err
	}
	shown, pending := of.split(s.Live)
	put, gone := chat.Revise(&s, shown, pieces, s.Next)
	next := s.Next
	for i := range put {
		next = max(next, chat.ChunkNumber(put[i].ID)+1)
	}
	s.Chunks, s.Reason = len(pieces), ""
	s.Stored = len(pieces) - len(put)
	for part := range slices.Chunk(put, chat.ChunksPerCommit) {
		step := chat.KnowledgeChanged{}
		for i := range part {
			key := part[i].Key()
			if had, ok := pending[key]; !ok || had != part[i] {
				step.Put = append(step.Put, part[i])
			}
			delete(pending, key)
		}
		if s.Stored += len(part); len(step.Put) == 0 {
			continue
		}
		step.Source = s
		if err := r.sys.learnt(ctx, t, step); err != nil {
			return err
		}
		s.Turn++
	}
	for key := range pending { // of a revision that was never shown
		gone = append(gone, key)
	}
	slices.Sort(gone)
	s.Live, s.Next, s.State = s.Revision, next, chat.SourceEmbedding
	if r.model(t) == "" && s.Model == "" {
		s.State = chat.SourceReady
	}
	return r.sys.learnt(ctx, t, chat.KnowledgeChanged{Source: s, Gone: gone, Shown: true})
}

func (r *reading) excerpts(ctx context.Context, t chat.TenantID, s *chat.Source) (list []chat.Excerpt, err error) {
	if s.Kind == chat.SourceWebsite {
		list, s.Pages, err = r.sys.opt.Texts.SiteText(ctx, s.URL, s.PagesMax)
		return list, err
	}
	body, err := r.sys.sourceFile(ctx, t, s)
	if err != nil {
		return nil, err
	}
	return r.sys.opt.Texts.FileText(ctx, s.MIME, s.Filename, body)
}

// room is why a source has too much text, "" when it has not.
func (r *reading) room(ctx context.Context, t chat.TenantID, s *chat.Source, pieces int) (reason string, err error) {
	if pieces > chat.SourceChunksMax {
		return "too_many_chunks", nil
	}
	list, err := r.sys.Sources().List(ctx, t)
	for i := range list {
		if list[i].ID != s.ID {
			pieces += list[i].Chunks
		}
	}
	if pieces > chat.KnowledgeChunksMax {
		return "knowledge_full", err
	}
	return "", err
}

// fail says that a source cannot be read; what was shown of it stays.
func (r *reading) fail(ctx context.Context, t chat.TenantID, s chat.Source, reason string) error {
	s.State, s.Reason = chat.SourceFailed, reason
	return r.sys.learnt(ctx, t, chat.KnowledgeChanged{Source: s})
}

// embed has the vectors made that are missing, and drops those of another model.
func (r *reading) embed(ctx context.Context, t chat.TenantID, s chat.Source) error {
	model := r.model(t)
	of, err := r.sys.holdings(ctx, t, s.ID)
	if err != nil {
		return err
	}
	if s.Model != model {
		s.Model, s.Dims = model, 0
	}
	shown, _ := of.split(s.Live)
	missing, stale := of.missing(shown, model, s.Dims)
	s.Reason, s.Embedded = "", len(shown)-len(missing)
	for part := range slices.Chunk(missing, embedTogether) {
		if model == "" {
			break
		}
		step, err := r.vectors(ctx, t, &s, part)
		if err != nil {
			return err
		}
		s.Embedded += len(part)
		step.Source = s
		if err := r.sys.learnt(ctx, t, step); err != nil {
			return err
		}
		s.Turn++
		stale = slices.DeleteFunc(stale, func(key string) bool { // written anew
			return slices.ContainsFunc(step.Vectors, func(b chat.VectorBatch) bool { return b.Key() == key })
		})
	}
	if s.State == chat.SourceEmbedding {
		s.State = chat.SourceReady
	}
	return r.sys.learnt(ctx, t, chat.KnowledgeChanged{Source: s, Stale: stale, Shown: true})
}

// vectors asks the model for the vectors of some chunks.
func (r *reading) vectors(ctx context.Context, t chat.TenantID, s *chat.Source, chunks []chat.Chunk) (step chat.KnowledgeChanged, err error) {
	texts := make([]string, len(chunks))
	for i := range chunks {
		texts[i] = chunks[i].Content()
	}
	list, err := r.sys.opt.Embedder.Embed(ctx, t, texts)
	if err != nil {
		return step, err
	}
	for i, v := range list {
		if s.Dims == 0 {
			s.Dims = len(v)
		}
		if len(list) != len(chunks) || len(v) != s.Dims || len(v) == 0 || len(v) > chat.VectorDimsMax {
			return step, errDims
		}
		if i%chat.VectorsPerBatch == 0 {
			step.Vectors = append(step.Vectors, chat.VectorBatch{Source: s.ID, Model: s.Model, Dims: s.Dims})
		}
		b := &step.Vectors[len(step.Vectors)-1]
		b.Chunks = append(b.Chunks, chunks[i].Key())
		for _, x := range v {
			b.Data = binary.LittleEndian.AppendUint32(b.Data, math.Float32bits(x))
		}
	}
	if len(step.Vectors) == 0 {
		return step, errDims
	}
	return step, nil
}

// errDims is a model that gives vectors of several lengths: they cannot be compared.
var errDims = chat.E("reading", chat.KindUnavailable, "vectors_of_several_lengths", nil)

// holdings are the documents of one source.
type holdings struct {
	chunks  []chat.Chunk
	batches []chat.VectorBatch
}

// holdings reads them, chunks by their number and version.
func (s *System) holdings(ctx context.Context, t chat.TenantID, id chat.SourceID) (of holdings, err error) {
	docs, err := s.opt.Documents.Docs(ctx, t, chat.DocChunk)
	if err != nil {
		return of, err
	}
	for _, d := range docs {
		var c chat.Chunk
		if json.Unmarshal(d.Value, &c) == nil && c.Source == id {
			of.chunks = append(of.chunks, c)
		}
	}
	slices.SortFunc(of.chunks, func(a, b chat.Chunk) int {
		if n := chat.ChunkNumber(a.ID) - chat.ChunkNumber(b.ID); n != 0 {
			return n
		}
		return a.Version - b.Version
	})
	if docs, err = s.opt.Documents.Docs(ctx, t, chat.DocVectors); err != nil {
		return of, err
	}
	for _, d := range docs {
		var b chat.VectorBatch
		if json.Unmarshal(d.Value, &b) == nil && b.Source == id {
			of.batches = append(of.batches, b)
		}
	}
	return of, nil
}

// split tells chunks that are shown from those of a revision that is not yet.
func (h *holdings) split(live int) (shown []chat.Chunk, pending map[string]chat.Chunk) {
	pending = map[string]chat.Chunk{}
	for _, c := range h.chunks {
		if c.Revision <= live {
			shown = append(shown, c)
		} else {
			pending[c.Key()] = c
		}
	}
	return shown, pending
}

func (h *holdings) batchKeys() (keys []string) {
	for i := range h.batches {
		keys = append(keys, h.batches[i].Key())
	}
	return keys
}

// missing are the chunks without a vector of a model, and the keys of batches that
// hold none that is used. dims of 0 takes any length.
func (h *holdings) missing(shown []chat.Chunk, model string, dims int) (missing []chat.Chunk, stale []string) {
	live, have := map[string]bool{}, map[string]bool{}
	for i := range shown {
		live[shown[i].Key()] = true
	}
	for i := range h.batches {
		b := &h.batches[i]
		used := false
		for _, key := range b.Chunks {
			if b.Model == model && model != "" && (dims == 0 || b.Dims == dims) && live[key] {
				have[key], used = true, true
			}
		}
		if !used {
			stale = append(stale, b.Key())
		}
	}
	for i := range shown {
		if !have[shown[i].Key()] {
			missing = append(missing, shown[i])
		}
	}
	slices.Sort(stale)
	return missing, stale
}
