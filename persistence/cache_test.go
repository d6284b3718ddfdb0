package persistence

import (
	"math/rand/v2"
	"testing"
)

// fetch asks for a value as those who use a cache do: what is missing is put.
func fetch(c *cache[int, *int], key int) (found bool) {
	v, found, token := c.get(key)
	if !found {
		c.put(key, &key, token)
		return false
	}
	return *v == key
}

// TestCache_HoldsWhatFits: three quarters of what there is room for stay, in whatever
// order they are asked for.
func TestCache_HoldsWhatFits(t *testing.T) {
	const room, keys = 16_384, 12_000
	c, rng := newCache[int, *int](room), rand.New(rand.NewPCG(1, 1))
	for key := range keys {
		fetch(c, key)
	}
	missed := 0
	for range 10 * keys {
		if !fetch(c, rng.IntN(keys)) {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%d of %d were not there", missed, 10*keys)
	}
}

// TestCache_CrowdPassesThrough: what is asked for again and again stays while many come
// that are asked for once, and there are never more than there is room for.
func TestCache_CrowdPassesThrough(t *testing.T) {
	const room, used = 3200, 800
	c := newCache[int, *int](room)
	missed := 0
	for i := range 100 * room {
		fetch(c, used+i)
		if !fetch(c, i%used) && i >= used {
			missed++
		}
	}
	held := 0
	for i := range c.shards {
		s := &c.shards[i]
		held += len(s.slots)
		if len(s.places) != len(s.slots) {
			t.Errorf("%d keys lead to %d places", len(s.places), len(s.slots))
		}
	}
	if missed > 0 || held > room+cacheShards {
		t.Errorf("%d were pushed out by the crowd; %d held, room for %d", missed, held, room)
	}
}

// TestCache_ForgetsAtOnce: nothing of a value that was dropped is left, and one that was
// read before that is not put after it.
func TestCache_ForgetsAtOnce(t *testing.T) {
	c := newCache[int, *int](cacheShards)
	forget := map[string]func(){"drop": func() { c.drop(7) }, "clear": c.clear}
	for name, f := range forget {
		v := 7
		_, _, token := c.get(7)
		c.put(7, &v, token)
		f()
		c.put(7, &v, token)
		if _, found, _ := c.get(7); found {
			t.Errorf("%s: there is what was read before it", name)
		}
		for i := range c.shards {
			for _, slot := range c.shards[i].slots[:cap(c.shards[i].slots)] {
				if slot.value == &v {
					t.Errorf("%s: a place still holds the value", name)
				}
			}
		}
		if fetch(c, 7) || !fetch(c, 7) {
			t.Errorf("%s: it cannot be put again", name)
		}
		c.drop(7)
	}
}
