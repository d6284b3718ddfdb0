package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

// registry is what the shell knows that sends depend on.
type registry struct {
	templates map[string]chat.Template
	groups    []chat.Address
}

// sending executes the commands that are about messages of the business. done says
// that there is nothing to decide about.
//
//	send "text" [type=T] [content=JSON] [reply=R] [key=K] [digest=D]
//	template NAME STATUS [category=C] [body=Dear_{{1}}]
//	member-of GROUP
//	commented ID [age=25h] [live]
func sending(t *testing.T, w *world, words []string, opt map[string]string) (f chat.Fact, done, known bool) {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch arg(0) {
	case "send":
		m := chat.MemberSend{Type: opt["type"], Text: arg(1), ReplyTo: chat.RemoteID(opt["reply"]), Member: "ana",
			Idempotency: opt["key"], Digest: opt["digest"]}
		if c := opt["content"]; c != "" {
			m.Content = new(chat.Content)
			if err := json.Unmarshal([]byte(c), m.Content); err != nil {
				t.Fatal(err)
			}
		}
		return m, false, true
	case "template":
		tpl := chat.Template{Name: arg(1), Language: "de", Status: arg(2), Category: opt["category"]}
		if b := opt["body"]; b != "" {
			tpl.Components = []chat.TemplateComponent{{Type: "BODY", Text: strings.ReplaceAll(b, "_", " ")}}
		}
		if w.templates == nil {
			w.templates = map[string]chat.Template{}
		}
		w.templates[tpl.Name] = tpl
		return nil, true, true
	case "member-of":
		w.groups = []chat.Address{{Kind: chat.GroupAddress, Value: arg(1)}}
		return nil, true, true
	case "commented":
		in := &chat.Inbound{Kind: chat.InboundUpdate, ChannelKind: chat.Instagram, Type: "comments", Customer: w.customer(), Time: w.now,
			Digest: "comment" + arg(1), Content: &chat.Content{Comment: &chat.Comment{ID: arg(1), Live: arg(2) == "live" || arg(3) == "live"}}}
		if age := opt["age"]; age != "" {
			in.Time = w.now.Add(-duration(t, age))
		}
		return in, false, true
	}
	return nil, false, false
}

// knownSend is what a store would know about a send.
func (w *world) knownSend(f chat.Fact, k *chat.Known) {
	var offer *chat.Offer
	switch f := f.(type) {
	case chat.MemberSend:
		if f.Content != nil {
			offer = f.Content.Offer
		}
	case chat.AttemptDue:
		if e := w.state.Entry(f.Message); e != nil && e.Pass == chat.PassTemplate {
			offer = w.events[e.Seq-1].Message.Content.Offer
		}
	}
	if offer == nil {
		return
	}
	k.Contact.Addresses = append(k.Contact.Addresses, w.groups...)
	if offer.Template != nil {
		if tpl, ok := w.templates[offer.Template.Name]; ok {
			doc, _ := json.Marshal(tpl)
			k.Docs = []chat.Doc{{Noun: chat.DocTemplate, ID: tpl.Name, Value: doc}}
		}
	}
	if offer.Comment != "" {
		_, k.Replied = w.claims["d"+chat.RepliedKey(offer.Comment)]
		if r, ok := w.rows[rowKey(chat.RemoteID(offer.Comment), chat.CommentRevision)]; ok {
			k.Comment, k.Commented = w.events[r.Seq-1].Update, w.events[r.Seq-1].Time
		}
	}
}

func limitWord(v chat.Verdict) string {
	if v.Limit == nil {
		return v.Reason
	}
	return fmt.Sprintf("%s %s", v.Reason, v.Limit.Param)
}

// anyOffer draws a message that is more than a text; nil for a text.
func anyOffer(t *rapid.T, w *world) *chat.MemberSend {
	w.templates = map[string]chat.Template{"t": {Name: "t", Status: rapid.SampledFrom([]string{"APPROVED", "PAUSED"}).Draw(t, "status")}}
	m := rapid.SampledFrom([]*chat.MemberSend{nil, nil,
		{Type: chat.TypeTemplate, Content: &chat.Content{Offer: &chat.Offer{Template: &chat.TemplateUse{Name: "t", Language: chat.TemplateLanguage{Code: "de"}}}}},
		{Type: chat.TypeReaction, Content: &chat.Content{Reaction: &chat.Reaction{Target: "m1", Emoji: chat.InstagramHeart}}},
		{Type: chat.TypeImage, Content: &chat.Content{Media: []chat.Media{{Kind: "image", ID: "1"}}}},
		{Text: "late", Content: &chat.Content{Offer: &chat.Offer{Human: true}}},
	}).Draw(t, "offer")
	return m
}
