package persistence

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// checkedJournal is the conversation whose events come at the moment.
type checkedJournal struct {
	conversation id16
	key          []byte
	// replayed is what the events amount to.
	replayed chat.Conversation
	pos      chat.Pos
	// erased counts records without content.
	erased int
	turns  checkedTurns
	// torn is true once an event could not be read: there is nothing to compare.
	torn bool
}

// stateRow checks a state against its head and the rows that mirror it.
func (k *checker) stateRow(c id16, key, value []byte) error {
	k.report.Conversations++
	t := k.tenant.known
	h, record, err := readHead(value)
	if err != nil {
		k.broken(InvariantRecord, key, "not a state row")
		return nil
	}
	s, err := decodeState(t.pepper, t.id, c.conversationID(), record)
	if err != nil {
		k.broken(InvariantRecord, key, "not a state")
		return nil
	}
	if s.Seq != h.seq || millis(s.Active) != h.active || millis(s.Armed) != h.armed || isLive(&s) != h.live {
		k.broken(InvariantRecord, key, "the head is not of this state")
	}
	// A head of an older version may not say that it has sends.
	if h.sends && len(s.Outbox) == 0 {
		k.broken(InvariantSends, key, "says that it has sends, and has none")
	}
	if _, owes := s.Owes(); owes == s.Armed.IsZero() {
		k.broken(InvariantOwes, key, "owes something: "+strconv.FormatBool(owes)+", has a due time: "+strconv.FormatBool(!s.Armed.IsZero()))
	}
	if k.live != nil {
		k.live.conversation(k, &s, key)
	}
	if err := k.mirrors(t, c, h, key); err != nil {
		return err
	}
	if h.keyID == 0 {
		return nil
	}
	contact, _ := contactBytes(s.Contact)
	wrapped, err := k.get(t.realm.wrapped(nil, contact))
	if err != nil {
		return err
	}
	if wrapped == nil || keyIDOf(wrapped) != h.keyID {
		k.broken(InvariantKey, key, "the contact's key is not the one the conversation is sealed with")
	}
	return nil
}

// mirrors checks that the last event and the inbox and agenda rows of a head exist.
func (k *checker) mirrors(t *tenant, c id16, h head, key []byte) error {
	v, err := k.get(t.realm.event(nil, c, h.seq))
	if err != nil {
		return err
	}
	if v == nil {
		k.broken(InvariantSeq, key, "the last event is missing")
	}
	if v, err = k.get(t.realm.view(nil, h.active, c)); err != nil {
		return err
	}
	if v == nil {
		k.broken(InvariantView, key, "is not in the inbox")
	}
	if h.sends {
		if v, err = k.get(t.realm.sends(nil, c)); err != nil {
			return err
		}
		if v == nil {
			k.broken(InvariantSends, key, "is not in the index of sends")
		}
	}
	if h.armed == 0 {
		return nil
	}
	if v, err = k.get(appendDue(nil, t.realm.group(), h.armed, t.id, c)); err != nil {
		return err
	}
	if v == nil {
		k.broken(InvariantAgenda, key, "is not in the agenda")
	}
	return nil
}

// eventRow checks one event and adds it to the journal under way.
func (k *checker) eventRow(c id16, seq chat.Seq, key, value []byte) error {
	k.report.Events++
	t := k.tenant
	if t.journal == nil || t.journal.conversation != c {
		if err := k.endJournal(); err != nil {
			return err
		}
		t.journal = &checkedJournal{conversation: c, key: bytes.Clone(key)}
	}
	j := t.journal
	if want := j.replayed.Seq + 1; seq != want {
		k.broken(InvariantSeq, key, "follows "+strconv.FormatUint(uint64(j.replayed.Seq), 10))
	}
	e, ok, err := k.open(c.conversationID(), c, seq, key, value)
	if err != nil {
		return err
	}
	if !ok {
		j.torn, j.replayed.Seq = true, seq
		return nil
	}
	if e.Pos <= j.pos {
		k.broken(InvariantFeed, key, "the position does not rise")
	}
	j.pos = e.Pos
	if e.Kind == chat.Erased {
		j.erased++
		t.erased = true
	}
	j.replayed.Apply(e)
	k.turn(&j.turns, &e, key)
	var where [idLen + 8]byte
	copy(where[:], c[:])
	binary.BigEndian.PutUint64(where[idLen:], uint64(seq))
	return k.inFeed(e.Pos, where[:], key)
}

// looseRow checks an event without a conversation.
func (k *checker) looseRow(pos chat.Pos, key, value []byte) error {
	k.report.Events++
	e, ok, err := k.open("", id16{}, 0, key, value)
	if err != nil || !ok {
		return err
	}
	if e.Pos != pos {
		k.broken(InvariantFeed, key, "holds another position")
	}
	if used := e.Aside(); used != nil {
		k.tenant.counted[chat.BudgetCounter(e.Time)] += int64(used.Cost)
	}
	return k.inFeed(pos, nil, key)
}

// open decodes and unseals an event and counts its usage.
func (k *checker) open(c chat.ConversationID, conv id16, seq chat.Seq, key, value []byte) (e chat.Event, ok bool, err error) {
	row, err := splitEvent(value)
	if err != nil {
		k.broken(InvariantRecord, key, "not an event")
		return e, false, nil
	}
	if chat.Seq(row.record.Seq) != seq {
		k.broken(InvariantSeq, key, "holds another seq")
		return e, false, nil
	}
	e, err = k.store.openEvent(k.tenant.known, c, conv, row)
	if chat.KindOf(err) == chat.KindCorrupt {
		k.broken(InvariantSealed, key, "does not open")
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	for _, u := range chat.UsageOf([]chat.Event{original(e)}) {
		k.tenant.counted[u.Counter] += u.Amount
	}
	return e, true, nil
}

// original is an event with the kind it had before it was erased.
func original(e chat.Event) chat.Event {
	if e.Kind != chat.Erased || e.Update == nil {
		return e
	}
	for kind := range chat.EventKinds {
		if kind.String() == e.Update.Type {
			return chat.Event{Kind: kind, Time: e.Time, Channel: e.Channel}
		}
	}
	return e
}

// inFeed checks that the feed has the event at its position.
func (k *checker) inFeed(pos chat.Pos, where, key []byte) error {
	v, err := k.get(k.tenant.realm.feed(nil, pos))
	if err == nil && (v == nil || !bytes.Equal(v, where)) {
		k.broken(InvariantFeed, key, "the feed does not lead here")
	}
	return err
}

// endJournal compares what the events amount to with the stored state.
func (k *checker) endJournal() error {
	t := k.tenant
	if t == nil || t.journal == nil {
		return nil
	}
	j := t.journal
	t.journal = nil
	v, err := k.get(t.realm.state(nil, j.conversation))
	if err != nil {
		return err
	}
	if v == nil {
		k.broken(InvariantSeq, j.key, "the journal has no state")
		return nil
	}
	h, record, err := readHead(v)
	if err != nil {
		return nil // noted at the state row
	}
	if h.seq != j.replayed.Seq {
		k.broken(InvariantSeq, j.key, "ends at "+strconv.FormatUint(uint64(j.replayed.Seq), 10)+
			", the state is at "+strconv.FormatUint(uint64(h.seq), 10))
	}
	if h.keyID == 0 && chat.Seq(j.erased) != h.seq {
		k.broken(InvariantErased, j.key, "holds records that are no skeletons")
	}
	stored, err := decodeState(t.known.pepper, t.known.id, j.conversation.conversationID(), record)
	if err != nil {
		return nil // noted at the state row
	}
	k.endTurns(j, &stored)
	if j.erased > 0 || j.torn {
		return nil
	}
	j.turns.older(&j.replayed, &stored)
	if differ := differences(j.replayed, stored); differ != "" {
		k.broken(InvariantReplay, j.key, "replay gives another "+differ)
	}
	return nil
}

// differences names the fields in which two states differ. Armed is left out:
// when a due time is stored is the shell's affair; so is Kind, which the shell
// takes from the channel.
func differences(a, b chat.Conversation) string {
	a.Armed = b.Armed
	a.Kind = b.Kind
	if b.Turn.Volley == (chat.Volley{}) {
		a.Turn.Volley = b.Turn.Volley // an older version kept none
	}
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	var names []string
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, x.Type().Field(i).Name)
		}
	}
	return strings.Join(names, ", ")
}
