package persistence

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Tombstone is what stays of an erasure: keyed hashes that lead to nobody, and when it
// was. It keeps away what comes late, a webhook of before or an older backup. Exactly
// one of Contact and Address is set.
type Tombstone struct {
	Tenant chat.TenantID `json:"tenant"`
	// Contact is who was erased. A person who writes again has another.
	Contact chat.ContactID `json:"contact,omitempty"`
	// Address is the keyed hash of an address the person had, Given how often it was
	// given up, this time included.
	Address string    `json:"address,omitempty"`
	Given   uint32    `json:"given,omitempty"`
	At      time.Time `json:"at"`
}

// What a tombstone is of; the first byte after kindTombstone. Stored.
const (
	tombContact byte = 'c' // contact -> at64
	tombAddress byte = 'a' // h16(channel, kind, address) -> at64, given32
)

const (
	tombContactLen = 8
	tombAddressLen = 12
)

func (r realm) tombstone(dst []byte, what byte, i id16) []byte {
	return append(append(r.kind(dst, kindTombstone), what), i[:]...)
}

func contactTomb(at time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(millis(at))) // #nosec G115 -- after 1970
}

func addressTomb(at time.Time, given uint32) []byte {
	return binary.BigEndian.AppendUint32(contactTomb(at), given)
}

// readTombstone is the inverse, for what follows kindTombstone in the key.
func readTombstone(t chat.TenantID, rest, value []byte) (b Tombstone, ok bool) {
	if len(rest) != 1+idLen || len(value) < tombContactLen {
		return b, false
	}
	b = Tombstone{Tenant: t, At: timeOf(int64(binary.BigEndian.Uint64(value)))} // #nosec G115 -- as it was put
	switch {
	case rest[0] == tombContact && len(value) == tombContactLen:
		b.Contact = id16(rest[1:]).contactID()
	case rest[0] == tombAddress && len(value) == tombAddressLen:
		b.Address, b.Given = hex.EncodeToString(rest[1:]), binary.BigEndian.Uint32(value[tombContactLen:])
	default:
		return b, false
	}
	return b, true
}

// Tombstones lists what stays of every erasure, of all tenants.
func (s *Store) Tombstones(ctx context.Context) (list []Tombstone, err error) {
	for _, g := range s.groups {
		err := s.eachRealm(ctx, g.id, func(r realm) error {
			of, err := s.tombsAfter(r, time.Time{})
			list = append(list, of...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// TombstonesOf lists what stays of every erasure of a tenant.
func (s *Store) TombstonesOf(id chat.TenantID) ([]Tombstone, error) {
	t, err := s.tenantAt(id)
	if err != nil {
		return nil, err
	}
	return s.tombsAfter(t.realm, time.Time{})
}

// tombsAfter lists the tombstones of a tenant that are of after a time.
func (s *Store) tombsAfter(r realm, after time.Time) (list []Tombstone, err error) {
	head := r.kind(nil, kindTombstone)
	err = s.scan(head, func(key, value []byte) error {
		b, ok := readTombstone(r.tenant(), key[len(head):], value)
		if !ok {
			return errRecord("a tombstone is unreadable")
		}
		if b.At.After(after) {
			list = append(list, b)
		}
		return nil
	})
	return list, err
}

// eachRealm calls yield with the range of every tenant of a group.
func (s *Store) eachRealm(ctx context.Context, g chat.Group, yield func(realm) error) error {
	const op = "persistence.eachRealm"
	section := appendSection(nil, g, sectionTenant)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: section, UpperBound: prefixEnd(section)})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read the tenants", err)
	}
	for ok := it.First(); ok && ctx.Err() == nil; {
		r, _, _, whole := splitRealm(it.Key())
		if !whole {
			return errors.Join(errRecord("a key of a tenant is unreadable"), it.Close())
		}
		r = append(realm(nil), r...)
		if err := yield(r); err != nil {
			return errors.Join(err, it.Close())
		}
		ok = it.SeekGE(prefixEnd(r))
	}
	if err := errors.Join(ctx.Err(), it.Close()); err != nil {
		return chat.E(op, chat.KindUnavailable, "the tenants could not be read to their end", err)
	}
	return nil
}

// EraseAgain erases whoever was erased after the moment that this store is a copy of,
// and keeps away what would bring them back. What the store knows already is passed
// over. It returns how many persons it erased.
func (s *Store) EraseAgain(ctx context.Context, list []Tombstone) (erased int, err error) {
	for _, b := range list {
		t, err := s.tenantAt(b.Tenant)
		if chat.KindOf(err) == chat.KindNotFound {
			continue // a tenant that came later
		}
		if err != nil {
			return erased, err
		}
		switch {
		case b.Contact != "":
			again, err := s.eraseContactAgain(ctx, t, b)
			if err != nil {
				return erased, err
			}
			erased += again
		default:
			if err := s.buryAddress(ctx, t, b); err != nil {
				return erased, err
			}
		}
	}
	return erased, nil
}

func (s *Store) eraseContactAgain(ctx context.Context, t *tenant, b Tombstone) (int, error) {
	raw, ok := contactBytes(b.Contact)
	if !ok {
		return 0, errRecord("a tombstone is unreadable")
	}
	if _, known, err := s.get(t.realm.tombstone(nil, tombContact, raw)); known || err != nil {
		return 0, err
	}
	n := 1
	if _, err := s.Erase(ctx, b.Tenant, b.Contact); chat.KindOf(err) == chat.KindNotFound {
		n = 0 // came later than the copy
	} else if err != nil {
		return 0, err
	}
	return n, s.write(ctx, t.group.id, []*recordpb.Write{{Key: t.realm.tombstone(nil, tombContact, raw), Value: contactTomb(b.At)}})
}

// buryAddress makes a webhook of before the erasure come too late for an address that
// this store has never seen, or saw before.
func (s *Store) buryAddress(ctx context.Context, t *tenant, b Tombstone) error {
	raw, err := hex.DecodeString(b.Address)
	if err != nil || len(raw) != idLen {
		return errRecord("a tombstone is unreadable")
	}
	h := id16(raw)
	at := t.realm.tombstone(nil, tombAddress, h)
	was, known, err := s.get(at)
	if err != nil {
		return err
	}
	if known {
		if old, ok := readTombstone(b.Tenant, at[len(at)-1-idLen:], was); ok && !old.At.Before(b.At) {
			return nil
		}
	}
	writes := []*recordpb.Write{{Key: at, Value: addressTomb(b.At, b.Given)}}
	row := t.realm.address(nil, h)
	v, found, err := s.get(row)
	if err != nil {
		return err
	}
	var l lead
	if found {
		if l, err = decodeAddress(v); err != nil {
			return err
		}
	}
	if !l.found && l.given < b.Given {
		writes = append(writes, &recordpb.Write{Key: row, Value: encodeGiven(b.Given)})
	}
	return s.write(ctx, t.group.id, writes)
}

// erasedAt is when who had an address was erased last; zero for never.
func (s *Store) erasedAt(t *tenant, h id16) (time.Time, error) {
	v, found, err := s.get(t.realm.tombstone(nil, tombAddress, h))
	if err != nil || !found {
		return time.Time{}, err
	}
	if len(v) != tombAddressLen {
		return time.Time{}, errRecord("a tombstone is unreadable")
	}
	return timeOf(int64(binary.BigEndian.Uint64(v))), nil // #nosec G115 -- as it was put
}
