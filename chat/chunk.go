package chat

import (
	"strconv"
	"strings"
	"unicode"
)

// The size of a chunk, in bytes: a paragraph or two. Shorter ones lose what they are
// about, longer ones hide it among other things.
const (
	ChunkTarget = 700
	ChunkMax    = 1_500
)

// ChunkKey is the id of the document of a version of a chunk.
func ChunkKey(id string, version int) string { return id + "@" + strconv.Itoa(version) }

// Cut makes chunks of excerpts: whole paragraphs together up to ChunkTarget, a longer
// paragraph at the end of a sentence or a word. No chunk has two titles.
func Cut(excerpts []Excerpt) (pieces []Excerpt) {
	for _, e := range excerpts {
		var open strings.Builder
		end := func() {
			if text := strings.TrimSpace(open.String()); text != "" {
				pieces = append(pieces, Excerpt{Title: e.Title, URL: e.URL, Text: text})
			}
			open.Reset()
		}
		for paragraph := range strings.SplitSeq(e.Text, "\n\n") {
			for _, part := range short(paragraph) {
				if open.Len() > 0 && open.Len()+len(part) > ChunkTarget {
					end()
				}
				if open.Len() > 0 {
					open.WriteByte('\n')
				}
				open.WriteString(part)
			}
		}
		end()
	}
	return pieces
}

// short is a paragraph in parts of at most ChunkMax bytes.
func short(paragraph string) (parts []string) {
	for len(paragraph) > ChunkMax {
		at := cutAt(paragraph[:ChunkMax])
		parts = append(parts, strings.TrimSpace(paragraph[:at]))
		paragraph = paragraph[at:]
	}
	return append(parts, strings.TrimSpace(paragraph))
}

// cutAt is where text is cut: behind the last sentence, else line, else word of its
// second half, else at a rune.
func cutAt(text string) int {
	half := len(text) / 2
	for _, sign := range []string{". ", "! ", "? ", "\n", "; ", " "} {
		if i := strings.LastIndex(text, sign); i >= half {
			return i + len(sign)
		}
	}
	at := len(text)
	for at > 1 && text[at-1]&0xc0 == 0x80 {
		at--
	}
	return max(at-1, 1)
}

// Revise makes of the chunks that a source has, and the pieces its new revision is
// cut into, the chunks that are new and the keys of those that are over. A piece that
// says what a chunk says is that chunk, which stays as it is. Another piece is the
// next version of the chunk that stood between the same neighbours, else a chunk of
// its own: ids are never used for something else.
func Revise(source *Source, was []Chunk, pieces []Excerpt, next int) (put []Chunk, gone []string) {
	type said struct{ title, url, text string }
	stay := map[said][]int{}
	for i := range was {
		k := said{was[i].Title, was[i].URL, was[i].Text}
		stay[k] = append(stay[k], i)
	}
	kept := make([]bool, len(was))
	as := make([]int, len(pieces)) // index into was, -1 for new
	for i, p := range pieces {
		k := said{p.Title, p.URL, p.Text}
		as[i] = -1
		if list := stay[k]; len(list) > 0 {
			as[i], stay[k] = list[0], list[1:]
			kept[list[0]] = true
		}
	}
	for i, p := range pieces {
		if as[i] >= 0 {
			continue
		}
		c := Chunk{Version: 1, Source: source.ID, Revision: source.Revision, Title: p.Title, URL: p.URL, Text: p.Text,
			Language: Language(p.Title + "\n" + p.Text)}
		// The chunk behind the one that the piece before is.
		before := -1
		if i > 0 {
			before = as[i-1]
		}
		if at := before + 1; (i == 0 || before >= 0) && at < len(was) && !kept[at] && was[at].URL == p.URL && was[at].Title == p.Title {
			kept[at], as[i] = true, at
			c.ID, c.Version = was[at].ID, was[at].Version+1
			gone = append(gone, was[at].Key())
		} else {
			c.ID = string(source.ID) + "/" + strconv.Itoa(next)
			next++
		}
		put = append(put, c)
	}
	for i := range was {
		if !kept[i] {
			gone = append(gone, was[i].Key())
		}
	}
	return put, gone
}

// ChunkNumber is the number of a chunk within its source, -1 for an id of others.
func ChunkNumber(id string) int {
	_, n, ok := strings.Cut(id, "/")
	number, err := strconv.Atoi(n)
	if !ok || err != nil || number < 0 {
		return -1
	}
	return number
}

// common are words that texts of a language are full of and those of the others are
// not.
var common = commonWords()

func commonWords() map[string]string {
	common := map[string]string{}
	for language, words := range map[string]string{
		"en": "the and of is are you your for with from this that have will our we can how what when where there it its be not or if my do does which they i",
		"de": "der die das und ist sind nicht mit ein eine einen einem ihr ihre wir sie ich für auf von zu im den dem des bei oder wie wann kann können es wird haben zum zur auch gibt uns mein",
		"es": "el los las una es y con para por su sus nuestro nuestra está están del al qué cuándo dónde cómo puede hay lo le más pero si mi hasta desde tienen tengo puedo",
		"pt": "os uma é e com não seu sua nosso nossa está estão do da dos das ao à pelo pela quando onde pode há mais mas você até em tem são nas nos posso meu minha",
	} {
		for w := range strings.FieldsSeq(words) {
			if _, twice := common[w]; twice {
				common[w] = "" // it tells nothing
				continue
			}
			common[w] = language
		}
	}
	return common
}

// Language guesses what a text is written in, by its small words: "en", "de", "es",
// "pt", or "" when it cannot tell.
func Language(text string) string {
	n := map[string]int{}
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if l := common[strings.ToLower(w)]; l != "" {
			n[l]++
		}
	}
	best, most, second := "", 0, 0
	for _, l := range []string{"de", "en", "es", "pt"} {
		switch {
		case n[l] > most:
			best, second, most = l, most, n[l]
		case n[l] > second:
			second = n[l]
		}
	}
	if most <= second {
		return ""
	}
	return best
}
