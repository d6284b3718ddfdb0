package chat_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/chumiai/chumi/chat"
)

// TestStep_KeepsContent: what an update says beyond its text is in the event it led
// to, whatever kind it is of.
func TestStep_KeepsContent(t *testing.T) {
	for name, in := range map[string]chat.Inbound{
		"message": {Kind: chat.InboundMessage, Type: "image", Remote: "a"},
		"echo":    {Kind: chat.InboundEcho, Type: "image", Remote: "a"},
		"update":  {Kind: chat.InboundUpdate, Type: "comments", Digest: "d"},
		"status":  {Kind: chat.InboundStatus, Type: "delivered", Remote: "a"},
	} {
		w := newWorld(chat.WhatsApp)
		content := &chat.Content{Location: &chat.Location{Latitude: 1, Longitude: 2}}
		in.ChannelKind, in.Customer, in.Time, in.Content = chat.WhatsApp, w.customer(), w.now, content
		if err := w.do(&in); err != nil {
			t.Fatal(name, err)
		}
		kept := 0
		for _, e := range w.events {
			if e.Message != nil && e.Message.Content == content || e.Update != nil && e.Update.Content == content ||
				e.Status != nil && e.Status.Content == content {
				kept++
			}
		}
		if kept != 1 {
			t.Errorf("%s: its content is in %d events of %+v, want one", name, kept, w.events)
		}
	}
}

func TestAddressKind_IsAWordInJSON(t *testing.T) {
	for kind := chat.WaID; kind <= chat.GroupAddress; kind++ {
		a := chat.Address{Kind: kind, Value: "v"}
		text, err := json.Marshal(a)
		if want := `{"kind":"` + kind.String() + `","value":"v"}`; err != nil || string(text) != want {
			t.Errorf("%d: %s, %v; want %s", kind, text, err, want)
		}
		var back chat.Address
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, a) {
			t.Errorf("%s came back as %+v, %v", text, back, err)
		}
	}
	var a chat.Address
	if err := json.Unmarshal([]byte(`{"kind":"unknown","value":"v"}`), &a); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("an unknown word was taken: %+v, %v", a, err)
	}
}
