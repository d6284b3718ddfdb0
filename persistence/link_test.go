package persistence

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// known makes the contact's record of a talker what a first commit writes.
func known(t *testing.T, s *Store, number string) *talker {
	t.Helper()
	k := claiming(t, s, "wa", wa(number))
	c := k.next("more")
	c.Contact = &chat.Contact{ID: k.place.Contact, Conversation: k.place.Conversation, Name: number, Addresses: []chat.Address{wa(number)}}
	k.applied(t, c)
	return k
}

// link is the commit of one side of a link.
func link(t *testing.T, k *talker, other *talker) chat.Commit {
	t.Helper()
	contact, err := k.store.Contact("acme", k.place.Contact)
	if err != nil {
		t.Fatal(err)
	}
	d := chat.Step(&k.state, chat.Input{Now: epoch0, Epoch: k.store.Epoch(k.store.Group("acme")), Settings: &chat.Settings{},
		Known: chat.Known{Contact: contact}, Fact: chat.Link{Other: other.place.Contact, Proof: "said"}})
	c := k.next("")
	c.Rows, c.Claims, c.Events, c.Contact = nil, nil, d.Events, d.Contact
	st := k.state.Clone()
	for _, e := range d.Events {
		st.Apply(e)
	}
	st.Armed = d.Due
	c.State = &st
	return c
}

func both(t *testing.T, a, b *talker) chat.CommitAnswer {
	t.Helper()
	x, y := link(t, a, b), link(t, b, a)
	r, err := a.store.AppendBoth(t.Context(), x, y)
	if err != nil {
		t.Fatal(err)
	}
	if r.Answer == chat.Applied {
		a.state, b.state = *x.State, *y.State
	}
	return r.Answer
}

// Either both conversations record a link or none does, whichever of them went on.
func TestAppendBoth_IsOneCommit(t *testing.T) {
	fs := vfs.NewMem()
	s := storeOn(t, fs)
	ensure(t, s, "acme")
	a, b := known(t, s, "15550001"), known(t, s, "15550002")
	for _, gone := range []*talker{a, b} {
		x, y := link(t, a, b), link(t, b, a)
		gone.say(t, "faster")
		if r, err := s.AppendBoth(t.Context(), x, y); err != nil || r.Answer != chat.WrongSeq {
			t.Fatal(r, err)
		}
		for _, k := range []*talker{a, b} {
			if c, _ := s.Contact("acme", k.place.Contact); len(c.Links) > 0 {
				t.Fatal("half a link is stored")
			}
		}
		mustCheck(t, s)
	}
	if x, y := link(t, a, b), link(t, a, b); true {
		if _, err := s.AppendBoth(t.Context(), x, y); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("two commits of one conversation: %v", err)
		}
	}
	if answer := both(t, a, b); answer != chat.Applied {
		t.Fatal(answer)
	}
	mustPut(t, s.Close())
	s = storeOn(t, fs)
	a.store, b.store = s, s
	for _, pair := range [][2]*talker{{a, b}, {b, a}} {
		c, err := s.Contact("acme", pair[0].place.Contact)
		if err != nil || !slices.Equal(c.Links, []chat.ContactID{pair[1].place.Contact}) {
			t.Errorf("links %v, %v", c.Links, err)
		}
		events, err := s.Events("acme", pair[0].place.Conversation, pair[0].state.Seq-1, 1)
		if err != nil || events[0].Kind != chat.ContactMerged || events[0].Contact.Link.Other != pair[1].place.Contact {
			t.Errorf("the journal ends with %+v, %v", events, err)
		}
	}
	a.say(t, "and on")
	b.say(t, "it goes")
	mustCheck(t, s)
}

func TestViews_ContactShowsTheLinkedSet(t *testing.T) {
	s := openMem(t, "acme")
	a, b, c, d := known(t, s, "15550001"), known(t, s, "15550002"), known(t, s, "15550003"), known(t, s, "15550004")
	both(t, a, b)
	both(t, b, c)
	for range 3 {
		for _, k := range []*talker{c, a, d, b} {
			k.say(t, "hello")
		}
	}
	v := s.Views()
	view, err := v.Contact(t.Context(), "acme", c.place.Contact)
	if err != nil || view.Contact.ID != c.place.Contact || len(view.Linked) != 2 || view.Linked[0].ID != b.place.Contact || len(view.Conversations) != 3 {
		t.Fatalf("%+v, %v", view, err)
	}
	// The history in pages of every size is the feed without the fourth person.
	var want []chat.Pos
	feed, err := v.Feed(t.Context(), "acme", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range feed {
		if e.Conversation != d.place.Conversation {
			want = append(want, e.Pos)
		}
	}
	for limit := 1; limit < 8; limit++ {
		var got []chat.Pos
		for after := chat.Pos(0); ; {
			page, err := v.ContactEvents(t.Context(), "acme", a.place.Contact, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				got = append(got, e.Pos)
			}
			after = got[len(got)-1]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("pages of %d: %v, want %v", limit, got, want)
		}
	}
	if _, err := v.Contact(t.Context(), "acme", id16{1}.contactID()); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("a contact that is none: %v", err)
	}
}

// Erasing a person erases what is stored under every linked contact, in an order that
// can be taken up after a crash, and nobody else.
func TestErase_WalksTheLinkedSet(t *testing.T) {
	s := openMem(t, "acme")
	a, b, c, d := known(t, s, "15550001"), known(t, s, "15550002"), known(t, s, "15550003"), known(t, s, "15550004")
	both(t, a, b)
	both(t, b, c)
	people, err := s.linked("acme", a.place.Contact)
	if err != nil || !slices.Equal(people, []chat.ContactID{a.place.Contact, b.place.Contact, c.place.Contact}) {
		t.Fatalf("%v, %v", people, err)
	}
	done, err := s.Erase(t.Context(), "acme", a.place.Contact)
	if err != nil || done.Conversations != 3 {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, k := range []*talker{a, b, c} {
		if _, err := s.Contact("acme", k.place.Contact); chat.KindOf(err) != chat.KindNotFound {
			t.Errorf("a linked contact is left: %v", err)
		}
	}
	if kept, err := s.Contact("acme", d.place.Contact); err != nil || kept.Name == "" {
		t.Errorf("somebody else was erased: %v", err)
	}
	if _, err := s.Erase(t.Context(), "acme", a.place.Contact); err != nil {
		t.Errorf("again: %v", err)
	}
	mustCheck(t, s)
}

// A store of before does not know a contact's conversation: it is looked for.
func TestPerson_FindsTheConversationOfAnOldContact(t *testing.T) {
	s := openMem(t, "acme")
	k := claiming(t, s, "wa", wa("15550001"))
	c, err := s.Person("acme", k.place.Contact)
	if err != nil || c.Conversation != k.place.Conversation {
		t.Errorf("%+v, %v", c, err)
	}
}
