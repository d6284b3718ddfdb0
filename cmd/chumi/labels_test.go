package main

import (
	"encoding/json"
	"testing"

	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// TestLabels_AreOfTheLatestAnswer reads what the assistant made of a conversation.
func TestLabels_AreOfTheLatestAnswer(t *testing.T) {
	said := make(chan string, 2)
	s := newStage(t, withTools, openaisim.Options{Plan: openaisim.Plan{Answer: func(a *openaisim.Asked) openaisim.Said {
		return form(<-said)(a)
	}}})
	events := s.stream("key-of-acme")
	talk := ""
	shown := func() (got struct {
		Labels *struct {
			Intent, Sentiment, Language string
			Seq                         uint64
		} `json:"labels"`
		Summary *json.RawMessage `json:"summary"`
	}) {
		t.Helper()
		_, body := get(t, "http://"+s.api+"/v1/conversations/"+talk+"/summary", "key-of-acme")
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return got
	}
	for i, intent := range []string{"opening hours", "return a bike"} {
		s.says("acme-wa", phone(0), "hello")
		until(t, events, func(ev apiEvent) bool { talk = ev.conversation(); return ev.Kind == "turn_started" })
		if got := shown(); i == 0 && (got.Labels != nil || got.Summary != nil) {
			t.Errorf("before an answer: %+v", got)
		}
		said <- `"intent":"` + intent + `"`
		until(t, events, func(ev apiEvent) bool { return ev.Kind == "turn_answered" })
		if got := shown(); got.Labels == nil || got.Labels.Intent != intent || got.Labels.Sentiment != "neutral" || got.Labels.Language != "en" || got.Labels.Seq == 0 {
			t.Errorf("after %q: %+v", intent, got.Labels)
		}
		until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_accepted" })
	}
	if status, _ := get(t, "http://"+s.api+"/v1/conversations/"+talk+"/summary", "key-of-bolt"); status != 404 {
		t.Errorf("another tenant gets %d", status)
	}
}
