package api_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// people are the contacts of acme: ct_a and ct_b.
func person(id chat.ContactID) chat.Contact {
	return chat.Contact{ID: id, Name: string(id), Addresses: []chat.Address{{Kind: chat.WaID, Value: "15550001"}}}
}

func known(t chat.TenantID, id chat.ContactID) error {
	if t != "acme" || id != "ct_a" && id != "ct_b" {
		return chat.E("views", chat.KindNotFound, "contact", nil)
	}
	return nil
}

func (w *world) Contact(_ context.Context, t chat.TenantID, id chat.ContactID) (chat.ContactView, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := known(t, id); err != nil {
		return chat.ContactView{}, err
	}
	v := chat.ContactView{Contact: person(id), Conversations: []chat.ConversationView{w.view(ada)}}
	for other := range w.linked[id] {
		v.Contact.Links = append(v.Contact.Links, other)
		v.Linked = append(v.Linked, person(other))
	}
	return v, nil
}

func (w *world) ContactEvents(_ context.Context, t chat.TenantID, id chat.ContactID, after chat.Pos, limit int) ([]chat.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := known(t, id); err != nil {
		return nil, err
	}
	var page []chat.Event
	for _, e := range w.events[t] {
		if e.Pos > after && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func (w *world) Link(_ context.Context, t chat.TenantID, id chat.ContactID, f chat.Link) (chat.Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == f.Other {
		return chat.Verdict{Kind: chat.VerdictRefused, Reason: "same_contact"}, nil
	}
	for _, c := range [...]chat.ContactID{id, f.Other} {
		if err := known(t, c); err != nil {
			return chat.Verdict{}, err
		}
	}
	w.said = append(w.said, f)
	if w.linked == nil {
		w.linked = map[chat.ContactID]map[chat.ContactID]bool{"ct_a": {}, "ct_b": {}}
	}
	for _, pair := range [...][2]chat.ContactID{{id, f.Other}, {f.Other, id}} {
		if f.Apart {
			delete(w.linked[pair[0]], pair[1])
		} else {
			w.linked[pair[0]][pair[1]] = true
		}
	}
	return chat.Verdict{}, nil
}

func TestContacts_MergeAndSplitSayWhoSaidItAndShowThePerson(t *testing.T) {
	s := start(t, nil)
	var got struct {
		ID     string   `json:"contact_id"`
		Linked []string `json:"linked"`
	}
	var shown struct {
		Linked []struct {
			ID string `json:"id"`
		} `json:"linked_contacts"`
		Conversations []struct {
			ID string `json:"id"`
		} `json:"conversations"`
	}
	ask := func(method, path, body string, into any) {
		t.Helper()
		a := s.do(t, method, path, "acme-key", body)
		if err := json.Unmarshal([]byte(a.body), into); err != nil || a.status != 200 {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
	}
	ask("POST", "/v1/contacts/ct_a/merge", `{"contact_id":"ct_b","proof":"an order"}`, &got)
	if got.ID != "ct_a" || !slices.Equal(got.Linked, []string{"ct_b"}) {
		t.Errorf("after the merge: %+v", got)
	}
	ask("GET", "/v1/contacts/ct_a", "", &shown)
	if len(shown.Linked) != 1 || shown.Linked[0].ID != "ct_b" || len(shown.Conversations) != 1 {
		t.Errorf("the person: %+v", shown)
	}
	ask("POST", "/v1/contacts/ct_b/split", `{"contact_id":"ct_a"}`, &got)
	ask("GET", "/v1/contacts/ct_a", "", &shown)
	if len(got.Linked)+len(shown.Linked) != 0 {
		t.Errorf("after the split: %+v, %+v", got, shown)
	}
	want := []chat.Link{{Other: "ct_b", Proof: "an order", Member: "k_acme"}, {Other: "ct_a", Apart: true, Member: "k_acme"}}
	if !slices.Equal(s.world.said, want) {
		t.Errorf("said %+v", s.world.said)
	}
}

func TestConversation_TellsWhoTookPart(t *testing.T) {
	s := start(t, nil)
	a := s.do(t, "GET", "/v1/conversations/"+string(ada)+"?include=participants", "acme-key", "")
	var got struct {
		Seconds      *int      `json:"duration_seconds"`
		First        time.Time `json:"first_message_at"`
		Participants []struct {
			Kind     string `json:"kind"`
			Messages int    `json:"messages"`
		} `json:"participants"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if got.Seconds == nil || *got.Seconds != 0 || !got.First.Equal(noon) || len(got.Participants) != 1 ||
		got.Participants[0].Kind != "customer" || got.Participants[0].Messages != 5 {
		t.Errorf("%s", a.body)
	}
}

func TestContacts_AnErasureIsCompleteWhenNothingIsLeftAnywhere(t *testing.T) {
	s := start(t, nil)
	for id, want := range map[string]bool{"ct_a": false, "ct_old": true} {
		var got struct {
			ID       string    `json:"contact_id"`
			At       time.Time `json:"erased_at"`
			Backups  time.Time `json:"backups_until"`
			Left     []string  `json:"left"`
			Complete bool      `json:"complete"`
		}
		a := s.do(t, "GET", "/v1/contacts/"+id+"/erasure", "acme-key", "")
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		if got.ID != id || got.Complete != want || got.Left == nil || want == (len(got.Left) > 0) || got.Backups.Sub(got.At) != chat.BackupLife {
			t.Errorf("%s: %s", id, a.body)
		}
	}
}
