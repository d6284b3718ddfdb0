package knowledge

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// shelf holds documents of tenants, as the store does.
type shelf struct {
	mu   sync.Mutex
	docs map[chat.TenantID]map[chat.DocNoun]map[string][]byte
	// reads counts scans; meanwhile runs once within the next.
	reads     int
	meanwhile func()
}

func (s *shelf) put(t chat.TenantID, noun chat.DocNoun, id string, v any) {
	b, _ := json.Marshal(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.docs == nil {
		s.docs = map[chat.TenantID]map[chat.DocNoun]map[string][]byte{}
	}
	if s.docs[t] == nil {
		s.docs[t] = map[chat.DocNoun]map[string][]byte{}
	}
	if s.docs[t][noun] == nil {
		s.docs[t][noun] = map[string][]byte{}
	}
	s.docs[t][noun][id] = b
}

func (s *shelf) remove(t chat.TenantID, noun chat.DocNoun, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.docs[t][noun], id)
}

// Doc implements Documents.
func (s *shelf) Doc(t chat.TenantID, noun chat.DocNoun, id string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.docs[t][noun][id]
	return v, ok, nil
}

// Docs implements Documents.
func (s *shelf) Docs(_ context.Context, t chat.TenantID, noun chat.DocNoun) (list []chat.Doc, err error) {
	s.mu.Lock()
	for id, v := range s.docs[t][noun] {
		list = append(list, chat.Doc{Noun: noun, ID: id, Value: v})
	}
	s.reads++
	then := s.meanwhile
	s.meanwhile = nil
	s.mu.Unlock()
	if then != nil {
		then()
	}
	return list, nil
}

// tell makes a source of texts, shown at a turn.
func (s *shelf) tell(t chat.TenantID, turn int64, texts ...string) {
	s.put(t, chat.DocSource, "src_a", chat.Source{ID: "src_a", Title: "Shop", Revision: 1, Live: 1})
	for i, text := range texts {
		c := chat.Chunk{ID: fmt.Sprint("src_a/", i), Version: 1, Source: "src_a", Revision: 1, Text: text, Language: chat.Language(text)}
		s.put(t, chat.DocChunk, c.Key(), c)
	}
	s.put(t, chat.DocSource, "", chat.KnowledgeHead{Turn: turn})
}

func TestTerms_DropEndingsOfEveryLanguage(t *testing.T) {
	for language, text := range map[string]string{"en": "the openings", "de": "die Öffnungen", "es": "las aperturas", "pt": "as aberturas", "fr": "ouvertures", "": "Apertures"} {
		want := map[string]string{"en": "[open]", "de": "[offnung]", "es": "[apertur]", "pt": "[abertur]", "fr": "[ouvertures]", "": "[apertures]"}[language]
		if got := fmt.Sprint(terms(language, text)); got != want {
			t.Errorf("%s: %s, want %s", language, got, want)
		}
	}
}

type clock struct{ now time.Time }

func (c *clock) time() time.Time { return c.now }

func newIndexes(t testing.TB, o Options) *Indexes {
	t.Helper()
	if o.Clock == nil {
		o.Clock = (&clock{now: time.Unix(0, 0)}).time
	}
	x := New(o)
	t.Cleanup(x.Close)
	return x
}

func find(t testing.TB, x *Indexes, tenant chat.TenantID, query string) (keys []string) {
	t.Helper()
	list, err := x.Search(t.Context(), tenant, query, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		keys = append(keys, chat.ChunkKey(p.Chunk, p.Version))
	}
	return keys
}

// A tenant finds its own and nothing else, whatever it asks for and in whatever order
// indexes are made and dropped.
func TestIndexes_NoTenantFindsAnothers(t *testing.T) {
	s := &shelf{}
	tenants := []chat.TenantID{"acme", "bolt", "cafe"}
	for i, tenant := range tenants {
		s.tell(tenant, 1, fmt.Sprintf("The secret word of %s is pineapple%d.", tenant, i), "We open at nine.")
	}
	x := newIndexes(t, Options{Documents: s, MemoryMax: 1})
	for round := range 3 {
		for i, tenant := range tenants {
			for j := range tenants {
				list, err := x.Search(t.Context(), tenant, fmt.Sprintf("secret word pineapple%d", j), 50)
				if err != nil || len(list) == 0 {
					t.Fatal(list, err)
				}
				for _, p := range list {
					if strings.Contains(p.Text, "pineapple") && !strings.Contains(p.Text, fmt.Sprintf("pineapple%d", i)) {
						t.Fatalf("round %d: %s found %q", round, tenant, p.Text)
					}
				}
			}
		}
	}
	if found := find(t, x, "nobody", "secret word"); found != nil {
		t.Errorf("a tenant without knowledge finds %v", found)
	}
}

func TestIndexes_ShowWhatIsShown(t *testing.T) {
	s := &shelf{}
	s.tell("acme", 1, "Dogs are welcome.", "Cats stay outside.")
	x := newIndexes(t, Options{Documents: s})
	if got := find(t, x, "acme", "cats"); len(got) == 0 || got[0] != "src_a/1@1" {
		t.Fatalf("found %v", got)
	}
	// A chunk of a revision that is not shown yet.
	c := chat.Chunk{ID: "src_a/1", Version: 2, Source: "src_a", Revision: 2, Text: "Cats may come in.", Language: "en"}
	s.put("acme", chat.DocChunk, c.Key(), c)
	s.put("acme", chat.DocSource, "", chat.KnowledgeHead{Turn: 2})
	if got := find(t, x, "acme", "cats"); slices.Contains(got, "src_a/1@2") {
		t.Errorf("found before it is shown: %v", got)
	}
	s.put("acme", chat.DocSource, "src_a", chat.Source{ID: "src_a", Title: "Shop", Revision: 2, Live: 2})
	s.remove("acme", chat.DocChunk, "src_a/1@1")
	s.put("acme", chat.DocSource, "", chat.KnowledgeHead{Turn: 3})
	if got := find(t, x, "acme", "cats"); len(got) == 0 || got[0] != "src_a/1@2" || slices.Contains(got, "src_a/1@1") {
		t.Errorf("after it was shown: %v", got)
	}
	reads := s.reads
	find(t, x, "acme", "dogs")
	if s.reads != reads {
		t.Error("an index that shows all reads the store")
	}
	// The source goes while it is read: what is found is of the later turn.
	s.put("acme", chat.DocSource, "", chat.KnowledgeHead{Turn: 4})
	s.meanwhile = func() {
		s.remove("acme", chat.DocSource, "src_a")
		s.put("acme", chat.DocSource, "", chat.KnowledgeHead{Turn: 5})
	}
	if got := find(t, x, "acme", "cats dogs"); got != nil {
		t.Errorf("found after its source was removed: %v", got)
	}
}

// Dropped for memory or idleness, an index comes back and finds the same.
func TestIndexes_AreDroppedAndComeBack(t *testing.T) {
	s := &shelf{}
	for i := range 5 {
		s.tell(chat.TenantID(fmt.Sprint("t", i)), 1, "We sell bread.", "We sell cake.")
	}
	c := &clock{now: time.Unix(0, 0)}
	x := newIndexes(t, Options{Documents: s, MemoryMax: 3000, IdleAfter: time.Minute, Clock: c.time})
	want := find(t, x, "t0", "bread")
	for i := range 5 {
		c.now = c.now.Add(time.Second)
		find(t, x, chat.TenantID(fmt.Sprint("t", i)), "bread")
	}
	if n, size := x.Resident(); n < 1 || n > 3 || size <= 0 {
		t.Errorf("%d indexes of %d bytes", n, size)
	}
	c.now = c.now.Add(time.Hour)
	if got := find(t, x, "t0", "bread"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("found %v, before %v", got, want)
	}
	if n, _ := x.Resident(); n != 1 {
		t.Errorf("%d indexes after an hour", n)
	}
}

// letters is a model: a text is how often it says each letter.
type letters struct {
	name string
	down bool
}

// EmbeddingModel implements Embedder.
func (m *letters) EmbeddingModel(chat.TenantID) string { return m.name }

// Embed implements Embedder.
func (m *letters) Embed(_ context.Context, _ chat.TenantID, texts []string) (list [][]float32, err error) {
	if m.down {
		return nil, chat.E("test", chat.KindUnavailable, "down", nil)
	}
	for _, text := range texts {
		v := make([]float32, 26)
		for _, c := range strings.ToLower(text) {
			if c >= 'a' && c <= 'z' {
				v[c-'a']++
			}
		}
		list = append(list, v)
	}
	return list, nil
}

func batch(model string, chunks map[string][]float32) chat.VectorBatch {
	b := chat.VectorBatch{Source: "src_a", Model: model}
	for key, v := range chunks {
		b.Dims = len(v)
		b.Chunks = append(b.Chunks, key)
		for _, f := range v {
			b.Data = binary.LittleEndian.AppendUint32(b.Data, math.Float32bits(f))
		}
	}
	return b
}

// Vectors of another model, of another length and broken ones are not compared; when
// the model does not answer, words are enough.
func TestIndexes_CompareVectorsOfOneModel(t *testing.T) {
	s := &shelf{}
	s.tell("acme", 1, "zzzz", "qqqq")
	m := &letters{name: "letters"}
	of := func(text string) []float32 {
		v, _ := m.Embed(t.Context(), "", []string{text})
		return v[0]
	}
	s.put("acme", chat.DocVectors, "a", batch("letters", map[string][]float32{"src_a/0@1": of("zzzz")}))
	s.put("acme", chat.DocVectors, "b", batch("older", map[string][]float32{"src_a/1@1": of("zzzz")}))
	s.put("acme", chat.DocVectors, "c", batch("letters", map[string][]float32{"src_a/1@1": {1, 2, 3}}))
	s.put("acme", chat.DocVectors, "d", chat.VectorBatch{Model: "letters", Dims: 26, Chunks: []string{"src_a/1@1"}, Data: []byte{1}})
	s.put("acme", chat.DocVectors, "e", batch("letters", map[string][]float32{"src_a/1@1": make([]float32, 26)}))
	x := newIndexes(t, Options{Documents: s, Embedder: m})
	if got := find(t, x, "acme", "jazz zzz"); len(got) != 1 || got[0] != "src_a/0@1" {
		t.Errorf("found %v", got)
	}
	m.down = true
	if got := find(t, x, "acme", "qqqq"); len(got) != 1 || got[0] != "src_a/1@1" {
		t.Errorf("without the model: %v", got)
	}
	m.down, m.name = false, "older"
	if got := find(t, x, "acme", "zz"); len(got) != 1 || got[0] != "src_a/1@1" {
		t.Errorf("after the model changed: %v", got)
	}
}

// The same knowledge and query give the same order, also when the index came to be
// in another way, and equal scores are no matter of luck.
func TestIndexes_OrderIsAlwaysTheSame(t *testing.T) {
	chunks, questions := readSet(t)
	fill := func(s *shelf, turn int64, list []chat.Chunk) {
		s.put("acme", chat.DocSource, "src_set", chat.Source{ID: "src_set", Revision: 1, Live: 1})
		for _, c := range list {
			s.put("acme", chat.DocChunk, c.Key(), c)
		}
		s.put("acme", chat.DocSource, "", chat.KnowledgeHead{Turn: turn})
	}
	chunks = chunks[:300]
	whole, grown := &shelf{}, &shelf{}
	fill(whole, 1, chunks)
	fill(grown, 1, chunks[100:])
	x, y := newIndexes(t, Options{Documents: whole}), newIndexes(t, Options{Documents: grown})
	find(t, y, "acme", "anything")
	fill(grown, 2, chunks[:100])
	for _, q := range questions[:40] {
		first := find(t, x, "acme", q.Question)
		for _, again := range [][]string{find(t, x, "acme", q.Question), find(t, y, "acme", q.Question)} {
			if fmt.Sprint(again) != fmt.Sprint(first) {
				t.Errorf("%q: %v and %v", q.Question, first, again)
			}
		}
	}
}

func TestIndexes_AreSafeForConcurrentUse(t *testing.T) {
	s := &shelf{}
	for i := range 4 {
		s.tell(chat.TenantID(fmt.Sprint("t", i)), 1, "We sell bread.", "We sell cake.")
	}
	x := newIndexes(t, Options{Documents: s, MemoryMax: 2000})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 25 {
				tenant := chat.TenantID(fmt.Sprint("t", (g+i)%4))
				if list, err := x.Search(t.Context(), tenant, "cake", 3); err != nil || len(list) == 0 {
					t.Error(list, err)
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkSearch is of a tenant with 10,000 chunks: with vectors of a model, 1,536
// numbers each, and with those made here.
func BenchmarkSearch(b *testing.B) {
	chunks, questions := readSet(b)
	for _, dims := range []int{0, 1536} {
		b.Run(fmt.Sprint("dims=", dims), func(b *testing.B) {
			model := ""
			if dims > 0 {
				model = "m"
			}
			x := newIndex(model)
			var add []*entry
			for i := range 10_000 {
				c := chunks[i%len(chunks)]
				c.ID, c.Text = fmt.Sprint("c", i), fmt.Sprint(c.Text, " Number ", i)
				add = append(add, &entry{chunk: c})
			}
			direction := func(seed int) []float32 {
				v := make([]float32, dims)
				for i := range v {
					v[i] = float32((i*7919+seed*104729)%1000) - 500
				}
				return v
			}
			began := time.Now()
			for i, e := range add {
				x.add(e, direction(i))
			}
			built := time.Since(began)
			b.ResetTimer()
			for i := range b.N {
				q := questions[i%len(questions)].Question
				x.look(q, direction(i)).passages(6)
			}
			b.ReportMetric(float64(built.Milliseconds()), "ms/build")
			b.ReportMetric(float64(x.size)/(1<<20), "MiB")
		})
	}
}
