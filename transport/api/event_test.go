package api_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/api"
)

// sampleEvents holds every kind once or more, with every member set somewhere.
func sampleEvents() []chat.Event {
	in := &chat.Message{ID: chat.MessageIDAt(ada, 2), RemoteID: "wamid.IN", Direction: chat.DirectionIn, Author: chat.AuthorCustomer,
		Type: chat.TypeText, Text: "¿cuánto?\n\"líne\"", ReplyTo: "wamid.Q", Group: "group_1", ProviderTime: noon, Name: "Ada"}
	sticker := &chat.Message{ID: chat.MessageIDAt(ada, 3), RemoteID: "wamid.ST", Direction: chat.DirectionIn, Author: chat.AuthorCustomer,
		Type: "sticker", Raw: []byte("{ \"id\" :\n 7 }")}
	out := &chat.Message{ID: chat.MessageIDAt(ada, 5), Direction: chat.DirectionOut, Author: chat.AuthorAssistant, Type: chat.TypeText,
		Text: "five", Turn: chat.TurnIDAt(ada, 4), Class: chat.AtLeastOnce, Simulated: true}
	echo := &chat.Message{ID: chat.MessageIDAt(ada, 6), RemoteID: "wamid.E", Direction: chat.DirectionOut, Author: chat.AuthorElsewhere, Type: chat.TypeText, Text: "hi"}
	attempt := &chat.Attempt{Message: out.ID, N: 1, Epoch: 3}
	accepted := &chat.Attempt{Message: out.ID, N: 1, Remote: "wamid.OUT", Reason: "accepted"}
	failed := &chat.Attempt{Message: out.ID, N: 2, Code: 131047, Subcode: 2494, Reason: "window_closed"}
	again := &chat.Attempt{Message: out.ID, N: 1, Code: 130429, Reason: "throttled", RetryAt: noon}
	turn := &chat.TurnRecord{ID: chat.TurnIDAt(ada, 4), Call: 1, From: 2, UpTo: 3}
	answered := &chat.TurnRecord{ID: turn.ID, Call: 1, From: 2, UpTo: 3, Answer: "five", Model: "m", PromptHash: "ab", PromptTokens: 10, OutTokens: 2, Simulated: true}
	contact := &chat.Contact{ID: "contact_1", Name: "Ada", Addresses: []chat.Address{{Kind: chat.WaID, Value: "15550001"},
		{Kind: chat.BSUID, Value: "US.1"}, {Kind: chat.ParentBSUID, Value: "US.ENT.1"}, {Kind: chat.IGSID, Value: "9"},
		{Kind: chat.Username, Value: "ada"}, {Kind: chat.Phone, Value: "15550002"}, {Kind: chat.GroupAddress, Value: "g"}}}
	events := []chat.Event{
		{Kind: chat.ConversationStarted, Contact: contact},
		{Kind: chat.ContactLinked, Contact: &chat.Contact{ID: "contact_1"}},
		{Kind: chat.MessageReceived, Message: in},
		{Kind: chat.MessageReceived, Message: sticker},
		{Kind: chat.MessageEchoed, Message: echo},
		{Kind: chat.MessageQueued, Message: out},
		{Kind: chat.AttemptStarted, Attempt: attempt},
		{Kind: chat.AttemptEnded, Attempt: again},
		{Kind: chat.MessageAccepted, Attempt: accepted},
		{Kind: chat.MessageFailed, Attempt: failed},
		{Kind: chat.MessageCancelled, Attempt: &chat.Attempt{Message: out.ID, Reason: "takeover"}},
		{Kind: chat.StatusChanged, Status: &chat.StatusChange{Message: out.ID, Remote: "wamid.OUT", Status: chat.StatusDelivered, Word: "delivered", ProviderTime: noon}},
		{Kind: chat.StatusChanged, Status: &chat.StatusChange{Message: out.ID, Status: chat.StatusUnknown}},
		{Kind: chat.StatusChanged, Status: &chat.StatusChange{Remote: "wamid.FOREIGN", Status: chat.StatusFailed, Word: "failed", Code: 131026, Detail: "undeliverable", Participant: "p", Raw: []byte("{}")}},
		{Kind: chat.StatusChanged, Status: &chat.StatusChange{Remote: "wamid.NEW", Word: "teleported", Raw: []byte("\xff not json")}},
		{Kind: chat.TurnStarted, Turn: turn},
		{Kind: chat.TurnAnswered, Turn: answered},
		{Kind: chat.TurnFailed, Turn: &chat.TurnRecord{ID: turn.ID, Call: 1, Reason: "timeout"}},
		{Kind: chat.TurnSuperseded, Turn: &chat.TurnRecord{ID: turn.ID, Call: 1, Reason: "newer_message"}},
		{Kind: chat.TurnAbandoned, Turn: &chat.TurnRecord{ID: turn.ID, Call: 3, Reason: "silence"}},
		{Kind: chat.HandoffRequested, Handoff: &chat.Handoff{Reason: "silence"}},
		{Kind: chat.HandoffTaken, Handoff: &chat.Handoff{Reason: "api", Member: "k_acme"}},
		{Kind: chat.HandoffTaken, Handoff: &chat.Handoff{Reason: "echo", Until: noon}},
		{Kind: chat.HandoffReturned, Handoff: &chat.Handoff{Reason: "api"}},
		{Kind: chat.UpdateReceived, Update: &chat.Update{Type: "reaction", Remote: "wamid.IN", Revision: "r1", ProviderTime: noon, Raw: []byte(`{"emoji":"👍"}`)}},
		{Kind: chat.ReceivedQuarantined, Update: &chat.Update{Type: "text", Reason: "panic", Raw: []byte("not json")}},
		{Kind: chat.Erased},
		{Kind: chat.MessageReceived, Message: &chat.Message{ID: in.ID, Direction: chat.DirectionIn, Author: chat.AuthorCustomer, Type: "reaction",
			Content: &chat.Content{Reaction: &chat.Reaction{Target: "wamid.OUT", Emoji: "👍"}}}},
		{Kind: chat.MessageEdited, Message: &chat.Message{ID: in.ID, RemoteID: "wamid.IN", Direction: chat.DirectionIn, Type: chat.TypeText, Text: "new"}},
		{Kind: chat.MessageRevoked, Message: &chat.Message{ID: in.ID, RemoteID: "wamid.IN", Direction: chat.DirectionIn, Revoked: true}},
		{Kind: chat.UpdateReceived, Update: &chat.Update{Type: "standby", Text: "hi"}},
		{Kind: chat.MessageImported, Message: echo},
		{Kind: chat.ContactMerged, Contact: &chat.Contact{ID: "contact_1", Links: []chat.ContactID{"contact_2"},
			Link: &chat.ContactLink{Other: "contact_2", Proof: "said", Member: "k_acme"}}},
		{Kind: chat.ContactSplit, Contact: &chat.Contact{ID: "contact_1", Apart: []chat.ContactID{"contact_2"}, Link: &chat.ContactLink{Other: "contact_2"}}},
		{Kind: chat.ConsentChanged, Contact: &chat.Contact{ID: "contact_1", Profile: &chat.Profile{Username: "ada", Picture: "b", PictureKey: []byte{1}},
			Consents: []chat.ConsentAt{{Consent: chat.Consent{Category: "marketing_messages", Word: "stop"}, At: noon}},
			Doubt:    &chat.Doubt{Kind: chat.IdentityChanged, At: noon}}},
		{Kind: chat.ChannelChanged, State: &chat.ChannelState{Channel: "acme-wa", Tier: "TIER_2K", Changed: noon}},
		{Kind: chat.TemplateChanged, Template: &chat.Template{ID: "1", WABA: "w", Name: "hello", Language: "en", Status: "PAUSED"}},
		{Kind: chat.MediaStored, Media: &chat.MediaRecord{Message: in.ID, Blob: "b", Size: 3, SHA256: "ab", MIME: "image/png", Key: []byte{1}}},
		{Kind: chat.TurnCalled, Turn: &chat.TurnRecord{ID: turn.ID, Call: 2, Version: "main@3", Provider: "p", Request: "req-1", Model: "m", Cost: 5,
			Tokens: chat.Tokens{Prompt: 9, Cached: 4, Output: 2}, Facts: []string{"It is noon."}, Horizon: 9,
			Saw:   []chat.Passage{{Chunk: "k1", Version: 2, Source: "faq", Text: "open at 9"}},
			Calls: []chat.ToolCall{{ID: "2.0", Name: "book", Args: []byte(`{"day":"monday"}`)}}}},
		{Kind: chat.TurnAnswered, Turn: &chat.TurnRecord{ID: turn.ID, Call: 3, Response: &chat.Response{Messages: []string{"hi"}, Sentiment: "neutral"}}},
		{Kind: chat.ToolAsked, Tool: &chat.ToolRecord{Turn: turn.ID, ID: "2.0", Name: "book"}},
		{Kind: chat.ToolDecided, Tool: &chat.ToolRecord{Turn: turn.ID, ID: "2.0", Name: "book", Approved: true, Member: "k_acme"}},
		{Kind: chat.ToolStarted, Tool: &chat.ToolRecord{Turn: turn.ID, ID: "2.0", Name: "book", N: 1, Acts: true}},
		{Kind: chat.ToolEnded, Tool: &chat.ToolRecord{Turn: turn.ID, ID: "2.0", Name: "book", Late: true, Result: &chat.ToolResult{Content: "booked"}}},
		{Kind: chat.SummaryMade, Summary: &chat.Summary{UpTo: 40, Text: "Ada booked.", Model: "m", Cost: 3, Simulated: true}},
		{Kind: chat.MediaTranscribed, Media: &chat.MediaRecord{Message: in.ID, Transcript: "hello",
			Used: &chat.Spend{Operation: chat.OperationTranscription, Model: "whisper-1", Tokens: chat.Tokens{Output: 2, Estimated: true}, Seconds: 1.5, Cost: 150_000}}},
		{Kind: chat.HandoffRequested, Handoff: &chat.Handoff{Reason: "requested", Note: "wants a person"}},
		{Kind: chat.ContactLinked, Contact: &chat.Contact{ID: "contact_1", Fields: map[string]string{"size": "M"}}},
		{Kind: chat.BudgetReached, Budget: &chat.BudgetNews{Level: chat.BudgetSoft, Month: "2026-11", Counted: 81, Bound: 80}},
		{Kind: chat.ToolsChanged, Change: &chat.DocChange{What: "tool", Put: 1, IDs: []string{"book"}, By: "key_1"}},
		{Kind: chat.CatalogChanged, Change: &chat.DocChange{What: "product", Put: 3, Deleted: 1}},
		{Kind: chat.OrdersChanged, Change: &chat.DocChange{What: "order", Deleted: 1}},
		{Kind: chat.SettingsChanged, Settings: &chat.ChannelSettings{Channel: "acme-ig", Version: 1, Changed: noon, By: "k1",
			Comments: &chat.CommentSettings{PrivateReply: &chat.PrivateReply{Enabled: true, Text: "Hi"}}}},
		{Kind: chat.MediaFailed, Media: &chat.MediaRecord{Message: in.ID, Reason: "expired"}},
		{Kind: chat.AssistantDrafted, Assistant: &chat.AssistantChange{Assistant: "main", Version: 3, By: "key_1", Note: "shorter"}},
		{Kind: chat.AssistantPublished, Assistant: &chat.AssistantChange{Assistant: "main", Version: 3, Before: 2, By: "key_1"}},
		{Kind: chat.AssistantRolledBack, Assistant: &chat.AssistantChange{Assistant: "main", Version: 0, Before: 3}},
		{Kind: chat.ModelUsed, Spend: &chat.Spend{Operation: chat.OperationEmbeddings, Model: "small", Tokens: chat.Tokens{Prompt: 9}, Cost: 180}},
		{Kind: chat.BudgetChanged, Change: &chat.DocChange{What: "budget", Put: 1, By: "key_1"}},
		{Kind: chat.AssistantPlaced, Assistant: &chat.AssistantChange{Assistant: "sales", Version: 1, Channels: []chat.ChannelID{"acme-wa"}}},
	}
	for i := range events {
		e := &events[i]
		e.Seq, e.Pos, e.Time, e.Tenant, e.Channel, e.Conversation = chat.Seq(i+1), chat.Pos(i+10), noon, "acme", "acme-wa", ada
	}
	return append(events, chat.Event{Kind: chat.UpdateReceived, Pos: 99, Time: noon, Tenant: "acme",
		Update: &chat.Update{Type: "account_update", Raw: []byte(`{"event":"X"}`)}})
}

// The golden file is what integrators parse: a change of it is a change of the
// contract.
func TestAppendEvent_Golden(t *testing.T) {
	const golden = "testdata/events.jsonl"
	var b []byte
	kinds := map[chat.EventKind]bool{}
	for _, e := range sampleEvents() {
		kinds[e.Kind] = true
		b = append(api.AppendEvent(b, &e), '\n')
	}
	for k := range chat.EventKinds {
		if !kinds[k] {
			t.Errorf("no sample of %s", k)
		}
	}
	if *rewrite {
		if err := os.WriteFile(golden, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("events differ from %s; run go test ./transport/api -rewrite and review the diff:\n%s", golden, b)
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x1f\x7f", "é\u2028\u2029😀", "\xff\xc0\xaf", "a\xed\xa0\x80b", "</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := api.AppendString([]byte("x"), s)[1:]
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if want := strings.ToValidUTF8(s, "\x00"); utf8.ValidString(s) && got != want {
			t.Errorf("%q came back as %q", s, got)
		}
		if !utf8.Valid(b) || bytes.ContainsAny(b, "\n\r\u2028\u2029") {
			t.Errorf("%q is not one line of UTF-8: %q", s, b)
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	e := sampleEvents()[2]
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = api.AppendEvent(dst[:0], &e)
	}
}
