package meta

import (
	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// aboutCustomer starts an update about one person from an item of a field that is
// about people. The raw form of the item was taken before.
func (d *decoder) aboutCustomer(s *scope, v *fastjson.Value, p person) chat.Inbound {
	p.contact = s.contactOf(p)
	in := d.base(s, chat.InboundUpdate)
	in.Type = s.field
	in.Customer = p.addresses()
	in.Name = p.name()
	in.Digest = digestOf(v, s.entry, s.account, s.field)
	if in.Time = timeOf(v.Get("timestamp")); in.Time.IsZero() {
		in.Time = s.time
	}
	return in
}

// preference decodes one user_preferences[] item: a customer who stops marketing
// messages, or allows them again.
func (d *decoder) preference(s *scope, v *fastjson.Value) {
	raw := d.raw(v)
	in := d.aboutCustomer(s, v, person{from: bytesOf(v.Get("wa_id")), user: bytesOf(v.Get("user_id")), parent: bytesOf(v.Get("parent_user_id"))})
	c := chat.Consent{Category: word(v.Get("category")), Word: word(v.Get("value"))}
	switch c.Word {
	case "stop":
		in.Content = &chat.Content{Consent: &c}
	case "resume", "signup":
		c.Given = true
		in.Content = &chat.Content{Consent: &c}
	}
	d.emit(in, raw, true)
}

// userIDUpdate decodes one user_id_update[] item: a customer whose user id is
// another now. The customer is who they were: that leads to the conversation.
func (d *decoder) userIDUpdate(s *scope, v *fastjson.Value) {
	raw := d.raw(v)
	before, became := bytesOf(v.Get("user_id", "previous")), bytesOf(v.Get("user_id", "current"))
	parentBefore, parentBecame := bytesOf(v.Get("parent_user_id", "previous")), bytesOf(v.Get("parent_user_id", "current"))
	in := d.aboutCustomer(s, v, person{from: bytesOf(v.Get("wa_id")), user: before, parent: parentBefore})
	change := &chat.IdentityChange{Kind: "user_id_changed",
		Before: addressesOf(before, parentBefore), Became: addressesOf(became, parentBecame)}
	if in.Customer == nil {
		in.Customer = change.Became
	}
	if len(change.Before)+len(change.Became) > 0 {
		in.Content = &chat.Content{Identity: change}
	}
	d.emit(in, raw, true)
}

// stateSync decodes one state_sync[] item: an entry of the address book of the
// business's phone. One that was taken out of it names nobody.
func (d *decoder) stateSync(s *scope, v *fastjson.Value) {
	raw := d.raw(v)
	contact := v.Get("contact")
	in := d.aboutCustomer(s, v, person{from: bytesOf(contact.Get("phone_number")), user: bytesOf(contact.Get("user_id"))})
	if t := timeOf(v.Get("metadata", "timestamp")); !t.IsZero() {
		in.Time = t
	}
	if string(bytesOf(v.Get("action"))) != "remove" {
		for _, key := range [...]string{"full_name", "first_name"} {
			if name := clip(bytesOf(contact.Get(key)), nameMax); name != "" {
				in.Name = name
				break
			}
		}
	}
	d.emit(in, raw, true)
}
