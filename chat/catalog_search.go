package chat

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
)

// CatalogIndex finds products by what customers call them. It is built once and
// never changed; safe for concurrent use.
type CatalogIndex struct {
	items []CatalogItem
	byID  map[string]int
	// words are all there are, sorted; of tells in which products each stands.
	words []string
	of    [][]posting
}

// posting says that a word stands in a product, and how much that counts.
type posting struct {
	item   int32
	weight float32
}

// Weights of where a word stands, and of how it was found.
const (
	weightName, weightText     = 3, 1
	foundExact, foundStart     = 1.0, 0.6
	foundTypo                  = 0.4
	startMin, typoMin, typoTwo = 3, 4, 8
	// keepShare of the best hit's score is what another needs to be shown.
	keepShare = 0.35
)

// IndexCatalog builds the index of products. It keeps items.
func IndexCatalog(items []CatalogItem) *CatalogIndex {
	x := &CatalogIndex{items: items, byID: make(map[string]int, len(items))}
	weights := map[string]map[int32]float32{}
	note := func(i int, text string, weight float32) {
		for _, w := range searchWords(text) {
			if weights[w] == nil {
				weights[w] = map[int32]float32{}
			}
			if at := int32(i); weights[w][at] < weight { // #nosec G115 -- at most CatalogMax
				weights[w][at] = weight
			}
		}
	}
	for i := range items {
		it := &items[i]
		x.byID[squeeze(it.ID)] = i
		note(i, it.ID, weightName)
		note(i, it.Name, weightName)
		for _, w := range it.Words {
			note(i, w, weightName)
		}
		note(i, it.Description, weightText)
	}
	x.words = make([]string, 0, len(weights))
	for w := range weights {
		x.words = append(x.words, w)
	}
	slices.Sort(x.words)
	x.of = make([][]posting, len(x.words))
	for i, w := range x.words {
		for item, weight := range weights[w] {
			x.of[i] = append(x.of[i], posting{item, weight})
		}
		slices.SortFunc(x.of[i], func(a, b posting) int { return cmp.Compare(a.item, b.item) })
	}
	return x
}

// Len is the number of products.
func (x *CatalogIndex) Len() int { return len(x.items) }

// CatalogHit is a product that was found.
type CatalogHit struct {
	Item  *CatalogItem
	Score float64
}

// Search finds up to limit products, the best first: by id, by words of name, other
// names and description, by the beginning of words, and with a slip of the pen in
// them. The result of a query is always the same.
func (x *CatalogIndex) Search(query string, limit int) []CatalogHit {
	scores := map[int32]float64{}
	if i, ok := x.byID[squeeze(query)]; ok && squeeze(query) != "" {
		scores[int32(i)] = 1000 // #nosec G115
	}
	words := searchWords(query)
	if len(words) > 16 {
		words = words[:16]
	}
	for _, w := range words {
		best := map[int32]float64{}
		x.eachLike(w, func(at int, how float64) {
			rare := math.Log(1 + float64(len(x.items))/float64(len(x.of[at])))
			for _, p := range x.of[at] {
				best[p.item] = max(best[p.item], how*float64(p.weight)*rare)
			}
		})
		for item, s := range best {
			scores[item] += s
		}
	}
	hits := make([]CatalogHit, 0, len(scores))
	for i, s := range scores {
		hits = append(hits, CatalogHit{&x.items[i], s})
	}
	slices.SortFunc(hits, func(a, b CatalogHit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Item.ID, b.Item.ID))
	})
	for i := range hits {
		if i == limit || hits[i].Score < keepShare*hits[0].Score {
			return hits[:i]
		}
	}
	return hits
}

// eachLike visits the words that one may stand for. Words like it are looked for only
// when it is none itself.
func (x *CatalogIndex) eachLike(w string, visit func(at int, how float64)) {
	at, found := slices.BinarySearch(x.words, w)
	if found {
		visit(at, foundExact)
	}
	length := len([]rune(w))
	if length >= startMin {
		for i := at; i < len(x.words) && strings.HasPrefix(x.words[i], w); i++ {
			if x.words[i] != w {
				visit(i, foundStart)
				found = true
			}
		}
	}
	if found || length < typoMin || strings.ContainsAny(w, "0123456789") {
		return
	}
	most := 1
	if length >= typoTwo {
		most = 2
	}
	said := []rune(w)
	for i, other := range x.words {
		if d := len(other) - len(w); d > 2*most || d < -2*most {
			continue
		}
		if slips(said, []rune(other), most) <= most {
			visit(i, foundTypo)
		}
	}
}

// slips counts the letters that were left out, put in, changed or swapped between
// two words; more than most for too many.
func slips(a, b []rune, most int) int {
	if d := len(a) - len(b); d > most || d < -most {
		return most + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > most {
			return most + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// folds are letters as people type them who do not have them.
var folds = map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ı': "i", 'ё': "е"}

// foldTable maps letters with marks to those without: each row is one letter and what
// it stands for.
var foldTable = func() map[rune]rune {
	t := map[rune]rune{}
	for plain, marked := range map[rune]string{'a': "àáâãäåāăąǎ", 'c': "çćĉċč", 'd': "ď", 'e': "èéêëēĕėęěẽ", 'g': "ĝğġģ", 'h': "ĥħ", 'i': "ìíîïĩīĭįǐ",
		'j': "ĵ", 'k': "ķ", 'l': "ĺļľŀ", 'n': "ñńņňŉ", 'o': "òóôõöōŏőǒ", 'r': "ŕŗř", 's': "śŝşšș", 't': "ţťŧț", 'u': "ùúûüũūŭůűųǔ", 'w': "ŵ",
		'y': "ýÿŷ", 'z': "źżž"} {
		for _, r := range marked {
			t[r] = plain
		}
	}
	return t
}()

// searchWords are the words of a text as they are looked for: small letters without
// marks; of writing without spaces every two signs that stand together.
func searchWords(text string) (list []string) {
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			list = append(list, word.String())
			word.Reset()
		}
	}
	var last rune
	for _, r := range strings.ToLower(plainDigits(text)) {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai):
			end()
			if last != 0 {
				list = append(list, string([]rune{last, r}))
			}
			last = r
			continue
		case unicode.Is(unicode.Mn, r):
		case !isWordRune(r):
			end()
		case folds[r] != "":
			word.WriteString(folds[r])
		case foldTable[r] != 0:
			word.WriteRune(foldTable[r])
		default:
			word.WriteRune(r)
		}
		last = 0
	}
	end()
	return list
}
