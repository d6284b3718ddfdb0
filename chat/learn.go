package chat

import (
	"encoding/json"
	"slices"
)

// KnowledgeChanged is a step of the work on one source: it was given, some of its
// chunks or vectors are there, what is searched changes, it goes. It belongs to no
// conversation. Turn of Source says which state of the source the step was made on:
// who comes second is refused with "source_changed" and looks again. So two nodes, or
// a person and a job, never mix their work.
type KnowledgeChanged struct {
	// Source is the source after the step, its Turn that of before; 0 for a new one.
	Source Source
	// Removed has the source deleted.
	Removed bool
	// Put are chunks, at most ChunksPerCommit; of Source.Revision, which is not Live
	// before this step. Gone are keys of chunks that nothing shows any more.
	Put  []Chunk
	Gone []string
	// Vectors are batches of vectors, Stale keys of batches that are not used.
	Vectors []VectorBatch
	Stale   []string
	// Shown says that searches find something else after this step.
	Shown bool
}

func (KnowledgeChanged) fact() {}

// SourceFrom reads a document of a Source; known is false when there is none.
func SourceFrom(doc Doc) (s Source, known bool) {
	known = doc.ID != "" && len(doc.Value) > 0 && json.Unmarshal(doc.Value, &s) == nil
	return s, known
}

// Sound says in a word what is wrong with a source; "" for nothing.
func (s *Source) Sound() string {
	_, named := s.ID.Body()
	switch {
	case !named:
		return "source_unnamed"
	case len(s.Title) > SourceTitleMax:
		return "title_too_long"
	case s.Chunks > SourceChunksMax:
		return "too_many_chunks"
	case s.Kind == SourceWebsite && (s.URL == "" || s.Blob != ""), s.Kind != SourceWebsite && s.Blob == "":
		return "source_without_text"
	case s.Revision < 1 || s.Live > s.Revision || s.Stored > s.Chunks || s.Embedded > s.Chunks:
		return "source_unsound"
	}
	return ""
}

func (p *step) knowledgeChanged(f KnowledgeChanged) {
	var was Source
	var head KnowledgeHead
	found := false
	for _, d := range p.in.Known.Docs {
		switch {
		case d.Noun != DocSource:
		case d.ID == string(f.Source.ID):
			was, found = SourceFrom(d)
		case d.ID == "" && len(d.Value) > 0:
			_ = json.Unmarshal(d.Value, &head) // an unreadable one begins anew
		}
	}
	if reason := f.refusal(&was, found); reason != "" {
		p.refuse(reason)
		return
	}
	next := f.Source
	next.Turn++
	next.Changed = p.now
	if !found {
		next.Created = p.now
	}
	if f.Removed {
		p.d.Docs = append(p.d.Docs, Doc{Noun: DocSource, ID: string(next.ID)})
	} else {
		p.putDoc(Doc{Noun: DocSource, ID: string(next.ID)}, &next)
	}
	for i := range f.Put {
		p.putDoc(Doc{Noun: DocChunk, ID: f.Put[i].Key()}, &f.Put[i])
	}
	for i := range f.Vectors {
		p.putDoc(Doc{Noun: DocVectors, ID: f.Vectors[i].Key()}, &f.Vectors[i])
	}
	for _, key := range f.Gone {
		p.d.Docs = append(p.d.Docs, Doc{Noun: DocChunk, ID: key})
	}
	for _, key := range f.Stale {
		p.d.Docs = append(p.d.Docs, Doc{Noun: DocVectors, ID: key})
	}
	if f.Shown {
		head.Turn++
		p.putDoc(Doc{Noun: DocSource, ID: ""}, &head)
	}
}

// refusal is why a step is not taken, in a word.
func (f *KnowledgeChanged) refusal(was *Source, found bool) string {
	switch {
	case !found && f.Source.Turn != 0, found && was.Turn != f.Source.Turn:
		return "source_changed"
	case f.Removed:
		return ""
	case len(f.Put) > ChunksPerCommit:
		return "too_many_chunks"
	}
	for i := range f.Put {
		// What was shown stays as it was shown.
		if c := &f.Put[i]; c.Source != f.Source.ID || c.Revision != f.Source.Revision || c.Revision <= was.Live || len(c.Text) > ChunkMax {
			return "chunk_unsound"
		}
	}
	for i := range f.Vectors {
		b := &f.Vectors[i]
		if b.Source != f.Source.ID || b.Model != f.Source.Model || b.Dims != f.Source.Dims || b.Dims > VectorDimsMax ||
			len(b.Chunks) == 0 || len(b.Data) != 4*b.Dims*len(b.Chunks) || slices.Contains(b.Chunks, "") {
			return "vectors_unsound"
		}
	}
	return f.Source.Sound()
}
