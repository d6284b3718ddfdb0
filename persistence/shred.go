package persistence

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// An erase is a commit that every replica of the group applies. The bytes that it
// replaced lie on each of their disks until that node has cut its log, compacted its
// tables and gone on to new write-ahead logs. Each node does so by itself, as soon as it
// has applied a tombstone, and notes in a row of its own up to when it has: what a crash
// interrupts is owed at the next start, and what a snapshot brings is owed too.

const (
	// shredLook is when a start looks for what was owed before it: it has more urgent
	// things to read.
	shredLook = 2 * time.Second
	// shredPause lets erasures that come together share one compaction.
	shredPause = time.Second
	// cutMax is how long a follower that is behind is waited for at once.
	cutMax = 30 * time.Second
	// shredRetry is the pause after a tenant whose bytes could not all be given up.
	shredRetry = 10 * time.Second
)

// shreds are the tenants of which this node may hold bytes of persons who were erased.
type shreds struct {
	// working is held by whoever compacts.
	working sync.Mutex
	// came wakes when a tenant is added.
	came signal

	// looked is true once it is known what was owed before this start.
	looked atomic.Bool

	mu   sync.Mutex // guards owed
	owed map[chat.TenantID]bool
}

func (d *shreds) owe(t chat.TenantID) {
	d.mu.Lock()
	if d.owed == nil {
		d.owed = map[chat.TenantID]bool{}
	}
	d.owed[t] = true
	d.mu.Unlock()
	d.came.wake()
}

func (d *shreds) list() (all []chat.TenantID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for t := range d.owed {
		all = append(all, t)
	}
	return all
}

// Unshredded counts the tenants of a group of which this node may still hold bytes of
// persons who were erased. Right after a start, when that is not known, it is one.
func (s *Store) Unshredded(g chat.Group) (n int) {
	if !s.shreds.looked.Load() {
		n = 1
	}
	for _, t := range s.shreds.list() {
		if s.Group(t) == g {
			n++
		}
	}
	return n
}

func keyShredded(g chat.Group, t chat.TenantID) []byte {
	return appendWord(binary.BigEndian.AppendUint16([]byte{spaceNode, nodeShredded}, uint16(g)), string(t))
}

// oweShreds notes every tenant of a group with tombstones that this node has not dealt
// with.
func (s *Store) oweShreds(ctx context.Context, g chat.Group) error {
	return s.eachRealm(ctx, g, func(r realm) error {
		if _, whole, err := s.get(r.meta(nil)); err != nil || !whole {
			return err // being imported: of those who were erased it brings nothing
		}
		fresh, err := s.freshTombs(r)
		if len(fresh) > 0 {
			s.shreds.owe(r.tenant())
		}
		return err
	})
}

// freshTombs lists the tombstones of a tenant that this node has not dealt with.
func (s *Store) freshTombs(r realm) (list []Tombstone, err error) {
	done, found, err := s.get(keyShredded(r.group(), r.tenant()))
	if err != nil {
		return nil, err
	}
	var until time.Time
	if found && len(done) == 8 {
		until = timeOf(int64(binary.BigEndian.Uint64(done))) // #nosec G115 -- as it was put
	}
	return s.tombsAfter(r, until)
}

// shredOwed gives up the bytes of persons who were erased, until the store closes.
func (s *Store) shredOwed() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-s.stop; cancel() }()
	look := time.NewTimer(shredLook)
	defer look.Stop()
	for {
		came := s.shreds.came.wait()
		if len(s.shreds.list()) == 0 {
			select {
			case <-came:
			case <-look.C:
				s.lookForShreds(ctx)
			case <-s.stop:
				return
			}
			continue
		}
		if !s.sleep(shredPause) {
			return
		}
		if !s.shredAll(ctx) && !s.sleep(shredRetry) {
			return
		}
	}
}

// lookForShreds finds what was owed before this start. What cannot be read is not
// known to be given up until the next one.
func (s *Store) lookForShreds(ctx context.Context) {
	for _, g := range s.groups {
		if err := s.oweShreds(ctx, g.id); err != nil {
			if ctx.Err() == nil {
				s.opts.Logger.Error("what is owed to persons who were erased is not known; the next start looks again", "group", g.id, "err", err)
			}
			return
		}
	}
	s.shreds.looked.Store(true)
}

// shredAll gives up what is owed now, and reports whether all of it is.
func (s *Store) shredAll(ctx context.Context) bool {
	all := true
	for _, t := range s.shreds.list() {
		left, err := s.shred(ctx, t)
		if ctx.Err() != nil {
			return false
		}
		if err != nil || len(left) > 0 {
			s.opts.Logger.Info("bytes of persons who were erased are still there; they are given up later", "left", strings.Join(left, "; "), "err", err)
			all = false
		}
	}
	return all
}

// sleep returns false when the store closes meanwhile.
func (s *Store) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stop:
		return false
	}
}

// shred gives up what this node holds of the persons of a tenant who were erased: files,
// entries of the log, tables, write-ahead logs. It returns what it could not.
func (s *Store) shred(ctx context.Context, id chat.TenantID) (left []string, err error) {
	s.shreds.working.Lock()
	defer s.shreds.working.Unlock()
	t, err := s.tenantAt(id)
	if err != nil {
		return nil, err
	}
	fresh, err := s.freshTombs(t.realm)
	if err != nil {
		return nil, err
	}
	var newest time.Time
	for _, b := range fresh {
		if b.At.After(newest) {
			newest = b.At
		}
		if err := s.dropFilesOf(ctx, t, b.Contact); err != nil {
			return nil, err
		}
	}
	p := s.proposer.Load()
	if p == nil {
		return nil, chat.E("privacy.shred", chat.KindUnavailable, "the store is closed for writing", nil)
	}
	wait, cancel := context.WithTimeout(ctx, cutMax)
	err = (*p).CutLog(wait, t.group.id)
	cancel()
	if chat.KindOf(err) == chat.KindUnavailable {
		return []string{"the log of the group, while a node that is behind needs it"}, nil
	}
	if err != nil {
		return nil, err
	}
	if left, err = s.turnOver(ctx, t.realm, AppendRaft(nil, t.group.id)); err != nil || len(left) > 0 {
		return left, err
	}
	if !newest.IsZero() {
		if err := s.db.Set(keyShredded(t.group.id, id), contactTomb(newest), pebble.Sync); err != nil {
			return nil, chat.E("privacy.shred", chat.KindUnavailable, "what was given up cannot be noted", err)
		}
	}
	// Somebody may have been erased meanwhile.
	if fresh, err = s.freshTombs(t.realm); err == nil && len(fresh) == 0 {
		s.shreds.mu.Lock()
		delete(s.shreds.owed, id)
		s.shreds.mu.Unlock()
	}
	return nil, err
}

// dropFilesOf deletes the files that this node has of a person and their conversations.
func (s *Store) dropFilesOf(ctx context.Context, t *tenant, person chat.ContactID) error {
	raw, ok := contactBytes(person)
	if !ok || s.opts.Files == nil {
		return nil // a tombstone of an address
	}
	of, err := s.conversationsOf(t, raw)
	if err != nil {
		return err
	}
	errs := []error{s.dropFiles(ctx, t.id, chat.OwnerPrefix(person))}
	for _, c := range of {
		errs = append(errs, s.dropFiles(ctx, t.id, chat.OwnerPrefix(c.conversationID())))
	}
	return errors.Join(errs...)
}

// ErasedAt is when a person was erased; KindNotFound for one who was not.
func (s *Store) ErasedAt(id chat.TenantID, person chat.ContactID) (time.Time, error) {
	const op = "privacy.ErasedAt"
	raw, ok := contactBytes(person)
	if !ok {
		return time.Time{}, chat.E(op, chat.KindNotFound, "there is no such contact", nil)
	}
	t, err := s.tenantAt(id)
	if err != nil {
		return time.Time{}, err
	}
	v, found, err := s.get(t.realm.tombstone(nil, tombContact, raw))
	switch {
	case err != nil:
		return time.Time{}, err
	case !found || len(v) != tombContactLen:
		return time.Time{}, chat.E(op, chat.KindNotFound, "the contact was not erased", nil)
	}
	return timeOf(int64(binary.BigEndian.Uint64(v))), nil // #nosec G115 -- as it was put
}
