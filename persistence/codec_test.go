package persistence

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"github.com/chumiai/chumi/persistence/seal"
)

var (
	testConversation = id16{1, 2, 3}.conversationID()
	testContact      = id16{4, 5, 6}.contactID()
)

// everyEvent is one event of each kind with every field set, and texts that
// are not UTF-8.
func everyEvent() []chat.Event {
	at := time.UnixMilli(1_790_000_000_123).UTC()
	id, turn := chat.MessageIDAt(testConversation, 12), chat.TurnIDAt(testConversation, 11)
	content := &chat.Content{Reaction: &chat.Reaction{Target: "wamid.5", Emoji: "👍"}, Cards: []chat.Card{{Name: "Ada"}}}
	message := &chat.Message{ID: id, RemoteID: "wamid.\xff1", Direction: chat.DirectionOut, Author: chat.AuthorAssistant,
		Type: "inter\xffactive", Text: "hello \xfe there", ReplyTo: "wamid.0", Group: "g1", ProviderTime: time.Unix(0, 0).UTC(),
		Name: "Ada", Turn: turn, Class: chat.AtMostOnce, Simulated: true, Revoked: true, Content: content, Raw: []byte{0, 0xff}}
	attempt := &chat.Attempt{Message: id, N: 3, Epoch: 9, Remote: "wamid.2", Code: 131047, Subcode: -7, Reason: "throttled", RetryAt: at}
	step := &chat.TurnRecord{ID: turn, Call: 2, Epoch: 9, From: 4, UpTo: 10, Answer: "we open at 9", Model: "m-1",
		PromptHash: "ab12", PromptTokens: 100, OutTokens: 7, Simulated: true, Reason: "timeout", Version: "main@3", Reserved: 9, Cost: 8,
		Tokens: chat.Tokens{Prompt: 100, Cached: 3, Output: 7, Reasoning: 2, Estimated: true}, Provider: "p", Request: "req-1",
		Calls:    []chat.ToolCall{{ID: "2.0", Name: "look", Args: []byte(`{"who":"Ada"}`)}},
		Response: &chat.Response{Messages: []string{"hello"}, Sentiment: "neutral", Confidence: 0.5, Sources: []string{"k1"}},
		Saw:      []chat.Passage{{Chunk: "k1", Version: 2, Source: "faq", Text: "we open at 9"}}, Facts: []string{"Ada is here"}, Horizon: 10,
		Made: &chat.Made{First: 1, Instructions: "hello", Tools: []string{"t1"}, Pictures: []string{"p1"}}}
	tool := &chat.ToolRecord{Turn: turn, ID: "2.0", Name: "look", N: 2, Epoch: 9, Acts: true, Repeatable: true, Late: true, Approved: true,
		Member: "eve@acme.test", Result: &chat.ToolResult{Content: "hello Ada", Error: "timeout"}}
	summary := &chat.Summary{UpTo: 9, PromptHash: "ab12", Version: "main@3", First: 1, Horizon: 10, Text: "Ada said hello", Model: "m-1", Tokens: chat.Tokens{Prompt: 3}, Cost: 5, Simulated: true}
	handoff := &chat.Handoff{Reason: "requested", Member: "eve@acme.test", Note: "Ada wants", Until: at}
	update := &chat.Update{Type: "reaction", Remote: "wamid.3", Revision: "edit-1", Reason: "panic", Text: "hm", ProviderTime: at, Content: content, Raw: []byte("{}")}
	person := &chat.Contact{ID: testContact, Name: "Ada", Addresses: []chat.Address{{Kind: chat.WaID, Value: "4915112345678"}, {Kind: chat.BSUID, Value: "DE.1"}},
		Former: []chat.Address{{Kind: chat.WaID, Value: "4915112345670"}}, Links: []chat.ContactID{id16{7}.contactID()}, Apart: []chat.ContactID{id16{8}.contactID()},
		Fields: map[string]string{"size": "Ada's"},
		Link:   &chat.ContactLink{Other: id16{7}.contactID(), Proof: "said", Member: "eve@acme.test"}, Profile: &chat.Profile{Username: "Ada", PictureKey: []byte{1}},
		Consents: []chat.ConsentAt{{Consent: chat.Consent{Category: "marketing_messages", Word: "stop"}, At: at}},
		Doubt:    &chat.Doubt{Kind: chat.IdentityChanged, At: at}}
	var out []chat.Event
	for k := range chat.EventKinds {
		e := chat.Event{Seq: chat.Seq(k), Kind: k, Time: at, Tenant: "acme", Channel: "wa", Conversation: testConversation,
			At: at.Add(time.Second), Deadline: at.Add(time.Minute)}
		switch payloadOf(k) {
		case payloadContact:
			e.Contact = person
		case payloadMessage:
			e.Message = message
		case payloadAttempt:
			e.Attempt = attempt
		case payloadStatus:
			e.Status = &chat.StatusChange{Message: "of-another-app", Remote: "wamid.4", Status: chat.StatusFailed, Word: "failed",
				Code: 131026, Detail: "Message undeliverable", Participant: "4915199", ProviderTime: at,
				Content: &chat.Content{Pricing: &chat.Pricing{Category: "service"}}, Raw: []byte("{}")}
		case payloadTurn:
			e.Turn = step
		case payloadChange:
			e.Change = &chat.DocChange{What: "tool", Put: 1, Deleted: 2, IDs: []string{"book"}, By: "key_1"}
		case payloadTool:
			e.Tool = tool
		case payloadSummary:
			e.Summary = summary
		case payloadHandoff:
			e.Handoff = handoff
		case payloadUpdate:
			e.Update = update
		case payloadState:
			e.State = &chat.ChannelState{Channel: "wa", Restricted: "policy", Number: "4915112345678", Changed: at}
		case payloadTemplate:
			e.Template = &chat.Template{ID: "1", Name: "hello", Language: "de", Status: "APPROVED",
				Components: []chat.TemplateComponent{{Type: "BODY", Text: "hello {{1}}"}}}
		case payloadSettings:
			e.Settings = &chat.ChannelSettings{Channel: "wa", Version: 2, Changed: at, By: "k1", Greeting: new(string)}
		case payloadMedia:
			e.Media = &chat.MediaRecord{Message: id, Index: 1, Blob: "b", Size: 9, SHA256: "ab12", MIME: "image/png", Key: []byte{1},
				Used: &chat.Spend{Operation: chat.OperationTranscription, Provider: "own", Model: "whisper", Tokens: chat.Tokens{Output: 2}, Seconds: 1.5, Cost: 7}}
		case payloadAssistant:
			e.Assistant = &chat.AssistantChange{Assistant: "main", Version: 3, Before: 2, By: "eve@acme.test", Note: "hello", Channels: []chat.ChannelID{"wa"}}
		case payloadBudget:
			e.Budget = &chat.BudgetNews{Level: chat.BudgetSoft, Month: "2026-11", Counted: 81, Bound: 80}
		case payloadSpend:
			e.Spend = &chat.Spend{Operation: chat.OperationEmbeddings, Provider: "own", Model: "small", Tokens: chat.Tokens{Prompt: 9, Estimated: true}, Cost: 7}
		case payloadNone, payloadUnknown:
		}
		out = append(out, e)
	}
	return out
}

func testBox(t testing.TB) *seal.Box {
	t.Helper()
	box, err := seal.NewBox(bytes.Repeat([]byte{3}, seal.KeyLen))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestEvent_EveryKindReadsBackExactly(t *testing.T) {
	box := testBox(t)
	for _, want := range everyEvent() {
		t.Run(want.Kind.String(), func(t *testing.T) {
			place := appendEventPlace(nil, "acme", id16{1, 2, 3}, want.Seq)
			record, err := encodeEvent(new(arena), &want, []byte("0123456789abcdef"), box, place)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"Ada", "49151", "hello", "wamid", "open at", "eve@", "undeliverable", "DE.1", "ab12"} {
				if bytes.Contains(record, []byte(secret)) {
					t.Errorf("%q is readable in the record", secret)
				}
			}
			canonical(t, record, new(recordpb.Event))
			var plain wire
			private(&plain, &want)
			canonical(t, plain, new(recordpb.Private))
			row, err := splitEvent(append(binary.BigEndian.AppendUint64(nil, 77), record...))
			if err != nil {
				t.Fatal(err)
			}
			p, err := openPrivate(box, row.record.Sealed, place)
			if err != nil {
				t.Fatal(err)
			}
			got, err := row.event("acme", testConversation, p)
			if err != nil {
				t.Fatal(err)
			}
			want.Pos = 77
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// canonical fails the test unless b is what the generated code writes for the
// record it reads from b, with no field unknown to it.
func canonical(t *testing.T, b []byte, m proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	if n := len(m.ProtoReflect().GetUnknown()); n > 0 {
		t.Errorf("%d bytes of the record are of unknown fields", n)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, again) {
		t.Errorf("the record is\n%x, the generated code writes\n%x", b, again)
	}
}

func TestRows_AreCanonical(t *testing.T) {
	row := chat.RemoteRow{Conversation: testConversation, Seq: 300, Message: chat.MessageIDAt(testConversation, 299), Mask: chat.StatusRead}
	for _, r := range []chat.RemoteRow{row, {}, {Seq: 1, Message: "of-another-app"}} {
		record, err := encodeRow(new(arena), &r)
		if err != nil {
			t.Fatal(err)
		}
		canonical(t, record, new(recordpb.Row))
		if got, err := decodeRow(record); err != nil || got != r {
			t.Errorf("%+v reads as %+v, %v", r, got, err)
		}
	}
	tn := &tenant{id: "acme", box: testBox(t)}
	cl := chat.Claim{Kind: chat.ClaimIdempotency, Digest: "of the request", Message: row.Message, Day: 20000}
	record, err := tn.encodeClaim(new(arena), id16{9}, id16{1, 2, 3}, id16{4, 5, 6}, &cl)
	if err != nil {
		t.Fatal(err)
	}
	canonical(t, record, new(recordpb.Claim))
	want := chat.Original{Conversation: testConversation, Contact: testContact, Message: cl.Message, Seq: 299, Digest: cl.Digest}
	if got, err := tn.decodeClaim(id16{9}, record); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// Only the one spelling of an id is shortened to its seq; any other is kept.
func TestWire_KeepsEverySpellingOfAnID(t *testing.T) {
	for _, id := range []chat.MessageID{"", "msg_", "x", chat.MessageIDAt(testConversation, 7), chat.MessageIDAt(testConversation, 7) + " ",
		chat.MessageIDAt(id16{9}.conversationID(), 7), "msg_" + chat.MessageID(testConversation.Body()) + "_07",
		"msg_" + chat.MessageID(testConversation.Body()) + "_+7", "msg_" + chat.MessageID(testConversation.Body()) + "_0",
		"msg_" + chat.MessageID(testConversation.Body()) + "_", "\xff"} {
		var w wire
		w.message(3, testConversation, id)
		var r recordpb.Row
		if err := proto.Unmarshal(w, &r); err != nil {
			t.Fatal(err)
		}
		if got := messageOf(testConversation, r.Message); got != id {
			t.Errorf("%q reads as %q", id, got)
		}
	}
}

// A nested record of 128 bytes and more needs a longer length.
func TestWire_LongNestedRecords(t *testing.T) {
	for _, n := range []int{0, 1, 120, 126, 127, 128, 129, 16383, 16384, 1 << 20} {
		e := chat.Event{Kind: chat.UpdateReceived, Seq: 1, Update: &chat.Update{Type: string(bytes.Repeat([]byte{'x'}, n))}}
		var w wire
		if err := public(&w, &e); err != nil {
			t.Fatal(err)
		}
		canonical(t, w, new(recordpb.Event))
	}
}

func TestEvent_UnknownKindIsAnError(t *testing.T) {
	for _, kind := range []uint32{0, 1 << 15, 1 << 16, 1<<16 + uint32(chat.MessageReceived)} {
		record, err := proto.Marshal(&recordpb.Event{Kind: kind, Seq: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := splitEvent(append(make([]byte, 8), record...)); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("kind %d: %v, want corrupt", kind, err)
		}
		if _, _, err := headOfEvent(append(make([]byte, 8), record...)); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("the head of kind %d: %v, want corrupt", kind, err)
		}
	}
	e := chat.Event{Kind: 1 << 15}
	if _, err := encodeEvent(new(arena), &e, nil, testBox(t), nil); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("encoding an unknown kind: %v, want invalid", err)
	}
}

// The head of each event is what its record says, and a record that ends within it has
// none.
func TestEvent_HasAHead(t *testing.T) {
	for _, e := range everyEvent() {
		e.Seq = 300
		record, err := encodeEvent(new(arena), &e, nil, testBox(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		value := append(make([]byte, posLen), record...)
		if kind, seq, err := headOfEvent(value); kind != e.Kind || seq != e.Seq || err != nil {
			t.Errorf("%s at %d: %d at %d, %v", e.Kind, e.Seq, kind, seq, err)
		}
		for n := range 5 {
			if _, _, err := headOfEvent(value[:posLen+n]); chat.KindOf(err) != chat.KindCorrupt {
				t.Errorf("%s: %d bytes of it: %v, want corrupt", e.Kind, n, err)
			}
		}
	}
}

// A ciphertext moved to another tenant, conversation or seq does not open.
func TestEvent_IsBoundToItsPlace(t *testing.T) {
	box, e := testBox(t), everyEvent()[2]
	place := appendEventPlace(nil, "acme", id16{1}, 5)
	record, err := encodeEvent(new(arena), &e, nil, box, place)
	if err != nil {
		t.Fatal(err)
	}
	row, err := splitEvent(append(make([]byte, 8), record...))
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string][]byte{
		"tenant":       appendEventPlace(nil, "acme2", id16{1}, 5),
		"conversation": appendEventPlace(nil, "acme", id16{2}, 5),
		"seq":          appendEventPlace(nil, "acme", id16{1}, 6),
		"loose":        appendEventPlace(nil, "acme", id16{}, 0),
		"contact row":  idPlace(placeContact, "acme", id16{1}),
	} {
		if _, err := openPrivate(box, row.record.Sealed, other); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("another %s: %v, want corrupt", name, err)
		}
	}
}

func TestState_ReadsBackExactly(t *testing.T) {
	at := time.UnixMilli(1_790_000_000_123).UTC()
	pepper := seal.NewPepper([]byte("pepper"))
	want := chat.Conversation{ID: testConversation, Tenant: "acme", Channel: "wa", Kind: chat.WhatsApp, Contact: testContact,
		Seq: 20, Started: chat.MillisOf(at), Active: at.Add(1e9), Holder: chat.HolderMember, PausedUntil: at.Add(2e9), WindowFrom: at.Add(3e9),
		LastIn: 4, WaitingFrom: 3, WaitingSince: at.Add(4e9), Deadline: at.Add(5e9), Unread: 2,
		Turn: chat.Turn{Phase: chat.TurnRunning, Begun: 9, Call: 2, Epoch: 5, From: 3, UpTo: 4, At: at, Restarts: 1,
			Volley: chat.Volley{Spent: 900, Answered: true, Length: 40}},
		Thread: 1760000000123,
		Outbox: []chat.OutboxEntry{
			{Message: chat.MessageIDAt(testConversation, 8), Seq: 8, Author: chat.AuthorAssistant, State: chat.SendAttempting,
				Class: chat.AtLeastOnce, N: 2, Doubtful: true, Proven: true, Lane: chat.LaneTemplate, Epoch: 5, At: at, Covers: 4, TextHash: 0xdeadbeef12345678, Pass: chat.PassComment, Until: at},
			{Message: "elsewhere", Seq: 9, TextHash: 1}},
		Fetching: &chat.Fetching{Files: []chat.Fetch{{Seq: 17, Index: 0, At: at, Deadline: at.Add(7e9)}, {Seq: 18, Index: 2, At: at, Deadline: at.Add(8e9)}}},
		Work: &chat.Work{Version: "main@3", Since: at, Steps: 1, Tools: 2, Acted: true, Repaired: true, Spent: 5, Reserved: 6, Called: at,
			Calls: []chat.PendingCall{{ID: "2.0", Tool: "pay", State: chat.CallStarted, Acts: true, Repeatable: true, N: 2, Epoch: 9, At: at}}},
		Disclosed: true,
		Armed:     at.Add(6e9)}
	record := encodeState(new(arena), pepper, &want, contactRaw(t, testContact))
	canonical(t, record, new(recordpb.State))
	if bytes.Contains(record, binary.LittleEndian.AppendUint64(nil, want.Outbox[0].TextHash)) {
		t.Error("a text's hash is readable in the record")
	}
	got, err := decodeState(pepper, "acme", testConversation, record)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	empty := chat.Conversation{ID: testConversation, Tenant: "acme"}
	record = encodeState(new(arena), pepper, &empty, nil)
	if got, err = decodeState(pepper, "acme", testConversation, record); err != nil || cmp.Diff(empty, got) != "" {
		t.Error(cmp.Diff(empty, got), err)
	}
}

func contactRaw(t testing.TB, id chat.ContactID) []byte {
	t.Helper()
	raw, ok := contactBytes(id)
	if !ok {
		t.Fatalf("%s is not a contact id", id)
	}
	return raw[:]
}
