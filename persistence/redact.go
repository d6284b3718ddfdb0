package persistence

import (
	"slices"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// redactions replaces stored events of the commit's conversation by what a redaction
// leaves of them, at the same position. The new record is sealed here, so that stage
// writes the same bytes everywhere; that nobody else wrote the conversation meanwhile
// is the commit's own condition.
//
// The old record leaves the disk as all that is overwritten does: with the next
// compaction of its range and the next turn of the log.
func (s *Store) redactions(t *tenant, p *prepared, c *chat.Commit) error {
	const op = "journal.Append"
	for _, seq := range c.Redact {
		if c.Conversation == "" || seq == 0 || seq > c.Expected {
			return chat.E(op, chat.KindInvalid, "a commit redacts what is not before it", nil)
		}
		key := t.realm.event(nil, p.conversation, seq)
		v, found, err := s.get(key)
		if err != nil {
			return err
		}
		if !found {
			return chat.E(op, chat.KindInvalid, "a commit redacts an event that does not exist", nil)
		}
		row, err := splitEvent(v)
		if err != nil {
			return err
		}
		if chat.EventKind(row.record.Kind) == chat.Erased {
			continue
		}
		e, err := s.openEvent(t, c.Conversation, p.conversation, row)
		if err != nil {
			return err
		}
		e = chat.Redacted(e)
		p.place = appendEventPlace(p.place[:0], t.id, p.conversation, seq)
		record, err := encodeEvent(&p.records, &e, p.contact[:], p.key.box, p.place)
		if err != nil {
			return err
		}
		p.commit.Writes = append(p.commit.Writes, &recordpb.Write{Key: key, Value: append(slices.Clone(v[:8]), record...)})
	}
	return nil
}
