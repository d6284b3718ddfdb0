package persistence

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// longTalk is a conversation of n messages that were each answered: nine events a
// message, as the engine writes them.
func longTalk(t testing.TB, s *Store, n int) (id chat.ConversationID, last chat.Seq) {
	t.Helper()
	k := newTalker(t, s, "acme", 1)
	for i := range n {
		k.say(t, fmt.Sprintf("Is number %d still there, and what does it cost with delivery?", i))
		c := k.next("")
		st := k.state.Clone()
		c.Rows, c.Events, c.Expected = nil, nil, st.Seq
		add := func(e chat.Event) {
			e.Seq = c.Expected + chat.Seq(len(c.Events)) + 1
			e.Time, e.Tenant, e.Channel, e.Conversation = c.Now, st.Tenant, "wa", st.ID
			c.Events = append(c.Events, e)
			st.Apply(e)
		}
		turn, reply := chat.TurnIDAt(st.ID, st.Seq+1), chat.MessageIDAt(st.ID, st.Seq+3)
		add(chat.Event{Kind: chat.TurnStarted, At: c.Now.Add(time.Minute),
			Turn: &chat.TurnRecord{ID: turn, Call: 1, From: st.Seq, UpTo: st.Seq, Version: "config"}})
		answer := strings.Repeat("Yes, and it costs what it says. ", 4)
		add(chat.Event{Kind: chat.TurnAnswered, Turn: &chat.TurnRecord{ID: turn, Call: 1, Answer: answer, Model: "m", PromptHash: strings.Repeat("a", 64),
			Facts: []string{"It is Monday, 2 January 2006, 15:04 (UTC).", "The customer writes on WhatsApp."}, Horizon: st.Seq, Made: &chat.Made{First: 1}}})
		add(chat.Event{Kind: chat.MessageQueued, Message: &chat.Message{ID: reply, Direction: chat.DirectionOut, Author: chat.AuthorAssistant,
			Type: chat.TypeText, Text: answer, Turn: turn}})
		add(chat.Event{Kind: chat.AttemptStarted, At: c.Now.Add(time.Minute), Attempt: &chat.Attempt{Message: reply, N: 1}})
		remote := k.remote(st.Seq)
		add(chat.Event{Kind: chat.MessageAccepted, Attempt: &chat.Attempt{Message: reply, N: 1, Remote: remote}})
		for _, word := range []chat.Status{chat.StatusSent, chat.StatusDelivered, chat.StatusRead} {
			add(chat.Event{Kind: chat.StatusChanged, Status: &chat.StatusChange{Message: reply, Remote: remote, Status: word, Raw: make([]byte, 300)}})
		}
		c.State = &st
		r, err := s.Append(context.Background(), c)
		if err != nil || r.Answer != chat.Applied {
			t.Fatal(r.Answer, err)
		}
		k.state = st
	}
	return k.state.ID, k.state.Seq
}

// BenchmarkHistory reads what a prompt is made of, at the end of a long talk.
func BenchmarkHistory(b *testing.B) {
	s := openTest(b, testOptions(b, vfs.NewMem()))
	b.Cleanup(func() { mustPut(b, s.Close()) })
	ensure(b, s, "acme")
	id, last := longTalk(b, s, 60)
	mustPut(b, s.db.Flush())
	b.Run("prompt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			events, err := s.History("acme", id, last-chat.PromptEventMax, last-8, chat.PromptEventMax)
			if err != nil || len(events) != chat.PromptEventMax {
				b.Fatal(len(events), err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			events, err := s.Events("acme", id, last-chat.PromptEventMax, chat.PromptEventMax)
			if err != nil || len(events) != chat.PromptEventMax {
				b.Fatal(len(events), err)
			}
		}
	})
}
