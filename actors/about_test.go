package actors

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

func editOf(who, remote, target, text string) chat.Inbound {
	in := textFrom(who, remote, text)
	in.Type, in.Content = "edit", &chat.Content{Edit: &chat.Edit{Target: chat.RemoteID(target), Text: text}}
	return in
}

func revokeOf(who, remote, target string) chat.Inbound {
	in := textFrom(who, remote, "")
	in.Type, in.Content = "revoke", &chat.Content{Revoke: &chat.Revoke{Target: chat.RemoteID(target)}}
	return in
}

// movedTo is WhatsApp's notice that a number has changed.
func movedTo(old, remote, number string) chat.Inbound {
	in := textFrom(old, remote, "")
	in.Type, in.Content = "system", &chat.Content{Identity: &chat.IdentityChange{Kind: chat.NumberChanged,
		Before: []chat.Address{{Kind: chat.WaID, Value: old}}, Became: []chat.Address{{Kind: chat.WaID, Value: number}}}}
	return in
}

// Whether a message and what happens to it come in one POST, one by one, or with many
// messages between: nothing stored says what it said.
func TestActivation_WithdrawalTakesTheContentFromDraftAndStore(t *testing.T) {
	steps := []chat.Inbound{textFrom("1555", "wamid.1", "secret one"), editOf("1555", "wamid.2", "wamid.1", "secret two"),
		revokeOf("1555", "wamid.3", "wamid.1"), textFrom("1555", "wamid.4", "stays")}
	for _, order := range [][]int{{0, 1, 2, 3}, {2, 0, 1, 3}, {1, 2, 0, 3}, {1, 0, 2, 3}, {3, 2, 1, 0}} {
		for _, together := range []bool{true, false} {
			b := newBench(t)
			var facts []chat.Fact
			for _, n := range order {
				in := steps[n]
				facts = append(facts, &in)
			}
			if together {
				b.must(b.mailOf("1555", facts...))
			} else {
				for _, f := range facts {
					b.must(b.mailOf("1555", f))
					for i := range aboutPage / 2 { // more than one page in the end
						b.must(b.mailOf("1555", inbound(textFrom("1555", string(f.(*chat.Inbound).Remote)+strings.Repeat("+", i+1), "x"))))
					}
				}
			}
			received, revoked := 0, 0
			for _, e := range b.store.events[conversationOf("1555")] {
				if e.Message == nil {
					continue
				}
				if strings.Contains(e.Message.Text, "secret") || e.Message.Content != nil && e.Message.Content.Edit != nil && e.Message.Content.Edit.Text != "" {
					t.Errorf("order %v, together %v: event %d %s still says %q", order, together, e.Seq, e.Kind, e.Message.Text)
				}
				if e.Kind == chat.MessageReceived && slices.Contains([]chat.RemoteID{"wamid.1", "wamid.2", "wamid.3", "wamid.4"}, e.Message.RemoteID) {
					received++
				}
				if e.Kind == chat.MessageRevoked {
					revoked++
				}
			}
			if received != 4 || revoked != 1 {
				t.Errorf("order %v, together %v: %d messages, %d withdrawals", order, together, received, revoked)
			}
		}
	}
}

// A number that was given up, and is somebody else's: what they write is not led to
// the person who had it, also when it is in the same POST or was on its way.
func TestIngress_NumberChangesHands(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "hello, it is Ada"))
		deliver(t, s, movedTo("1555", "wamid.2", "1666"), textFrom("1555", "wamid.3", "who is this?"))
		deliver(t, s, movedTo("1555", "wamid.2", "1666"), textFrom("1555", "wamid.3", "who is this?"))
		deliver(t, s, textFrom("1666", "wamid.4", "Ada again"))
		settle(time.Millisecond)

		ada := store.states[conversationOf("1555")]
		other, _ := store.Locate("acme", "acme-wa", []chat.Address{{Kind: chat.WaID, Value: "1555"}})
		if !other.Found || other.Conversation == ada.ID {
			t.Fatalf("the number leads to %+v, Ada is %s", other, ada.ID)
		}
		texts := func(id chat.ConversationID) (list []string) {
			for _, e := range store.events[id] {
				if e.Kind == chat.MessageReceived && e.Message.Type == chat.TypeText {
					list = append(list, e.Message.Text)
				}
			}
			return list
		}
		if got := texts(ada.ID); !slices.Equal(got, []string{"hello, it is Ada", "Ada again"}) {
			t.Errorf("Ada wrote %q", got)
		}
		if got := texts(other.Conversation); !slices.Equal(got, []string{"who is this?"}) {
			t.Errorf("the next owner wrote %q", got)
		}
		contact := store.people[ada.Contact]
		if to, _ := contact.Recipient(); to.Value != "1666" {
			t.Errorf("messages to Ada go to %s", to.Value)
		}
	})
}

// Mail that was led here by a number before it was given up is led anew.
func TestActivation_MailOfAGivenUpNumberIsGivenBack(t *testing.T) {
	b := newBench(t)
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "hello"))))
	late := b.mailOf("1555", inbound(textFrom("1555", "wamid.3", "who is this?")))
	b.must(b.mailOf("1555", inbound(movedTo("1555", "wamid.2", "1666"))))
	if a, _ := b.tell(late); !elsewhere(a.err) {
		t.Errorf("answer %v, want that it belongs elsewhere", a.err)
	}
}

// How the business's phone names somebody who never wrote starts no conversation.
func TestIngress_AddressBookStartsNoConversation(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		named := chat.Inbound{Kind: chat.InboundUpdate, App: "meta", ChannelKind: chat.WhatsApp, Account: "acme-wa",
			Type: "smb_app_state_sync", Name: "Ada", Digest: "d1", Customer: []chat.Address{{Kind: chat.WaID, Value: "1555"}}}
		deliver(t, s, named)
		if len(store.states) > 0 || len(store.events[""]) != 1 {
			t.Fatalf("%d conversations, %d events without one", len(store.states), len(store.events[""]))
		}
		named.Digest = "d2"
		deliver(t, s, textFrom("1555", "wamid.1", "hi"))
		deliver(t, s, named)
		if c := store.people[store.states[conversationOf("1555")].Contact]; c.Name != "Ada" {
			t.Errorf("the contact is called %q", c.Name)
		}
	})
}

// An answer that was taken back is not to be read in the turn that recorded it either,
// whichever of its parts is meant.
func TestActivation_WithdrawalOfAnAnswerTakesItFromTheTurn(t *testing.T) {
	for _, part := range []int{0, 1} {
		b := newBench(t)
		b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "tell me"))))
		b.advance(3 * time.Second)
		b.must(b.mailOf("1555", chat.Tick{}))
		turn := b.act.state.Turn
		b.must(b.mailOf("1555", chat.ModelAnswered{Turn: b.act.state.TurnID(), Call: turn.Call,
			Answer: chat.Answer{Text: strings.Repeat("a secret. ", 700)}}))
		sends := append([]chat.OutboxEntry(nil), b.act.state.Outbox...)
		if len(sends) != 2 {
			t.Fatalf("%d parts", len(sends))
		}
		for i, e := range sends {
			b.must(b.mailOf("1555", chat.AttemptDue{Message: e.Message}))
			b.must(b.mailOf("1555", chat.AttemptFinished{Message: e.Message, N: 1,
				Outcome: chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID("out." + string(rune('0'+i)))}}))
		}
		gone := revokeOf("1555", "wamid.2", "out."+string(rune('0'+part)))
		gone.Kind = chat.InboundEcho
		b.must(b.mailOf("1555", &gone))
		said := 0
		for _, e := range b.store.events[conversationOf("1555")] {
			switch {
			case e.Turn != nil && e.Turn.Answer != "":
				t.Errorf("part %d: the turn still says %d bytes", part, len(e.Turn.Answer))
			case e.Kind == chat.MessageQueued && e.Message.Text != "":
				said++
			}
		}
		if said != 1 {
			t.Errorf("part %d: %d parts keep their text, want the other one", part, said)
		}
	}
}
