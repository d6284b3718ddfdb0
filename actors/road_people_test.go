package actors_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// kinds counts the events of a kind.
func kinds(events []chat.Event, kind chat.EventKind) (n int) {
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// checked fails the test when an invariant of the stored data is broken.
func (r *road) checked() {
	r.t.Helper()
	report, err := r.store.Check(r.t.Context(), nil)
	if err != nil || len(report.Violations) > 0 {
		r.t.Errorf("check: %v, %+v", err, report.Violations)
	}
}

// The whole way, on a real store: what is taken back is in no event, export or prompt,
// the store still checks, and a restart replays to the same.
func TestRoad_WithdrawalIsErasedAndChecks(t *testing.T) {
	r := newRoad(t)
	r.deliver(said("15550001", "wamid.1", "hello"))
	r.graph.await(t, 1)
	secret, edit, revoke := said("15550001", "wamid.2", "secret words"), said("15550001", "wamid.3", "secret words!"), said("15550001", "wamid.4", "")
	edit.Type, edit.Content = "edit", &chat.Content{Edit: &chat.Edit{Target: "wamid.2", Text: "secret words!"}}
	revoke.Type, revoke.Content = "revoke", &chat.Content{Revoke: &chat.Revoke{Target: "wamid.2"}}
	r.deliver(edit)
	r.deliver(secret, revoke)
	r.deliver(secret, revoke, edit) // Meta repeats itself
	look := func() {
		t.Helper()
		events := r.events("15550001")
		if kinds(events, chat.MessageReceived) != 4 || kinds(events, chat.MessageRevoked) != 1 {
			t.Errorf("%d messages, %d withdrawals", kinds(events, chat.MessageReceived), kinds(events, chat.MessageRevoked))
		}
		if err := r.store.Export("acme", func(e chat.Event) error {
			m := e.Message
			if m != nil && (strings.Contains(m.Text, "secret") || m.Content != nil && m.Content.Edit != nil && m.Content.Edit.Text != "") {
				t.Errorf("event %d %s says %q", e.Seq, e.Kind, m.Text)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		for _, line := range (&chat.Talk{Settings: &chat.Settings{}, Events: events, UpTo: 1 << 30}).Prompt().Lines {
			if strings.Contains(line.Text, "secret") {
				t.Errorf("a prompt would say %q", line.Text)
			}
		}
		r.checked()
	}
	look()
	r.stop()
	r.open()
	look()
}

// Two contacts that a message proves to be one person are linked in both records, the
// next owner of a number is neither, and an erase takes all of the person.
func TestRoad_PersonsAreLinkedAndErasedTogether(t *testing.T) {
	r := newRoad(t)
	byName := said("", "wamid.1", "hello")
	byName.Customer = []chat.Address{{Kind: chat.BSUID, Value: "US.1"}}
	r.deliver(said("15550001", "wamid.2", "hello"), byName)
	both := said("15550001", "wamid.3", "me again")
	both.Customer = append(both.Customer, chat.Address{Kind: chat.BSUID, Value: "US.1"})
	r.deliver(both)
	one := r.place("15550001")
	until(t, func() bool {
		c, err := r.store.Contact("acme", one.Contact)
		return err == nil && len(c.Links) == 1
	})
	view, err := r.store.Views().Contact(t.Context(), "acme", one.Contact)
	if err != nil || len(view.Linked) != 1 || !slices.Equal(view.Linked[0].Links, []chat.ContactID{one.Contact}) {
		t.Fatalf("%+v, %v", view, err)
	}
	moved := said("15550001", "wamid.4", "")
	moved.Type, moved.Content = "system", &chat.Content{Identity: &chat.IdentityChange{Kind: chat.NumberChanged,
		Before: []chat.Address{{Kind: chat.WaID, Value: "15550001"}}, Became: []chat.Address{{Kind: chat.WaID, Value: "15550002"}}}}
	r.deliver(moved, said("15550001", "wamid.5", "who is this?"))
	if next := r.place("15550001"); next.Conversation == one.Conversation || !next.Found {
		t.Fatalf("the next owner of the number: %+v", next)
	}
	if same := r.place("15550002"); same.Conversation != one.Conversation {
		t.Fatalf("the new number: %+v", same)
	}
	r.checked()
	done, err := r.store.Erase(t.Context(), "acme", one.Contact)
	if err != nil || done.Conversations != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	if events := r.events("15550001"); kinds(events, chat.MessageReceived) != 1 {
		t.Error("the next owner was erased too")
	}
	r.checked()
}

// until waits for something that another goroutine does.
func until(t *testing.T, f func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !f() {
		select {
		case <-limit:
			t.Fatal("it did not happen")
		case <-time.After(time.Millisecond):
		}
	}
}
