package persistencetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// Opener opens a store that takes commits: it leads every group.
type Opener func(t testing.TB, o persistence.Options) *persistence.Store

// Test runs the suite on stores of a node alone. options describes an empty place
// for a store; what it returns is used to open that store, and to open it again.
func Test(t *testing.T, options func(testing.TB) persistence.Options) {
	TestOpened(t, options, func(testing.TB) Opener { return alone })
}

// TestOpened runs the suite on stores that an opener opens; each test gets one of
// its own.
func TestOpened(t *testing.T, options func(testing.TB) persistence.Options, opener func(testing.TB) Opener) {
	for name, test := range map[string]func(*site){
		"Journal_SurvivesReopening":           journalSurvives,
		"Journal_RecallsHistory":              journalRecalls,
		"Journal_SixAnswers":                  journalAnswers,
		"Journal_RefusedCommitsChangeNothing": journalRefusals,
		"Journal_TenantsAreApart":             journalTenants,
		"Index_LocatesClaimsAndRows":          indexLookups,
		"Agenda_OldestFirst":                  agendaOrder,
		"Agenda_LiveIsWhatDiedWithTheProcess": agendaLive,
		"Agenda_EarliestWakes":                agendaEarliest,
		"Feed_OrderedAndPaged":                feedPages,
		"Feed_WaitWakes":                      feedWaits,
		"Views_LatestActivityFirst":           viewsOrder,
		"Views_UnknownIsNotFound":             viewsUnknown,
		"Views_SendsUntilTheirEndIsKnown":     viewsSends,
		"Export_IsTheFeed":                    exportFeed,
		"Erase_LeavesSkeletons":               eraseSkeletons,
		"Quarantine_SurvivesReopening":        quarantineSurvives,
		"Directory_SurvivesReopening":         directorySurvives,
		"Portfolios_CountTogether":            portfoliosCount,
		"ReadOnly_ReadsAndNeverWrites":        readOnly,
	} {
		t.Run(name, func(t *testing.T) { test(newSite(t, options, opener(t))) })
	}
}

func journalSurvives(s *site) {
	p := s.person("acme", 1)
	for _, text := range []string{"one", "two \xff\x00", ""} {
		p.say(text)
	}
	before, err := s.Events("acme", p.Place.Conversation, 0, 100)
	s.must(err)
	epoch := s.Epoch(s.Group("acme"))
	s.reopen()
	if got := s.Epoch(s.Group("acme")); got <= epoch {
		s.Errorf("epoch %d after reopening, %d before", got, epoch)
	}
	after, err := s.Events("acme", p.Place.Conversation, 0, 100)
	s.must(err)
	if diff := cmp.Diff(before, after); diff != "" {
		s.Errorf("events differ after reopening:\n%s", diff)
	}
	if len(after) != 4 || after[2].Message.Text != "two \xff\x00" {
		s.Errorf("events: %+v", after)
	}
	state, found, err := s.Load("acme", p.Place.Conversation)
	s.must(err)
	if diff := cmp.Diff(p.State, state); diff != "" || !found {
		s.Errorf("state differs after reopening:\n%s", diff)
	}
	contact, err := s.Contact("acme", p.Place.Contact)
	s.must(err)
	if diff := cmp.Diff(chat.Contact{ID: p.Place.Contact, Name: "Ada", Addresses: []chat.Address{p.Address}}, contact); diff != "" {
		s.Errorf("contact differs after reopening:\n%s", diff)
	}
	page, err := s.Events("acme", p.Place.Conversation, 1, 2)
	s.must(err)
	if len(page) != 2 || page[0].Seq != 2 || page[1].Seq != 3 {
		s.Errorf("events after 1, two at most: %+v", page)
	}
}

func journalRecalls(s *site) {
	p := s.person("acme", 1)
	for _, text := range []string{"one", "two", "three"} {
		p.say(text)
	}
	want, err := s.Events("acme", p.Place.Conversation, 0, 100)
	s.must(err)
	whole, err := s.History("acme", p.Place.Conversation, 0, 1, 100)
	s.must(err)
	if diff := cmp.Diff(want, whole); diff != "" {
		s.Errorf("a history from the first event on is not all events:\n%s", diff)
	}
	if want[0].Kind != chat.ConversationStarted || want[0].Contact == nil {
		s.Fatalf("the first event: %+v", want[0])
	}
	head := chat.Event{Seq: 1, Pos: want[0].Pos, Kind: want[0].Kind, Tenant: "acme", Conversation: p.Place.Conversation}
	some, err := s.History("acme", p.Place.Conversation, 0, 4, 3)
	s.must(err)
	if diff := cmp.Diff([]chat.Event{head, want[1], want[2]}, some); diff != "" {
		s.Errorf("three events of a history from the last on:\n%s", diff)
	}
	late, err := s.History("acme", p.Place.Conversation, 2, 2, 100)
	s.must(err)
	if diff := cmp.Diff(want[2:], late); diff != "" {
		s.Errorf("a history after what is answered:\n%s", diff)
	}
}

func journalAnswers(s *site) {
	p := s.person("acme", 1)
	first := p.Message("one")
	if r := p.commit(first); r.Pos == 0 {
		s.Error("an applied commit has no position")
	}

	again := p.Message("again")
	again.Rows[0].Remote = p.Remote(2)
	if r := s.append(again, chat.Duplicate); r.Original.Conversation != p.Place.Conversation || r.Original.Seq != 2 {
		s.Errorf("the original of a remote id: %+v", r.Original)
	}

	s.append(first, chat.WrongSeq)

	stale := p.Message("stale")
	stale.Epoch--
	s.append(stale, chat.StaleEpoch)

	claims := func(digest string) chat.Commit {
		c := p.Message("claims")
		c.Claims = append(c.Claims, chat.Claim{Kind: chat.ClaimIdempotency, Key: "key-1", Digest: digest,
			Message: chat.MessageIDAt(c.Conversation, c.State.Seq), Day: chat.Day(c.Now) + chat.IdempotencyDays})
		return c
	}
	claimed := claims("d1")
	p.commit(claimed)
	if r := s.append(claims("d2"), chat.Duplicate); r.Original.Digest != "d1" || r.Original.Message != chat.MessageIDAt(p.Place.Conversation, claimed.State.Seq) {
		s.Errorf("the original of an idempotency key: %+v", r.Original)
	}

	budget := func(limit int64) chat.Commit {
		c := p.Message("budget")
		c.Reserve = []chat.Reservation{{Counter: "turns/2026-11-01", Amount: 1, Limit: limit}}
		return c
	}
	p.commit(budget(1))
	if r := s.append(budget(1), chat.LimitReached); r.Counter != "turns/2026-11-01" {
		s.Errorf("the exhausted counter: %q", r.Counter)
	}
	p.commit(budget(2))

	gone, cancel := context.WithCancel(s.Context())
	cancel()
	r, err := s.Append(gone, p.Message("gone"))
	s.must(err)
	switch r.Answer {
	case chat.Applied, chat.Unknown:
	default:
		s.Errorf("answer %v to a caller that gave up", r.Answer)
	}
	s.must(s.Barrier(s.Context(), "acme"))
}

func journalRefusals(s *site) {
	p := s.person("acme", 1)
	p.say("one")
	before := s.feed("acme", 100)
	c := p.Message("two")
	c.Rows = append(c.Rows, chat.RemoteRow{Remote: p.Remote(2), Conversation: c.Conversation, Seq: 3, Fresh: true})
	c.Claims = []chat.Claim{{Kind: chat.ClaimDigest, Key: "digest", Day: chat.Day(began)}}
	c.Reserve = []chat.Reservation{{Counter: "turns/2026-11-01", Amount: 1}}
	s.append(c, chat.Duplicate)
	if diff := cmp.Diff(before, s.feed("acme", 100)); diff != "" {
		s.Errorf("the feed changed:\n%s", diff)
	}
	if _, found, err := s.Claimed("acme", chat.ClaimDigest, "digest"); err != nil || found {
		s.Errorf("a claim of a refused commit is there (%v)", err)
	}
	if _, found, err := s.Row("acme", "wa", p.Remote(3), ""); err != nil || found {
		s.Errorf("a row of a refused commit is there (%v)", err)
	}
	counters, err := s.Views().Counters(s.Context(), "acme")
	s.must(err)
	if diff := cmp.Diff(map[string]int64{"messages_in/2026-11-01/wa": 1}, counters); diff != "" {
		s.Errorf("counters:\n%s", diff)
	}
	p.say("two")
}

func journalTenants(s *site) {
	a, b := s.person("acme", 1), s.person("bolt", 1)
	if a.Place.Conversation == b.Place.Conversation || a.Place.Contact == b.Place.Contact {
		s.Error("two tenants derive the same ids for a person")
	}
	a.say("for acme")
	b.say("for bolt")
	if _, found, err := s.Load("bolt", a.Place.Conversation); err != nil || found {
		s.Errorf("bolt sees a conversation of acme (%v)", err)
	}
	if events, err := s.Events("bolt", a.Place.Conversation, 0, 10); err != nil || len(events) > 0 {
		s.Errorf("bolt sees events of acme: %v (%v)", events, err)
	}
	for _, e := range s.feed("bolt", 100) {
		if e.Tenant != "bolt" || e.Conversation != b.Place.Conversation {
			s.Errorf("the feed of bolt has %+v", e)
		}
	}
	if _, err := s.Contact("bolt", a.Place.Contact); chat.KindOf(err) != chat.KindNotFound {
		s.Errorf("bolt asks for a contact of acme: %v", err)
	}
}

func indexLookups(s *site) {
	p, twin := s.person("acme", 1), s.person("acme", 1)
	if diff := cmp.Diff(p.Place, twin.Place); diff != "" {
		s.Errorf("two deliveries derive different ids:\n%s", diff)
	}
	if p.Place.Found || len(p.Place.Missing) != 1 {
		s.Errorf("an unknown person: %+v", p.Place)
	}
	p.say("one")
	other := chat.Address{Kind: chat.BSUID, Value: "DE.1"}
	place, err := s.Locate("acme", "wa", []chat.Address{other, p.Address, {Kind: chat.Username, Value: "ada"}})
	s.must(err)
	want := chat.Place{Conversation: p.Place.Conversation, Contact: p.Place.Contact, Found: true, Missing: []chat.Address{other}}
	if diff := cmp.Diff(want, place); diff != "" {
		s.Errorf("a known person:\n%s", diff)
	}
	if place, err := s.Locate("acme", "wa-2", []chat.Address{p.Address}); err != nil || place.Found {
		s.Errorf("another channel knows the person: %+v (%v)", place, err)
	}
	row, found, err := s.Row("acme", "wa", p.Remote(2), "")
	s.must(err)
	wantRow := chat.RemoteRow{Remote: p.Remote(2), Conversation: p.Place.Conversation, Seq: 2, Message: chat.MessageIDAt(p.Place.Conversation, 2)}
	if diff := cmp.Diff(wantRow, row); diff != "" || !found {
		s.Errorf("a remote id:\n%s", diff)
	}
	if _, found, err := s.Row("acme", "wa", p.Remote(2), "edit-1"); err != nil || found {
		s.Errorf("another revision is known (%v)", err)
	}
	s.append(s.loose("acme", "digest-1"), chat.Applied)
	s.append(s.loose("acme", "digest-1"), chat.Duplicate)
	if _, found, err := s.Claimed("acme", chat.ClaimDigest, "digest-1"); err != nil || !found {
		s.Errorf("a digest is not known (%v)", err)
	}
	if _, found, err := s.Claimed("acme", chat.ClaimIdempotency, "digest-1"); err != nil || found {
		s.Errorf("a digest is known as an idempotency key (%v)", err)
	}
}

// people creates conversations whose first messages are a minute apart.
func (s *site) people(t chat.TenantID, n int) []*person {
	s.Helper()
	list := make([]*person, n)
	for i := range list {
		list[i] = s.person(t, i)
		list[i].From = began.Add(time.Duration(i) * time.Minute)
		list[i].say("hello")
	}
	return list
}
