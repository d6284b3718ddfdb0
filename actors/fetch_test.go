package actors

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/blob"
)

// scriptMedia opens files with a function, and counts.
type scriptMedia struct {
	mu            sync.Mutex
	asked         map[string]int
	running, peak int
	open          func(ctx context.Context, m chat.Media, n int) (string, error)
}

func newMedia(open func(ctx context.Context, m chat.Media, n int) (string, error)) *scriptMedia {
	return &scriptMedia{asked: map[string]int{}, open: open}
}

// OpenMedia implements Media.
func (s *scriptMedia) OpenMedia(ctx context.Context, _ chat.Channel, m chat.Media) (io.ReadCloser, string, error) {
	s.mu.Lock()
	s.asked[m.ID]++
	n := s.asked[m.ID]
	s.running++
	s.peak = max(s.peak, s.running)
	s.mu.Unlock()
	text, err := s.open(ctx, m, n)
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	return io.NopCloser(strings.NewReader(text)), "image/jpeg", err
}

// UploadMedia implements Media.
func (s *scriptMedia) UploadMedia(_ context.Context, ch chat.Channel, _, _ string, size int64, body io.Reader) (string, error) {
	b, err := io.ReadAll(body)
	if err != nil || int64(len(b)) != size {
		return "", &chat.MediaError{Reason: "cut"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked["upload"]++
	return fmt.Sprintf("%s of %s, %d", b, ch.ID, s.asked["upload"]), nil
}

func (s *scriptMedia) count(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[id]
}

// openFiles is the real place of files, on a file system in memory.
func openFiles(t *testing.T) *blob.Store {
	t.Helper()
	d, err := blob.OpenDir(vfs.NewMem(), "media", 0)
	if err != nil {
		t.Fatal(err)
	}
	return blob.New(d)
}

func stored(t *testing.T, files *blob.Store) (list []chat.BlobID) {
	t.Helper()
	err := files.Each(context.Background(), time.Now().Add(time.Hour), func(_ chat.TenantID, b chat.BlobID) error {
		list = append(list, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func pictureFrom(who, remote string, ids ...string) chat.Inbound {
	in := textFrom(who, remote, "")
	in.Type, in.Content = "image", &chat.Content{}
	for _, id := range ids {
		in.Content.Media = append(in.Content.Media, chat.Media{Kind: "image", ID: id, Filename: id + ".jpg"})
	}
	return in
}

// files lists what was told of files, in order.
func (s *memStore) files(id chat.ConversationID) (list []chat.MediaRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events[id] {
		if e.Media != nil {
			list = append(list, *e.Media)
		}
	}
	return list
}

func TestFetch_AFileIsTriedUntilItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, files := newMemStore(), openFiles(t)
		media := newMedia(func(_ context.Context, m chat.Media, n int) (string, error) {
			switch {
			case m.ID == "gone":
				return "", &chat.MediaError{Reason: "gone", Stubborn: true}
			case m.ID == "huge":
				return "", &chat.MediaError{Reason: "too_large", Permanent: true}
			case n < 12:
				return "", &chat.MediaError{Reason: "meta_unavailable"}
			}
			return "the picture " + m.ID, nil
		})
		o := options(store, echoModel(), &ledgerGraph{})
		o.Media, o.Files, o.Opener = media, files, files
		s := started(t, o)
		deliver(t, s, pictureFrom("1", "wamid.1", "late", "gone", "huge"))
		settle(6 * time.Hour)
		want := map[string]string{"huge": "too_large", "gone": "gone", "late": ""}
		got := store.files(conversationOf("1"))
		if len(got) != 3 {
			t.Fatalf("%d files told of: %+v", len(got), got)
		}
		for _, m := range got {
			name := []string{"late", "gone", "huge"}[m.Index]
			if m.Reason != want[name] || m.Message != chat.MessageIDAt(conversationOf("1"), 2) {
				t.Errorf("%s: %+v", name, m)
			}
			if name != "late" {
				continue
			}
			r, err := files.Open(t.Context(), "acme", chat.BlobID(m.Blob), m.Key, 0)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r); err != nil || string(b) != "the picture late" || m.Size != int64(len(b)) || m.Filename != "late.jpg" {
				t.Errorf("%q, %+v, %v", b, m, err)
			}
		}
		if n := media.count("late"); n != 12 {
			t.Errorf("asked %d times for what was there at the 12th", n)
		}
		if media.count("gone") != 3 || media.count("huge") != 1 {
			t.Errorf("asked %d and %d times for what cannot be had", media.count("gone"), media.count("huge"))
		}
		ended(t, s)
	})
}

// heldFiles keeps a file and never says so, as a process that is killed then.
type heldFiles struct {
	*blob.Store
	kept chan struct{}
}

// Keep implements Files.
func (h *heldFiles) Keep(ctx context.Context, t chat.TenantID, stem chat.BlobStem, r io.Reader) (chat.Kept, error) {
	k, err := h.Store.Keep(ctx, t, stem, r)
	close(h.kept)
	<-ctx.Done()
	return k, err
}

// A process that dies between a file and the commit that tells of it leaves a file
// that nobody refers to: the next start fetches it again, tells of it once, and
// the sweep finds the first.
func TestFetch_KilledBetweenFileAndCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, files := newMemStore(), openFiles(t)
		media := newMedia(func(context.Context, chat.Media, int) (string, error) { return "picture", nil })
		held := &heldFiles{files, make(chan struct{})}
		o := options(store, echoModel(), &ledgerGraph{})
		o.Media, o.Files, o.Opener = media, held, files
		s := started(t, o)
		deliver(t, s, pictureFrom("1", "wamid.1", "a"))
		<-held.kept
		s.Stop() // no drain: killed
		if n := len(store.files(conversationOf("1"))); n != 0 {
			t.Fatalf("told of %d files before the crash", n)
		}
		store.elect(2)
		o.Files = files
		s = started(t, o)
		settle(time.Minute)
		told := store.files(conversationOf("1"))
		if len(told) != 1 || told[0].Blob == "" {
			t.Fatalf("told of %d files: %+v", len(told), told)
		}
		if all := stored(t, files); len(all) != 2 {
			t.Fatalf("%d files stored, want the one told of and the one left", len(all))
		}
		settle(3 * filesSweepEvery) // not a day old
		if all := stored(t, files); len(all) != 2 {
			t.Errorf("%d files stored: a young one was swept", len(all))
		}
		settle(orphanAge)
		all := stored(t, files)
		if len(all) != 1 || string(all[0]) != told[0].Blob {
			t.Errorf("after the sweep %v is stored, want %s alone", all, told[0].Blob)
		}
		ended(t, s)
	})
}

// A file that arrives twice is told of once, and the second copy goes.
func TestFetch_ACopyTooManyIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, files := newMemStore(), openFiles(t)
		o := options(store, echoModel(), &ledgerGraph{})
		o.Media, o.Files, o.Opener = newMedia(func(context.Context, chat.Media, int) (string, error) { return "picture", nil }), files, files
		s := started(t, o)
		deliver(t, s, pictureFrom("1", "wamid.1", "a"))
		settle(time.Second)
		stem, _ := chat.MediaStem(chat.MessageIDAt(conversationOf("1"), 2), 0)
		kept, err := files.Keep(t.Context(), "acme", stem, bytes.NewReader([]byte("picture")))
		if err != nil {
			t.Fatal(err)
		}
		s.insist("acme", store.Group("acme"), conversationOf("1"), chat.FetchFinished{Seq: 2, Kept: kept})
		settle(time.Second)
		told := store.files(conversationOf("1"))
		if all := stored(t, files); len(told) != 1 || len(all) != 1 || string(all[0]) != told[0].Blob {
			t.Errorf("told of %d, stored %v", len(told), all)
		}
		ended(t, s)
	})
}

// One channel's flood takes no more than its share, and everything arrives.
func TestFetch_AFloodTakesItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, files := newMemStore(), openFiles(t)
		media := newMedia(func(ctx context.Context, _ chat.Media, _ int) (string, error) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			return "picture", nil
		})
		o := options(store, echoModel(), &ledgerGraph{})
		o.Media, o.Files, o.Opener = media, files, files
		s := started(t, o)
		for i := range 10 {
			var ids []string
			for n := range 10 {
				ids = append(ids, fmt.Sprint(i, "-", n))
			}
			deliver(t, s, pictureFrom("1", fmt.Sprint("wamid.", i), ids...))
		}
		settle(time.Minute)
		if n := len(store.files(conversationOf("1"))); n != 100 {
			t.Errorf("told of %d of 100 files", n)
		}
		if media.peak != channelFetchesMax {
			t.Errorf("%d at once, want %d", media.peak, channelFetchesMax)
		}
		ended(t, s)
	})
}
