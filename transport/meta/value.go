package meta

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// NB: reading a string of a fastjson.Value unescapes it in place, after which
// MarshalTo no longer gives what was received. Marshal first, read then.

// bytesOf returns a string's bytes, or a number's digits as written (ids may be
// JSON numbers and must never pass through a float). The bytes belong to the
// parser. Other values give nil.
func bytesOf(v *fastjson.Value) []byte {
	if v == nil {
		return nil
	}
	switch v.Type() {
	case fastjson.TypeString:
		return v.GetStringBytes()
	case fastjson.TypeNumber:
		return v.MarshalTo(nil)
	}
	return nil
}

// textOf returns an owned copy that is valid UTF-8, which records need.
func textOf(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	s := string(b)
	if !utf8.ValidString(s) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

// clip is textOf cut to at most n bytes on a character border.
func clip(b []byte, n int) string {
	if len(b) <= n {
		return textOf(b)
	}
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return textOf(b[:n])
}

// usableID reports whether b can be an id: of sane length, without control
// characters, valid UTF-8.
func usableID(b []byte) bool {
	if len(b) == 0 || len(b) > idMax {
		return false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

// idOf returns an owned id, or "" when there is none that can be used as one.
func idOf(v *fastjson.Value) string {
	b := bytesOf(v)
	if !usableID(b) {
		return ""
	}
	return string(b)
}

// accountOf is idOf for the id of an account, WABA or number of a business: they
// are few and stand in every body, so each is kept once.
func accountOf(v *fastjson.Value) string {
	b := bytesOf(v)
	accounts.RLock()
	s, ok := accounts.known[string(b)]
	accounts.RUnlock()
	if ok || !usableID(b) {
		return s
	}
	s = string(b)
	accounts.Lock()
	defer accounts.Unlock()
	if len(accounts.known) >= accountsMax {
		clear(accounts.known)
	}
	accounts.known[s] = s
	return s
}

// accountsMax bounds what strangers' bodies, of an app whose secret leaked, can
// make the process keep.
const accountsMax = 16384

var accounts = struct {
	sync.RWMutex
	known map[string]string
}{known: map[string]string{}}

// listOf returns the elements of an array, a lone object as its only element,
// and nothing for anything else.
func listOf(v *fastjson.Value, lone []*fastjson.Value) []*fastjson.Value {
	if v == nil {
		return nil
	}
	switch v.Type() {
	case fastjson.TypeArray:
		return v.GetArray()
	case fastjson.TypeObject:
		return append(lone[:0], v)
	}
	return nil
}

// lenOf is the number of members of an object, 0 for anything else.
func lenOf(v *fastjson.Value) int {
	if o := v.GetObject(); o != nil {
		return o.Len()
	}
	return 0
}

// empty reports whether v says nothing: missing, null, {}, [] or "".
func empty(v *fastjson.Value) bool {
	if v == nil {
		return true
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return true
	case fastjson.TypeObject:
		return lenOf(v) == 0
	case fastjson.TypeArray:
		return len(v.GetArray()) == 0
	case fastjson.TypeString:
		return len(v.GetStringBytes()) == 0
	}
	return false
}

// truthy reports whether a flag is set, in whatever type it came: an echo that
// is not recognised would be answered.
func truthy(v *fastjson.Value) bool {
	if v == nil {
		return false
	}
	switch v.Type() {
	case fastjson.TypeTrue:
		return true
	case fastjson.TypeString, fastjson.TypeNumber:
		b := bytesOf(v)
		return len(b) > 0 && string(b) != "0" && string(b) != "false"
	}
	return false
}

const (
	// millisFrom is where a timestamp stops being seconds: 1e11 s is the year
	// 5138, 1e11 ms is 1973.
	millisFrom = 100_000_000_000
	// timeMin and timeMax bound believable times, in seconds: 2009, when
	// WhatsApp began, to 2100.
	timeMin = 1_230_768_000
	timeMax = 4_102_444_800
)

// timeOf reads seconds or milliseconds, as string or number. Anything else, and
// any time that cannot be, is the zero time.
func timeOf(v *fastjson.Value) time.Time {
	b := bytesOf(v)
	if len(b) == 0 || len(b) > 16 {
		return time.Time{}
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return time.Time{}
		}
		n = n*10 + int64(c-'0')
	}
	milli := n
	if n <= millisFrom {
		milli = n * 1000
	}
	if milli < timeMin*1000 || milli >= timeMax*1000 {
		return time.Time{}
	}
	return time.UnixMilli(milli).UTC()
}

// codeOf reads an integer that may be quoted.
func codeOf(v *fastjson.Value) (int, bool) {
	b := bytesOf(v)
	if len(b) == 0 || len(b) > 12 {
		return 0, false
	}
	n, err := strconv.Atoi(string(b))
	return n, err == nil
}

// digestOf identifies a value by its scope and content: 32 hex characters that
// do not depend on key order, white space or escapes.
func digestOf(v *fastjson.Value, scope ...string) string {
	buf := make([]byte, 0, 512)
	for _, s := range scope {
		buf = strconv.AppendQuote(buf, s)
	}
	sum := sha256.Sum256(canonical(buf, v))
	return hex.EncodeToString(sum[:16])
}

func canonical(dst []byte, v *fastjson.Value) []byte {
	if v == nil {
		return append(dst, '-')
	}
	switch v.Type() {
	case fastjson.TypeObject:
		type member struct {
			key   []byte
			value *fastjson.Value
		}
		members := make([]member, 0, lenOf(v))
		v.GetObject().Visit(func(k []byte, m *fastjson.Value) {
			members = append(members, member{k, m})
		})
		slices.SortStableFunc(members, func(a, b member) int { return bytes.Compare(a.key, b.key) })
		dst = append(dst, '{')
		for _, m := range members {
			dst = strconv.AppendQuote(dst, string(m.key))
			dst = canonical(append(dst, ':'), m.value)
		}
		return append(dst, '}')
	case fastjson.TypeArray:
		dst = append(dst, '[')
		for _, e := range v.GetArray() {
			dst = append(canonical(dst, e), ',')
		}
		return append(dst, ']')
	case fastjson.TypeString:
		return strconv.AppendQuote(dst, string(v.GetStringBytes()))
	}
	return v.MarshalTo(dst)
}

// word returns an owned copy of a type, field or status. The common ones cost
// no allocation.
func word(v *fastjson.Value) string {
	b := bytesOf(v)
	switch string(b) {
	case "text":
		return "text"
	case "messages":
		return "messages"
	case "sent":
		return "sent"
	case "delivered":
		return "delivered"
	case "read":
		return "read"
	case "failed":
		return "failed"
	case "image":
		return "image"
	case "audio":
		return "audio"
	case "video":
		return "video"
	case "document":
		return "document"
	case "sticker":
		return "sticker"
	case "location":
		return "location"
	case "interactive":
		return "interactive"
	case "reaction":
		return "reaction"
	case "played":
		return "played"
	case "PMP":
		return "PMP"
	case "regular":
		return "regular"
	case "free_customer_service":
		return "free_customer_service"
	case "free_entry_point":
		return "free_entry_point"
	case "service":
		return "service"
	case "utility":
		return "utility"
	case "marketing":
		return "marketing"
	case "authentication":
		return "authentication"
	}
	return clip(b, wordMax)
}
