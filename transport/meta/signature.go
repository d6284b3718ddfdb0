package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"sync"

	"github.com/chumiai/chumi/chat"
)

// signaturePrefix is the only accepted scheme. The legacy SHA-1 header never is.
const signaturePrefix = "sha256="

// Verifier checks X-Hub-Signature-256 against the secrets of one Meta app.
// It is immutable and safe for concurrent use; build a new one when the
// secrets change.
type Verifier struct{ keys []*key }

// key is one app secret with its ready-made hashes. An HMAC that was Reset
// keeps its keyed state, which saves half of the time and all allocations.
type key struct {
	// usable is 0 for an empty secret, which must never verify anything.
	usable int
	macs   sync.Pool
}

type mac struct {
	hash hash.Hash
	sum  [sha256.Size]byte
	want [sha256.Size]byte
}

// NewVerifier builds a Verifier. Without a secret it refuses everything.
func NewVerifier(secrets []chat.Secret) *Verifier {
	v := &Verifier{keys: make([]*key, 0, len(secrets))}
	for _, s := range secrets {
		k := &key{usable: 1}
		if s == "" {
			k.usable = 0
		}
		secret := []byte(s.Reveal())
		k.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, secret)} }
		v.keys = append(v.keys, k)
	}
	return v
}

// Verify reports whether header is "sha256=" and the 64 lowercase hex digits of
// the HMAC-SHA256 of body, under which secret. body must be the raw bytes as
// received: Meta signs its own escapes. Every secret is tried on every call and
// compared in constant time, so timing tells nothing about them.
func (v *Verifier) Verify(header, body []byte) (index int, ok bool) {
	if len(header) != len(signaturePrefix)+2*sha256.Size || string(header[:len(signaturePrefix)]) != signaturePrefix {
		return 0, false
	}
	digits := header[len(signaturePrefix):]
	found, at := 0, 0
	for i := len(v.keys) - 1; i >= 0; i-- {
		equal, wellFormed := v.keys[i].check(digits, body)
		if !wellFormed {
			return 0, false
		}
		at = subtle.ConstantTimeSelect(equal, i, at)
		found |= equal
	}
	return at, found == 1
}

// check returns 1 for a match. wellFormed is false when digits are not
// lowercase hex, which depends on the header alone.
func (k *key) check(digits, body []byte) (equal int, wellFormed bool) {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	for i := range m.want {
		hi, lo := nibble(digits[2*i]), nibble(digits[2*i+1])
		if hi|lo > 15 {
			return 0, false
		}
		m.want[i] = hi<<4 | lo
	}
	m.hash.Reset()
	_, _ = m.hash.Write(body)
	sum := m.hash.Sum(m.sum[:0])
	return subtle.ConstantTimeCompare(sum, m.want[:]) & k.usable, true
}

// nibble is the value of a lowercase hex digit, or 255.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}
