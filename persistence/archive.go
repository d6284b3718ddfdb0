package persistence

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"github.com/chumiai/chumi/persistence/seal"
)

// Piece is a part of what belongs to a tenant, without what says where the tenant
// lives: neither the group nor the store, nor how that wraps keys.
type Piece struct {
	Kind PieceKind
	// Key and Value are valid until whoever yields the piece goes on.
	Key, Value []byte
}

// PieceKind says what a piece is. Stored in archives; never changes.
type PieceKind byte

// The kinds of pieces, in their order: records, keys, rows.
const (
	// PieceRecord is a record of the directory: the tenant, a channel, an API key or a
	// member. Key is the kind of its row. It holds tokens.
	PieceRecord PieceKind = 'd'
	// PieceKeys is the last position that the tenant gave out, its key and its pepper,
	// as they are. One, with an empty Key.
	PieceKeys PieceKind = 'k'
	// PieceRow is a row of the tenant's range, without its meta row: Key is 'T', then
	// what follows the tenant. Or one of an index: Key is 'd' and the time, or 'x' and
	// the day, then what follows the tenant.
	PieceRow PieceKind = 'r'
)

const (
	keysLen = 8 + 2*seal.KeyLen
	dueHead = 1 + 8 // of the Key of a row of the agenda: kind, time
	dayHead = 1 + 4 // of one of the expiry index: kind, day
)

// PieceSum adds up pieces. What adds up to the same is the same tenant in the same
// state, wherever it lives.
type PieceSum struct{ hash hash.Hash }

// NewPieceSum returns a sum of nothing.
func NewPieceSum() PieceSum { return PieceSum{sha256.New()} }

// Add adds a piece. The order counts.
func (s PieceSum) Add(p Piece) {
	head := append(make([]byte, 0, 1+2*binary.MaxVarintLen64), byte(p.Kind))
	head = binary.AppendUvarint(binary.AppendUvarint(head, uint64(len(p.Key))), uint64(len(p.Value)))
	for _, b := range [][]byte{head, p.Key, p.Value} {
		s.hash.Write(b)
	}
}

// Sum is what the pieces added so far come to.
func (s PieceSum) Sum() StateSum { return StateSum(s.hash.Sum(nil)) }

// TenantPieces calls yield with everything that belongs to a tenant, as of one moment
// of its group: all that was durable when it was called is in it. KindNotFound for a
// tenant that the directory does not know.
func (s *Store) TenantPieces(ctx context.Context, id chat.TenantID, yield func(Piece) error) error {
	v, err := readVault(s)
	if err != nil {
		return err
	}
	if v == nil {
		return chat.E("persistence.TenantPieces", chat.KindNotFound, "there is no tenant "+quoted(string(id)), nil)
	}
	t, err := v.loadTable()
	if err != nil {
		return err
	}
	records, err := t.recordsOf(id)
	if err != nil {
		return err
	}
	for _, p := range records {
		if err := yield(p); err != nil {
			return err
		}
	}
	return s.tenantRows(ctx, id, yield)
}

// TenantSum adds up everything that belongs to a tenant.
func (s *Store) TenantSum(ctx context.Context, id chat.TenantID) (StateSum, error) {
	sum := NewPieceSum()
	err := s.TenantPieces(ctx, id, func(p Piece) error { sum.Add(p); return nil })
	return sum.Sum(), err
}

// recordsOf are the records of a tenant: the tenant, then its channels, API keys and
// members, each in order.
func (t *table) recordsOf(id chat.TenantID) (list []Piece, err error) {
	tenant, ok := t.tenants[id]
	if !ok {
		return nil, chat.E("persistence.TenantPieces", chat.KindNotFound, "there is no tenant "+quoted(string(id)), nil)
	}
	tenant.group = 0 // where it lives
	add := func(kind byte, m recordMessage) {
		value, e := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		list, err = append(list, Piece{PieceRecord, []byte{kind}, value}), errors.Join(err, e)
	}
	add(rowTenant, tenantRecord(tenant))
	for _, ch := range t.channelsSorted() {
		if ch.Tenant == id {
			add(rowChannel, channelRecord(ch))
		}
	}
	digests := slices.SortedFunc(maps.Keys(t.keys), func(a, b keyDigest) int { return slices.Compare(a[:], b[:]) })
	for _, digest := range digests {
		if t.keys[digest].Tenant == id {
			add(rowKey, keyRecord(digest, t.keys[digest]))
		}
	}
	emails := map[string]memberEntry{}
	for k, m := range t.members {
		if k.tenant == id {
			emails[k.email] = m
		}
	}
	for _, email := range slices.Sorted(maps.Keys(emails)) {
		add(rowMember, memberRecord(emails[email]))
	}
	return list, err
}

// tenantRows yields a tenant's keys and rows.
func (s *Store) tenantRows(ctx context.Context, id chat.TenantID, yield func(Piece) error) error {
	g := s.Group(id)
	r := realmOf(g, id)
	view := s.db.NewSnapshot()
	defer func() { _ = view.Close() }()
	if !s.opts.ReadOnly {
		// What the view shows must be durable before anybody has it elsewhere.
		if err := s.groupAt(g).settle(ctx); err != nil {
			return err
		}
	}
	keys, err := s.tenantKeys(view, r)
	if err != nil {
		return err
	}
	if err := yield(Piece{Kind: PieceKeys, Value: keys}); err != nil {
		return err
	}
	return rowsOf(ctx, view, r, func(_ []byte, p Piece) error { return yield(p) })
}

// tenantKeys is the value of a tenant's PieceKeys.
func (s *Store) tenantKeys(view pebble.Reader, r realm) ([]byte, error) {
	v, err := readRow(view, r.meta(nil))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, chat.E("persistence.TenantPieces", chat.KindNotFound, "the tenant has no keys", nil)
	}
	pos, keys, err := decodeMeta(v)
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint64(nil, uint64(pos))
	for _, k := range []struct {
		wrapped []byte
		place   byte
	}{{keys.Key, placeTenantKey}, {keys.Pepper, placePepper}} {
		plain, err := s.opts.KEK.Unwrap(k.wrapped, tenantPlace(k.place, r.tenant()))
		if err != nil {
			return nil, err
		}
		out = append(out, plain...)
	}
	if len(out) != keysLen {
		return nil, errRecord("the keys of a tenant have the wrong length")
	}
	return out, nil
}

// metaRow is the meta row that a tenant's PieceKeys make in this store.
func (s *Store) metaRow(id chat.TenantID, keys []byte) ([]byte, error) {
	if len(keys) != keysLen {
		return nil, errRecord("the keys of a tenant have the wrong length")
	}
	var r recordpb.Keys
	var err error
	if r.Key, err = s.opts.KEK.Wrap(keys[8:8+seal.KeyLen], tenantPlace(placeTenantKey, id)); err != nil {
		return nil, err
	}
	if r.Pepper, err = s.opts.KEK.Wrap(keys[8+seal.KeyLen:], tenantPlace(placePepper, id)); err != nil {
		return nil, err
	}
	record, err := proto.Marshal(&r)
	if err != nil {
		return nil, chat.E("persistence.metaRow", chat.KindOther, "cannot encode the tenant's keys", err)
	}
	return encodeMeta(chat.Pos(binary.BigEndian.Uint64(keys)), record), nil
}

// rowsOf calls yield with each row of a tenant, and with its key where it lives.
func rowsOf(ctx context.Context, from pebble.Reader, r realm, yield func(key []byte, p Piece) error) error {
	due, expiry := appendDuePrefix(nil, r.group()), appendExpiryPrefix(nil, r.group())
	n := 0
	for _, prefix := range [][]byte{r, due, expiry} {
		err := scanRange(ctx, from, prefix, &n, func(key, value []byte) error {
			at, ok := portable(r, key)
			if !ok {
				return nil
			}
			return yield(key, Piece{PieceRow, at, value})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scanRange reads the rows of a prefix from a view, and looks now and then whether the
// caller gave up.
func scanRange(ctx context.Context, from pebble.Reader, prefix []byte, n *int, yield func(key, value []byte) error) error {
	const op = "persistence.scanRange"
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read "+prettyKey(prefix).String(), err)
	}
	for it.First(); it.Valid() && err == nil; it.Next() {
		if *n++; *n%rowsPerLook == 0 && ctx.Err() != nil {
			err = chat.E(op, chat.KindUnavailable, "the caller gave up", context.Cause(ctx))
			break
		}
		err = yield(it.Key(), it.Value())
	}
	if closed := it.Close(); err == nil && closed != nil {
		err = chat.E(op, chat.KindCorrupt, "cannot read "+prettyKey(prefix).String()+" to its end", closed)
	}
	return err
}

// portable is the Key of the piece that a row of a tenant, or of an index of its group,
// is; ok is false for a row of somebody else and for one that does not travel.
func portable(r realm, key []byte) (at []byte, ok bool) {
	if of, kind, rest, ok := splitRealm(key); ok {
		if string(of) != string(r) || kind == kindMeta || kind == kindArrival {
			return nil, false
		}
		return append([]byte{sectionTenant, kind}, rest...), true
	}
	if due, id, c, ok := parseDue(key); ok && id == r.tenant() {
		return append(appendTime([]byte{indexDue}, due), c[:]...), true
	}
	if day, id, h, ok := parseExpiry(key); ok && id == r.tenant() {
		return append(binary.BigEndian.AppendUint32([]byte{indexExpiry}, day), h[:]...), true
	}
	return nil, false
}

// settled is the inverse of portable: the key of a row where the tenant lives. ok is
// false for what is no row of a tenant.
func settled(r realm, at []byte) (key []byte, ok bool) {
	switch {
	case len(at) >= 2 && at[0] == sectionTenant:
		kind, rest := at[1], at[2:]
		if want := restLen(kind); kind == kindMeta || kind == kindArrival || want < 0 || kind != kindCounter && len(rest) != want {
			return nil, false
		}
		return append(r.kind(nil, kind), rest...), true
	case len(at) == dueHead+idLen && at[0] == indexDue:
		return appendDue(nil, r.group(), readTime(at[1:]), r.tenant(), id16(at[dueHead:])), true
	case len(at) == dayHead+idLen && at[0] == indexExpiry:
		return appendExpiry(nil, r.group(), binary.BigEndian.Uint32(at[1:]), r.tenant(), id16(at[dayHead:])), true
	}
	return nil, false
}
