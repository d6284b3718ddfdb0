package knowledge

// bound is what a passage must reach in one of three ways.
type bound struct {
	// ideas of the question that it shares, see sparse.scores; covered is the part of
	// the question's words, cosine that of vectors of a model.
	ideas   float32
	covered float64
	cosine  float32
}

// What a passage must have to be shown at all, and to be more than a weak one. The
// name of a business alone, or one common idea, is below. The numbers were chosen on
// the part of the retrieval set that is for choosing, but for the cosines: no model
// was asked for those, and of some models every text is above.
var (
	floor  = bound{ideas: 0.7, covered: 0.5, cosine: 0.2}
	enough = bound{ideas: 1.7, covered: 0.7, cosine: 0.45}
)

// look is one question to an index, with what each row is worth for it.
type look struct {
	index *index
	// words and covered are of the words, see words.scores; local and ideas of the
	// vectors made here, see sparse.scores.
	words, covered []float64
	local, ideas   []float32
	// vector is the question's by the model; nil when there is none, or when most chunks
	// have none yet.
	vector []float32
}

// look looks at every chunk. v is the vector of text by the model, nil for none.
func (x *index) look(text string, v []float32) *look {
	l := &look{index: x}
	l.words, l.covered = x.words.scores(text)
	l.local, l.ideas = x.local.scores(text)
	if len(v) > 0 && len(v) == x.meaning.dims && 2*x.embedded >= len(x.chunks) && normalize(v) {
		l.vector = v
	}
	return l
}

// byWords ranks by BM25.
func (l *look) byWords(n int) []hit {
	return ranked(l.index.keys, n, func(row int) float64 { return l.words[row] })
}

// byMeaning ranks by cosine: of vectors of the model, or of those made here.
func (l *look) byMeaning(n int) []hit {
	x := l.index
	if l.vector != nil {
		return ranked(x.vectorKeys, n, func(row int) float64 { return float64(dot(l.vector, x.meaning.row(row))) })
	}
	return ranked(x.keys, n, func(row int) float64 { return float64(l.local[row]) })
}

// passages are the n best that bear on the question, by both rankings.
func (l *look) passages(n int) []hit {
	hits := fuse(l.byWords(depth), l.byMeaning(depth), 2*depth)
	kept := hits[:0]
	for _, h := range hits {
		if len(kept) < n && l.reaches(h.key, floor) {
			kept = append(kept, h)
		}
	}
	return kept
}

// reaches tells whether a chunk has so much to do with the question.
func (l *look) reaches(key string, b bound) bool {
	e := l.index.chunks[key]
	if e.chunk.Language == "" { // no ideas and no endings are known: words alone tell
		b.covered /= 2
	}
	return l.ideas[e.row] >= b.ideas || l.covered[e.row] >= b.covered ||
		l.vector != nil && e.vector >= 0 && dot(l.vector, l.index.meaning.row(e.vector)) >= b.cosine
}
