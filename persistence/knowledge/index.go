package knowledge

import (
	"github.com/chumiai/chumi/chat"
)

// index is what is searched of one tenant, all of it in memory. Its owner serializes
// changes and searches.
type index struct {
	// chunks are those that are searched, by key.
	chunks map[string]*entry
	// words and local have a row for each chunk. keys are by row, "" for one that is not
	// used any more.
	words *words
	local *sparse
	keys  []string
	// meaning holds the vectors of a model, one for each of vectorKeys; embedded are
	// those in use.
	meaning    vectors
	vectorKeys []string
	embedded   int
	// model made the vectors; "" for none.
	model string
	// size is about what it takes, in bytes.
	size int64
}

// entry is a chunk that is searched.
type entry struct {
	chunk chat.Chunk
	// title is of the source.
	title string
	// row is the chunk's in words, vector in meaning; -1 for none.
	row, vector int
}

func newIndex(model string) *index {
	return &index{chunks: map[string]*entry{}, words: newWords(), local: newSparse(), model: model}
}

// add has a chunk searched.
func (x *index) add(e *entry, vector []float32) {
	text := e.chunk.Content()
	e.row, e.vector = len(x.keys), -1
	x.keys = append(x.keys, e.chunk.Key())
	x.chunks[e.chunk.Key()] = e
	x.size += int64(2*len(text)) + 256 + x.words.add(e.chunk.Language, text) + x.local.add(text)
	x.see(e, vector)
}

// see gives a chunk a vector of the model; nil for none.
func (x *index) see(e *entry, v []float32) {
	if v == nil || e.vector >= 0 || !x.meaning.add(v) {
		return
	}
	e.vector = len(x.vectorKeys)
	x.embedded++
	x.vectorKeys = append(x.vectorKeys, e.chunk.Key())
	x.size += int64(4 * x.meaning.dims)
}

// remove has a chunk searched no more. Its rows stay, unused, until the index is
// made anew.
func (x *index) remove(key string) {
	e := x.chunks[key]
	if e == nil {
		return
	}
	text := e.chunk.Content()
	x.words.drop(e.chunk.Language, text)
	x.local.drop(text)
	x.keys[e.row] = ""
	if e.vector >= 0 {
		x.embedded--
		x.vectorKeys[e.vector] = ""
	}
	delete(x.chunks, key)
}

// holes tells whether so many rows are unused that the index is better made anew.
func (x *index) holes() bool { return len(x.keys) > 1000 && 2*len(x.chunks) < len(x.keys) }

// ranked are the n rows in use with the highest scores above zero.
func ranked(keys []string, n int, score func(row int) float64) []hit {
	hits := make([]hit, 0, len(keys))
	for row, key := range keys {
		if key == "" {
			continue
		}
		if s := score(row); s > 0 {
			hits = append(hits, hit{key, s})
		}
	}
	return best(hits, n)
}
