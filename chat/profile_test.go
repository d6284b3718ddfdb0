package chat_test

import (
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

func wants(effects []chat.Effect) (n int) {
	for _, e := range effects {
		if _, ok := e.(chat.WantProfile); ok {
			n++
		}
	}
	return n
}

func TestProfile_IsWantedOnceADayAndOnlyOnInstagram(t *testing.T) {
	for kind, want := range map[chat.ChannelKind][]int{chat.Instagram: {1, 0, 1}, chat.WhatsApp: {0, 0, 0}} {
		w := newWorld(kind)
		var got []int
		for i, pause := range []time.Duration{0, time.Hour, 24 * time.Hour} {
			w.now = w.now.Add(pause)
			in := &chat.Inbound{Kind: chat.InboundMessage, Remote: chat.RemoteID(rune('a' + i)), Type: chat.TypeText, Text: "hi",
				Customer: w.customer(), Time: w.now}
			if err := w.do(in); err != nil {
				t.Fatal(err)
			}
			got = append(got, wants(w.last.Effects))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: wanted %v times, want %v", kind, got, want)
		}
	}
	var none *chat.Profile
	if p := (&chat.Profile{Fetched: start}); !none.Stale(start) || p.Stale(start.Add(chat.ProfileLife-1)) || !p.Stale(start.Add(chat.ProfileLife)) {
		t.Error("a profile is not fetched when it is a week old")
	}
}

// A picture that is replaced, or of somebody who was erased meanwhile, is dropped.
func TestProfile_LeavesNoPictureBehind(t *testing.T) {
	w := newWorld(chat.Instagram)
	in := &chat.Inbound{Kind: chat.InboundMessage, Remote: "a", Type: chat.TypeText, Text: "hi", Customer: w.customer(), Time: w.now}
	if err := w.do(in); err != nil {
		t.Fatal(err)
	}
	id := w.state.Contact
	step := func(known chat.Contact, picture string) chat.Decision {
		return chat.Step(&w.state, chat.Input{Now: w.now, Epoch: 1, Settings: &w.set, Known: chat.Known{Contact: known},
			Fact: chat.ProfileFetched{Contact: id, Name: "Ida", Profile: chat.Profile{Username: "ida", Picture: picture, Fetched: w.now}}})
	}
	known := chat.Contact{ID: id, Name: "?", Addresses: append(w.customer(), chat.Address{Kind: chat.Username, Value: "before"}),
		Profile: &chat.Profile{Picture: "old"}}
	d := step(known, "new")
	if len(d.Events) != 1 || d.Events[0].Kind != chat.ContactLinked || d.Contact == nil || d.Contact.Name != "Ida" || d.Contact.Profile.Picture != "new" {
		t.Fatalf("%+v", d)
	}
	if want := append(w.customer(), chat.Address{Kind: chat.Username, Value: "ida"}); !slices.Equal(d.Contact.Addresses, want) {
		t.Errorf("addresses %v, want %v", d.Contact.Addresses, want)
	}
	if !slices.Contains(d.Effects, chat.Effect(chat.DropFiles{Prefix: "old"})) {
		t.Errorf("effects %v leave the old picture", d.Effects)
	}
	d = step(chat.Contact{ID: id}, "late")
	if len(d.Events) != 0 || d.Contact != nil || !slices.Contains(d.Effects, chat.Effect(chat.DropFiles{Prefix: "late"})) {
		t.Errorf("after an erase: %+v", d)
	}
}
