package seal

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func TestBox_OpensOnlyWhatItSealedForThePlace(t *testing.T) {
	key := NewKey()
	box, err := NewBox(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Seal([]byte("hello"), []byte("place"))
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != len("hello")+Overhead || bytes.Contains(sealed, []byte("hello")) {
		t.Errorf("sealed text %x", sealed)
	}
	if plain, err := box.Open(sealed, []byte("place")); err != nil || string(plain) != "hello" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := box.Open(sealed, []byte("other")); chat.KindOf(err) != chat.KindCorrupt {
		t.Errorf("another place: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := box.Open(bad, []byte("place")); err == nil {
			t.Errorf("byte %d flipped and it opens", i)
		}
	}
	other, err := NewBox(NewKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(sealed, []byte("place")); err == nil {
		t.Error("another key opens it")
	}
	if again, _ := box.Seal([]byte("hello"), []byte("place")); bytes.Equal(again, sealed) {
		t.Error("the same text seals to the same bytes twice")
	}
	if _, err := NewBox(key[:16]); err == nil {
		t.Error("a short key is taken")
	}
}

func TestPepper_KeepsPartsAndPurposesApart(t *testing.T) {
	p := NewPepper([]byte("k"))
	seen := map[[16]byte]string{}
	for name, h := range map[string][16]byte{
		"ab|c": p.Hash(1, "ab", "c"), "a|bc": p.Hash(1, "a", "bc"), "abc": p.Hash(1, "abc"),
		"abc|": p.Hash(1, "abc", ""), "purpose": p.Hash(2, "abc"), "key": NewPepper([]byte("l")).Hash(1, "abc"),
	} {
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s hash alike", name, other)
		}
		seen[h] = name
	}
	want := p.Hash(1, "x")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if p.Hash(1, "x") != want {
					t.Error("concurrent use changes the hash")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestKEK_File(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets", "kek")
	if _, err := LoadKEK(path); chat.KindOf(err) != chat.KindNotFound {
		t.Fatalf("a missing file: %v", err)
	}
	first, created, err := LoadOrCreateKEK(path)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o400 {
		t.Error(info.Mode(), err)
	}
	second, created, err := LoadOrCreateKEK(path)
	if err != nil || created || second.Fingerprint() != first.Fingerprint() {
		t.Error(created, err)
	}
	wrapped, err := first.Wrap([]byte("secret"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := second.Unwrap(wrapped, []byte("ad")); err != nil || string(plain) != "secret" {
		t.Error(string(plain), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Error("something was left beside the key file", entries, err)
	}
	if err := os.Chmod(path, 0o440); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKEK(path); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("a file others may read: %v", err)
	}
	for _, bad := range []string{"", "abcd", string(bytes.Repeat([]byte("z"), 64))} {
		other := filepath.Join(t.TempDir(), "kek")
		if err := os.WriteFile(other, []byte(bad), 0o400); err != nil {
			t.Fatal(err)
		}
		if _, _, err := LoadOrCreateKEK(other); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// How systemd and Kubernetes hand a key over is no exposure; anything else that
// lets somebody besides the owner read it is.
func TestExposed_GroupOfAFileOfRoots(t *testing.T) {
	const root, user, other = 0, 1000, 1001
	for _, c := range []struct {
		mode        os.FileMode
		owner, self int
		want        bool
	}{
		{0o400, user, user, false}, {0o600, user, user, false}, {0o400, root, root, false},
		{0o440, root, user, false}, {0o640, root, user, false},
		{0o440, root, root, true}, {0o440, user, user, true}, {0o440, other, user, true}, {0o440, -1, user, true},
		{0o444, root, user, true}, {0o404, root, user, true}, {0o460, root, user, true}, {0o450, root, user, true}, {0o404, user, user, true},
		{0o440, root, -1, true},
	} {
		if got := exposed(c.mode, c.owner, c.self); got != c.want {
			t.Errorf("mode %04o of %d, read by %d: exposed %v", c.mode, c.owner, c.self, got)
		}
	}
}
