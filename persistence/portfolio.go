package persistence

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Portfolios counts whom the numbers of each portfolio write to outside the
// customer service window. The counts lie in the metadata group, which every node
// holds, and any node may count: the numbers of a portfolio belong to any tenants,
// which are led by any nodes.
//
// A portfolio has a reach row with its chat.Reach, and for each person who counts a
// row with the quarter the person is counted in, and an index row by quarter. All
// that one commit changes rests on the reach row being what was read: it is sealed,
// so that no two are equal. Who loses a race reads again. Rows of persons who count
// no more are deleted by later commits.
//
// Persons stand in keys as keyed hashes, which nobody can make without the
// key-encryption key; they stay until a day has passed, also when somebody has the
// person erased: else more would be written to than Meta allows.
//
// Safe for concurrent use.
type Portfolios struct{ vault *vault }

// Portfolios returns the counts of the directory's store.
func (d *Directory) Portfolios() *Portfolios { return &Portfolios{vault: d.vault} }

// pruneMax bounds the persons forgotten by one commit. It is more than one may
// count, so that what is forgotten keeps up.
const pruneMax = 1024

// Reserve counts persons of a portfolio, known by their identity, as written to
// from now on, each unless that made more than limit. frees is when a place frees
// for those refused; zero when none was. It is durable when it returns. After an
// error some may be counted, and nobody may be written to.
func (p *Portfolios) Reserve(ctx context.Context, portfolio string, limit int, persons []chat.Address) (granted []bool, frees time.Time, err error) {
	const op = "portfolios.Reserve"
	s := p.vault.store
	if s.opts.ReadOnly {
		return nil, frees, chat.E(op, chat.KindUnavailable, "the store is open for reading only", nil)
	}
	for {
		d, err := p.draft(portfolio, limit, persons)
		if err != nil {
			return nil, frees, err
		}
		if len(d.rows) == 0 {
			return d.granted, d.frees, s.meta.settle(ctx)
		}
		switch err := s.write(ctx, groupMeta, d.rows); {
		case err == nil:
			return d.granted, d.frees, nil
		case chat.KindOf(err) != chat.KindConflict:
			return nil, frees, err
		}
		if err := p.newer(ctx, d.at, d.was); err != nil {
			return nil, frees, err
		}
	}
}

// Reached returns how many persons of a portfolio count now, as far as this node
// knows, and when a place of limit frees; zero when there is one.
func (p *Portfolios) Reached(portfolio string, limit int) (persons int, frees time.Time, err error) {
	at := appendReach(nil, p.hash(portfolio))
	sealed, err := readRow(p.vault.store.db, at)
	if err != nil || sealed == nil {
		return 0, frees, err
	}
	reach, err := p.vault.openReach(at, sealed)
	if err != nil {
		return 0, frees, err
	}
	reach.Expire(p.vault.store.opts.Clock())
	return reach.Persons(), reach.Frees(limit), nil
}

// newer waits until this node's replica has another reach row than was.
func (p *Portfolios) newer(ctx context.Context, at, was []byte) error {
	for {
		moved := p.vault.store.meta.settled.wait()
		is, err := readRow(p.vault.store.db, at)
		if err != nil || !bytes.Equal(is, was) {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return chat.E("portfolios.Reserve", chat.KindUnavailable,
				"another node has counted and this one has not learned of it; repeat", context.Cause(ctx))
		}
	}
}

// reachDraft is one attempt of Reserve: the rows that make it true, none when
// nobody has to be counted anew.
type reachDraft struct {
	granted []bool
	frees   time.Time
	rows    []*recordpb.Write
	// at is the key of the reach row, was what it was; nil for none.
	at, was []byte
}

// draft decides about persons by what this node's replica has at one moment.
func (p *Portfolios) draft(portfolio string, limit int, persons []chat.Address) (*reachDraft, error) {
	s := p.vault.store
	snapshot := s.db.NewSnapshot()
	defer func() { _ = snapshot.Close() }()
	now, id := s.opts.Clock(), p.hash(portfolio)
	d := &reachDraft{granted: make([]bool, len(persons)), at: appendReach(nil, id)}
	var reach chat.Reach
	var err error
	if d.was, err = readRow(snapshot, d.at); err != nil {
		return nil, err
	}
	if d.was != nil {
		if reach, err = p.vault.openReach(d.at, d.was); err != nil {
			return nil, err
		}
	}
	reach.Expire(now)
	// in is where persons are counted as the draft goes on, moved where those were
	// that it has moved.
	in, moved := map[id16]chat.Quarter{}, map[id16]chat.Quarter{}
	for i, a := range persons {
		h := p.vault.pepper.Hash(hashReached, portfolio, strconv.Itoa(int(a.Kind)), a.Value)
		was, known := in[h]
		if !known {
			if was, err = readReached(snapshot, appendReached(nil, id, h)); err != nil {
				return nil, err
			}
		}
		next, ok := reach.Reserve(now, limit, was)
		if d.granted[i] = ok; !ok {
			d.frees = reach.Frees(limit)
			continue
		}
		if _, again := moved[h]; !again && next != was {
			moved[h] = was
		}
		in[h] = next
	}
	if len(moved) == 0 {
		return d, nil
	}
	sealed, err := p.vault.sealReach(d.at, reach)
	if err != nil {
		return nil, err
	}
	d.rows = append(d.rows, &recordpb.Write{Key: d.at, Value: sealed, Was: d.was, Fresh: d.was == nil})
	for h, was := range moved {
		d.rows = append(d.rows, &recordpb.Write{Key: appendReached(nil, id, h), Value: binary.BigEndian.AppendUint32(nil, uint32(in[h]))},
			&recordpb.Write{Key: appendReachedIn(nil, id, in[h], h)})
		if was != 0 {
			d.rows = append(d.rows, &recordpb.Write{Key: appendReachedIn(nil, id, was, h), Delete: true})
		}
	}
	return d, d.prune(snapshot, id, now, moved)
}

// prune adds deletions of persons who count no more, except of those that the
// draft counts again.
func (d *reachDraft) prune(at pebble.Reader, id id16, now time.Time, moved map[id16]chat.Quarter) error {
	const op = "portfolios.prune"
	lower := appendReachedIn(nil, id, 0, id16{})[:reachedInHead]
	it, err := at.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: prefixEnd(lower)})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read who was counted", err)
	}
	defer func() { _ = it.Close() }()
	for n, more := 0, it.First(); more && n < pruneMax; n, more = n+1, it.Next() {
		_, q, h, ok := parseReachedIn(it.Key())
		if !ok {
			return chat.E(op, chat.KindCorrupt, "not a row of a person counted: "+prettyKey(it.Key()).String(), nil)
		}
		if now.Before(q.Frees()) {
			break
		}
		if _, again := moved[h]; again {
			continue
		}
		d.rows = append(d.rows, &recordpb.Write{Key: bytes.Clone(it.Key()), Delete: true},
			&recordpb.Write{Key: appendReached(nil, id, h), Delete: true})
	}
	if err := it.Error(); err != nil {
		return chat.E(op, chat.KindOther, "cannot read who was counted", err)
	}
	return nil
}

func (p *Portfolios) hash(portfolio string) id16 {
	return p.vault.pepper.Hash(hashPortfolio, portfolio)
}

// sealReach encodes a reach: eight bytes for each quarter.
func (v *vault) sealReach(at []byte, r chat.Reach) ([]byte, error) {
	plain := make([]byte, 0, 8*len(r))
	for _, q := range r {
		plain = binary.BigEndian.AppendUint32(plain, uint32(q.Quarter))
		plain = binary.BigEndian.AppendUint32(plain, uint32(q.Persons))
	}
	return v.box.Seal(plain, at)
}

// openReach is the inverse of sealReach.
func (v *vault) openReach(at, sealed []byte) (r chat.Reach, err error) {
	plain, err := v.box.Open(sealed, at)
	if err != nil {
		return nil, err
	}
	for ; len(plain) >= 8; plain = plain[8:] {
		r = append(r, chat.ReachQuarter{Quarter: chat.Quarter(binary.BigEndian.Uint32(plain)), Persons: int(binary.BigEndian.Uint32(plain[4:]))})
	}
	if len(plain) != 0 {
		return nil, chat.E("store.open", chat.KindCorrupt, "a record does not have its form: "+prettyKey(at).String(), nil)
	}
	return r, nil
}

// readReached returns the quarter a person was last counted in, 0 for none.
func readReached(at pebble.Reader, key []byte) (chat.Quarter, error) {
	v, err := readRow(at, key)
	if err != nil || v == nil {
		return 0, err
	}
	if len(v) != 4 {
		return 0, chat.E("portfolios.read", chat.KindCorrupt, "not a quarter: "+prettyKey(key).String(), nil)
	}
	return chat.Quarter(binary.BigEndian.Uint32(v)), nil
}

// readRow returns a copy of a row; nil when there is none.
func readRow(at pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := at.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, chat.E("store.read", chat.KindCorrupt, "cannot read "+prettyKey(key).String(), err)
	}
	v = append([]byte{}, v...)
	return v, closer.Close()
}
