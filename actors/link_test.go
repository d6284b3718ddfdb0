package actors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

func withBSUID(who, id, remote, text string) chat.Inbound {
	in := textFrom(who, remote, text)
	in.Customer = nil
	if who != "" {
		in.Customer = append(in.Customer, chat.Address{Kind: chat.WaID, Value: who})
	}
	in.Customer = append(in.Customer, chat.Address{Kind: chat.BSUID, Value: id})
	return in
}

func linksOf(s *memStore, id chat.ConversationID) []chat.ContactID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.people[s.states[id].Contact].Links
}

// An update whose identifiers lead to two contacts links them, both ways; both
// conversations go on, and their live activations have not lost count.
func TestSystem_LinksWhatAnUpdateProves(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "by number"))
		deliver(t, s, withBSUID("", "US.1", "wamid.2", "by name"))
		byNumber, byName := conversationOf("1555"), conversationOf("US.1")
		if len(linksOf(store, byNumber)) > 0 {
			t.Fatal("linked without proof")
		}
		deliver(t, s, withBSUID("1555", "US.1", "wamid.3", "both"))
		settle(time.Second)
		a, b := store.states[byNumber].Contact, store.states[byName].Contact
		if got := linksOf(store, byNumber); !slices.Equal(got, []chat.ContactID{b}) {
			t.Errorf("links of the one: %v", got)
		}
		if got := linksOf(store, byName); !slices.Equal(got, []chat.ContactID{a}) {
			t.Errorf("links of the other: %v", got)
		}
		for i := range 3 {
			deliver(t, s, withBSUID("1555", "US.1", fmt.Sprint("wamid.a", i), "again"), withBSUID("", "US.1", fmt.Sprint("wamid.b", i), "again"))
		}
		settle(time.Second)
		for _, id := range []chat.ConversationID{byNumber, byName} {
			if n := count(store.kinds(id), "contact_merged"); n != 1 {
				t.Errorf("%d merges in %s", n, id)
			}
		}
	})
}

func count(words []string, word string) (n int) {
	for _, w := range words {
		if w == word {
			n++
		}
	}
	return n
}

// A member merges and splits, as often as they like; what they part stays parted.
func TestIngress_LinkIsSaidByMembers(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "a"), withBSUID("", "US.1", "wamid.2", "b"))
		a, b := conversationOf("1555"), conversationOf("US.1")
		ca, cb := store.states[a].Contact, store.states[b].Contact
		say := func(f chat.Link, want chat.VerdictKind) {
			t.Helper()
			v, err := s.Ingress().Link(t.Context(), "acme", ca, f)
			if err != nil || v.Kind != want {
				t.Fatalf("%+v: %+v, %v", f, v, err)
			}
		}
		say(chat.Link{Other: cb, Member: "ana"}, chat.VerdictDone)
		say(chat.Link{Other: cb, Member: "ana"}, chat.VerdictDuplicate)
		say(chat.Link{Other: cb, Member: "ana", Apart: true}, chat.VerdictDone)
		say(chat.Link{Other: cb, Member: "ana", Apart: true}, chat.VerdictDuplicate)
		if len(linksOf(store, a))+len(linksOf(store, b)) > 0 {
			t.Error("a split left a link")
		}
		deliver(t, s, withBSUID("1555", "US.1", "wamid.3", "both"))
		settle(time.Second)
		if len(linksOf(store, a)) > 0 {
			t.Error("the engine joined what a member has parted")
		}
		say(chat.Link{Other: ca, Member: "ana"}, chat.VerdictRefused)
		if _, err := s.Ingress().Link(t.Context(), "acme", ca, chat.Link{Other: "ct_none", Member: "ana"}); chat.KindOf(err) != chat.KindNotFound {
			t.Errorf("an unknown contact: %v", err)
		}
		// Somebody writes between what the link read and its commit: it is decided again.
		once := false
		store.setBefore(func(c chat.Commit) (chat.Receipt, bool) {
			if c.Conversation != a || once || len(c.Events) == 0 || c.Events[0].Kind != chat.ContactMerged {
				return chat.Receipt{}, false
			}
			once = true
			return chat.Receipt{Answer: chat.WrongSeq}, true
		})
		say(chat.Link{Other: cb, Member: "ana"}, chat.VerdictDone)
		store.setBefore(nil)
		if len(linksOf(store, a)) != 1 || len(linksOf(store, b)) != 1 || !once {
			t.Error("the link was lost")
		}
		deliver(t, s, textFrom("1555", "wamid.9", "a"), withBSUID("", "US.1", "wamid.10", "b"))
	})
}
