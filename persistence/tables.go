package persistence

import (
	"errors"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

const (
	// tableReadersMax is how many idle readers are kept: about one per goroutine
	// that looks rows up at once on a small machine.
	tableReadersMax = 16
	// tableReaderAge is how long a reader is used. It keeps the memtables and
	// tables of its birth from being freed.
	tableReaderAge = 50 * time.Millisecond
)

// tableReaders keeps iterators over the tables on disk for the next look-up: to
// open and close one costs more than to ask the tables' filters.
type tableReaders struct {
	mu   sync.Mutex // guards the fields below
	idle []*tableReader
	// drained counts drains: a reader of before one is closed when it comes back.
	drained uint64
	closed  bool
}

// tableReader reads what was on disk when it was opened. Used by one goroutine.
type tableReader struct {
	it *pebble.Iterator
	// generation of the recent keys, read before it was opened.
	generation uint64
	born       time.Time
	drained    uint64
}

// take returns an idle reader opened in the given generation, or nil. A reader
// of an earlier one must not be used: a key whose filter was dropped since may
// have been in a memtable when it was opened.
func (t *tableReaders) take(generation uint64) *tableReader {
	for {
		t.mu.Lock()
		n := len(t.idle)
		if n == 0 {
			t.mu.Unlock()
			return nil
		}
		r := t.idle[n-1]
		t.idle = t.idle[:n-1]
		t.mu.Unlock()
		if r.generation == generation && time.Since(r.born) < tableReaderAge {
			return r
		}
		_ = r.it.Close() // nothing was read since the last error check
	}
}

// open makes a reader. generation must have been read before.
func (t *tableReaders) open(db *pebble.DB, generation uint64) (*tableReader, error) {
	t.mu.Lock()
	drained := t.drained
	t.mu.Unlock()
	it, err := db.NewIter(&pebble.IterOptions{OnlyReadGuaranteedDurable: true, UseL6Filters: true})
	if err != nil {
		return nil, chat.E("persistence.lookup", chat.KindOther, "cannot read a row", err)
	}
	return &tableReader{it: it, generation: generation, born: time.Now(), drained: drained}, nil
}

// give returns a reader after use.
func (t *tableReaders) give(r *tableReader) error {
	t.mu.Lock()
	if !t.closed && r.drained == t.drained && len(t.idle) < tableReadersMax {
		t.idle = append(t.idle, r)
		r = nil
	}
	t.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.it.Close()
}

// drain closes the idle readers, and has those in use closed after it. last
// tells that none is kept from now on.
func (t *tableReaders) drain(last bool) (err error) {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.drained++
	t.closed = t.closed || last
	t.mu.Unlock()
	for _, r := range idle {
		err = errors.Join(err, r.it.Close())
	}
	return err
}

// get returns a copy of the row on disk, nil for none.
func (r *tableReader) get(key []byte) (value []byte, err error) {
	if r.it.SeekPrefixGE(key) && comparer.Equal(r.it.Key(), key) {
		var v []byte
		if v, err = r.it.ValueAndErr(); err == nil {
			value = append(make([]byte, 0, len(v)+1), v...)
		}
	}
	return value, errors.Join(err, r.it.Error())
}
