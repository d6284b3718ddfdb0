package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// say sends a message to a customer through the API and returns its id.
func (e *engine) say(conversation, key, body string) string {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+e.api+"/v1/conversations/"+conversation+"/messages", strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	var queued struct{ ID string }
	if err := json.Unmarshal(answer, &queued); err != nil || resp.StatusCode != http.StatusCreated {
		e.t.Fatalf("%s: %d %s", body, resp.StatusCode, answer)
	}
	return queued.ID
}

// Every type of message goes from the API to the phone, through a Graph that checks
// each request and the windows, and everything it left behind is in order.
func TestSend_EveryTypeReachesThePhone(t *testing.T) {
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap, func(o *metasim.Options) { o.Windows = true })
	dir := t.TempDir()
	e := startEngine(t, dir, bootstrap, args...)
	sims.meta.SetHooks("http://" + e.edge)
	events := e.stream("key-of-acme")
	number, _ := sims.meta.Account("acme-wa")
	gram, _ := sims.meta.Account("acme-ig")
	template := `{"object":"whatsapp_business_account","entry":[{"id":"102000000000001","time":1790000000,"changes":[{"field":"message_template_status_update","value":{
		"event":"APPROVED","message_template_id":1680000000000001,"message_template_name":"opening_hours","message_template_language":"de","reason":"NONE"}}]}]}`
	comment := fmt.Sprintf(`{"object":"instagram","entry":[{"id":"17841400000000001","time":%d,"field":"comments","value":{
		"id":"17900000000000001","from":{"id":"9100","username":"bob"},"text":"how much?","media":{"id":"18000000000000001"}}}]}`, time.Now().Unix())
	for _, body := range []string{template, comment} {
		if status := e.post("acme-app", "secret-of-acme", []byte(body)); status != 200 {
			t.Fatalf("%d for %s", status, body)
		}
	}
	conversation := func(account metasim.Account, who string) string {
		said := sims.meta.Text(account, metasim.Customer{ID: who, Name: "Ada"}, "hello, "+who)
		if err := sims.meta.Deliver(t.Context(), said); err != nil {
			t.Fatal(err)
		}
		seen := until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_received" && ev.Message.Text == said.Text })
		return seen[len(seen)-1].conversation()
	}
	type told struct{ conversation, body, shown string }
	var list []told
	wanted := map[string]string{} // by message id: what the phone shows
	for _, c := range []struct {
		account metasim.Account
		who     string
		bodies  [][2]string
	}{
		{number, "491555010007", [][2]string{
			{"See https://bakery.example", `{"type":"text","text":{"body":"See https://bakery.example","preview_url":true}}`},
			{"fresh", `{"type":"image","image":{"id":"17","caption":"fresh"}}`},
			{"[video]", `{"type":"video","video":{"link":"https://cdn.bakery.example/v.mp4"}}`},
			{"[audio]", `{"type":"audio","audio":{"id":"17","voice":true}}`},
			{"a.pdf", `{"type":"document","document":{"id":"17","filename":"a.pdf"}}`},
			{"[sticker]", `{"type":"sticker","sticker":{"id":"17"}}`},
			{"Bakery", `{"type":"location","location":{"latitude":52.5,"longitude":"13.4","name":"Bakery"}}`},
			{"Eve E", `{"type":"contacts","contacts":[{"name":{"formatted_name":"Eve E","first_name":"Eve"}}]}`},
			{"👍", `{"type":"reaction","reaction":{"message_id":"wamid.any","emoji":"👍"}}`},
			{"Day?", `{"type":"interactive","interactive":{"type":"button","body":{"text":"Day?"},"action":{"buttons":[{"type":"reply","reply":{"id":"m","title":"Mon"}}]}}}`},
			{"Bread?", `{"type":"interactive","interactive":{"type":"list","body":{"text":"Bread?"},"action":{"button":"Breads","sections":[{"rows":[{"id":"rye","title":"Rye"}]}]}}}`},
			{"opening_hours", `{"type":"template","template":{"name":"opening_hours","language":{"code":"de"}}}`},
		}},
		{gram, "900", [][2]string{
			{"Day?", `{"type":"text","text":"Day?","quick_replies":[{"content_type":"text","title":"Mon","payload":"m"}]}`},
			{"[image]", `{"type":"image","images":[{"link":"https://cdn.bakery.example/1.jpg"},{"link":"https://cdn.bakery.example/2.jpg"}]}`},
			{"[file]", `{"type":"file","file":{"link":"https://cdn.bakery.example/1.pdf"}}`},
			{"[like_heart]", `{"type":"like_heart"}`},
			{"[MEDIA_SHARE]", `{"type":"media_share","media_share":{"id":"18000000000000001"}}`},
			{"love", `{"type":"reaction","reaction":{"message_id":"m_any","emoji":"❤️"}}`},
			{"[template]", `{"type":"button_template","button_template":{"text":"Bake?","buttons":[{"type":"postback","title":"Yes","payload":"y"}]}}`},
			{"late", `{"type":"text","text":"late","human_agent":true}`},
		}},
		{gram, "910", [][2]string{
			{"Two euros", `{"type":"text","text":"Two euros","private_reply":{"comment_id":"17900000000000001"}}`},
		}},
	} {
		id := ""
		for i, b := range c.bodies {
			// The pace per person is slow after a start: no more than two to each.
			if i == 0 || c.account.Kind == metasim.WhatsApp && i%2 == 0 {
				id = conversation(c.account, fmt.Sprint(c.who, i/2*min(i, 1)))
			}
			list = append(list, told{id, b[1], b[0]})
		}
	}
	for _, m := range list {
		wanted[e.say(m.conversation, "key-of-acme", m.body)] = m.shown
	}
	left := len(wanted)
	until(t, events, func(ev apiEvent) bool {
		if ev.Kind != "message_failed" && ev.Kind != "message_accepted" {
			return false
		}
		if text, ours := wanted[ev.Message.ID]; ours {
			if left--; ev.Kind == "message_failed" {
				t.Errorf("%s failed: %s", text, ev.line)
			}
		}
		return left == 0
	})
	var shown []string
	for _, s := range sims.meta.Sends() {
		if !s.Accepted {
			t.Errorf("refused with code %d: %+v", s.Code, s)
		}
		shown = append(shown, s.Text)
	}
	for _, text := range wanted {
		if i := slices.Index(shown, text); i < 0 {
			t.Errorf("%q did not reach the phone", text)
		} else {
			shown = slices.Delete(shown, i, i+1)
		}
	}
	if _, list := get(t, "http://"+e.api+"/v1/templates?status=APPROVED", "key-of-acme"); !strings.Contains(list, `"opening_hours"`) {
		t.Errorf("the registry: %s", list)
	}
	e.stop()
	gapFree(t, exported(t, dir, "acme"))
	checked(t, dir)
}
