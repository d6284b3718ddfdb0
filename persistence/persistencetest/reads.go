package persistencetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

func agendaOrder(s *site) {
	people := s.people("acme", 6)
	g := s.Group("acme")
	until := people[4].State.Armed
	var got []chat.ConversationID
	var cursor []byte
	last := time.Time{}
	for {
		rows, next, err := s.Due(g, until, cursor, 2)
		s.must(err)
		for _, r := range rows {
			if r.Tenant != "acme" || r.At.Before(last) || r.At.After(until) {
				s.Errorf("row %+v after %v, until %v", r, last, until)
			}
			last = r.At
			got = append(got, r.Conversation)
		}
		if len(rows) == 0 || next == nil {
			break
		}
		cursor = next
	}
	var want []chat.ConversationID
	for _, p := range people[:5] {
		want = append(want, p.Place.Conversation)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("due conversations:\n%s", diff)
	}
	p := people[0]
	c := p.Message("later")
	c.State.Armed = until.Add(time.Hour)
	p.commit(c)
	rows, _, err := s.Due(g, until, nil, 100)
	s.must(err)
	if len(rows) != 4 || rows[0].Conversation != people[1].Place.Conversation {
		s.Errorf("after re-arming the first one: %+v", rows)
	}
}

func agendaLive(s *site) {
	quiet, busy := s.person("acme", 1), s.person("acme", 2)
	quiet.say("hello")
	busy.commit(busy.Running(busy.Message("hello")))
	s.reopen()
	rows, _, err := s.Live(s.Group("acme"), nil, 100)
	s.must(err)
	if len(rows) != 1 || rows[0].Conversation != busy.Place.Conversation {
		s.Errorf("live rows: %+v", rows)
	}
}

func agendaEarliest(s *site) {
	g := s.Group("acme")
	_, _, err := s.Due(g, began, nil, 10)
	s.must(err)
	soon, cancel := context.WithTimeout(s.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Earliest(soon, g, began); err == nil && soon.Err() == nil {
		s.Error("Earliest returned although nothing is due")
	}
	woken := make(chan error, 1)
	go func() { woken <- s.Earliest(s.Context(), g, began.Add(time.Hour)) }()
	s.person("acme", 1).say("hello")
	s.must(<-woken)
}

func feedPages(s *site) {
	people := s.people("acme", 3)
	s.append(s.loose("acme", "digest-1"), chat.Applied)
	for _, p := range people {
		p.say("more")
	}
	whole := s.feed("acme", 1000)
	if len(whole) != 3*2+1+3 {
		s.Fatalf("the feed has %d events", len(whole))
	}
	next := map[chat.ConversationID]chat.Seq{}
	for i, e := range whole {
		if i > 0 && e.Pos <= whole[i-1].Pos {
			s.Errorf("position %d after %d", e.Pos, whole[i-1].Pos)
		}
		if e.Conversation == "" {
			if e.Seq != 0 || e.Update == nil || string(e.Update.Raw) != "digest-1" {
				s.Errorf("an event without a conversation: %+v", e)
			}
			continue
		}
		if next[e.Conversation]++; e.Seq != next[e.Conversation] {
			s.Errorf("seq %d of a conversation, want %d", e.Seq, next[e.Conversation])
		}
	}
	for limit := 1; limit <= 4; limit++ {
		if diff := cmp.Diff(whole, s.feed("acme", limit)); diff != "" {
			s.Errorf("in pages of %d:\n%s", limit, diff)
		}
	}
	for _, p := range people {
		events, err := s.Views().ConversationEvents(s.Context(), "acme", p.Place.Conversation, 0, 100)
		s.must(err)
		var want []chat.Event
		for _, e := range whole {
			if e.Conversation == p.Place.Conversation {
				want = append(want, e)
			}
		}
		if diff := cmp.Diff(want, events); diff != "" {
			s.Errorf("a journal is not its part of the feed:\n%s", diff)
		}
	}
	s.reopen()
	if diff := cmp.Diff(whole, s.feed("acme", 3)); diff != "" {
		s.Errorf("after reopening:\n%s", diff)
	}
}

func feedWaits(s *site) {
	p := s.person("acme", 1)
	last := p.say("one").Pos
	s.must(s.Views().WaitFeed(s.Context(), "acme", last-1))
	soon, cancel := context.WithTimeout(s.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Views().WaitFeed(soon, "acme", last); err == nil {
		s.Error("WaitFeed returned although nothing came")
	}
	woken := make(chan error, 1)
	go func() { woken <- s.Views().WaitFeed(s.Context(), "acme", last) }()
	s.person("bolt", 1).say("elsewhere")
	p.say("two")
	s.must(<-woken)
	page, err := s.Views().Feed(s.Context(), "acme", last, 10)
	s.must(err)
	if len(page) != 1 || page[0].Message.Text != "two" {
		s.Errorf("what woke the reader: %+v", page)
	}
}

func viewsOrder(s *site) {
	people := s.people("acme", 7)
	people[2].From = began.Add(time.Hour)
	people[2].say("latest")
	var want []chat.ConversationID
	for _, i := range []int{2, 6, 5, 4, 3, 1, 0} {
		want = append(want, people[i].Place.Conversation)
	}
	for limit := 1; limit <= 8; limit++ {
		var got []chat.ConversationID
		for cursor := ""; ; {
			page, next, err := s.Views().Conversations(s.Context(), "acme", cursor, limit)
			s.must(err)
			if len(page) > limit {
				s.Errorf("%d in a page of %d", len(page), limit)
			}
			for _, v := range page {
				got = append(got, v.State.ID)
				if v.Contact.Name != "Ada" {
					s.Errorf("the contact of a list: %+v", v.Contact)
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		if !slices.Equal(want, got) {
			s.Errorf("in pages of %d: %v, want %v", limit, got, want)
		}
	}
	one, err := s.Views().Conversation(s.Context(), "acme", want[0])
	s.must(err)
	if diff := cmp.Diff(people[2].State, one.State); diff != "" {
		s.Errorf("one conversation:\n%s", diff)
	}
	for _, cursor := range []string{"x", "AQ", "!!!!"} {
		if _, _, err := s.Views().Conversations(s.Context(), "acme", cursor, 5); chat.KindOf(err) != chat.KindInvalid {
			s.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

func viewsUnknown(s *site) {
	p := s.person("acme", 1)
	p.say("hello")
	for name, id := range map[string]chat.ConversationID{
		"of another tenant": p.Place.Conversation, "without form": "x", "not there": "conv_aaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		if _, err := s.Views().Conversation(s.Context(), "bolt", id); chat.KindOf(err) != chat.KindNotFound {
			s.Errorf("a conversation %s: %v", name, err)
		}
		if _, err := s.Views().ConversationEvents(s.Context(), "bolt", id, 0, 10); chat.KindOf(err) != chat.KindNotFound {
			s.Errorf("events of a conversation %s: %v", name, err)
		}
	}
	if _, err := s.Views().Feed(s.Context(), "nobody", 0, 10); chat.KindOf(err) != chat.KindNotFound {
		s.Errorf("the feed of an unknown tenant: %v", err)
	}
}

func exportFeed(s *site) {
	for range s.people("acme", 3) {
		s.append(s.loose("acme", fmt.Sprint(time.Now().UnixNano())), chat.Applied)
	}
	var got []chat.Event
	s.must(s.Export("acme", func(e chat.Event) error { got = append(got, e); return nil }))
	if diff := cmp.Diff(s.feed("acme", 1000), got); diff != "" {
		s.Errorf("the export is not the feed:\n%s", diff)
	}
	stop := chat.E("test", chat.KindOther, "enough", nil)
	calls := 0
	if err := s.Export("acme", func(chat.Event) error { calls++; return stop }); err != stop || calls != 1 {
		s.Errorf("an export that was stopped: %v after %d events", err, calls)
	}
}

func eraseSkeletons(s *site) {
	people := s.people("acme", 2)
	done, err := s.Erase(s.Context(), "acme", people[0].Place.Contact)
	s.must(err)
	if done.Conversations != 1 || done.Events != 2 || len(done.Left) > 0 {
		s.Errorf("report: %+v", done)
	}
	s.reopen()
	for _, e := range s.feed("acme", 100) {
		erased := e.Conversation == people[0].Place.Conversation
		if (e.Kind == chat.Erased) != erased {
			s.Errorf("kind %v, erased: %v", e.Kind, erased)
		}
	}
	view, err := s.Views().Conversation(s.Context(), "acme", people[0].Place.Conversation)
	s.must(err)
	if view.Contact.Name != "" || len(view.Contact.Addresses) > 0 || !view.State.Armed.IsZero() {
		s.Errorf("an erased conversation: %+v", view)
	}
	if _, err := s.Erase(s.Context(), "acme", "ct_aaaaaaaaaaaaaaaaaaaaaaaaaa"); chat.KindOf(err) != chat.KindNotFound {
		s.Errorf("an unknown contact: %v", err)
	}
}

func quarantineSurvives(s *site) {
	in := &chat.Inbound{Kind: chat.InboundMessage, App: "meta", Account: "404", Remote: "wamid.q", Raw: []byte("{}")}
	q := s.directory.Quarantine()
	s.must(q.Keep(s.Context(), "meta", "unbound", in, began))
	s.must(q.Keep(s.Context(), "meta", "unbound", in, began.Add(time.Hour)))
	s.reopen()
	q = s.directory.Quarantine()
	items, next, err := q.Pending("meta", "", 10)
	s.must(err)
	if len(items) != 1 || next != "" || items[0].Reason != "unbound" || !items[0].Kept.Equal(began) {
		s.Fatalf("items: %+v", items)
	}
	if diff := cmp.Diff(*in, items[0].Inbound); diff != "" {
		s.Errorf("an update read back:\n%s", diff)
	}
	s.must(q.Remove(s.Context(), "meta", items[0].ID))
	s.reopen()
	if items, _, err := s.directory.Quarantine().Pending("meta", "", 10); err != nil || len(items) > 0 {
		s.Errorf("after the removal: %+v (%v)", items, err)
	}
}

func directorySurvives(s *site) {
	ctx, ch := s.Context(), chat.Channel{ID: "acme-ig", Tenant: "acme", App: "meta", Kind: chat.Instagram, Account: "178", Token: "IGtoken"}
	s.must(s.directory.Change(ctx, func(c *persistence.Change) error {
		if err := c.PutApp(chat.App{ID: "meta", Secrets: []chat.Secret{"a", "b"}, VerifyTokens: []chat.Secret{"v"}}); err != nil {
			return err
		}
		if err := c.PutChannel(ch); err != nil {
			return err
		}
		return c.PutAPIKey("acme", "sk-1", []string{"read"})
	}))
	refused := s.directory.Change(ctx, func(c *persistence.Change) error {
		if err := c.PutTenant(chat.Tenant{ID: "half"}); err != nil {
			return err
		}
		return c.PutTenant(chat.Tenant{ID: "NOT A WORD"})
	})
	if chat.KindOf(refused) != chat.KindInvalid {
		s.Errorf("a change with a bad part: %v", refused)
	}
	s.reopen()
	if got, ok := s.directory.Channel("meta", chat.Instagram, "178", ""); !ok || got != ch {
		s.Errorf("channel: %+v %v", got, ok)
	}
	if p, ok := s.directory.Authenticate("sk-1"); !ok || p.Tenant != "acme" || !slices.Equal(p.Scopes, []string{"read"}) {
		s.Errorf("API key: %+v %v", p, ok)
	}
	if a, ok := s.directory.App("meta"); !ok || len(a.Secrets) != 2 {
		s.Errorf("app: %+v %v", a, ok)
	}
	if got := s.directory.Tenants(); len(got) != 2 {
		s.Errorf("tenants: %+v", got)
	}
}

func readOnly(s *site) {
	p := s.person("acme", 1)
	p.say("hello")
	s.close()
	read := s.options
	read.ReadOnly = true
	r, err := persistence.Open(read)
	s.must(err)
	if epoch := r.Epoch(r.Group("acme")); epoch != 0 {
		s.Errorf("a store open for reading lets commits be made under epoch %d", epoch)
	}
	n := 0
	s.must(r.Export("acme", func(chat.Event) error { n++; return nil }))
	if n != 2 {
		s.Errorf("%d events exported, want 2", n)
	}
	if report, err := r.Check(s.Context(), nil); err != nil || report.Broken > 0 {
		s.Errorf("check: %+v %v", report, err)
	}
	if _, err := r.Append(s.Context(), p.Message("no")); err == nil {
		s.Error("a store open for reading took a commit")
	}
	d, err := persistence.OpenDirectory(s.Context(), r, chat.Settings{})
	s.must(err)
	if err := d.PutTenant(s.Context(), chat.Tenant{ID: "new"}); chat.KindOf(err) != chat.KindUnavailable {
		s.Errorf("a directory open for reading took a tenant: %v", err)
	}
	if _, err := r.Erase(s.Context(), "acme", p.Place.Contact); chat.KindOf(err) != chat.KindUnavailable {
		s.Errorf("a store open for reading erased: %v", err)
	}
	s.must(r.Close())
	s.open()
}
