package persistence

import (
	"bytes"
	"encoding/binary"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// checkedTenant is the tenant whose rows come at the moment.
type checkedTenant struct {
	realm realm
	// known is nil for a tenant whose keys cannot be read; its rows are skipped.
	known *tenant
	last  chat.Pos
	// counted is what the events add up to, stored what the counters say.
	counted, stored map[string]int64
	// erased is true once a record without content was met.
	erased    bool
	journal   *checkedJournal
	knowledge checkedKnowledge
}

// tenantRow checks one row of a tenant's range.
func (k *checker) tenantRow(r realm, kind byte, rest, key, value []byte) error {
	if k.tenant == nil || !bytes.Equal(k.tenant.realm, r) {
		if err := k.beginTenant(r, key); err != nil {
			return err
		}
	}
	t := k.tenant
	if t.known == nil {
		return nil
	}
	if t.journal != nil && kind != kindEvent {
		if err := k.endJournal(); err != nil {
			return err
		}
	}
	if want := restLen(kind); want < 0 || kind != kindCounter && len(rest) != want {
		k.broken(InvariantKeyspace, key, "no such row of a tenant")
		return nil
	}
	switch kind {
	case kindAddress:
		return k.addressRow(key, value)
	case kindState:
		return k.stateRow(id16(rest), key, value)
	case kindEvent:
		return k.eventRow(id16(rest[:idLen]), chat.Seq(binary.BigEndian.Uint64(rest[idLen:])), key, value)
	case kindFeed:
		return k.feedRow(chat.Pos(binary.BigEndian.Uint64(rest)), key, value)
	case kindClaim:
		return k.claimRow(id16(rest), key, value)
	case kindKey:
		if _, err := t.known.box.Open(value, idPlace(placeContactKey, t.known.id, id16(rest))); err != nil {
			k.broken(InvariantSealed, key, "does not open")
		}
	case kindTombstone:
		if _, ok := readTombstone(r.tenant(), rest, value); !ok {
			k.broken(InvariantRecord, key, "not a tombstone")
		}
	case kindContact:
		return k.contactRow(id16(rest), key, value)
	case kindRow:
		return k.remoteRow(key, value)
	case kindCounter:
		n, err := readCounter(value)
		if err != nil {
			k.broken(InvariantRecord, key, "not a counter")
			return nil
		}
		t.stored[string(rest)] = n
	case kindDoc:
		d, err := t.known.openDoc(id16(rest[1:]), value)
		if err != nil {
			k.broken(InvariantSealed, key, "does not open")
			return nil
		}
		k.knowledgeDoc(chat.DocNoun(rest[0]), d, key)
	case kindSends:
		return k.sendsRow(id16(rest), key)
	case kindView:
		return k.viewRow(rest, key)
	case kindLoose:
		return k.looseRow(chat.Pos(binary.BigEndian.Uint64(rest)), key, value)
	}
	return nil
}

// restLen is the length of what follows the kind in a key, -1 for no such kind.
// Counters have any length.
func restLen(kind byte) int {
	switch kind {
	case kindAddress, kindState, kindClaim, kindKey, kindContact, kindRow, kindSends:
		return idLen
	case kindDoc, kindTombstone:
		return 1 + idLen
	case kindEvent, kindView:
		return idLen + 8
	case kindFeed, kindLoose:
		return 8
	case kindMeta, kindCounter:
		return 0
	}
	return -1
}

func (k *checker) beginTenant(r realm, key []byte) error {
	if err := k.endTenant(); err != nil {
		return err
	}
	k.report.Tenants++
	k.tenant = &checkedTenant{realm: bytes.Clone(r), counted: map[string]int64{}, stored: map[string]int64{}}
	id := r.tenant()
	if r.group() != k.store.Group(id) {
		k.broken(InvariantTenant, key, "the tenant belongs to another group")
		return nil
	}
	if coming, err := k.get(k.tenant.realm.arrival(nil)); err != nil || coming != nil {
		return err // not whole, and nobody's yet
	}
	v, err := k.get(k.tenant.realm.meta(nil))
	if err != nil {
		return err
	}
	if v == nil {
		k.broken(InvariantTenant, key, "the tenant has no meta row")
		return nil
	}
	pos, _, err := decodeMeta(v)
	if err != nil {
		k.broken(InvariantRecord, key, "the tenant's meta row is unreadable")
		return nil
	}
	if k.tenant.last, err = k.store.lastPos(k.tenant.realm, pos); err != nil {
		return err
	}
	if k.tenant.known, err = k.store.tenantAt(id); chat.KindOf(err) == chat.KindCorrupt {
		k.broken(InvariantSealed, key, "the tenant's keys do not open")
		return nil
	}
	return err
}

// unversioned sums counters over the versions of assistants.
func unversioned(counters map[string]int64) map[string]int64 {
	sums := make(map[string]int64, len(counters))
	for name, n := range counters {
		if parts := strings.SplitN(name, "/", 4); len(parts) == 4 {
			name = strings.Join(parts[:3], "/")
		}
		sums[name] += n
	}
	return sums
}

// ofErased are the counters of what an erased event no longer says.
var ofErased = map[string]bool{"turns": true, "calls_lost": true, "tokens_prompt": true, "tokens_output": true, "money": true, "budget": true}

// endTenant finishes the journal and compares the counters.
func (k *checker) endTenant() error {
	t := k.tenant
	if t == nil {
		return nil
	}
	if err := k.endJournal(); err != nil {
		return err
	}
	k.endKnowledge()
	k.tenant = nil
	if t.known == nil {
		return nil
	}
	delete(t.counted, "")
	if t.erased {
		// Which version did what is gone with the events.
		t.counted, t.stored = unversioned(t.counted), unversioned(t.stored)
	}
	for name, n := range t.counted {
		if _, ok := t.stored[name]; !ok && n != 0 {
			k.broken(counterRule(name), t.realm.counter(nil, name), "missing")
		}
	}
	for name, n := range t.stored {
		what, rest, _ := strings.Cut(name, "/")
		if !strings.Contains(rest, "/") && what != "budget" {
			continue // a limit: what is reserved is no event
		}
		if t.erased && ofErased[what] && n >= t.counted[name] {
			continue
		}
		if n != t.counted[name] {
			k.broken(counterRule(name), t.realm.counter(nil, name), "is not what the events add up to")
		}
	}
	return nil
}

// counterRule is the rule that a counter keeps.
func counterRule(name string) Invariant {
	if strings.HasPrefix(name, "budget/") {
		return InvariantBudget
	}
	return InvariantCounter
}

func (k *checker) addressRow(key, value []byte) error {
	if _, err := decodeAddress(value); err != nil {
		k.broken(InvariantRecord, key, "not an address row")
		return nil
	}
	if len(value) == givenLen {
		return nil // given up: it leads nowhere
	}
	r := k.tenant.realm
	_, found, err := k.head(r, id16(value[:idLen]))
	if err != nil {
		return err
	}
	if !found {
		k.broken(InvariantAddress, key, "leads to no conversation")
	}
	contact, err := k.get(r.contact(nil, id16(value[idLen:leadLen])))
	if err == nil && contact == nil {
		k.broken(InvariantAddress, key, "leads to no contact")
	}
	return err
}

func (k *checker) contactRow(id id16, key, value []byte) error {
	t := k.tenant.known
	ck, found, err := k.store.storedKey(t, id)
	switch {
	case chat.KindOf(err) == chat.KindCorrupt:
		k.broken(InvariantSealed, key, "the contact's key does not open")
		return nil
	case err != nil:
		return err
	case !found:
		k.broken(InvariantKey, key, "the contact has no key")
		return nil
	}
	if _, err := decodeContact(ck.box, t.id, id, value); err != nil {
		k.broken(InvariantSealed, key, "does not open")
	}
	return nil
}

func (k *checker) remoteRow(key, value []byte) error {
	var r recordpb.Row
	if proto.Unmarshal(value, &r) != nil || len(r.Conversation)%idLen != 0 || len(r.Conversation) > idLen {
		k.broken(InvariantRecord, key, "not a remote-id row")
		return nil
	}
	if len(r.Conversation) == 0 {
		return nil // of an update without a conversation
	}
	v, err := k.get(k.tenant.realm.event(nil, id16(r.Conversation), chat.Seq(r.Seq)))
	if err == nil && v == nil {
		k.broken(InvariantRemote, key, "leads to no event")
	}
	return err
}

func (k *checker) claimRow(h id16, key, value []byte) error {
	t := k.tenant.known
	o, err := t.decodeClaim(h, value)
	if err != nil {
		k.broken(InvariantSealed, key, "not a claim, or does not open")
		return nil
	}
	if c, ok := conversationBytes(o.Conversation); ok {
		_, found, err := k.head(t.realm, c)
		if err != nil {
			return err
		}
		if !found {
			k.broken(InvariantClaim, key, "is of no conversation")
		}
	}
	day, _ := claimDay(value)
	if day == 0 {
		return nil
	}
	v, err := k.get(appendExpiry(nil, t.realm.group(), day, t.id, h))
	if err == nil && v == nil {
		k.broken(InvariantClaim, key, "is not in the expiry index")
	}
	return err
}

// claimDay is the day of a claim row.
func claimDay(v []byte) (day uint32, ok bool) {
	var r recordpb.Claim
	if proto.Unmarshal(v, &r) != nil {
		return 0, false
	}
	return r.Day, true
}

func (k *checker) viewRow(rest, key []byte) error {
	active, c, _ := parseView(rest)
	h, found, err := k.head(k.tenant.realm, c)
	switch {
	case err != nil:
		return err
	case !found:
		k.broken(InvariantView, key, "there is no such conversation")
	case viewTime(h.active) != active:
		k.broken(InvariantView, key, "the conversation was active at another time")
	}
	return nil
}

func (k *checker) sendsRow(c id16, key []byte) error {
	h, found, err := k.head(k.tenant.realm, c)
	if err == nil && (!found || !h.sends) {
		k.broken(InvariantSends, key, "the conversation says that it has no such sends")
	}
	return err
}

// feedRow checks that a feed row and its event agree.
func (k *checker) feedRow(pos chat.Pos, key, value []byte) error {
	at := k.tenant.realm.loose(nil, pos)
	if len(value) > 0 {
		c, seq, ok := readPointer(value)
		if !ok {
			k.broken(InvariantRecord, key, "not a feed row")
			return nil
		}
		at = k.tenant.realm.event(nil, c, seq)
	}
	if pos > k.tenant.last || pos == 0 {
		k.broken(InvariantTenant, key, "the position is not one the tenant gave out")
	}
	v, err := k.get(at)
	if err != nil {
		return err
	}
	if len(v) < 8 || chat.Pos(binary.BigEndian.Uint64(v)) != pos {
		k.broken(InvariantFeed, key, "leads to no event with this position")
	}
	return nil
}
