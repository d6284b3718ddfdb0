package actors

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// uploads gives ids of a table, and errors for what it does not have.
type uploads map[string]string

// MediaID implements Uploads.
func (u uploads) MediaID(_ context.Context, _ chat.Channel, blob string) (string, error) {
	switch id := u[blob]; id {
	case "":
		return "", chat.E("uploads", chat.KindNotFound, "no such file", nil)
	case "later":
		u[blob] = "102"
		return "", chat.E("uploads", chat.KindUnavailable, "not now", nil)
	default:
		return id, nil
	}
}

func picture(blob string) chat.MemberSend {
	return chat.MemberSend{Type: chat.TypeImage, Text: "look", Content: &chat.Content{Media: []chat.Media{{Kind: "image", Blob: blob}}}}
}

func TestSystem_ExchangesFilesForMetasIDs(t *testing.T) {
	quiet := func(o *Options) {
		o.Uploads = uploads{"b1": "101", "b2": "later"}
	}
	inBubble(t, quiet, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		store.set.Assistant = false
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		for _, blob := range []string{"b1", "b2", "b3"} {
			if v, err := s.Ingress().Send(t.Context(), "acme", conversationOf("1555"), picture(blob)); err != nil || v.Kind != chat.VerdictDone {
				t.Fatalf("%s: %+v, %v", blob, v, err)
			}
		}
		settle(time.Minute)
		var ids []string
		for _, out := range graph.sent {
			if out.Type != chat.TypeImage || out.Text != "look" || out.Content.Media[0].Blob != "" {
				t.Errorf("sent %+v", out)
			}
			ids = append(ids, out.Content.Media[0].ID)
		}
		if want := []string{"101", "102"}; !slices.Equal(ids, want) {
			t.Errorf("sent %q, want %q", ids, want)
		}
		events := store.events[conversationOf("1555")]
		last := events[len(events)-1]
		if last.Kind != chat.MessageFailed || last.Attempt.Reason != "file_unusable" {
			t.Errorf("the last event is %s %+v, want the failure of b3", last.Kind, last.Attempt)
		}
		for i := range events {
			if m := events[i].Message; m != nil && m.Content != nil && m.Content.Media[0].Blob == "" {
				t.Errorf("the stored message was changed: %+v", m.Content.Media[0])
			}
		}
	})
}

// A template is looked up when it is queued and again when its attempt is due.
func TestSystem_TemplatesAreReadFromTheRegistry(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		store.set.Assistant = false
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(30 * time.Hour)
		status := func(word string) {
			doc, _ := json.Marshal(chat.Template{Name: "hours", Language: "de", Status: word,
				Components: []chat.TemplateComponent{{Type: "BODY", Text: "We open at {{1}}."}}})
			store.setDoc(chat.DocTemplate, chat.TemplateKey("waba-1", "hours", "de"), doc)
		}
		send := func() chat.Verdict {
			v, err := s.Ingress().Send(t.Context(), "acme", conversationOf("1555"), chat.MemberSend{Type: chat.TypeTemplate,
				Content: &chat.Content{Offer: &chat.Offer{Template: &chat.TemplateUse{Name: "hours", Language: chat.TemplateLanguage{Code: "de"},
					Components: []chat.TemplatePart{{Type: "body", Parameters: []chat.TemplateParameter{{Type: "text", Text: "nine"}}}}}}}})
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := send(); v.Reason != "template_unknown" {
			t.Errorf("without a template: %+v", v)
		}
		status(chat.TemplateApproved)
		if v := send(); v.Kind != chat.VerdictDone {
			t.Errorf("with one: %+v", v)
		}
		settle(time.Second)
		if got := graph.texts(); !slices.Equal(got, []string{"We open at nine."}) || graph.sent[0].Content.Offer.Template.Name != "hours" {
			t.Errorf("sent %q", got)
		}
		graph.mu.Lock()
		graph.f = func(context.Context, chat.Outbound) chat.SendOutcome {
			return chat.SendOutcome{Result: chat.SendThrottled, Code: 4, RetryAfter: time.Minute}
		}
		graph.mu.Unlock()
		send()
		settle(time.Second)
		status("PAUSED")
		settle(2 * time.Minute)
		events := store.events[conversationOf("1555")]
		if last := events[len(events)-1]; last.Kind != chat.MessageFailed || last.Attempt.Reason != "template_not_approved" {
			t.Errorf("the last event is %s %+v", last.Kind, last.Attempt)
		}
	})
}

// The private reply finds its comment by the comment's id, once.
func TestSystem_PrivateReplyFindsItsComment(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		store.set.Assistant = false
		comment := chat.Inbound{Kind: chat.InboundUpdate, App: "meta", ChannelKind: chat.Instagram, Account: "bolt-ig", Type: "comments", Digest: "d1",
			Customer: []chat.Address{{Kind: chat.IGSID, Value: "7001"}}, Content: &chat.Content{Comment: &chat.Comment{ID: "17900", Text: "how much?"}}}
		deliver(t, s, comment)
		reply := func(comment string) chat.Verdict {
			v, err := s.Ingress().Send(t.Context(), "bolt", hashed("bolt-ig", "7001"), chat.MemberSend{Text: "Two euros",
				Content: &chat.Content{Offer: &chat.Offer{Comment: comment}}})
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		for _, c := range []struct{ comment, reason string }{{"17901", "comment_unknown"}, {"17900", ""}, {"17900", "comment_answered"}} {
			if v := reply(c.comment); v.Reason != c.reason {
				t.Errorf("%s: %+v, want %q", c.comment, v, c.reason)
			}
		}
		settle(time.Second)
		if len(graph.sent) != 1 || graph.sent[0].Content.Offer.Comment != "17900" || graph.sent[0].Text != "Two euros" {
			t.Errorf("sent %+v", graph.sent)
		}
	})
}
