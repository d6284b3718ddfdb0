package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// Five messages within four seconds get one answer, made of all five. The model sees
// the client leave each call that was under way when another message came.
func TestServe_FiveMessagesOneAnswer(t *testing.T) {
	asked := make(chan struct{}, 16)
	s := newStage(t, twoTenants, openaisim.Options{Plan: openaisim.Plan{Latency: openaisim.Latency{Median: 2 * time.Second}},
		OnCall: func(m openaisim.Moment, _ openaisim.Call) {
			if m == openaisim.CallReceived {
				asked <- struct{}{}
			}
		}}, "--set", "assistant.quiet_period=100ms")
	events := s.stream("key-of-acme")
	began := time.Now()
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprint("#", 1001+i))
		s.says("acme-wa", phone(1), "part "+want[i])
		if i < 3 {
			<-asked
		}
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Logf("the machine is slow: the five took %v", took)
	}
	superseded := 0
	until(t, events, func(ev apiEvent) bool {
		if ev.Kind == "turn_superseded" {
			superseded++
		}
		return ev.Kind == "message_accepted"
	})
	if sent := byTo(s.sent())[phone(1)]; len(sent) != 1 {
		t.Errorf("%d replies: %+v", len(sent), sent)
	}
	calls := s.sims.model.Calls()
	left := slices.DeleteFunc(slices.Clone(calls), func(c openaisim.Call) bool { return c.Answer != openaisim.AnswerLeft })
	last := calls[len(calls)-1]
	if len(calls) != 4 || len(left) != 3 || superseded != 3 || last.Answer != openaisim.AnswerGiven || !slices.Equal(last.Tokens, want) {
		t.Errorf("%d calls, %d left by the client, %d turns begun anew; the last was %s and answers %q", len(calls), len(left), superseded, last.Answer, last.Tokens)
	}
}
