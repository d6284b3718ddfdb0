package persistencetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Queued makes c queue a reply too.
func (p *Person) Queued(c chat.Commit, text string) (chat.Commit, chat.MessageID) {
	id := chat.MessageIDAt(c.Conversation, c.State.Seq+1)
	p.add(&c, c.State, chat.Event{Kind: chat.MessageQueued, At: c.Now, Message: &chat.Message{ID: id, Direction: chat.DirectionOut,
		Author: chat.AuthorMember, Type: chat.TypeText, Text: text, Class: chat.AtMostOnce}})
	return c, id
}

// Attempted makes c begin an attempt of a send and end it without an answer: at
// is when reconciliation ends.
func (p *Person) Attempted(c chat.Commit, id chat.MessageID, at time.Time) chat.Commit {
	p.add(&c, c.State, chat.Event{Kind: chat.AttemptStarted, At: c.Now.Add(time.Minute), Attempt: &chat.Attempt{Message: id, N: 1, Epoch: c.Epoch}})
	p.add(&c, c.State, chat.Event{Kind: chat.StatusChanged, At: at, Status: &chat.StatusChange{
		Message: id, Status: chat.StatusUnknown, Word: chat.StatusUnknown.String()}})
	return c
}

// Accepted makes c settle a send.
func (p *Person) Accepted(c chat.Commit, id chat.MessageID) chat.Commit {
	p.add(&c, c.State, chat.Event{Kind: chat.MessageAccepted, Attempt: &chat.Attempt{Message: id, N: 1, Reason: "status"}})
	return c
}

// viewsSends: the list holds every send without a known end, those given up
// included, page by page and by state, and nothing else.
func viewsSends(s *site) {
	people := s.people("acme", 5)
	want := map[string]string{}
	ids := make([]chat.MessageID, len(people))
	for i, p := range people {
		for n := range 2 {
			c, id := p.Queued(p.Message("hello"), "hi")
			word := "queued"
			switch {
			case n == 0 && i%2 == 0: // given up at once
				c, word = p.Attempted(c, id, c.Now), "unknown"
				ids[i] = id
			case n == 0:
				c, word = p.Attempted(c, id, c.Now.Add(time.Minute)), "unknown"
				ids[i] = id
			}
			p.commit(c)
			want[string(id)] = word
		}
	}
	s.people("bolt", 1)
	list := func(state string, limit int) map[string]string {
		got := map[string]string{}
		cursor := ""
		for {
			page, next, err := s.Views().Sends(s.Context(), "acme", state, cursor, limit)
			s.must(err)
			if len(page) > limit {
				s.Fatalf("a page of %d, the limit is %d", len(page), limit)
			}
			for _, v := range page {
				if _, twice := got[string(v.Entry.Message)]; twice || v.Queued.IsZero() || v.Channel != "wa" {
					s.Errorf("%+v, listed before: %v", v, twice)
				}
				got[string(v.Entry.Message)] = v.Entry.State.String()
			}
			if cursor = next; next == "" {
				return got
			}
		}
	}
	same := func(got map[string]string, state string) {
		s.Helper()
		for id, word := range want {
			if (state == "" || word == state) != (got[id] == word) {
				s.Errorf("%s %s in the list of %q: %q", word, id, state, got[id])
			}
		}
		if state == "" && len(got) != len(want) {
			s.Errorf("%d sends listed, there are %d", len(got), len(want))
		}
	}
	for _, limit := range []int{1, 2, 3, 100} {
		for _, state := range []string{"", "queued", "unknown"} {
			same(list(state, limit), state)
		}
	}
	s.reopen()
	for _, p := range people {
		p.Store = s.Store
	}
	for i, p := range slices.Backward(people) {
		p.commit(p.Accepted(p.Message("and"), ids[i]))
		delete(want, string(ids[i]))
		same(list("", 3), "")
	}
	if got := list("unknown", 3); len(got) != 0 {
		s.Errorf("unknown ones are listed after they were settled: %v", got)
	}
	if _, _, err := s.Views().Sends(s.Context(), "acme", "", "nonsense", 3); chat.KindOf(err) != chat.KindInvalid {
		s.Errorf("a cursor of nowhere: %v", fmt.Sprint(err))
	}
	if page, _, err := s.Views().Sends(s.Context(), "bolt", "", "", 3); err != nil || len(page) != 0 {
		s.Errorf("another tenant's sends: %v, %v", page, err)
	}
}
