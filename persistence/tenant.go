package persistence

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"github.com/chumiai/chumi/persistence/seal"
)

// tenant is what a process knows of a tenant while it runs.
type tenant struct {
	id    chat.TenantID
	group *group
	realm realm
	// box is the tenant's key, pepper its keyed hash.
	box    *seal.Box
	pepper *seal.Pepper

	// durable is the position up to which the feed may be read. Written by the
	// rounds when they land, and when the tenant is first met, at
	// which time nothing of it is on its way to the disk.
	durable atomic.Uint64
	// moved wakes feed readers when durable rises.
	moved signal
}

// tenantAt returns a tenant. It is KindNotFound until ensureTenant.
//
// Invariant: a commit made here is staged only for a tenant that tenantAt
// returned before, so a tenant that is not in s.tenants has nothing in flight but
// what a majority has agreed on.
func (s *Store) tenantAt(id chat.TenantID) (*tenant, error) {
	if t, ok := s.tenants.Load(id); ok {
		return t.(*tenant), nil
	}
	const op = "persistence.tenant"
	if !validWord(string(id)) {
		return nil, chat.E(op, chat.KindNotFound, "there is no such tenant", nil)
	}
	g := s.groups[s.Group(id)]
	t := &tenant{id: id, group: g, realm: realmOf(g.id, id)}
	v, found, err := s.get(t.realm.meta(nil))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, chat.E(op, chat.KindNotFound, "there is no such tenant", nil)
	}
	pos, keys, err := decodeMeta(v)
	if err != nil {
		return nil, err
	}
	key, err := s.opts.KEK.Unwrap(keys.Key, tenantPlace(placeTenantKey, id))
	if err != nil {
		return nil, err
	}
	pepper, err := s.opts.KEK.Unwrap(keys.Pepper, tenantPlace(placePepper, id))
	if err != nil {
		return nil, err
	}
	if t.box, err = seal.NewBox(key); err != nil {
		return nil, err
	}
	t.pepper = seal.NewPepper(pepper)
	// Rounds that land meanwhile, of a tenant nobody here had asked for, would
	// advance nothing: they wait until the position that was read is in place.
	s.meeting.Lock()
	defer s.meeting.Unlock()
	if pos, err = s.lastPos(t.realm, pos); err != nil {
		return nil, err
	}
	t.durable.Store(uint64(pos))
	// Whoever comes second takes the first one's: there is one position.
	first, _ := s.tenants.LoadOrStore(id, t)
	return first.(*tenant), nil
}

// landed raises the position up to which the feed may be read. It never falls: a
// round may land after a snapshot was put in place that has what it wrote.
func (t *tenant) landed(last chat.Pos) {
	for {
		now := t.durable.Load()
		if uint64(last) <= now || t.durable.CompareAndSwap(now, uint64(last)) {
			break
		}
	}
	t.moved.wake()
}

// ensureTenant draws and stores the keys of a tenant that has none. It is
// durable when it returns; a tenant that exists keeps its keys.
func (s *Store) ensureTenant(ctx context.Context, id chat.TenantID) error {
	const op = "persistence.ensureTenant"
	if !validWord(string(id)) {
		return chat.E(op, chat.KindInvalid, "the tenant's id cannot stand in a key", nil)
	}
	_, err := s.tenantAt(id)
	if chat.KindOf(err) != chat.KindNotFound {
		return err
	}
	var keys recordpb.Keys
	if keys.Key, err = s.opts.KEK.Wrap(seal.NewKey(), tenantPlace(placeTenantKey, id)); err != nil {
		return err
	}
	if keys.Pepper, err = s.opts.KEK.Wrap(seal.NewKey(), tenantPlace(placePepper, id)); err != nil {
		return err
	}
	record, err := proto.Marshal(&keys)
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot encode the tenant's keys", err)
	}
	g := s.Group(id)
	row := &recordpb.Write{Key: realmOf(g, id).meta(nil), Value: encodeMeta(0, record), Fresh: true}
	err = s.write(ctx, g, []*recordpb.Write{row})
	if chat.KindOf(err) == chat.KindConflict {
		return nil
	}
	return err
}

// lastPos is the position a tenant gave out last, when its meta row says meta:
// that of the last feed row, unless a commit without events came after it, whose
// position only the meta row has.
func (s *Store) lastPos(r realm, meta chat.Pos) (chat.Pos, error) {
	const op = "persistence.tenant"
	feed := r.kind(nil, kindFeed)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: feed, UpperBound: prefixEnd(feed)})
	if err != nil {
		return 0, chat.E(op, chat.KindOther, "cannot read the tenant's last position", err)
	}
	last := meta
	if it.Last() {
		key := it.Key()[len(feed):]
		if len(key) != 8 {
			return 0, errors.Join(chat.E(op, chat.KindCorrupt, "a feed row has no position", nil), it.Close())
		}
		last = max(meta, chat.Pos(binary.BigEndian.Uint64(key)))
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return 0, chat.E(op, chat.KindCorrupt, "cannot read the tenant's last position", err)
	}
	return last, nil
}

// encodeMeta is the 'm' row: a position, see lastPos, then recordpb.Keys.
func encodeMeta(last chat.Pos, keys []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(keys)), uint64(last)), keys...)
}

func decodeMeta(v []byte) (chat.Pos, *recordpb.Keys, error) {
	var keys recordpb.Keys
	if len(v) < 8 || proto.Unmarshal(v[8:], &keys) != nil {
		return 0, nil, chat.E("persistence.tenant", chat.KindCorrupt, "the tenant's meta row is unreadable", nil)
	}
	return chat.Pos(binary.BigEndian.Uint64(v)), &keys, nil
}

// signal wakes everybody who waits. The zero value is usable.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that closes at the next wake. Take it before looking
// at what is waited for.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// Counter returns one of a tenant's counters, 0 for one that was never counted. It
// may see what is not yet durable.
func (s *Store) Counter(id chat.TenantID, name string) (int64, error) {
	t, err := s.tenantAt(id)
	if err != nil {
		return 0, err
	}
	v, found, err := s.get(t.realm.counter(nil, name))
	if err != nil || !found {
		return 0, err
	}
	return readCounter(v)
}
