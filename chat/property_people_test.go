package chat_test

import (
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

// afterlives draws messages, of customers and of the business, with what happened to
// them: edits, and for some a withdrawal. Each text is unlike all others.
func afterlives(t *rapid.T, w *world) (all []*chat.Inbound, revoked map[string]bool) {
	revoked = map[string]bool{}
	for i := range rapid.IntRange(1, 4).Draw(t, "messages") {
		id := fmt.Sprintf("m%d", i)
		echo := rapid.Bool().Draw(t, "ours")
		update := func(typ, revision, text string, at int, content *chat.Content) {
			in := &chat.Inbound{Kind: chat.InboundMessage, Remote: chat.RemoteID(id + "/" + revision), Type: typ, Text: text,
				Customer: w.customer(), Time: start.Add(time.Duration(at) * time.Second), Content: content, Raw: []byte(text)}
			switch {
			case typ == chat.TypeText:
				in.Remote = chat.RemoteID(id)
			case w.state.Kind == chat.Instagram:
				in.Kind, in.Remote, in.Revision = chat.InboundUpdate, chat.RemoteID(id), revision
			}
			if echo && in.Kind == chat.InboundMessage {
				in.Kind = chat.InboundEcho
			}
			all = append(all, in)
		}
		update(chat.TypeText, "", "text of "+id+" as written.", 0, nil)
		for n := range rapid.IntRange(0, 3).Draw(t, "edits") {
			rev, text := n+1, fmt.Sprintf("text of %s, edit %d.", id, n+1)
			if w.state.Kind == chat.WhatsApp {
				rev = 0 // WhatsApp only dates them
			}
			update("edit", fmt.Sprint("edit:", n), text, n+1, &chat.Content{Edit: &chat.Edit{Target: chat.RemoteID(id), Text: text, Revision: rev}})
		}
		if rapid.Bool().Draw(t, "revoke") {
			revoked[id] = true
			update("revoke", "deleted", "", 9, &chat.Content{Revoke: &chat.Revoke{Target: chat.RemoteID(id)}})
		}
	}
	return all, revoked
}

// outcome is what must not depend on order: each message once, with the text a
// person would read of it at the end.
func outcome(w *world) string {
	var lines []string
	for _, e := range w.events {
		switch e.Kind {
		case chat.MessageReceived, chat.MessageEchoed:
			text := "gone"
			if e.Message.Content == nil || e.Message.Content.Revoke == nil {
				if lines := (&chat.Talk{Settings: &w.set, Events: concerning(w.events, e.Message), UpTo: 1 << 30}).Prompt().Lines; len(lines) > 1 {
					text = lines[1].Text
				}
			}
			lines = append(lines, string(e.Message.RemoteID)+" "+text)
		case chat.MessageEdited, chat.MessageRevoked:
			lines = append(lines, string(e.Message.RemoteID)+" "+e.Kind.String())
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func concerning(events []chat.Event, m *chat.Message) (list []chat.Event) {
	for _, e := range events {
		if e.Message != nil && e.Message.ID == m.ID {
			list = append(list, e)
		}
	}
	return list
}

// However edits and withdrawals are ordered and repeated, each message ends with its
// latest text or with none, and nothing stored holds a word of one that was taken back.
func TestStep_EditsAndWithdrawalsAgreeInEveryOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]chat.ChannelKind{chat.WhatsApp, chat.Instagram}).Draw(t, "kind")
		once := newWorld(kind)
		all, revoked := afterlives(t, once)
		for _, in := range all {
			if err := once.do(in); err != nil {
				t.Fatal(err)
			}
		}
		again := newWorld(kind)
		copies := append(append([]*chat.Inbound(nil), all...), rapid.SliceOf(rapid.SampledFrom(all)).Draw(t, "duplicates")...)
		for _, in := range rapid.Permutation(copies).Draw(t, "order") {
			again.now = again.now.Add(time.Millisecond)
			if err := again.do(in); err != nil {
				t.Fatal(err)
			}
		}
		// An edit after the withdrawal is no edit: what differs is only whether it was
		// told before.
		a, b := withoutEditsOf(outcome(once), revoked), withoutEditsOf(outcome(again), revoked)
		if a != b {
			t.Fatalf("in order:\n%s\n\nshuffled:\n%s", a, b)
		}
		for _, w := range []*world{once, again} {
			for _, e := range w.events {
				if text := spell(&e); text != "" && revoked[owner(text)] {
					t.Fatalf("event %d %s still says %q\n%s", e.Seq, e.Kind, text, told(w))
				}
			}
		}
	})
}

func withoutEditsOf(lines string, revoked map[string]bool) string {
	var kept []string
	for _, line := range strings.Split(lines, "\n") {
		if id, what, _ := strings.Cut(line, " "); !(what == "message_edited" && revoked[id]) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// spell is every text in an event.
func spell(e *chat.Event) string {
	var c *chat.Content
	text := ""
	switch {
	case e.Message != nil:
		c, text = e.Message.Content, e.Message.Text+string(e.Message.Raw)
	case e.Update != nil:
		c, text = e.Update.Content, e.Update.Text+string(e.Update.Raw)
	}
	if c != nil && c.Edit != nil {
		text += c.Edit.Text
	}
	return text
}

// owner is the message that a text of afterlives is of.
func owner(text string) string {
	_, rest, _ := strings.Cut(text, "text of ")
	id, _, _ := strings.Cut(strings.TrimSuffix(rest, "."), " ")
	return strings.TrimSuffix(id, ",")
}

// A conversation replays to the same state from the redacted event: at the latest when
// the withdrawal, which is always behind it, has been applied.
func TestRedacted_AppliesAlike(t *testing.T) {
	contents := []*chat.Content{nil, {Edit: &chat.Edit{Target: "m", Text: "x"}}, {Reaction: &chat.Reaction{Target: "m", Emoji: "x"}},
		{Identity: &chat.IdentityChange{Kind: chat.IdentityChanged}}, {Call: &chat.Call{Inbound: true}},
		{Media: []chat.Media{{Kind: "image", ID: "1"}}}}
	id := chat.MessageIDAt(chat.ConversationIDFrom(convBody), 1)
	for i, content := range contents {
		for _, e := range []chat.Event{
			{Seq: 1, Kind: chat.MessageReceived, Time: start, Deadline: start.Add(time.Minute), At: start.Add(time.Second),
				Message: &chat.Message{ID: id, Type: "t", Text: "x", Raw: []byte("x"), Content: content}},
			{Seq: 1, Kind: chat.UpdateReceived, Time: start, Update: &chat.Update{Type: "t", Text: "x", Raw: []byte("x"), Content: content}},
		} {
			r := chat.Redacted(e)
			var a, b chat.Conversation
			a.Apply(e)
			b.Apply(r)
			gone := chat.Event{Seq: 2, Kind: chat.MessageRevoked, Time: start, Deadline: start.Add(time.Minute), Message: &chat.Message{ID: id}}
			a.Apply(gone)
			b.Apply(gone)
			if fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("content %d, %s: applies as\n%+v\nand redacted as\n%+v", i, e.Kind, a, b)
			}
			if text := spell(&r); text != "" {
				t.Errorf("content %d, %s: still says %q", i, e.Kind, text)
			}
		}
	}
}

// told lists what happened, for a failure.
func told(w *world) string {
	var b strings.Builder
	for _, e := range w.events {
		fmt.Fprintf(&b, "%d %s%s\n", e.Seq, e.Kind, detail(w, &e))
	}
	return b.String()
}
