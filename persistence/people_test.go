package persistence

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// applied appends c and adopts its state.
func (k *talker) applied(t testing.TB, c chat.Commit) {
	t.Helper()
	if r, err := k.store.Append(context.Background(), c); err != nil || r.Answer != chat.Applied {
		t.Fatalf("answer %v, error %v", r.Answer, err)
	}
	k.state = *c.State
}

// located says where addresses lead on a channel of acme.
func located(t testing.TB, s *Store, ch chat.ChannelID, addresses ...chat.Address) chat.Place {
	t.Helper()
	p, err := s.Locate("acme", ch, addresses)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func wa(number string) chat.Address { return chat.Address{Kind: chat.WaID, Value: number} }
func bsuid(id string) chat.Address  { return chat.Address{Kind: chat.BSUID, Value: id} }
func phone(n string) chat.Address   { return chat.Address{Kind: chat.Phone, Value: n} }

// claimed counts the people of claiming: each writes messages of their own.
var claimed int

// claiming makes the first commit of a person claim exactly these addresses.
func claiming(t testing.TB, s *Store, ch chat.ChannelID, addresses ...chat.Address) *talker {
	t.Helper()
	claimed++
	k := &talker{store: s, addr: wa(fmt.Sprint("of ", claimed)), place: located(t, s, ch, addresses...), state: chat.Conversation{Tenant: "acme"}}
	if k.place.Found {
		t.Fatal("somebody is known by the address")
	}
	c := k.next("hello")
	c.Channel, c.Contact.Addresses, c.Claims = ch, addresses, nil
	for i := range c.Events {
		c.Events[i].Channel = ch
	}
	c.State.Channel = ch
	for _, a := range addresses {
		c.Claims = append(c.Claims, chat.Claim{Kind: chat.ClaimAddress, Address: a})
	}
	k.applied(t, c)
	return k
}

func TestLocate_OtherSpellingOfANumberLeadsToThePerson(t *testing.T) {
	s := openMem(t, "acme")
	ninth := claiming(t, s, "wa", wa("5541988887777"))
	claiming(t, s, "wa", wa("551133334444"))
	p := located(t, s, "wa", wa("554188887777"), bsuid("BR.1"))
	if !p.Found || p.Conversation != ninth.place.Conversation || len(p.Missing) != 2 {
		t.Errorf("the number without its ninth digit: %+v", p)
	}
	if p := located(t, s, "wa", wa("5511933334444")); p.Found {
		t.Errorf("a fixed line was taken for a mobile number: %+v", p)
	}
	// The address itself decides before any spelling of it.
	other := claiming(t, s, "wa", bsuid("BR.9"))
	c := other.next("my number")
	c.Channel, c.Claims = "wa", []chat.Claim{{Kind: chat.ClaimAddress, Address: wa("5521977776666")}}
	other.applied(t, c)
	if p := located(t, s, "wa", wa("5521977776666")); p.Conversation != other.place.Conversation {
		t.Errorf("the address itself: %+v", p)
	}
	mustCheck(t, s)
}

func TestLocate_ChannelsDoNotShareIdentifiers(t *testing.T) {
	s := openMem(t, "acme")
	a := claiming(t, s, "wa", wa("15550001"), bsuid("US.1"))
	b := claiming(t, s, "wa-2", wa("15550001"), bsuid("US.1"))
	if a.place.Conversation == b.place.Conversation || a.place.Contact == b.place.Contact {
		t.Fatal("a BSUID, or a number, joined two channels")
	}
	if p := located(t, s, "wa-2", bsuid("US.1")); p.Conversation != b.place.Conversation || len(p.Others) > 0 {
		t.Errorf("the BSUID leads to %+v", p)
	}
	mustCheck(t, s)
}

func TestLocate_TellsWhoElseTheAddressesLeadTo(t *testing.T) {
	s := openMem(t, "acme")
	a, b := claiming(t, s, "wa", wa("15550001")), claiming(t, s, "wa", bsuid("US.2"))
	p := located(t, s, "wa", wa("15550001"), bsuid("US.2"), phone("15550001"), bsuid("US.3"))
	if p.Conversation != a.place.Conversation || len(p.Others) != 1 || p.Others[0] != b.place.Contact ||
		len(p.Missing) != 1 || p.Missing[0] != bsuid("US.3") {
		t.Errorf("%+v", p)
	}
}

// A number that was given up leads nowhere; its next owner is somebody else, also
// after they were erased.
func TestRelease_TheNextOwnerOfANumberIsSomebodyElse(t *testing.T) {
	fs := vfs.NewMem()
	s := storeOn(t, fs)
	ensure(t, s, "acme")
	number := wa("15550001")
	first := claiming(t, s, "wa", number, bsuid("US.1"))
	moved := first.next("I have a new number")
	moved.Claims = []chat.Claim{{Kind: chat.ClaimAddress, Address: wa("15550002")}}
	moved.Releases = []chat.Address{number, phone(number.Value), wa("15559999"), wa("15550002")}
	first.applied(t, moved)
	if p := located(t, s, "wa", bsuid("US.1")); p.Conversation != first.place.Conversation {
		t.Error("another identifier was given up too")
	}
	mustCheck(t, s)

	owners := map[chat.ConversationID]bool{first.place.Conversation: true}
	for range 3 {
		p := located(t, s, "wa", number)
		if p.Found || owners[p.Conversation] {
			t.Fatalf("the next owner of the number gets the conversation of one before: %+v", p)
		}
		next := claiming(t, s, "wa", number)
		owners[next.place.Conversation] = true
		if p := located(t, s, "wa", number); p.Conversation != next.place.Conversation || !p.Found {
			t.Fatalf("the number leads to %+v", p)
		}
		mustCheck(t, s)
		if _, err := s.Erase(t.Context(), "acme", next.place.Contact); err != nil {
			t.Fatal(err)
		}
		if p := located(t, s, "wa", number); p.Found || owners[p.Conversation] || p.Erased.IsZero() {
			t.Fatalf("after the erase the number leads to %+v, want a fresh start elsewhere", p)
		}
		mustCheck(t, s)
	}

	mustPut(t, s.Close())
	s = storeOn(t, fs)
	if p := located(t, s, "wa", number); p.Found || owners[p.Conversation] {
		t.Errorf("after a restart the number leads to %+v", p)
	}
	mustCheck(t, s)
}

// The content of a message that is taken back is nowhere to be read after the commit,
// and the journal replays to the same state.
func TestAppend_RedactsStoredEvents(t *testing.T) {
	fs := vfs.NewMem()
	s := storeOn(t, fs)
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "keep this")
	k.say(t, "secret words")
	k.say(t, "keep that")
	c := k.next("")
	c.Redact = []chat.Seq{3}
	k.applied(t, c)

	read := func() {
		t.Helper()
		events, err := s.Events("acme", k.place.Conversation, 0, 100)
		if err != nil || len(events) != 5 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		m := events[2].Message
		if m.Text != "" || m.Name != "" || !m.Revoked || m.RemoteID != k.remote(3) || m.ID == "" || events[2].Deadline.IsZero() {
			t.Errorf("the redacted message: %+v", m)
		}
		if events[1].Message.Text != "keep this" || events[3].Message.Text != "keep that" {
			t.Error("a neighbour lost its text")
		}
		var line []byte
		if err := s.Export("acme", func(e chat.Event) error {
			if e.Message != nil {
				line = append(line, e.Message.Text...)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(line, []byte("secret")) {
			t.Error("the export still has the text")
		}
		mustCheck(t, s)
	}
	read()
	mustPut(t, s.Close())
	s = storeOn(t, fs)
	read()

	late := k.next("")
	k.store = s
	late.Redact = []chat.Seq{late.Expected + 1}
	if _, err := s.Append(t.Context(), late); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("redacting an event of the commit itself: %v", err)
	}
}

// What the turn recorded of an answer goes as messages do; what it cost stays.
func TestAppend_RedactsRecordedAnswers(t *testing.T) {
	fs := vfs.NewMem()
	s := storeOn(t, fs)
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "tell me")
	c := k.next("more")
	id := chat.TurnIDAt(k.place.Conversation, c.Expected+1)
	answered := chat.Event{Kind: chat.TurnAnswered, Seq: c.Expected + 2, Time: c.Now, Tenant: "acme", Channel: "wa", Conversation: k.place.Conversation,
		Turn: &chat.TurnRecord{ID: id, Call: 1, Answer: "secret words", Model: "m", PromptTokens: 7}}
	c.Events = append(c.Events, answered)
	c.State.Apply(answered)
	k.applied(t, c)
	c = k.next("")
	c.Redact = []chat.Seq{answered.Seq}
	k.applied(t, c)
	mustPut(t, s.Close())
	s = storeOn(t, fs)
	events, err := s.Events("acme", k.place.Conversation, answered.Seq-1, 1)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	if r := events[0].Turn; r.Answer != "" || r.Reason != "message_revoked" || r.ID != id || r.PromptTokens != 7 {
		t.Errorf("the turn says %+v", r)
	}
	mustCheck(t, s)
}

// A commit that redacts and is refused has redacted nothing.
func TestAppend_RefusedCommitRedactsNothing(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "keep this")
	c := k.next("")
	c.Redact = []chat.Seq{2}
	k.say(t, "somebody else was faster")
	if r, err := s.Append(t.Context(), c); err != nil || r.Answer != chat.WrongSeq {
		t.Fatal(r, err)
	}
	events, err := s.Events("acme", k.place.Conversation, 1, 1)
	if err != nil || events[0].Message.Text != "keep this" {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestContact_KnowsItsConversation(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)
	c := k.next("hello")
	c.Contact.Conversation = k.place.Conversation
	c.Contact.Apart = []chat.ContactID{id16{9}.contactID()}
	c.Contact.Consents = []chat.ConsentAt{{Consent: chat.Consent{Category: chat.ConsentMarketing}, At: epoch0.Add(time.Hour)}}
	k.applied(t, c)
	got, err := s.Contact("acme", k.place.Contact)
	if err != nil || got.Conversation != k.place.Conversation || len(got.Apart) != 1 || got.Allows(chat.ConsentMarketing) {
		t.Errorf("%+v, %v", got, err)
	}
}
