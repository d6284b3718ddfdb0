package chat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

// What the limits by number, in transport/meta, do not say.
func TestCheck_NamesWhatIsWrong(t *testing.T) {
	const reply = `{"type":"reply","reply":{"id":"a","title":"A"}}`
	interactive := func(rest string) string {
		return `{"Type":"interactive","Content":{"offer":{"interactive":` + rest + `}}}`
	}
	template := func(components string) string {
		return `{"Type":"template","Content":{"offer":{"template":{"name":"n","language":{"code":"de"},"components":[` + components + `]}}}}`
	}
	image := func(media string) string { return `{"Type":"image","Content":{"media":[` + media + `]}}` }
	for _, c := range []struct {
		kind           chat.ChannelKind
		message, param string
		code           string
	}{
		{chat.WhatsApp, `{"Type":"text","Text":" \n"}`, "text", "parameter_missing"},
		{chat.WhatsApp, `{"Type":"hologram"}`, "type", "type_not_supported"},
		{chat.WhatsApp, `{"Type":"file"}`, "type", "type_not_supported"},
		{chat.Instagram, `{"Type":"sticker"}`, "type", "type_not_supported"},
		{chat.WhatsApp, `{"Type":"reaction","ReplyTo":"wamid.1","Content":{"reaction":{"remote_id":"wamid.2","emoji":"👍"}}}`, "reply_to", "parameter_invalid"},
		{chat.WhatsApp, `{"Type":"reaction","Content":{"reaction":{"remote_id":"wamid.2","emoji":"👍👍"}}}`, "reaction.emoji", "parameter_invalid"},
		{chat.WhatsApp, `{"Type":"reaction","Content":{"reaction":{"remote_id":"wamid.2","emoji":"a"}}}`, "reaction.emoji", "parameter_invalid"},
		{chat.WhatsApp, `{"Type":"reaction","Content":{"reaction":{"emoji":"👍"}}}`, "reaction.message_id", "parameter_missing"},
		{chat.WhatsApp, image(`{"kind":"image"}`), "image", "parameter_invalid"},
		{chat.WhatsApp, image(`{"kind":"image","media_id":"1","url":"https://a.example"}`), "image", "parameter_invalid"},
		{chat.WhatsApp, image(`{"kind":"image","url":"ftp://a.example/b"}`), "image.link", "parameter_invalid"},
		{chat.WhatsApp, image(`{"kind":"image","url":"https:///b"}`), "image.link", "parameter_invalid"},
		{chat.WhatsApp, image(`{"kind":"image","url":"https://a.example/b c"}`), "image.link", "parameter_invalid"},
		{chat.WhatsApp, image(`{"kind":"image","url":"https://a.example/%zz"}`), "image.link", "parameter_invalid"},
		{chat.WhatsApp, image(`{"kind":"image","media_id":"../1"}`), "image.id", "parameter_invalid"},
		{chat.WhatsApp, image(`{"kind":"image","media_id":"1"},{"kind":"image","media_id":"2"}`), "image", "parameter_too_many"},
		{chat.WhatsApp, interactive(`{"type":"button","body":{"text":"x"},"action":{"buttons":[` + reply + `,` + reply + `]}}`), "interactive.action.buttons[1].reply.id", "parameter_invalid"},
		{chat.WhatsApp, interactive(`{"type":"button","body":{"text":"x"},"action":{"buttons":[` + reply + `,{"type":"reply","reply":{"id":"b","title":"A"}}]}}`), "interactive.action.buttons[1].reply.title", "parameter_invalid"},
		{chat.WhatsApp, interactive(`{"type":"button","body":{"text":"x"},"action":{"button":"x","buttons":[` + reply + `]}}`), "interactive.action.button", "parameter_invalid"},
		{chat.WhatsApp, interactive(`{"type":"button","action":{"buttons":[` + reply + `]}}`), "interactive.body.text", "parameter_missing"},
		{chat.WhatsApp, interactive(`{"type":"list","header":{"type":"image","image":{"id":"1"}},"body":{"text":"x"},"action":{"button":"b","sections":[]}}`), "interactive.header.type", "parameter_invalid"},
		{chat.WhatsApp, interactive(`{"type":"voice_call","body":{"text":"x"},"action":{"name":"voice_call"}}`), "interactive.type", "type_not_supported"},
		{chat.WhatsApp, interactive(`{"type":"order_details","body":{"text":"x"},"action":{"name":"review_and_pay"}}`), "interactive.type", "type_not_supported"},
		{chat.WhatsApp, interactive(`{"type":"cta_url","body":{"text":"x"},"action":{"name":"cta_url","parameters":{"display_text":"b","url":"https://a.example","flow_id":"1"}}}`), "interactive.action.parameters.flow_id", "parameter_invalid"},
		{chat.WhatsApp, interactive(`{"type":"flow","body":{"text":"x"},"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_cta":"Go","flow_action_payload":{"screen":"S","data":{}}}}}`), "interactive.action.parameters.flow_action_payload.data", "parameter_invalid"},
		{chat.WhatsApp, interactive(`{"type":"carousel","body":{"text":"x"},"action":{"cards":[{"card_index":0,"type":"product","action":{"catalog_id":"1","product_retailer_id":"a"}},{"card_index":1,"type":"product","action":{"catalog_id":"2","product_retailer_id":"b"}}]}}`), "interactive.action.cards[1].action.catalog_id", "parameter_invalid"},
		{chat.WhatsApp, template(`{"type":"carousel","cards":[{"card_index":0,"components":[]},{"card_index":0,"components":[]}]}`), "template.components[0].cards[1].card_index", "parameter_invalid"},
		{chat.WhatsApp, template(`{"type":"carousel","cards":[{"card_index":0,"components":[]},{"card_index":1,"components":[{"type":"carousel"}]}]}`), "template.components[0].cards[1].components[0].type", "parameter_invalid"},
		{chat.WhatsApp, template(`{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{}}]}`), "template.components[0].parameters[0].limited_time_offer.expiration_time_ms", "parameter_missing"},
		{chat.WhatsApp, template(`{"type":"footer"}`), "template.components[0].type", "parameter_invalid"},
		{chat.WhatsApp, template(`{"type":"body","parameters":[{"type":"image","image":{"id":"1"}}]}`), "template.components[0].parameters[0].type", "parameter_invalid"},
		{chat.WhatsApp, template(`{"type":"body","parameters":[{"type":"text","payload":"p"}]}`), "template.components[0].parameters[0].text", "parameter_missing"},
		{chat.WhatsApp, template(`{"type":"button","sub_type":"url","parameters":[{"type":"text","text":"p"}]}`), "template.components[0].index", "parameter_missing"},
		{chat.WhatsApp, template(`{"type":"body","parameters":[{"type":"text","text":"a"},{"type":"text","parameter_name":"b","text":"b"}]}`), "template.components", "parameter_invalid"},
		{chat.WhatsApp, `{"Type":"text","Text":"x","Content":{"offer":{"human_agent":true}}}`, "human_agent", "parameter_invalid"},
		{chat.WhatsApp, `{"Type":"text","Text":"x","Content":{"offer":{"quick_replies":[{"content_type":"user_email"}]}}}`, "quick_replies", "parameter_invalid"},
		{chat.Instagram, `{"Type":"text","Text":"x","ReplyTo":"m_1"}`, "reply_to", "parameter_invalid"},
		{chat.Instagram, `{"Type":"image","Text":"x","Content":{"media":[{"kind":"image","media_id":"1"}]}}`, "image.caption", "parameter_invalid"},
		{chat.Instagram, `{"Type":"reaction","Content":{"reaction":{"remote_id":"m_1","emoji":"👍"}}}`, "reaction.emoji", "parameter_invalid"},
		{chat.Instagram, `{"Type":"text","Text":"x","Content":{"offer":{"quick_replies":[{"content_type":"text","title":"` + strings.Repeat("a", 21) + `","payload":"p"}]}}}`, "quick_replies[0].title", "parameter_too_long"},
		{chat.Instagram, `{"Type":"reaction","Content":{"reaction":{"remote_id":"m_1","emoji":"❤"},"offer":{"human_agent":true}}}`, "human_agent", "parameter_invalid"},
		{chat.Instagram, `{"Type":"image","Content":{"media":[{"kind":"image","media_id":"1"}],"offer":{"comment_id":"1"}}}`, "private_reply", "parameter_invalid"},
		{0, `{"Type":"text","Text":"x"}`, "type", "type_not_supported"},
	} {
		var m chat.Message
		if err := json.Unmarshal([]byte(c.message), &m); err != nil {
			t.Fatalf("%s: %v", c.message, err)
		}
		got := chat.Check(c.kind, &m)
		if got == nil || got.Param != c.param || got.Code != c.code || got.Message == "" {
			t.Errorf("%s %s: %+v, want %s of %s", c.kind, c.message, got, c.code, c.param)
		}
	}
}

func TestContent_UploadedExchangesEveryFileOfTheEngine(t *testing.T) {
	const offered = `{"media":[{"kind":"image","blob":"b1"},{"kind":"image","url":"https://a.example"}],"offer":{
		"interactive":{"type":"button","header":{"type":"image","image":{"blob":"b2"}},"action":{"cards":[{"card_index":0,"header":{"type":"video","video":{"blob":"b3"}},"action":{}}]}},
		"template":{"name":"n","language":{"code":"de"},"components":[{"type":"header","parameters":[{"type":"document","document":{"blob":"b1","filename":"a.pdf"}}]},
			{"type":"carousel","cards":[{"card_index":0,"components":[{"type":"header","parameters":[{"type":"image","image":{"blob":"b4"}}]}]}]}]}}}`
	var c chat.Content
	if err := json.Unmarshal([]byte(offered), &c); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Blobs(), " "); got != "b1 b2 b3 b1 b4" {
		t.Errorf("blobs %s", got)
	}
	before, _ := json.Marshal(c)
	done, err := c.Uploaded(map[string]string{"b1": "101", "b2": "102", "b3": "103", "b4": "104"})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(done)
	want := strings.NewReplacer(`"blob":"b1"`, `"media_id":"101"`, `"blob":"b2"`, `"id":"102"`, `"blob":"b3"`, `"id":"103"`, `"blob":"b4"`, `"id":"104"`).Replace(string(before))
	want = strings.Replace(want, `"document":{"media_id":"101"`, `"document":{"id":"101"`, 1)
	var a, b any
	_ = json.Unmarshal(got, &a)
	_ = json.Unmarshal([]byte(want), &b)
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if string(x) != string(y) {
		t.Errorf("got  %s\nwant %s", x, y)
	}
	if after, _ := json.Marshal(c); string(after) != string(before) {
		t.Error("the content itself was changed")
	}
	if same, _ := done.Uploaded(nil); same != done {
		t.Error("a content without files of the engine was copied")
	}
	if none, err := (*chat.Content)(nil).Uploaded(nil); none != nil || err != nil {
		t.Error("no content is not no content")
	}
}
