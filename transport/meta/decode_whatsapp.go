package meta

import (
	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// whatsappChange decodes one {field, value}. Only the fields messages and
// smb_message_echoes are conversations; a history import also has messages in
// it, which must never be answered.
func (d *decoder) whatsappChange(entry *scope, c *fastjson.Value) {
	d.inChange = *entry
	s := &d.inChange
	value := c.Get("value")
	s.field = word(c.Get("field"))
	if empty(value) {
		if s.field != "" {
			d.update(s, s.field, c)
		}
		return
	}
	if s.field == "" {
		s.field = fieldOf(entry, value)
	}
	if d.whatsappLists(s, value) {
		return
	}
	isMessages := s.field == "messages" || s.field == ""
	isEchoes := s.field == "smb_message_echoes" || s.field == "message_echoes"
	if !(isMessages && hasAny(value, "messages", "statuses", "errors") || (isMessages || isEchoes) && hasAny(value, "message_echoes")) {
		d.whatsappUpdate(s, value, isMessages)
		return
	}
	if s.field == "" {
		s.field = "messages"
	}
	d.numberScope(s, value)
	if errs := value.Get("errors"); !empty(errs) {
		d.valueErrors(s, value, errs)
		s.errs = errs
	}

	messages := value.Get("messages")
	s.oneSender = oneSender(messages.GetArray(), "from", "from_user_id")
	d.items(s, messages, (*decoder).whatsappMessage)

	statuses := value.Get("statuses")
	s.oneSender = oneSender(statuses.GetArray(), "recipient_id", "recipient_user_id")
	d.items(s, statuses, (*decoder).whatsappStatus)

	echoes := value.Get("message_echoes")
	s.oneSender = oneSender(echoes.GetArray(), "to", "to_user_id")
	d.items(s, echoes, (*decoder).whatsappEcho)

	d.leftovers(s, value, knownValueKey)
}

func knownValueKey(k []byte) bool {
	switch string(k) {
	case "messaging_product", "metadata", "contacts", "messages", "statuses", "errors", "message_echoes":
		return true
	}
	return false
}

func hasAny(v *fastjson.Value, keys ...string) bool {
	for _, k := range keys {
		if !empty(v.Get(k)) {
			return true
		}
	}
	return false
}

func frameKey(k []byte) bool { return string(k) == "messaging_product" || string(k) == "metadata" }

// whatsappUpdate keeps a value without a mapping, of a number when it names one
// and of the whole WABA otherwise. A messages value that has only its frame is
// nothing.
func (d *decoder) whatsappUpdate(s *scope, value *fastjson.Value, isMessages bool) {
	raw := d.raw(value)
	if isMessages && value.GetObject() != nil && !carriesMore(value, frameKey) {
		return
	}
	s.account = accountOf(value.Get("metadata", "phone_number_id"))
	// News about partners stand in the entry of the partner: what they are about is
	// named beside them.
	if waba := idOf(value.Get("waba_info", "waba_id")); waba != "" {
		s.waba = waba
	}
	in := d.base(s, chat.InboundUpdate)
	in.Type = s.field
	if template := templateOf(value); template != nil {
		in.Content = &chat.Content{Template: template}
	} else if standing := standingOf(s.field, value); standing != nil {
		in.Content = &chat.Content{Standing: standing}
	}
	in.Digest = digestOf(value, s.entry, s.field)
	if in.Content != nil && !s.time.IsZero() {
		// A template is paused and approved again, in the same words, within a day:
		// only the time tells the second from a repetition of the first.
		in.Digest = digestOf(value, s.entry, s.field, s.time.String())
	}
	in.Time = s.time
	if t := timeOf(value.Get("timestamp")); !t.IsZero() {
		in.Time = t
	}
	d.emit(in, raw, true)
}

// valueErrors keeps errors that belong to the number or to items beside them. The
// digest covers those: it tells apart equal errors of different messages.
func (d *decoder) valueErrors(s *scope, value, errs *fastjson.Value) {
	raw := d.raw(errs)
	digest := digestOf(errs, s.entry, s.account, s.field)
	var lone [1]*fastjson.Value
	for _, key := range [...]string{"messages", "calls"} {
		for _, m := range listOf(value.Get(key), lone[:]) {
			digest = digestOf(errs, digest, string(bytesOf(m.Get("id"))))
		}
	}
	in := d.base(s, chat.InboundUpdate)
	in.Type = s.field + "/errors"
	in.Digest = digest
	in.Time = s.time
	in.Code, in.Detail = firstError(errs)
	in.Content = &chat.Content{Problem: problemOf(errs)}
	d.emit(in, raw, true)
}

// whatsappMessage decodes one messages[] item of any type.
func (d *decoder) whatsappMessage(s *scope, m *fastjson.Value) {
	raw := d.raw(m)
	p := person{
		from:   bytesOf(m.Get("from")),
		user:   bytesOf(m.Get("from_user_id")),
		parent: bytesOf(m.Get("from_parent_user_id")),
	}
	p.contact = s.contactOf(p)
	d.whatsappContent(s, m, d.base(s, chat.InboundMessage), p, raw)
}

// whatsappEcho decodes one message_echoes[] item: the business wrote from its
// own app, and the customer is the receiver.
func (d *decoder) whatsappEcho(s *scope, m *fastjson.Value) {
	raw := d.raw(m)
	p := person{
		from:   bytesOf(m.Get("to")),
		user:   bytesOf(m.Get("to_user_id")),
		parent: bytesOf(m.Get("to_parent_user_id")),
	}
	p.contact = s.contactOf(p)
	d.whatsappContent(s, m, d.base(s, chat.InboundEcho), p, raw)
}

// whatsappContent fills in what a message, echo or import holds.
func (d *decoder) whatsappContent(s *scope, m *fastjson.Value, in chat.Inbound, p person, raw []byte) {
	in.Remote = chat.RemoteID(idOf(m.Get("id")))
	in.Customer = p.addresses()
	switch {
	case in.Remote == "":
		d.problemRaw(s, m, raw, "no usable id")
		return
	case in.Customer == nil:
		d.problemRaw(s, m, raw, "no usable customer")
		return
	}
	in.Name = p.name()
	in.Type = word(m.Get("type"))
	if in.Type == "" {
		in.Type = untyped(m)
	}
	text := whatsappText(m, in.Type)
	in.Text = clip(text, textMax)
	in.ReplyTo = chat.RemoteID(idOf(m.Get("context", "id")))
	in.Group = idOf(m.Get("group_id"))
	in.Time = timeOf(m.Get("timestamp"))
	plain := in.Type == chat.TypeText && !in.Time.IsZero() && onlyText(m)
	if !plain {
		in.Content = whatsappParts(m, s.errs, in.Type)
	}
	d.emit(in, raw, !plain || len(text) > textMax)
}

// untyped names a message without a type by what it holds.
func untyped(m *fastjson.Value) string {
	if m.Get("text").GetObject() != nil {
		return chat.TypeText
	}
	return "unknown"
}

// whatsappText is what a person would read, for types that have it.
func whatsappText(m *fastjson.Value, kind string) []byte {
	switch kind {
	case chat.TypeText:
		return bytesOf(m.Get("text", "body"))
	case "image", "video", "document":
		return bytesOf(m.Get(kind, "caption"))
	case "button":
		return bytesOf(m.Get("button", "text"))
	case "interactive":
		if t := bytesOf(m.Get("interactive", "button_reply", "title")); t != nil {
			return t
		}
		return bytesOf(m.Get("interactive", "list_reply", "title"))
	case "order":
		return bytesOf(m.Get("order", "text"))
	case "system":
		return bytesOf(m.Get("system", "body"))
	case "edit":
		edited := m.Get("edit", "message")
		if inner := word(edited.Get("type")); inner != "edit" {
			return whatsappText(edited, inner)
		}
	}
	return nil
}

// onlyText reports whether a text message says nothing beyond the fields of an
// Inbound, so that its JSON need not be kept.
func onlyText(m *fastjson.Value) bool {
	only := true
	m.GetObject().Visit(func(k []byte, v *fastjson.Value) {
		switch string(k) {
		case "from", "from_user_id", "from_parent_user_id", "to", "to_user_id", "to_parent_user_id", "id", "timestamp", "type", "group_id":
		case "text":
			only = only && lenOf(v) == 1 && v.Exists("body")
		case "context":
			known := 0
			for _, key := range [...]string{"from", "id"} {
				if v.Exists(key) {
					known++
				}
			}
			only = only && lenOf(v) == known
		default:
			only = false
		}
	})
	return only
}

// whatsappStatus decodes one statuses[] item. One that the lattice cannot tell
// from others of the message, being of a group member or a word of its own, gets
// a digest.
func (d *decoder) whatsappStatus(s *scope, m *fastjson.Value) {
	raw := d.raw(m)
	in := d.base(s, chat.InboundStatus)
	in.Remote = chat.RemoteID(idOf(m.Get("id")))
	in.Type = word(m.Get("status"))
	switch {
	case in.Remote == "":
		d.problemRaw(s, m, raw, "no usable id")
		return
	case in.Type == "":
		d.problemRaw(s, m, raw, "no status")
		return
	}
	in.Participant = idOf(m.Get("recipient_participant_id"))
	if in.Participant == "" {
		in.Participant = idOf(m.Get("recipient_participant_user_id"))
	}
	if string(bytesOf(m.Get("recipient_type"))) == "group" {
		in.Group = idOf(m.Get("recipient_id"))
		if in.Group != "" {
			in.Customer = []chat.Address{{Kind: chat.GroupAddress, Value: in.Group}}
		}
	} else {
		p := person{
			from:   bytesOf(m.Get("recipient_id")),
			user:   bytesOf(m.Get("recipient_user_id")),
			parent: bytesOf(m.Get("recipient_parent_user_id")),
		}
		if p.parent == nil {
			p.parent = bytesOf(m.Get("parent_recipient_user_id"))
		}
		p.contact = s.contactOf(p)
		in.Customer = p.addresses()
		in.Name = p.name()
	}
	in.Time = timeOf(m.Get("timestamp"))
	in.Callback = idOf(m.Get("biz_opaque_callback_data"))
	in.Code, in.Detail = firstError(m.Get("errors"))
	if _, known := chat.ParseStatus(in.Type); !known || in.Participant != "" {
		in.Digest = digestOf(nil, s.account, string(in.Remote), in.Type, in.Participant)
	}
	content, all := pricingOf(m)
	in.Content = content
	lost := !all || in.Time.IsZero() || in.Callback == "" && !empty(m.Get("biz_opaque_callback_data"))
	d.emit(in, raw, lost || !onlyStatus(m))
}

// onlyStatus reports whether a status says nothing beyond the fields of an Inbound.
// How much of pricing and conversation they say is for pricingOf to tell.
func onlyStatus(m *fastjson.Value) bool {
	only := true
	m.GetObject().Visit(func(k []byte, _ *fastjson.Value) {
		switch string(k) {
		case "id", "status", "timestamp", "recipient_id", "recipient_user_id", "recipient_type",
			"recipient_participant_id", "recipient_participant_user_id", "biz_opaque_callback_data",
			"recipient_parent_user_id", "parent_recipient_user_id", "pricing", "conversation":
		default:
			only = false
		}
	})
	return only
}

// firstError reads code and the most telling text of the first error.
func firstError(errs *fastjson.Value) (code int, detail string) {
	if errs == nil {
		return 0, ""
	}
	var lone [1]*fastjson.Value
	for _, e := range listOf(errs, lone[:]) {
		code, _ = codeOf(e.Get("code"))
		for _, path := range [...][]string{{"error_data", "details"}, {"message"}, {"title"}} {
			if b := bytesOf(e.Get(path...)); len(b) > 0 {
				return code, clip(b, nameMax)
			}
		}
		return code, ""
	}
	return 0, ""
}
