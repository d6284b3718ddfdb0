package actors

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// What a customer sent goes on as a copy of the tenant's own, made once: it outlives
// the original, and nothing is made of what is gone or another tenant's.
func TestIngress_ForwardsFilesOfCustomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, files := newMemStore(), openFiles(t)
		media := newMedia(func(_ context.Context, m chat.Media, _ int) (string, error) { return "the picture " + m.ID, nil })
		o := options(store, echoModel(), &ledgerGraph{})
		o.Media, o.Files, o.Opener = media, files, files
		s := started(t, o)
		deliver(t, s, pictureFrom("1", "wamid.1", "a"), pictureFrom("2", "wamid.2", "b"))
		settle(time.Minute)
		first, second := store.files(conversationOf("1"))[0].Blob, store.files(conversationOf("2"))[0].Blob
		send := func(of chat.TenantID, blob string) (chat.Verdict, string) {
			m := picture(blob)
			v, err := s.Ingress().Send(t.Context(), of, conversationOf("2"), m)
			if err != nil {
				t.Fatal(err)
			}
			if m.Content.Media[0].Blob != blob {
				t.Error("the request was changed")
			}
			events, err := store.Events(of, conversationOf("2"), 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.Kind == chat.MessageQueued && v.Message != "" && e.Message.ID == v.Message {
					return v, e.Message.Content.Media[0].Blob
				}
			}
			return v, ""
		}
		_, copied := send("acme", first)
		if _, again := send("acme", first); copied == first || copied == "" || again != copied {
			t.Errorf("%s went as %q, then as %q", first, copied, again)
		}
		if v, _ := send("bolt", first); v.Reason != "media_not_found" {
			t.Errorf("another tenant's: %+v", v)
		}
		deliver(t, s, revokeOf("1", "wamid.3", "wamid.1"), revokeOf("2", "wamid.4", "wamid.2"))
		settle(time.Minute)
		if _, kept := send("acme", first); kept != copied {
			t.Errorf("what was passed on before it was taken back goes as %q", kept)
		}
		if v, _ := send("acme", second); v.Kind != chat.VerdictRefused || v.Reason != "media_not_found" {
			t.Errorf("what was taken back: %+v", v)
		}
		settle(2 * orphanAge) // the sweep comes by
		if body, _, err := s.Library().File(t.Context(), "acme", copied, 0, 0); err != nil {
			t.Error(err)
		} else if b, _ := io.ReadAll(body); string(b) != "the picture a" {
			t.Errorf("the copy is %q", b)
		}
		ended(t, s)
	})
}
