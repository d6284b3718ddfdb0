package chat_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// writer makes a customer's messages: how long after the assistant's answer the
// next one comes, and what it says.
type writer func(r *rand.Rand, round int) (after time.Duration, kind, text string)

// volley lets a writer and the assistant answer each other and returns after how
// many answers people were asked; 0 for never.
func volley(t *testing.T, seed uint64, rounds int, next writer) int {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0x766f6c))
	w := newWorld(chat.WhatsApp)
	must := func(f chat.Fact) {
		t.Helper()
		if err := w.do(f); err != nil {
			t.Fatal(err)
		}
	}
	for round := range rounds {
		after, kind, text := next(r, round)
		w.now = w.now.Add(after)
		must(&chat.Inbound{Kind: chat.InboundMessage, Remote: chat.RemoteID(fmt.Sprint("m", round)), Type: kind, Text: text,
			Customer: w.customer(), Time: w.now})
		if w.state.Holder != chat.HolderAssistant {
			if h := w.last.Events[len(w.last.Events)-1].Handoff; h == nil || h.Reason != "loop" {
				t.Fatalf("handed off for another reason: %+v", w.last.Events)
			}
			return round
		}
		w.now = w.now.Add(w.set.QuietPeriod)
		must(chat.Tick{})
		w.now = w.now.Add(time.Duration(1+r.IntN(4)) * time.Second)
		must(chat.ModelAnswered{Turn: w.state.TurnID(), Call: w.state.Turn.Call, Answer: chat.Answer{Text: fmt.Sprint("answer ", round)}})
		must(chat.AttemptDue{Message: w.queued[len(w.queued)-1]})
		must(chat.AttemptFinished{Message: w.queued[len(w.queued)-1], N: 1,
			Outcome: chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID(fmt.Sprint("r", round))}})
	}
	return 0
}

func words(n int) string { return strings.Repeat("x", n) }

// Two assistants that answer each other end, whatever the other one is like.
func TestVolley_EndsAChatOfTwoMachines(t *testing.T) {
	for name, tc := range map[string]struct {
		most int
		next writer
	}{
		"an assistant like this one": {30, func(r *rand.Rand, _ int) (time.Duration, string, string) {
			return time.Duration(3+r.IntN(6)) * time.Second, "text", words(80 + r.IntN(220))
		}},
		"a slow one with short texts": {120, func(r *rand.Rand, _ int) (time.Duration, string, string) {
			return time.Duration(2+r.IntN(5)) * time.Second, "text", words(50 + r.IntN(30))
		}},
		"a responder": {12, func(_ *rand.Rand, _ int) (time.Duration, string, string) {
			return time.Second, "text", "Thanks for your message. We are closed."
		}},
		"one without a delay": {15, func(r *rand.Rand, round int) (time.Duration, string, string) {
			return 0, "text", words(100 + round)
		}},
	} {
		for seed := range uint64(5) {
			if n := volley(t, seed, 500, tc.next); n == 0 || n > tc.most {
				t.Errorf("%s, seed %d: ended after %d answers, want at most %d and an end", name, seed, n, tc.most)
			}
		}
	}
}

// People who type fast, tap, paste now and then or are short of words are never
// taken for machines.
func TestVolley_LeavesPeopleAlone(t *testing.T) {
	typing := func(r *rand.Rand, perSecond float64, n int) time.Duration {
		read := time.Duration(500+r.IntN(2500)) * time.Millisecond
		return read + time.Duration(float64(n)/perSecond*float64(time.Second))
	}
	for name, next := range map[string]writer{
		"a fast typist": func(r *rand.Rand, _ int) (time.Duration, string, string) {
			n := 3 + r.IntN(90)
			return typing(r, 6, n), "text", words(n)
		},
		"one who pastes now and then": func(r *rand.Rand, round int) (time.Duration, string, string) {
			if round%12 == 5 {
				return time.Duration(1+r.IntN(3)) * time.Second, "text", words(1500)
			}
			n := 3 + r.IntN(60)
			return typing(r, 5, n), "text", words(n)
		},
		"one who taps buttons": func(r *rand.Rand, _ int) (time.Duration, string, string) {
			return time.Duration(300+r.IntN(700)) * time.Millisecond, "interactive", "A choice with a long title, too"
		},
		"one of few words": func(r *rand.Rand, _ int) (time.Duration, string, string) {
			return time.Duration(700+r.IntN(1500)) * time.Millisecond, "text", []string{"yes", "no", "ok", "thanks", "why?"}[r.IntN(5)]
		},
	} {
		for seed := range uint64(20) {
			if n := volley(t, seed, 150, next); n != 0 {
				t.Errorf("%s, seed %d: taken for a machine after %d answers", name, seed, n)
			}
		}
	}
}

// A silence begins anew, and so does a person who hands the conversation back.
func TestVolley_BeginsAnew(t *testing.T) {
	n := volley(t, 1, 300, func(r *rand.Rand, round int) (time.Duration, string, string) {
		if round%6 == 5 {
			return 3 * time.Minute, "text", words(150)
		}
		return time.Second, "text", words(150)
	})
	if n != 0 {
		t.Errorf("handed off after %d answers, with a pause after every sixth", n)
	}
}
