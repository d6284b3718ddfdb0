package meta

import (
	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// root takes the whole body: an envelope, or an array of them as in Meta's
// Instagram samples.
func (d *decoder) root(v *fastjson.Value) {
	if v.Type() != fastjson.TypeArray {
		d.envelope(v)
		return
	}
	for _, e := range v.GetArray() {
		d.envelope(e)
	}
}

func (d *decoder) envelope(v *fastjson.Value) {
	if empty(v) {
		return
	}
	if v.Type() != fastjson.TypeObject {
		d.problem(&scope{}, v, "not an envelope")
		return
	}
	object := v.Get("object")
	kind := envelopeKind(object)
	entries := v.Get("entry")
	switch {
	case empty(entries) && looksLikeEntry(v):
		d.entries++
		d.entry(kind, object, v)
		return
	case empty(entries):
		if carriesMore(v, knownEnvelopeKey) {
			d.problem(&scope{kind: kind}, v, "unknown envelope")
		}
		return
	}
	var lone [1]*fastjson.Value
	list := listOf(entries, lone[:])
	if list == nil {
		d.problem(&scope{kind: kind}, v, "entry is not a list")
		return
	}
	if d.entries += len(list); d.entries > entryMax {
		return
	}
	d.given = word(v.Get("field"))
	for _, e := range list {
		d.entry(kind, object, e)
	}
	d.given = ""
	d.leftovers(&scope{kind: kind}, v, func(k []byte) bool { return knownEnvelopeKey(k) || string(k) == "field" })
}

func knownEnvelopeKey(k []byte) bool { return string(k) == "object" || string(k) == "entry" }

func (d *decoder) entry(kind chat.ChannelKind, object, e *fastjson.Value) {
	if empty(e) {
		return
	}
	if e.Type() != fastjson.TypeObject {
		d.problem(&scope{kind: kind}, e, "an entry is not an object")
		return
	}
	d.inEntry = scope{kind: kind, given: d.given}
	s := &d.inEntry
	if kind == 0 && !empty(object) {
		s.account = idOf(e.Get("id"))
		s.field = word(object)
		d.problem(s, e, "unsupported object")
		return
	}
	if kind == 0 {
		s.kind = guessKind(e)
	}
	d.guard(s, e, (*decoder).entryItems)
}

// entryItems takes each of the shapes an entry can have: messaging[],
// standby[], changes[], and field with value on the entry itself.
func (d *decoder) entryItems(s *scope, e *fastjson.Value) {
	// The raw form of an entry is not kept, so it may be read at once.
	s.entry = accountOf(e.Get("id"))
	s.time = timeOf(e.Get("time"))
	change := (*decoder).whatsappChange
	flat := e.Exists("field") || e.Exists("value")
	if flat && e.Exists("changes") && !e.Exists("value") {
		flat, s.given = false, word(e.Get("field"))
	}
	if s.kind == chat.Instagram {
		s.account = s.entry
		change = (*decoder).instagramChange
		s.field = "messaging"
		d.items(s, e.Get("messaging"), (*decoder).instagramItem)
		s.field = "standby"
		d.items(s, e.Get("standby"), (*decoder).instagramStandby)
	} else {
		s.waba = s.entry
	}
	s.field = "changes"
	d.items(s, e.Get("changes"), change)
	if flat {
		d.guard(s, e, change)
	}
	s.field = ""
	d.leftovers(s, e, knownEntryKey)
}

// items takes every element of an array, or a lone object.
func (d *decoder) items(s *scope, v *fastjson.Value, decode func(*decoder, *scope, *fastjson.Value)) {
	if empty(v) {
		return
	}
	var lone [1]*fastjson.Value
	list := listOf(v, lone[:])
	if list == nil {
		d.problem(s, v, "not a list")
		return
	}
	for _, item := range list {
		switch {
		case empty(item):
		case item.Type() != fastjson.TypeObject:
			d.problem(s, item, "an item is not an object")
		default:
			d.guard(s, item, decode)
		}
	}
}

// leftovers adds an update for each member that no decoder knows, so that what
// Meta adds tomorrow is kept today.
func (d *decoder) leftovers(s *scope, v *fastjson.Value, known func([]byte) bool) {
	prefix := s.field
	v.GetObject().Visit(func(k []byte, m *fastjson.Value) {
		if known(k) || empty(m) {
			return
		}
		name := clip(k, wordMax)
		if prefix != "" {
			name = prefix + "/" + name
		}
		d.update(s, name, m)
	})
}

// carriesMore reports whether an object has a member, not empty, that is not known.
func carriesMore(v *fastjson.Value, known func([]byte) bool) bool {
	more := false
	v.GetObject().Visit(func(k []byte, m *fastjson.Value) {
		more = more || !known(k) && !empty(m)
	})
	return more
}

func knownEntryKey(k []byte) bool {
	switch string(k) {
	case "id", "uid", "time", "object", "messaging", "standby", "changes", "field", "value", "changed_fields":
		return true
	}
	return false
}

func envelopeKind(object *fastjson.Value) chat.ChannelKind {
	switch string(bytesOf(object)) {
	case "whatsapp_business_account":
		return chat.WhatsApp
	case "instagram":
		return chat.Instagram
	}
	return 0
}

// looksLikeEntry recognises published samples whose parts sit one level too high.
func looksLikeEntry(v *fastjson.Value) bool {
	return v.Exists("changes") || v.Exists("messaging") || v.Exists("standby") || v.Exists("field") && v.Exists("value")
}

// guessKind recognises an entry of an envelope without object.
func guessKind(e *fastjson.Value) chat.ChannelKind {
	if e.Exists("messaging") || e.Exists("standby") {
		return chat.Instagram
	}
	changes := e.Get("changes")
	if changes == nil {
		return changeKind(e)
	}
	var lone [1]*fastjson.Value
	for _, c := range listOf(changes, lone[:]) {
		if changeKind(c) == chat.Instagram {
			return chat.Instagram
		}
	}
	return chat.WhatsApp
}

func changeKind(c *fastjson.Value) chat.ChannelKind {
	if c.Exists("value", "messaging_product") {
		return chat.WhatsApp
	}
	switch string(bytesOf(c.Get("field"))) {
	case "comments", "live_comments", "mentions", "story_insights", "message_reactions", "message_edit",
		"messaging_postbacks", "messaging_seen", "messaging_referral", "messaging_handover", "messaging_optins", "standby":
		return chat.Instagram
	}
	if c.Exists("value", "sender") {
		return chat.Instagram
	}
	return chat.WhatsApp
}
