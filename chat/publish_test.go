package chat_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// shelf is a tenant's documents with Step above them.
type shelf struct {
	t      *testing.T
	now    time.Time
	docs   []chat.Doc
	events []chat.Event
}

// do decides about a fact and keeps what follows.
func (s *shelf) do(f chat.Fact) chat.Verdict {
	s.t.Helper()
	s.now = s.now.Add(time.Minute)
	d := chat.Step(&chat.Conversation{Tenant: "acme"}, chat.Input{Now: s.now, Epoch: 1, Settings: &chat.Settings{}, Known: chat.Known{Docs: s.docs}, Fact: f})
	if (d.Verdict.Kind == chat.VerdictDone) != (len(d.Events) == 1) || (len(d.Events) > 0) != (len(d.Docs) > 0) {
		s.t.Fatalf("%T: verdict %+v with %d events and %d documents", f, d.Verdict, len(d.Events), len(d.Docs))
	}
	s.events = append(s.events, d.Events...)
	for _, doc := range d.Docs {
		i := slices.IndexFunc(s.docs, func(o chat.Doc) bool { return o.Noun == doc.Noun && o.ID == doc.ID })
		if i < 0 {
			s.docs = append(s.docs, doc)
		} else {
			s.docs[i] = doc
		}
	}
	return d.Verdict
}

// want does a fact and checks its verdict: "done 2", "duplicate 1" or a reason.
func (s *shelf) want(want string, f chat.Fact) {
	s.t.Helper()
	v := s.do(f)
	got := v.Reason
	switch v.Kind {
	case chat.VerdictDone:
		got = fmt.Sprint("done ", v.Version)
	case chat.VerdictDuplicate:
		got = fmt.Sprint("duplicate ", v.Version)
	}
	if got != want {
		s.t.Errorf("%T: %s, want %s", f, got, want)
	}
}

func (s *shelf) head(id chat.AssistantID) chat.AssistantHead {
	h, _ := chat.HeadOf(s.docs, id)
	return h
}

// version is a stored version with its tag.
func (s *shelf) version(ref chat.AssistantRef) (a chat.Assistant, tag string) {
	s.t.Helper()
	for _, d := range s.docs {
		if d.Noun == chat.DocVersion && d.ID == string(ref) {
			if err := json.Unmarshal(d.Value, &a); err != nil {
				s.t.Fatal(err)
			}
			return a, chat.DocTag(d.Value)
		}
	}
	s.t.Fatalf("no version %s", ref)
	return a, ""
}

func saying(text string) chat.DraftAssistant {
	return chat.DraftAssistant{Draft: chat.Assistant{ID: "main", Instructions: text, Author: "key_1", Languages: []string{}}}
}

func TestAssistant_DraftPublishRollBack(t *testing.T) {
	s := &shelf{t: t, now: start}
	publish := func(v int) chat.PublishAssistant { return chat.PublishAssistant{ID: "main", Version: v, By: "key_1"} }
	s.want("no_such_assistant", publish(0))
	s.want("assistant_invalid", saying(" "))
	s.want("done 1", saying("one"))
	s.want("duplicate 1", saying("one"))
	s.want("done 1", saying("uno"))
	s.want("no_such_version", publish(2))
	s.want("done 1", publish(0))
	s.want("duplicate 1", publish(1))
	s.want("no_draft", publish(0))
	s.want("duplicate 1", saying("uno"))
	s.want("done 2", saying("two"))
	s.want("never_published", chat.RollBackAssistant{ID: "main", Version: 2})
	first, _ := s.version("main@1")
	s.want("done 2", publish(2))
	s.want("done 3", saying("three"))
	s.want("done 3", publish(3))
	if again, _ := s.version("main@1"); again.Instructions != "uno" || !again.Created.Equal(first.Created) {
		t.Errorf("a published version changed: %+v", again)
	}
	s.want("version_conflict", chat.RollBackAssistant{ID: "main", Previous: true, From: 2})
	s.want("done 2", chat.RollBackAssistant{ID: "main", Previous: true, From: 3})
	s.want("done 1", chat.RollBackAssistant{ID: "main", Previous: true})
	s.want("duplicate 1", chat.RollBackAssistant{ID: "main", Version: 1})
	s.want("done 0", chat.RollBackAssistant{ID: "main", Previous: true})
	s.want("no_such_version", chat.RollBackAssistant{ID: "main", Version: 9})
	s.want("done 3", chat.RollBackAssistant{ID: "main", Version: 3})
	head := s.head("main")
	var past []int
	for _, p := range head.Past {
		past = append(past, p.Version)
	}
	if head.Published != 3 || head.Latest != 3 || head.Draft != 0 || !slices.Equal(past, []int{1, 2, 3, 2, 1, 0, 3}) {
		t.Errorf("head %+v", head)
	}
	var kinds []string
	for _, e := range s.events {
		kinds = append(kinds, fmt.Sprint(strings.TrimPrefix(e.Kind.String(), "assistant_"), " ", e.Assistant.Before, ">", e.Assistant.Version))
	}
	if want := []string{"drafted 0>1", "drafted 0>1", "published 0>1", "drafted 0>2", "published 1>2", "drafted 0>3", "published 2>3",
		"rolled_back 3>2", "rolled_back 2>1", "rolled_back 1>0", "rolled_back 0>3"}; !slices.Equal(kinds, want) {
		t.Errorf("events %q", kinds)
	}
}

// TestAssistant_TwoWriters: who wrote on the basis of what somebody else has changed
// since is told so, and changes nothing.
func TestAssistant_TwoWriters(t *testing.T) {
	s := &shelf{t: t, now: start}
	s.want("done 1", saying("one"))
	_, tag := s.version("main@1")
	ours, theirs := saying("ours"), saying("theirs")
	ours.Match, theirs.Match = tag, tag
	s.want("done 1", ours)
	s.want("version_conflict", theirs)
	s.want("version_conflict", chat.PublishAssistant{ID: "main", Version: 1, Match: tag})
	_, tag = s.version("main@1")
	s.want("done 1", chat.PublishAssistant{ID: "main", Version: 1, Match: tag})
	theirs.Match = tag
	s.want("done 2", theirs)
	if a, _ := s.version("main@2"); a.Instructions != "theirs" {
		t.Errorf("drafted %q", a.Instructions)
	}
}

func TestAssistant_Places(t *testing.T) {
	s := &shelf{t: t, now: start}
	for _, id := range []chat.AssistantID{"main", "sales", "support"} {
		f := saying("x")
		f.Draft.ID = id
		s.want("done 1", f)
	}
	s.want("default_assistant", chat.PlaceAssistant{ID: "main", Channels: []chat.ChannelID{"wa"}})
	s.want("no_such_assistant", chat.PlaceAssistant{ID: "nobody"})
	s.want("done 0", chat.PlaceAssistant{ID: "sales", Channels: []chat.ChannelID{"wa", "ig", "wa"}})
	s.want("duplicate 0", chat.PlaceAssistant{ID: "sales", Channels: []chat.ChannelID{"ig", "wa"}})
	s.want("done 0", chat.PlaceAssistant{ID: "support", Channels: []chat.ChannelID{"ig"}})
	sales, support := s.head("sales"), s.head("support")
	if !sales.On("wa") || sales.On("ig") || !support.On("ig") {
		t.Errorf("sales on %v, support on %v", sales.Channels, support.Channels)
	}
}

func TestAssistant_IsBounded(t *testing.T) {
	s := &shelf{t: t, now: start}
	for i := range chat.AssistantsMax {
		f := saying("x")
		f.Draft.ID = chat.AssistantID(fmt.Sprint("a", i))
		s.want("done 1", f)
	}
	s.want("too_many_assistants", saying("x"))
	full, _ := json.Marshal(chat.AssistantHead{ID: "a0", Latest: chat.VersionsMax, Published: 1})
	s.docs[slices.IndexFunc(s.docs, func(d chat.Doc) bool { return d.ID == "a0" })].Value = full
	f := saying("y")
	f.Draft.ID = "a0"
	s.want("too_many_versions", f)
	for range 120 {
		s.do(chat.RollBackAssistant{ID: "a0", Version: 0})
		s.do(chat.RollBackAssistant{ID: "a0", Version: 1})
	}
	if n := len(s.head("a0").Past); n != 50 {
		t.Errorf("%d publications are kept, want 50", n)
	}
}

func TestCheckAssistant(t *testing.T) {
	good := func() chat.Assistant {
		a := bakery()
		a.Hours = &chat.Hours{Zone: "Europe/Berlin", Open: []chat.OpenSpan{{Day: time.Saturday, From: 22 * 60, To: 26 * 60}}}
		a.Models = []chat.ModelRef{{Model: "m"}}
		a.Tools = []chat.ToolGrant{{Name: chat.ToolHandoff, Max: 3}}
		a.Links = []string{"shop.example.com"}
		a.Limits = chat.TurnLimits{Steps: 4, Time: time.Minute}
		return a
	}
	if a := good(); chat.CheckAssistant(&a) != nil {
		t.Fatalf("refused: %v", chat.CheckAssistant(&a))
	}
	for want, spoil := range map[string]func(*chat.Assistant){
		"id":                            func(a *chat.Assistant) { a.ID = "main@1" },
		"instructions":                  func(a *chat.Assistant) { a.Instructions = strings.Repeat("ä", 20_001) },
		"tone":                          func(a *chat.Assistant) { a.Tone = "\xff" },
		"forbidden_topics":              func(a *chat.Assistant) { a.Forbidden = make([]string, 51) },
		"forbidden_topics[1]":           func(a *chat.Assistant) { a.Forbidden[1] = strings.Repeat("x", 201) },
		"languages[1]":                  func(a *chat.Assistant) { a.Languages[1] = "english" },
		"languages[0]":                  func(a *chat.Assistant) { a.Languages[0] = "de_AT" },
		"hours.zone":                    func(a *chat.Assistant) { a.Hours.Zone = "" },
		"hours.open":                    func(a *chat.Assistant) { a.Hours.Open[0].To = a.Hours.Open[0].From },
		"models[0].model":               func(a *chat.Assistant) { a.Models[0].Model = "" },
		"tools[0].name":                 func(a *chat.Assistant) { a.Tools[0].Name = "a b" },
		"tools[1].name":                 func(a *chat.Assistant) { a.Tools = append(a.Tools, a.Tools[0]) },
		"tools[0].max_per_conversation": func(a *chat.Assistant) { a.Tools[0].Max = -1 },
		"link_domains[0]":               func(a *chat.Assistant) { a.Links[0] = "https://x.com" },
		"limits.steps":                  func(a *chat.Assistant) { a.Limits.Steps = 33 },
		"limits.time_seconds":           func(a *chat.Assistant) { a.Limits.Time = time.Hour },
		"limits.cost":                   func(a *chat.Assistant) { a.Limits.Cost = -1 },
		"channels.ig.tone": func(a *chat.Assistant) {
			a.Channels["ig"] = chat.AssistantVariant{Tone: strings.Repeat("x", 2001)}
		},
		"": func(a *chat.Assistant) {
			a.Channels = map[chat.ChannelID]chat.AssistantVariant{}
			for i := range 8 {
				a.Channels[chat.ChannelID(fmt.Sprint(i))] = chat.AssistantVariant{Instructions: strings.Repeat("x", 15_000)}
			}
		},
	} {
		a := good()
		spoil(&a)
		err := chat.CheckAssistant(&a)
		if err == nil || err.Param != want {
			t.Errorf("want %q refused, got %+v", want, err)
		}
	}
	for _, tag := range []string{"de", "de-AT", "zh-Hant-TW", "es-419", "gsw"} {
		a := good()
		a.Languages = []string{tag}
		if err := chat.CheckAssistant(&a); err != nil {
			t.Errorf("%s: %v", tag, err)
		}
	}
}
