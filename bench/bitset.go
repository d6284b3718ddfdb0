package bench

import (
	"math/bits"
	"sync/atomic"
)

// Bitset is a fixed set of small integers. Set is safe for concurrent use.
type Bitset struct{ words []atomic.Uint64 }

// NewBitset holds 0 to n-1.
func NewBitset(n int) *Bitset { return &Bitset{words: make([]atomic.Uint64, (n+63)/64)} }

// Set adds i and reports whether it was there already. Out of range is ignored.
func (b *Bitset) Set(i int) (before bool) {
	if i < 0 || i/64 >= len(b.words) {
		return false
	}
	bit := uint64(1) << (i % 64)
	return b.words[i/64].Or(bit)&bit != 0
}

// Has reports whether i is in the set.
func (b *Bitset) Has(i int) bool {
	return i >= 0 && i/64 < len(b.words) && b.words[i/64].Load()&(1<<(i%64)) != 0
}

// Count is how many are in the set.
func (b *Bitset) Count() int {
	n := 0
	for i := range b.words {
		n += bits.OnesCount64(b.words[i].Load())
	}
	return n
}

// merge adds all that is in other, of the same size.
func (b *Bitset) merge(other *Bitset) {
	for i := range other.words {
		b.words[i].Or(other.words[i].Load())
	}
}

// Len is the size of the universe, rounded up to whole words.
func (b *Bitset) Len() int { return len(b.words) * 64 }
