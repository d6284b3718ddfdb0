package persistence

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// scan calls yield with every row whose key starts with prefix, in order, until
// it returns an error. key and value are valid until it returns.
func (s *Store) scan(prefix []byte, yield func(key, value []byte) error) error {
	const op = "persistence.scan"
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read "+prettyKey(prefix).String(), err)
	}
	for it.First(); it.Valid(); it.Next() {
		if err := yield(it.Key(), it.Value()); err != nil {
			_ = it.Close()
			return err
		}
	}
	if err := it.Close(); err != nil {
		return chat.E(op, chat.KindCorrupt, "cannot read "+prettyKey(prefix).String(), err)
	}
	return nil
}
