package chat_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// A send that Meta refuses for now waits as long as the limit wants: 4^n seconds
// for a person, a few for a number, what the header says for an account or an app.
func TestStep_PausesByWhatMetaNames(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name  string
		o     chat.SendOutcome
		want  []time.Duration
		fails bool
	}{
		{"pair", chat.SendOutcome{Code: 131056, Hold: chat.HoldPair, RetryAfter: s}, []time.Duration{s, 4 * s, 16 * s, 64 * s, 256 * s, 300 * s}, true},
		{"number", chat.SendOutcome{Code: 130429, Hold: chat.HoldChannel, RetryAfter: s}, []time.Duration{s, 2 * s, 4 * s, 4 * s, 4 * s, 4 * s}, false},
		{"account", chat.SendOutcome{Code: 80007, Hold: chat.HoldAccount, RetryAfter: 7 * time.Minute}, []time.Duration{7 * time.Minute, 7 * time.Minute}, false},
		{"app", chat.SendOutcome{Code: 4, Hold: chat.HoldApp, RetryAfter: 2 * time.Hour}, []time.Duration{time.Hour, time.Hour}, false},
		{"portfolio", chat.SendOutcome{Code: 131064, Hold: chat.HoldPortfolio, RetryAfter: time.Hour}, []time.Duration{time.Hour, time.Hour}, true},
		{"send", chat.SendOutcome{Code: 131053, RetryAfter: 2 * s}, []time.Duration{2 * s, 2 * s, 4 * s, 8 * s}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(chat.WhatsApp)
			w.set.Assistant = false
			must := func(f chat.Fact) {
				t.Helper()
				if err := w.do(f); err != nil {
					t.Fatal(err)
				}
			}
			must(&chat.Inbound{Kind: chat.InboundMessage, Remote: "m", Type: chat.TypeText, Text: "hi", Customer: w.customer(), Time: w.now})
			must(chat.MemberSend{Text: "hello"})
			id := w.queued[0]
			var pauses []time.Duration
			for n := 1; w.state.Entry(id) != nil && n <= 20; n++ {
				must(chat.AttemptDue{Message: id})
				o := tc.o
				o.Result = chat.SendThrottled
				must(chat.AttemptFinished{Message: id, N: n, Outcome: o})
				for _, e := range w.last.Effects {
					if r, ok := e.(chat.ReleaseSend); ok && r.RetryAfter > 0 {
						if r.Hold != tc.o.Hold {
							t.Errorf("attempt %d holds %d, want %d", n, r.Hold, tc.o.Hold)
						}
						pauses = append(pauses, r.RetryAfter)
						w.now = w.now.Add(r.RetryAfter)
					}
				}
			}
			if len(pauses) < len(tc.want) || !slices.Equal(pauses[:len(tc.want)], tc.want) {
				t.Errorf("pauses %v, want them to begin with %v", pauses, tc.want)
			}
			if failed := w.state.Entry(id) == nil; failed != tc.fails {
				t.Errorf("given up after 20 attempts: %v, want %v", failed, tc.fails)
			}
		})
	}
}

// A send keeps its place behind the one before it, whatever holds that one.
func TestStep_NothingOvertakesInAConversation(t *testing.T) {
	for _, hold := range []chat.Hold{chat.HoldSend, chat.HoldPair, chat.HoldChannel, chat.HoldAccount, chat.HoldApp, chat.HoldPortfolio} {
		w := newWorld(chat.WhatsApp)
		w.set.Assistant = false
		must := func(f chat.Fact) {
			t.Helper()
			if err := w.do(f); err != nil {
				t.Fatal(err)
			}
		}
		must(&chat.Inbound{Kind: chat.InboundMessage, Remote: "m", Type: chat.TypeText, Text: "hi", Customer: w.customer(), Time: w.now})
		must(chat.MemberSend{Text: "one"})
		must(chat.MemberSend{Text: "two"})
		first, second := w.queued[0], w.queued[1]
		must(chat.AttemptDue{Message: first})
		must(chat.AttemptFinished{Message: first, N: 1, Outcome: chat.SendOutcome{Result: chat.SendThrottled, Code: 1, Hold: hold, RetryAfter: time.Second}})
		w.now = w.now.Add(time.Hour / 2)
		must(chat.AttemptDue{Message: second})
		if e := w.state.Entry(second); e.State != chat.SendQueued {
			t.Errorf("hold %d: the second message is %s before the first has gone", hold, e.State)
		}
	}
}

// Sends that were given up as unknown stay in sight, and take nobody's place.
func TestStep_SendsThatWereLeftTakeNoPlace(t *testing.T) {
	w := newWorld(chat.Instagram)
	w.set.Assistant = false
	must := func(f chat.Fact) {
		t.Helper()
		if err := w.do(f); err != nil {
			t.Fatal(err)
		}
	}
	must(&chat.Inbound{Kind: chat.InboundMessage, Remote: "m", Type: chat.TypeText, Text: "hi", Customer: w.customer(), Time: w.now})
	for n := range chat.LeftMax {
		must(chat.MemberSend{Text: strconv.Itoa(n)})
		id := w.queued[n]
		must(chat.AttemptDue{Message: id})
		must(chat.AttemptFinished{Message: id, N: 1, Outcome: chat.SendOutcome{Result: chat.SendAmbiguous, Reason: "timeout"}})
		w.now = w.now.Add(w.set.ReconcileAfter)
		must(chat.Tick{})
	}
	if n := len(w.state.Outbox); n != chat.LeftMax || w.state.Owing() != 0 {
		t.Fatalf("%d sends in sight, %d owed", n, w.state.Owing())
	}
	if must(chat.MemberSend{Text: "one more"}); w.last.Verdict.Kind != chat.VerdictDone {
		t.Errorf("refused: %s", w.last.Verdict.Reason)
	}
}

func TestLaneOf(t *testing.T) {
	for _, tc := range []struct {
		m    chat.Message
		want chat.Lane
	}{
		{chat.Message{Type: "text"}, chat.LanePlain},
		{chat.Message{Type: "image"}, chat.LanePlain},
		{chat.Message{Type: "audio"}, chat.LaneMedia},
		{chat.Message{Type: "video"}, chat.LaneMedia},
		{chat.Message{Type: "template"}, chat.LaneTemplate},
		{chat.Message{Type: "text", Content: &chat.Content{Offer: &chat.Offer{Comment: "1"}}}, chat.LanePrivate},
	} {
		if got := chat.LaneOf(&tc.m); got != tc.want {
			t.Errorf("%+v is in lane %d, want %d", tc.m, got, tc.want)
		}
	}
}
