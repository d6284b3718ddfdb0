package persistence

import (
	"hash/maphash"
	"sync"
)

// cacheShards keeps the lookups of many goroutines apart.
const cacheShards = 32

// cache holds values used lately. Safe for concurrent use.
//
// Each shard has a young and an old half. What is used moves to the young one;
// when that is full it becomes the old one, and what stayed there unused is
// forgotten.
type cache[K comparable, V any] struct {
	seed   maphash.Seed
	half   int
	shards [cacheShards]cacheShard[K, V]
}

type cacheShard[K comparable, V any] struct {
	mu         sync.Mutex
	young, old map[K]V
	// dropped counts drops: a value read from the store before one must not be
	// put after it.
	dropped uint64
}

// newCache holds at least max/2 and at most max values, roughly.
func newCache[K comparable, V any](max int) *cache[K, V] {
	c := &cache[K, V]{seed: maphash.MakeSeed(), half: max/(2*cacheShards) + 1}
	for i := range c.shards {
		c.shards[i].young = make(map[K]V)
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
	if value, found = s.young[key]; found {
		return value, true, 0
	}
	if value, found = s.old[key]; found {
		c.insert(s, key, value)
	}
	return value, found, s.dropped
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
	if len(s.young) >= c.half {
		s.old, s.young = s.young, make(map[K]V, c.half)
	}
	s.young[key] = value
}

// clear forgets every value.
func (c *cache[K, V]) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.dropped++
		clear(s.young)
		s.old = nil
		s.mu.Unlock()
	}
}

// drop forgets a value that the store no longer holds.
func (c *cache[K, V]) drop(key K) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped++
	delete(s.young, key)
	delete(s.old, key)
}
