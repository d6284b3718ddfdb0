package api_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/chumiai/chumi/chat"
)

const (
	toWhatsApp  = "/v1/conversations/" + string(ada) + "/messages"
	toInstagram = "/v1/conversations/" + string(bob) + "/messages"
)

// bodies are requests of every type, with what the engine is asked to send: type,
// text and content as JSON.
var bodies = []struct{ path, body, want string }{
	{toWhatsApp, `{"type":"text","text":"hello"}`, `text "hello" null`},
	{toWhatsApp, `{"type":"text","text":{"body":"see https://a.example","preview_url":true},"reply_to":"wamid.1"}`,
		`text "see https://a.example" {"offer":{"preview_url":true}} reply wamid.1`},
	{toWhatsApp, `{"type":"image","image":{"id":"17","caption":"fresh"}}`, `image "fresh" {"media":[{"kind":"image","media_id":"17"}]}`},
	{toWhatsApp, `{"type":"image","image":{"blob":"blob_1"}}`, `image "" {"media":[{"kind":"image","blob":"blob_1"}]}`},
	{toWhatsApp, `{"type":"video","video":{"link":"https://a.example/v.mp4"}}`, `video "" {"media":[{"kind":"video","url":"https://a.example/v.mp4"}]}`},
	{toWhatsApp, `{"type":"audio","audio":{"id":"17","voice":true}}`, `audio "" {"media":[{"kind":"voice","media_id":"17"}]}`},
	{toWhatsApp, `{"type":"document","document":{"id":"17","filename":"a.pdf"}}`, `document "" {"media":[{"kind":"document","media_id":"17","filename":"a.pdf"}]}`},
	{toWhatsApp, `{"type":"sticker","sticker":{"id":"17"}}`, `sticker "" {"media":[{"kind":"sticker","media_id":"17"}]}`},
	{toWhatsApp, `{"type":"location","location":{"latitude":"52.5","longitude":13.4,"name":"Bakery"}}`, `location "" {"location":{"latitude":52.5,"longitude":13.4,"name":"Bakery"}}`},
	{toWhatsApp, `{"type":"contacts","contacts":[{"name":{"formatted_name":"Eve E","first_name":"Eve"},"phones":[{"phone":"+4930"}]}]}`,
		`contacts "" {"offer":{"contacts":[{"name":{"formatted_name":"Eve E","first_name":"Eve"},"phones":[{"phone":"+4930"}]}]}}`},
	{toWhatsApp, `{"type":"reaction","reaction":{"message_id":"wamid.1","emoji":"👍"}}`, `reaction "" {"reaction":{"remote_id":"wamid.1","emoji":"👍"}}`},
	{toWhatsApp, `{"type":"interactive","interactive":{"type":"button","body":{"text":"Day?"},"action":{"buttons":[{"type":"reply","reply":{"id":"m","title":"Mon"}}]}}}`,
		`interactive "" {"offer":{"interactive":{"type":"button","body":{"text":"Day?"},"action":{"buttons":[{"type":"reply","reply":{"id":"m","title":"Mon"}}]}}}}`},
	{toWhatsApp, `{"type":"interactive","interactive":{"type":"flow","body":{"text":"Book"},"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_cta":"Go","flow_action_payload":{"screen":"S","data":{"seats":4}}}}}}`,
		`interactive "" {"offer":{"interactive":{"type":"flow","body":{"text":"Book"},"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_cta":"Go","flow_action_payload":{"screen":"S","data":{"seats":4}}}}}}}`},
	{toWhatsApp, `{"type":"template","template":{"name":"hours","language":{"code":"de"},"components":[{"type":"header","parameters":[{"type":"location","location":{"latitude":"1","longitude":"2","name":"n","address":"a"}}]},{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"x"}]}]}}`,
		`template "" {"offer":{"template":{"name":"hours","language":{"code":"de"},"components":[{"type":"header","parameters":[{"type":"location","location":{"latitude":1,"longitude":2,"name":"n","address":"a"}}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"x"}]}]}}}`},
	{toWhatsApp, `{"type":"pin","pin":{"type":"pin","message_id":"wamid.1","expiration_days":7}}`, `pin "" {"offer":{"pin":{"type":"pin","message_id":"wamid.1","expiration_days":7}}}`},
	{toInstagram, `{"type":"text","text":"Day?","quick_replies":[{"content_type":"text","title":"Mon","payload":"m"}]}`,
		`text "Day?" {"offer":{"quick_replies":[{"content_type":"text","title":"Mon","payload":"m"}]}}`},
	{toInstagram, `{"type":"text","text":"late","human_agent":true}`, `text "late" {"offer":{"human_agent":true}}`},
	{toInstagram, `{"type":"text","text":"here","private_reply":{"comment_id":"179"}}`, `text "here" {"offer":{"comment_id":"179"}}`},
	{toInstagram, `{"type":"image","images":[{"link":"https://a.example/1.jpg"},{"id":"17"}]}`,
		`image "" {"media":[{"kind":"image","url":"https://a.example/1.jpg"},{"kind":"image","media_id":"17"}]}`},
	{toInstagram, `{"type":"file","file":{"link":"https://a.example/1.pdf"}}`, `file "" {"media":[{"kind":"file","url":"https://a.example/1.pdf"}]}`},
	{toInstagram, `{"type":"like_heart"}`, `like_heart "" null`},
	{toInstagram, `{"type":"media_share","media_share":{"id":"180"}}`, `media_share "" {"offer":{"media_share":"180"}}`},
	{toInstagram, `{"type":"generic_template","generic_template":{"elements":[{"title":"Rye","subtitle":"1 kg"}]}}`,
		`generic_template "" {"offer":{"generic_template":{"elements":[{"title":"Rye","subtitle":"1 kg"}]}}}`},
	{toInstagram, `{"type":"button_template","button_template":{"text":"Bake?","buttons":[{"type":"postback","title":"Yes","payload":"y"}]}}`,
		`button_template "" {"offer":{"button_template":{"text":"Bake?","buttons":[{"type":"postback","title":"Yes","payload":"y"}]}}}`},
}

func TestMessages_TakeEveryType(t *testing.T) {
	s := start(t, nil)
	doc := contract(t)
	doc.Servers = nil
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bodies {
		key := fmt.Sprint("type-", i)
		if got := checked(t, s, router, true, "POST", b.path, "acme-key", b.body, "Idempotency-Key", key); got.status != 201 {
			t.Errorf("%s: %d %s", b.body, got.status, got.body)
			continue
		}
		sent := s.sends[key]
		content, err := json.Marshal(sent.Content)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%s %q %s", sent.Type, sent.Text, content)
		if sent.ReplyTo != "" {
			got += " reply " + string(sent.ReplyTo)
		}
		if got != b.want {
			t.Errorf("%s\n got %s\nwant %s", b.body, got, b.want)
		}
	}
}

// The key of one request is for it alone: every member counts.
func TestMessages_KeysTellRequestsApart(t *testing.T) {
	s := start(t, nil)
	seen := map[string]string{}
	for i, b := range bodies {
		key := fmt.Sprint("key-", i)
		s.do(t, "POST", b.path, "acme-key", b.body, "Idempotency-Key", key)
		digest := s.sends[key].Digest
		if was, twice := seen[digest]; twice || digest == "" {
			t.Errorf("%s has the digest of %s", b.body, was)
		}
		seen[digest] = b.body
	}
	const one, two = `{"type":"image","image":{"id":"17","caption":"a"}}`, `{"type":"image","image":{"id":"18","caption":"a"}}`
	if got := s.do(t, "POST", toWhatsApp, "acme-key", one, "Idempotency-Key", "same"); got.status != 201 {
		t.Fatal(got)
	}
	if got := s.do(t, "POST", toWhatsApp, "acme-key", `{"image":{"caption":"a","id":"17"},"type":"image"}`, "Idempotency-Key", "same"); got.status != 201 || got.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same request in another order: %+v", got)
	}
	if got := s.do(t, "POST", toWhatsApp, "acme-key", two, "Idempotency-Key", "same"); got.status != 409 {
		t.Errorf("another file: %+v", got)
	}
}

func TestMessages_NameWhatIsWrongByItsPath(t *testing.T) {
	s := start(t, nil)
	interactive := func(button string) string {
		return `{"type":"interactive","interactive":{"type":"button","body":{"text":"x"},"action":{"buttons":[{"type":"reply","reply":{"id":"a","title":"A"}},` + button + `]}}}`
	}
	for _, c := range []struct{ path, body, code, param string }{
		{toWhatsApp, interactive(`{"type":"reply","reply":{"id":"b","title":7}}`), "parameter_invalid", "interactive.action.buttons[1].reply.title"},
		{toWhatsApp, interactive(`{"type":"reply","reply":{"id":"b","titel":"B"}}`), "parameter_unknown", "interactive.action.buttons[1].reply.titel"},
		{toWhatsApp, interactive(`{"type":"reply","reply":{"id":"b","Title":"B"}}`), "parameter_unknown", "interactive.action.buttons[1].reply.Title"},
		{toWhatsApp, interactive(`{"type":"reply","reply":{"id":"b","title":"a title of 24 characters"}}`), "parameter_too_long", "interactive.action.buttons[1].reply.title"},
		{toWhatsApp, interactive(`{"type":"reply","reply":{"id":"b","title":"A"}}`), "parameter_invalid", "interactive.action.buttons[1].reply.title"},
		{toWhatsApp, `{"type":"interactive","interactive":[]}`, "parameter_invalid", "interactive"},
		{toWhatsApp, `{"type":"interactive"}`, "parameter_missing", "interactive"},
		{toWhatsApp, `{"type":"interactive","interactive":{"type":"order_status","body":{"text":"x"},"action":{"name":"review_order"}}}`, "type_not_supported", "interactive.type"},
		{toWhatsApp, `{"type":"template","template":{"name":"n","language":{"code":"de"},"components":[{"type":"button","sub_type":"url","index":"first"}]}}`, "parameter_invalid", "template.components[0].index"},
		{toWhatsApp, `{"type":"location","location":{"latitude":"north","longitude":1}}`, "parameter_invalid", "location.latitude"},
		{toWhatsApp, `{"type":"location","location":{"latitude":91,"longitude":1}}`, "parameter_invalid", "location.latitude"},
		{toWhatsApp, `{"type":"image","image":{"id":"17"},"video":{"id":"18"}}`, "parameter_invalid", "video"},
		{toWhatsApp, `{"type":"image","image":{"id":"17","link":"https://a.example"}}`, "parameter_invalid", "image"},
		{toWhatsApp, `{"type":"image","image":null}`, "parameter_missing", "image"},
		{toWhatsApp, `{"type":"text","text":{"body":"x","font":"bold"}}`, "parameter_invalid", "text"},
		{toWhatsApp, `{"type":"file","file":{"id":"17"}}`, "type_not_supported", "type"},
		{toWhatsApp, `{"type":"text","text":"x","human_agent":true}`, "parameter_invalid", "human_agent"},
		{toWhatsApp, `{"type":"text","text":"x","reply_to":7}`, "parameter_invalid", "reply_to"},
		{toWhatsApp, `{"type":"text","text":"x","reply_to":"` + string(chat.MessageIDAt(ada, 99)) + `"}`, "parameter_invalid", "reply_to"},
		{toWhatsApp, `{"type":"text","text":"x","reply_to":"` + string(chat.MessageIDAt(other, 1)) + `"}`, "parameter_invalid", "reply_to"},
		{toInstagram, `{"type":"image","image":{"id":"17","caption":"x"}}`, "parameter_invalid", "image.caption"},
		{toInstagram, `{"type":"image","images":[{"id":"17"},{"id":"x"}]}`, "parameter_invalid", "images[1].id"},
		{toInstagram, `{"type":"text","text":"x","private_reply":{}}`, "parameter_missing", "private_reply.comment_id"},
		{toInstagram, `{"type":"interactive","interactive":{"type":"button","action":{}}}`, "type_not_supported", "type"},
	} {
		got := s.do(t, "POST", c.path, "acme-key", c.body)
		var e struct {
			Error struct{ Code, Param, Message string }
		}
		if err := json.Unmarshal([]byte(got.body), &e); err != nil || got.status != 400 || e.Error.Code != c.code || e.Error.Param != c.param || e.Error.Message == "" {
			t.Errorf("%s\n got %d %s\nwant %s of %s", c.body, got.status, got.body, c.code, c.param)
		}
	}
}

// The engine's own id of a message may stand for Meta's.
func TestMessages_ReplyToByTheEnginesID(t *testing.T) {
	s := start(t, nil)
	own := string(chat.MessageIDAt(ada, 2))
	s.do(t, "POST", toWhatsApp, "acme-key", `{"type":"text","text":"x","reply_to":"`+own+`"}`, "Idempotency-Key", "r")
	s.do(t, "POST", toWhatsApp, "acme-key", `{"type":"reaction","reaction":{"message_id":"`+own+`","emoji":"👍"}}`, "Idempotency-Key", "e")
	if got := s.sends["r"].ReplyTo; got != "wamid.X" {
		t.Errorf("replies to %q", got)
	}
	if got := s.sends["e"].Content; got == nil || got.Reaction.Target != "wamid.X" {
		t.Errorf("reacts to %+v", got)
	}
}

func TestTemplates_FilterByNameAndStatus(t *testing.T) {
	s := start(t, nil)
	for query, want := range map[string]int{"": 2, "?name=hours": 1, "?status=PAUSED": 1, "?name=hours&status=PAUSED": 0} {
		var page struct{ Data []chat.Template }
		got := s.do(t, "GET", "/v1/templates"+query, "acme-key", "")
		if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != 200 || len(page.Data) != want {
			t.Errorf("%s: %d templates, want %d: %s", query, len(page.Data), want, got.body)
		}
	}
}
