package meta

import (
	"slices"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// instagramChange decodes one {field, value}, also when both stand on the entry
// itself. The dashboard's test button sends messaging items this way; the rest
// are comments, mentions and the like.
func (d *decoder) instagramChange(entry *scope, c *fastjson.Value) {
	d.inChange = *entry
	s := &d.inChange
	field := word(c.Get("field"))
	value := c.Get("value")
	s.field = field
	switch {
	case empty(value):
		if field != "" {
			d.update(s, field, c)
		}
	case field == "standby":
		d.instagramStandby(s, value)
	case isInstagramItem(field, value):
		d.instagramItem(s, value)
	default:
		d.instagramUpdate(s, value)
	}
}

// isInstagramItem tells a value that is what messaging[] has in its items from a
// comment or mention. An item may lack one of its two parties.
func isInstagramItem(field string, value *fastjson.Value) bool {
	switch field {
	case "comments", "live_comments", "mentions":
		return false
	}
	return value.Get("sender").GetObject() != nil || value.Get("recipient").GetObject() != nil
}

// instagramUpdate keeps a comment, mention or unknown field, with its author
// where there is one.
func (d *decoder) instagramUpdate(s *scope, value *fastjson.Value) {
	raw := d.raw(value)
	in := d.base(s, chat.InboundUpdate)
	in.Type = s.field
	in.Time = s.time
	if t := timeOf(value.Get("timestamp")); !t.IsZero() {
		in.Time = t
	}
	if author := idOf(value.Get("from", "id")); author != "" && author != s.account {
		in.Customer = []chat.Address{{Kind: chat.IGSID, Value: author}}
		if name := idOf(value.Get("from", "username")); name != "" {
			in.Customer = append(in.Customer, chat.Address{Kind: chat.Username, Value: name})
		}
	}
	if comment := commentOf(s.field, value); comment != nil {
		in.Content = &chat.Content{Comment: comment}
	}
	in.Digest = digestOf(value, s.entry, s.field)
	// A comment on an ad is reported for the ad and for the post.
	if s.field == "comments" || s.field == "live_comments" {
		for _, key := range [...]string{"comment_id", "id"} {
			if id := value.Get(key); !empty(id) {
				in.Digest = digestOf(id, s.entry, s.field, "id")
				break
			}
		}
	}
	d.emit(in, raw, true)
}

// parties tells who wrote an item and who the customer is.
type parties struct {
	// ours is true when the business wrote.
	ours     bool
	customer []chat.Address
}

// partiesOf reads sender and recipient. The customer is the one who is not the
// account; on an echo that is the recipient.
func partiesOf(s *scope, v *fastjson.Value, echo bool) parties {
	sender, recipient := idOf(v.Get("sender", "id")), idOf(v.Get("recipient", "id"))
	p := parties{ours: echo || sender != "" && sender == s.account}
	who, other := sender, recipient
	if p.ours {
		who, other = recipient, sender
	}
	if who == s.account || who == "" && p.ours {
		who = other
	}
	if who != "" {
		p.customer = []chat.Address{{Kind: chat.IGSID, Value: who}}
	}
	return p
}

// instagramItem decodes one messaging[] item.
func (d *decoder) instagramItem(s *scope, v *fastjson.Value) {
	raw := d.raw(v)
	switch {
	case v.Get("message").GetObject() != nil:
		d.instagramMessage(s, v, raw)
	case v.Get("postback").GetObject() != nil:
		d.instagramPostback(s, v, raw)
	case v.Get("reaction").GetObject() != nil:
		r := v.Get("reaction")
		// The timestamp tells a reaction from the same one given again.
		revision := "reaction:" + clip(bytesOf(r.Get("action")), wordMax) + ":" + clip(bytesOf(v.Get("timestamp")), wordMax)
		d.instagramRevision(s, v, raw, "reaction", revision)
	case v.Get("message_edit").GetObject() != nil:
		d.instagramRevision(s, v, raw, "message_edit", "edit:"+clip(bytesOf(v.Get("message_edit", "num_edit")), wordMax))
	case v.Get("read").GetObject() != nil:
		d.instagramRead(s, v, raw)
	default:
		d.instagramOther(s, v, raw)
	}
}

func (d *decoder) instagramMessage(s *scope, v *fastjson.Value, raw []byte) {
	m := v.Get("message")
	// The field of echoes has nothing else, whatever its items say.
	echo := s.field == "message_echoes" || truthy(m.Get("is_echo")) || truthy(m.Get("is_self"))
	who := partiesOf(s, v, echo)
	remote := idOf(m.Get("mid"))
	switch {
	case remote == "":
		d.problemRaw(s, v, raw, "no usable mid")
		return
	case who.customer == nil:
		d.problemRaw(s, v, raw, "no usable customer")
		return
	}
	in := d.base(s, chat.InboundMessage)
	in.Remote = chat.RemoteID(remote)
	in.Customer = who.customer
	in.Time = timeOf(v.Get("timestamp"))
	if truthy(m.Get("is_deleted")) {
		in.Kind, in.Type, in.Revision = chat.InboundUpdate, "message_deleted", "deleted"
		in.Content = &chat.Content{Revoke: &chat.Revoke{Target: in.Remote}}
		d.emit(in, raw, true)
		return
	}
	if who.ours {
		in.Kind = chat.InboundEcho
		in.Ours = slices.Contains(d.own, idOf(m.Get("app_id")))
	}
	in.Type = instagramType(m)
	text := bytesOf(m.Get("text"))
	if len(text) == 0 {
		text = bytesOf(m.Get("quick_reply", "title"))
	}
	in.Text = clip(text, textMax)
	in.ReplyTo = chat.RemoteID(idOf(m.Get("reply_to", "mid")))
	plain := in.Type == chat.TypeText && !in.Time.IsZero() && lenOf(v) == 4 && onlyInstagramText(m)
	if !plain {
		in.Content = instagramParts(m)
	}
	d.emit(in, raw, !plain || len(text) > textMax)
}

// instagramType names a message by what it holds.
func instagramType(m *fastjson.Value) string {
	if truthy(m.Get("is_unsupported")) {
		return "unsupported"
	}
	var lone [1]*fastjson.Value
	for _, a := range listOf(m.Get("attachments"), lone[:]) {
		if t := word(a.Get("type")); t != "" {
			return t
		}
	}
	switch {
	case !empty(m.Get("reply_to", "story")):
		return "story_reply"
	case !empty(m.Get("quick_reply")):
		return "quick_reply"
	case m.Exists("text"):
		return chat.TypeText
	}
	return "unknown"
}

// onlyInstagramText reports whether a message says nothing beyond the fields of
// an Inbound.
func onlyInstagramText(m *fastjson.Value) bool {
	only := true
	m.GetObject().Visit(func(k []byte, v *fastjson.Value) {
		switch string(k) {
		case "mid", "text", "is_echo":
		case "reply_to":
			only = only && lenOf(v) == 1 && v.Exists("mid")
		default:
			only = false
		}
	})
	return only
}

// instagramPostback decodes a tap on an ice breaker, a button or the menu: the
// customer said its title. Without a mid it gets an id made of what it is.
func (d *decoder) instagramPostback(s *scope, v *fastjson.Value, raw []byte) {
	p := v.Get("postback")
	in := d.base(s, chat.InboundMessage)
	in.Type = "postback"
	in.Customer = partiesOf(s, v, false).customer
	if in.Customer == nil {
		d.problemRaw(s, v, raw, "no usable customer")
		return
	}
	in.Remote = chat.RemoteID(idOf(p.Get("mid")))
	if in.Remote == "" {
		in.Remote = chat.RemoteID("pb:" + digestOf(p, s.entry, in.Customer[0].Value, string(bytesOf(v.Get("timestamp")))))
	}
	in.Text = clip(bytesOf(p.Get("title")), textMax)
	in.Content = d.itemParts(v)
	in.Time = timeOf(v.Get("timestamp"))
	d.emit(in, raw, true)
}

// instagramRevision decodes something that happened to a message.
func (d *decoder) instagramRevision(s *scope, v *fastjson.Value, raw []byte, key, revision string) {
	in := d.base(s, chat.InboundUpdate)
	in.Type = key
	in.Customer = partiesOf(s, v, false).customer
	in.Time = timeOf(v.Get("timestamp"))
	in.Text = clip(bytesOf(v.Get(key, "text")), textMax)
	in.Remote = chat.RemoteID(idOf(v.Get(key, "mid")))
	if in.Remote == "" {
		in.Digest = digestOf(v, s.entry, key)
	} else {
		in.Revision = revision
	}
	in.Content = d.itemParts(v)
	d.emit(in, raw, true)
}

// instagramRead decodes the customer having read up to a message. The older
// form has a watermark instead of a mid and stays an update.
func (d *decoder) instagramRead(s *scope, v *fastjson.Value, raw []byte) {
	in := d.base(s, chat.InboundRead)
	in.Type = "read"
	in.Remote = chat.RemoteID(idOf(v.Get("read", "mid")))
	in.Customer = partiesOf(s, v, false).customer
	in.Time = timeOf(v.Get("timestamp"))
	if in.Remote == "" || in.Customer == nil {
		in.Kind = chat.InboundUpdate
		in.Digest = digestOf(v, s.entry, "read")
		d.emit(in, raw, true)
		return
	}
	d.emit(in, raw, in.Time.IsZero() || lenOf(v) != 4 || lenOf(v.Get("read")) != 1)
}

// instagramOther keeps referrals, handovers, opt-ins and whatever comes next,
// named by the first member that is not part of the frame.
func (d *decoder) instagramOther(s *scope, v *fastjson.Value, raw []byte) {
	in := d.base(s, chat.InboundUpdate)
	in.Type = s.field
	named := false
	v.GetObject().Visit(func(k []byte, _ *fastjson.Value) {
		if named {
			return
		}
		switch string(k) {
		case "sender", "recipient", "timestamp":
		default:
			in.Type, named = clip(k, wordMax), true
		}
	})
	in.Customer = partiesOf(s, v, false).customer
	in.Time = timeOf(v.Get("timestamp"))
	in.Digest = digestOf(v, s.entry, in.Type)
	in.Content = d.itemParts(v)
	d.emit(in, raw, true)
}

// instagramStandby keeps an item of a thread that another app owns: stored,
// never answered.
func (d *decoder) instagramStandby(s *scope, v *fastjson.Value) {
	raw := d.raw(v)
	m := v.Get("message")
	in := d.base(s, chat.InboundUpdate)
	in.Type = "standby"
	in.Customer = partiesOf(s, v, truthy(m.Get("is_echo"))).customer
	in.Time = timeOf(v.Get("timestamp"))
	in.Text = clip(bytesOf(m.Get("text")), textMax)
	if in.Content = d.itemParts(v); in.Content == nil {
		in.Content = instagramParts(m)
	}
	in.Remote = chat.RemoteID(idOf(m.Get("mid")))
	if in.Remote == "" {
		in.Digest = digestOf(v, s.entry, "standby")
	} else {
		in.Revision = "standby"
		if truthy(m.Get("is_deleted")) {
			in.Revision = "standby:deleted"
			in.Content = &chat.Content{Revoke: &chat.Revoke{Target: in.Remote}}
		}
	}
	d.emit(in, raw, true)
}
