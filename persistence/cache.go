package persistence

import (
	"container/list"
	"sync"
)

// cache holds the values used last. Safe for concurrent use.
type cache[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	order *list.List // of *cached, latest first
	byKey map[K]*list.Element
	// dropped counts drops: a value read from the store before one must not be
	// put after it.
	dropped uint64
}

type cached[K comparable, V any] struct {
	key   K
	value V
}

func newCache[K comparable, V any](max int) *cache[K, V] {
	return &cache[K, V]{max: max, order: list.New(), byKey: make(map[K]*list.Element)}
}

// get returns a value, or the token that put wants with the value read next.
func (c *cache[K, V]) get(key K) (value V, found bool, token uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*cached[K, V]).value, true, 0
	}
	return value, false, c.dropped
}

// put keeps a value unless anything was dropped since the token was taken.
func (c *cache[K, V]) put(key K, value V, token uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok || c.dropped != token {
		return
	}
	c.byKey[key] = c.order.PushFront(&cached[K, V]{key, value})
	if c.order.Len() > c.max {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.byKey, last.Value.(*cached[K, V]).key)
	}
}

// drop forgets a value that the store no longer holds.
func (c *cache[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped++
	if e, ok := c.byKey[key]; ok {
		c.order.Remove(e)
		delete(c.byKey, key)
	}
}
