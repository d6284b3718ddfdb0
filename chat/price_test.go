package chat_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

func read(text string) string {
	var list []string
	for _, a := range chat.PricesIn(text) {
		v := "words"
		if a.Milli >= 0 {
			v = strconv.FormatFloat(float64(a.Milli)/1000, 'f', -1, 64)
		}
		list = append(list, v+" "+a.Currency)
	}
	return strings.Join(list, "; ")
}

func TestPricesIn_ReadsWhatPeopleWrite(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Das Rad kostet 1.299,00 €.", "1299 EUR"},
		{"The bike is $1,299.00 today", "1299 $"},
		{"12 EUR", "12 EUR"}, {"EUR 12", "12 EUR"}, {"EUR12", "12 EUR"}, {"12eur", "12 EUR"},
		{"R$ 10,50", "10.5 BRL"}, {"R$10,50 à vista", "10.5 BRL"},
		{"1 299 kr", "1299 kr"}, {"1 299,50 kr", "1299.5 kr"},
		{"CHF 1'299.00", "1299 CHF"}, {"CHF 1’299.–", "1299 CHF"},
		{"12,– €", "12 EUR"}, {"12,- Euro", "12 EUR"}, {"€12.-", "12 EUR"},
		{"₹1,00,000", "100000 INR"}, {"Rs. 2,500", "2500 Rs"},
		{"¥12,800", "12800 ¥"}, {"12800円", "12800 JPY"},
		{"US$ 20 and C$25.50", "20 USD; 25.5 CAD"},
		{"$12 $13", "12 $; 13 $"}, {"12 € 13 €", "12 EUR; 13 EUR"}, {"12 € 13 Stück", "12 EUR"},
		{"2 €5 vouchers", "5 EUR"},
		{"10–12 €", "10 EUR; 12 EUR"}, {"€10-12", "10 EUR; 12 EUR"}, {"10 bis 12 Euro", "10 EUR; 12 EUR"},
		{"entre 10 e 12 reais", "10 BRL; 12 BRL"}, {"$10 to $12", "10 $; 12 $"}, {"from 10 to 12 USD", "10 USD; 12 USD"},
		{"**49** €", "49 EUR"}, {"*€* 49", "49 EUR"}, {"Price: *49,90 EUR*", "49.9 EUR"},
		{"2k €", "2000 EUR"}, {"1,5 Mio. Euro", "1500000 EUR"}, {"3 mil pesos", "3000 peso"}, {"1.2 million dollars", "1200000 $"},
		{"99 cents", "0.99 ?"}, {"50 ct", "0.5 ?"},
		{"0,5 €", "0.5 EUR"}, {".5", ""}, {"1.299 €", "1299 EUR"}, {"1,299 $", "1299 $"},
		{"1.299 KWD", "1.299 KWD"}, {"12.500 KWD", "12.5 KWD"},
		{"٤٩ €", "49 EUR"}, {"４９ €", "49 EUR"}, {"४९ ₹", "49 INR"},
		{"4\u200b9\u2060 €", "49 EUR"}, {"4\u00ad9€", "49 EUR"},
		{"twelve euros", "words EUR"}, {"zwölf Euro", "words EUR"}, {"neunundneunzig Euro", "words EUR"}, {"cien dólares", "words $"},
		{"one hundred dollars", "words $"},
		{"R 1 299,00", "1299 ZAR"}, {"R2D2", ""}, {"RM 15.90", "15.9 MYR"}, {"Rp 15.000", "15000 IDR"},
		{"S/ 25.00", "25 PEN"}, {"49 zł", "49 PLN"}, {"990 Kč", "990 CZK"}, {"4500 Ft", "4500 HUF"}, {"6 ft tall", ""},
		{"£5", "5 GBP"}, {"5 pounds of flour", ""}, {"only 5 pounds", "5 £"},
		{"try 3 times, all 12 of them, mad 5", ""}, {"300 TRY", "300 TRY"},
		{"Call 030 123456, size 42, 20 %, 3 kg, 10:30", ""}, {"Model X12 and iPhone 15", ""},
		{"", ""}, {"€", ""}, {"EUR EUR", ""}, {"\xff€12\xff", "12 EUR"},
		{"99999999999999999999 €", "words EUR"},
		{"1.299.000,00 COP", "1299000 COP"}, {"1 299 000 ₫", "1299000 VND"},
		{"Statt 59,90€ nur 39,90€!", "59.9 EUR; 39.9 EUR"},
		{"Price:\n49 €", "49 EUR"}, {"49\n€", "49 EUR"},
	} {
		if got := read(c.text); got != c.want {
			t.Errorf("%q: read %q, want %q", c.text, got, c.want)
		}
	}
}

// priceForm is one way to write an amount.
type priceForm struct {
	thousands, point, format, currency string
}

var priceForms = []priceForm{
	{".", ",", "%s €", "EUR"}, {",", ".", "€%s", "EUR"}, {"", ".", "EUR %s", "EUR"}, {"", ",", "%s Euro", "EUR"},
	{"\u00a0", ",", "%s EUR", "EUR"}, {" ", ",", "%s €", "EUR"}, {"'", ".", "CHF %s", "CHF"}, {",", ".", "$%s", "USD"},
	{",", ".", "%s USD", "USD"}, {".", ",", "R$ %s", "BRL"}, {"\u202f", ",", "%s kr", "SEK"}, {".", ",", "%s TRY", "TRY"},
}

func (f priceForm) write(units int64) string {
	whole, cents := strconv.FormatInt(units/100, 10), units%100
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + f.thousands + whole[i:]
	}
	return fmt.Sprintf(f.format, whole+f.point+fmt.Sprintf("%02d", cents))
}

func TestPricesIn_Property_EveryFormIsThePrice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(priceForms).Draw(t, "form")
		units := rapid.Int64Range(0, 99_999_999).Draw(t, "units")
		before := rapid.SampledFrom([]string{"", "It costs ", "Nur ", "Der Preis: ", "(", "*", "Artikel 7 kostet "}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", ".", "!", ", danke", ")", "*", " inkl. MwSt."}).Draw(t, "after")
		text := before + f.write(units) + after
		item := chat.CatalogItem{Price: units, Currency: f.currency}
		got := chat.PricesIn(text)
		if len(got) != 1 || !got[0].Same(item.Amount()) {
			t.Fatalf("%q: read %+v, want %d %s", text, got, units, f.currency)
		}
		if left := chat.Quoted(text, []chat.Amount{item.Amount()}); len(left) != 0 {
			t.Fatalf("%q: %v is not its own price", text, left)
		}
		item.Price++
		if left := chat.Quoted(text, []chat.Amount{item.Amount()}); len(left) != 1 {
			t.Fatalf("%q passes for %s", text, item.PriceText())
		}
	})
}

func TestPricesIn_Property_NeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"€", "$", "12", "1.2", ",", ".", "-", "EUR", "S/", " ", "k", "\xff", "٤", "1'2", "–", "zwölf"}))).Draw(t, "parts")
		text := strings.Join(parts, "")
		for _, a := range chat.PricesIn(text) {
			if a.Text == "" || a.Currency == "" {
				t.Fatalf("%q: an amount without a text or a currency: %+v", text, a)
			}
		}
	})
}

func TestCatalogItem_PriceText(t *testing.T) {
	for _, c := range []struct {
		units    int64
		currency string
		want     string
	}{{129900, "EUR", "1299.00 EUR"}, {5, "EUR", "0.05 EUR"}, {1280, "JPY", "1280 JPY"}, {1500, "KWD", "1.500 KWD"}, {0, "USD", "0.00 USD"}} {
		item := chat.CatalogItem{Price: c.units, Currency: c.currency}
		if got := item.PriceText(); got != c.want {
			t.Errorf("%d: %q, want %q", c.units, got, c.want)
		}
		if left := chat.Quoted(c.want, []chat.Amount{item.Amount()}); len(left) != 0 {
			t.Errorf("%q is not read as its own price: %v", c.want, left)
		}
	}
}
