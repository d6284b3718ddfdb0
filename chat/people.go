package chat

import (
	"slices"
	"time"
)

// What an IdentityChange says.
const (
	// NumberChanged: the person has another number. The old one is nobody's from
	// then on: it may be given to a stranger.
	NumberChanged = "number_changed"
	// UserIDChanged: Meta names the same person by another id.
	UserIDChanged = "user_id_changed"
	// IdentityChanged: the person, or the device, behind the number may be another.
	// Nothing moves, and the contact shows it: who asks for proof must ask again.
	IdentityChanged = "identity_changed"
)

// ConsentMarketing is the category of marketing messages, as Meta writes it.
const ConsentMarketing = "marketing_messages"

// CodeOptedOut is Graph's refusal of a message whose category the customer stopped.
const CodeOptedOut = 131050

// formerMax bounds the numbers that a contact remembers to have given up.
const formerMax = 16

// LinksMax bounds the contacts that one contact is linked with.
const LinksMax = 32

// NeedsContact reports whether Step must know the stored contact to decide about an
// update of a person who is known.
func NeedsContact(in *Inbound, at Place) bool {
	switch c := in.Content; {
	case len(at.Missing) > 0, len(at.Others) > 0, in.Code == CodeOptedOut, in.Type == typeAddressBook:
		return true
	case c != nil:
		return c.Identity != nil || c.Consent != nil
	}
	return false
}

// typeAddressBook is the webhook field that tells how the business's phone names a
// customer.
const typeAddressBook = "smb_app_state_sync"

// OfAddressBook reports whether an update only says how the business names somebody.
// It is no sign of life: it starts no conversation with a person who never wrote.
func (in *Inbound) OfAddressBook() bool { return in.Type == typeAddressBook }

// Allows reports whether the customer lets the business send a category of
// messages. Nothing said is allowed: Meta asks for consent before a template, and
// tells of its withdrawal.
func (c *Contact) Allows(category string) bool {
	for i := range c.Consents {
		if c.Consents[i].Category == category {
			return c.Consents[i].Given
		}
	}
	return true
}

// Recipient is the address a message to the person goes to: the latest one that
// Meta named, a number before an id. ok is false when there is none.
func (c *Contact) Recipient() (to Address, ok bool) {
	for _, kind := range [...]AddressKind{WaID, Phone, IGSID, BSUID, ParentBSUID, GroupAddress} {
		for _, a := range c.Addresses {
			if a.Kind == kind && a.Value != "" {
				return a, true
			}
		}
	}
	return Address{}, false
}

// person is the contact as the decision leaves it so far.
func (p *step) person() Contact {
	if p.d.Contact != nil {
		return *p.d.Contact
	}
	c := p.in.Known.Contact
	c.ID, c.Conversation = p.c.Contact, p.c.ID
	return c
}

// keep records a changed contact. How it came about is the event's alone.
func (p *step) keep(kind EventKind, c Contact) {
	told := c
	p.emit(Event{Kind: kind, Contact: &told})
	c.Link = nil
	p.d.Contact = &c
}

// people applies what an update says of persons, after the event that keeps it.
func (p *step) people(f *Inbound) {
	if p.c.ID == "" {
		return
	}
	p.sameAs(p.in.Known.Place.Others, "one_update")
	if f.OfAddressBook() {
		p.named(f.Name)
	}
	switch c := f.Content; {
	case c == nil:
	case c.Identity != nil:
		p.identity(f, c.Identity)
	case c.Consent != nil:
		p.consent(*c.Consent, occurred(f.Time, p.now))
	case c.Control != nil:
		p.control(f, c.Control)
	}
}

// named takes over how the business names the person.
func (p *step) named(name string) {
	c := p.person()
	if name != "" && name != c.Name {
		c.Name = name
		p.keep(ContactLinked, c)
	}
}

// identity makes the person known by other identifiers. What a person was known by
// goes on leading here, with one exception: a number that was given up leads
// nowhere, so that the next who writes from it is somebody new. Each change is a doubt
// about who the person is: Meta gives a user another id when the number changes, too.
func (p *step) identity(f *Inbound, ch *IdentityChange) {
	c := p.person()
	doubted := c.doubt(ch.Kind, occurred(f.Time, p.now))
	if ch.Kind != NumberChanged && ch.Kind != UserIDChanged || len(ch.Became) == 0 {
		if doubted {
			p.keep(ContactLinked, c)
		}
		return
	}
	before := ch.Before
	if len(before) == 0 {
		before = f.Customer
	}
	gone := func(a Address) bool { return !slices.Contains(ch.Became, a) && givenUp(ch.Kind, before, a) }
	if ch.Kind == NumberChanged {
		for _, a := range union(before, c.Addresses) {
			if gone(a) && a.isNumber() {
				p.d.Releases = append(p.d.Releases, a)
			}
		}
		c.Former = union(p.d.Releases, c.Former)
	}
	c.Former = slices.DeleteFunc(slices.Clone(c.Former), func(a Address) bool {
		return slices.ContainsFunc(ch.Became, func(b Address) bool { return b.isNumber() && SameNumber(a.Value, b.Value) })
	})
	c.Former = c.Former[:min(len(c.Former), formerMax)]
	c.Addresses = union(ch.Became, slices.DeleteFunc(slices.Clone(c.Addresses), gone))
	at := p.in.Known.Became
	if !at.Found || at.Conversation == p.c.ID {
		for _, a := range at.Missing {
			if !p.claims(a) {
				p.d.Claims = append(p.d.Claims, Claim{Kind: ClaimAddress, Address: a})
			}
		}
	}
	p.keep(ContactLinked, c)
	if at.Found && at.Conversation != p.c.ID {
		p.sameAs([]ContactID{at.Contact}, ch.Kind)
	}
	p.sameAs(at.Others, ch.Kind)
}

// doubt notes a report that the person may be another, unless a later one is known. It
// tells whether the contact is another for it.
func (c *Contact) doubt(kind string, at time.Time) bool {
	switch {
	case kind != NumberChanged && kind != UserIDChanged && kind != IdentityChanged, c.Doubt != nil && !at.After(c.Doubt.At):
		return false
	}
	c.Doubt = &Doubt{Kind: kind, At: at}
	return true
}

// givenUp reports whether a is one of the identifiers that a change replaces. A
// number is given up in all its spellings.
func givenUp(kind string, before []Address, a Address) bool {
	for _, b := range before {
		switch {
		case kind == NumberChanged && a.isNumber() && b.isNumber() && SameNumber(a.Value, b.Value):
			return true
		case kind == UserIDChanged && !a.isNumber() && a == b:
			return true
		}
	}
	return false
}

// gaveUp reports whether an address is a number that the person has given up.
func (c *Contact) gaveUp(a Address) bool {
	return a.isNumber() && slices.ContainsFunc(c.Former, func(b Address) bool { return SameNumber(a.Value, b.Value) })
}

func (a Address) isNumber() bool { return a.Kind == WaID || a.Kind == Phone }

// claims reports whether the decision claims an address already.
func (p *step) claims(a Address) bool {
	return slices.ContainsFunc(p.d.Claims, func(c Claim) bool { return c.Kind == ClaimAddress && c.Address == a })
}

// consent records that the person allowed or forbade a category. The latest word
// counts, whenever it is told; of two at one time the refusal.
func (p *step) consent(said Consent, at time.Time) {
	c := p.person()
	next := slices.Clone(c.Consents)
	now := ConsentAt{Consent: said, At: at}
	i := slices.IndexFunc(next, func(k ConsentAt) bool { return k.Category == said.Category })
	switch {
	case i < 0:
		next = append(next, now)
	case at.Before(next[i].At), at.Equal(next[i].At) && (said.Given || !next[i].Given):
		return
	default:
		next[i] = now
	}
	c.Consents = next
	p.keep(ConsentChanged, c)
}

// optedOut records a refusal of Graph's that says so.
func (p *step) optedOut(code int, at time.Time) {
	if code != CodeOptedOut || p.c.ID == "" {
		return
	}
	if c := p.person(); c.Allows(ConsentMarketing) {
		p.consent(Consent{Category: ConsentMarketing, Word: "131050"}, at)
	}
}
