package chat

import (
	"slices"
	"time"
)

// ProfileLife is how old a profile may be before it is fetched anew at the next
// message.
const ProfileLife = 7 * 24 * time.Hour

// WantProfile asks for the public profile of an Instagram customer. Whoever fetches
// it looks whether the one there is is young enough; a lost request is made again
// with the first message of another day.
type WantProfile struct {
	Contact ContactID
	IGSID   string
}

func (WantProfile) effect() {}

// ProfileFetched is what Instagram says of a customer, or why it says nothing.
type ProfileFetched struct {
	Contact ContactID
	// Name is empty when there is none.
	Name    string
	Profile Profile
}

func (ProfileFetched) fact() {}

// Person is a customer as Instagram shows them to a business.
type Person struct {
	Name, Username string
	// Picture is Meta's link, which lives for days.
	Picture   string
	Followers int64
	Verified  bool
}

// Stale reports whether a profile should be fetched at now.
func (p *Profile) Stale(now time.Time) bool {
	return p == nil || !now.Before(p.Fetched.Add(ProfileLife))
}

// wantProfile looks at a customer once a day, with the first message of it.
func (p *step) wantProfile(f *Inbound) {
	if p.c.Kind != Instagram || p.c.ID == "" || len(p.d.Events) == 0 || Day(p.was.Active) == Day(p.now) {
		return
	}
	for _, a := range f.Customer {
		if a.Kind == IGSID {
			p.effect(WantProfile{Contact: p.c.Contact, IGSID: a.Value})
			return
		}
	}
}

// profileFetched keeps what Instagram says. A picture that is replaced, or that is
// of somebody who was erased meanwhile, is dropped.
func (p *step) profileFetched(f ProfileFetched) {
	contact := p.in.Known.Contact
	drop := f.Profile.Picture
	if contact.ID == f.Contact && p.c.Contact == f.Contact && len(contact.Addresses) > 0 {
		drop = ""
		if old := contact.Profile; old != nil {
			drop = old.Picture
		}
		profile := f.Profile
		contact.Profile = &profile
		if f.Name != "" {
			contact.Name = f.Name
		}
		contact.Addresses = slices.DeleteFunc(slices.Clone(contact.Addresses), func(a Address) bool {
			return a.Kind == Username && profile.Username != ""
		})
		if profile.Username != "" {
			contact.Addresses = append(contact.Addresses, Address{Kind: Username, Value: profile.Username})
		}
		p.emit(Event{Kind: ContactLinked, Contact: &contact})
		p.d.Contact = &contact
	}
	if drop != "" {
		p.effect(DropFiles{Prefix: drop})
	}
}
