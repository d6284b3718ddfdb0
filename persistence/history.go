package persistence

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// Events returns up to limit events with seq > after, in order, unsealed. It
// never shows what is not durable.
func (s *Store) Events(t chat.TenantID, c chat.ConversationID, after chat.Seq, limit int) ([]chat.Event, error) {
	tn, conv, err := s.place(t, c)
	if err != nil {
		return nil, err
	}
	if limit == 1 {
		e, found, err := s.oneEvent(tn, c, conv, after+1)
		if err != nil {
			return nil, err
		}
		if found {
			return []chat.Event{e}, nil
		}
	}
	var out []chat.Event
	err = s.scanEvents(tn, conv, after, limit, func(v []byte) error {
		row, err := splitEvent(v)
		if err != nil {
			return err
		}
		e, err := s.openEvent(tn, c, conv, row)
		if err == nil {
			out = append(out, e)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// recentRoom is how many events after what it answers a prompt mostly finds.
const recentRoom = 16

// History is Events for a prompt that answers what stands at from and after it. Of events
// before from whose kind no prompt recalls only Seq, Pos, Kind, Tenant and Conversation
// are read: most of a long talk are those, and unsealing is most of the work.
func (s *Store) History(t chat.TenantID, c chat.ConversationID, after, from chat.Seq, limit int) ([]chat.Event, error) {
	tn, conv, err := s.place(t, c)
	if err != nil {
		return nil, err
	}
	before := 0
	if from > after {
		before = int(min(from-after, chat.Seq(limit))) // #nosec G115 -- limit is no negative number
	}
	out := make([]chat.Event, 0, min(limit, before+recentRoom))
	err = s.scanEvents(tn, conv, after, limit, func(v []byte) error {
		kind, seq, err := headOfEvent(v)
		if err != nil {
			return err
		}
		e := chat.Event{Seq: seq, Pos: posOfEvent(v), Kind: kind, Tenant: t, Conversation: c}
		if seq >= from || chat.Recalled(kind) {
			row, err := splitEvent(v)
			if err != nil {
				return err
			}
			if e, err = s.openEvent(tn, c, conv, row); err != nil {
				return err
			}
		}
		out = append(out, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// scanEvents gives the values of up to limit durable events with seq > after to each, in
// order. A value is valid until each returns.
func (s *Store) scanEvents(tn *tenant, conv id16, after chat.Seq, limit int, each func(v []byte) error) error {
	const op = "journal.Events"
	prefix := tn.realm.events(nil, conv)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read events", err)
	}
	defer it.Close()
	durable := chat.Pos(tn.durable.Load())
	for ok := it.SeekPrefixGE(tn.realm.event(nil, conv, after+1)); ok && limit > 0; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			break
		}
		if len(v) < posLen {
			return errRecord("an event is too short")
		}
		if posOfEvent(v) > durable {
			break
		}
		if err := each(v); err != nil {
			return err
		}
		limit--
	}
	if err := it.Error(); err != nil {
		return chat.E(op, chat.KindCorrupt, "cannot read events", err)
	}
	return nil
}

// oneEvent is the durable event of a conversation with a number, if there is one: to find
// one row costs less than to make ready for many.
func (s *Store) oneEvent(tn *tenant, c chat.ConversationID, conv id16, seq chat.Seq) (e chat.Event, found bool, err error) {
	v, found, err := s.get(tn.realm.event(nil, conv, seq))
	if err != nil || !found {
		return e, false, err
	}
	row, err := splitEvent(v)
	if err != nil || row.pos > chat.Pos(tn.durable.Load()) {
		return e, false, err
	}
	e, err = s.openEvent(tn, c, conv, row)
	return e, err == nil, err
}

// openEvent unseals a stored event. c is empty for an 'x' row.
func (s *Store) openEvent(t *tenant, c chat.ConversationID, conv id16, row eventRow) (chat.Event, error) {
	var box opener = t.box
	if len(row.record.Keeper) > 0 && len(row.record.Sealed) > 0 {
		if len(row.record.Keeper) != idLen {
			return chat.Event{}, errRecord("a contact id has the wrong length")
		}
		key, found, err := s.storedKey(t, id16(row.record.Keeper))
		if err != nil {
			return chat.Event{}, err
		}
		if !found {
			return chat.Event{}, errRecord("an event's key is missing")
		}
		box = key.box
	}
	var room [128]byte
	p, err := openPrivate(box, row.record.Sealed, appendEventPlace(room[:0], t.id, conv, chat.Seq(row.record.Seq)))
	if err != nil {
		return chat.Event{}, err
	}
	return row.event(t.id, c, p)
}
