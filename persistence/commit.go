package persistence

import (
	"bytes"
	"encoding/binary"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// stage evaluates a commit's conditions against the store and the batch and,
// when all hold, puts its writes into the batch. In order:
//
//	epoch == the group's            else StaleEpoch; see unfenced
//	expected == the head's seq      else WrongSeq
//	sealed with the contact's key   else WrongSeq: it was erased meanwhile
//	fresh rows and claims absent,
//	rows what they were             else Duplicate
//	reservations within limits      else LimitReached
//
// A commit that has another beside it is refused when that is. A refused commit
// changes nothing. An error means that the store is
// unreadable: it is not an answer, and the caller must stop.
//
// A commit writes its events and their feed rows, the state, the inbox view,
// the agenda row, the row of sends, the contact and its key, remote-id rows, claims with their
// expiry, and plain rows; one without events writes its position. Counters follow
// once per batch. REQUIRES: the tenant has its meta row.
func (s *stager) stage(c *recordpb.Commit) (Outcome, error) {
	if c.Epoch != uint64(s.epoch) && !unfenced(c) {
		return Outcome{Answer: chat.StaleEpoch}, nil
	}
	if c.Tenant == "" {
		out, err := s.freshWrites(c)
		if err != nil || out.Answer != 0 {
			return out, err
		}
		return Outcome{Answer: chat.Applied}, s.applyWrites(c)
	}
	t, err := s.tenant(chat.TenantID(c.Tenant))
	if err != nil {
		return Outcome{}, err
	}
	if t == nil {
		return Outcome{}, chat.E("persistence.stage", chat.KindCorrupt, "a commit of a tenant without a meta row", nil)
	}
	at := s.stagingOf(t, c)
	out, err := at.refuse()
	if err != nil || out.Answer != 0 {
		return out, err
	}
	var also staging
	if c.Also != nil {
		also = s.stagingOf(t, c.Also)
		if out, err := also.refuse(); err != nil || out.Answer != 0 {
			return out, err
		}
	}
	s.touch(t)
	if err := at.apply(); err != nil {
		return Outcome{}, err
	}
	if c.Also != nil {
		if err := also.apply(); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{Answer: chat.Applied, pos: t.last}, nil
}

// stagingOf begins to stage a commit.
func (s *stager) stagingOf(t *stagedTenant, c *recordpb.Commit) staging {
	at := staging{stager: s, tenant: t, commit: c}
	copy(at.conversation[:], c.Conversation)
	copy(at.contact[:], c.Contact)
	return at
}

// staging is one commit being staged.
type staging struct {
	*stager
	tenant       *stagedTenant
	commit       *recordpb.Commit
	conversation id16
	contact      id16
	// head is of the conversation before the commit.
	head head
	// keyID is of the contact key after the commit.
	keyID uint32
}

// refuse evaluates the conditions. A zero answer means that all hold.
func (at *staging) refuse() (Outcome, error) {
	c := at.commit
	if len(c.Conversation) > 0 {
		var err error
		if at.head, err = at.stager.head(at.tenant, at.conversation); err != nil {
			return Outcome{}, err
		}
		if uint64(at.head.seq) != c.Expected {
			return Outcome{Answer: chat.WrongSeq}, nil
		}
		if ok, err := at.keyHolds(); err != nil || !ok {
			return Outcome{Answer: chat.WrongSeq}, err
		}
	}
	for _, list := range [2][]*recordpb.Insert{c.Rows, c.Claims} {
		for _, in := range list {
			if !in.Fresh {
				continue
			}
			h := id16(in.Hash)
			at.key = at.tenant.realm.id(at.key[:0], byte(in.Kind), h)
			if byte(in.Kind) == kindRow && at.store.recent.stillAbsent(h, at.key) {
				continue
			}
			v, err := at.read(at.key)
			if err != nil {
				return Outcome{}, err
			}
			if v != nil && !(byte(in.Kind) == kindAddress && reclaims(v, in.Record)) {
				return Outcome{Answer: chat.Duplicate, original: bytes.Clone(v), originalKind: byte(in.Kind), originalHash: h}, nil
			}
		}
	}
	for _, r := range c.Reserve {
		n, err := at.counter(at.tenant, r.Counter)
		if err != nil {
			return Outcome{}, err
		}
		if r.Limit > 0 && n+r.Amount > r.Limit {
			return Outcome{Answer: chat.LimitReached, counter: r.Counter}, nil
		}
	}
	return at.freshWrites(c)
}

// keyHolds reports whether the key that sealed the commit is the contact's, and
// notes it. Without it an event could be sealed with a key that an erase, or
// the winner of a race, has replaced.
func (at *staging) keyHolds() (bool, error) {
	c := at.commit
	at.keyID = c.KeyId
	if c.Head == nil && len(c.Events) == 0 {
		at.keyID = at.head.keyID
		return true, nil
	}
	if at.head.keyID != 0 {
		return at.head.keyID == c.KeyId, nil
	}
	at.key = at.tenant.realm.wrapped(at.key[:0], at.contact)
	stored, err := at.read(at.key)
	if err != nil {
		return false, err
	}
	if stored == nil {
		return len(c.ContactKey) > 0, nil
	}
	return len(c.ContactKey) == 0 && keyIDOf(stored) == c.KeyId, nil
}

func (at *staging) apply() error {
	at.applyEvents()
	if at.commit.Head != nil {
		at.applyHead()
	}
	at.applyContact()
	at.applyRows()
	for _, list := range [2][]*recordpb.Count{at.commit.Reserve, at.commit.Usage} {
		for _, n := range list {
			if err := at.count(at.tenant, n.Counter, n.Amount); err != nil {
				return err
			}
		}
	}
	return at.applyWrites(at.commit)
}

// applyEvents writes journal and feed and allocates positions. A commit without
// events takes a position too: its agenda row is dated by it, and the meta row has
// it, because no feed row does.
func (at *staging) applyEvents() {
	t, seq := at.tenant, chat.Seq(at.commit.Expected)
	if len(at.commit.Events) == 0 {
		t.last++
		at.key = t.realm.meta(at.key[:0])
		at.note(at.key)
		var last [8]byte
		binary.BigEndian.PutUint64(last[:], uint64(t.last))
		at.writes.set(at.key, last[:], t.keys)
	}
	for _, e := range at.commit.Events {
		t.last++
		var where []byte
		if len(at.commit.Conversation) > 0 {
			seq++
			at.key = t.realm.event(at.key[:0], at.conversation, seq)
			var room [idLen + 8]byte
			where = binary.BigEndian.AppendUint64(append(room[:0], at.conversation[:]...), uint64(seq))
		} else {
			at.key = t.realm.loose(at.key[:0], t.last)
		}
		var pos [8]byte
		binary.BigEndian.PutUint64(pos[:], uint64(t.last))
		at.writes.set(at.key, pos[:], e.Record)
		at.key = t.realm.feed(at.key[:0], t.last)
		at.writes.set(at.key, where)
	}
}

// applyHead writes the state and, where they changed, its view and agenda rows.
func (at *staging) applyHead() {
	t, old, c := at.tenant, at.head, at.commit
	next := head{seq: chat.Seq(c.Expected) + chat.Seq(len(c.Events)), active: c.Head.Active,
		armed: c.Head.Armed, keyID: at.keyID, live: c.Head.Live, sends: c.Head.Sends}
	var room [headLen]byte
	at.key = t.realm.state(at.key[:0], at.conversation)
	at.note(at.key)
	at.writes.set(at.key, appendHead(room[:0], next), c.Head.Record)
	at.heads[headKey{t, at.conversation}] = next
	at.applyView(old, next)
	at.applyDue(old, next)
	at.applySends(old, next)
}

// applySends indexes the conversations with sends whose end is not known.
func (at *staging) applySends(old, next head) {
	if old.sends == next.sends {
		return
	}
	at.key = at.tenant.realm.sends(at.key[:0], at.conversation)
	if next.sends {
		at.writes.set(at.key)
	} else {
		at.writes.remove(at.key)
	}
}

func (at *staging) applyView(old, next head) {
	exists := old.seq > 0
	if exists && viewTime(old.active) == viewTime(next.active) {
		return
	}
	if exists {
		at.key = at.tenant.realm.view(at.key[:0], old.active, at.conversation)
		at.writes.remove(at.key)
	}
	at.key = at.tenant.realm.view(at.key[:0], next.active, at.conversation)
	at.writes.set(at.key)
}

func (at *staging) applyDue(old, next head) {
	if old.armed == next.armed && old.live == next.live {
		return
	}
	if old.armed != 0 && old.armed != next.armed {
		at.key = appendDue(at.key[:0], at.group, old.armed, at.tenant.id, at.conversation)
		at.writes.remove(at.key)
	}
	if next.armed == 0 || failpoint.Planted(failpoint.BugForgetDue) {
		return
	}
	if !at.hasDue || next.armed < at.due {
		at.due, at.hasDue = next.armed, true
	}
	at.key = appendDue(at.key[:0], at.group, next.armed, at.tenant.id, at.conversation)
	var room [owedLen]byte
	at.writes.set(at.key, appendOwed(room[:0], next.live, at.tenant.last))
}

func (at *staging) applyContact() {
	c, r := at.commit, at.tenant.realm
	if len(c.ContactKey) > 0 {
		at.key = r.wrapped(at.key[:0], at.contact)
		at.put(at.key, c.ContactKey)
	}
	if len(c.ContactRecord) > 0 {
		at.key = r.contact(at.key[:0], at.contact)
		at.writes.set(at.key, c.ContactRecord)
	}
}

// applyRows writes remote-id rows and claims, and dates claims that may be
// forgotten.
func (at *staging) applyRows() {
	for _, list := range [2][]*recordpb.Insert{at.commit.Rows, at.commit.Claims} {
		for _, in := range list {
			h := id16(in.Hash)
			at.key = at.tenant.realm.id(at.key[:0], byte(in.Kind), h)
			at.put(at.key, in.Record)
			if in.Day != 0 {
				at.key = appendExpiry(at.key[:0], at.group, in.Day, at.tenant.id, h)
				at.writes.set(at.key)
			}
		}
	}
}
