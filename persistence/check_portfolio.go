package persistence

import (
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// portfolioRow checks one row of a portfolio. Persons of quarters that count no
// more may be there still.
func (k *checker) portfolioRow(key, value []byte) error {
	switch portfolio, q, person, in := parseReachedIn(key); {
	case groupOfKey(key) != groupMeta:
	case key[4] == rowReach && len(key) == 5+idLen:
		return k.reachRow(key, value)
	case key[4] == rowReached && len(key) == 5+2*idLen:
		q, err := readReached(k.at, key)
		if err != nil {
			k.broken(InvariantRecord, key, "not a quarter")
			return nil
		}
		found, err := k.get(appendReachedIn(nil, id16(key[5:]), q, id16(key[5+idLen:])))
		if err == nil && found == nil {
			k.broken(InvariantReach, key, "is not in the quarter it names")
		}
		return err
	case in:
		if is, err := readReached(k.at, appendReached(nil, portfolio, person)); err != nil || is != q {
			k.broken(InvariantReach, key, "the person's row names another quarter")
		}
		return nil
	}
	k.broken(InvariantKeyspace, key, "no such row of a portfolio")
	return nil
}

// reachRow checks that each quarter counts the persons in it.
func (k *checker) reachRow(key, value []byte) error {
	if ok, err := k.unsealing(key); !ok {
		return err
	}
	reach, err := k.vault.openReach(key, value)
	if err != nil {
		k.broken(InvariantSealed, key, "does not open")
		return nil
	}
	for _, q := range reach {
		n, err := k.personsIn(id16(key[5:]), q.Quarter)
		if err != nil {
			return err
		}
		if n != q.Persons {
			k.broken(InvariantReach, key, "counts "+strconv.Itoa(q.Persons)+" persons in a quarter that has "+strconv.Itoa(n))
		}
	}
	return nil
}

func (k *checker) personsIn(portfolio id16, q chat.Quarter) (n int, err error) {
	prefix := appendReachedIn(nil, portfolio, q, id16{})[:reachedInHead+4]
	it, err := k.at.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return 0, chat.E("check.personsIn", chat.KindOther, "cannot read who was counted", err)
	}
	for it.First(); it.Valid(); it.Next() {
		n++
	}
	return n, it.Close()
}
