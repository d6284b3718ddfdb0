package meta

import (
	"github.com/valyala/fastjson"
)

// fieldList is a list in the value of a field, and how its items are decoded.
type fieldList struct {
	key    string
	decode func(*decoder, *scope, *fastjson.Value)
	// ids are the members of an item that name the customer; empty when they stand
	// deeper.
	ids [2]string
}

// listsOf tells which fields are lists of independent items, beside messages and
// echoes. None of them is a conversation, so nothing in them is answered.
func listsOf(field string) []fieldList {
	switch field {
	case "user_preferences":
		return []fieldList{{"user_preferences", (*decoder).preference, [2]string{"wa_id", "user_id"}}}
	case "user_id_update":
		return []fieldList{{"user_id_update", (*decoder).userIDUpdate, [2]string{}}}
	case "smb_app_state_sync":
		return []fieldList{{"state_sync", (*decoder).stateSync, [2]string{}}}
	case "history":
		return []fieldList{{"history", (*decoder).historyChunk, [2]string{}}, {"messages", (*decoder).historyMedia, [2]string{"from", "from_user_id"}}}
	case "calls":
		return []fieldList{{"calls", (*decoder).call, [2]string{"from", "to"}}, {"statuses", (*decoder).callStatus, [2]string{"recipient_id", "recipient_user_id"}}}
	}
	return nil
}

// whatsappLists decodes the items of a field that is a list of them. It reports
// whether there are any.
func (d *decoder) whatsappLists(s *scope, value *fastjson.Value) bool {
	lists := listsOf(s.field)
	found := false
	for _, l := range lists {
		found = found || !empty(value.Get(l.key))
	}
	if !found {
		return false
	}
	d.numberScope(s, value)
	if errs := value.Get("errors"); !empty(errs) {
		d.valueErrors(s, value, errs)
	}
	for _, l := range lists {
		list := value.Get(l.key)
		// A lone item, or object, has one sender whatever it calls them.
		s.oneSender = len(list.GetArray()) < 2 || l.ids[0] != "" && oneSender(list.GetArray(), l.ids[0], l.ids[1])
		d.items(s, list, l.decode)
	}
	d.leftovers(s, value, func(k []byte) bool {
		for _, l := range lists {
			if string(k) == l.key {
				return true
			}
		}
		return frameKey(k) || string(k) == "contacts" || string(k) == "errors"
	})
	return true
}

// numberScope reads what the items of one value have in common: the number they
// are of and the people they may be about.
func (d *decoder) numberScope(s *scope, value *fastjson.Value) {
	s.account = accountOf(value.Get("metadata", "phone_number_id"))
	s.number = bytesOf(value.Get("metadata", "display_phone_number"))
	s.people = listOf(value.Get("contacts"), d.lone[:])
	s.index = indexOf(s.people)
}

// fieldOf names the field of a value without one: the entry's or the body's in
// samples that have it at the wrong level, else what the value looks like.
func fieldOf(s *scope, value *fastjson.Value) string {
	switch {
	case s.given != "":
		return s.given
	case value.Exists("message_template_id"):
		return "message_template_status_update"
	case hasAny(value, "waba_info", "ban_info", "restriction_info", "violation_info"):
		return "account_update"
	}
	return ""
}
