package persistence

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// writeSet collects the writes of a batch, to be given to Pebble in key order
// with only the last write of each key: neighbours are cheap to insert into a
// memtable, and a conversation that moves twice in a batch is written once.
type writeSet struct {
	// buf holds keys and values back to back; ops point into it.
	buf []byte
	ops []writeOp
}

type writeOp struct {
	key, value, end int
	deleted         bool
}

func (w *writeSet) reset() { w.buf, w.ops = w.buf[:0], w.ops[:0] }

// size is the bytes collected.
func (w *writeSet) size() int { return len(w.buf) }

// set puts a row whose value is the parts joined, and returns the value, which
// is not nil and stays as it is until reset. Key and parts are copied.
func (w *writeSet) set(key []byte, parts ...[]byte) []byte {
	op := writeOp{key: len(w.buf)}
	w.buf = append(w.buf, key...)
	op.value = len(w.buf)
	for _, p := range parts {
		w.buf = append(w.buf, p...)
	}
	op.end = len(w.buf)
	w.ops = append(w.ops, op)
	return w.buf[op.value:op.end:op.end]
}

// remove deletes a row.
func (w *writeSet) remove(key []byte) {
	w.set(key)
	w.ops[len(w.ops)-1].deleted = true
}

func (w *writeSet) keyOf(op writeOp) []byte { return w.buf[op.key:op.value] }

// flush writes the set to b.
func (w *writeSet) flush(b *pebble.Batch) error {
	slices.SortStableFunc(w.ops, func(x, y writeOp) int { return bytes.Compare(w.keyOf(x), w.keyOf(y)) })
	for i, op := range w.ops {
		key := w.keyOf(op)
		if i+1 < len(w.ops) && bytes.Equal(key, w.keyOf(w.ops[i+1])) {
			continue
		}
		var err error
		if op.deleted {
			err = b.Delete(key, nil)
		} else {
			err = b.Set(key, w.buf[op.value:op.end], nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
