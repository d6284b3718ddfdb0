package persistence

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/seal"
)

// contactKey is a contact's key, unwrapped.
type contactKey struct {
	box *seal.Box
	// id names the key: a contact that was erased and writes again has another.
	id uint32
	// wrapped is set while the key is not stored yet.
	wrapped []byte
}

type keyHolder struct {
	tenant  chat.TenantID
	contact id16
}

// keyCache holds the contact keys used last. Safe for concurrent use.
type keyCache struct {
	mu    sync.Mutex
	max   int
	order *list.List // of *keyEntry, latest first
	byID  map[keyHolder]*list.Element
	// dropped counts drops, so that a key read before one is not put after it.
	dropped uint64
}

type keyEntry struct {
	holder keyHolder
	key    *contactKey
}

func newKeyCache(max int) *keyCache {
	return &keyCache{max: max, order: list.New(), byID: make(map[keyHolder]*list.Element)}
}

// get returns a cached key, or nil and the token that put wants.
func (c *keyCache) get(h keyHolder) (*contactKey, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byID[h]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*keyEntry).key, 0
	}
	return nil, c.dropped
}

// put caches a key unless any key was dropped since the token was taken.
func (c *keyCache) put(h keyHolder, k *contactKey, token uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byID[h]; ok || c.dropped != token {
		return
	}
	c.byID[h] = c.order.PushFront(&keyEntry{h, k})
	if c.order.Len() > c.max {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.byID, last.Value.(*keyEntry).holder)
	}
}

// drop forgets a key that was destroyed.
func (c *keyCache) drop(h keyHolder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped++
	if e, ok := c.byID[h]; ok {
		c.order.Remove(e)
		delete(c.byID, h)
	}
}

// storedKey returns a contact's stored key; found is false for a contact that
// is new or erased.
func (s *Store) storedKey(t *tenant, contact id16) (key *contactKey, found bool, err error) {
	h := keyHolder{t.id, contact}
	key, token := s.contacts.get(h)
	if key != nil {
		return key, true, nil
	}
	wrapped, found, err := s.get(t.realm.wrapped(nil, contact))
	if err != nil || !found {
		return nil, false, err
	}
	raw, err := t.box.Open(wrapped, idPlace(placeContactKey, t.id, contact))
	if err != nil {
		return nil, false, err
	}
	box, err := seal.NewBox(raw)
	if err != nil {
		return nil, false, err
	}
	key = &contactKey{box: box, id: keyIDOf(wrapped)}
	s.contacts.put(h, key, token)
	return key, true, nil
}

// drawKey draws a key for a contact that has none. It is stored by the commit
// that uses it first.
func (s *Store) drawKey(t *tenant, contact id16) (*contactKey, error) {
	raw := seal.NewKey()
	wrapped, err := t.box.Seal(raw, idPlace(placeContactKey, t.id, contact))
	if err != nil {
		return nil, err
	}
	box, err := seal.NewBox(raw)
	if err != nil {
		return nil, err
	}
	return &contactKey{box: box, id: keyIDOf(wrapped), wrapped: wrapped}, nil
}

// keyIDOf names a key by its wrapped form; never 0.
func keyIDOf(wrapped []byte) uint32 {
	sum := sha256.Sum256(wrapped)
	return binary.BigEndian.Uint32(sum[:]) | 1
}
