package chat

import (
	"strconv"
	"strings"
	"unicode"
)

// numerals are numbers in words, as prices are spelled.
var numerals = wordSet(`one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand
ein einen eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn
zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert tausend
uno una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince veinte treinta cuarenta cincuenta sesenta setenta
ochenta noventa cien ciento mil
um dois três quatro sete oito nove dez doze treze quatorze vinte trinta quarenta cinquenta oitenta cem
un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt trente quarante cinquante soixante cent mille
due tre quattro cinque sei otto dieci dodici venti trenta quaranta cinquanta sessanta settanta ottanta novanta`)

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// spelledPrices finds numbers in words before the word or sign of a currency.
func spelledPrices(text string) []foundPrice {
	var list []foundPrice
	from, end := -1, 0 // the numerals just before
	for at := 0; at < len(text); {
		word := letters(text[at:])
		if word == "" {
			r := []rune(text[at:min(len(text), at+4)])[0]
			n := len(string(r))
			if from >= 0 && r == '€' && at-end <= 1 {
				list = append(list, foundPrice{Amount{Milli: -1, Currency: "EUR", Text: text[from : at+n]}, from, at + n})
			}
			if r != '-' && !unicode.IsSpace(r) {
				from = -1
			}
			at += max(n, 1)
			continue
		}
		lower := strings.ToLower(word)
		currency, money := wordBehind(word)
		switch {
		case spelled(lower):
			if from < 0 {
				from = at
			}
			end = at + len(word)
		case money && from >= 0:
			list = append(list, foundPrice{Amount{Milli: -1, Currency: currency, Text: text[from : at+len(word)]}, from, at + len(word)})
			from = -1
		case lower == "and" || lower == "und" || lower == "y" || lower == "e" || lower == "et":
		default:
			from = -1
		}
		at += len(word)
	}
	return list
}

// spelled reports whether a word is a number, also one made of several, as Germans
// and Italians write it.
func spelled(word string) bool {
	if numerals[word] {
		return true
	}
	for _, part := range []string{"zig", "hundert", "tausend", "cento", "mila"} {
		if strings.HasSuffix(word, part) && len(word) > len(part)+2 && spelledStart(word) {
			return true
		}
	}
	return false
}

func spelledStart(word string) bool {
	for n := range numerals {
		if len(n) >= 3 && strings.HasPrefix(word, n) {
			return true
		}
	}
	return false
}

// moneyText writes an amount of the smallest unit: 1299.00 EUR.
func moneyText(units int64, currency string) string {
	digits, ok := currencies[currency]
	if !ok {
		digits = 2
	}
	text := strconv.FormatInt(units, 10)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	if digits > 0 {
		for len(text) <= digits {
			text = "0" + text
		}
		text = text[:len(text)-digits] + "." + text[len(text)-digits:]
	}
	return sign + text + " " + currency
}
