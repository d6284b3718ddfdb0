package chat_test

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

// shop is what a small business stands for, and one customer.
func shop() *chat.Sayable {
	return &chat.Sayable{
		Business: []string{
			"Rad & Tat, Lindenallee 5. Write to hallo@radundtat.example or call 030 1234567. IBAN DE89 3704 0044 0532 0130 00.",
			"Manual: https://radundtat.example/manual.pdf. Repairs cost 49 € to 79 €. Parcel 00340434161094042557.",
			`{"order":"R-2048","status":"sent","tracking":"9f8e7d6c5b4a39281706f5e4d3c2b1a0"}`,
		},
		Customer:  []string{"Can I pay 20 €? My mail is ada@mail.example, see www.wiki.example/bike"},
		Prices:    []chat.Amount{{Milli: 1_299_000, Currency: "EUR"}},
		Addresses: []chat.Address{{Kind: chat.WaID, Value: "491701234567"}, {Kind: chat.IGSID, Value: "178414000000000000"}},
		Canaries:  []string{"CANARY-7f3a91"},
	}
}

func TestGuardResponse_LetsOrdinaryAnswersPass(t *testing.T) {
	for _, text := range []string{
		"Das Rad kostet 1.299,00 €. Möchten Sie es zur Probe fahren?",
		"The bike is EUR 1,299.00; a repair is between 49 € and 79 €.",
		"You said 20 €: that is fine. I noted ada@mail.example.",
		"Please call 030 1234567 or +49 30 1234567, or write to hallo@radundtat.example.",
		"I have your number as +49 170 1234567, right?",
		"See https://radundtat.example/manual.pdf and www.wiki.example/bike.",
		"Pay to DE89 3704 0044 0532 0130 00, please.",
		"Parcel 00340434161094042557, tracking 9f8e7d6c5b4a39281706f5e4d3c2b1a0.",
		"Open Mon-Fri 08.00-18.00, on 2026-11-23 - 2026-11-24 and 23.11.2026 closed.",
		"Order R-2048 was sent. Size 42, frame 54/56, 20 % off? z.B. rot, e.g. blue. 3.5 kg!",
		"Ok. danke! Node.js? v1.2.3, 24/7, 10:30-12:00 Uhr.",
		"¡Claro! El pedido llega mañana…",
		"",
	} {
		if got := chat.GuardResponse([]string{text}, shop()); got != "" {
			t.Errorf("%q is blocked: %s", text, got)
		}
	}
}

func TestGuardResponse_BlocksWhatNothingHolds(t *testing.T) {
	canary := "CANARY-7f3a91"
	for _, c := range []struct{ text, want string }{
		{"For you it is 999 €.", chat.BlockedPrice}, {"Only 1 299,01 EUR", chat.BlockedPrice}, {"zwölf Euro", chat.BlockedPrice}, {"٩٩٩ €", chat.BlockedPrice},
		{"1.299,00 $", chat.BlockedPrice}, {"9\u200b99€", chat.BlockedPrice},
		{"Look: https://evil.example/x", chat.BlockedLink}, {"evil.com/x", chat.BlockedLink}, {"www.evil.zzz", chat.BlockedLink},
		{"https://radundtat.example@evil.com/", chat.BlockedLink}, {"https://evil.com\\@radundtat.example", chat.BlockedLink},
		{"https://radundtat.example.evil.com", chat.BlockedLink}, {"HTTPS://EVIL.COM", chat.BlockedLink}, {"ｅｖｉｌ．com", chat.BlockedLink},
		{"ev\u200bil.com", chat.BlockedLink}, {"[manual](https://evil.com/a)", chat.BlockedLink}, {"//evil.com/a", chat.BlockedLink},
		{"https://radundtat.example/?u=https://evil.com", chat.BlockedLink}, {"javascript:alert(1)", chat.BlockedLink}, {"ftp://radundtat.example/", chat.BlockedLink},
		{"http://169.254.169.254/latest", chat.BlockedLink}, {"https://xn--radundtt-x1a.example", chat.BlockedLink},
		{"https://radundtаt.example", chat.BlockedLink}, {"tg://resolve?domain=evil", chat.BlockedLink}, {"radundtat。evil。com", chat.BlockedLink},
		{"![x](https://radundtat.example/manual.pdf)", chat.BlockedPicture}, {"![x][y]", chat.BlockedPicture}, {"<img src=x>", chat.BlockedPicture}, {"<IMG SRC=x>", chat.BlockedPicture},
		{"Write to boss@evil.example", chat.BlockedAddress}, {"Her mail is eve@mail.example", chat.BlockedAddress}, {"Call +49 171 7654321", chat.BlockedAddress},
		{"Call 0171 / 765 43 21", chat.BlockedAddress}, {"Call (0171) 7654321", chat.BlockedAddress}, {"+٤٩١٧١٧٦٥٤٣٢١", chat.BlockedAddress}, {"4 9 1 7 1 7 6 5 4 3 2 1", chat.BlockedAddress},
		{"Pay to GB82 WEST 1234 5698 7654 32", chat.BlockedAccount}, {"card 4111 1111 1111 1111", chat.BlockedAccount}, {"4111-1111-1111-1111", chat.BlockedAccount},
		{"key sk-proj-abc123def456ghi789", chat.BlockedSecret}, {"AKIAIOSFODNN7EXAMPLE", chat.BlockedSecret}, {"EAAGm0PX4ZCpsBAKZCtest123", chat.BlockedSecret},
		{"Authorization: Bearer abcdefghijklmnopqrstuv", chat.BlockedSecret}, {"-----BEGIN PRIVATE KEY-----", chat.BlockedSecret}, {"{{secret:SHOP}}", chat.BlockedSecret},
		{"eyJhbGciOiJIUzI1NiJ9.e30.c2ln", chat.BlockedSecret}, {"0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d", chat.BlockedSecret},
		{canary, chat.BlockedCanary}, {strings.ToLower(canary), chat.BlockedCanary}, {"C A N A R Y 7f3a91", chat.BlockedCanary}, {"CAN\u200bARY-7f-3a-91", chat.BlockedCanary},
		{"19a3f7-YRANAC", chat.BlockedCanary}, {hex.EncodeToString([]byte(canary)), chat.BlockedCanary}, {base64.StdEncoding.EncodeToString([]byte("the word is " + canary + ".")), chat.BlockedCanary},
		{base64.StdEncoding.EncodeToString([]byte("a word: " + canary)), chat.BlockedCanary}, {base64.StdEncoding.EncodeToString([]byte(canary)), chat.BlockedCanary},
	} {
		if got := chat.GuardResponse([]string{"Hello!", c.text}, shop()); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestGuardResponse_DomainsOfTheAssistant(t *testing.T) {
	may := shop()
	may.Links = []string{"radundtat.example"}
	for text, want := range map[string]string{
		"https://radundtat.example/x": "", "https://shop.radundtat.example/x?a=1#b": "", "https://radundtat.example:8443": "",
		"https://www.wiki.example/bike":     chat.BlockedLink, // the customer named it, the list does not
		"https://notradundtat.example":      chat.BlockedLink,
		"https://radundtat.example.evil.io": chat.BlockedLink,
	} {
		if got := chat.GuardResponse([]string{text}, may); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	may.Links = []string{}
	if got := chat.GuardResponse([]string{"https://radundtat.example"}, may); got != chat.BlockedLink {
		t.Errorf("an empty list lets a link pass: %q", got)
	}
}

func TestGuardResponse_Property_ForeignersNeverPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[1-9][0-9]{9,11}`).Draw(t, "digits")
		at := rapid.IntRange(1, len(digits)-1).Draw(t, "at")
		sep := rapid.SampledFrom([]string{"", " ", "-", ".", "/", " - ", "\u00a0", "–"}).Draw(t, "sep")
		text := rapid.SampledFrom([]string{"", "Call ", "tel:", "her number: ("}).Draw(t, "before") + "+" + digits[:at] + sep + digits[at:]
		if strings.HasSuffix(digits, "301234567") || strings.HasSuffix(digits, "1701234567") {
			return
		}
		if got := chat.GuardResponse([]string{text}, shop()); got == "" {
			t.Fatalf("%q passes", text)
		}
	})
}

func TestGuardResponse_Property_SaysOneOfItsWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-z]{1,4}[.@:/!\[\](<>#0-9+ -]){0,20}`)).Draw(t, "text")
		got := chat.GuardResponse([]string{text}, shop())
		if got != "" && !slices.Contains(chat.Blocks, got) {
			t.Fatalf("%q: %q is none of the words", text, got)
		}
		// Whatever the business itself says may be repeated, unless it is a secret.
		may := shop()
		may.Business = append(may.Business, text)
		switch got := chat.GuardResponse([]string{text}, may); got {
		case "", chat.BlockedCanary, chat.BlockedSecret, chat.BlockedPicture, chat.BlockedLink:
		default:
			t.Fatalf("%q stands in a text of the business and is blocked: %s", text, got)
		}
	})
}
