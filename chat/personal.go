package chat

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The kinds of personal data that a Redactor takes out. The words are labels of
// metrics and stand in texts, in brackets and capitals, for what was there.
const (
	PersonalKey      = "key"      // a key, a token, a password
	PersonalEmail    = "email"    // an e-mail address, also one in words
	PersonalLink     = "link"     // any link: paths and queries name people
	PersonalIBAN     = "iban"     // an account whose check digits hold
	PersonalCard     = "card"     // a card whose check digit holds
	PersonalPhone    = "phone"    // a row of seven digits and more, also in words
	PersonalOrder    = "order"    // the number of an order, an invoice, a ticket
	PersonalUser     = "username" // a name behind @, or one of a contact
	PersonalName     = "name"     // a part of a contact's name, also bent
	PersonalAddress  = "address"  // a street with a number, a town with its code
	PersonalDate     = "date"     // a day of the calendar
	PersonalNumber   = "number"   // what else has four digits in a row
	PersonalSaid     = "said"     // what a contact said of themselves, see Contact.Fields
	PersonalUncommon = "uncommon" // a word that too few people use
)

// PersonalKinds are all of them.
var PersonalKinds = []string{PersonalKey, PersonalEmail, PersonalLink, PersonalIBAN, PersonalCard, PersonalPhone, PersonalOrder, PersonalUser,
	PersonalName, PersonalAddress, PersonalDate, PersonalNumber, PersonalSaid, PersonalUncommon}

// Redactor takes personal data out of texts: what has a form of its own by rules, names
// and numbers of orders by what is known of the tenant's people. It sees through
// invisible characters, wide forms and digits of other scripts, and takes too much
// rather than too little. Immutable after NewRedactor.
type Redactor struct {
	names *nameBook
	// said are literal texts, in lower case, with the kind of each.
	said map[string]string
	// longest first
	order []string
}

// Personal is what is known of a tenant's people.
type Personal struct {
	Contacts []Contact
	// Orders are numbers of orders.
	Orders []string
}

// saidMin is from how many characters on a known text is taken out wherever it stands.
const saidMin = 4

// NewRedactor is a Redactor that knows people.
func NewRedactor(k *Personal) *Redactor {
	r := &Redactor{names: newNameBook(), said: map[string]string{}}
	add := func(text, kind string) {
		if text = strings.ToLower(strings.TrimSpace(plainDigits(text))); utf8.RuneCountInString(text) >= saidMin {
			r.said[text] = kind
		}
	}
	for i := range k.Contacts {
		c := &k.Contacts[i]
		r.names.add(c.Name)
		for _, a := range append(slices.Clone(c.Addresses), c.Former...) {
			kind := PersonalUser
			if a.isNumber() {
				kind = PersonalPhone
			}
			add(a.Value, kind)
		}
		if c.Profile != nil {
			add(c.Profile.Username, PersonalUser)
			r.names.add(strings.Map(func(x rune) rune {
				if unicode.IsLetter(x) {
					return x
				}
				return ' '
			}, c.Profile.Username))
		}
		for field, v := range c.Fields {
			if strings.Contains(field, "name") {
				r.names.add(v)
			}
			add(v, PersonalSaid)
		}
	}
	for _, o := range k.Orders {
		add(o, PersonalOrder)
	}
	for text := range r.said {
		r.order = append(r.order, text)
	}
	slices.SortFunc(r.order, func(a, b string) int { return len(b) - len(a) })
	return r
}

// marked is what stands for a kind in a text. Its brackets stand in no plain text:
// Redact writes those of the text as round ones.
func marked(kind string) string { return "[" + strings.ToUpper(kind) + "]" }

// Redact is a text without personal data, and how much of each kind was taken out. It
// is pure, and doing it twice is doing it once.
func (r *Redactor) Redact(text string, found map[string]int) string {
	text = plainDigits(strings.ToValidUTF8(text, ""))
	take := func(kind string) string {
		found[kind]++
		return marked(kind)
	}
	text = takeKeys(text, take)
	text = secretSaid.ReplaceAllStringFunc(text, func(s string) string {
		m := secretSaid.FindStringSubmatch(s)
		return m[1] + take(PersonalKey)
	})
	text = mailForm.ReplaceAllStringFunc(text, func(string) string { return take(PersonalEmail) })
	text = mailWords.ReplaceAllStringFunc(text, func(string) string { return take(PersonalEmail) })
	text = eachWord(text, func(w string) string {
		if strings.HasSuffix(w, ":") || len(linksIn(w)) == 0 {
			return w
		}
		return take(PersonalLink)
	})
	text = ibanForm.ReplaceAllStringFunc(text, func(s string) string { return takeIBAN(s, take) })
	for _, t := range r.order {
		text = replaceFold(text, t, func() string { return take(r.said[t]) })
	}
	text = userForm.ReplaceAllStringFunc(text, func(s string) string {
		at := strings.IndexByte(s, '@')
		return s[:at] + take(PersonalUser)
	})
	text = digitWords.ReplaceAllStringFunc(text, func(string) string { return take(PersonalPhone) })
	text = orderForm.ReplaceAllStringFunc(text, func(s string) string {
		m := orderForm.FindStringSubmatch(s)
		if strings.HasPrefix(m[2], "[") || strings.IndexFunc(m[2], unicode.IsDigit) < 0 {
			return s
		}
		return m[1] + take(PersonalOrder)
	})
	for _, form := range addressForms {
		text = form.ReplaceAllStringFunc(text, func(string) string { return take(PersonalAddress) })
	}
	text = takeNumbers(text, take)
	text = codeForm.ReplaceAllStringFunc(text, func(string) string { return take(PersonalOrder) })
	return r.names.take(text, take)
}

var (
	mailForm   = regexp.MustCompile(`[\p{L}\p{N}._%+'-]+\s?@\s?[\p{L}\p{N}-]+(?:\s?\.\s?[\p{L}\p{N}-]+)+`)
	mailWords  = regexp.MustCompile(`(?i)[\p{L}\p{N}._%+-]+\s*(?:\(\s*at\s*\)|\[\s*at\s*\]|\{at\}|\sat\s|\sarroba\s|\sättä\s)\s*[\p{L}\p{N}-]+(?:\s*(?:\(\s*(?:dot|punkt|punto)\s*\)|\[\s*(?:dot|punkt|punto)\s*\]|\sdot\s|\spunkt\s|\spunto\s|\.)\s*[\p{L}\p{N}-]{2,})+`)
	ibanForm   = regexp.MustCompile(`(?i)\b[a-z]{2}[ .-]?\d[ .-]?\d(?:[ .-]?[a-z0-9]){11,30}\b`)
	userForm   = regexp.MustCompile(`(?:^|[^\p{L}\p{N}\[])@[\p{L}\p{N}_.]{2,}`)
	secretSaid = regexp.MustCompile(`(?i)((?:password|passwort|kennwort|passcode|pin|otp|tan|contraseña|clave|mot de passe|senha|hasło|şifre|пароль)\s*(?:is|ist|lautet|es|est|é|to|:|=)+\s*)[^\s\[]\S*`)
	orderForm  = regexp.MustCompile(`(?i)((?:order|bestellung|bestellnummer|auftrag|rechnung|invoice|ticket|booking|buchung|pedido|factura|commande|facture|ordine|zamówienie|sipariş|заказ|客户|订单|#)[\p{L}]{0,8}\s*(?:no\.?|nr\.?|number|nummer|número|numéro|num|id|is|ist|es|:|#|\.|-)*\s*[:#]?\s*)([\p{L}\p{N}][\p{L}\p{N}/_-]*)`)
	codeForm   = regexp.MustCompile(`(?i)\b(?:[a-z]{1,8}[-_/#]?\d{3,}[a-z0-9_/-]*|\d{2,}[-_/][a-z0-9_/-]*\d[a-z0-9_/-]*|\d+[a-z]+\d+[a-z0-9]*|#[a-z0-9-]*\d[a-z0-9-]*)\b`)
	digitWords = regexp.MustCompile(`(?i)\b(?:(?:` + digitNames + `)[\s,.-]+){5,}(?:` + digitNames + `)\b`)
	numberForm = regexp.MustCompile(`\+?\(?\d(?:[\s().,/_·:–—-]{0,3}\d)*`)
	timeForm   = regexp.MustCompile(`^(?:[01]?\d|2[0-4])[:.][0-5]\d(?:\s?[-–]\s?(?:[01]?\d|2[0-4])[:.][0-5]\d)?$`)
)

const digitNames = `zero|one|two|three|four|five|six|seven|eight|nine|oh|null|eins|zwei|zwo|drei|vier|fünf|sechs|sieben|acht|neun|` +
	`cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|zéro|un|deux|trois|quatre|cinq|sept|huit|neuf|dois|três|quatro|sete|oito|nove`

var addressForms = []*regexp.Regexp{
	regexp.MustCompile(`(?i)[\p{L}.'-]*(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer|chaussee|straat|laan|gatan|vej|utca|ulica|caddesi|sokak)\s+(?:nr\.?\s*)?\d+\s?[a-z]?(?:\s*,?\s*\d{4,5}\s+[\p{L}-]+)?`),
	regexp.MustCompile(`(?i)\b\d{1,5}[a-z]?,?\s+(?:[\p{L}.'-]+\s+){1,3}(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|square|terrace|crescent|close)\b\.?`),
	regexp.MustCompile(`(?i)\b(?:calle|avenida|av\.|plaza|paseo|camino|rue|via|viale|rua|travessa|ul\.|ulica|улица|ул\.)\s+[\p{L}\s.'-]{2,40}?,?\s*(?:n[º°o]?\.?\s*)?\d+[a-z]?`),
	regexp.MustCompile(`(?i)\b\d{1,4}(?:\s?bis)?,?\s+(?:rue|avenue|boulevard|chemin|place|impasse)\s+[\p{L}'-]+(?:\s+[\p{L}'-]+){0,4}`),
	regexp.MustCompile(`\b\d{5}\s+\p{Lu}[\p{L}-]+`),
	regexp.MustCompile(`(?i)\b[a-z]{1,2}\d[a-z\d]?\s\d[a-z]{2}\b`),
}

// takeKeys takes out what looks like a key.
func takeKeys(text string, take func(string) string) string {
	var b strings.Builder
	for at := 0; at < len(text); {
		run := keyRun(text[at:])
		if run == "" {
			_, n := utf8.DecodeRuneInString(text[at:])
			b.WriteString(text[at : at+n])
			at += n
			continue
		}
		at += len(run)
		isKey := randomWord(strings.Trim(run, "-_.+/="))
		for _, h := range keyHeads {
			if i := strings.Index(run, h); i >= 0 && (i == 0 || !isWordRune(rune(run[i-1]))) && len(run)-i-len(h) >= keyTailMin && hasDigit(run[i+len(h):]) {
				isKey = true
			}
		}
		if isKey {
			run = take(PersonalKey)
		}
		b.WriteString(run)
	}
	return b.String()
}

// takeIBAN takes out the account that a candidate begins with.
func takeIBAN(s string, take func(string) string) string {
	var run []byte
	var ends []int
	for i := range len(s) {
		if isAlnum(s[i]) {
			run, ends = append(run, s[i]), append(ends, i+1)
		}
	}
	account := accountAt(strings.ToUpper(string(run)))
	if account == "" {
		return s
	}
	return take(PersonalIBAN) + s[ends[len(account)-1]:]
}

// takeNumbers takes out rows of digits: cards, telephone numbers, days, and whatever
// has four digits. Amounts of money and times of a day stay.
func takeNumbers(text string, take func(string) string) string {
	prices := scanPrices(text)
	return replaceSpans(numberForm, text, func(from, to int) string {
		piece := text[from:to]
		digits := digitsOf(piece)
		inPrice := slices.ContainsFunc(prices, func(p foundPrice) bool { return p.from <= from && to <= p.to })
		switch n := len(digits); {
		case n >= 13 && hasCard(digits):
			return take(PersonalCard)
		case inPrice && n <= 7, n < 4 && !strings.HasPrefix(piece, "+"), timeForm.MatchString(piece):
			return piece
		case dateLike(piece) || n <= 8 && dayForm.MatchString(piece):
			return take(PersonalDate)
		case n >= 7:
			return take(PersonalPhone)
		case n == 4 && piece == digits && (digits[:2] == "19" || digits[:2] == "20"):
			return piece
		}
		return take(PersonalNumber)
	})
}

var dayForm = regexp.MustCompile(`^\d{1,2}[./-]\s?\d{1,2}[./-]\s?(?:\d{2}|\d{4})$`)

// hasCard reports whether digits hold a card's number.
func hasCard(digits string) bool {
	for n := min(len(digits), 19); n >= 13; n-- {
		for at := 0; at+n <= len(digits); at++ {
			if luhnHolds(digits[at : at+n]) {
				return true
			}
		}
	}
	return false
}

// replaceSpans is ReplaceAllStringFunc with places.
func replaceSpans(form *regexp.Regexp, text string, with func(from, to int) string) string {
	var b strings.Builder
	at := 0
	for _, m := range form.FindAllStringIndex(text, -1) {
		b.WriteString(text[at:m[0]])
		b.WriteString(with(m[0], m[1]))
		at = m[1]
	}
	return b.String() + text[at:]
}

// eachWord replaces what stands between spaces.
func eachWord(text string, with func(string) string) string {
	var b strings.Builder
	for at := 0; at < len(text); {
		end := at + strings.IndexFunc(text[at:], linkBreak)
		if end < at {
			end = len(text)
		}
		if end > at {
			b.WriteString(with(text[at:end]))
		}
		if end < len(text) {
			_, n := utf8.DecodeRuneInString(text[end:])
			b.WriteString(text[end : end+n])
			end += n
		}
		at = end
	}
	return b.String()
}

// replaceFold replaces a text of lower case wherever it stands as words of its own.
func replaceFold(text, lower string, with func() string) string {
	folded := strings.ToLower(text)
	if len(folded) != len(text) {
		text = folded // a letter whose small form is longer: the case is lost
	}
	var b strings.Builder
	at := 0
	for {
		i := strings.Index(folded[at:], lower)
		if i < 0 {
			return b.String() + text[at:]
		}
		from, to := at+i, at+i+len(lower)
		before, _ := utf8.DecodeLastRuneInString(text[:from])
		after, n := utf8.DecodeRuneInString(text[to:])
		if wordless(lower) || (from == 0 || !isWordRune(before)) && (n == 0 || !isWordRune(after)) {
			b.WriteString(text[at:from])
			b.WriteString(with())
		} else {
			b.WriteString(text[at:to])
		}
		at = to
	}
}
