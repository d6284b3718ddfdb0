package persistence

import (
	"hash/maphash"
	"sync"
)

// cacheShards keeps the lookups of many goroutines apart.
const cacheShards = 32

// cache holds values used lately. Safe for concurrent use.
//
// Each shard is a clock: what is used is marked, and a hand that goes round takes the
// marks off and gives away the first place without one. So as many as there is room for
// stay while no others are asked for, and a crowd that is asked for once passes through.
type cache[K comparable, V any] struct {
	seed   maphash.Seed
	most   int
	shards [cacheShards]cacheShard[K, V]
}

type cacheShard[K comparable, V any] struct {
	mu     sync.Mutex
	places map[K]int32
	slots  []cacheSlot[K, V]
	hand   int
	// dropped counts drops: a value read from the store before one must not be
	// put after it.
	dropped uint64
}

type cacheSlot[K comparable, V any] struct {
	key         K
	value       V
	taken, used bool
}

// newCache holds at most max values, roughly.
func newCache[K comparable, V any](max int) *cache[K, V] {
	c := &cache[K, V]{seed: maphash.MakeSeed(), most: max/cacheShards + 1}
	for i := range c.shards {
		c.shards[i].places = make(map[K]int32)
	}
	return c
}

func (c *cache[K, V]) shard(key K) *cacheShard[K, V] {
	return &c.shards[maphash.Comparable(c.seed, key)%cacheShards]
}

// get returns a value, or the token that put wants with the value read next.
func (c *cache[K, V]) get(key K) (value V, found bool, token uint64) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.places[key]
	if !found {
		return value, false, s.dropped
	}
	s.slots[i].used = true
	return s.slots[i].value, true, 0
}

// put keeps a value unless anything near it was dropped since the token was
// taken.
func (c *cache[K, V]) put(key K, value V, token uint64) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped == token {
		c.insert(s, key, value)
	}
}

func (c *cache[K, V]) insert(s *cacheShard[K, V], key K, value V) {
	i, found := s.places[key]
	switch {
	case found:
	case len(s.slots) < c.most:
		i = int32(len(s.slots))
		s.slots = append(s.slots, cacheSlot[K, V]{})
	default:
		i = s.evict()
	}
	s.slots[i] = cacheSlot[K, V]{key: key, value: value, taken: true, used: found}
	s.places[key] = i
}

// evict frees the place under the hand that nobody used since it was there last.
func (s *cacheShard[K, V]) evict() int32 {
	for {
		i := s.hand
		s.hand = (i + 1) % len(s.slots)
		slot := &s.slots[i]
		if slot.taken && slot.used {
			slot.used = false
			continue
		}
		if slot.taken {
			delete(s.places, slot.key)
		}
		return int32(i)
	}
}

// clear forgets every value.
func (c *cache[K, V]) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.dropped++
		clear(s.places)
		clear(s.slots)
		s.slots, s.hand = s.slots[:0], 0
		s.mu.Unlock()
	}
}

// drop forgets a value that the store no longer holds.
func (c *cache[K, V]) drop(key K) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped++
	if i, found := s.places[key]; found {
		s.slots[i] = cacheSlot[K, V]{}
		delete(s.places, key)
	}
}
