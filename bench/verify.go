package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/chumiai/chumi/bench/child"
)

// Verdict is the comparison of acknowledgements with an export.
type Verdict struct {
	// Checked is acknowledged messages; Lost of them are not in the export,
	// Twice are in it more than once.
	Checked, Lost, Twice int64
	// First is one lost or doubled request, for the log; -1 when there is none.
	First int
}

// oracle collects what an export holds.
type oracle struct {
	seen, twice *Bitset
}

func newOracle(n int) *oracle { return &oracle{seen: NewBitset(n), twice: NewBitset(n)} }

// add takes one exported event.
func (o *oracle) add(e *child.Event) {
	if e.Kind != child.KindReceived || e.Message == nil {
		return
	}
	o.addID(e.Message.Remote)
}

// addID takes the id of one message that is kept.
func (o *oracle) addID(remote string) {
	if i, ok := requestOf(remote); ok && o.seen.Set(i) {
		o.twice.Set(i)
	}
}

// addIDs takes ids, a line each.
func (o *oracle) addIDs(r io.Reader) error {
	s := bufio.NewScanner(r)
	for s.Scan() {
		o.addID(s.Text())
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("bench: read ids: %w", err)
	}
	return nil
}

// merge adds what another export holds of the same messages.
func (o *oracle) merge(other *oracle, n int) {
	for i := range n {
		if other.seen.Has(i) {
			o.seen.Set(i)
		}
		if other.twice.Has(i) {
			o.twice.Set(i)
		}
	}
}

// compare holds acknowledgements against what was seen. An unacknowledged
// message may be in the export: its answer can have been lost on the way.
func (o *oracle) compare(acked *Bitset, n int) Verdict {
	v := Verdict{First: -1}
	for i := range n {
		bad := false
		if acked.Has(i) {
			v.Checked++
			if !o.seen.Has(i) {
				v.Lost++
				bad = true
			}
		}
		if o.twice.Has(i) {
			v.Twice++
			bad = true
		}
		if bad && v.First < 0 {
			v.First = i
		}
	}
	return v
}

// verify exports every tenant of a stopped engine, or of the stopped nodes of a
// cluster, and compares. Each node may lack what it had not heard of when it
// stopped; together they have all.
func verify(ctx context.Context, stores []child.Options, acked *Bitset, n int) (Verdict, error) {
	orc := newOracle(n)
	for _, o := range stores {
		one := newOracle(n)
		err := child.Export(ctx, o, "", func(e *child.Event) error {
			one.add(e)
			return nil
		})
		if err != nil {
			return Verdict{}, fmt.Errorf("bench: %w", err)
		}
		orc.merge(one, n)
	}
	return orc.compare(acked, n), nil
}
