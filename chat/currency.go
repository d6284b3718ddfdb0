package chat

import (
	"slices"
	"strings"
)

// currencies are the ISO 4217 words that prices are read by, with the digits that
// the smallest unit of each has behind the point.
var currencies = map[string]int{
	"AED": 2, "ARS": 2, "AUD": 2, "BDT": 2, "BGN": 2, "BHD": 3, "BOB": 2, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2,
	"COP": 2, "CRC": 2, "CZK": 2, "DKK": 2, "DOP": 2, "DZD": 2, "EGP": 2, "EUR": 2, "GBP": 2, "GEL": 2, "GHS": 2, "GTQ": 2,
	"HKD": 2, "HUF": 2, "IDR": 2, "ILS": 2, "INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KES": 2, "KRW": 0, "KWD": 3, "KZT": 2,
	"LKR": 2, "MAD": 2, "MXN": 2, "MYR": 2, "NGN": 2, "NOK": 2, "NPR": 2, "NZD": 2, "OMR": 3, "PEN": 2, "PHP": 2, "PKR": 2,
	"PLN": 2, "PYG": 0, "QAR": 2, "RON": 2, "RSD": 2, "RUB": 2, "SAR": 2, "SEK": 2, "SGD": 2, "THB": 2, "TND": 3, "TRY": 2,
	"TWD": 2, "TZS": 2, "UAH": 2, "UGX": 0, "USD": 2, "UYU": 2, "VES": 2, "VND": 0, "XAF": 0, "XOF": 0, "ZAR": 2,
}

// CurrencyDigits reports whether word is a currency that prices are read by, and how many
// digits its smallest unit has behind the point.
func CurrencyDigits(word string) (digits int, ok bool) {
	digits, ok = currencies[word]
	return digits, ok
}

// cautious are currencies that are ordinary words too: they count in capitals and
// behind the number only.
var cautious = []string{"BOB", "GEL", "MAD", "PEN", "RON", "TRY", "COP"}

// anyCurrency is written of an amount in cents of nobody says what.
const anyCurrency = "?"

// symbols lead to a currency, or to a word that stands for several. Longer ones come
// before those they begin with.
var symbols = []struct{ sign, currency string }{
	{"US$", "USD"}, {"AU$", "AUD"}, {"CA$", "CAD"}, {"NZ$", "NZD"}, {"HK$", "HKD"}, {"MX$", "MXN"}, {"NT$", "TWD"},
	{"R$", "BRL"}, {"A$", "AUD"}, {"C$", "CAD"}, {"S$", "SGD"}, {"$", "$"},
	{"€", "EUR"}, {"£", "GBP"}, {"¥", "¥"}, {"₹", "INR"}, {"₽", "RUB"}, {"₺", "TRY"}, {"₴", "UAH"}, {"₪", "ILS"}, {"₩", "KRW"},
	{"₫", "VND"}, {"฿", "THB"}, {"₦", "NGN"}, {"₱", "PHP"}, {"₸", "KZT"}, {"₾", "GEL"}, {"₲", "PYG"}, {"₡", "CRC"}, {"¢", anyCurrency},
	{"د.إ", "AED"}, {"ر.س", "SAR"}, {"円", "JPY"}, {"元", "CNY"}, {"S/", "PEN"},
}

// namesBehind are words for currencies as people write them behind a number.
var namesBehind = map[string]string{
	"euro": "EUR", "euros": "EUR", "eur": "EUR", "euró": "EUR", "ευρώ": "EUR", "евро": "EUR",
	"dollar": "$", "dollars": "$", "dólar": "$", "dólares": "$", "dolar": "$", "dolares": "$", "dollari": "$", "bucks": "$", "usd": "USD",
	"peso": "peso", "pesos": "peso", "reais": "BRL", "pound": "£", "pounds": "£", "quid": "£", "pfund": "£", "libras": "£",
	"franken": "CHF", "sfr": "CHF", "fr": "CHF", "francs": "franc", "franc": "franc", "franchi": "CHF", "rupees": "Rs", "rupee": "Rs",
	"kr": "kr", "kronor": "kr", "kroner": "kr", "krona": "kr", "krone": "kr", "kronen": "kr", "zł": "PLN", "złotych": "PLN", "zloty": "PLN",
	"kč": "CZK", "korun": "CZK", "forint": "HUF", "lei": "RON", "lira": "TRY", "rubles": "RUB", "рублей": "RUB", "руб": "RUB",
	"гривень": "UAH", "грн": "UAH", "yen": "JPY", "yuan": "CNY", "rmb": "CNY", "rand": "ZAR", "dirham": "AED", "dirhams": "AED",
	"درهم": "AED", "ريال": "SAR", "soles": "PEN", "quetzales": "GTQ", "shekel": "ILS", "baht": "THB", "naira": "NGN", "ringgit": "MYR",
	"cent": anyCurrency, "cents": anyCurrency, "ct": anyCurrency, "cts": anyCurrency, "centavos": anyCurrency, "centimes": anyCurrency,
	"centesimi": anyCurrency, "céntimos": anyCurrency, "cêntimos": anyCurrency, "pence": anyCurrency, "kopeks": anyCurrency,
}

// namesBefore are words that stand before the number only.
var namesBefore = map[string]string{"rs": "Rs", "rp": "IDR", "rm": "MYR", "kr": "kr", "sfr": "CHF", "eur": "EUR", "euro": "EUR", "usd": "USD", "gbp": "GBP"}

// families are the currencies that one sign or word stands for.
var families = map[string][]string{
	"$":     {"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "MXN", "ARS", "CLP", "COP", "UYU", "DOP"},
	"peso":  {"MXN", "ARS", "CLP", "COP", "UYU", "DOP", "PHP"},
	"¥":     {"JPY", "CNY"},
	"£":     {"GBP", "EGP"},
	"kr":    {"SEK", "NOK", "DKK", "ISK"},
	"franc": {"CHF", "XAF", "XOF"},
	"Rs":    {"INR", "PKR", "LKR", "NPR"},
}

// sameCurrency reports whether two words may mean one currency.
func sameCurrency(a, b string) bool {
	if a == b || a == anyCurrency || b == anyCurrency {
		return true
	}
	of := func(w string) []string {
		if f := families[w]; f != nil {
			return f
		}
		return []string{w}
	}
	return slices.ContainsFunc(of(a), func(w string) bool { return slices.Contains(of(b), w) })
}

// wordBehind is the currency of a word behind a number.
func wordBehind(word string) (currency string, ok bool) {
	if _, iso := currencies[word]; iso {
		return word, true
	}
	if word == "Ft" {
		return "HUF", true
	}
	lower := strings.ToLower(word)
	if currency, ok = namesBehind[lower]; ok {
		return currency, true
	}
	upper := strings.ToUpper(word)
	if _, iso := currencies[upper]; iso && lower == word && !slices.Contains(cautious, upper) {
		return upper, true
	}
	return "", false
}

// wordBefore is the currency of a word before a number. R is that of South Africa,
// and many other things: a price has cents.
func wordBefore(word string, cents bool) (currency string, ok bool) {
	if _, iso := currencies[word]; iso {
		return word, cents || !slices.Contains(cautious, word)
	}
	if word == "R" {
		return "ZAR", cents
	}
	currency, ok = namesBefore[strings.ToLower(word)]
	return currency, ok
}
