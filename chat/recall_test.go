package chat_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chumiai/chumi/chat"
)

// recallTalk is a talk with events of every kind before the message that is answered, and
// a turn that has called a tool after it.
func recallTalk() chat.Talk {
	const id = "conv_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	var events []chat.Event
	add := func(e chat.Event) {
		e.Seq = chat.Seq(len(events) + 1)
		e.Time, e.Conversation = time.Unix(int64(e.Seq), 0), id
		events = append(events, e)
	}
	said := func(by chat.Author, kind, text string) *chat.Message {
		return &chat.Message{ID: chat.MessageIDAt(id, chat.Seq(len(events)+1)), Author: by, Type: kind, Text: text}
	}
	record := func(turn chat.TurnID, answer string) *chat.TurnRecord {
		return &chat.TurnRecord{ID: turn, Call: 1, Answer: answer, Model: "m", Calls: []chat.ToolCall{{ID: "t1", Name: "look"}}}
	}
	for range 4 {
		voice, edited, revoked := said(chat.AuthorCustomer, "audio", ""), said(chat.AuthorCustomer, chat.TypeText, "first"), said(chat.AuthorCustomer, chat.TypeText, "gone")
		for _, m := range []*chat.Message{voice, edited, revoked} {
			m.ID = chat.MessageIDAt(id, chat.Seq(len(events)+1))
			add(chat.Event{Kind: chat.MessageReceived, Message: m})
		}
		for k := range chat.EventKinds {
			e, text := chat.Event{Kind: k}, fmt.Sprint(k, " ", len(events))
			switch k {
			case chat.MessageReceived, chat.MessageImported:
				e.Message = said(chat.AuthorCustomer, chat.TypeText, text)
			case chat.MessageQueued:
				e.Message = said(chat.AuthorAssistant, chat.TypeText, text)
			case chat.MessageEchoed:
				e.Message = said(chat.AuthorElsewhere, chat.TypeText, text)
			case chat.MessageEdited:
				e.Message = &chat.Message{ID: edited.ID, Author: chat.AuthorCustomer, Type: chat.TypeText, Text: text}
			case chat.MessageRevoked:
				e.Message = &chat.Message{ID: revoked.ID, Revoked: true}
			case chat.AttemptStarted, chat.AttemptEnded, chat.MessageAccepted, chat.MessageFailed, chat.MessageCancelled:
				e.Attempt = &chat.Attempt{Reason: text}
			case chat.StatusChanged:
				e.Status = &chat.StatusChange{Detail: text}
			case chat.TurnStarted, chat.TurnAnswered, chat.TurnFailed, chat.TurnSuperseded, chat.TurnAbandoned, chat.TurnCalled:
				e.Turn = record("turn_old", text)
			case chat.ToolAsked, chat.ToolDecided, chat.ToolStarted, chat.ToolEnded:
				e.Tool = &chat.ToolRecord{Turn: "turn_old", ID: "t1", Result: &chat.ToolResult{Content: text, Saw: []chat.Passage{{Chunk: text, Text: text}}}}
			case chat.SummaryMade:
				e.Summary = &chat.Summary{UpTo: 20, Text: text}
			case chat.MediaStored, chat.MediaFailed:
				e.Media = &chat.MediaRecord{Message: voice.ID, Key: []byte("k"), SHA256: text}
			case chat.MediaTranscribed:
				e.Media = &chat.MediaRecord{Message: voice.ID, Transcript: text}
			}
			add(e)
		}
	}
	from := chat.Seq(len(events) + 1)
	add(chat.Event{Kind: chat.MessageReceived, Message: said(chat.AuthorCustomer, chat.TypeText, "and now?")})
	add(chat.Event{Kind: chat.TurnStarted, Turn: record("turn_new", "")})
	add(chat.Event{Kind: chat.TurnCalled, Turn: record("turn_new", "I will look")})
	add(chat.Event{Kind: chat.ToolEnded, Tool: &chat.ToolRecord{Turn: "turn_new", ID: "t1", Result: &chat.ToolResult{Content: "found"}}})
	add(chat.Event{Kind: chat.TurnFailed, Turn: &chat.TurnRecord{ID: "turn_new", Model: "m", Answer: "bad", Reason: "not_the_schema"}})
	return chat.Talk{Conversation: id, Settings: &chat.Settings{Profile: &chat.Assistant{}}, Events: events, Turn: "turn_new", Call: 2, From: from, UpTo: from}
}

// made is all that is made of a talk; nil when nothing can be.
func made(t *chat.Talk) (all []any) {
	defer func() {
		if recover() != nil {
			all = nil
		}
	}()
	p := t.Prompt()
	sumUp, upTo, _ := t.SumUp()
	return []any{p, t.Made(&p), t.Horizon(), t.Unanswered(), t.Sayable(nil), t.Files("audio"), sumUp, upTo}
}

// A prompt made without what it does not recall is the one made of everything, and it
// needs each kind that it recalls.
func TestRecalled_IsWhatPromptsAreMadeOf(t *testing.T) {
	whole := recallTalk()
	want := made(&whole)
	forgetting := func(forgotten func(chat.EventKind) bool) []any {
		talk := whole
		talk.Events = slices.Clone(whole.Events)
		for i, e := range talk.Events {
			if e.Seq < talk.From && forgotten(e.Kind) {
				talk.Events[i] = chat.Event{Seq: e.Seq, Pos: e.Pos, Kind: e.Kind, Conversation: e.Conversation}
			}
		}
		return made(&talk)
	}
	if diff := cmp.Diff(want, forgetting(func(k chat.EventKind) bool { return !chat.Recalled(k) })); diff != "" {
		t.Errorf("without what is not recalled:\n%s", diff)
	}
	for k := range chat.EventKinds {
		if !chat.Recalled(k) {
			continue
		}
		if got := forgetting(func(other chat.EventKind) bool { return other == k || !chat.Recalled(other) }); cmp.Equal(want, got) {
			t.Errorf("%s is recalled, and nothing is made of it", k)
		}
	}
}
