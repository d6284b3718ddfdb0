package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// topLevels are the ends of names that an app makes a link of without a scheme.
var topLevels = wordSet(`com net org info biz io ai app dev co me tv cc ly gl gg to sh so st im is it in at de ch fr es pt nl be lu uk ie us ca mx br ar cl pe uy
ve ec bo py cr gt dk se no fi pl cz sk hu ro bg gr tr ru ua by kz il ae sa qa eg ma tn ng ke za gh tz ug jp cn kr tw hk sg my th vn ph id pk bd lk np au nz eu
asia shop store online site website web page pages link click top xyz club live life world today news blog cloud tech digital agency media email space fun icu
vip pro work works zone money cash bank pay finance loan win bet casino download stream support help center services company ltd inc gmbh example test local
onion zip mov wiki name mobi tel travel jobs museum aero coop edu gov mil int arpa`)

// link is what an app would open: its host in lower case, and the scheme.
type link struct{ scheme, host string }

// takeLinks finds the links in a text and returns what is left without them.
func takeLinks(plain string) (rest string, links []link) {
	var b strings.Builder
	for at := 0; at < len(plain); {
		end := at + strings.IndexFunc(plain[at:], linkBreak)
		if end < at {
			end = len(plain)
		}
		word := plain[at:end]
		found := linksIn(word)
		if len(found) == 0 {
			b.WriteString(word)
		}
		links = append(links, found...)
		if end < len(plain) {
			_, n := utf8.DecodeRuneInString(plain[end:])
			b.WriteString(plain[end : end+n])
			end += n
		}
		at = end
	}
	return b.String(), links
}

// linkBreak ends a word that may be a link.
func linkBreak(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("<>\"'`()[]{}|,;*", r)
}

// linksIn are the links of a word without spaces. Every scheme counts, and several in
// one word.
func linksIn(word string) (list []link) {
	lower := strings.ToLower(word)
	for _, scheme := range []string{"javascript:", "data:", "vbscript:", "file:", "intent:"} {
		if strings.Contains(lower, scheme) {
			list = append(list, link{strings.TrimSuffix(scheme, ":"), ""})
		}
	}
	if parts := strings.Split(strings.ReplaceAll(lower, "\\", "/"), "://"); len(parts) > 1 {
		for i, p := range parts[1:] {
			scheme := lastLetters(parts[i])
			host, _, _ := strings.Cut(p, "/")
			host, _, _ = strings.Cut(host, "?")
			host, _, _ = strings.Cut(host, "#")
			list = append(list, link{scheme, hostOf(host)})
		}
		return list
	}
	if strings.HasPrefix(lower, "//") {
		host, _, _ := strings.Cut(lower[2:], "/")
		return append(list, link{"https", hostOf(host)})
	}
	host := strings.TrimLeft(lower, ".:!?-_~")
	if i := strings.IndexAny(host, "/?#:\\"); i >= 0 {
		host = host[:i]
	}
	host = strings.TrimRight(host, ".!?-_~")
	if strings.ContainsRune(host, '@') {
		return list // an e-mail address
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	if len(labels) < 2 || slices.Contains(labels, "") || !topLevels[last] && labels[0] != "www" && !strings.HasPrefix(last, "xn--") {
		return list
	}
	for _, l := range labels {
		if strings.IndexFunc(l, func(r rune) bool { return !isWordRune(r) && r != '-' && r != '_' }) >= 0 {
			return list
		}
	}
	return append(list, link{"https", host})
}

// hostOf is the host of an authority: what is behind a user and before a port.
func hostOf(authority string) string {
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	if i := strings.LastIndexByte(authority, ':'); i >= 0 {
		authority = authority[:i]
	}
	return strings.Trim(authority, ".!?")
}

// links reports whether a link may be sent.
func (m *Sayable) links(l link, known []string) bool {
	if l.scheme != "https" && l.scheme != "http" || l.host == "" {
		return false
	}
	domains := m.Links
	if domains == nil {
		for _, t := range known {
			_, found := takeLinks(t)
			for _, k := range found {
				domains = append(domains, k.host)
			}
		}
		return slices.Contains(domains, l.host)
	}
	return slices.ContainsFunc(domains, func(d string) bool {
		d = strings.ToLower(strings.Trim(d, "."))
		return d != "" && (l.host == d || strings.HasSuffix(l.host, "."+d))
	})
}

// addresses looks for ways to reach or to pay somebody else in what is left of a
// text without its links.
func (m *Sayable) addresses(text string, prices []foundPrice, known []string) (blocked string) {
	for _, mail := range mailsIn(text) {
		if !slices.ContainsFunc(known, func(t string) bool { return slices.Contains(mailsIn(t), mail) }) {
			return BlockedAddress
		}
	}
	for _, account := range accountsIn(text) {
		if !slices.ContainsFunc(known, func(t string) bool { return strings.Contains(squeeze(t), account) }) {
			return BlockedAccount
		}
	}
	numbers := numbersIn(withoutPrices(text, prices))
	if len(numbers) == 0 {
		return ""
	}
	var mine []string
	for _, a := range m.Addresses {
		if a.isNumber() {
			mine = append(mine, digitsOf(a.Value))
		}
	}
	for _, t := range known {
		mine = append(mine, numbersIn(t)...)
	}
	for _, n := range numbers {
		if !slices.ContainsFunc(mine, func(k string) bool { return oneNumber(n, k) }) {
			return BlockedAddress
		}
	}
	return ""
}

// withoutPrices takes amounts of money out of a text.
func withoutPrices(text string, prices []foundPrice) string {
	for _, p := range prices {
		text = strings.ReplaceAll(text, p.Text, " ; ")
	}
	return text
}

// oneNumber reports whether two rows of digits may be one number, with and without
// the code of a country.
func oneNumber(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) > len(b) {
		a, b = b, a
	}
	return a == b || SameNumber(a, b) || len(a) >= numberSure && len(b)-len(a) <= 3 && strings.HasSuffix(b, a)
}

const (
	// numberMin digits may be a telephone number, numberPlusMin behind a plus; more
	// than numberMax are none.
	numberMin, numberPlusMin, numberMax = 9, 7, 15
	// numberSure digits at the end of two numbers make them one.
	numberSure = 7
)

// numbersIn are the rows of digits in a text that may be telephone numbers. Dates are
// none.
func numbersIn(text string) (list []string) {
	for at := 0; at < len(text); {
		if !isDigit(text[at]) && text[at] != '+' {
			at++
			continue
		}
		from, digits, end := at, []byte{}, at
		for i := at; i < len(text); i++ {
			c := text[i]
			switch {
			case isDigit(c):
				digits, end = append(digits, c), i+1
				continue
			case c == '+' && i == from, strings.IndexByte(" -./()", c) >= 0 && i-end < 3:
				continue
			case c >= utf8.RuneSelf && i > from && strings.ContainsRune("\u00a0\u202f–‑", firstRune(text[from:], i-from)):
				continue
			}
			break
		}
		if end <= at {
			at++
			continue
		}
		piece := text[from:end]
		plus := text[from] == '+'
		if n := len(digits); n <= numberMax && (n >= numberMin || plus && n >= numberPlusMin) && !dateLike(piece) {
			list = append(list, string(digits))
		}
		at = end
	}
	return list
}

// firstRune is the rune that a byte of a text is part of.
func firstRune(text string, at int) rune {
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	r, _ := utf8.DecodeRuneInString(text[at:])
	return r
}

// dateLike reports whether a row of digits is made of dates: 2026-11-23, 23.11.2026.
func dateLike(piece string) bool {
	found := false
	for f := range strings.FieldsSeq(strings.ReplaceAll(piece, "–", " ")) {
		f = strings.Trim(f, "-.()/")
		parts := strings.FieldsFunc(f, func(r rune) bool { return r == '-' || r == '.' || r == '/' })
		year := func(s string) bool { return len(s) == 4 && (s[:2] == "19" || s[:2] == "20") }
		dates := len(parts) > 0
		for i := 0; dates && i < len(parts); i += 3 {
			dates = i+2 < len(parts) && (year(parts[i]) || year(parts[i+2])) && len(parts[i+1]) <= 2
		}
		if !dates && len(f) > 2 {
			return false
		}
		found = found || dates
	}
	return found
}

// mailsIn are the e-mail addresses in a text, in lower case.
func mailsIn(text string) (list []string) {
	lower := strings.ToLower(text)
	for at := strings.IndexByte(lower, '@'); at >= 0; {
		from := at
		for from > 0 && (isAlnum(lower[from-1]) || strings.IndexByte("._%+-", lower[from-1]) >= 0 || lower[from-1] >= utf8.RuneSelf) {
			from--
		}
		to := at + 1
		for to < len(lower) && (isAlnum(lower[to]) || lower[to] == '.' || lower[to] == '-' || lower[to] >= utf8.RuneSelf) {
			to++
		}
		domain := strings.Trim(lower[at+1:to], ".-")
		if from < at && strings.Contains(domain, ".") {
			list = append(list, strings.Trim(lower[from:at], ".")+"@"+domain)
		}
		next := strings.IndexByte(lower[at+1:], '@')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return list
}

func isAlnum(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// accountsIn are the IBANs and card numbers in a text, without spaces and in lower
// case: those whose check digits hold.
func accountsIn(text string) (list []string) {
	for at := 0; at < len(text); at++ {
		if !isAlnum(text[at]) || at > 0 && isAlnum(text[at-1]) {
			continue
		}
		var run []byte
		gap := 0
		for i := at; i < len(text) && len(run) < 40; i++ {
			if isAlnum(text[i]) {
				run, gap = append(run, text[i]), 0
			} else if gap++; gap > 1 || strings.IndexByte(" -.", text[i]) < 0 {
				break
			}
		}
		if account := accountAt(strings.ToUpper(string(run))); account != "" {
			list = append(list, strings.ToLower(account))
		}
	}
	return list
}

// accountAt is the account that a row of characters begins with; empty for none.
func accountAt(run string) string {
	if len(run) >= 15 && run[0] >= 'A' && run[1] >= 'A' && isDigit(run[2]) && isDigit(run[3]) {
		for n := min(len(run), 34); n >= 15; n-- {
			if ibanHolds(run[:n]) {
				return run[:n]
			}
		}
		return ""
	}
	digits := 0
	for digits < len(run) && isDigit(run[digits]) {
		digits++
	}
	if digits >= 13 && digits <= 19 && luhnHolds(run[:digits]) {
		return run[:digits]
	}
	return ""
}

// ibanHolds checks an IBAN modulo 97.
func ibanHolds(iban string) bool {
	rest := 0
	for _, c := range []byte(iban[4:] + iban[:4]) {
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}

// luhnHolds checks the number of a card.
func luhnHolds(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0 && strings.Trim(digits, digits[:1]) != ""
}
