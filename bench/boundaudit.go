package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// AuditBound writes to w, a line each, the ids of the messages that a bound kept in
// dir. The bound must not run any more; how it ended does not matter.
func AuditBound(kind, dir string, w io.Writer) error {
	out := bufio.NewWriter(w)
	write := func(body []byte) {
		_, _ = out.Write(append(remoteIn(body), '\n')) // Flush reports it
	}
	var err error
	switch kind {
	case BoundNull, BoundHMAC:
	case BoundWAL:
		err = readWAL(boundPath(dir), write)
	case BoundPebble, BoundPebbleTuned:
		err = readPebble(boundPath(dir), write)
	default:
		err = fmt.Errorf("bench: unknown bound %q", kind)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

func readPebble(path string, f func(body []byte)) error {
	db, err := pebble.Open(path, &pebble.Options{Logger: quietLogger{}, ErrorIfNotExists: true})
	if err != nil {
		return fmt.Errorf("bench: open bound: %w", err)
	}
	defer db.Close()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'m'}, UpperBound: []byte{'m' + 1}})
	if err != nil {
		return fmt.Errorf("bench: read bound: %w", err)
	}
	for it.First(); it.Valid(); it.Next() {
		f(it.Value())
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("bench: read bound: %w", err)
	}
	return nil
}

// remoteIn is the id of the message in one of our own bodies, empty when there is
// none.
func remoteIn(body []byte) []byte {
	for _, key := range []string{`"id":"wamid.`, `"mid":"`} {
		i := bytes.Index(body, []byte(key))
		if i < 0 {
			continue
		}
		value := body[i+bytes.IndexByte(body[i:], ':')+2:]
		if end := bytes.IndexByte(value, '"'); end >= 0 {
			return bytes.Clone(value[:end])
		}
	}
	return nil
}
