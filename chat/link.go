package chat

import "slices"

// Link says that two contacts of a tenant are the same person, or are not. It is a
// fact about each of them: both conversations decide in one commit.
type Link struct {
	Other ContactID
	// Apart is true for a split.
	Apart bool
	// Proof is a word: one_update, number_changed, user_id_changed, or what the
	// member gave.
	Proof string
	// Member is who said so; empty for the engine, which never joins what a member
	// has parted.
	Member string
}

func (Link) fact() {}

// LinkContacts asks for two contacts to be linked: an update proved that they are
// one person.
type LinkContacts struct {
	Contact, Other ContactID
	Proof          string
}

func (LinkContacts) effect() {}

// ContactLink is what a ContactMerged or ContactSplit event changed.
type ContactLink struct {
	Other  ContactID `json:"contact_id"`
	Proof  string    `json:"proof,omitempty"`
	Member string    `json:"member,omitempty"`
}

// sameAs asks for links with contacts that the update proved to be the same person.
func (p *step) sameAs(others []ContactID, proof string) {
	if len(others) == 0 {
		return
	}
	c := p.person()
	for _, other := range others {
		if other != c.ID && !slices.Contains(c.Links, other) && !slices.Contains(c.Apart, other) && len(c.Links) < LinksMax {
			p.effect(LinkContacts{Contact: c.ID, Other: other, Proof: proof})
		}
	}
}

// link decides about one side of a link.
func (p *step) link(f Link) {
	c := p.person()
	linked := slices.Contains(c.Links, f.Other)
	not := func(id ContactID) bool { return id == f.Other }
	switch {
	case f.Other == c.ID:
		p.refuse("same_contact")
		return
	case f.Apart && !linked && slices.Contains(c.Apart, f.Other), !f.Apart && linked:
		p.duplicate()
		return
	case f.Apart && !linked:
		p.refuse("not_linked")
		return
	case !f.Apart && f.Member == "" && slices.Contains(c.Apart, f.Other):
		p.refuse("kept_apart")
		return
	case !f.Apart && len(c.Links) >= LinksMax:
		p.refuse("too_many_links")
		return
	}
	c.Link = &ContactLink{Other: f.Other, Proof: f.Proof, Member: f.Member}
	c.Links = slices.DeleteFunc(slices.Clone(c.Links), not)
	c.Apart = slices.DeleteFunc(slices.Clone(c.Apart), not)
	if f.Apart {
		c.Apart = append(c.Apart, f.Other)
		p.keep(ContactSplit, c)
		return
	}
	c.Links = append(c.Links, f.Other)
	p.keep(ContactMerged, c)
}
