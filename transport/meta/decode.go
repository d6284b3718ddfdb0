package meta

import (
	"bytes"
	"sync"
	"time"
	"unsafe"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

const opDecode = "meta.Decode"

// work is what decoding one body needs and the next one can use again.
type work struct {
	parser  fastjson.Parser
	decoder decoder
}

var works = sync.Pool{New: func() any { return new(work) }}

// Decode turns a webhook body into what it says: entries, changes and the items
// of one list in the order of the body. The body is only borrowed: nothing in
// the result points into it.
//
// It fails, with KindInvalid, only for a body that is not JSON or passes the
// limits on depth, entries and values. An item that cannot be understood comes
// out with a Problem and leaves the others alone.
//
// own are the ids that the app has at Meta, which tell whose a thread is and what
// this app sent; none when they are not known.
func Decode(app chat.AppID, body []byte, own ...string) ([]chat.Inbound, error) {
	if err := checkLimits(body); err != nil {
		return nil, err
	}
	w := works.Get().(*work)
	root, err := w.parser.ParseBytes(body)
	if err != nil {
		works.Put(w)
		// The parser's error quotes the body, which is personal data.
		return nil, chat.E(opDecode, chat.KindInvalid, "the body is not JSON", nil)
	}
	w.decoder = decoder{app: app, own: own, scratch: w.decoder.scratch}
	w.decoder.root(root)
	out, entries := w.decoder.out, w.decoder.entries
	if len(body) <= pooledBodyMax {
		w.decoder = decoder{scratch: w.decoder.scratch}
		works.Put(w)
	}
	if entries > entryMax {
		return nil, chat.E(opDecode, chat.KindInvalid, "the body has too many entries", nil)
	}
	return out, nil
}

// checkLimits refuses bodies that would cost the parser too much stack or
// memory. Most bodies have too few brackets and commas to need the scan.
func checkLimits(body []byte) error {
	if bytes.Count(body, []byte{'{'})+bytes.Count(body, []byte{'['}) <= depthMax && bytes.Count(body, []byte{','}) < valueMax {
		return nil
	}
	depth, commas := 0, 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = stringEnd(body, i+1)
		case '{', '[':
			if depth++; depth > depthMax {
				return chat.E(opDecode, chat.KindInvalid, "the body is nested too deeply", nil)
			}
		case '}', ']':
			depth--
		case ',':
			if commas++; commas >= valueMax {
				return chat.E(opDecode, chat.KindInvalid, "the body has too many values", nil)
			}
		}
	}
	return nil
}

// stringEnd returns the index of the quote that ends the string whose content
// starts at i, or len(body).
func stringEnd(body []byte, i int) int {
	for i < len(body) {
		n := bytes.IndexByte(body[i:], '"')
		if n < 0 {
			return len(body)
		}
		end := i + n
		slashes := 0
		for j := end - 1; j >= i && body[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		i = end + 1
	}
	return len(body)
}

// decoder decodes one body.
type decoder struct {
	app chat.AppID
	// own are the app's ids at Meta.
	own []string
	out []chat.Inbound
	// scratch holds the raw form of the item being decoded.
	scratch []byte
	// inEntry and inChange are the scopes of the entry and of the change being
	// decoded, lone is room for a list of one in it.
	inEntry, inChange scope
	lone              [1]*fastjson.Value
	// entries counts entries of all envelopes of the body.
	entries int
	// given is the field that stands on the envelope, in samples that have it there.
	given string
}

// scope is what the items of one entry and one change have in common.
type scope struct {
	kind  chat.ChannelKind
	entry string
	// account is phone_number_id or the Instagram account; waba is set on WhatsApp.
	account, waba string
	field         string
	// given is the field of a whole entry or body, in samples that have it there.
	given string
	time  time.Time
	// people are the contacts[] beside the items, and oneSender tells that all
	// items beside them have the same sender.
	people    []*fastjson.Value
	oneSender bool
	// index finds people when they are many; nil when they are few.
	index *contactIndex
	// errs are the errors beside the items; nil for none.
	errs *fastjson.Value
	// number is the business's own display number, thread the customer of a thread
	// of history.
	number []byte
	thread person
}

// raw writes v as received, without the white space between tokens, into the
// scratch buffer. The result is valid until the next call.
func (d *decoder) raw(v *fastjson.Value) []byte {
	d.scratch = v.MarshalTo(d.scratch[:0])
	return d.scratch
}

// guard runs one item so that a panic in it costs only that item. decode must
// not change s: it is the next item's too.
func (d *decoder) guard(s *scope, v *fastjson.Value, decode func(*decoder, *scope, *fastjson.Value)) {
	n := len(d.out)
	defer func() {
		if recover() != nil {
			d.out = d.out[:n]
			d.problem(s, v, "the decoder panicked")
		}
	}()
	decode(d, s, v)
}

// base starts an Inbound of the scope.
func (d *decoder) base(s *scope, kind chat.InboundKind) chat.Inbound {
	return chat.Inbound{Kind: kind, App: d.app, ChannelKind: s.kind, Account: s.account, WABA: s.waba}
}

// emit adds in, with raw when it is to be kept. Kept JSON is strict: others
// embed it in theirs, and the parser is more lenient than the standard.
func (d *decoder) emit(in chat.Inbound, raw []byte, keep bool) {
	if keep {
		in.Raw = bytes.Clone(raw)
		if in.Problem == "" && !strict(raw) {
			in.Kind, in.Problem = chat.InboundUpdate, "not strict JSON"
		}
	}
	if failpoint.Planted(failpoint.BugBodyAliased) && in.Text != "" {
		d.scratch = append(d.scratch[:0], in.Text...)
		in.Text = unsafe.String(unsafe.SliceData(d.scratch), len(in.Text))
	}
	d.out = append(d.out, in)
}

// strict reports whether raw, which has no white space between tokens, is JSON
// by the standard. The library's validation overlooks a control character that
// stands before an escape in a string.
func strict(raw []byte) bool {
	for _, c := range raw {
		if c < ' ' {
			return false
		}
	}
	return fastjson.ValidateBytes(raw) == nil
}

// update adds something without a mapping.
func (d *decoder) update(s *scope, kind string, v *fastjson.Value) {
	raw := d.raw(v)
	in := d.base(s, chat.InboundUpdate)
	in.Type = kind
	in.Digest = digestOf(v, s.entry, s.account, kind)
	in.Time = s.time
	if t := timeOf(v.Get("timestamp")); !t.IsZero() {
		in.Time = t
	}
	d.emit(in, raw, true)
}

// problem adds something that could not be understood. reason is a fixed
// phrase, never a part of the body.
func (d *decoder) problem(s *scope, v *fastjson.Value, reason string) {
	d.problemRaw(s, v, d.raw(v), reason)
}

// problemRaw is problem for an item that was read already; raw is from before.
func (d *decoder) problemRaw(s *scope, v *fastjson.Value, raw []byte, reason string) {
	in := d.base(s, chat.InboundUpdate)
	in.Type = s.field
	in.Time = s.time
	in.Problem = reason
	in.Remote = chat.RemoteID(idOf(v.Get("id")))
	in.Digest = digestOf(v, s.entry, s.account, s.field)
	d.emit(in, raw, true)
}
