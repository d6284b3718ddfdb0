package persistence

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// The first byte of every key.
const (
	spaceNode  byte = 0x00 // this node only
	spaceRaft  byte = 0x01 // consensus log and hard state
	spaceGroup byte = 0x02 // what the groups own
)

// The second level.
const (
	nodeFormat      byte = 'f' // format version
	nodeFingerprint byte = 'k' // fingerprint of the key-encryption key
	nodeGroups      byte = 'n' // number of groups, fixed at creation
	nodeEpoch       byte = 'g' // epoch of a group
	nodeIdentity    byte = 'i' // what tells this store from every other
	nodeShredded    byte = 'e' // up to when this node gave up the bytes of a tenant's erasures

	sectionTenant     byte = 'T'
	sectionIndex      byte = 'I'
	sectionQuarantine byte = 'Q'
	sectionMeta       byte = 'M'
	sectionPortfolio  byte = 'P'

	indexDue    byte = 'd'
	indexExpiry byte = 'x'
)

// The kinds of rows in a tenant's range.
const (
	kindAddress   byte = 'a'
	kindState     byte = 'c'
	kindDoc       byte = 'd'
	kindEvent     byte = 'e'
	kindFeed      byte = 'f'
	kindClaim     byte = 'i'
	kindKey       byte = 'k'
	kindMeta      byte = 'm'
	kindContact   byte = 'p'
	kindRow       byte = 'r'
	kindSends     byte = 's' // conversations with sends whose end is not known
	kindCounter   byte = 'u'
	kindView      byte = 'v'
	kindLoose     byte = 'x' // events without a conversation
	kindArrival   byte = 'w' // the tenant is being put here from an archive
	kindTombstone byte = 'z' // what stays of an erasure
	wordEnd       byte = 0x00
	idLen              = 16
	groupMeta          = chat.Group(0xffff)
	conversation       = "conv_"
	contact            = "ct_"
	wordLenMax         = 128
	realmOverhead      = 5 // space, group16, section, word end
)

// id16 is the 16 raw bytes of a conversation or contact id, or a keyed hash.
type id16 [idLen]byte

// words32 is the alphabet of ids: lower case, no padding.
var words32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// body returns the 26 characters of the id.
func (i id16) body() string {
	var out [26]byte
	words32.Encode(out[:], i[:])
	return string(out[:])
}

func (i id16) conversationID() chat.ConversationID {
	return chat.ConversationID(conversation + i.body())
}
func (i id16) contactID() chat.ContactID { return chat.ContactID(contact + i.body()) }

// parseBody is the inverse of body. Of the spellings that decode to the same
// bytes only the one that body makes is accepted, so that an id has one name.
func parseBody(s string) (id id16, ok bool) {
	if len(s) != 26 {
		return id, false
	}
	var in, again [26]byte
	copy(in[:], s)
	if n, err := words32.Decode(id[:], in[:]); err != nil || n != idLen {
		return id16{}, false
	}
	words32.Encode(again[:], id[:])
	return id, again == in
}

// conversationBytes returns the raw bytes of a conversation id.
func conversationBytes(c chat.ConversationID) (id16, bool) {
	rest, ok := strings.CutPrefix(string(c), conversation)
	if !ok {
		return id16{}, false
	}
	return parseBody(rest)
}

// contactBytes returns the raw bytes of a contact id.
func contactBytes(c chat.ContactID) (id16, bool) {
	rest, ok := strings.CutPrefix(string(c), contact)
	if !ok {
		return id16{}, false
	}
	return parseBody(rest)
}

// validWord reports whether s may stand in a key as a word.
func validWord(s string) bool {
	return s != "" && len(s) <= wordLenMax && strings.IndexByte(s, wordEnd) < 0
}

// --- node-local keys ---

func keyFormat() []byte      { return []byte{spaceNode, nodeFormat} }
func keyFingerprint() []byte { return []byte{spaceNode, nodeFingerprint} }
func keyGroups() []byte      { return []byte{spaceNode, nodeGroups} }
func keyIdentity() []byte    { return []byte{spaceNode, nodeIdentity} }
func keyEpoch(g chat.Group) []byte {
	return binary.BigEndian.AppendUint16([]byte{spaceNode, nodeEpoch}, uint16(g))
}

// --- group keys ---

// appendGroup appends the prefix of everything a group owns.
func appendGroup(dst []byte, g chat.Group) []byte {
	return binary.BigEndian.AppendUint16(append(dst, spaceGroup), uint16(g))
}

// appendSection appends the prefix of one section of a group.
func appendSection(dst []byte, g chat.Group, section byte) []byte {
	return append(appendGroup(dst, g), section)
}

func appendWord(dst []byte, w string) []byte { return append(append(dst, w...), wordEnd) }

// appendTime appends t in milliseconds such that keys order as times do.
func appendTime(dst []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t)^(1<<63))
}

func readTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ (1 << 63)) }

// appendDuePrefix appends the prefix of the group's agenda.
func appendDuePrefix(dst []byte, g chat.Group) []byte {
	return append(appendSection(dst, g, sectionIndex), indexDue)
}

// appendDue appends the agenda key of a conversation due at t milliseconds.
func appendDue(dst []byte, g chat.Group, t int64, tenant chat.TenantID, c id16) []byte {
	dst = appendTime(appendDuePrefix(dst, g), t)
	return append(appendWord(dst, string(tenant)), c[:]...)
}

// parseDue is the inverse of appendDue, without the group.
func parseDue(key []byte) (at int64, tenant chat.TenantID, c id16, ok bool) {
	const head = 5 // space, group16, section, index
	if len(key) < head+8+2+idLen || key[3] != sectionIndex || key[4] != indexDue {
		return 0, "", c, false
	}
	at = readTime(key[head:])
	w := key[head+8:]
	end := len(w) - idLen - 1
	if w[end] != wordEnd {
		return 0, "", c, false
	}
	copy(c[:], w[end+1:])
	return at, chat.TenantID(w[:end]), c, true
}

// appendExpiryPrefix appends the prefix of the group's expiry index.
func appendExpiryPrefix(dst []byte, g chat.Group) []byte {
	return append(appendSection(dst, g, sectionIndex), indexExpiry)
}

// appendExpiry appends the expiry key of a claim that may be forgotten after day.
func appendExpiry(dst []byte, g chat.Group, day uint32, tenant chat.TenantID, h id16) []byte {
	dst = binary.BigEndian.AppendUint32(appendExpiryPrefix(dst, g), day)
	return append(appendWord(dst, string(tenant)), h[:]...)
}

// parseExpiry is the inverse of appendExpiry, without the group.
func parseExpiry(key []byte) (day uint32, tenant chat.TenantID, h id16, ok bool) {
	const head = 5
	if len(key) < head+4+2+idLen || key[3] != sectionIndex || key[4] != indexExpiry {
		return 0, "", h, false
	}
	day = binary.BigEndian.Uint32(key[head:])
	w := key[head+4:]
	end := len(w) - idLen - 1
	if w[end] != wordEnd {
		return 0, "", h, false
	}
	copy(h[:], w[end+1:])
	return day, chat.TenantID(w[:end]), h, true
}

// appendQuarantine appends the key of a quarantined item.
func appendQuarantine(dst []byte, g chat.Group, app chat.AppID, fingerprint id16) []byte {
	return append(appendWord(appendSection(dst, g, sectionQuarantine), string(app)), fingerprint[:]...)
}

// appendMeta appends the prefix of the metadata section.
func appendMeta(dst []byte) []byte { return appendSection(dst, groupMeta, sectionMeta) }

// --- keys of portfolios, all in the metadata group ---

const (
	rowReach     byte = 'a' // how many persons of a portfolio count
	rowReached   byte = 'p' // a person, and the quarter the person is counted in
	rowReachedIn byte = 'q' // persons by quarter
	// reachedInHead is the length of the prefix of a portfolio's persons by quarter.
	reachedInHead = 5 + idLen
)

func appendPortfolio(dst []byte, row byte, portfolio id16) []byte {
	return append(append(appendSection(dst, groupMeta, sectionPortfolio), row), portfolio[:]...)
}

// appendReach appends the key of what a portfolio has reached.
func appendReach(dst []byte, portfolio id16) []byte {
	return appendPortfolio(dst, rowReach, portfolio)
}

// appendReached appends the key of a person of a portfolio.
func appendReached(dst []byte, portfolio, person id16) []byte {
	return append(appendPortfolio(dst, rowReached, portfolio), person[:]...)
}

// appendReachedIn appends the key of a person in a quarter.
func appendReachedIn(dst []byte, portfolio id16, q chat.Quarter, person id16) []byte {
	dst = binary.BigEndian.AppendUint32(appendPortfolio(dst, rowReachedIn, portfolio), uint32(q))
	return append(dst, person[:]...)
}

// parseReachedIn is the inverse of appendReachedIn.
func parseReachedIn(key []byte) (portfolio id16, q chat.Quarter, person id16, ok bool) {
	if len(key) != reachedInHead+4+idLen || key[3] != sectionPortfolio || key[4] != rowReachedIn {
		return portfolio, 0, person, false
	}
	return id16(key[5:reachedInHead]), chat.Quarter(binary.BigEndian.Uint32(key[reachedInHead:])), id16(key[reachedInHead+4:]), true
}

// --- tenant keys ---

// realm is the prefix of everything one tenant owns. Its methods append whole
// keys to dst, which may be nil.
type realm []byte

// realmOf builds the prefix of a tenant.
func realmOf(g chat.Group, t chat.TenantID) realm {
	dst := make([]byte, 0, realmOverhead+len(t))
	return appendWord(appendSection(dst, g, sectionTenant), string(t))
}

func (r realm) kind(dst []byte, k byte) []byte { return append(append(dst, r...), k) }
func (r realm) id(dst []byte, k byte, i id16) []byte {
	return append(r.kind(dst, k), i[:]...)
}

func (r realm) address(dst []byte, h id16) []byte { return r.id(dst, kindAddress, h) }
func (r realm) state(dst []byte, c id16) []byte   { return r.id(dst, kindState, c) }
func (r realm) events(dst []byte, c id16) []byte  { return r.id(dst, kindEvent, c) }
func (r realm) claim(dst []byte, h id16) []byte   { return r.id(dst, kindClaim, h) }
func (r realm) wrapped(dst []byte, c id16) []byte { return r.id(dst, kindKey, c) }
func (r realm) contact(dst []byte, c id16) []byte { return r.id(dst, kindContact, c) }
func (r realm) row(dst []byte, h id16) []byte     { return r.id(dst, kindRow, h) }
func (r realm) sends(dst []byte, c id16) []byte   { return r.id(dst, kindSends, c) }

// docs is the prefix of the documents of one noun.
func (r realm) docs(dst []byte, noun chat.DocNoun) []byte {
	return append(r.kind(dst, kindDoc), byte(noun))
}

func (r realm) meta(dst []byte) []byte              { return r.kind(dst, kindMeta) }
func (r realm) arrival(dst []byte) []byte           { return r.kind(dst, kindArrival) }
func (r realm) counter(dst []byte, w string) []byte { return append(r.kind(dst, kindCounter), w...) }
func (r realm) event(dst []byte, c id16, s chat.Seq) []byte {
	return binary.BigEndian.AppendUint64(r.events(dst, c), uint64(s))
}
func (r realm) feed(dst []byte, p chat.Pos) []byte {
	return binary.BigEndian.AppendUint64(r.kind(dst, kindFeed), uint64(p))
}
func (r realm) loose(dst []byte, p chat.Pos) []byte {
	return binary.BigEndian.AppendUint64(r.kind(dst, kindLoose), uint64(p))
}

// viewGrain is the resolution of the inbox order, in milliseconds: a busy
// conversation moves in it once a second, not with every message.
const viewGrain = 1000

// viewTime is the time a conversation stands at in the inbox.
func viewTime(active int64) int64 {
	return active - (active%viewGrain+viewGrain)%viewGrain
}

// view orders a tenant's conversations by the second of their latest activity,
// latest first; ties by id.
func (r realm) view(dst []byte, active int64, c id16) []byte {
	return append(appendTime(r.kind(dst, kindView), ^viewTime(active)), c[:]...)
}

// parseView is the inverse of view for what follows the realm and kind. A time
// between two seconds is none that view writes.
func parseView(rest []byte) (active int64, c id16, ok bool) {
	if len(rest) != 8+idLen {
		return 0, c, false
	}
	copy(c[:], rest[8:])
	active = ^readTime(rest)
	return active, c, viewTime(active) == active
}

// splitRealm cuts a key of a tenant's range into its realm, kind and rest.
func splitRealm(key []byte) (r realm, kind byte, rest []byte, ok bool) {
	if len(key) < realmOverhead+1 || key[0] != spaceGroup || key[3] != sectionTenant {
		return nil, 0, nil, false
	}
	n := bytes.IndexByte(key[4:], wordEnd)
	if n <= 0 || 4+n+1 >= len(key) {
		return nil, 0, nil, false
	}
	at := 4 + n + 1
	return realm(key[:at]), key[at], key[at+1:], true
}

// tenant is the tenant the realm belongs to.
func (r realm) tenant() chat.TenantID { return chat.TenantID(r[4 : len(r)-1]) }

// group is the group the realm belongs to.
func (r realm) group() chat.Group { return chat.Group(binary.BigEndian.Uint16(r[1:])) }

// prefixEnd returns the first key after every key that starts with p, or nil
// when there is none.
func prefixEnd(p []byte) []byte {
	end := bytes.Clone(p)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// millis is t in milliseconds since 1970; a zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// timeOf is the inverse of millis.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
