package meta

import (
	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// historyChunk decodes one history[] item: threads of messages from before the
// number was connected, or the reason why there are none.
func (d *decoder) historyChunk(s *scope, v *fastjson.Value) {
	if errs := v.Get("errors"); !empty(errs) {
		d.valueErrors(s, v, errs)
	}
	d.items(s, v.Get("threads"), (*decoder).historyThread)
	d.leftovers(s, v, func(k []byte) bool { return string(k) == "threads" || string(k) == "errors" })
}

// historyThread decodes one thread. Its id is the customer, whoever wrote.
func (d *decoder) historyThread(s *scope, v *fastjson.Value) {
	t := *s
	t.thread = person{
		from:   bytesOf(v.Get("id")),
		user:   bytesOf(v.Get("user_id")),
		parent: bytesOf(v.Get("parent_user_id")),
	}
	t.thread.contact = s.contactOf(t.thread)
	d.items(&t, v.Get("messages"), (*decoder).historyMessage)
}

func (d *decoder) historyMessage(s *scope, m *fastjson.Value) {
	raw := d.raw(m)
	in := d.base(s, chat.InboundImport)
	in.Ours = s.wroteInThread(m)
	d.whatsappContent(s, m, in, s.thread, raw)
}

// wroteInThread reports whether the business wrote a message of a thread. A thread
// has two sides, so whoever is not the customer is the business.
func (s *scope) wroteInThread(m *fastjson.Value) bool {
	from, customer := digits(bytesOf(m.Get("from"))), digits(s.thread.from)
	switch {
	case len(from) == 0:
		return m.Exists("to") || m.Exists("to_user_id")
	case same(from, digits(s.number)):
		return true
	}
	return !same(from, customer) && !chat.SameNumber(string(from), string(customer)) && !isBSUID(from) && !m.Exists("from_user_id")
}

// historyMedia decodes one messages[] item of the field history: the file of a
// message that an earlier chunk had a placeholder for, under the same id.
func (d *decoder) historyMedia(s *scope, m *fastjson.Value) {
	raw := d.raw(m)
	in := d.base(s, chat.InboundImport)
	in.Revision = "media"
	p := person{from: bytesOf(m.Get("from")), user: bytesOf(m.Get("from_user_id")), parent: bytesOf(m.Get("from_parent_user_id"))}
	if in.Ours = same(digits(p.from), digits(s.number)); in.Ours {
		p = person{from: bytesOf(m.Get("to")), user: bytesOf(m.Get("to_user_id")), parent: bytesOf(m.Get("to_parent_user_id"))}
	}
	p.contact = s.contactOf(p)
	d.whatsappContent(s, m, in, p, raw)
}
