package persistence

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

func TestErase_NothingIsLeftThatCouldBeRead(t *testing.T) {
	fs, ctx := vfs.NewMem(), t.Context()
	s := storeOn(t, fs)
	ensure(t, s, "acme", "bolt")
	canary := "canary-4711-" + strings.Repeat("x", 40)
	victim, other, foreign := newTalker(t, s, "acme", 1), newTalker(t, s, "acme", 2), newTalker(t, s, "bolt", 1)
	for range 20 {
		victim.say(t, canary)
		other.say(t, canary+"other")
		foreign.say(t, canary+"foreign")
	}
	keyed := victim.next("keyed")
	keyed.Claims = []chat.Claim{{Kind: chat.ClaimIdempotency, Key: "key-1", Digest: "digest-of-text", Day: chat.Day(keyed.Now) + 2}}
	if r, err := s.Append(ctx, keyed); err != nil || r.Answer != chat.Applied {
		t.Fatal(r, err)
	}
	tn, err := s.tenantAt("acme")
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := contactBytes(victim.place.Contact)
	wrapped, found, err := s.get(tn.realm.wrapped(nil, raw))
	if err != nil || !found {
		t.Fatalf("the contact has no key: %v", err)
	}
	conv, _ := conversationBytes(victim.place.Conversation)
	sealedRow, _, err := s.get(tn.realm.event(nil, conv, 2))
	if err != nil {
		t.Fatal(err)
	}
	row, err := splitEvent(sealedRow)
	if err != nil {
		t.Fatal(err)
	}
	holds := func(what []byte) (names []string) {
		for name, content := range filesOf(t, fs, "data") {
			if bytes.Contains(content, what) {
				names = append(names, name)
			}
		}
		return names
	}
	mustPut(t, s.db.Flush())
	if names := holds([]byte(canary)); len(names) > 0 {
		t.Fatalf("plain text lies in %v", names)
	}
	if len(holds(wrapped)) == 0 || len(holds(row.record.Sealed)) == 0 {
		t.Fatal("the test cannot see ciphertext in the files")
	}

	before, err := s.Views().Feed(ctx, "acme", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.Erase(ctx, "acme", victim.place.Contact)
	if err != nil {
		t.Fatal(err)
	}
	if done.Conversations != 1 || done.Events != 22 || done.Rows != 25 || len(done.Left) > 0 {
		t.Errorf("erasure report: %+v", done)
	}
	for what, b := range map[string][]byte{"plain text": []byte(canary), "the wrapped key": wrapped, "ciphertext": row.record.Sealed} {
		names := holds(b)
		if what == "plain text" && len(names) == 0 {
			continue
		}
		if len(names) > 0 {
			t.Errorf("%s lies in %v", what, names)
		}
	}

	events, err := s.Events("acme", victim.place.Conversation, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 23 {
		t.Fatalf("%d events, want 22 skeletons and a marker", len(events))
	}
	for i, e := range events {
		if e.Kind != chat.Erased || e.Seq != chat.Seq(i+1) || e.Message != nil || e.Contact != nil || e.Time.IsZero() {
			t.Fatalf("event %d is no skeleton: %+v", i+1, e)
		}
	}
	if got := events[1].Update; got == nil || got.Type != "message_received" {
		t.Errorf("a skeleton forgot its kind: %+v", got)
	}
	if events[22].Update != nil {
		t.Errorf("the marker: %+v", events[22].Update)
	}
	after, err := s.Views().Feed(ctx, "acme", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before)+1 {
		t.Fatalf("the feed has %d events, want %d", len(after), len(before)+1)
	}
	for i, e := range before {
		if after[i].Pos != e.Pos || after[i].Seq != e.Seq {
			t.Fatalf("the feed moved at %d", i)
		}
		if e.Conversation == other.place.Conversation && (after[i].Kind != e.Kind || e.Message != nil && after[i].Message.Text != e.Message.Text) {
			t.Fatalf("another contact's event changed at %d", i)
		}
	}
	if _, err := s.Contact("acme", victim.place.Contact); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("the contact is still there: %v", err)
	}
	if place, err := s.Locate("acme", "wa", []chat.Address{victim.addr}); err != nil || place.Found {
		t.Errorf("the address still leads somewhere: %+v %v", place, err)
	}
	if _, found, err := s.Row("acme", "wa", victim.remote(2), ""); err != nil || found {
		t.Errorf("a remote id still leads somewhere: %v", err)
	}
	if o, found, err := s.Claimed("acme", chat.ClaimIdempotency, "key-1"); err != nil || !found || o.Digest != "" {
		t.Errorf("the claim of a client's key: %+v %v %v", o, found, err)
	}
	if rows, _, err := s.Due(s.Group("acme"), epoch0.AddDate(1, 0, 0), nil, 100); err != nil || len(rows) != 1 {
		t.Errorf("%d conversations owe something, want 1 (%v)", len(rows), err)
	}
	again, err := s.Erase(ctx, "acme", victim.place.Contact)
	if err != nil || again.Conversations != 0 || again.Events != 0 {
		t.Errorf("erasing again: %+v %v", again, err)
	}
	if _, err := s.Erase(ctx, "bolt", victim.place.Contact); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("another tenant's contact: %v", err)
	}
}

func TestErase_APersonMayWriteAgain(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "before")
	if _, err := s.Erase(t.Context(), "acme", k.place.Contact); err != nil {
		t.Fatal(err)
	}
	c := k.next("stale")
	if r, err := s.Append(t.Context(), c); err != nil || r.Answer != chat.WrongSeq {
		t.Fatalf("an activation of before the erase: %v %v", r.Answer, err)
	}
	var found bool
	var err error
	if k.state, found, err = s.Load("acme", k.place.Conversation); err != nil || !found {
		t.Fatal(found, err)
	}
	k.say(t, "after")
	events, err := s.Events("acme", k.place.Conversation, 3, 10)
	if err != nil || len(events) != 1 || events[0].Message.Text != "after" || events[0].Seq != 4 {
		t.Fatalf("what was written after the erase: %+v %v", events, err)
	}
}

// TestErase_RacesWithAWriter has a person write while being erased: what is
// stored afterwards is either a skeleton or can be read.
func TestErase_RacesWithAWriter(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "first")
	started, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 200 {
			if i == 3 {
				close(started)
			}
			c := k.next("more")
			r, err := s.Append(t.Context(), c)
			switch {
			case err != nil:
				t.Error(err)
				return
			case r.Answer == chat.Applied:
				k.state = *c.State
			case r.Answer == chat.WrongSeq:
				if k.state, _, err = s.Load("acme", k.place.Conversation); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	<-started
	for range 3 {
		if _, err := s.Erase(t.Context(), "acme", k.place.Contact); err != nil && chat.KindOf(err) != chat.KindBusy {
			t.Error(err)
		}
	}
	<-ended
	state, _, err := s.Load("acme", k.place.Conversation)
	if err != nil {
		t.Fatal(err)
	}
	events, err := s.Events("acme", k.place.Conversation, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if chat.Seq(len(events)) != state.Seq {
		t.Errorf("%d events, state at %d", len(events), state.Seq)
	}
	mustCheck(t, s)
}

// What the address book of a telephone said of a person before they wrote belongs to no
// conversation, and goes with them; what it says of others stays.
func TestErase_TakesWhatBelongsToNoConversation(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)
	other := newTalker(t, s, "acme", 2)
	update := func(number string) chat.Pos {
		t.Helper()
		c := chat.Commit{Tenant: "acme", Channel: "wa", Epoch: s.Epoch(s.Group("acme")), Now: epoch0,
			Events: []chat.Event{{Kind: chat.UpdateReceived, Tenant: "acme", Channel: "wa", Time: epoch0,
				Update: &chat.Update{Type: "smb_app_state_sync", Raw: []byte(`{"contact":{"full_name":"Ada","phone_number":"` + number + `"}}`)}}}}
		r, err := s.Append(t.Context(), c)
		if err != nil || r.Answer != chat.Applied {
			t.Fatal(r, err)
		}
		return r.Pos
	}
	theirs, others := update(k.addr.Value), update(other.addr.Value)
	k.say(t, "hello")
	done, err := s.Erase(t.Context(), "acme", k.place.Contact)
	if err != nil || done.Events != 3 {
		t.Fatalf("%+v %v", done, err)
	}
	events, err := s.Views().Feed(t.Context(), "acme", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		switch e.Pos {
		case theirs:
			if e.Kind != chat.Erased || e.Update == nil || len(e.Update.Raw) > 0 {
				t.Errorf("what the address book said of them: %+v", e)
			}
		case others:
			if e.Kind != chat.UpdateReceived || len(e.Update.Raw) == 0 {
				t.Errorf("what it said of another: %+v", e)
			}
		}
	}
	mustCheck(t, s)
}
