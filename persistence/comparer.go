package persistence

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
)

// ComparerName stands in every store and never changes.
const ComparerName = "chumi.v1"

// comparer orders keys as bytes. Its Split cuts the seq off event keys and
// nothing off any other, so that a bloom filter answers "has this file any
// event of the conversation" and, for the rest, "has it this key".
//
// Invariant: Split depends on a key's leading bytes only, and every key that
// starts with a split prefix has that prefix; so ordering by bytes equals
// ordering by prefix, then suffix. Boundaries of groups, tenants and kinds are
// shorter than any event key and hence whole prefixes.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = ComparerName
	c.Split = split
	c.FormatKey = func(key []byte) fmt.Formatter { return prettyKey(key) }
	return &c
}()

// split implements pebble.Split.
func split(key []byte) int {
	if len(key) < realmOverhead+1+idLen || key[0] != spaceGroup || key[3] != sectionTenant {
		return len(key)
	}
	n := bytes.IndexByte(key[4:], wordEnd)
	if n < 0 {
		return len(key)
	}
	end := 4 + n + 2 + idLen
	if len(key) < end || key[4+n+1] != kindEvent {
		return len(key)
	}
	return end
}

// prettyKey prints a key for people: dumps, check and Pebble's own messages.
type prettyKey []byte

// Format implements fmt.Formatter.
func (k prettyKey) Format(s fmt.State, _ rune) { fmt.Fprint(s, k.String()) }

// String names the parts of the key. Hashes and ids are the only identifiers
// in keys, so it prints no personal data.
func (k prettyKey) String() string {
	if len(k) < 2 {
		return hexed(k)
	}
	switch {
	case k[0] == spaceNode:
		return "/node/" + string(k[1:2]) + slash(k[2:])
	case k[0] == spaceRaft && len(k) >= 3:
		return "/raft/" + groupWord(k) + slash(k[3:])
	case k[0] == spaceGroup && len(k) >= 3:
		return "/group/" + groupWord(k) + prettyGroup(k)
	}
	return hexed(k)
}

func prettyGroup(k []byte) string {
	if len(k) == 3 {
		return ""
	}
	section := "/" + string(k[3:4])
	if r, kind, rest, ok := splitRealm(k); ok {
		return section + "/" + strconv.Quote(string(r.tenant())) + "/" + string(kind) + prettyRest(kind, rest)
	}
	if at, tenant, c, ok := parseDue(k); ok {
		return section + "/d/" + strconv.FormatInt(at, 10) + "/" + strconv.Quote(string(tenant)) + "/" + c.body()
	}
	if day, tenant, h, ok := parseExpiry(k); ok {
		return section + "/x/" + strconv.FormatUint(uint64(day), 10) + "/" + strconv.Quote(string(tenant)) + slash(h[:])
	}
	if k[3] == sectionMeta || k[3] == sectionTenant || k[3] == sectionQuarantine {
		return section + "/" + strconv.Quote(string(k[4:]))
	}
	return section + slash(k[4:])
}

func prettyRest(kind byte, rest []byte) string {
	switch {
	case kind == kindEvent && len(rest) == idLen+8:
		return "/" + id16(rest[:idLen]).body() + "/" + uintWord(rest[idLen:])
	case (kind == kindFeed || kind == kindLoose) && len(rest) == 8:
		return "/" + uintWord(rest)
	case (kind == kindDoc || kind == kindTombstone) && len(rest) == 1+idLen:
		return "/" + string(rest[:1]) + "/" + id16(rest[1:]).body()
	case kind == kindCounter:
		return "/" + strconv.Quote(string(rest))
	case kind == kindView:
		if active, c, ok := parseView(rest); ok {
			return "/" + strconv.FormatInt(active, 10) + "/" + c.body()
		}
	case len(rest) == idLen:
		return "/" + id16(rest).body()
	}
	return slash(rest)
}

func groupWord(k []byte) string { return strconv.Itoa(int(k[1])<<8 | int(k[2])) }

func uintWord(b []byte) string {
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return strconv.FormatUint(v, 10)
}

func slash(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return "/" + hexed(b)
}

func hexed(b []byte) string { return hex.EncodeToString(b) }
