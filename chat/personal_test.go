package chat

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// carriers are sentences of several languages that hold something personal.
var carriers = []string{
	"Hello, this is for %s please, thanks", "my data: %s", "%s", "Ich bin unter %s zu erreichen, danke!", "Bitte zu %s schicken.",
	"Hola, es %s, gracias", "c'est %s merci", "meu contato é %s obrigado", "Mój to %s, dziękuję", "benim %s teşekkürler",
	"мой %s спасибо", "هذا %s شكرا", "我的是 %s 谢谢", "(%s)", "a,%s;b", "see:%s!", "line one\n%s\nline three", "*%s*", "„%s“",
}

// canary is something planted, and what of it may not be left.
type canary struct{ kind, text, trace string }

type planter struct{ *rand.Rand }

func (p planter) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('1' + p.IntN(9))
	}
	return string(b)
}

func (p planter) pick(list ...string) string { return list[p.IntN(len(list))] }

func (p planter) grouped(s string, sizes ...int) string {
	sep := p.pick(" ", "-", ".", "", "\u00a0", "/")
	var parts []string
	for i := 0; len(s) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(s))
		parts, s = append(parts, s[:n]), s[n:]
	}
	return strings.Join(parts, sep)
}

func (p planter) phone() canary {
	d := p.digits(10)
	text := p.pick("+49 "+p.grouped(d, 3, 3, 4), "0"+p.grouped(d, 3, 7), "("+d[:3]+") "+d[3:6]+"-"+d[6:], "0049"+d, "+1-"+p.grouped(d, 3, 3, 4),
		"+49 (0) "+p.grouped(d, 3, 4), strings.Join(strings.Split(d, ""), " "), wide(d), arabic(d), "+"+d[:7])
	return canary{PersonalPhone, text, d[3:7]}
}

func wide(d string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, d)
}

func arabic(d string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '٠' }, d)
}

func (p planter) card() canary {
	d := p.pick("4", "51", "37") + p.digits(p.pick2(12, 13, 14))
	for c := range 10 {
		if luhnHolds(d + fmt.Sprint(c)) {
			d += fmt.Sprint(c)
			break
		}
	}
	return canary{PersonalCard, p.grouped(d, 4), d[4:10]}
}

func (p planter) pick2(list ...int) int { return list[p.IntN(len(list))] }

func (p planter) iban() canary {
	country := p.pick("DE", "GB", "FR", "ES", "NL", "PL")
	body := p.digits(18)
	if country == "GB" || country == "NL" {
		body = "ABNA" + p.digits(12)
	}
	for check := range 98 {
		iban := fmt.Sprintf("%s%02d%s", country, check, body)
		if ibanHolds(iban) {
			return canary{PersonalIBAN, p.pick(p.grouped(iban, 4), strings.ToLower(iban)), body[6:12]}
		}
	}
	return p.iban()
}

func (p planter) mail() canary {
	user := "qx" + p.pick("ada", "j.doe", "müller", "info+tag") + "zv" + p.digits(2)
	host := p.pick("example", "firma-x", "post") + "." + p.pick("com", "de", "co.uk", "museum")
	at := p.pick("@", "@", " @ ", "(at)", " [at] ", "＠", " at ")
	if at == " at " {
		host = strings.ReplaceAll(host, ".", " dot ")
	}
	return canary{PersonalEmail, user + at + host, "zv" + user[len(user)-2:]}
}

func (p planter) key() canary {
	tail := "Zq" + p.digits(6) + "xY" + p.digits(8)
	return canary{PersonalKey, p.pick("sk-", "ghp_", "xoxb-", "AKIA", "whsec_", "password is ", "Passwort: ") + tail, tail[2:8]}
}

func (p planter) order() canary {
	d := p.digits(6)
	return canary{PersonalOrder, p.pick("order #", "Bestellung Nr. ", "pedido ", "order number is ", "#", "invoice no. ", "ORD-", "заказ ", "AB/") + d, d}
}

func (p planter) user() canary {
	u := "quokka_" + p.digits(3)
	return canary{PersonalUser, p.pick("@"+u, "ig: @"+u), "quokka"}
}

func (p planter) address() canary {
	street := p.pick("Quendelstraße 17", "17 Quendel Street", "Calle Quendel 17", "rue Quendel 17", "ul. Quendel 17", "Quendelweg 4a", "via Quendel, 12")
	return canary{PersonalAddress, street, "quendel"}
}

// people are contacts with names of several languages; bent are forms of them.
var people = []Contact{
	{Name: "Anna Kowalczyk"}, {Name: "José Müller-Lüdenscheidt"}, {Name: "Иван Петров"}, {Name: "王小明"}, {Name: "Mehmet Yıldırım"},
	{Name: "فاطمة الزهراء"}, {Name: "Siobhán O'Rourke"}, {Name: "Nguyễn Văn Thịnh", Profile: &Profile{Username: "wolpertinger.x"}},
	{Name: "Zacharias", Fields: map[string]string{"first_name": "Rosalinde", "pet": "Schnuffelpuff"}, Addresses: []Address{{Kind: IGSID, Value: "627000000000099"}}},
}

var bentNames = []canary{
	{PersonalName, "Anną", "ann"}, {PersonalName, "Annie", "ann"}, {PersonalName, "ANNA", "ann"}, {PersonalName, "Anna's", "anna"},
	{PersonalName, "Kowalczykowi", "kowal"}, {PersonalName, "kowalczykiem", "kowal"}, {PersonalName, "Mueller", "mueller"}, {PersonalName, "MÜLLERs", "ller"},
	{PersonalName, "jose", "jose"}, {PersonalName, "Ludenscheidt", "scheidt"}, {PersonalName, "Петрова", "петр"}, {PersonalName, "Ивану", "иван"},
	{PersonalName, "Иваном", "иван"}, {PersonalName, "小明", "小明"}, {PersonalName, "王小明", "小明"}, {PersonalName, "Mehmet'in", "mehmet"}, {PersonalName, "Yildirim", "yild"},
	{PersonalName, "وفاطمة", "فاطمة"}, {PersonalName, "Siobhan", "siobh"}, {PersonalName, "Rourke’s", "rourke"}, {PersonalName, "Thinh", "thinh"},
	{PersonalName, "Rosalindes", "rosalind"}, {PersonalName, "Zachariasen", "zachar"}, {PersonalSaid, "Schnuffelpuff", "schnuffel"},
	{PersonalUser, "wolpertinger.x", "wolpert"}, {PersonalUser, "627000000000099", "627000"}, {PersonalName, "A\u200bnna", "anna"}, {PersonalName, "Ａｎｎａ", "anna"},
}

// TestRedactor_TakesEveryCanary plants every kind in sentences of several languages.
func TestRedactor_TakesEveryCanary(t *testing.T) {
	r := NewRedactor(&Personal{Contacts: people, Orders: []string{"WXYZQ"}})
	p := planter{rand.New(rand.NewPCG(7, 11))}
	try := func(c canary) {
		t.Helper()
		for _, carrier := range carriers {
			text := fmt.Sprintf(carrier, c.text)
			found := map[string]int{}
			got := r.Redact(text, found)
			left := squeeze(got)
			if c.kind == PersonalName {
				left = strings.ToLower(plainDigits(got))
			}
			if strings.Contains(left, c.trace) || len(found) == 0 {
				t.Errorf("%s %q: %q became %q", c.kind, c.text, text, got)
			}
			if again := r.Redact(got, map[string]int{}); again != got {
				t.Errorf("twice: %q became %q, then %q", text, got, again)
			}
		}
	}
	for range 40 {
		for _, make := range []func() canary{p.phone, p.card, p.iban, p.mail, p.key, p.order, p.user, p.address} {
			try(make())
		}
	}
	for _, c := range bentNames {
		try(c)
	}
	try(canary{PersonalOrder, "wxyzq", "wxyzq"})
	for _, spoken := range []string{"null eins fünf eins zwei drei vier", "five five five zero one two three", "seis uno cero dos tres cuatro cinco"} {
		try(canary{PersonalPhone, spoken, squeeze(spoken)[4:14]})
	}
}

// What is nobody's stays: a text that is only marks teaches nothing.
func TestRedactor_LeavesWhatIsNobodys(t *testing.T) {
	r := NewRedactor(&Personal{Contacts: people})
	for _, text := range []string{
		"We are open from 9:00 to 18:00.", "The blue bike is 699.00 EUR.", "Das kostet 1.299,00 € und 12 Stück sind da.", "Do you have size 42?",
		"Since 2019 we sell bikes.", "Can I return it within 14 days?", "¿Cuánto cuesta el casco rojo?", "The market is big, and another ananas annex.",
	} {
		found := map[string]int{}
		if got := r.Redact(text, found); got != text {
			t.Errorf("%q became %q: %v", text, got, found)
		}
	}
}
