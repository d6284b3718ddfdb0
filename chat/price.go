package chat

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Amount is an amount of money as a text states it.
type Amount struct {
	// Milli is in thousandths of the currency: no currency has smaller units. It is
	// negative for a number that is written in words or too large to count.
	Milli int64
	// Currency is an ISO 4217 word, or a sign or word that stands for several ones:
	// "$", "kr", "peso".
	Currency string
	// Text is the amount as it is printed.
	Text string
}

// Same reports whether two amounts may be one.
func (a Amount) Same(b Amount) bool {
	if !sameCurrency(a.Currency, b.Currency) {
		return false
	}
	if a.Milli < 0 || b.Milli < 0 {
		return strings.EqualFold(a.Text, b.Text)
	}
	return a.Milli == b.Milli
}

// Amount is the item's price.
func (c *CatalogItem) Amount() Amount {
	return Amount{Milli: milliOf(c.Price, c.Currency), Currency: c.Currency, Text: c.PriceText()}
}

// PriceText is the item's price as models see it: 1299.00 EUR.
func (c *CatalogItem) PriceText() string { return moneyText(c.Price, c.Currency) }

// PricesIn finds the amounts of money in a text, in the order they stand there: a
// number beside a sign or word of a currency, and both ends of a range that only one
// of them stands beside. It reads 1.299,00 € as well as $1,299.00, 1 299 kr, 12,– €,
// 2k EUR, digits of other scripts, and knows that somebody wrote a number in words.
//
// A single point or comma before exactly three digits parts thousands.
func PricesIn(text string) []Amount {
	found := scanPrices(plainDigits(text))
	list := make([]Amount, len(found))
	for i := range found {
		list[i] = found[i].Amount
	}
	return list
}

// Quoted are the prices in a text that are none of the allowed ones.
func Quoted(text string, allowed []Amount) []Amount {
	return slices.DeleteFunc(PricesIn(text), func(a Amount) bool {
		return slices.ContainsFunc(allowed, func(b Amount) bool { return a.Same(b) })
	})
}

// milliOf is an amount in the smallest unit as thousandths.
func milliOf(units int64, currency string) int64 {
	digits, ok := currencies[currency]
	if !ok {
		digits = 2
	}
	for ; digits < 3; digits++ {
		units *= 10
	}
	return units
}

// foundPrice is an amount with its place in the text.
type foundPrice struct {
	Amount
	from, to int
}

// plainDigits is a text with the digits of every script as 0 to 9, wide forms as
// plain ones, and nothing invisible in it.
func plainDigits(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf:
			return r
		case invisible(r):
			return -1
		case r >= 0xff01 && r <= 0xff5e:
			return r - 0xff01 + '!'
		case r == '。':
			return '.'
		case r == '٫':
			return ','
		case r == '٬', r == '’':
			return '\''
		case r == '−':
			return '-'
		case unicode.Is(unicode.Nd, r):
			return '0' + digitOf(r)
		}
		return r
	}, text)
}

// invisible reports whether nobody sees a character.
func invisible(r rune) bool {
	return r == 0xad || r == 0xfeff || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0x180e ||
		r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0000 && r <= 0xe007f
}

// digitOf is the value of a digit: those of a script stand together, from 0 on.
func digitOf(r rune) rune {
	for _, x := range unicode.Nd.R16 {
		if r >= rune(x.Lo) && r <= rune(x.Hi) {
			return (r - rune(x.Lo)) % 10
		}
	}
	for _, x := range unicode.Nd.R32 {
		if r >= rune(x.Lo) && r <= rune(x.Hi) { // #nosec G115 -- code points
			return (r - rune(x.Lo)) % 10 // #nosec G115
		}
	}
	return 0
}

// number is a number in a text.
type number struct {
	from, to int
	milli    int64
	// cents is true when it has two digits behind the point.
	cents bool
	// three says that its last separator stands before three digits, and reads is
	// what the number is when that parts a fraction.
	three bool
	reads int64
}

// scanPrices finds prices in a plain text.
func scanPrices(text string) []foundPrice {
	var list []foundPrice
	var before *number // a number without a currency, just before
	used := 0          // where the sign of the price before ends
	for at := 0; at < len(text); {
		if !isDigit(text[at]) {
			_, n := utf8.DecodeRuneInString(text[at:])
			at += n
			continue
		}
		n := readNumber(text, at)
		at = n.to
		currency, from, to := currencyOf(text, &n, used)
		if currency == "" {
			before = &n
			continue
		}
		if before != nil && ranged(text[before.to:from]) {
			list = append(list, priced(text, before, currency, before.from, before.to))
		}
		list = append(list, priced(text, &n, currency, from, to))
		if to > n.to {
			used, at = to, to
		}
		before = nil
		// The second end of a range may do without a currency: €10-12.
		if from < n.from {
			if rest := text[n.to:]; len(rest) > 0 {
				gap := rangeGap(rest)
				if gap > 0 && n.to+gap < len(text) && isDigit(text[n.to+gap]) {
					second := readNumber(text, n.to+gap)
					if own, _, end := currencyOf(text, &second, used); own == "" || end > second.to && sameCurrency(own, currency) {
						list = append(list, priced(text, &second, currency, second.from, max(second.to, end)))
						at, used = max(second.to, end), max(used, end)
					}
				}
			}
		}
	}
	for _, s := range spelledPrices(text) {
		if !slices.ContainsFunc(list, func(f foundPrice) bool { return s.from < f.to && f.from < s.to }) {
			list = append(list, s)
		}
	}
	return list
}

func priced(text string, n *number, currency string, from, to int) foundPrice {
	milli := n.milli
	if digits, ok := currencies[currency]; ok && digits == 3 && n.three {
		milli = n.reads
	}
	if currency == anyCurrency && milli >= 0 {
		milli /= 100
	}
	return foundPrice{Amount{Milli: milli, Currency: currency, Text: text[from:to]}, from, to}
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// separators part groups of three digits, or a fraction.
const separators = ".,'"

// spaces are those within numbers and before signs.
var spaces = []string{" ", "\u00a0", "\u202f", "\u2009", "\u2007"}

func spaceAt(text string) int {
	for _, s := range spaces {
		if strings.HasPrefix(text, s) {
			return len(s)
		}
	}
	return 0
}

// readNumber reads the number that begins at a digit.
func readNumber(text string, from int) number {
	n := number{from: from}
	groups := []string{}
	marks := []byte{} // the separator before each group but the first
	at := from
	for {
		end := at
		for end < len(text) && isDigit(text[end]) {
			end++
		}
		groups = append(groups, text[at:end])
		at = end
		gap, mark := 0, byte(0)
		switch {
		case at >= len(text):
		case strings.IndexByte(separators, text[at]) >= 0:
			gap, mark = 1, text[at]
		default:
			if gap = spaceAt(text[at:]); gap > 0 {
				mark = ' '
			}
		}
		if gap == 0 || at+gap >= len(text) || !isDigit(text[at+gap]) {
			break
		}
		if mark == ' ' && (digitsFrom(text, at+gap) != 3 || len(groups[0]) > 3 || len(marks) > 0 && marks[len(marks)-1] != ' ') {
			break
		}
		marks = append(marks, mark)
		at += gap
	}
	n.to = at
	n.value(groups, marks)
	n.magnitude(text)
	return n
}

func digitsFrom(text string, at int) int {
	n := 0
	for at+n < len(text) && isDigit(text[at+n]) {
		n++
	}
	return n
}

// value makes an amount of groups of digits. The last separator parts a fraction
// when it does not part three digits, or when another one parts groups before it.
func (n *number) value(groups []string, marks []byte) {
	last := len(groups) - 1
	fraction := false
	if last > 0 {
		other := slices.ContainsFunc(marks[:last-1], func(m byte) bool { return m != marks[last-1] })
		single := !slices.Contains(marks[:last-1], marks[last-1])
		n.three = marks[last-1] != ' ' && marks[last-1] != '\'' && len(groups[last]) == 3 && single
		fraction = marks[last-1] != ' ' && single && (len(groups[last]) != 3 || other)
	}
	whole := strings.Join(groups, "")
	if !fraction {
		n.milli = milli(whole, "")
		if n.three {
			n.reads = milli(strings.Join(groups[:last], ""), groups[last])
		}
		return
	}
	n.cents = len(groups[last]) == 2
	n.milli = milli(strings.Join(groups[:last], ""), groups[last])
	n.reads = n.milli
}

// milli is a number in thousandths; -1 for one that is too large.
func milli(whole, fraction string) int64 {
	fraction = (fraction + "000")[:3]
	v := int64(0)
	for i := range len(whole) {
		if v > math.MaxInt64/100_000 {
			return -1
		}
		v = v*10 + int64(whole[i]-'0')
	}
	for i := range len(fraction) {
		v = v*10 + int64(fraction[i]-'0')
	}
	return v
}

// magnitudes multiply the number before them.
var magnitudes = map[string]int64{"k": 1000, "tsd": 1000, "thousand": 1000, "tausend": 1000, "mil": 1000, "mila": 1000, "mille": 1000,
	"m": 1_000_000, "mio": 1_000_000, "million": 1_000_000, "millionen": 1_000_000, "millones": 1_000_000, "milhões": 1_000_000}

// magnitude takes in what follows a number and is part of it: a dash for no cents,
// a word for thousands.
func (n *number) magnitude(text string) {
	for _, dash := range []string{",--", ",-", ".--", ".-", ",–", ",—", ".–", ".—"} {
		if strings.HasPrefix(text[n.to:], dash) {
			n.to += len(dash)
			return
		}
	}
	gap := spaceAt(text[n.to:])
	word := letters(text[n.to+gap:])
	times, ok := magnitudes[strings.ToLower(word)]
	if !ok || len(word) == 1 && gap > 0 {
		return
	}
	if n.milli > math.MaxInt64/times {
		n.milli = -1
	} else if n.milli > 0 {
		n.milli *= times
	}
	n.to += gap + len(word)
	n.three = false
	if short := strings.ToLower(word); strings.HasPrefix(text[n.to:], ".") && (short == "tsd" || short == "mio") {
		n.to++
	}
}

// letters is the word that a text begins with.
func letters(text string) string {
	for i, r := range text {
		if !unicode.IsLetter(r) && !unicode.Is(unicode.Mn, r) {
			return text[:i]
		}
	}
	return text
}

// lastLetters is the word that a text ends with.
func lastLetters(text string) string {
	i := len(text)
	for i > 0 {
		r, n := utf8.DecodeLastRuneInString(text[:i])
		if !unicode.IsLetter(r) {
			break
		}
		i -= n
	}
	return text[i:]
}

// gapMax is how many spaces and marks of emphasis may stand between a number and its
// sign.
const gapMax = 4

// looseAfter is the length of spaces and marks of emphasis that a text begins with.
func looseAfter(text string) int {
	at := 0
	for range gapMax {
		if n := spaceAt(text[at:]); n > 0 {
			at += n
		} else if at < len(text) && strings.IndexByte("*_~`\n", text[at]) >= 0 {
			at++
		} else {
			break
		}
	}
	return at
}

func looseBefore(text string) int {
	at := len(text)
next:
	for range gapMax {
		for _, s := range spaces {
			if strings.HasSuffix(text[:at], s) {
				at -= len(s)
				continue next
			}
		}
		if at > 0 && strings.IndexByte("*_~`\n:", text[at-1]) >= 0 {
			at--
			continue
		}
		break
	}
	return len(text) - at
}

// currencyOf finds the currency beside a number; empty for none. What stands before
// used belongs to the price before.
func currencyOf(text string, n *number, used int) (currency string, from, to int) {
	head := text[used:n.from]
	if used > n.from {
		head = ""
	}
	head = head[:len(head)-looseBefore(head)]
	start := len(text[:n.from]) - len(text[used:n.from]) + len(head)
	for _, s := range symbols {
		if strings.HasSuffix(head, s.sign) {
			return s.currency, start - len(s.sign), n.to
		}
	}
	if word := lastLetters(strings.TrimSuffix(head, ".")); word != "" {
		dot := 0
		if strings.HasSuffix(head, ".") {
			dot = 1
		}
		if c, ok := wordBefore(word, n.cents); ok {
			return c, start - dot - len(word), n.to
		}
	}
	gap := looseAfter(text[n.to:])
	tail := text[n.to+gap:]
	for _, s := range symbols {
		if rest, ok := strings.CutPrefix(tail, s.sign); ok && s.currency != "PEN" {
			if gap > 0 && rest != "" && isDigit(rest[0]) {
				return "", 0, 0 // it is the next number's
			}
			return s.currency, n.from, n.to + gap + len(s.sign)
		}
	}
	word := letters(tail)
	if c, ok := wordBehind(word); ok && !(c == "£" && strings.HasPrefix(tail[len(word):], " of ")) {
		return c, n.from, n.to + gap + len(word)
	}
	return "", 0, 0
}

// rangeWords stand between the ends of a range.
var rangeWords = []string{"-", "–", "—", "/", "to", "bis", "und", "oder", "a", "à", "al", "até", "e", "ou", "hasta", "y", "o", "and", "or", "et", "до"}

// ranged reports whether a text between two numbers makes a range of them.
func ranged(between string) bool {
	word := strings.Trim(between, " \u00a0\u202f*_~`")
	return slices.Contains(rangeWords, strings.ToLower(word))
}

// rangeGap is the length of what joins a number with the next at the begin of a
// text; 0 for nothing that does.
func rangeGap(text string) int {
	for i := range len(text) {
		if isDigit(text[i]) {
			if ranged(text[:i]) {
				return i
			}
			return 0
		}
		if i > 16 {
			break
		}
	}
	return 0
}

// PriceUnits reads a price that stands alone, as 1299.00 or 1.299,00, in the smallest
// unit of a currency; ok is false for what is none, or finer than that unit.
func PriceUnits(text, currency string) (units int64, ok bool) {
	digits, known := currencies[currency]
	if !known || text == "" || !isDigit(text[0]) {
		return 0, false
	}
	n := readNumber(text, 0)
	milli := n.milli
	if digits == 3 && n.three {
		milli = n.reads
	}
	if n.to != len(text) || milli < 0 {
		return 0, false
	}
	for ; digits < 3; digits++ {
		if milli%10 != 0 {
			return 0, false
		}
		milli /= 10
	}
	return milli, true
}
