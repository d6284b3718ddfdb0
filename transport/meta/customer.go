package meta

import (
	"bytes"
	"slices"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// person is what a WhatsApp item says about who is on the other side. The bytes
// belong to the parser.
type person struct {
	from, user, parent []byte
	contact            *fastjson.Value
}

// addresses lists the person's identifiers, best routing address first: wa_id,
// BSUID, parent BSUID, the phone number when it differs from wa_id, username.
// A phone number and a wa_id may both be absent.
func (p person) addresses() []chat.Address {
	wa := bytesOf(p.contact.Get("wa_id"))
	user, parent := p.user, p.parent
	if user == nil {
		user = bytesOf(p.contact.Get("user_id"))
	}
	if parent == nil {
		parent = bytesOf(p.contact.Get("parent_user_id"))
	}
	from := digits(p.from)
	wa = digits(wa)
	// BSUIDs have been seen in from and wa_id.
	for _, b := range [...]*[]byte{&wa, &from} {
		switch {
		case isParentBSUID(*b):
			if parent == nil {
				parent = *b
			}
			*b = nil
		case isBSUID(*b):
			if user == nil {
				user = *b
			}
			*b = nil
		}
	}
	if len(wa) == 0 {
		wa, from = from, nil
	}
	var list [5]chat.Address
	n := 0
	add := func(kind chat.AddressKind, b []byte) {
		if usableID(b) {
			list[n] = chat.Address{Kind: kind, Value: string(b)}
			n++
		}
	}
	add(chat.WaID, wa)
	add(chat.BSUID, user)
	add(chat.ParentBSUID, parent)
	if !bytes.Equal(from, wa) && numeric(from) {
		add(chat.Phone, from)
	}
	add(chat.Username, bytes.TrimPrefix(bytesOf(p.contact.Get("profile", "username")), []byte{'@'}))
	if n == 0 {
		return nil
	}
	return append(make([]chat.Address, 0, n), list[:n]...)
}

// name is the profile name, if there is one.
func (p person) name() string { return clip(bytesOf(p.contact.Get("profile", "name")), nameMax) }

// contactOf finds the contacts[] entry of a person by identifier. Position says
// nothing: the list is not aligned with the items beside it. A lone contact is
// the sender when all items beside it have one sender.
func (s *scope) contactOf(p person) *fastjson.Value {
	if s.index != nil {
		if c := s.index.find(p); c != nil {
			return c
		}
	} else if c := scan(s.people, p); c != nil {
		return c
	}
	if len(s.people) == 1 && s.oneSender {
		return s.people[0]
	}
	return nil
}

// scan looks through the contacts of a value, which mostly has one.
func scan(people []*fastjson.Value, p person) *fastjson.Value {
	from := digits(p.from)
	for _, c := range people {
		wa, user := bytesOf(c.Get("wa_id")), bytesOf(c.Get("user_id"))
		if same(from, digits(wa)) || same(p.user, user) || same(from, user) {
			return c
		}
	}
	if len(people) == 0 {
		return nil // as beside most statuses, which cost nothing here
	}
	if variants := chat.NumberVariants(string(from)); variants != nil {
		for _, c := range people {
			if slices.Contains(variants, string(digits(bytesOf(c.Get("wa_id"))))) {
				return c
			}
		}
	}
	return nil
}

// scanMax is how many contacts are looked through for each item; more get an index:
// a body of 1,000 messages may have 1,000 of them.
const scanMax = 16

// contactIndex finds what scan finds. It lives as long as the values it is of.
type contactIndex struct {
	people []*fastjson.Value
	// numbers has the first contact of each wa_id, users of each user id.
	numbers, users map[string]int
}

func indexOf(people []*fastjson.Value) *contactIndex {
	if len(people) <= scanMax {
		return nil
	}
	x := &contactIndex{people: people, numbers: make(map[string]int, len(people)), users: make(map[string]int, len(people))}
	for i, c := range people {
		put(x.numbers, digits(bytesOf(c.Get("wa_id"))), i)
		put(x.users, bytesOf(c.Get("user_id")), i)
	}
	return x
}

func put(in map[string]int, id []byte, i int) {
	if _, taken := in[string(id)]; !taken && len(id) > 0 {
		in[string(id)] = i
	}
}

func (x *contactIndex) find(p person) *fastjson.Value {
	from := digits(p.from)
	at := len(x.people)
	look := func(in map[string]int, id []byte) {
		if i, found := in[string(id)]; found && len(id) > 0 {
			at = min(at, i)
		}
	}
	look(x.numbers, from)
	look(x.users, p.user)
	look(x.users, from)
	if at == len(x.people) {
		for _, variant := range chat.NumberVariants(string(from)) {
			look(x.numbers, []byte(variant))
		}
	}
	if at == len(x.people) {
		return nil
	}
	return x.people[at]
}

func same(a, b []byte) bool { return len(a) > 0 && bytes.Equal(a, b) }

// oneSender reports whether all items of a list name the same sender under the
// given keys. Someone else's contact must never be taken for the sender's.
func oneSender(list []*fastjson.Value, idKey, userKey string) bool {
	for i, m := range list {
		if i > 0 && !(bytes.Equal(bytesOf(m.Get(idKey)), bytesOf(list[0].Get(idKey))) &&
			bytes.Equal(bytesOf(m.Get(userKey)), bytesOf(list[0].Get(userKey)))) {
			return false
		}
	}
	return true
}

// digits strips the plus that Meta's own rules forbid and its samples contain.
func digits(b []byte) []byte {
	if t := bytes.TrimPrefix(b, []byte{'+'}); numeric(t) {
		return t
	}
	return b
}

func numeric(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// isBSUID recognises a business-scoped user id, also a parent one: an ISO
// country code, a dot, and up to 128 letters and digits.
func isBSUID(b []byte) bool {
	if len(b) < 4 || len(b) > 2+1+4+128 || !upper(b[0]) || !upper(b[1]) || b[2] != '.' {
		return false
	}
	for _, c := range b[3:] {
		if !upper(c) && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' {
			return false
		}
	}
	return true
}

func isParentBSUID(b []byte) bool { return isBSUID(b) && bytes.HasPrefix(b[3:], []byte("ENT.")) }

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
