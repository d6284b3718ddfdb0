package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func sign(secret string, body []byte) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return []byte("sha256=" + hex.EncodeToString(m.Sum(nil)))
}

// The signature covers the escapes as sent: vector made with
// printf %s BODY | openssl dgst -sha256 -hmac spine-secret.
const (
	vectorBody   = `{"text":"caf\u00e9 \/ \ud83d\ude00"}`
	vectorSecret = "spine-secret"
	vectorHeader = "sha256=67102e2d529f1ff0198f6a82a28ec28ab0a2d77ab29889887ebe87f990881fd9"
)

func TestVerifier_Vector(t *testing.T) {
	v := NewVerifier([]chat.Secret{vectorSecret})
	if _, ok := v.Verify([]byte(vectorHeader), []byte(vectorBody)); !ok {
		t.Error("the vector is refused")
	}
	if _, ok := v.Verify([]byte(vectorHeader), []byte(`{"text":"café / 😀"}`)); ok {
		t.Error("a body that was decoded and encoded again is accepted")
	}
}

func TestVerifier_SharedVector(t *testing.T) {
	path := filepath.Join(sharedFixtures(t), "whatsapp", "edge-raw-unicode-escaped-signed.json")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Skip(err)
	}
	const header = "sha256=c41141a20d2d8dfce4f3ccf71e7a0a09bb2ae82f11848ea544bc0c3fb0ff2061"
	if _, ok := NewVerifier([]chat.Secret{"test_app_secret_0123456789abcdef"}).Verify([]byte(header), body); !ok {
		t.Error("the vector is refused")
	}
}

func TestVerifier_Headers(t *testing.T) {
	body := []byte(`{"a":1}`)
	good := string(sign("new", body))
	secrets := []chat.Secret{"new", "old"}
	digits := strings.TrimPrefix(good, "sha256=")
	cases := []struct {
		name, header string
		body         []byte
		secrets      []chat.Secret
		index        int
		ok           bool
	}{
		{"first secret", good, body, secrets, 0, true},
		{"second secret", string(sign("old", body)), body, secrets, 1, true},
		{"the same secret twice is the first", good, body, []chat.Secret{"new", "new"}, 0, true},
		{"empty body", string(sign("new", nil)), nil, secrets, 0, true},
		{"wrong secret", string(sign("other", body)), body, secrets, 0, false},
		{"no header", "", body, secrets, 0, false},
		{"prefix only", "sha256=", body, secrets, 0, false},
		{"no prefix", digits, body, secrets, 0, false},
		{"sha1 prefix", "sha1=" + digits, body, secrets, 0, false},
		{"uppercase prefix", "SHA256=" + digits, body, secrets, 0, false},
		{"uppercase digits", "sha256=" + strings.ToUpper(digits), body, secrets, 0, false},
		{"a digit short", good[:len(good)-1], body, secrets, 0, false},
		{"a digit long", good + "0", body, secrets, 0, false},
		{"space before", " " + good[:len(good)-1], body, secrets, 0, false},
		{"newline at the end", good[:len(good)-1] + "\n", body, secrets, 0, false},
		{"not hex", "sha256=" + strings.Repeat("g", 64), body, secrets, 0, false},
		{"body changed", good, []byte(`{"a":2}`), secrets, 0, false},
		{"body cut", good, body[:len(body)-1], secrets, 0, false},
		{"no secrets", good, body, nil, 0, false},
		{"an empty secret verifies nothing", string(sign("", body)), body, []chat.Secret{""}, 0, false},
		{"an empty secret beside a real one", string(sign("", body)), body, []chat.Secret{"", "new"}, 0, false},
		{"a real secret beside an empty one", good, body, []chat.Secret{"", "new"}, 1, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := NewVerifier(c.secrets)
			for range 2 { // the second time with pooled hashes
				index, ok := v.Verify([]byte(c.header), c.body)
				if ok != c.ok || ok && index != c.index {
					t.Errorf("got %d, %v; want %d, %v", index, ok, c.index, c.ok)
				}
			}
		})
	}
}

func TestVerifier_DoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	body := []byte(textBody)
	header := sign("new", body)
	v := NewVerifier([]chat.Secret{"old", "new"})
	if n := testing.AllocsPerRun(100, func() { v.Verify(header, body) }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add([]byte(vectorHeader), []byte(vectorBody))
	f.Add([]byte("sha256="+strings.Repeat("0", 64)), []byte("{}"))
	f.Add([]byte("sha1=x"), []byte(""))
	v := NewVerifier([]chat.Secret{"s1", vectorSecret})
	f.Fuzz(func(t *testing.T, header, body []byte) {
		index, ok := v.Verify(header, body)
		want := -1
		for i, s := range []string{"s1", vectorSecret} {
			if string(header) == string(sign(s, body)) {
				want = i
			}
		}
		if ok != (want >= 0) || ok && index != want {
			t.Errorf("got %d, %v; want %d", index, ok, want)
		}
		// One flipped bit of a good header is never accepted.
		good := sign(vectorSecret, body)
		if len(header) > 0 {
			good[int(header[0])%len(good)] ^= 1 << (header[0] % 8)
			if _, ok := v.Verify(good, body); ok {
				t.Errorf("accepted %q", good)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	body := []byte(textBody)
	header := sign("new", body)
	v := NewVerifier([]chat.Secret{"new"})
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := v.Verify(header, body); !ok {
			b.Fatal("refused")
		}
	}
}
