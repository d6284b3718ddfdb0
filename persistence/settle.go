package persistence

import (
	"context"

	"github.com/chumiai/chumi/chat"
)

// Settle puts all that was written so far into tables, or ends with ctx. An engine
// that stops calls it: of a log, damage near its end cannot be told from an end
// that was torn, and what stands behind it would be missing without a word. Tables
// have checksums that are looked at.
func (s *Store) Settle(ctx context.Context) error {
	const op = "persistence.Settle"
	if s.dead.Load() {
		return chat.E(op, chat.KindUnavailable, "nothing is written any more", nil)
	}
	done, err := s.db.AsyncFlush()
	if err != nil {
		return chat.E(op, chat.KindUnavailable, "cannot flush", err)
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return chat.E(op, chat.KindUnavailable, "not all of the log is in tables", context.Cause(ctx))
	}
}
