package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// Pepper is a keyed hash. It is safe for concurrent use.
type Pepper struct{ pool sync.Pool }

// hasher is a keyed state with scratch space, reused between calls.
type hasher struct {
	mac hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

// NewPepper returns the hash keyed by key, which is copied.
func NewPepper(key []byte) *Pepper {
	key = append([]byte(nil), key...)
	p := &Pepper{}
	p.pool.New = func() any { return &hasher{mac: hmac.New(sha256.New, key)} }
	return p
}

// Hash is the first 16 bytes of HMAC-SHA256 over a purpose and parts. Parts
// are length-prefixed, so no two lists of parts hash the same bytes; purpose
// keeps the uses of one pepper apart.
func (p *Pepper) Hash(purpose byte, parts ...string) (out [16]byte) {
	h := p.pool.Get().(*hasher)
	h.buf = append(h.buf[:0], purpose)
	for _, part := range parts {
		h.buf = binary.AppendUvarint(h.buf, uint64(len(part)))
		h.buf = append(h.buf, part...)
	}
	h.mac.Reset()
	h.mac.Write(h.buf)
	copy(out[:], h.mac.Sum(h.sum[:0]))
	p.pool.Put(h)
	return out
}
