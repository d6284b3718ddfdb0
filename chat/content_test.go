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
		"import":  {Kind: chat.InboundImport, Type: "image", Remote: "a"},
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

// TestStep_ImportsHistoryWithoutEffect: what was written before the channel was
// connected is in the journal once, with its author, and nothing follows from it.
func TestStep_ImportsHistoryWithoutEffect(t *testing.T) {
	w := newWorld(chat.WhatsApp)
	for _, in := range []chat.Inbound{
		{Remote: "a", Text: "is it ready?"}, {Remote: "b", Text: "come by", Ours: true},
		{Remote: "c", Type: "media_placeholder"}, {Remote: "c", Type: "image", Revision: "media"}, {Remote: "a", Text: "is it ready?"},
	} {
		in.Kind, in.ChannelKind, in.Customer, in.Time = chat.InboundImport, chat.WhatsApp, w.customer(), w.now
		if err := w.do(&in); err != nil {
			t.Fatal(err)
		}
		if len(w.last.Effects) > 0 {
			t.Errorf("%s leads to %v", in.Remote, w.last.Effects)
		}
	}
	var told []string
	for _, e := range w.events {
		if e.Kind == chat.MessageImported {
			told = append(told, e.Message.Author.String()+" "+string(e.Message.RemoteID))
		}
	}
	if want := []string{"customer a", "elsewhere b", "customer c", "customer c"}; !reflect.DeepEqual(told, want) {
		t.Errorf("imported %q, want %q", told, want)
	}
	if _, owes := w.state.Owes(); owes || w.state.Unread != 0 || w.state.Window().Open(w.now) || w.state.Holder != chat.HolderAssistant {
		t.Errorf("history has effects: %+v", w.state)
	}
}

// TestStep_LeaveToCallIsNoQuestion: a tap on a button wants an answer, one that
// permits a call does not.
func TestStep_LeaveToCallIsNoQuestion(t *testing.T) {
	for kind, wanted := range map[string]bool{"button_reply": true, "call_permission_reply": false} {
		w := newWorld(chat.WhatsApp)
		err := w.do(&chat.Inbound{Kind: chat.InboundMessage, ChannelKind: chat.WhatsApp, Type: "interactive", Remote: "a",
			Customer: w.customer(), Time: w.now, Content: &chat.Content{Choice: &chat.Choice{ID: "accept", Kind: kind}}})
		if err != nil {
			t.Fatal(err)
		}
		if waits := w.state.Turn.Phase == chat.TurnWaiting; waits != wanted {
			t.Errorf("%s: a turn waits: %v, want %v", kind, waits, wanted)
		}
	}
}
