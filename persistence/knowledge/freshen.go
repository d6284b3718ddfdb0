package knowledge

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/chumiai/chumi/chat"
)

// readTries is how often a tenant's documents are read anew because they changed
// meanwhile; what is read then may be of two turns, and is read again by the next
// search.
const readTries = 3

// freshen makes a slot's index show turn, or a later one, with the vectors of model.
// REQUIRES: s.mu is held.
func (x *Indexes) freshen(ctx context.Context, t chat.TenantID, s *slot, turn int64, model string) error {
	if s.index != nil && s.turn == turn && s.index.model == model {
		return nil
	}
	var k known
	for range readTries {
		var err error
		if k, err = x.read(ctx, t, model); err != nil {
			return err
		}
		again, _, err := x.head(t)
		if err != nil {
			return err
		}
		if again == turn {
			break
		}
		turn = again
	}
	if s.index == nil || s.index.model != model || s.index.holes() {
		s.index = newIndex(model)
	}
	k.apply(s.index)
	s.turn = turn
	x.mu.Lock()
	if x.tenants[t] == s {
		s.size = s.index.size
	}
	x.mu.Unlock()
	x.evict(func(other *slot, over int64) bool { return other != s && over > 0 })
	return nil
}

// known is what a tenant shows.
type known struct {
	chunks  map[string]*entry
	vectors map[string][]float32
}

func (x *Indexes) read(ctx context.Context, t chat.TenantID, model string) (k known, err error) {
	sources := map[chat.SourceID]chat.Source{}
	err = each(ctx, x.opt.Documents, t, chat.DocSource, func(id string, s chat.Source) {
		if id != "" {
			sources[s.ID] = s
		}
	})
	if err != nil {
		return k, err
	}
	k.chunks = map[string]*entry{}
	err = each(ctx, x.opt.Documents, t, chat.DocChunk, func(_ string, c chat.Chunk) {
		if s, ok := sources[c.Source]; ok && c.Revision <= s.Live {
			k.chunks[c.Key()] = &entry{chunk: c, title: s.Title}
		}
	})
	if err != nil || model == "" {
		return k, err
	}
	k.vectors = map[string][]float32{}
	dims := 0
	err = each(ctx, x.opt.Documents, t, chat.DocVectors, func(_ string, b chat.VectorBatch) {
		// Numbers of another model mean something else, whatever their length.
		if b.Model != model || dims != 0 && b.Dims != dims {
			return
		}
		list, ok := unpack(&b)
		if !ok {
			return
		}
		dims = b.Dims
		for i, key := range b.Chunks {
			k.vectors[key] = list[i]
		}
	})
	return k, err
}

// each reads every document of a noun.
func each[T any](ctx context.Context, d Documents, t chat.TenantID, noun chat.DocNoun, visit func(id string, v T)) error {
	docs, err := d.Docs(ctx, t, noun)
	if err != nil {
		return err
	}
	slices.SortFunc(docs, func(a, b chat.Doc) int { return cmp.Compare(a.ID, b.ID) })
	for i := range docs {
		var v T
		if json.Unmarshal(docs[i].Value, &v) != nil {
			return errUnreadable
		}
		visit(docs[i].ID, v)
	}
	return nil
}

// apply makes an index show what is known: what it shows already stays.
func (k *known) apply(x *index) {
	for _, key := range slices.Sorted(maps.Keys(x.chunks)) {
		if k.chunks[key] == nil {
			x.remove(key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(k.chunks)) {
		if had := x.chunks[key]; had != nil {
			had.title = k.chunks[key].title
			x.see(had, k.vectors[key])
			continue
		}
		x.add(k.chunks[key], k.vectors[key])
	}
}
