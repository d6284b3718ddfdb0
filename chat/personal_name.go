package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nameBook finds parts of names in texts, also when a language bends them.
type nameBook struct {
	// parts are folded words; wordless are parts of names in scripts without spaces.
	parts    map[string]bool
	wordless []string
}

func newNameBook() *nameBook { return &nameBook{parts: map[string]bool{}} }

// notNames are parts of names that are words of many languages.
var notNames = wordSet(`the and und der die das von van den de del della di da do dos la le el los las el al bin ibn mr mrs ms dr herr frau señor señora sr sra
shop store gmbh inc ltd llc team support i a y e o u`)

// add takes in the parts of a name.
func (b *nameBook) add(name string) {
	for part := range strings.FieldsFuncSeq(plainDigits(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Mc, r)
	}) {
		lower := strings.ToLower(part)
		runes := []rune(lower)
		switch {
		case len(runes) < 2 || notNames[lower]:
		case wordless(lower):
			b.addWordless(lower)
			if len(runes) > 2 {
				b.addWordless(string(runes[len(runes)-2:]))
			}
		default:
			b.parts[foldName(lower)] = true
			b.parts[foldName(umlauts.Replace(lower))] = true
		}
	}
}

func (b *nameBook) addWordless(part string) {
	if !slices.Contains(b.wordless, part) {
		b.wordless = append(b.wordless, part)
		slices.SortFunc(b.wordless, func(a, c string) int { return len(c) - len(a) })
	}
}

// wordless reports whether a text is of a script without spaces between words.
func wordless(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

var umlauts = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "ø", "oe", "å", "aa", "æ", "ae")

// plainLetters are letters of the Latin script with what they are without marks.
var plainLetters = func() map[rune]rune {
	m := map[rune]rune{}
	for plain, marked := range map[rune]string{'a': "àáâãäåāăąǎæạảấầẩẫậắằẳẵặ", 'c': "çćĉċč", 'd': "ďđð", 'e': "èéêëēĕėęěẹẻẽếềểễệ", 'g': "ĝğġģ", 'h': "ĥħ", 'i': "ìíîïĩīĭįıỉị",
		'j': "ĵ", 'k': "ķ", 'l': "ĺļľŀł", 'n': "ñńņňŉ", 'o': "òóôõöøōŏőœơọỏốồổỗộớờởỡợ", 'r': "ŕŗř", 's': "śŝşšș", 't': "ţťŧț", 'u': "ùúûüũūŭůűųưụủứừửữự", 'w': "ŵ", 'y': "ýÿŷỳỵỷỹ", 'z': "źżž"} {
		for _, r := range marked {
			m[r] = plain
		}
	}
	return m
}()

// foldName is a word without marks, in lower case.
func foldName(word string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		if p, ok := plainLetters[r]; ok {
			return p
		}
		return r
	}, strings.ToLower(word))
}

// endings are those that languages give names; folded.
var endings = func() map[string]bool {
	return wordSet(`s es ens n en ns a e i o u y ie ia io ou om em im um ovi owi owie ami ach ej iem emu ow ova owa in un nin nun ye ya yi yu na ne da de dan den la le lle lla
lta lta ssa sta ta te ul ului ei ita ito inho inha chen lein li le ka ko us os is
а я у ю ы и е о ой ей ом ем ою ею ам ами ах ов ев ка ко`)
}()

// take takes the names out of a text.
func (b *nameBook) take(text string, take func(string) string) string {
	for _, part := range b.wordless {
		text = replaceFold(text, part, func() string { return take(PersonalName) })
	}
	if len(b.parts) == 0 {
		return text
	}
	var out strings.Builder
	for at := 0; at < len(text); {
		if text[at] == '[' { // a mark
			if end := strings.IndexByte(text[at:], ']'); end > 0 && isMark(text[at:at+end+1]) {
				out.WriteString(text[at : at+end+1])
				at += end + 1
				continue
			}
		}
		n := wordLen(text[at:])
		if n == 0 {
			_, n = utf8.DecodeRuneInString(text[at:])
			out.WriteString(text[at : at+n])
			at += n
			continue
		}
		word := text[at : at+n]
		at += n
		if !b.has(word) {
			out.WriteString(word)
			continue
		}
		out.WriteString(take(PersonalName))
		at += bent(text[at:])
	}
	return out.String()
}

// wordLen is the length of the word that a text begins with.
func wordLen(text string) int {
	for i, r := range text {
		if !unicode.IsLetter(r) && !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Mc, r) {
			return i
		}
	}
	return len(text)
}

// bent is the length of an ending behind an apostrophe.
func bent(text string) int {
	for _, mark := range []string{"'", "’", "`", "´"} {
		if rest, ok := strings.CutPrefix(text, mark); ok {
			if n := wordLen(rest); n > 0 && n <= 8 {
				return len(mark) + n
			}
		}
	}
	return 0
}

// has reports whether a word is a part of a name, as it is, with an ending, or with
// another in place of its last vowel.
func (b *nameBook) has(word string) bool {
	folded := foldName(word)
	if b.parts[folded] || b.parts[foldName(umlauts.Replace(strings.ToLower(word)))] {
		return true
	}
	for _, head := range []string{"و", "ف", "ب", "ل", "ك"} { // Arabic writes these words with the next
		if rest, ok := strings.CutPrefix(folded, head); ok && b.parts[rest] {
			return true
		}
	}
	runes := []rune(folded)
	for cut := 1; cut <= 4 && len(runes)-cut >= 2; cut++ {
		stem, ending := string(runes[:len(runes)-cut]), string(runes[len(runes)-cut:])
		if !endings[ending] {
			continue
		}
		if b.parts[stem] && (len(runes)-cut >= 3 || ending == "s") {
			return true
		}
		if len(runes)-cut < 3 {
			continue
		}
		for _, vowel := range []string{"a", "e", "i", "o", "y", "а", "я", "й", "ь"} {
			if b.parts[stem+vowel] {
				return true
			}
		}
	}
	// A form that lost its last vowel: Ann of Anna.
	return false
}

// tokenLen is the length of the letters and digits that a text begins with.
func tokenLen(text string) int {
	for i, r := range text {
		if !isWordRune(r) && !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Mc, r) {
			return i
		}
		if wordless(string(r)) { // each is a word of its own
			if i == 0 {
				return utf8.RuneLen(r)
			}
			return i
		}
	}
	return len(text)
}
