package meta

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// sending is a message of a business in testdata.
type sending struct {
	Type    string        `json:"type"`
	Text    string        `json:"text"`
	ReplyTo chat.RemoteID `json:"reply_to"`
	Group   string        `json:"to_group"`
	Content *chat.Content `json:"content"`
}

func outOf(t testing.TB, kind chat.ChannelKind, message string) chat.Outbound {
	t.Helper()
	var s sending
	d := json.NewDecoder(strings.NewReader(message))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatalf("%s: %v", message, err)
	}
	out := whatsappOut()
	if kind == chat.Instagram {
		out = instagramOut()
	}
	out.Type, out.Text, out.ReplyTo, out.Content = s.Type, s.Text, s.ReplyTo, s.Content
	if s.Group != "" {
		out.To = chat.Address{Kind: chat.GroupAddress, Value: s.Group}
	}
	return out
}

// simulated returns a client of a simulator that takes sends for any account.
func simulated(t *testing.T) *Client {
	sim := metasim.New(metasim.Options{Seed: 1})
	t.Cleanup(func() { _ = sim.Close() })
	return newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		// The simulator's Instagram has no path of its own.
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/ig")
		sim.ServeHTTP(w, r)
	}))
}

func TestEncode_EveryTypeAsMetaDocumentsIt(t *testing.T) {
	client := simulated(t)
	for kind, path := range map[chat.ChannelKind]string{
		chat.WhatsApp: "testdata/send/whatsapp.golden", chat.Instagram: "testdata/send/instagram.golden",
	} {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(string(file), "\n== ")
		text := parts[0]
		for _, part := range parts[1:] {
			name, rest, _ := strings.Cut(part, "\n")
			message, want, _ := strings.Cut(rest, "\n----\n")
			out := outOf(t, kind, message)
			body, reason := encode(out)
			if reason != "" {
				m := chat.Message{Type: out.Type, Text: out.Text, Content: out.Content, ReplyTo: out.ReplyTo}
				t.Errorf("%s %s: refused, %s %v", kind, name, reason, chat.Check(kind, &m))
			}
			if string(body) != strings.TrimSpace(want) && !*update {
				t.Errorf("%s %s\n got %s\nwant %s", kind, name, body, want)
			}
			text += "\n== " + name + "\n" + message + "\n----\n" + string(body) + "\n"
			if got := client.Send(t.Context(), out); got.Result != chat.SendAccepted {
				t.Errorf("%s %s: the simulator says %+v to %s", kind, name, got, body)
			}
		}
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// limit is a part of a message with the most it may be; made returns the message
// with n of it.
type limit struct {
	name, param string
	most        int
	made        func(n int) string
}

func x(n int) string { return strings.Repeat("é", n) }

// many repeats a piece, numbered where it says %d.
func many(n int, piece string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.ReplaceAll(piece, "%d", fmt.Sprint(i))
	}
	return strings.Join(list, ",")
}

func offered(kind, offer string) string {
	return `{"type":"` + kind + `","content":{"offer":{` + offer + `}}}`
}

func tapped(kind, rest string) string {
	return offered("interactive", `"interactive":{"type":"`+kind+`",`+rest+`}`)
}

const bodyOK = `"body":{"text":"ok"},`

func buttonsOf(body, id, title string, n int) string {
	return tapped("button", body+`"action":{"buttons":[`+many(n, `{"type":"reply","reply":{"id":"`+id+`%d","title":"`+title+`%d"}}`)+`]}`)
}

func listOf1(body, button, title, row string) string {
	return tapped("list", body+`"action":{"button":"`+button+`","sections":[{"title":"`+title+`","rows":[`+row+`]}]}`)
}

const rowOK = `{"id":"a","title":"A"}`

func templated(name, code, components string) string {
	return offered("template", `"template":{"name":"`+name+`","language":{"code":"`+code+`"},"components":[`+components+`]}`)
}

var whatsappLimits = []limit{
	{"text", "text", 4096, func(n int) string { return `{"type":"text","text":"` + x(n) + `"}` }},
	{"caption", "image.caption", 1024, func(n int) string {
		return `{"type":"image","text":"` + x(n) + `","content":{"media":[{"kind":"image","media_id":"1"}]}}`
	}},
	{"document's caption", "document.caption", 1024, func(n int) string {
		return `{"type":"document","text":"` + x(n) + `","content":{"media":[{"kind":"document","media_id":"1"}]}}`
	}},
	{"cards", "contacts", 257, func(n int) string {
		return offered("contacts", `"contacts":[`+many(n, `{"name":{"formatted_name":"E","first_name":"E"}}`)+`]`)
	}},
	{"latitude", "location.latitude", 90, func(n int) string {
		return fmt.Sprintf(`{"type":"location","content":{"location":{"latitude":%d,"longitude":1}}}`, n)
	}},
	{"longitude", "location.longitude", 180, func(n int) string {
		return fmt.Sprintf(`{"type":"location","content":{"location":{"latitude":1,"longitude":%d}}}`, n)
	}},
	{"buttons", "interactive.action.buttons", 3, func(n int) string { return buttonsOf(bodyOK, "i", "t", n) }},
	{"button's id", "interactive.action.buttons[0].reply.id", 256, func(n int) string { return buttonsOf(bodyOK, x(n-1), "t", 1) }},
	{"button's title", "interactive.action.buttons[0].reply.title", 20, func(n int) string { return buttonsOf(bodyOK, "i", x(n-1), 1) }},
	{"button body", "interactive.body.text", 1024, func(n int) string { return buttonsOf(`"body":{"text":"`+x(n)+`"},`, "i", "t", 1) }},
	{"header", "interactive.header.text", 60, func(n int) string {
		return buttonsOf(bodyOK+`"header":{"type":"text","text":"`+x(n)+`"},`, "i", "t", 1)
	}},
	{"footer", "interactive.footer.text", 60, func(n int) string { return buttonsOf(bodyOK+`"footer":{"text":"`+x(n)+`"},`, "i", "t", 1) }},
	{"list body", "interactive.body.text", 4096, func(n int) string { return listOf1(`"body":{"text":"`+x(n)+`"},`, "b", "t", rowOK) }},
	{"list button", "interactive.action.button", 20, func(n int) string { return listOf1(bodyOK, x(n), "t", rowOK) }},
	{"section title", "interactive.action.sections[0].title", 24, func(n int) string { return listOf1(bodyOK, "b", x(n), rowOK) }},
	{"row id", "interactive.action.sections[0].rows[0].id", 200, func(n int) string {
		return listOf1(bodyOK, "b", "t", `{"id":"`+x(n)+`","title":"A"}`)
	}},
	{"row title", "interactive.action.sections[0].rows[0].title", 24, func(n int) string {
		return listOf1(bodyOK, "b", "t", `{"id":"a","title":"`+x(n)+`"}`)
	}},
	{"row description", "interactive.action.sections[0].rows[0].description", 72, func(n int) string {
		return listOf1(bodyOK, "b", "t", `{"id":"a","title":"A","description":"`+x(n)+`"}`)
	}},
	{"rows", "interactive.action.sections[0].rows", 10, func(n int) string {
		return listOf1(bodyOK, "b", "t", many(n, `{"id":"a%d","title":"A"}`))
	}},
	{"rows in total", "interactive.action.sections", 10, func(n int) string {
		return tapped("list", bodyOK+`"action":{"button":"b","sections":[{"title":"1","rows":[`+many(5, `{"id":"a%d","title":"A"}`)+
			`]},{"title":"2","rows":[`+many(n-5, `{"id":"b%d","title":"A"}`)+`]}]}`)
	}},
	{"sections", "interactive.action.sections", 10, func(n int) string {
		return tapped("list", bodyOK+`"action":{"button":"b","sections":[`+many(n, `{"title":"t","rows":[{"id":"a%d","title":"A"}]}`)+`]}`)
	}},
	{"link label", "interactive.action.parameters.display_text", 20, func(n int) string {
		return tapped("cta_url", bodyOK+`"action":{"name":"cta_url","parameters":{"display_text":"`+x(n)+`","url":"https://bakery.example"}}`)
	}},
	{"location request", "interactive.body.text", 1024, func(n int) string {
		return tapped("location_request_message", `"body":{"text":"`+x(n)+`"},"action":{"name":"send_location"}`)
	}},
	{"flow button", "interactive.action.parameters.flow_cta", 30, func(n int) string {
		return tapped("flow", bodyOK+`"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_cta":"`+x(n)+`"}}`)
	}},
	{"products", "interactive.action.sections[0].product_items", 30, func(n int) string {
		return tapped("product_list", bodyOK+`"header":{"type":"text","text":"h"},"action":{"catalog_id":"1","sections":[{"product_items":[`+
			many(n, `{"product_retailer_id":"p%d"}`)+`]}]}`)
	}},
	{"products in total", "interactive.action.sections", 30, func(n int) string {
		return tapped("product_list", bodyOK+`"header":{"type":"text","text":"h"},"action":{"catalog_id":"1","sections":[{"title":"1","product_items":[`+
			many(15, `{"product_retailer_id":"p%d"}`)+`]},{"title":"2","product_items":[`+many(n-15, `{"product_retailer_id":"q%d"}`)+`]}]}`)
	}},
	{"product sections", "interactive.action.sections", 10, func(n int) string {
		return tapped("product_list", bodyOK+`"header":{"type":"text","text":"h"},"action":{"catalog_id":"1","sections":[`+
			many(n, `{"title":"t","product_items":[{"product_retailer_id":"p%d"}]}`)+`]}`)
	}},
	{"catalog body", "interactive.body.text", 1024, func(n int) string {
		return tapped("catalog_message", `"body":{"text":"`+x(n)+`"},"action":{"name":"catalog_message"}`)
	}},
	{"cards of a carousel", "interactive.action.cards", 10, func(n int) string {
		return tapped("carousel", bodyOK+`"action":{"cards":[`+many(n, `{"card_index":%d,"type":"product","action":{"catalog_id":"1","product_retailer_id":"p%d"}}`)+`]}`)
	}},
	{"body of a card", "interactive.action.cards[0].body.text", 160, func(n int) string {
		return tapped("carousel", bodyOK+`"action":{"cards":[`+many(2, `{"card_index":%d,"type":"cta_url","header":{"type":"image","image":{"id":"1"}},"body":{"text":"`+x(n)+
			`"},"action":{"name":"cta_url","parameters":{"display_text":"b","url":"https://bakery.example"}}}`)+`]}`)
	}},
	{"lines of a card", "interactive.action.cards[0].body.text", 3, func(n int) string {
		return tapped("carousel", bodyOK+`"action":{"cards":[`+many(2, `{"card_index":%d,"type":"cta_url","header":{"type":"image","image":{"id":"1"}},"body":{"text":"`+
			strings.Repeat(`a\n`, n-1)+`a"},"action":{"name":"cta_url","parameters":{"display_text":"b","url":"https://bakery.example"}}}`)+`]}`)
	}},
	{"template name", "template.name", 512, func(n int) string { return templated(strings.Repeat("n", n), "de", "") }},
	{"language", "template.language.code", 15, func(n int) string { return templated("n", strings.Repeat("d", n), "") }},
	{"button index", "template.components[0].index", 9, func(n int) string {
		return templated("n", "de", fmt.Sprintf(`{"type":"button","sub_type":"url","index":%d,"parameters":[{"type":"text","text":"x"}]}`, n))
	}},
	{"coupon", "template.components[0].parameters[0].coupon_code", 15, func(n int) string {
		return templated("n", "de", `{"type":"button","sub_type":"copy_code","index":0,"parameters":[{"type":"coupon_code","coupon_code":"`+strings.Repeat("c", n)+`"}]}`)
	}},
	{"cards of a template", "template.components[0].cards", 10, func(n int) string {
		return templated("n", "de", `{"type":"carousel","cards":[`+many(n, `{"card_index":%d,"components":[]}`)+`]}`)
	}},
	{"days of a pin", "pin.expiration_days", 30, func(n int) string {
		return fmt.Sprintf(`{"type":"pin","to_group":"Y2FwaV9ncm91cDox","content":{"offer":{"pin":{"type":"pin","message_id":"wamid.1","expiration_days":%d}}}}`, n)
	}},
}

func elementsOf(n int, element string) string {
	return offered("generic_template", `"generic_template":{"elements":[`+many(n, element)+`]}`)
}

var instagramLimits = []limit{
	{"text, in bytes", "text", 500, func(n int) string { return `{"type":"text","text":"` + x(n) + `"}` }},
	{"quick replies", "quick_replies", 13, func(n int) string {
		return `{"type":"text","text":"t","content":{"offer":{"quick_replies":[` + many(n, `{"content_type":"text","title":"t","payload":"p"}`) + `]}}}`
	}},
	{"payload", "quick_replies[0].payload", 1000, func(n int) string {
		return `{"type":"text","text":"t","content":{"offer":{"quick_replies":[{"content_type":"text","title":"t","payload":"` + x(n) + `"}]}}}`
	}},
	{"images", "images", 10, func(n int) string {
		return `{"type":"image","content":{"media":[` + many(n, `{"kind":"image","url":"https://cdn.bakery.example/%d.jpg"}`) + `]}}`
	}},
	{"cards", "generic_template.elements", 10, func(n int) string { return elementsOf(n, `{"title":"t","subtitle":"s"}`) }},
	{"title of a card", "generic_template.elements[0].title", 80, func(n int) string { return elementsOf(1, `{"title":"`+x(n)+`","subtitle":"s"}`) }},
	{"subtitle", "generic_template.elements[0].subtitle", 80, func(n int) string { return elementsOf(1, `{"title":"t","subtitle":"`+x(n)+`"}`) }},
	{"buttons of a card", "generic_template.elements[0].buttons", 3, func(n int) string {
		return elementsOf(1, `{"title":"t","buttons":[`+many(n, `{"type":"postback","title":"b","payload":"p"}`)+`]}`)
	}},
	{"button's title", "generic_template.elements[0].buttons[0].title", 20, func(n int) string {
		return elementsOf(1, `{"title":"t","buttons":[{"type":"postback","title":"`+x(n)+`","payload":"p"}]}`)
	}},
	{"text over buttons", "button_template.text", 640, func(n int) string {
		return offered("button_template", `"button_template":{"text":"`+x(n)+`","buttons":[{"type":"web_url","title":"b","url":"https://bakery.example"}]}`)
	}},
	{"buttons", "button_template.buttons", 3, func(n int) string {
		return offered("button_template", `"button_template":{"text":"t","buttons":[`+many(n, `{"type":"postback","title":"b","payload":"p"}`)+`]}`)
	}},
}

// What is at a limit goes through both, what is over it through neither: Check and
// the simulator were written apart.
func TestCheck_KnowsTheLimitsTheSimulatorKnows(t *testing.T) {
	client := simulated(t)
	for kind, limits := range map[chat.ChannelKind][]limit{chat.WhatsApp: whatsappLimits, chat.Instagram: instagramLimits} {
		for _, l := range limits {
			most, over := outOf(t, kind, l.made(l.most)), outOf(t, kind, l.made(l.most+1))
			if got := client.Send(t.Context(), most); got.Result != chat.SendAccepted {
				t.Errorf("%s %s of %d: %+v", kind, l.name, l.most, got)
			}
			m := chat.Message{Type: over.Type, Text: over.Text, Content: over.Content}
			if wrong := chat.Check(kind, &m); wrong == nil || wrong.Param != l.param {
				t.Errorf("%s %s of %d: Check says %+v, want %s", kind, l.name, l.most+1, wrong, l.param)
			}
			if _, reason := encode(over); reason == "" {
				t.Errorf("%s %s of %d is encoded", kind, l.name, l.most+1)
			}
			if code := refusalOf(t, client, over); code != 100 && code != 131009 {
				t.Errorf("%s %s of %d: the simulator answers %d", kind, l.name, l.most+1, code)
			}
		}
	}
}

// refusalOf sends what Check would hold back and returns Graph's code.
func refusalOf(t *testing.T, client *Client, out chat.Outbound) int {
	t.Helper()
	raw := encodeWhatsApp
	if out.Channel.Kind == chat.Instagram {
		raw = encodeInstagram
	}
	body, reason := raw(out)
	if reason != "" {
		t.Fatal(reason)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address(client.options.GraphURL, "v25.0", out.Channel.Account, ""), strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+testToken)
	res, err := client.options.HTTPClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Error struct{ Code int }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Error.Code
}
