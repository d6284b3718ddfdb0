package actors

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/chumiai/chumi/chat"
)

func libraryOf(t *testing.T, store *memStore, media *scriptMedia) *System {
	t.Helper()
	files := openFiles(t)
	o := options(store, echoModel(), &ledgerGraph{})
	o.Media, o.Files, o.Opener = media, files, files
	return started(t, o)
}

// A file is given to Meta once for a channel, however many messages wait for it.
func TestLibrary_LendsAFileOncePerChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, media := newMemStore(), newMedia(nil)
		s := libraryOf(t, store, media)
		u, replayed, err := s.Library().Upload(t.Context(), "acme", "k", chat.FileInfo{MIME: "image/png", Filename: "a.png"}, strings.NewReader("menu"))
		if err != nil || replayed {
			t.Fatal(replayed, err)
		}
		wa, _ := store.ChannelByID("acme-wa")
		second := wa
		second.ID = "acme-wa-2"
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if id, err := s.Library().MediaID(t.Context(), wa, string(u.Blob)); err != nil || id != "menu of acme-wa, 1" {
					t.Errorf("%q, %v", id, err)
				}
			})
		}
		group.Wait()
		if id, err := s.Library().MediaID(t.Context(), second, string(u.Blob)); err != nil || id != "menu of acme-wa-2, 2" {
			t.Errorf("another channel: %q, %v", id, err)
		}
		bolt, _ := store.ChannelByID("bolt-ig")
		for _, blob := range []string{string(u.Blob), "blob_nonsense", ""} {
			if _, err := s.Library().MediaID(t.Context(), bolt, blob); chat.KindOf(err) != chat.KindNotFound {
				t.Errorf("another tenant's %q: %v", blob, err)
			}
		}
		ended(t, s)
	})
}

func TestLibrary_AKeyIsForOneFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		s := libraryOf(t, store, newMedia(nil))
		l, info := s.Library(), chat.FileInfo{MIME: "image/png"}
		first, _, err := l.Upload(t.Context(), "acme", "k", info, strings.NewReader("menu"))
		if err != nil {
			t.Fatal(err)
		}
		again, replayed, err := l.Upload(t.Context(), "acme", "k", info, strings.NewReader("menu"))
		if err != nil || !replayed || again.Blob != first.Blob {
			t.Errorf("%s, %v, %v", again.Blob, replayed, err)
		}
		if _, _, err := l.Upload(t.Context(), "acme", "k", info, strings.NewReader("other")); chat.KindOf(err) != chat.KindConflict {
			t.Errorf("for another file: %v", err)
		}
		if other, replayed, err := l.Upload(t.Context(), "bolt", "k", info, strings.NewReader("menu")); err != nil || replayed || other.Blob == first.Blob {
			t.Errorf("of another tenant: %s, %v, %v", other.Blob, replayed, err)
		}
		body, got, err := l.File(t.Context(), "acme", string(first.Blob), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(body); err != nil || string(b) != "menu" || got.MIME != "image/png" {
			t.Errorf("%q as %s, %v", b, got.MIME, err)
		}
		if _, _, err := l.File(context.Background(), "bolt", string(first.Blob), 0, 0); chat.KindOf(err) != chat.KindNotFound {
			t.Errorf("another tenant reads it: %v", err)
		}
		settle(2 * orphanAge) // the sweep comes by
		if _, _, err := l.File(context.Background(), "acme", string(first.Blob), 0, 0); err != nil {
			t.Errorf("after the sweep: %v", err)
		}
		ended(t, s)
	})
}
