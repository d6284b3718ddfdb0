package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/blob"
	"github.com/chumiai/chumi/persistence/blob/blobtest"
)

// places are all kinds of Place, each with what lies in it.
func places(t *testing.T) map[string]func(*testing.T) (blob.Place, func() map[string][]byte) {
	return map[string]func(*testing.T) (blob.Place, func() map[string][]byte){
		"directory": func(t *testing.T) (blob.Place, func() map[string][]byte) {
			root := t.TempDir()
			d, err := blob.OpenDir(nil, root, 0)
			if err != nil {
				t.Fatal(err)
			}
			return d, func() map[string][]byte { return filesOf(t, root) }
		},
		"bucket": func(t *testing.T) (blob.Place, func() map[string][]byte) {
			s, b := newBucket(t)
			return b, s.Stored
		},
		"part of a bucket": func(t *testing.T) (blob.Place, func() map[string][]byte) {
			s, b := newBucket(t)
			return blob.Below(b, "shop/files"), s.Stored
		},
	}
}

func newBucket(t *testing.T) (*blobtest.Server, *blob.Bucket) {
	t.Helper()
	s := blobtest.Start(t)
	b, err := blob.OpenBucket(blob.BucketOptions{Endpoint: s.Addr, Bucket: blobtest.Bucket,
		Region: "eu-central-1", AccessKey: "access", SecretKey: chat.Secret("secret")})
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}

func filesOf(t *testing.T, root string) map[string][]byte {
	all := map[string][]byte{}
	err := filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		all[strings.TrimPrefix(p, root+"/")] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func each(t *testing.T, test func(*testing.T, *blob.Store, func() map[string][]byte)) {
	for name, open := range places(t) {
		t.Run(name, func(t *testing.T) {
			p, stored := open(t)
			test(t, blob.New(p), stored)
		})
	}
}

const tenant chat.TenantID = "acme"

func body(c string) string { return strings.Repeat(c, 26) }

func stem(t *testing.T, c string, seq chat.Seq, index int) chat.BlobStem {
	s, ok := chat.MediaStem(chat.MessageIDAt(chat.ConversationIDFrom(body(c)), seq), index)
	if !ok {
		t.Fatal("no stem")
	}
	return s
}

func keep(t *testing.T, s *blob.Store, of chat.TenantID, stem chat.BlobStem, plain []byte) chat.Kept {
	t.Helper()
	k, err := s.Keep(t.Context(), of, stem, bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func read(s *blob.Store, of chat.TenantID, k chat.Kept) ([]byte, error) {
	r, err := s.Open(context.Background(), of, k.Blob, k.Key, 0)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func TestStore_GivesBackWhatItKept(t *testing.T) {
	each(t, func(t *testing.T, s *blob.Store, stored func() map[string][]byte) {
		for _, size := range []int{0, 1, 300_000, 5<<20 - 100, 11 << 20} {
			plain := bytes.Repeat([]byte("holiday photograph "), size/19+1)[:size]
			k := keep(t, s, tenant, stem(t, "a", 3, size%7), plain)
			if got, err := read(s, tenant, k); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes: %d come back, %v", size, len(got), err)
			}
			sum := sha256.Sum256(plain)
			if k.Size != int64(size) || k.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("%d bytes: told as %d, %s", size, k.Size, k.SHA256)
			}
			if _, err := read(s, "other", k); chat.KindOf(err) != chat.KindNotFound {
				t.Errorf("another tenant reads it: %v", err)
			}
		}
		for name, b := range stored() {
			if bytes.Contains(b, []byte("photograph")) {
				t.Errorf("%s holds plain text", name)
			}
		}
	})
}

func TestStore_EqualFilesCannotBeTold(t *testing.T) {
	each(t, func(t *testing.T, s *blob.Store, stored func() map[string][]byte) {
		plain := []byte("the same menu for everybody")
		a, b := keep(t, s, tenant, stem(t, "a", 1, 0), plain), keep(t, s, "other", stem(t, "b", 1, 0), plain)
		seen := map[string]bool{}
		for _, v := range stored() {
			seen[string(v)] = true
		}
		if len(seen) != 2 || bytes.Equal(a.Key, b.Key) {
			t.Errorf("%d different files and keys alike: %v", len(seen), bytes.Equal(a.Key, b.Key))
		}
		b.Key = a.Key
		if _, err := read(s, "other", b); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("the key of one opens the other: %v", err)
		}
	})
}

func TestStore_AFileThatBreaksOffIsNotThere(t *testing.T) {
	broken := errors.New("the other side hung up")
	each(t, func(t *testing.T, s *blob.Store, stored func() map[string][]byte) {
		for _, size := range []int{0, 1000, 9 << 20} {
			r := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(broken))
			if _, err := s.Keep(t.Context(), tenant, stem(t, "a", 1, 0), r); !errors.Is(err, broken) {
				t.Errorf("after %d bytes: %v, want the reader's own error", size, err)
			}
		}
		if all := stored(); len(all) != 0 {
			t.Errorf("%d files stayed", len(all))
		}
	})
}

func TestStore_DropsWhatBelongsTogether(t *testing.T) {
	each(t, func(t *testing.T, s *blob.Store, _ func() map[string][]byte) {
		message := chat.MessageIDAt(chat.ConversationIDFrom(body("a")), 1)
		prefix, _ := chat.MessagePrefix(message)
		gone := []chat.Kept{keep(t, s, tenant, stem(t, "a", 1, 0), nil), keep(t, s, tenant, stem(t, "a", 1, 1), nil)}
		stays := []chat.Kept{keep(t, s, tenant, stem(t, "a", 11, 0), nil), keep(t, s, tenant, stem(t, "aab"[:1], 2, 0), nil)}
		other := keep(t, s, "other", stem(t, "a", 1, 0), nil)
		for range 2 {
			if err := s.Drop(t.Context(), tenant, prefix); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range gone {
			if _, err := read(s, tenant, k); chat.KindOf(err) != chat.KindNotFound {
				t.Errorf("%s is still there: %v", k.Blob, err)
			}
		}
		for _, k := range stays {
			if _, err := read(s, tenant, k); err != nil {
				t.Errorf("%s went too: %v", k.Blob, err)
			}
		}
		if err := s.Drop(t.Context(), tenant, chat.OwnerPrefix(chat.ConversationIDFrom(body("a")))); err != nil {
			t.Fatal(err)
		}
		if _, err := read(s, tenant, stays[0]); chat.KindOf(err) != chat.KindNotFound {
			t.Errorf("a file of the conversation is still there: %v", err)
		}
		if _, err := read(s, "other", other); err != nil {
			t.Errorf("another tenant's file went too: %v", err)
		}
		if err := s.Drop(t.Context(), tenant, "blob_"); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("everything was dropped: %v", err)
		}
	})
}

func TestStore_VisitsOldFilesWithTheirTenant(t *testing.T) {
	each(t, func(t *testing.T, s *blob.Store, _ func() map[string][]byte) {
		want := map[chat.BlobID]chat.TenantID{}
		for _, of := range []chat.TenantID{tenant, "a.b", "..", "with space/slash"} {
			want[keep(t, s, of, stem(t, "c", 4, 0), []byte("x")).Blob] = of
		}
		got := map[chat.BlobID]chat.TenantID{}
		err := s.Each(t.Context(), time.Now().Add(time.Hour), func(of chat.TenantID, b chat.BlobID) error {
			got[b] = of
			return nil
		})
		if err != nil || len(got) != len(want) {
			t.Fatal(len(got), "of", len(want), err)
		}
		for b, of := range want {
			if got[b] != of {
				t.Errorf("%s is %q's, want %q", b, got[b], of)
			}
		}
		err = s.Each(t.Context(), time.Now().Add(-time.Hour), func(chat.TenantID, chat.BlobID) error {
			t.Error("a young file is visited")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// What Keep returned is whole after a power cut; what it had not is not there.
func TestDir_KeepSurvivesAPowerCut(t *testing.T) {
	mem := vfs.NewCrashableMem()
	d, err := blob.OpenDir(mem, "media", 0)
	if err != nil {
		t.Fatal(err)
	}
	// The root is the store's to make durable.
	root, err := mem.OpenDir("")
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Sync(); err != nil {
		t.Fatal(err)
	}
	plain := bytes.Repeat([]byte("keep me "), 20_000)
	k := keep(t, blob.New(d), tenant, stem(t, "a", 1, 0), plain)
	_, err = blob.New(d).Keep(t.Context(), tenant, stem(t, "a", 2, 0), iotest.ErrReader(errors.New("cut")))
	if err == nil {
		t.Fatal("kept what broke off")
	}
	after, err := blob.OpenDir(mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0}), "media", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(blob.New(after), tenant, k); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes after the cut, %v", len(got), err)
	}
}

func TestDir_LeavesTheReserve(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 999})
	d, err := blob.OpenDir(mem, "media", 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blob.New(d).Keep(t.Context(), tenant, stem(t, "a", 1, 0), strings.NewReader("x")); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("%v, want unavailable", err)
	}
}

func TestBucket_ABusyBucketIsUnavailable(t *testing.T) {
	s, b := newBucket(t)
	s.Fail(func(r *http.Request) bool { return r.Method == http.MethodPut })
	if _, err := blob.New(b).Keep(t.Context(), tenant, stem(t, "a", 1, 0), strings.NewReader("x")); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("%v, want unavailable", err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

// A part of a file is that part, at every border of pieces, and is proven like the
// whole: its bytes, their place, and the end.
func TestStore_OpensAnywhere(t *testing.T) {
	const first, whole = 64<<10 - 40 - 16, 64<<10 - 16 // plain bytes of the first piece and of others
	each(t, func(t *testing.T, s *blob.Store, stored func() map[string][]byte) {
		plain := make([]byte, first+3*whole+77)
		for i := range plain {
			plain[i] = byte(i>>8) ^ byte(i)
		}
		k := keep(t, s, tenant, stem(t, "a", 3, 0), plain)
		from := func(at int64) ([]byte, error) {
			r, err := s.Open(t.Context(), tenant, k.Blob, k.Key, at)
			if err != nil {
				return nil, err
			}
			b, err := io.ReadAll(r)
			return b, errors.Join(err, r.Close())
		}
		size := int64(len(plain))
		for _, at := range []int64{0, 1, first - 1, first, first + 1, first + whole - 1, first + whole, first + 2*whole + 5, size - 78, size - 77, size - 1, size} {
			if b, err := from(at); err != nil || !bytes.Equal(b, plain[at:]) {
				t.Errorf("from %d: %d bytes, %v; want %d", at, len(b), err, size-at)
			}
		}
		if _, err := from(size + 100_000); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("behind the end: %v", err)
		}
		if !strings.HasSuffix(t.Name(), "bucket") {
			return // what is stored is a copy
		}
		for _, sealed := range stored() {
			sealed[len(sealed)-90_000] ^= 1
		}
		if _, err := from(10); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("a part that is damaged: %v", err)
		}
	})
}
