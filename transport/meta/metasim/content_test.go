package metasim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// message is a WhatsApp request with one content.
func message(kind, content string) string {
	return `{"messaging_product":"whatsapp","to":"15550100001","type":"` + kind + `","` + kind + `":` + content + `}`
}

func buttons(n int, title string) string {
	list := make([]string, n)
	for i := range list {
		id := string(rune('a' + i))
		list[i] = `{"type":"reply","reply":{"id":"` + id + `","title":"` + title + id + `"}}`
	}
	return `{"type":"button","body":{"text":"Which day?"},"action":{"buttons":[` + strings.Join(list, ",") + `]}}`
}

func list(sections, rows int) string {
	var s []string
	for i := range sections {
		var r []string
		for j := range rows {
			r = append(r, `{"id":"`+string(rune('a'+i))+string(rune('a'+j))+`","title":"Row"}`)
		}
		s = append(s, `{"title":"Part","rows":[`+strings.Join(r, ",")+`]}`)
	}
	return `{"type":"list","body":{"text":"Choose"},"action":{"button":"Open","sections":[` + strings.Join(s, ",") + `]}}`
}

func x(n int) string { return strings.Repeat("x", n) }

func TestWhatsApp_TakesEveryTypeWithinItsLimits(t *testing.T) {
	for name, c := range map[string]struct{ body, shown string }{
		"image by link":       {message("image", `{"link":"https://cdn.example/a.jpg","caption":"our menu"}`), "our menu"},
		"image by id":         {message("image", `{"id":"4711"}`), "[image]"},
		"caption of 1024":     {message("video", `{"id":"4711","caption":"`+x(1024)+`"}`), x(1024)},
		"voice note":          {message("audio", `{"id":"4711","voice":true}`), "[audio]"},
		"document":            {message("document", `{"id":"4711","filename":"prices.pdf"}`), "prices.pdf"},
		"sticker":             {message("sticker", `{"id":"4711"}`), "[sticker]"},
		"location":            {message("location", `{"latitude":52.52,"longitude":"13.405","name":"Shop"}`), "Shop"},
		"contacts":            {message("contacts", `[{"name":{"formatted_name":"Eve E.","first_name":"Eve"},"phones":[{"phone":"+4930","type":"WORK"}]}]`), "Eve E."},
		"reaction":            {message("reaction", `{"message_id":"wamid.1","emoji":"👍"}`), "👍"},
		"reaction taken back": {message("reaction", `{"message_id":"wamid.1","emoji":""}`), "[reaction]"},
		"three buttons":       {message("interactive", buttons(3, x(19))), "Which day?"},
		"ten rows":            {message("interactive", list(2, 5)), "Choose"},
		"link button":         {message("interactive", `{"type":"cta_url","header":{"type":"image","image":{"link":"https://cdn.example/a.jpg"}},"body":{"text":"See"},"footer":{"text":"soon"},"action":{"name":"cta_url","parameters":{"display_text":"Open","url":"https://shop.example"}}}`), "See"},
		"location request":    {message("interactive", `{"type":"location_request_message","body":{"text":"Where?"},"action":{"name":"send_location"}}`), "Where?"},
		"flow":                {message("interactive", `{"type":"flow","body":{"text":"Book"},"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_cta":"Book","flow_token":"t","flow_action":"navigate","flow_action_payload":{"screen":"DATES"}}}}`), "Book"},
		"product":             {message("interactive", `{"type":"product","action":{"catalog_id":"1","product_retailer_id":"sku"}}`), "[interactive]"},
		"product list":        {message("interactive", `{"type":"product_list","header":{"type":"text","text":"Bread"},"body":{"text":"Fresh"},"action":{"catalog_id":"1","sections":[{"title":"All","product_items":[{"product_retailer_id":"sku"}]}]}}`), "Fresh"},
		"catalog":             {message("interactive", `{"type":"catalog_message","body":{"text":"All we have"},"action":{"name":"catalog_message"}}`), "All we have"},
		"template":            {message("template", `{"name":"order_ready","language":{"code":"de"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ada"}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"x1"}]}]}`), "order_ready"},
		"template, named":     {message("template", `{"name":"n","language":{"code":"en_US"},"components":[{"type":"body","parameters":[{"type":"text","parameter_name":"who","text":"Ada"}]},{"type":"button","sub_type":"quick_reply","index":1,"parameters":[{"type":"payload","payload":"p"}]}]}`), "n"},
	} {
		r, refusal := parseWhatsApp([]byte(c.body))
		if refusal != nil || r.text != c.shown {
			t.Errorf("%s: shown %q, want %q; refused: %+v", name, r.text, c.shown, refusal)
		}
	}
}

func TestWhatsApp_RefusesWhatIsOutsideTheLimits(t *testing.T) {
	const parameter, value = 100, 131009
	for name, c := range map[string]struct {
		body string
		code int
		says string
	}{
		"no content":              {`{"messaging_product":"whatsapp","to":"15550100001","type":"image"}`, parameter, "image is required"},
		"null content":            {message("image", "null"), parameter, "image is required"},
		"another type's content":  {`{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"x"},"image":{"id":"1"}}`, parameter, "Unexpected key image"},
		"unknown type":            {message("hologram", `{}`), parameter, "hologram"},
		"id and link":             {message("image", `{"id":"1","link":"https://a.example/b"}`), parameter, "either id or link"},
		"neither id nor link":     {message("image", `{"caption":"x"}`), parameter, "either id or link"},
		"link to a file":          {message("image", `{"link":"file:///etc/passwd"}`), parameter, "not a valid URL"},
		"caption of 1025":         {message("document", `{"id":"1","caption":"`+x(1025)+`"}`), parameter, "at most 1024"},
		"audio with a caption":    {message("audio", `{"id":"1","caption":"x"}`), parameter, "caption"},
		"image with a name":       {message("image", `{"id":"1","filename":"x"}`), parameter, "filename"},
		"latitude of 91":          {message("location", `{"latitude":91,"longitude":1}`), parameter, "latitude"},
		"no longitude":            {message("location", `{"latitude":9}`), parameter, "longitude"},
		"no contacts":             {message("contacts", `[]`), parameter, "contacts"},
		"contact without a name":  {message("contacts", `[{"phones":[{"phone":"1"}]}]`), parameter, "formatted_name"},
		"contact, formatted only": {message("contacts", `[{"name":{"formatted_name":"Eve"}}]`), parameter, "besides formatted_name"},
		"reaction to nothing":     {message("reaction", `{"emoji":"👍"}`), parameter, "message_id"},
		"reaction without emoji":  {message("reaction", `{"message_id":"wamid.1"}`), parameter, "emoji"},
		"reaction as a reply":     {strings.Replace(message("reaction", `{"message_id":"w","emoji":"👍"}`), `"type"`, `"context":{"message_id":"w"},"type"`, 1), parameter, "context"},
		"four buttons":            {message("interactive", buttons(4, "")), value, "1 to 3 items"},
		"button title of 21":      {message("interactive", buttons(1, x(20))), value, "at most 20"},
		"buttons alike":           {message("interactive", `{"type":"button","body":{"text":"x"},"action":{"buttons":[{"type":"reply","reply":{"id":"a","title":"A"}},{"type":"reply","reply":{"id":"b","title":"A"}}]}}`), value, "Duplicated"},
		"body of 1025":            {message("interactive", strings.Replace(buttons(1, "A"), "Which day?", x(1025), 1)), value, "at most 1024"},
		"no body":                 {message("interactive", strings.Replace(buttons(1, "A"), `"body":{"text":"Which day?"},`, "", 1)), value, "body"},
		"eleven rows":             {message("interactive", list(2, 6)), value, "in total"},
		"eleven sections":         {message("interactive", list(11, 1)), value, "sections"},
		"section without a title": {message("interactive", strings.Replace(list(2, 1), `"title":"Part"`, `"title":""`, 1)), value, "title"},
		"list with a picture":     {message("interactive", strings.Replace(list(1, 1), `"body"`, `"header":{"type":"image","image":{"id":"1"}},"body"`, 1)), value, "no header"},
		"location with a footer":  {message("interactive", `{"type":"location_request_message","body":{"text":"x"},"footer":{"text":"y"},"action":{"name":"send_location"}}`), value, "no footer"},
		"link without an address": {message("interactive", `{"type":"cta_url","body":{"text":"x"},"action":{"name":"cta_url","parameters":{"display_text":"Open","url":"shop"}}}`), value, "URL"},
		"flow of another version": {message("interactive", `{"type":"flow","body":{"text":"x"},"action":{"name":"flow","parameters":{"flow_message_version":"2","flow_id":"1","flow_cta":"Go"}}}`), value, "flow_message_version"},
		"product list, no header": {message("interactive", `{"type":"product_list","body":{"text":"x"},"action":{"catalog_id":"1","sections":[{"product_items":[{"product_retailer_id":"s"}]}]}}`), value, "header"},
		"interactive hologram":    {message("interactive", `{"type":"hologram","action":{}}`), parameter, "hologram"},
		"template, no language":   {message("template", `{"name":"n"}`), parameter, "language"},
		"template, footer":        {message("template", `{"name":"n","language":{"code":"de"},"components":[{"type":"footer"}]}`), parameter, "HEADER, BODY, BUTTON"},
		"template, index of 10":   {message("template", `{"name":"n","language":{"code":"de"},"components":[{"type":"button","sub_type":"url","index":10}]}`), parameter, "index"},
		"template, empty text":    {message("template", `{"name":"n","language":{"code":"de"},"components":[{"type":"body","parameters":[{"type":"text","text":""}]}]}`), parameter, "text"},
		"template, half named":    {message("template", `{"name":"n","language":{"code":"de"},"components":[{"type":"body","parameters":[{"type":"text","text":"a"},{"type":"text","parameter_name":"b","text":"b"}]}]}`), parameter, "all named"},
	} {
		_, refusal := parseWhatsApp([]byte(c.body))
		if refusal == nil || refusal.code != c.code || !strings.Contains(refusal.details, c.says) {
			t.Errorf("%s: %+v, want code %d and %q", name, refusal, c.code, c.says)
		}
	}
}

func direct(message string) string { return `{"recipient":{"id":"9001"},"message":` + message + `}` }

func generic(elements int, title string) string {
	e := `{"title":"` + title + `","subtitle":"s","buttons":[{"type":"postback","title":"Buy","payload":"p"}]}`
	return direct(`{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[` + strings.TrimSuffix(strings.Repeat(e+",", elements), ",") + `]}}}`)
}

func quick(n int) string {
	q := strings.TrimSuffix(strings.Repeat(`{"content_type":"text","title":"Yes","payload":"y"},`, n), ",")
	return direct(`{"text":"Shall we?","quick_replies":[` + q + `]}`)
}

func TestInstagram_TakesEveryTypeWithinItsLimits(t *testing.T) {
	image := `{"type":"image","payload":{"url":"https://cdn.example/a.jpg"}}`
	for name, c := range map[string]struct{ body, shown string }{
		"image":            {direct(`{"attachment":` + image + `}`), "[image]"},
		"ten images":       {direct(`{"attachments":[` + strings.TrimSuffix(strings.Repeat(image+",", 10), ",") + `]}`), "[image]"},
		"video, uploaded":  {direct(`{"attachment":{"type":"video","payload":{"attachment_id":"5"}}}`), "[video]"},
		"heart":            {direct(`{"attachment":{"type":"like_heart"}}`), "[like_heart]"},
		"own post":         {direct(`{"attachment":{"type":"MEDIA_SHARE","payload":{"id":"77"}}}`), "[MEDIA_SHARE]"},
		"ten elements":     {generic(10, x(80)), "[template]"},
		"button template":  {direct(`{"attachment":{"type":"template","payload":{"template_type":"button","text":"Go?","buttons":[{"type":"web_url","title":"Go","url":"https://shop.example"}]}}}`), "[template]"},
		"13 quick replies": {quick(13), "Shall we?"},
		"ask for an email": {direct(`{"text":"Where to?","quick_replies":[{"content_type":"user_email"}]}`), "Where to?"},
		"by a person":      {`{"recipient":{"id":"9001"},"messaging_type":"MESSAGE_TAG","tag":"HUMAN_AGENT","message":{"text":"Hello"}}`, "Hello"},
		"reaction":         {`{"recipient":{"id":"9001"},"sender_action":"react","payload":{"message_id":"m","reaction":"love"}}`, "love"},
	} {
		r, refusal := parseInstagram([]byte(c.body))
		if refusal != nil || r.text != c.shown {
			t.Errorf("%s: shown %q, want %q; refused: %+v", name, r.text, c.shown, refusal)
		}
	}
}

func TestInstagram_RefusesWhatIsOutsideTheLimits(t *testing.T) {
	image := `{"type":"image","payload":{"url":"https://cdn.example/a.jpg"}}`
	for name, c := range map[string]struct{ body, says string }{
		"text and image":      {direct(`{"text":"x","attachment":` + image + `}`), "either a text"},
		"eleven images":       {direct(`{"attachments":[` + strings.TrimSuffix(strings.Repeat(image+",", 11), ",") + `]}`), "1 to 10"},
		"several videos":      {direct(`{"attachments":[{"type":"video","payload":{"url":"https://a.example"}}]}`), "image"},
		"image from nowhere":  {direct(`{"attachment":{"type":"image","payload":{}}}`), "either url"},
		"eleven elements":     {generic(11, "t"), "1 to 10"},
		"title of 81":         {generic(1, x(81)), "at most 80"},
		"unknown template":    {direct(`{"attachment":{"type":"template","payload":{"template_type":"list"}}}`), "generic, button"},
		"14 quick replies":    {quick(14), "0 to 13"},
		"reply without words": {direct(`{"text":"x","quick_replies":[{"content_type":"text","payload":"y"}]}`), "title"},
		"unknown attachment":  {direct(`{"attachment":{"type":"hologram","payload":{}}}`), "hologram"},
		"another tag":         {`{"recipient":{"id":"9001"},"messaging_type":"MESSAGE_TAG","tag":"ACCOUNT_UPDATE","message":{"text":"x"}}`, "HUMAN_AGENT"},
		"tag without type":    {`{"recipient":{"id":"9001"},"tag":"HUMAN_AGENT","message":{"text":"x"}}`, "tag"},
		"reaction to nothing": {`{"recipient":{"id":"9001"},"sender_action":"react","payload":{"reaction":"love"}}`, "message_id"},
		"no message":          {`{"recipient":{"id":"9001"}}`, "message is required"},
	} {
		_, refusal := parseInstagram([]byte(c.body))
		if refusal == nil || refusal.code != 100 || !strings.Contains(refusal.details, c.says) {
			t.Errorf("%s: %+v, want code 100 and %q", name, refusal, c.says)
		}
	}
}

func TestServer_EnforcesWindowsWhenAsked(t *testing.T) {
	clock := handAt(time.Unix(1_790_000_000, 0))
	s, url := start(t, Options{Windows: true, Now: clock.now, Plan: Plan{Reports: Reports{Off: true}}})
	wa, ig := url+"/v25.0/"+number.ID+"/messages", url+"/v25.0/"+gram.ID+"/messages"
	template := message("template", `{"name":"n","language":{"code":"de"}}`)
	text := `{"recipient":{"id":"` + bob.ID + `"},"message":{"text":"hi"}}`
	human := `{"recipient":{"id":"` + bob.ID + `"},"messaging_type":"MESSAGE_TAG","tag":"HUMAN_AGENT","message":{"text":"hi"}}`
	check := func(when, url, token, body string, code int) {
		t.Helper()
		if r := send(t, url, token, body); r.code() != code || (code == 0) != (r.status == 200) {
			t.Errorf("%s: %d %s, want code %d", when, r.status, r.body, code)
		}
	}
	check("before any word", wa, "token-wa", hello, 131047)
	check("a template before any word", wa, "token-wa", template, 0)
	check("before any word", ig, "token-ig", text, 10)
	s.Text(number, ada, "hello")
	s.Text(gram, bob, "hello")
	check("right after", wa, "token-wa", hello, 0)
	check("right after", ig, "token-ig", text, 0)
	clock.pass(24*time.Hour + time.Second)
	check("a day later", wa, "token-wa", hello, 131047)
	check("a day later", ig, "token-ig", text, 10)
	check("a day later, by a person", ig, "token-ig", human, 0)
	clock.pass(6 * 24 * time.Hour)
	check("a week later, by a person", ig, "token-ig", human, 10)
}

func TestServer_EchoesAttachments(t *testing.T) {
	e := newEngine(t, nil)
	s, url := start(t, Options{Hooks: e.URL})
	r := send(t, url+"/v25.0/"+gram.ID+"/messages", "token-ig", `{"recipient":{"id":"`+bob.ID+`"},"message":{"attachment":{"type":"image","payload":{"url":"https://cdn.example/a.jpg"}}}}`)
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	settle(t, s)
	sent := s.Sends()[0]
	if sent.Type != "image" || sent.Text != "[image]" {
		t.Errorf("ledger says %+v", sent)
	}
	for _, body := range e.posts() {
		var in struct {
			Entry []struct {
				Messaging []struct {
					Message *struct {
						Mid         string `json:"mid"`
						Text        string `json:"text"`
						Echo        bool   `json:"is_echo"`
						Attachments []struct {
							Type string `json:"type"`
						} `json:"attachments"`
					} `json:"message"`
				} `json:"messaging"`
			} `json:"entry"`
		}
		if err := json.Unmarshal(body, &in); err != nil {
			t.Fatal(err)
		}
		for _, m := range in.Entry[0].Messaging {
			if m.Message != nil && m.Message.Echo && m.Message.Mid == sent.RemoteID && len(m.Message.Attachments) == 1 && m.Message.Attachments[0].Type == "image" && m.Message.Text == "" {
				return
			}
		}
	}
	t.Errorf("no echo shows the image: %s", e.posts())
}
