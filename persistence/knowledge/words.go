package knowledge

import (
	"math"
	"slices"
)

// The two numbers of BM25, as everybody has them: how soon a repetition counts no
// more, and how much a long text is held back.
const (
	bm25K1 = 1.2
	bm25B  = 0.75
)

// words ranks by BM25, each language by itself: what is rare, and what is long, is so
// among texts of the same language.
type words struct {
	by map[string]*vocabulary
	// lengths are the terms of each row.
	lengths []int32
}

// vocabulary is one language of a tenant.
type vocabulary struct {
	postings map[string][]occurrence
	// seen counts the rows in use that a term is in; rows are all of them, and total
	// their terms.
	seen  map[string]int
	rows  int
	total int
}

type occurrence struct{ row, times int32 }

func newWords() *words { return &words{by: map[string]*vocabulary{}} }

// add appends a text as the next row and returns about what it takes, in bytes.
func (w *words) add(language, text string) (size int64) {
	if _, known := analyzers[language]; !known {
		language = ""
	}
	v := w.by[language]
	if v == nil {
		v = &vocabulary{postings: map[string][]occurrence{}, seen: map[string]int{}}
		w.by[language] = v
	}
	row := int32(len(w.lengths)) // #nosec G115 -- bounded by chat.KnowledgeChunksMax
	list := terms(language, text)
	w.lengths = append(w.lengths, int32(len(list))) // #nosec G115 -- bounded by chat.ChunkMax
	v.rows++
	v.total += len(list)
	slices.Sort(list)
	for i := 0; i < len(list); {
		n := i + 1
		for n < len(list) && list[n] == list[i] {
			n++
		}
		v.postings[list[i]] = append(v.postings[list[i]], occurrence{row, int32(n - i)}) // #nosec G115
		v.seen[list[i]]++
		size += int64(16 + len(list[i]))
		i = n
	}
	return size
}

// drop stops counting a row; it stays where it is until the index is made anew.
func (w *words) drop(language, text string) {
	if _, known := analyzers[language]; !known {
		language = ""
	}
	v := w.by[language]
	if v == nil {
		return
	}
	list := terms(language, text)
	v.rows--
	v.total -= len(list)
	slices.Sort(list)
	for _, t := range slices.Compact(list) {
		v.seen[t]--
	}
}

// scores is what every row is worth for a query, which is read in every language
// that there are texts of, and which part of the query it holds: 1 for every word,
// the rare ones counting more.
func (w *words) scores(query string) (scores, covered []float64) {
	scores, covered = make([]float64, len(w.lengths)), make([]float64, len(w.lengths))
	for _, language := range languages {
		v := w.by[language]
		if v == nil || v.rows <= 0 {
			continue
		}
		average := max(float64(v.total)/float64(v.rows), 1)
		list := terms(language, query)
		slices.Sort(list)
		rare, all := make([]float64, len(list)), 0.0
		for i, t := range list {
			seen := float64(max(v.seen[t], 1)) // what nothing says is as rare as what one says
			rare[i] = math.Log(1 + (float64(v.rows)-seen+0.5)/(seen+0.5))
			all += rare[i]
		}
		for i, t := range list {
			for _, p := range v.postings[t] {
				times := float64(p.times)
				long := 1 - bm25B + bm25B*float64(w.lengths[p.row])/average
				scores[p.row] += rare[i] * times * (bm25K1 + 1) / (times + bm25K1*long)
				covered[p.row] += rare[i] / all
			}
		}
	}
	return scores, covered
}
