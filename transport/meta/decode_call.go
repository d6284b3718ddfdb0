package meta

import (
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// call decodes one calls[] item: a call that rings or has ended.
func (d *decoder) call(s *scope, v *fastjson.Value) {
	raw := d.raw(v)
	from, to := bytesOf(v.Get("from")), bytesOf(v.Get("to"))
	c := &chat.Call{ID: idOf(v.Get("id")), Event: word(v.Get("event")), Seconds: secondsOf(v.Get("duration"))}
	switch string(bytesOf(v.Get("direction"))) {
	case "USER_INITIATED":
		c.Inbound = true
	case "BUSINESS_INITIATED":
	default:
		c.Inbound = !same(digits(from), digits(s.number))
	}
	p := person{from: to, user: bytesOf(v.Get("to_user_id")), parent: bytesOf(v.Get("to_parent_user_id"))}
	if c.Inbound {
		p = person{from: from, user: bytesOf(v.Get("from_user_id")), parent: bytesOf(v.Get("from_parent_user_id"))}
	}
	status := v.Get("status")
	if list := status.GetArray(); len(list) > 0 {
		status = list[0]
	}
	c.Status = word(status)
	d.called(s, v, raw, p, c, c.Event)
}

// callStatus decodes one statuses[] item of the field calls: how a call of the
// business goes.
func (d *decoder) callStatus(s *scope, v *fastjson.Value) {
	raw := d.raw(v)
	c := &chat.Call{ID: idOf(v.Get("id")), Event: word(v.Get("status"))}
	p := person{from: bytesOf(v.Get("recipient_id")), user: bytesOf(v.Get("recipient_user_id")), parent: bytesOf(v.Get("recipient_parent_user_id"))}
	d.called(s, v, raw, p, c, c.Event)
}

func (d *decoder) called(s *scope, v *fastjson.Value, raw []byte, p person, c *chat.Call, event string) {
	if c.ID == "" || event == "" {
		d.problemRaw(s, v, raw, "no usable id or event")
		return
	}
	in := d.aboutCustomer(s, v, p)
	in.Remote, in.Revision, in.Digest = chat.RemoteID(c.ID), "call:"+event, ""
	in.Content = &chat.Content{Call: c}
	d.emit(in, raw, true)
}

// secondsOf reads a duration; 0 for one that cannot be.
func secondsOf(v *fastjson.Value) int {
	n, err := strconv.Atoi(string(bytesOf(v)))
	if err != nil || n < 0 || n > 7*24*60*60 {
		return 0
	}
	return n
}
