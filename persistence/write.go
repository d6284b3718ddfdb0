package persistence

import (
	"bytes"
	"context"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// write commits plain rows of group g; it is durable when it returns. A fresh row
// that exists, or a row that is not what it was, is KindConflict, and then nothing
// was written. Every key must belong to g. The disk reserve is not asked: erasing
// must go on below it.
//
// The rows carry no epoch, so that any node may write them, whoever leads: what
// they rest on must be in their conditions.
func (s *Store) write(ctx context.Context, g chat.Group, rows []*recordpb.Write) error {
	return s.groupAt(g).write(ctx, &recordpb.Commit{Writes: rows})
}

// unfenced reports whether a commit is valid under any epoch: it names none and
// is plain rows of the group, which no activation has made. One that belongs to a
// tenant, or to a conversation, rests on what the owner knows of it.
func unfenced(c *recordpb.Commit) bool {
	return c.Epoch == 0 && c.Tenant == "" && len(c.Conversation) == 0 && len(c.Events) == 0 && c.Head == nil &&
		len(c.ContactRecord) == 0 && len(c.ContactKey) == 0 && len(c.Rows) == 0 && len(c.Claims) == 0 &&
		len(c.Reserve) == 0 && len(c.Usage) == 0 && c.Also == nil
}

// writeAt commits plain rows of a tenant on condition that the conversation's
// last event still is expected; else it is KindConflict and nothing was written.
// A state row among them replaces the head, so a rewritten head with keyID 0
// makes the next commit bring a new contact key.
func (s *Store) writeAt(ctx context.Context, t *tenant, c id16, expected chat.Seq, rows []*recordpb.Write) error {
	return t.group.write(ctx, &recordpb.Commit{Tenant: string(t.id), Conversation: c[:],
		Epoch: t.group.epoch.Load(), Expected: uint64(expected), Writes: rows})
}

func (g *group) write(ctx context.Context, c *recordpb.Commit) error {
	const op = "persistence.write"
	out, err := g.propose(ctx, c)
	if err != nil {
		return err
	}
	switch out.Answer {
	case chat.Applied:
		return nil
	case chat.Duplicate:
		return chat.E(op, chat.KindConflict, "a row exists already, or is not what it was", nil)
	case chat.WrongSeq:
		return chat.E(op, chat.KindConflict, "the conversation went on meanwhile", nil)
	case chat.Unknown:
		return chat.E(op, chat.KindUnknown, "the caller gave up; the rows may or may not be durable", ctx.Err())
	default:
		return chat.E(op, chat.KindFenced, "the group has a newer epoch", nil)
	}
}

// freshWrites evaluates the conditions of plain rows.
func (s *stager) freshWrites(c *recordpb.Commit) (Outcome, error) {
	for _, w := range c.Writes {
		if !w.Fresh && len(w.Was) == 0 {
			continue
		}
		v, err := s.read(w.Key)
		if err != nil {
			return Outcome{}, err
		}
		if w.Fresh && v != nil || len(w.Was) > 0 && !bytes.Equal(v, w.Was) {
			return Outcome{Answer: chat.Duplicate, original: bytes.Clone(v)}, nil
		}
	}
	return Outcome{}, nil
}

// applyWrites puts and deletes plain rows.
func (s *stager) applyWrites(c *recordpb.Commit) error {
	for _, w := range c.Writes {
		if w.Delete {
			s.remove(w.Key)
		} else {
			s.put(w.Key, w.Value)
		}
		if err := s.mirror(w); err != nil {
			return err
		}
	}
	return nil
}

// mirror keeps heads, caches and the agenda's watch true to a row that a plain write
// changed.
func (s *stager) mirror(w *recordpb.Write) error {
	if at, _, _, due := parseDue(w.Key); due && !w.Delete && (!s.hasDue || at < s.due) {
		s.due, s.hasDue = at, true
	}
	r, kind, rest, ok := splitRealm(w.Key)
	if !ok || len(rest) != idLen {
		return nil
	}
	switch kind {
	case kindKey:
		if !w.Delete {
			return nil // of an import, of whose tenant nothing is cached
		}
		fallthrough
	case kindAddress:
		s.erased = append(s.erased, realmKey{r.tenant(), kind, id16(rest)})
		return nil
	case kindState:
	default:
		return nil
	}
	t, err := s.tenant(r.tenant())
	if err != nil || t == nil {
		return err
	}
	var h head
	if !w.Delete {
		if h, _, err = readHead(w.Value); err != nil {
			return err
		}
	}
	s.heads[headKey{t, id16(rest)}] = h
	return nil
}
