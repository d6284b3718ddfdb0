package persistence

import (
	"bytes"
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"github.com/chumiai/chumi/persistence/seal"
)

// vault seals what belongs to the installation and to no tenant: the directory
// and the quarantine. Its key and pepper were drawn when the store was first
// used and lie in it, wrapped by the key-encryption key. Every value is bound
// to the key it is stored under.
//
// Safe for concurrent use.
type vault struct {
	store  *Store
	box    *seal.Box
	pepper *seal.Pepper
}

// The purposes of the vault's pepper. Stored in keys; never change.
const (
	hashKey        byte = 'k' // API keys, by digest
	hashMember     byte = 'u' // members, by tenant and e-mail address
	hashQuarantine byte = 'q' // quarantined items, by content
	hashPortfolio  byte = 'f' // portfolios, by id
	hashReached    byte = 'w' // persons of a portfolio, by identity
)

// readVault returns the vault of a store, nil when it has none yet.
func readVault(s *Store) (*vault, error) {
	at := append(appendMeta(nil), rowRoot)
	wrapped, found, err := s.get(at)
	if err != nil || !found {
		return nil, err
	}
	secret, err := s.opts.KEK.Unwrap(wrapped, at)
	if err != nil {
		return nil, err
	}
	return newVault(s, secret)
}

// openVault is readVault, and draws the vault's keys when nobody has: at the first
// start of a node that leads the metadata group. Another node waits for them.
func openVault(ctx context.Context, s *Store) (*vault, error) {
	const op = "persistence.openVault"
	for {
		changed, elected := s.meta.settled.wait(), s.meta.ruled.wait()
		v, err := readVault(s)
		if v != nil || err != nil {
			return v, err
		}
		if s.opts.ReadOnly {
			return drawVault(ctx, s)
		}
		if s.Epoch(groupMeta) != 0 {
			v, err = drawVault(ctx, s)
			switch chat.KindOf(err) {
			case chat.KindConflict, chat.KindFenced, chat.KindUnknown:
				continue // somebody else did, or leads now
			}
			return v, err
		}
		select {
		case <-changed:
		case <-elected:
		case <-ctx.Done():
			return nil, chat.E(op, chat.KindUnavailable, "no node has made the directory yet", context.Cause(ctx))
		}
	}
}

// drawVault draws the vault's keys and stores them, unless the store is open for
// reading only.
func drawVault(ctx context.Context, s *Store) (*vault, error) {
	at := append(appendMeta(nil), rowRoot)
	secret := append(seal.NewKey(), seal.NewKey()...)
	wrapped, err := s.opts.KEK.Wrap(secret, at)
	if err != nil {
		return nil, err
	}
	if !s.opts.ReadOnly {
		if err := s.write(ctx, groupMeta, []*recordpb.Write{{Key: at, Value: wrapped, Fresh: true}}); err != nil {
			return nil, err
		}
	}
	return newVault(s, secret)
}

func newVault(s *Store, secret []byte) (*vault, error) {
	if len(secret) != 2*seal.KeyLen {
		return nil, chat.E("persistence.openVault", chat.KindCorrupt, "the metadata key has the wrong length", nil)
	}
	box, err := seal.NewBox(secret[:seal.KeyLen])
	if err != nil {
		return nil, err
	}
	return &vault{store: s, box: box, pepper: seal.NewPepper(secret[seal.KeyLen:])}, nil
}

// metaKey is the key of a directory row. Ids are plain words; a digest or an
// e-mail address stands in a key only as a keyed hash.
func (v *vault) metaKey(row directoryRow) []byte {
	at := append(appendMeta(nil), row.kind)
	switch row.kind {
	case rowKey:
		h := v.pepper.Hash(hashKey, row.id)
		return append(at, h[:]...)
	case rowMember:
		h := v.pepper.Hash(hashMember, row.id)
		return append(at, h[:]...)
	}
	if row.id == "" {
		return at // there is one of its kind
	}
	return appendWord(at, row.id)
}

// seal encrypts a record for the key it is stored under.
func (v *vault) seal(at []byte, m proto.Message) ([]byte, error) {
	plain, err := proto.Marshal(m)
	if err != nil {
		return nil, chat.E("store.seal", chat.KindInvalid, "a text is not valid UTF-8", nil)
	}
	return v.box.Seal(plain, at)
}

// open is the inverse of seal for a record of m's type.
func (v *vault) open(at, sealed []byte, m proto.Message) error {
	plain, err := v.box.Open(sealed, at)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(plain, m); err != nil {
		return chat.E("store.open", chat.KindCorrupt, "a record does not have its form: "+prettyKey(at).String(), nil)
	}
	return nil
}

// storeRows makes directory rows durable as one, nil ones by deleting them, on
// condition that the directory is what old says: else it is KindConflict. It
// returns the version row that it left. format is what the change is of, 0 for the
// store's.
//
// The condition is the version row's bytes, which are sealed and so never come
// twice: a number that is absent may have been there and be gone.
func (v *vault) storeRows(ctx context.Context, old *table, rows map[directoryRow]recordMessage, format FormatVersion) (stamp []byte, err error) {
	if v.store.opts.ReadOnly {
		return nil, chat.E("directory.store", chat.KindUnavailable, "the store is open for reading only", nil)
	}
	at := v.metaKey(directoryRow{kind: rowVersion})
	if stamp, err = v.seal(at, &recordpb.DirectoryVersion{Number: old.version + 1}); err != nil {
		return nil, err
	}
	writes := []*recordpb.Write{{Key: at, Value: stamp, Was: old.stamp, Fresh: old.stamp == nil}}
	for row, m := range rows {
		w := &recordpb.Write{Key: v.metaKey(row), Delete: m == nil}
		if m != nil {
			if w.Value, err = v.seal(w.Key, m); err != nil {
				return nil, err
			}
		}
		writes = append(writes, w)
	}
	return stamp, v.store.meta.write(ctx, &recordpb.Commit{Writes: writes, Format: uint32(format)})
}

// version returns the number of changes that this node's replica has of the
// directory.
func (v *vault) version() (uint64, error) {
	at := v.metaKey(directoryRow{kind: rowVersion})
	sealed, found, err := v.store.get(at)
	if err != nil || !found {
		return 0, err
	}
	var r recordpb.DirectoryVersion
	err = v.open(at, sealed, &r)
	return r.GetNumber(), err
}

// loadTable reads the whole directory, as this node's replica has it. It may see
// what is not yet durable.
func (v *vault) loadTable() (*table, error) {
	t := newTable()
	head := appendMeta(nil)
	err := v.store.scan(head, func(key, value []byte) error {
		if len(key) == len(head) || key[len(head)] == rowRoot {
			return nil
		}
		plain, err := v.box.Open(value, key)
		if err != nil || !t.put(key[len(head)], plain) {
			return chat.E("directory.load", chat.KindCorrupt, "cannot read "+prettyKey(key).String(), err)
		}
		if key[len(head)] == rowVersion {
			t.stamp = bytes.Clone(value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.index()
	return t, nil
}
