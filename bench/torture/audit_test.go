package torture

import (
	"fmt"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// story is a small segment that went well: one WhatsApp and one Instagram
// customer of tenant t000 write twice and are answered. Tests break it.
type story struct {
	*Book
	wa, ig string // the ledger's conversations
}

func newStory() *story {
	w := child.NewWorld(2)
	s := &story{Book: &Book{World: w, ReconcileAfter: 300 * time.Millisecond,
		Exported: map[string][]child.Event{}, Shown: map[string][]child.Event{}}}
	s.wa, s.ig = w.Channels[0].Account()+"/491", w.Channels[1].Account()+"/771"
	receipt := uint64(0)
	for _, c := range []struct {
		customer, conversation string
		instagram              bool
	}{{s.wa, "conv_wa", false}, {s.ig, "conv_ig", true}} {
		seq := uint64(0)
		add := func(kind string) *child.Event {
			seq++
			events := append(s.Exported["t000"], child.Event{Pos: uint64(len(s.Exported["t000"]) + 1), Seq: seq, Kind: kind, Tenant: "t000", Conversation: c.conversation})
			s.Exported["t000"] = events
			return &events[len(events)-1]
		}
		for n := int64(1); n <= 2; n++ {
			receipt += 2
			remote, text := fmt.Sprintf("in-%s-%d", c.conversation, n), fmt.Sprintf("says #%d", n)
			s.Arrivals = append(s.Arrivals, metasim.Arrival{Kind: metasim.UpdateText, Conversation: c.customer, Number: n,
				RemoteID: remote, Text: text, Posted: receipt - 1, Acknowledged: receipt, Posts: 1, Acks: 1})
			add(child.KindReceived).Message = &child.Message{ID: fmt.Sprintf("msg_%s_%d", c.conversation, seq), Remote: remote, Text: text}
			id := fmt.Sprintf("msg_%s_%d", c.conversation, seq+1)
			reply := fmt.Sprintf("noted (answer to #%d)", n)
			add(child.KindQueued).Message = &child.Message{ID: id, Author: authorAssistant, Text: reply}
			add(child.KindAttempt).Attempt = &child.Attempt{MessageID: id}
			receipt++
			send := metasim.Send{Receipt: receipt, Time: time.Unix(int64(receipt), 0), Account: accountOf(c.customer), To: c.customer[len(accountOf(c.customer))+1:],
				Text: reply, Callback: id, Attempt: 1, Answer: metasim.AnswerAccepted, Accepted: true, RemoteID: "out-" + id}
			if c.instagram {
				send.Callback = ""
			}
			s.Sends = append(s.Sends, send)
			add(child.KindAccepted).Attempt = &child.Attempt{MessageID: id, Remote: send.RemoteID}
			if !c.instagram {
				s.Arrivals = append(s.Arrivals, metasim.Arrival{Kind: metasim.UpdateStatus, Conversation: c.customer, RemoteID: send.RemoteID, Status: "sent", Acks: 1})
				add(child.KindStatus).Status = &child.Status{MessageID: id, Remote: send.RemoteID, Status: "sent"}
			}
		}
	}
	s.Shown["t000"] = append([]child.Event(nil), s.Exported["t000"]...)
	return s
}

// drop removes the nth event (from 0) of a kind from export and feed, and
// closes the gap it leaves, as an engine that never had it would.
func (s *story) drop(kind string, n int) {
	events := s.Exported["t000"]
	for i := range events {
		if events[i].Kind != kind {
			continue
		}
		if n--; n >= 0 {
			continue
		}
		gone := events[i]
		events = append(events[:i], events[i+1:]...)
		for j := range events {
			if events[j].Conversation == gone.Conversation && events[j].Seq > gone.Seq {
				events[j].Seq--
			}
		}
		break
	}
	s.Exported["t000"] = events
	s.Shown["t000"] = append([]child.Event(nil), events...)
}

// insert adds an event at the end of a conversation.
func (s *story) insert(conversation string, e child.Event) {
	events := s.Exported["t000"]
	e.Tenant, e.Conversation, e.Pos = "t000", conversation, events[len(events)-1].Pos+1
	for i := range events {
		if events[i].Conversation == conversation {
			e.Seq = max(e.Seq, events[i].Seq+1)
		}
	}
	s.Exported["t000"] = append(events, e)
	s.Shown["t000"] = append(s.Shown["t000"], e)
}

// first returns the first exported event of a kind, to be changed.
func (s *story) first(kind string) *child.Event {
	for i := range s.Exported["t000"] {
		if s.Exported["t000"][i].Kind == kind {
			return &s.Exported["t000"][i]
		}
	}
	return nil
}

func TestAudit_FindsNothingInAGoodRun(t *testing.T) {
	got := newStory().Audit()
	if got.Red() {
		t.Fatalf("breaches: %s\n%v", got.Names(), got.Examples)
	}
	for _, c := range []string{ChanceMessages, ChanceStatuses, ChanceEvents, ChanceQueued, ChanceAtLeast, ChanceAtMost} {
		if got.Chances[c] == 0 {
			t.Errorf("no %s were counted", c)
		}
	}
}

// Each case breaks one promise; the audit must name it.
func TestAudit_FindsEachBreach(t *testing.T) {
	cases := []struct {
		rule  Rule
		name  string
		spoil func(*story)
	}{
		{Lost, "acknowledged message missing", func(s *story) { s.drop(child.KindReceived, 0) }},
		{Duplicated, "message stored twice", func(s *story) {
			s.insert("conv_wa", *s.first(child.KindReceived))
		}},
		{Reordered, "second message stored before the first", func(s *story) {
			a, b := s.Arrivals[0], s.Arrivals[2]
			s.Arrivals[0].Number, s.Arrivals[2].Number = b.Number, a.Number
		}},
		{Altered, "another text", func(s *story) { s.first(child.KindReceived).Message.Text = "says #9" }},
		{Foreign, "stored with another tenant", func(s *story) {
			e := *s.first(child.KindReceived)
			e.Tenant, e.Seq, e.Pos = "t001", 1, 1
			s.Exported["t001"] = []child.Event{e}
		}},
		{Invented, "nobody posted it", func(s *story) {
			s.insert("conv_wa", child.Event{Kind: child.KindReceived, Message: &child.Message{Remote: "other"}})
		}},
		{Split, "one customer in two conversations", func(s *story) {
			e := *s.first(child.KindReceived)
			e.Seq = 0
			s.insert("conv_new", e)
		}},
		{Gap, "seq skips", func(s *story) {
			for i := range s.Exported["t000"] {
				if s.Exported["t000"][i].Seq >= 3 {
					s.Exported["t000"][i].Seq++
				}
			}
		}},
		{Gap, "pos goes back", func(s *story) { s.Exported["t000"][3].Pos = 1 }},
		{StatusLost, "acknowledged status missing", func(s *story) { s.drop(child.KindStatus, 0) }},
		{StatusTwice, "status stored twice", func(s *story) { s.insert("conv_wa", *s.first(child.KindStatus)) }},
		{RequestLost, "acknowledged request missing", func(s *story) {
			s.Requests = append(s.Requests, Request{Tenant: "t000", Text: "note", Acknowledged: true})
		}},
		{RequestTwice, "one key queued twice", func(s *story) {
			s.Requests = append(s.Requests, Request{Tenant: "t000", Text: "note"})
			for range 2 {
				s.insert("conv_wa", child.Event{Kind: child.KindQueued, Message: &child.Message{ID: "msg_n", Author: authorMember, Text: "note"}})
			}
		}},
		{MissingSend, "queued and forgotten", func(s *story) { s.drop(child.KindAccepted, 1) }},
		{Claimed, "accepted, but Graph refused", func(s *story) {
			s.Sends[0].Accepted, s.Sends[0].Answer = false, metasim.AnswerDropped
		}},
		{Claimed, "an id Graph never gave", func(s *story) { s.first(child.KindAccepted).Attempt.Remote = "out-x" }},
		{SentCancelled, "cancelled, but sent", func(s *story) { s.first(child.KindAccepted).Kind = child.KindCancelled }},
		{Unqueued, "sent without being queued", func(s *story) {
			again := s.Sends[0]
			again.Callback, again.RemoteID, again.Text = "msg_conv_wa_99", "out-99", "noted"
			s.Sends = append(s.Sends, again)
		}},
		{DoubleSend, "Instagram message sent twice", func(s *story) {
			again := s.Sends[2]
			again.Time, again.Attempt, again.RemoteID = again.Time.Add(time.Hour), 2, "out-again"
			s.Sends = append(s.Sends, again)
		}},
		{Hasty, "repeated before reconciliation ended", func(s *story) {
			again := s.Sends[0]
			again.Time, again.Attempt, again.RemoteID = again.Time.Add(time.Millisecond), 2, "out-again"
			s.Sends = append(s.Sends, again)
		}},
		{AnsweredTwice, "one message, two replies", func(s *story) {
			reply := s.Sends[1]
			reply.Callback, reply.RemoteID = "msg_conv_wa_again", "out-again"
			s.Sends = append(s.Sends, reply)
			s.insert("conv_wa", child.Event{Kind: child.KindQueued, Message: &child.Message{ID: reply.Callback, Author: authorAssistant, Text: reply.Text}})
			s.insert("conv_wa", child.Event{Kind: child.KindAccepted, Attempt: &child.Attempt{MessageID: reply.Callback, Remote: reply.RemoteID}})
		}},
		{Unanswered, "nobody answered", func(s *story) {
			s.Arrivals = append(s.Arrivals, metasim.Arrival{Kind: metasim.UpdateText, Conversation: s.wa, Number: 3, RemoteID: "in-3", Text: "says #3", Acks: 1})
			s.insert("conv_wa", child.Event{Kind: child.KindReceived, Message: &child.Message{Remote: "in-3", Text: "says #3"}})
		}},
		{AfterTakeover, "assistant spoke during a takeover", func(s *story) {
			s.Takeovers = append(s.Takeovers, Takeover{Tenant: "t000", Conversation: "conv_wa", From: s.Sends[1].Receipt - 1})
		}},
		{FeedMissed, "feed skipped an event", func(s *story) { s.Shown["t000"] = s.Shown["t000"][1:] }},
		{FeedUndurable, "feed showed what is not stored", func(s *story) {
			e := s.Shown["t000"][0]
			e.Pos = 999
			s.Shown["t000"] = append(s.Shown["t000"], e)
		}},
	}
	for _, c := range cases {
		t.Run(string(c.rule)+": "+c.name, func(t *testing.T) {
			s := newStory()
			c.spoil(s)
			got := s.Audit()
			if got.Breaches[c.rule] == 0 {
				t.Fatalf("not found; the audit said: %q", got.Names())
			}
		})
	}
}

// What looks odd and is allowed must stay green.
func TestAudit_AllowsWhatPolicyAllows(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(*story)
		also  func(*testing.T, *Tally)
	}{
		{"WhatsApp reply repeated after reconciliation", func(s *story) {
			again := s.Sends[0]
			again.Time, again.Attempt, again.RemoteID = again.Time.Add(time.Second), 2, "out-again"
			s.Sends = append(s.Sends, again)
		}, func(t *testing.T, got *Tally) {
			if got.Doubled != 1 {
				t.Errorf("doubled = %d, want 1", got.Doubled)
			}
		}},
		{"a refused attempt repeated at once", func(s *story) {
			first := s.Sends[0]
			first.Accepted, first.Answer, first.Time = false, metasim.AnswerRefused, first.Time.Add(-time.Millisecond)
			s.Sends = append([]metasim.Send{first}, s.Sends...)
		}, nil},
		{"unacknowledged message stored", func(s *story) { s.Arrivals[0].Acks = 0 }, nil},
		{"send shown as unknown", func(s *story) {
			e := s.first(child.KindAccepted)
			e.Kind, e.Status, e.Attempt = child.KindStatus, &child.Status{MessageID: e.Attempt.MessageID, Status: statusUnknown}, nil
			s.Shown["t000"] = append([]child.Event(nil), s.Exported["t000"]...)
		}, func(t *testing.T, got *Tally) {
			if got.Unknown != 1 {
				t.Errorf("unknown = %d, want 1", got.Unknown)
			}
		}},
		{"unanswered but handed to people", func(s *story) {
			s.Arrivals = append(s.Arrivals, metasim.Arrival{Kind: metasim.UpdateText, Conversation: s.wa, Number: 3, RemoteID: "in-3", Text: "says #3", Acks: 1})
			s.insert("conv_wa", child.Event{Kind: child.KindReceived, Message: &child.Message{Remote: "in-3", Text: "says #3"}})
			s.insert("conv_wa", child.Event{Kind: child.KindHandoff})
		}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStory()
			c.spoil(s)
			got := s.Audit()
			if got.Red() {
				t.Fatalf("breaches: %s\n%v", got.Names(), got.Examples)
			}
			if c.also != nil {
				c.also(t, got)
			}
		})
	}
}

func TestTokens_AreTheNumbersAfterHashes(t *testing.T) {
	if got := fmt.Sprint(tokens("answer to #3 #12, not # or #x")); got != "[3 12]" {
		t.Errorf("tokens = %s", got)
	}
	if got := lastToken("#3 #12 #7"); got != 12 {
		t.Errorf("lastToken = %d", got)
	}
}

func TestAuditInbound_LooksAtMessagesOnly(t *testing.T) {
	s := newStory()
	s.drop(child.KindAccepted, 0) // nothing that concerns what came in
	if got := s.AuditInbound(); got.Red() || got.Chances[ChanceMessages] == 0 {
		t.Errorf("breaches: %s", got.Names())
	}
	s.drop(child.KindReceived, 0)
	if got := s.AuditInbound(); got.Breaches[Lost] == 0 {
		t.Errorf("the lost message was not found: %s", got.Names())
	}
}
