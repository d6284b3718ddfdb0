package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// promptModel answers with the instructions it was given.
func promptModel() Model {
	return scriptModel{func(_ context.Context, p chat.Prompt) (chat.Answer, error) {
		text := p.Lines[0].Text
		if _, after, found := strings.Cut(text, "# What to do\n"); found {
			text, _, _ = strings.Cut(after, "\n")
		}
		return chat.Answer{Text: text, Model: "m"}, nil
	}}
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// published are the documents of an assistant whose version answers.
func published(t *testing.T, a chat.Assistant) []chat.Doc {
	t.Helper()
	head := chat.AssistantHead{ID: a.ID, Latest: a.Version, Published: a.Version}
	return []chat.Doc{{Noun: chat.DocVersion, ID: string(a.Ref()), Value: jsonOf(t, a)},
		{Noun: chat.DocAssistant, ID: string(a.ID), Value: jsonOf(t, head)}}
}

// writing is a Step that writes documents on a fact of its own, as the facts of the
// tenant do.
func writing(docs func() []chat.Doc) func(*chat.Conversation, chat.Input) chat.Decision {
	return func(s *chat.Conversation, in chat.Input) chat.Decision {
		if _, ours := in.Fact.(chat.ChannelHeard); ours {
			return chat.Decision{Docs: docs()}
		}
		return chat.Step(s, in)
	}
}

func TestProfiles_TheNextTurnUsesWhatWasCommitted(t *testing.T) {
	var docs []chat.Doc
	fresh := func(o *Options) { o.Model = promptModel() }
	inBubble(t, fresh, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		s.core.step = writing(func() []chat.Doc { return docs })
		ch, _ := store.ChannelByID("acme-wa")
		write := func(d []chat.Doc) {
			docs = d
			if a := s.ask(t.Context(), s.about(ch, chat.ChannelHeard{})); a.err != nil {
				t.Fatal(a.err)
			}
		}
		n := 0
		say := func() {
			n++
			deliver(t, s, textFrom("1555", fmt.Sprint("wamid.", n), "hello"))
			settle(9 * time.Second)
		}
		say()
		write(published(t, chat.Assistant{ID: chat.DefaultAssistant, Version: 1, Instructions: "one"}))
		say()
		two := chat.Assistant{ID: chat.DefaultAssistant, Version: 2, Instructions: "two",
			Channels: map[chat.ChannelID]chat.AssistantVariant{"acme-wa": {Instructions: "two on WhatsApp"}}}
		write(published(t, two))
		say()
		// Another node leads for a while, and publishes.
		for _, d := range published(t, chat.Assistant{ID: chat.DefaultAssistant, Version: 3, Instructions: "three"}) {
			store.setDoc(d.Noun, d.ID, d.Value)
		}
		store.elect(2)
		say()
		if got, want := graph.texts(), []string{chat.DefaultInstructions, "one", "two on WhatsApp", "three"}; !slices.Equal(got, want) {
			t.Errorf("answered with %q, want %q", got, want)
		}
		write([]chat.Doc{{Noun: chat.DocVersion, ID: "main@3", Value: []byte(`"broken"`)}})
		say()
		if st, _, _ := store.Load("acme", conversationOf("1555")); st.Holder != chat.HolderNobody {
			t.Errorf("an assistant that cannot be read answers: held by %v", st.Holder)
		}
	})
}

func TestProfiles_Settings(t *testing.T) {
	store := newMemStore()
	put := func(docs ...chat.Doc) {
		for _, d := range docs {
			store.setDoc(d.Noun, d.ID, d.Value)
		}
	}
	one := chat.Assistant{ID: "main", Version: 1, Instructions: "one", Models: []chat.ModelRef{{Model: "dear"}, {Model: "cheap"}},
		Limits: chat.TurnLimits{PromptTokens: 100, OutTokens: 10}, Apology: "sorry",
		Tools: []chat.ToolGrant{{Name: chat.ToolHandoff}, {Name: "orders"}, {Name: "gone"}}}
	put(published(t, one)...)
	two := one
	two.Version, two.Tools, two.Channels = 2, nil, map[chat.ChannelID]chat.AssistantVariant{"acme-wa": {Off: true}}
	put(published(t, two)...)
	put(chat.Doc{Noun: chat.DocTool, ID: "orders", Value: jsonOf(t, chat.Tool{Name: "orders", Kind: chat.ToolHTTP})})
	o := options(store, nil, &ledgerGraph{})
	o.Prices = &chat.PriceList{Prices: map[chat.ModelRef]chat.Price{{Model: "dear"}: {Input: 3, Output: 9}, {Model: "cheap"}: {Input: 1, Output: 20}}}
	o.Directory = fixedDirectory{store, &store.set}
	o.EnsureDefaults()
	p := newProfiles(&o)
	get := func(ch chat.ChannelID, ref chat.AssistantRef) *chat.Settings {
		t.Helper()
		s, err := p.settings(t.Context(), "acme", 1, ch, ref)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := get("acme-wa", ""); s.Assistant || s.Profile.Version != 2 {
		t.Errorf("on a channel that is off: assistant %t, version %d", s.Assistant, s.Profile.Version)
	}
	if s := get("acme-2", ""); !s.Assistant || s.Profile.Version != 2 || s.Apology != "sorry" || s.Instructions != chat.SystemPrompt(s.Profile) {
		t.Errorf("on another: %+v", s)
	}
	s := get("acme-2", "main@1")
	if s.Profile.Version != 1 || len(s.Tools) != 2 || s.Tools["orders"].Kind != chat.ToolHTTP || s.Tools[chat.ToolHandoff].Kind != chat.ToolEngine {
		t.Errorf("of a turn that began with version 1: version %d, tools %v", s.Profile.Version, s.Tools)
	}
	if want := (chat.CallCost{Prompt: 300, Output: 200}); s.CallCost != want {
		t.Errorf("a call costs at most %+v, want %+v", s.CallCost, want)
	}
	if base := get("acme-2", "main@0"); base != &store.set {
		t.Error("a turn that began with the configuration goes on with something else")
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = p.settings(t.Context(), "acme", 1, "acme-2", "main@1") }); n != 0 {
		t.Errorf("%v allocations for what is known, want none", n)
	}
}

// TestProfiles_OldIsNotKept: what was read before a commit, or under another epoch,
// is not told after it.
func TestProfiles_OldIsNotKept(t *testing.T) {
	store := newMemStore()
	o := options(store, nil, &ledgerGraph{})
	docs := &slowDocuments{memStore: store}
	o.Directory, o.Documents = fixedDirectory{store, &store.set}, docs
	o.EnsureDefaults()
	p := newProfiles(&o)
	version := func(epoch chat.Epoch) int {
		t.Helper()
		s, err := p.settings(t.Context(), "acme", epoch, "acme-wa", "")
		if err != nil {
			t.Fatal(err)
		}
		return s.Profile.Version
	}
	write := func(n int) {
		for _, d := range published(t, chat.Assistant{ID: "main", Version: n}) {
			store.setDoc(d.Noun, d.ID, d.Value)
		}
	}
	write(1)
	// The commit comes between reading and keeping.
	docs.then = func() {
		write(2)
		p.committed("acme", []chat.Doc{{Noun: chat.DocAssistant, ID: "main"}})
	}
	if got := version(1); got != 1 {
		t.Fatalf("read version %d, want 1", got)
	}
	if got := version(1); got != 2 {
		t.Errorf("after the commit version %d, want 2", got)
	}
	write(3)
	if got := version(1); got != 2 {
		t.Errorf("read again without a reason: version %d, want 2", got)
	}
	if got := version(2); got != 3 {
		t.Errorf("under another epoch version %d, want 3", got)
	}
}

// slowDocuments lets something happen once between the heads being read and told.
type slowDocuments struct {
	*memStore
	then func()
}

// Docs implements Documents.
func (d *slowDocuments) Docs(ctx context.Context, t chat.TenantID, noun chat.DocNoun) ([]chat.Doc, error) {
	docs, err := d.memStore.Docs(ctx, t, noun)
	if then := d.then; then != nil {
		d.then = nil
		then()
	}
	return docs, err
}

func BenchmarkProfiles_Settings(b *testing.B) {
	store := newMemStore()
	o := options(store, nil, &ledgerGraph{})
	o.Directory = fixedDirectory{store, &store.set}
	p := newProfiles(&o)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.settings(b.Context(), "acme", 1, "acme-wa", ""); err != nil {
			b.Fatal(err)
		}
	}
}

// fixedDirectory always tells the same settings.
type fixedDirectory struct {
	*memStore
	set *chat.Settings
}

// Settings implements Directory.
func (d fixedDirectory) Settings(chat.TenantID) *chat.Settings { return d.set }
