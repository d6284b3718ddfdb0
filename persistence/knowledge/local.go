package knowledge

import (
	_ "embed"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Meaning without a model. A text becomes a sparse vector of
//
//   - the ideas its words stand for, by a list of what customers of small businesses
//     ask about in four languages (concepts.txt);
//   - its words as they are, which is what finds names;
//   - the beginnings and four-letter parts of words the list does not know.
//
// Two texts are near when they share what is rare among the tenant's chunks. It knows
// a few thousand words and no sentence; it costs nothing and leaves the machine never.

// The weights of features, chosen on the part of the retrieval set for choosing.
const (
	conceptWeight  = 1.0
	compoundWeight = 0.6
	wordWeight     = 0.7
	stemWeight     = 0.4
	partWeight     = 0.12
)

//go:embed concepts.txt
var conceptList string

// lexicon leads from words to the numbers of their ideas.
type lexicon struct {
	exact, begin map[string][]uint32
}

var concepts = sync.OnceValue(func() *lexicon {
	l := &lexicon{exact: map[string][]uint32{}, begin: map[string][]uint32{}}
	number := uint32(0)
	for line := range strings.SplitSeq(conceptList, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		for w := range strings.FieldsSeq(line) {
			to := l.exact
			if b, cut := strings.CutSuffix(w, "*"); cut {
				w, to = b, l.begin
			}
			if w = fold(w); !slices.Contains(to[w], number) {
				to[w] = append(to[w], number)
			}
		}
		number++
	}
	return l
})

// wordLenMax bounds a word that is looked at.
const wordLenMax = 40

// of returns the ideas of a folded word with their weights.
func (l *lexicon) of(w string) map[uint32]float32 {
	out := map[uint32]float32{}
	add := func(ideas []uint32, weight float32) {
		for _, i := range ideas {
			out[i] = max(out[i], weight)
		}
	}
	add(l.exact[w], conceptWeight)
	for n := 3; n <= len(w); n++ {
		add(l.begin[w[:n]], conceptWeight)
	}
	for _, ending := range []string{"s", "es", "n", "en", "e", "er", "ed", "ing"} {
		if stem, ok := strings.CutSuffix(w, ending); ok && len(stem) >= 3 {
			add(l.exact[stem], conceptWeight)
		}
	}
	if len(w) >= 9 { // two words in one
		for at := 3; at+4 <= len(w); at++ {
			for n := 4; at+n <= len(w); n++ {
				part := w[at : at+n]
				add(l.begin[part], compoundWeight)
				if at+n == len(w) {
					add(l.exact[part], compoundWeight)
				}
			}
		}
	}
	return out
}

// feature is one number of a sparse vector.
type feature struct {
	id     uint32
	weight float32
}

// firstHashed is above the number of every idea.
const firstHashed = 1 << 31

// hashed keeps features of words away from those of ideas.
func hashed(kind byte, s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte{kind})
	_, _ = h.Write([]byte(s))
	return h.Sum32() | firstHashed
}

// featuresOf is a text as a sparse vector, by id.
func featuresOf(text string) []feature {
	sum := map[uint32]float32{}
	for w := range strings.FieldsFuncSeq(strings.ReplaceAll(text, "-", ""), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if w = fold(w); len(w) < 3 || len(w) > wordLenMax {
			continue
		}
		ideas := concepts().of(w)
		for id, weight := range ideas {
			sum[id] += weight
		}
		sum[hashed('w', w)] += wordWeight
		if len(ideas) > 0 {
			continue
		}
		if len(w) > 6 {
			sum[hashed('s', w[:5])] += stemWeight
		}
		for i := 0; i+4 <= len(w); i++ {
			sum[hashed('p', w[i:i+4])] += partWeight
		}
	}
	out := make([]feature, 0, len(sum))
	for _, id := range slices.Sorted(maps.Keys(sum)) {
		// What is said twice is not twice as much.
		w := sum[id]
		if w > 1 {
			w = 1 + float32(math.Log(float64(w)))
		}
		out = append(out, feature{id, w})
	}
	return out
}

// folds are letters without their signs.
var folds = strings.NewReplacer("ä", "a", "ö", "o", "ü", "u", "ß", "ss", "á", "a", "à", "a", "â", "a", "ã", "a", "é", "e", "è", "e", "ê", "e", "ë", "e",
	"í", "i", "ì", "i", "î", "i", "ï", "i", "ó", "o", "ò", "o", "ô", "o", "õ", "o", "ú", "u", "ù", "u", "û", "u", "ñ", "n", "ç", "c")

func fold(w string) string {
	w = strings.ToLower(w)
	if utf8.RuneCountInString(w) == len(w) {
		return w
	}
	return folds.Replace(w)
}

// sparse is what a tenant's chunks are as sparse vectors, by feature.
type sparse struct {
	postings map[uint32][]posting
	// seen counts the rows in use that a feature is of, rows all of them.
	seen map[uint32]int
	rows int
	norm []float32
}

type posting struct {
	row    int32
	weight float32
}

func newSparse() *sparse { return &sparse{postings: map[uint32][]posting{}, seen: map[uint32]int{}} }

// add appends a text as the next row and returns about what it takes, in bytes.
func (s *sparse) add(text string) (size int64) {
	row := len(s.norm)
	sum := 0.0
	list := featuresOf(text)
	for _, f := range list {
		s.postings[f.id] = append(s.postings[f.id], posting{int32(row), f.weight}) // #nosec G115 -- bounded by chat.KnowledgeChunksMax
		s.seen[f.id]++
		sum += float64(f.weight) * float64(f.weight)
	}
	s.norm = append(s.norm, float32(math.Pow(max(sum, 1), normPower/2)))
	s.rows++
	return int64(16 * len(list))
}

// drop stops counting a row; it stays where it is until the index is made anew.
func (s *sparse) drop(text string) {
	for _, f := range featuresOf(text) {
		s.seen[f.id]--
	}
	s.rows--
}

// normPower is how much a long text is held back: 1 is the cosine.
const normPower = 1.0

// scores adds up what every row shares with a query, and what of that are ideas: each
// from 0 to about 1, more the fewer rows are about it, whatever else either text says.
func (s *sparse) scores(query string) (scores, ideas []float32) {
	scores, ideas = make([]float32, len(s.norm)), make([]float32, len(s.norm))
	all := math.Log(1 + float64(s.rows))
	for _, f := range featuresOf(query) {
		seen := s.seen[f.id]
		if seen <= 0 {
			continue
		}
		log := math.Log(1 + float64(s.rows)/float64(seen))
		rare, part := float32(log), float32(0)
		if f.id < firstHashed {
			part = float32(log / all)
		}
		for _, p := range s.postings[f.id] {
			scores[p.row] += f.weight * rare * rare * p.weight
			ideas[p.row] += f.weight * part * p.weight
		}
	}
	for i := range scores {
		scores[i] /= s.norm[i]
	}
	return scores, ideas
}
