package persistence

import (
	"crypto/sha256"
	"encoding/binary"

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

// keyHolder names whose key it is.
type keyHolder struct {
	tenant  chat.TenantID
	contact id16
}

// storedKey returns a contact's stored key; found is false for a contact that
// is new or erased.
func (s *Store) storedKey(t *tenant, contact id16) (key *contactKey, found bool, err error) {
	h := keyHolder{t.id, contact}
	key, found, token := s.contacts.get(h)
	if found {
		return key, true, nil
	}
	wrapped, found, err := s.lookup(t.realm.wrapped(nil, contact))
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
