package chat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bookshelf is a tenant's documents, changed by Step alone.
type bookshelf map[string][]byte

func (b bookshelf) learn(f KnowledgeChanged) string {
	var known []Doc
	for _, id := range []string{string(f.Source.ID), ""} {
		known = append(known, Doc{Noun: DocSource, ID: id, Value: b[string(rune(DocSource))+id]})
	}
	d := Step(&Conversation{Tenant: "acme"}, Input{Now: time.Unix(1, 0).UTC(), Settings: &Settings{}, Known: Known{Docs: known}, Fact: f})
	if d.Verdict.Kind == VerdictRefused {
		return d.Verdict.Reason
	}
	for _, doc := range d.Docs {
		if doc.Value == nil {
			delete(b, string(rune(doc.Noun))+doc.ID)
		} else {
			b[string(rune(doc.Noun))+doc.ID] = doc.Value
		}
	}
	return ""
}

func (b bookshelf) source(id SourceID) (s Source) {
	s, _ = SourceFrom(Doc{ID: string(id), Value: b[string(rune(DocSource))+string(id)]})
	return s
}

var someSource = Source{ID: SourceIDFrom(strings.Repeat("a", 26)), Kind: SourceText, Blob: "blob", Revision: 1, State: SourceWaiting}

// Who changes a source names the state it looked at: of two, one is refused.
func TestStep_KnowledgeIsChangedByOneAtATime(t *testing.T) {
	b := bookshelf{}
	if why := b.learn(KnowledgeChanged{Source: someSource}); why != "" {
		t.Fatal(why)
	}
	if why := b.learn(KnowledgeChanged{Source: someSource}); why != "source_changed" {
		t.Errorf("given twice: %q", why)
	}
	one := b.source(someSource.ID)
	two := one
	one.State = SourceFailed
	if why := b.learn(KnowledgeChanged{Source: one}); why != "" {
		t.Fatal(why)
	}
	if why := b.learn(KnowledgeChanged{Source: two}); why != "source_changed" {
		t.Errorf("the second: %q", why)
	}
	if why := b.learn(KnowledgeChanged{Source: two, Removed: true}); why != "source_changed" {
		t.Errorf("a removal: %q", why)
	}
	if why := b.learn(KnowledgeChanged{Source: b.source(someSource.ID), Removed: true, Shown: true}); why != "" {
		t.Errorf("a removal of what is: %q", why)
	}
	if why := b.learn(KnowledgeChanged{Source: two}); why != "source_changed" {
		t.Errorf("after it was removed: %q", why)
	}
}

func TestStep_KnowledgeHoldsItsRules(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*KnowledgeChanged)
		want   string
	}{
		"fine":              {func(*KnowledgeChanged) {}, ""},
		"unnamed":           {func(f *KnowledgeChanged) { f.Source.ID = "x" }, "source_unnamed"},
		"long title":        {func(f *KnowledgeChanged) { f.Source.Title = strings.Repeat("x", SourceTitleMax+1) }, "title_too_long"},
		"many chunks":       {func(f *KnowledgeChanged) { f.Source.Chunks = SourceChunksMax + 1 }, "too_many_chunks"},
		"no text":           {func(f *KnowledgeChanged) { f.Source.Blob = "" }, "source_without_text"},
		"many at once":      {func(f *KnowledgeChanged) { f.Put = make([]Chunk, ChunksPerCommit+1) }, "too_many_chunks"},
		"chunk of another":  {func(f *KnowledgeChanged) { f.Put = []Chunk{{ID: "x", Source: "src_x", Revision: 1}} }, "chunk_unsound"},
		"chunk of the past": {func(f *KnowledgeChanged) { f.Put = []Chunk{{ID: "x", Source: f.Source.ID, Revision: 0}} }, "chunk_unsound"},
		"long chunk": {func(f *KnowledgeChanged) {
			f.Put = []Chunk{{ID: "x", Source: f.Source.ID, Revision: 1, Text: strings.Repeat("x", ChunkMax+1)}}
		}, "chunk_unsound"},
		"vectors of another model": {func(f *KnowledgeChanged) {
			f.Source.Model, f.Source.Dims = "m", 1
			f.Vectors = []VectorBatch{{Source: f.Source.ID, Model: "n", Dims: 1, Chunks: []string{"x"}, Data: make([]byte, 4)}}
		}, "vectors_unsound"},
		"vectors of another length": {func(f *KnowledgeChanged) {
			f.Source.Model, f.Source.Dims = "m", 1
			f.Vectors = []VectorBatch{{Source: f.Source.ID, Model: "m", Dims: 2, Chunks: []string{"x"}, Data: make([]byte, 8)}}
		}, "vectors_unsound"},
		"vectors cut": {func(f *KnowledgeChanged) {
			f.Source.Model, f.Source.Dims = "m", 1
			f.Vectors = []VectorBatch{{Source: f.Source.ID, Model: "m", Dims: 1, Chunks: []string{"x"}, Data: make([]byte, 3)}}
		}, "vectors_unsound"},
	} {
		f := KnowledgeChanged{Source: someSource}
		c.change(&f)
		if why := (bookshelf{}).learn(f); why != c.want {
			t.Errorf("%s: %q, want %q", name, why, c.want)
		}
	}
	// A chunk that was shown is never written again.
	b := bookshelf{}
	s := someSource
	s.Live = 1
	if why := b.learn(KnowledgeChanged{Source: s, Shown: true}); why != "" {
		t.Fatal(why)
	}
	if why := b.learn(KnowledgeChanged{Source: b.source(s.ID), Put: []Chunk{{ID: "x", Source: s.ID, Revision: 1}}}); why != "chunk_unsound" {
		t.Errorf("a shown revision is written: %q", why)
	}
}

func texts(list []Excerpt) (out []string) {
	for _, p := range list {
		out = append(out, p.Text)
	}
	return out
}

func TestCut_KeepsParagraphsAndTitles(t *testing.T) {
	long := strings.Repeat("One sentence of a story. ", 100)
	got := Cut([]Excerpt{{Title: "A", Text: "one\n\ntwo"}, {Title: "B", Text: strings.Repeat("x", ChunkTarget) + "\n\nshort"}, {Title: "C", Text: long}})
	if got[0].Text != "one\ntwo" || got[0].Title != "A" || got[1].Title != "B" || got[2].Text != "short" {
		t.Errorf("%q", texts(got[:3]))
	}
	for _, p := range got[3:] {
		if p.Title != "C" || len(p.Text) > ChunkMax || !strings.HasSuffix(p.Text, ".") {
			t.Errorf("%q", p.Text)
		}
	}
}

// Whatever is said and changed, no word is lost, no chunk too long, no shown chunk
// written, no id used for something else, and what is said the same stays.
func TestRevise_Properties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) Excerpt {
			e := Excerpt{Title: rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "title"),
				Text: rapid.SampledFrom([]string{"a", "b", "c ä ß", "one. two. three"}).Draw(t, "text")}
			if n := rapid.IntRange(-3, 1000).Draw(t, "more"); n > 0 {
				e.Text += "\n\n" + strings.Repeat("lä", n)
			}
			return e
		})
		was := []Chunk{}
		s := someSource
		used := map[string]string{}
		for revision := 1; revision <= 4; revision++ {
			s.Revision = revision
			excerpts := rapid.SliceOfN(text, 0, 5).Draw(t, "said")
			pieces := Cut(excerpts)
			var said, kept strings.Builder
			for _, e := range excerpts {
				said.WriteString(e.Text)
			}
			for _, p := range pieces {
				kept.WriteString(p.Text)
				if len(p.Text) > ChunkMax || p.Text == "" {
					t.Fatalf("a piece of %d bytes", len(p.Text))
				}
			}
			squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
			if squeeze(said.String()) != squeeze(kept.String()) {
				t.Fatal("words are lost")
			}
			put, gone := Revise(&s, was, pieces, s.Next)
			if again, _ := Revise(&s, was, pieces, s.Next); fmt.Sprint(again) != fmt.Sprint(put) {
				t.Fatal("the same pieces make other chunks")
			}
			now := slices.DeleteFunc(slices.Clone(was), func(c Chunk) bool { return slices.Contains(gone, c.Key()) })
			if len(now)+len(gone) != len(was) {
				t.Fatal("something goes that there is not")
			}
			for _, c := range put {
				if text, taken := used[c.Key()]; taken {
					t.Fatalf("%s said %q before", c.Key(), text)
				}
				used[c.Key()] = c.Text
				s.Next = max(s.Next, ChunkNumber(c.ID)+1)
				now = append(now, c)
			}
			one, two := map[Excerpt]int{}, map[Excerpt]int{}
			for _, p := range pieces {
				one[p]++
			}
			for _, c := range now {
				two[Excerpt{Title: c.Title, URL: c.URL, Text: c.Text}]++
			}
			if fmt.Sprint(one) != fmt.Sprint(two) {
				t.Fatalf("pieces %v, chunks %v", one, two)
			}
			slices.SortFunc(now, func(a, b Chunk) int { return ChunkNumber(a.ID) - ChunkNumber(b.ID) })
			was = now
		}
	})
}

func TestLanguage_IsTold(t *testing.T) {
	for text, want := range map[string]string{
		"We are open and you can pay with a card.":        "en",
		"Wir haben geöffnet und Sie können zahlen.":       "de",
		"Estamos abiertos y puede pagar con la tarjeta.":  "es",
		"Estamos abertos e você pode pagar com o cartão.": "pt",
		"Bonjour, nous sommes ouverts.":                   "",
		"12345":                                           "",
	} {
		if got := Language(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestChunkNumber_IsOfOurIDs(t *testing.T) {
	if _, ok := someSource.ID.Body(); !ok {
		t.Error("a source id has no body")
	}
	for id, want := range map[string]int{"src_a/12": 12, "src_a/x": -1, "src_a": -1, "src_a/-1": -1} {
		if got := ChunkNumber(id); got != want {
			t.Errorf("%s: %d", id, got)
		}
	}
}
