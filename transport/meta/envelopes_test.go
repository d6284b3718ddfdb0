package meta

import (
	"path/filepath"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metatest"
)

// TestDecode_OneItemOneMeaning: what stands in messaging[] means the same as the value
// of a change, and as a field on the entry itself.
func TestDecode_OneItemOneMeaning(t *testing.T) {
	seen := 0
	for _, path := range goldenFiles(t) {
		_, cases := readGolden(t, path)
		for _, c := range cases {
			if c.Frame != "ig-item" {
				continue
			}
			items, err := fastjson.Parse("[" + c.Payload + "]")
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range items.GetArray() {
				if item.Get("sender").GetObject() == nil && item.Get("recipient").GetObject() == nil {
					continue // nothing tells such a value from a comment
				}
				one := string(item.MarshalTo(nil))
				field := fieldOfItem(item)
				list, err := Decode("app", metatest.Frame("ig-item", one))
				if err != nil || list[0].Problem != "" || field == "messages" && item.Get("message") == nil {
					continue // what is not understood, or of tomorrow, is named by its place
				}
				want := show(list, nil)
				for _, frame := range []string{`"changes":[{"field":"` + field + `","value":` + one + `}]`, `"field":"` + field + `","value":` + one} {
					got := show(Decode("app", metatest.Frame("ig-entry", frame)))
					if got != want {
						t.Errorf("%s/%s\n%s\ngot:\n%s\nwant:\n%s", filepath.Base(path), c.Name, frame, got, want)
					}
				}
				seen++
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d items were compared", seen)
	}
}

// fieldOfItem is the field that Meta's table gives an item.
func fieldOfItem(item *fastjson.Value) string {
	for _, f := range [...][2]string{{"postback", "messaging_postbacks"}, {"reaction", "message_reactions"}, {"message_edit", "message_edit"},
		{"read", "messaging_seen"}, {"referral", "messaging_referral"}, {"optin", "messaging_optins"}, {"pass_thread_control", "messaging_handover"},
		{"take_thread_control", "messaging_handover"}, {"request_thread_control", "messaging_handover"}, {"app_roles", "messaging_handover"}} {
		if item.Exists(f[0]) {
			return f[1]
		}
	}
	return "messages"
}

// TestDecode_OwnApp: with the app's ids known, a thread is its own when the item says
// so, whatever the word, and what it sent is its own.
func TestDecode_OwnApp(t *testing.T) {
	parties := `"sender":{"id":"3001"},"recipient":{"id":"5001"},"timestamp":1760000001016,`
	for name, tc := range map[string]struct {
		item string
		own  []string
		ours bool
	}{
		"passed to us":                       {`"pass_thread_control":{"new_owner_app_id":"11","previous_owner_app_id":"12"}`, []string{"11", "21"}, true},
		"passed to our Instagram app":        {`"pass_thread_control":{"new_owner_app_id":21}`, []string{"11", "21"}, true},
		"passed on to another":               {`"pass_thread_control":{"new_owner_app_id":"12","previous_owner_app_id":"11"}`, []string{"11"}, false},
		"passed, and our id is not known":    {`"pass_thread_control":{"new_owner_app_id":"12"}`, nil, true},
		"passed by us, to whom is not said":  {`"pass_thread_control":{"previous_owner_app_id":"11"}`, []string{"11"}, false},
		"passed, and nobody is named":        {`"pass_thread_control":{"metadata":"x"}`, []string{"11"}, true},
		"taken by us":                        {`"take_thread_control":{"new_owner_app_id":"11","previous_owner_app_id":"12"}`, []string{"11"}, true},
		"taken by another":                   {`"take_thread_control":{"new_owner_app_id":"12"}`, []string{"11"}, false},
		"taken, and our id is not known":     {`"take_thread_control":{"new_owner_app_id":"11"}`, nil, false},
		"asked for by us says nothing":       {`"request_thread_control":{"requested_owner_app_id":"11"}`, []string{"11"}, false},
		"an echo of ours":                    {`"message":{"mid":"m","text":"x","is_echo":true,"app_id":11}`, []string{"11"}, true},
		"an echo of another app":             {`"message":{"mid":"m","text":"x","is_echo":true,"app_id":12}`, []string{"11"}, false},
		"an echo of an app, ours not known":  {`"message":{"mid":"m","text":"x","is_echo":true,"app_id":11}`, nil, false},
		"an echo that names nobody":          {`"message":{"mid":"m","text":"x","is_echo":true}`, []string{"11"}, false},
		"a message that names us is no echo": {`"message":{"mid":"m","text":"x","app_id":11}`, []string{"11"}, false},
	} {
		for _, frame := range []string{"ig-item", "ig-entry"} {
			payload := "{" + parties + tc.item + "}"
			if frame == "ig-entry" {
				payload = `"changes":[{"field":"messaging_handover","value":` + payload + `}]`
			}
			list, err := Decode("app", metatest.Frame(frame, payload), tc.own...)
			if err != nil || len(list) != 1 {
				t.Fatalf("%s: %v %v", name, list, err)
			}
			got := list[0].Ours
			if c := list[0].Content; c != nil && c.Control != nil {
				got = c.Control.Ours
			}
			if got != tc.ours {
				t.Errorf("%s (%s): ours %v", name, frame, got)
			}
		}
	}
}

// TestApp_AtMeta: nothing follows from an id while the app's own is not known.
func TestApp_AtMeta(t *testing.T) {
	for _, tc := range []struct {
		app  chat.App
		want int
	}{{chat.App{}, 0}, {chat.App{InstagramID: "2"}, 0}, {chat.App{MetaID: "1"}, 1}, {chat.App{MetaID: "1", InstagramID: "2"}, 2}} {
		if got := tc.app.AtMeta(); len(got) != tc.want {
			t.Errorf("%q and %q: %q", tc.app.MetaID, tc.app.InstagramID, got)
		}
	}
}
