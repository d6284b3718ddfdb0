package seal

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/chumiai/chumi/chat"
)

func sealFile(t *testing.T, key, ad, plain []byte) []byte {
	t.Helper()
	f, err := NewFile(key, ad)
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := f.Seal(&sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes()
}

func openFile(key, ad, sealed []byte) ([]byte, error) {
	f, err := NewFile(key, ad)
	if err != nil {
		return nil, err
	}
	r, err := f.Open(bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestFile_OpensOnlyWhatItSealedForThePlace(t *testing.T) {
	key, place := NewKey(), []byte("place")
	for _, size := range []int{0, 1, segmentLen - 1, segmentLen, 3*segmentLen + 7} {
		plain := bytes.Repeat([]byte("a secret picture "), size/17+1)[:size]
		sealed := sealFile(t, key, place, plain)
		if size > 16 && bytes.Contains(sealed, []byte("secret")) {
			t.Errorf("%d bytes: the plain text shows", size)
		}
		if got, err := openFile(key, place, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %d come back, %v", size, len(got), err)
		}
		if _, err := openFile(key, []byte("elsewhere"), sealed); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("%d bytes: moved elsewhere it opens: %v", size, err)
		}
		if _, err := openFile(NewKey(), place, sealed); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("%d bytes: another key opens it: %v", size, err)
		}
		if bytes.Equal(sealFile(t, key, place, plain), sealed) {
			t.Errorf("%d bytes: the same file seals to the same bytes twice", size)
		}
	}
}

func TestFile_IsCutOrChangedNowhere(t *testing.T) {
	key, place := NewKey(), []byte("place")
	plain := bytes.Repeat([]byte("0123456789abcdef"), 2*segmentLen/16+3)
	sealed := sealFile(t, key, place, plain)
	for _, n := range []int{0, 1, 40, segmentLen, 2 * segmentLen, len(sealed) - 1} {
		if got, err := openFile(key, place, sealed[:n]); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("cut at %d: %d bytes and %v", n, len(got), err)
		}
	}
	for n := 0; n < len(sealed); n += 997 {
		bad := bytes.Clone(sealed)
		bad[n] ^= 1
		if _, err := openFile(key, place, bad); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("byte %d flipped: %v", n, err)
		}
	}
}

func TestFile_TellsABrokenSourceFromBadBytes(t *testing.T) {
	key := NewKey()
	sealed := sealFile(t, key, nil, bytes.Repeat([]byte("x"), 2*segmentLen))
	broken := errors.New("the disk is gone")
	f, err := NewFile(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Open(io.MultiReader(bytes.NewReader(sealed[:segmentLen+9]), iotest.ErrReader(broken)))
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, broken) {
		t.Errorf("%v, want the source's own error", err)
	}
}
