package chat_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// level is the tenant's level: facts without a conversation, and the documents
// they change.
type level struct {
	t    *testing.T
	now  time.Time
	docs map[string]chat.Doc
	// channels are those of the WABA, the first first.
	channels []chat.ChannelID
	events   []chat.Event
}

func newLevel(t *testing.T, channels ...chat.ChannelID) *level {
	return &level{t: t, now: start, docs: map[string]chat.Doc{}, channels: channels}
}

func docKey(noun chat.DocNoun, id string) string { return string([]byte{byte(noun)}) + id }

func (l *level) know(k *chat.Known, noun chat.DocNoun, id string) {
	k.Docs = append(k.Docs, chat.Doc{Noun: noun, ID: id, Value: l.docs[docKey(noun, id)].Value})
}

func (l *level) do(f chat.Fact) []chat.Event {
	l.t.Helper()
	var k chat.Known
	switch f := f.(type) {
	case *chat.Inbound:
		noun, id, ok := chat.DocOf(f, l.channels[0])
		switch {
		case ok && noun == chat.DocTemplate:
			l.know(&k, noun, id)
			l.know(&k, chat.DocChannel, string(l.channels[0]))
		case ok && f.Account == "":
			for _, ch := range l.channels {
				l.know(&k, chat.DocChannel, string(ch))
			}
		case ok:
			l.know(&k, noun, id)
		}
	case chat.ChannelRefused:
		l.know(&k, chat.DocChannel, string(f.Channel))
	case chat.ChannelChecked:
		l.know(&k, chat.DocChannel, string(f.Channel))
	case chat.ChannelHeard:
		l.know(&k, chat.DocChannel, string(f.Channel))
	case chat.TemplatesFetched:
		l.know(&k, chat.DocChannel, string(f.Channel))
		for key := range l.docs {
			if key[0] == byte(chat.DocTemplate) {
				l.know(&k, chat.DocTemplate, key[1:])
			}
		}
	}
	settings := chat.Settings{}
	settings.EnsureDefaults()
	state := chat.Conversation{Tenant: "acme", Channel: l.channels[0], Kind: chat.WhatsApp}
	d := chat.Step(&state, chat.Input{Now: l.now, Settings: &settings, Known: k, Fact: f})
	for _, e := range d.Events {
		if e.Seq != 0 || e.Conversation != "" || e.Tenant != "acme" || !e.Time.Equal(l.now) {
			l.t.Errorf("an event outside conversations is %+v", e)
		}
	}
	for _, doc := range d.Docs {
		if doc.Value == nil {
			delete(l.docs, docKey(doc.Noun, doc.ID))
			continue
		}
		l.docs[docKey(doc.Noun, doc.ID)] = doc
	}
	l.events = append(l.events, d.Events...)
	return d.Events
}

// count tells how many of the events have a kind.
func count(events []chat.Event, kind chat.EventKind) (n int) {
	for i := range events {
		if events[i].Kind == kind {
			n++
		}
	}
	return n
}

func (l *level) state(ch chat.ChannelID) (s chat.ChannelState) {
	l.t.Helper()
	if doc, ok := l.docs[docKey(chat.DocChannel, string(ch))]; ok {
		if err := json.Unmarshal(doc.Value, &s); err != nil {
			l.t.Fatal(err)
		}
	}
	return s
}

func (l *level) template(name string) (t chat.Template, ok bool) {
	doc, ok := l.docs[docKey(chat.DocTemplate, chat.TemplateKey("9001", name, "de"))]
	if ok {
		if err := json.Unmarshal(doc.Value, &t); err != nil {
			l.t.Fatal(err)
		}
	}
	return t, ok
}

func standing(digest string, at time.Time, s chat.Standing) *chat.Inbound {
	return &chat.Inbound{Kind: chat.InboundUpdate, ChannelKind: chat.WhatsApp, WABA: "9001", Type: "account_update",
		Digest: digest, Time: at, Content: &chat.Content{Standing: &s}, Raw: []byte(`{}`)}
}

func TestStep_RestrictionOfAWABAHoldsEachOfItsChannels(t *testing.T) {
	l := newLevel(t, "wa-1", "wa-2")
	until := start.Add(48 * time.Hour)
	events := l.do(standing("a", start, chat.Standing{Event: "ACCOUNT_RESTRICTION", Restricted: "restricted", Until: until}))
	if count(events, chat.UpdateReceived) != 1 || count(events, chat.ChannelChanged) != 2 {
		t.Errorf("%d updates, %d changes", count(events, chat.UpdateReceived), count(events, chat.ChannelChanged))
	}
	for i, ch := range l.channels {
		s := l.state(ch)
		if held := s.Sending(start); held != "restricted" || s.Restricted != "account_restriction" || !s.RestrictedUntil.Equal(until) {
			t.Errorf("%s: %q, %+v", ch, held, s)
		}
		if e := events[1+i]; e.Channel != ch || e.State.Channel != ch {
			t.Errorf("the change of %s is one of %s", ch, e.Channel)
		}
		if held := s.Sending(until); held != "" {
			t.Errorf("%s is held at its end: %s", ch, held)
		}
	}
	// Webhooks come in any order: the older word changes nothing.
	l.do(standing("b", start.Add(2*time.Hour), chat.Standing{Event: "DISABLED_UPDATE", Restricted: "lifted"}))
	if n := count(l.do(standing("c", start.Add(time.Hour), chat.Standing{Event: "DISABLED_UPDATE", Restricted: "restricted"})), chat.ChannelChanged); n != 0 {
		t.Errorf("a word from before the latest one changed %d channels", n)
	}
	if s := l.state("wa-2"); s.Sending(start) != "" {
		t.Errorf("lifted, and still %+v", s)
	}
}

func TestStep_NewsOfOneNumberConcernsIt(t *testing.T) {
	l := newLevel(t, "wa-1", "wa-2")
	in := standing("a", start, chat.Standing{Event: "THROUGHPUT_UPGRADE", PerSecond: 1000, Quality: "GREEN", Tier: "TIER_10K"})
	in.Account = "7001"
	l.do(in)
	if s := l.state("wa-1"); s.PerSecond != 1000 || s.Quality != "GREEN" || s.Tier != "TIER_10K" || !s.Changed.Equal(start) {
		t.Errorf("%+v", s)
	}
	if s := l.state("wa-2"); s.PerSecond != 0 {
		t.Errorf("another number changed: %+v", s)
	}
	in = standing("b", start, chat.Standing{Event: "PIN_CHANGED", Alert: "The PIN was changed."})
	in.Account = "7001"
	if n := count(l.do(in), chat.ChannelChanged); n != 1 || l.state("wa-1").Alert != "The PIN was changed." || l.state("wa-1").PerSecond != 1000 {
		t.Errorf("%d changes, %+v", n, l.state("wa-1"))
	}
	// The same words again are kept as received and change nothing.
	in = standing("c", start, chat.Standing{Event: "PIN_CHANGED", Alert: "The PIN was changed."})
	in.Account = "7001"
	if events := l.do(in); count(events, chat.ChannelChanged) != 0 || count(events, chat.UpdateReceived) != 1 {
		t.Errorf("%+v", events)
	}
}

// Meta names a number as it displays it, and as nobody writes it.
func TestStep_NewsOfANumberOfTheWABA(t *testing.T) {
	l := newLevel(t, "wa-1", "wa-2")
	news := func(digest string) *chat.Inbound {
		return standing(digest, start, chat.Standing{Event: "THROUGHPUT_UPGRADE", Number: "15550783881", PerSecond: 1000})
	}
	l.do(chat.ChannelChecked{Channel: "wa-2", Report: chat.ChannelReport{Number: &chat.NumberReport{Number: "+1 555-078-3881"}}})
	l.do(news("a"))
	if one, two := l.state("wa-1"), l.state("wa-2"); one.PerSecond != 0 || two.PerSecond != 1000 {
		t.Errorf("%+v, %+v", one, two)
	}
	l = newLevel(t, "wa-1", "wa-2")
	l.do(chat.ChannelChecked{Channel: "wa-2", Report: chat.ChannelReport{Number: &chat.NumberReport{Number: "+1 555-000"}}})
	l.do(news("a"))
	if one, two := l.state("wa-1"), l.state("wa-2"); one.PerSecond != 1000 || two.PerSecond != 0 {
		t.Errorf("a number that is not known yet: %+v, %+v", one, two)
	}
}

// Hundreds of sends meet a dead token at once: one of them changes something.
func TestStep_RefusedTokenIsOneChange(t *testing.T) {
	l := newLevel(t, "wa-1")
	old, fresh := chat.TokenDigest("old"), chat.TokenDigest("fresh")
	refused := chat.ChannelRefused{Channel: "wa-1", Token: old,
		Outcome: chat.SendOutcome{Result: chat.SendBlocked, Code: 190, Subcode: 463, Reason: "token_invalid"}}
	changes := 0
	for range 64 {
		changes += len(l.do(refused))
		l.now = l.now.Add(time.Second)
	}
	s := l.state("wa-1")
	if changes != 1 || s.Sending(l.now) != "reauth_required" || s.Reauth != "token_expired" {
		t.Errorf("%d events, %+v", changes, s)
	}
	if under := s.With("fresh"); under.Sending(l.now) != "" {
		t.Error("another token is held for the old one")
	}
	if under := s.With("old"); under.Sending(l.now) != "reauth_required" {
		t.Error("the refused token is not held")
	}
	l.do(chat.ChannelChecked{Channel: "wa-1", Report: chat.ChannelReport{Token: &chat.TokenReport{Digest: fresh, Scopes: []string{"b", "a"}}}})
	if s = l.state("wa-1"); s.Reauth != "" || s.TokenDigest != fresh || len(s.TokenScopes) != 2 || s.TokenScopes[0] != "a" || !s.TokenIssued.Equal(l.now) {
		t.Errorf("%+v", s)
	}
	// A send of the old token that comes back late holds the channel no more.
	l.do(refused)
	if under := l.state("wa-1").With("fresh"); under.Sending(l.now) != "" {
		t.Errorf("a late refusal of the old token holds the new one: %+v", s)
	}
}

func TestStep_RefusedAccountIsTriedAgain(t *testing.T) {
	for reason, pause := range map[string]time.Duration{
		"account_locked": chat.RestrictedPause, "account_restricted": chat.RestrictedPause, "spam_limit": 15 * time.Minute} {
		l := newLevel(t, "wa-1")
		out := chat.SendOutcome{Result: chat.SendBlocked, Reason: reason}
		if reason == "spam_limit" {
			out.RetryAfter = pause
		}
		l.do(chat.ChannelRefused{Channel: "wa-1", Outcome: out})
		if n := len(l.do(chat.ChannelRefused{Channel: "wa-1", Outcome: out})); n != 0 {
			t.Errorf("%s: told twice", reason)
		}
		s := l.state("wa-1")
		if s.Sending(start.Add(pause-1)) != "restricted" || s.Sending(start.Add(pause)) != "" {
			t.Errorf("%s: %+v", reason, s)
		}
	}
	l := newLevel(t, "wa-1")
	l.do(chat.ChannelRefused{Channel: "wa-1", Outcome: chat.SendOutcome{Result: chat.SendBlocked, Reason: "payment"}})
	if s := l.state("wa-1"); s.Sending(start) != "" || s.Alert != "Meta refuses sends: payment" {
		t.Errorf("%+v", s)
	}
}

func TestStep_CheckedChannel(t *testing.T) {
	l := newLevel(t, "wa-1")
	yes := true
	report := chat.ChannelReport{Subscribed: &yes, Number: &chat.NumberReport{Name: "Acme", Number: "+49 170 1", Quality: "GREEN",
		Tier: "TIER_250", PerSecond: 80, Portfolio: "55", NumberStatus: "CONNECTED", NameStatus: "APPROVED", Health: "AVAILABLE"}}
	if n := len(l.do(chat.ChannelChecked{Channel: "wa-1", Report: report})); n != 1 {
		t.Errorf("the first check is %d events", n)
	}
	l.now = l.now.Add(time.Hour)
	if n := len(l.do(chat.ChannelChecked{Channel: "wa-1", Report: report})); n != 0 {
		t.Errorf("a check that found nothing new is %d events", n)
	}
	s := l.state("wa-1")
	if !s.Checked.Equal(l.now) || !s.Changed.Equal(start) || !s.Subscribed || s.Tier != "TIER_250" {
		t.Errorf("%+v", s)
	}
	blocked := chat.ChannelReport{Number: &chat.NumberReport{Health: "BLOCKED", Why: "Policy."}}
	l.do(chat.ChannelChecked{Channel: "wa-1", Report: blocked})
	if s = l.state("wa-1"); s.Sending(l.now) != "restricted" || s.Alert != "Policy." || s.Name != "Acme" {
		t.Errorf("%+v", s)
	}
	l.do(chat.ChannelChecked{Channel: "wa-1", Report: report})
	if s = l.state("wa-1"); s.Sending(l.now) != "" {
		t.Errorf("available again, and held: %+v", s)
	}
	// An hour of webhooks is one small document and no event.
	if n := len(l.do(chat.ChannelHeard{Channel: "wa-1", At: l.now})); n != 0 || !l.state("wa-1").Heard.Equal(l.now) {
		t.Errorf("%d events, %+v", n, l.state("wa-1"))
	}
}

func templateNews(digest string, c chat.TemplateChange) *chat.Inbound {
	return &chat.Inbound{Kind: chat.InboundUpdate, ChannelKind: chat.WhatsApp, WABA: "9001", Type: "message_template_status_update",
		Digest: digest, Time: start, Content: &chat.Content{Template: &c}, Raw: []byte(`{}`)}
}

func TestStep_TemplateRegistry(t *testing.T) {
	l := newLevel(t, "wa-1", "wa-2")
	fetched := func(last bool, gone []string, list ...chat.Template) chat.TemplatesFetched {
		for i := range list {
			list[i].WABA, list[i].Language, list[i].Fetched = "9001", "de", l.now
		}
		return chat.TemplatesFetched{Channel: "wa-1", Templates: list, Gone: gone, Last: last}
	}
	l.do(fetched(true, nil, chat.Template{ID: "1", Name: "hello", Status: "APPROVED", Category: "UTILITY"}, chat.Template{ID: "2", Name: "bye", Status: "PENDING"}))
	if s := l.state("wa-1"); !s.TemplatesSynced.Equal(l.now) || count(l.events, chat.TemplateChanged) != 2 {
		t.Errorf("%d changes, %+v", count(l.events, chat.TemplateChanged), s)
	}
	l.now = l.now.Add(time.Hour)
	if n := len(l.do(fetched(true, nil, chat.Template{ID: "1", Name: "hello", Status: "APPROVED", Category: "UTILITY"}))); n != 0 {
		t.Errorf("a fetch without news is %d events", n)
	}
	if h, _ := l.template("hello"); !h.Fetched.Equal(l.now) {
		t.Errorf("not noted as fetched: %+v", h)
	}
	l.do(templateNews("a", chat.TemplateChange{ID: "2", Name: "bye", Language: "de", Status: "REJECTED", Reason: "INVALID_FORMAT"}))
	if b, _ := l.template("bye"); b.Status != "REJECTED" || b.Reason != "INVALID_FORMAT" || b.Stale || l.state("wa-1").TemplatesStale {
		t.Errorf("%+v", b)
	}
	l.do(templateNews("b", chat.TemplateChange{Name: "hello", Language: "de", Quality: "RED"}))
	l.do(templateNews("c", chat.TemplateChange{Name: "hello", Language: "de", Category: "MARKETING"}))
	l.do(templateNews("d", chat.TemplateChange{Name: "hello", Language: "de", Stale: true}))
	if h, _ := l.template("hello"); h.Status != "APPROVED" || h.Quality != "RED" || h.Category != "MARKETING" || !h.Stale || !l.state("wa-1").TemplatesStale {
		t.Errorf("%+v, %+v", h, l.state("wa-1"))
	}
	l.do(fetched(true, []string{chat.TemplateKey("9001", "bye", "de")}, chat.Template{ID: "1", Name: "hello", Status: "APPROVED", Category: "MARKETING", Quality: "RED"}))
	if h, _ := l.template("hello"); h.Stale || l.state("wa-1").TemplatesStale {
		t.Errorf("fetched, and stale: %+v", h)
	}
	if b, ok := l.template("bye"); ok {
		t.Errorf("gone at Meta, and here %+v", b)
	}
	// One that nobody knows, and one whose name the news does not say, are fetched.
	l.do(templateNews("e", chat.TemplateChange{ID: "3", Name: "sale", Language: "de", Status: "APPROVED"}))
	if s, ok := l.template("sale"); !ok || s.Status != "APPROVED" || !s.Stale || !l.state("wa-1").TemplatesStale {
		t.Errorf("%+v", s)
	}
	l.do(fetched(true, nil, chat.Template{ID: "3", Name: "sale", Status: "APPROVED"}))
	l.do(templateNews("f", chat.TemplateChange{ID: "3", Quality: "GREEN"}))
	if !l.state("wa-1").TemplatesStale {
		t.Error("news of a template without a name ask for no fetch")
	}
	l.do(templateNews("g", chat.TemplateChange{Name: "sale", Language: "de", Status: "DELETED"}))
	if s, ok := l.template("sale"); ok {
		t.Errorf("deleted, and here %+v", s)
	}
	before := count(l.events, chat.TemplateChanged)
	l.do(templateNews("h", chat.TemplateChange{Name: "never", Language: "de", Status: "DELETED"}))
	if n := count(l.events, chat.TemplateChanged) - before; n != 0 {
		t.Errorf("the end of an unknown template is %d changes", n)
	}
}

// Documents are changed at the tenant's level alone: two writers would lose each
// other's changes.
func TestStep_NewsInAConversationChangesNoDocument(t *testing.T) {
	w := newWorld(chat.WhatsApp)
	if err := w.do(&chat.Inbound{Kind: chat.InboundMessage, Remote: "m1", Type: chat.TypeText, Text: "hi", Customer: w.customer(), Time: w.now}); err != nil {
		t.Fatal(err)
	}
	in := standing("a", w.now, chat.Standing{Event: "X", Restricted: "restricted"})
	in.Customer = w.customer()
	if err := w.do(in); err != nil {
		t.Fatal(err)
	}
	if len(w.last.Docs) != 0 || len(w.last.Events) != 1 {
		t.Errorf("%+v", w.last)
	}
}

func TestChannelState_Duties(t *testing.T) {
	at := func(d time.Duration) time.Time { return start.Add(d) }
	const dayLong = 24 * time.Hour
	fresh := chat.ChannelState{Checked: start, TemplatesSynced: start, TokenIssued: start.Add(-dayLong)}
	with := func(change func(*chat.ChannelState)) chat.ChannelState {
		s := fresh
		change(&s)
		return s
	}
	token := func(issued, expires time.Duration) chat.ChannelState {
		return with(func(s *chat.ChannelState) { s.TokenIssued, s.TokenExpires = at(issued), at(expires) })
	}
	cases := []struct {
		name  string
		state chat.ChannelState
		kind  chat.ChannelKind
		first bool
		now   time.Time
		want  chat.Duty
	}{
		{"nothing known", chat.ChannelState{}, chat.WhatsApp, true, start, chat.DutyCheck | chat.DutyTemplates},
		{"second of its WABA", chat.ChannelState{}, chat.WhatsApp, false, start, chat.DutyCheck},
		{"fresh", fresh, chat.WhatsApp, true, at(time.Hour), 0},
		{"a day later", fresh, chat.WhatsApp, true, at(dayLong), chat.DutyCheck | chat.DutyTemplates},
		{"stale template", with(func(s *chat.ChannelState) { s.TemplatesStale = true }), chat.WhatsApp, true, at(time.Minute), chat.DutyTemplates},
		{"held", with(func(s *chat.ChannelState) { s.Reauth = "x"; s.TemplatesStale = true }), chat.WhatsApp, true, at(chat.HeldEvery), chat.DutyCheck},
		{"token ended", token(-59*dayLong, time.Hour), chat.WhatsApp, true, at(time.Hour), chat.DutyExpire},
		{"instagram, 31 days left", token(-29*dayLong, 31*dayLong), chat.Instagram, true, start, 0},
		{"instagram, 30 days left", token(-30*dayLong, 30*dayLong), chat.Instagram, true, start, chat.DutyRefresh},
		{"instagram, too young", token(-23*time.Hour, 29*dayLong), chat.Instagram, true, start, 0},
		{"instagram, old enough", token(-24*time.Hour, 29*dayLong), chat.Instagram, true, start, chat.DutyRefresh},
		{"instagram, ended", token(-60*dayLong, 0), chat.Instagram, true, start, chat.DutyExpire},
		{"instagram, end unknown", fresh, chat.Instagram, true, start, chat.DutyRefresh},
		{"instagram, failed just now", with(func(s *chat.ChannelState) {
			s.TokenExpires, s.TokenIssued, s.RefreshFailed = at(dayLong), at(-59*dayLong), start
		}), chat.Instagram, true, at(time.Minute), 0},
		{"instagram, failed an hour ago", with(func(s *chat.ChannelState) {
			s.TokenExpires, s.TokenIssued, s.RefreshFailed = at(dayLong), at(-59*dayLong), start
		}), chat.Instagram, true, at(time.Hour), chat.DutyRefresh},
		{"whatsapp is never refreshed", token(-59*dayLong, dayLong), chat.WhatsApp, true, start, 0},
	}
	for _, c := range cases {
		if got := c.state.Duties(c.kind, c.first, c.now); got != c.want {
			t.Errorf("%s: %b, want %b", c.name, got, c.want)
		}
	}
}
