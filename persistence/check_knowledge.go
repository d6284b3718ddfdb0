package persistence

import (
	"bytes"
	"encoding/json"

	"github.com/chumiai/chumi/chat"
)

// checkedKnowledge is what a tenant knows, as far as its rows came.
type checkedKnowledge struct {
	sources map[chat.SourceID]chat.Source
	// revisions are those of the chunks of a source, and where a row of each was met.
	revisions map[chat.SourceID][]int
	rows      map[chat.SourceID][]byte
}

// knowledgeDoc checks a document of the knowledge; others are none of its business.
func (k *checker) knowledgeDoc(noun chat.DocNoun, d document, key []byte) {
	t := k.tenant
	if t.knowledge.rows == nil {
		t.knowledge = checkedKnowledge{sources: map[chat.SourceID]chat.Source{}, revisions: map[chat.SourceID][]int{}, rows: map[chat.SourceID][]byte{}}
	}
	met := func(id chat.SourceID) { t.knowledge.rows[id] = bytes.Clone(key) }
	switch noun {
	case chat.DocSource:
		if d.ID == "" {
			var head chat.KnowledgeHead
			if json.Unmarshal(d.Value, &head) != nil {
				k.broken(InvariantKnowledge, key, "the head is unreadable")
			}
			return
		}
		s, known := chat.SourceFrom(chat.Doc{ID: d.ID, Value: d.Value})
		if !known || string(s.ID) != d.ID || s.Sound() != "" {
			k.broken(InvariantKnowledge, key, "no sound source")
			return
		}
		t.knowledge.sources[s.ID] = s
		met(s.ID)
	case chat.DocChunk:
		var c chat.Chunk
		if json.Unmarshal(d.Value, &c) != nil || c.Key() != d.ID || c.Version < 1 {
			k.broken(InvariantKnowledge, key, "no sound chunk")
			return
		}
		t.knowledge.revisions[c.Source] = append(t.knowledge.revisions[c.Source], c.Revision)
		met(c.Source)
	case chat.DocVectors:
		var b chat.VectorBatch
		if json.Unmarshal(d.Value, &b) != nil || b.Key() != d.ID || len(b.Data) != 4*b.Dims*len(b.Chunks) {
			k.broken(InvariantKnowledge, key, "no sound batch of vectors")
			return
		}
		met(b.Source)
	}
}

// endKnowledge compares what a tenant's sources say with the chunks that there are.
func (k *checker) endKnowledge() {
	t := k.tenant
	for id, key := range t.knowledge.rows {
		s, ok := t.knowledge.sources[id]
		if !ok {
			k.broken(InvariantKnowledge, key, "belongs to no source")
			continue
		}
		shown := 0
		for _, revision := range t.knowledge.revisions[id] {
			if revision > s.Revision {
				k.broken(InvariantKnowledge, key, "a chunk is of a revision that nobody gave")
			}
			if revision <= s.Live {
				shown++
			}
		}
		if rest := s.State == chat.SourceReady || s.State == chat.SourceEmbedding; rest && shown != s.Chunks {
			k.broken(InvariantKnowledge, key, "a source has not the chunks that it says")
		}
	}
}
