package persistence

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// everyKey is one key of each kind of a tenant in group g.
func everyKey(g chat.Group, tenant chat.TenantID) [][]byte {
	r, c := realmOf(g, tenant), id16{1, 2, 0xff, 0, 15: 9}
	return [][]byte{
		r.address(nil, c), r.state(nil, c), r.event(nil, c, 7), r.events(nil, c), r.feed(nil, 8), r.claim(nil, c),
		r.wrapped(nil, c), r.meta(nil), r.contact(nil, c), r.row(nil, c), r.counter(nil, "turns/2026-11-01"),
		r.view(nil, 12345, c), r.loose(nil, 9),
	}
}

func TestComparer_IsConsistent(t *testing.T) {
	var prefixes, suffixes [][]byte
	for _, k := range everyKey(3, "acme") {
		prefixes = append(prefixes, k[:split(k)])
	}
	r := realmOf(3, "acme")
	for _, s := range []chat.Seq{0, 1, 1 << 40, math.MaxUint64} {
		key := r.event(nil, id16{4}, s)
		suffixes = append(suffixes, key[split(key):])
	}
	if len(suffixes[0]) != 8 {
		t.Fatalf("an event's suffix has %d bytes, want the seq", len(suffixes[0]))
	}
	for _, p := range prefixes {
		for _, s := range suffixes {
			key := append(bytes.Clone(p), s...)
			if got := comparer.Compare(p, key); got != -1 {
				t.Errorf("prefix %s does not sort before %s", prettyKey(p), prettyKey(key))
			}
			for _, q := range prefixes {
				other := append(bytes.Clone(q), s...)
				a, b := pebble.Split(split).Prefix(key), pebble.Split(split).Prefix(other)
				if c := comparer.Compare(key, other); c < 0 && comparer.Compare(a, b) > 0 {
					t.Errorf("%s < %s but their prefixes are not in order", prettyKey(key), prettyKey(other))
				}
			}
		}
	}
}

// Excise and ingest need it: every boundary is a key that Split leaves whole.
func TestSplit_BoundariesAreWholePrefixes(t *testing.T) {
	var bounds [][]byte
	for _, g := range []chat.Group{0, 1, 255, 256, groupMax, groupMeta} {
		bounds = append(bounds, appendGroup(nil, g), prefixEnd(appendGroup(nil, g)), appendDuePrefix(nil, g),
			prefixEnd(appendDuePrefix(nil, g)), appendExpiryPrefix(nil, g), appendSection(nil, g, sectionQuarantine))
		for _, tenant := range []chat.TenantID{"a", "acme", "e", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeee", chat.TenantID(strings.Repeat("z", wordLenMax))} {
			r := realmOf(g, tenant)
			bounds = append(bounds, r, prefixEnd(r))
			for _, k := range []byte("acefikmpruvx") {
				bounds = append(bounds, r.kind(nil, k), prefixEnd(r.kind(nil, k)))
			}
		}
	}
	for _, b := range bounds {
		if n := comparer.Split(b); n != len(b) {
			t.Errorf("boundary %x splits at %d of %d", b, n, len(b))
		}
	}
}

func TestRealm_HoldsAllOfATenantAndNothingElse(t *testing.T) {
	for _, other := range []chat.TenantID{"acm", "acme2", "acme-", "b", "acmf"} {
		lower, upper := realmOf(3, "acme"), prefixEnd(realmOf(3, "acme"))
		for _, k := range everyKey(3, other) {
			if bytes.Compare(k, lower) >= 0 && bytes.Compare(k, upper) < 0 {
				t.Errorf("%s lies in the range of acme", prettyKey(k))
			}
		}
		for _, k := range everyKey(3, "acme") {
			if bytes.Compare(k, lower) < 0 || bytes.Compare(k, upper) >= 0 {
				t.Errorf("%s lies outside the range of acme", prettyKey(k))
			}
		}
	}
}

func TestKeys_ReadBack(t *testing.T) {
	c := id16{1, 2, 3, 15: 0xfe}
	at, tenant, got, ok := parseDue(appendDue(nil, 9, -5, "acme", c))
	if !ok || at != -5 || tenant != "acme" || got != c {
		t.Errorf("due: %v %v %v %v", at, tenant, got, ok)
	}
	day, tenant, got, ok := parseExpiry(appendExpiry(nil, 9, 20500, "acme", c))
	if !ok || day != 20500 || tenant != "acme" || got != c {
		t.Errorf("expiry: %v %v %v %v", day, tenant, got, ok)
	}
	r, kind, rest, ok := splitRealm(realmOf(9, "acme").view(nil, 77_123, c))
	if !ok || kind != kindView || r.tenant() != "acme" || r.group() != 9 {
		t.Errorf("realm: %v %c %v", r, kind, ok)
	}
	active, got, ok := parseView(rest)
	if !ok || active != 77_000 || got != c {
		t.Errorf("view: %v %v %v", active, got, ok)
	}
}

func TestKeys_OrderAsTheirMeaning(t *testing.T) {
	r, c := realmOf(1, "acme"), id16{5}
	for name, pair := range map[string][2][]byte{
		"due by time":        {appendDue(nil, 1, -1, "b", c), appendDue(nil, 1, 0, "a", c)},
		"expiry by day":      {appendExpiry(nil, 1, 255, "b", c), appendExpiry(nil, 1, 256, "a", c)},
		"view latest first":  {r.view(nil, 1000, id16{9}), r.view(nil, 999, id16{1})},
		"events by seq":      {r.event(nil, c, 255), r.event(nil, c, 256)},
		"feed by position":   {r.feed(nil, 255), r.feed(nil, 256)},
		"view before 1970":   {r.view(nil, 0, c), r.view(nil, -1, c)},
		"groups by number":   {appendGroup(nil, 255), appendGroup(nil, 256)},
		"tenants by id":      {realmOf(1, "acme"), realmOf(1, "acme2")},
		"node before groups": {keyEpoch(4), appendGroup(nil, 0)},
	} {
		if bytes.Compare(pair[0], pair[1]) >= 0 {
			t.Errorf("%s: %s is not before %s", name, prettyKey(pair[0]), prettyKey(pair[1]))
		}
	}
}

func TestID_HasOneSpelling(t *testing.T) {
	id := id16{0xff, 15: 0xff}
	c := id.conversationID()
	if got, ok := conversationBytes(c); !ok || got != id {
		t.Fatalf("%s reads as %v, %v", c, got, ok)
	}
	for b := range 256 {
		other := c[:len(c)-1] + chat.ConversationID([]byte{byte(b)})
		if got, ok := conversationBytes(other); ok && got == id && other != c {
			t.Errorf("%q is another spelling of the same id", other)
		}
	}
	for _, bad := range []chat.ConversationID{"", "conv_", c[:30], c + "a", "ct_" + c[5:], "conv_\n" + c[6:]} {
		if _, ok := conversationBytes(bad); ok {
			t.Errorf("%q is taken for an id", bad)
		}
	}
}

func TestPrettyKey_NamesEveryPart(t *testing.T) {
	c := id16{}
	for want, key := range map[string][]byte{
		"/node/f":      keyFormat(),
		"/node/g/0102": keyEpoch(258),
		`/group/3/T/"acme"/e/aaaaaaaaaaaaaaaaaaaaaaaaaa/7`: realmOf(3, "acme").event(nil, c, 7),
		`/group/3/T/"acme"/f/8`:                            realmOf(3, "acme").feed(nil, 8),
		`/group/3/T/"acme"/m`:                              realmOf(3, "acme").meta(nil),
		`/group/3/T/"acme"/u/"turns"`:                      realmOf(3, "acme").counter(nil, "turns"),
		`/group/3/I/d/5/"acme"/aaaaaaaaaaaaaaaaaaaaaaaaaa`: appendDue(nil, 3, 5, "acme", c),
	} {
		if got := prettyKey(key).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
