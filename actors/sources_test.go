package actors

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/blob"
)

// bookshop is a business with a store, and what reads and embeds its texts.
type bookshop struct {
	*memStore
	files *blob.Store

	lock sync.Mutex // guards the fields below
	// site is what its website says, unsettled why it does not answer.
	site      []chat.Excerpt
	unsettled error
	model     string
	dims      int
	embedded  int
}

func newBookshop(t *testing.T) *bookshop {
	return &bookshop{memStore: newMemStore(), files: openFiles(t), model: "m1", dims: 4}
}

// Tenants implements Registry.
func (*bookshop) Tenants() []chat.Tenant { return []chat.Tenant{{ID: "acme"}} }

// Channels implements Registry.
func (*bookshop) Channels(chat.TenantID) []chat.Channel { return nil }

// ReplaceToken implements Registry.
func (*bookshop) ReplaceToken(context.Context, chat.ChannelID, chat.Secret, chat.Secret) error {
	return nil
}

// FileText implements Texts: paragraphs are sections.
func (*bookshop) FileText(_ context.Context, _, _ string, body []byte) (list []chat.Excerpt, err error) {
	if string(body) == "broken" {
		return nil, chat.E("extract", chat.KindInvalid, "file_unreadable", nil)
	}
	for i, p := range strings.Split(string(body), "\n\n") {
		list = append(list, chat.Excerpt{Title: fmt.Sprint("part ", i/3), Text: p})
	}
	return list, nil
}

// SiteText implements Texts.
func (h *bookshop) SiteText(context.Context, string, int) ([]chat.Excerpt, int, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.site, len(h.site), h.unsettled
}

// EmbeddingModel implements Embedder.
func (h *bookshop) EmbeddingModel(chat.TenantID) string {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.model
}

// Embed implements Embedder: a letter has a direction.
func (h *bookshop) Embed(_ context.Context, _ chat.TenantID, texts []string) (list [][]float32, err error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	for _, text := range texts {
		v := make([]float32, h.dims)
		for _, c := range text {
			v[int(c)%h.dims]++
		}
		list = append(list, v)
		h.embedded++
	}
	return list, nil
}

// Search implements Knowledge: what is shown and says all that is asked for.
func (h *bookshop) Search(ctx context.Context, t chat.TenantID, query string, _ int) (list []chat.Passage, err error) {
	s := &System{opt: Options{Documents: h.memStore}}
	sources, err := s.Sources().List(ctx, t)
	for _, one := range sources {
		of, err := s.holdings(ctx, t, one.ID)
		if err != nil {
			return nil, err
		}
		shown, _ := of.split(one.Live)
		for _, c := range shown {
			if strings.Contains(c.Text, query) {
				list = append(list, chat.Passage{Chunk: c.ID, Version: c.Version, URL: c.URL, Text: c.Text})
			}
		}
	}
	return list, err
}

func (h *bookshop) with(f func()) {
	h.lock.Lock()
	defer h.lock.Unlock()
	f()
}

func (h *bookshop) system(t *testing.T) *System {
	t.Helper()
	o := options(h.memStore, echoModel(), &ledgerGraph{})
	media := newMedia(nil)
	o.Media, o.Files, o.Opener, o.Registry, o.Texts, o.Embedder = media, h.files, h.files, h, h, h
	o.Knowledge = h
	return started(t, o)
}

// state is what the store holds of the knowledge: chunk keys with their texts, and
// how many chunks have a vector of the model.
func (h *bookshop) state(t *testing.T) (chunks map[string]string, vectors int, source chat.Source) {
	t.Helper()
	chunks = map[string]string{}
	s := &System{opt: Options{Documents: h.memStore}}
	list, err := s.Sources().List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		source = one
		of, err := s.holdings(t.Context(), "acme", one.ID)
		if err != nil {
			t.Fatal(err)
		}
		for i := range of.chunks {
			chunks[of.chunks[i].Key()] = of.chunks[i].Text
		}
		for _, b := range of.batches {
			for _, key := range b.Chunks {
				if _, live := chunks[key]; live && b.Model == h.EmbeddingModel("acme") {
					vectors++
				}
			}
		}
	}
	return chunks, vectors, source
}

func given(text string) chat.Given {
	return chat.Given{Kind: chat.SourceText, Title: "Shop", Body: []byte(text), MIME: "text/plain"}
}

func paragraphs(n int, changed ...int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("Paragraph %d says that door %d opens at %d.", i, i*7, i%24)
	}
	for _, i := range changed {
		list[i] += " It was painted blue."
	}
	return strings.Join(list, "\n\n")
}

// Changed text is another version of its chunk; all other chunks stay what they are,
// with their vectors.
func TestSources_ANewRevisionChangesWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBookshop(t)
		s := h.system(t)
		src, replayed, err := s.Sources().Add(t.Context(), "acme", "k", given(paragraphs(100)))
		if err != nil || replayed {
			t.Fatal(replayed, err)
		}
		settle(time.Second)
		was, vectors, done := h.state(t)
		if done.State != chat.SourceReady || len(was) != 100 || vectors != 100 || done.Stored != 100 || done.Embedded != 100 || done.Model != "m1" {
			t.Fatalf("%d chunks, %d vectors, %+v", len(was), vectors, done)
		}
		h.with(func() { h.embedded = 0 })
		if _, err := s.Sources().Replace(t.Context(), "acme", src.ID, given(paragraphs(99, 50))); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		now, vectors, done := h.state(t)
		if done.State != chat.SourceReady || len(now) != 99 || vectors != 99 || done.Revision != 2 || done.Live != 2 {
			t.Errorf("%d chunks, %d vectors, %+v", len(now), vectors, done)
		}
		var fresh []string
		for key, text := range now {
			if was[key] != text {
				fresh = append(fresh, key)
			}
		}
		if len(fresh) != 1 || fresh[0] != string(src.ID)+"/50@2" || h.embedded != 1 {
			t.Errorf("new versions %v, %d texts embedded", fresh, h.embedded)
		}
		found, err := s.Sources().Search(t.Context(), "acme", "painted blue", 3)
		if err != nil || len(found) == 0 || found[0].Chunk != string(src.ID)+"/50" || found[0].Version != 2 {
			t.Errorf("found %v, %v", found, err)
		}
		if again, replayed, err := s.Sources().Add(t.Context(), "acme", "k", given("other")); err != nil || !replayed || again.ID != src.ID {
			t.Errorf("the same key: %v, %v, %v", again.ID, replayed, err)
		}
		if err := s.Sources().Remove(t.Context(), "acme", src.ID); err != nil {
			t.Fatal(err)
		}
		if found, err := s.Sources().Search(t.Context(), "acme", "painted blue", 3); err != nil || len(found) != 0 {
			t.Errorf("found after it was removed: %v, %v", found, err)
		}
		settle(time.Second)
		if left, _ := h.Docs(t.Context(), "acme", chat.DocVectors); len(left) != 0 || len(stored(t, h.files)) != 0 {
			t.Errorf("left: %d batches, files %v", len(left), stored(t, h.files))
		}
		ended(t, s)
	})
}

// However many steps were durable when the process died, the next one ends with
// what one that did not die has: nothing twice, nothing forgotten.
func TestSources_ReadingGoesOnAfterACrashAtEveryStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := map[string]string{}
		for steps := 0; ; steps++ {
			h := newBookshop(t)
			s := h.system(t)
			src, _, err := s.Sources().Add(t.Context(), "acme", "k", given(paragraphs(150)))
			if err != nil {
				t.Fatal(err)
			}
			settle(time.Second)
			var mu sync.Mutex
			left, cut := steps, false
			h.setBefore(func(chat.Commit) (chat.Receipt, bool) {
				mu.Lock()
				defer mu.Unlock()
				if left--; left > 0 {
					return chat.Receipt{}, false
				}
				cut = true
				return chat.Receipt{Answer: chat.StaleEpoch}, true
			})
			_, err = s.Sources().Replace(t.Context(), "acme", src.ID, given(paragraphs(200, 3, 77)))
			settle(time.Second)
			ended(t, s)
			h.setBefore(nil)
			s = h.system(t)
			if err != nil { // the first step is what the client asked for
				if _, err = s.Sources().Replace(t.Context(), "acme", src.ID, given(paragraphs(200, 3, 77))); err != nil {
					t.Fatal(err)
				}
			}
			settle(time.Second)
			chunks, vectors, done := h.state(t)
			if done.State != chat.SourceReady || done.Live != 2 || len(chunks) != 200 || vectors != 200 || done.Embedded != 200 {
				t.Fatalf("cut at step %d: %d chunks, %d vectors, %+v", steps, len(chunks), vectors, done)
			}
			if steps == 0 {
				want = chunks
			} else if fmt.Sprint(chunks) != fmt.Sprint(want) {
				t.Fatalf("cut at step %d: other chunks than without", steps)
			}
			ended(t, s)
			if steps > 0 && !cut {
				t.Logf("%d steps", steps-1)
				return
			}
		}
	})
}

// Chunks of a revision that was never shown, because its reading died and another
// was given, are gone with the next that is.
func TestSources_LeavesNothingOfARevisionThatWasNeverShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBookshop(t)
		s := h.system(t)
		src, _, err := s.Sources().Add(t.Context(), "acme", "k", given(paragraphs(10)))
		if err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		var mu sync.Mutex
		left := 3 // the source, two parts of its chunks; then the process dies
		h.setBefore(func(chat.Commit) (chat.Receipt, bool) {
			mu.Lock()
			defer mu.Unlock()
			left--
			return chat.Receipt{Answer: chat.StaleEpoch}, left < 0
		})
		if _, err := s.Sources().Replace(t.Context(), "acme", src.ID, given(paragraphs(300))); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		ended(t, s)
		if chunks, _, _ := h.state(t); len(chunks) <= 100 {
			t.Fatalf("%d chunks: it died too early for this test", len(chunks))
		}
		s = h.system(t)
		h.setBefore(nil)
		if _, err := s.Sources().Replace(t.Context(), "acme", src.ID, given(paragraphs(12))); err != nil {
			t.Fatal(err)
		}
		settle(2 * time.Hour)
		if chunks, vectors, done := h.state(t); len(chunks) != 12 || vectors != 12 || done.State != chat.SourceReady || done.Live != done.Revision {
			t.Errorf("%d chunks, %d vectors, %+v", len(chunks), vectors, done)
		}
		ended(t, s)
	})
}

func TestSources_EmbedsAnewForAnotherModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBookshop(t)
		s := h.system(t)
		if _, _, err := s.Sources().Add(t.Context(), "acme", "k", given(paragraphs(40))); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		h.with(func() { h.model, h.dims = "m2", 8 })
		settle(2 * time.Minute)
		chunks, vectors, done := h.state(t)
		if len(chunks) != 40 || vectors != 40 || done.Model != "m2" || done.Dims != 8 || done.State != chat.SourceReady {
			t.Errorf("%d chunks, %d vectors, %+v", len(chunks), vectors, done)
		}
		h.with(func() { h.model = "" })
		settle(2 * time.Minute)
		if left, _ := h.Docs(t.Context(), "acme", chat.DocVectors); len(left) != 0 {
			t.Errorf("%d batches without a model", len(left))
		}
		if found, err := s.Sources().Search(t.Context(), "acme", "door 77", 3); err != nil || len(found) == 0 {
			t.Errorf("%v, %v", found, err)
		}
		ended(t, s)
	})
}

// What cannot be read says why, and what was read before is searched on.
func TestSources_FailureShowsAndHarmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBookshop(t)
		s := h.system(t)
		src, _, err := s.Sources().Add(t.Context(), "acme", "k", given("The door opens at nine."))
		if err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if _, err := s.Sources().Replace(t.Context(), "acme", src.ID, given("broken")); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if _, _, got := h.state(t); got.State != chat.SourceFailed || got.Reason != "file_unreadable" || got.Live != 1 {
			t.Errorf("%+v", got)
		}
		if found, err := s.Sources().Search(t.Context(), "acme", "door", 3); err != nil || len(found) != 1 {
			t.Errorf("%v, %v", found, err)
		}
		h.with(func() { h.unsettled = chat.E("egress", chat.KindUnavailable, "timeout", nil) })
		site, _, err := s.Sources().Add(t.Context(), "acme", "k2", chat.Given{Kind: chat.SourceWebsite, URL: "https://example.com/", PagesMax: 3})
		if err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if got, _ := s.Sources().Source("acme", site.ID); got.State != chat.SourceWaiting || got.Reason != "timeout" {
			t.Errorf("%+v", got)
		}
		h.with(func() {
			h.unsettled, h.site = nil, []chat.Excerpt{{Title: "Home", URL: "https://example.com/", Text: "We rent boats."}}
		})
		settle(3 * time.Minute)
		if got, _ := s.Sources().Source("acme", site.ID); got.State != chat.SourceReady || got.Pages != 1 || got.Reason != "" {
			t.Errorf("%+v", got)
		}
		if found, err := s.Sources().Search(t.Context(), "acme", "boats", 3); err != nil || len(found) == 0 || found[0].URL != "https://example.com/" {
			t.Errorf("%v, %v", found, err)
		}
		if _, _, err := s.Sources().Add(t.Context(), "acme", "k3", chat.Given{Kind: chat.SourceWebsite}); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("a website without an address: %v", err)
		}
		if _, err := s.Sources().Source("acme", "src_none"); chat.KindOf(err) != chat.KindNotFound {
			t.Errorf("no source: %v", err)
		}
		ended(t, s)
	})
}
