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
	scratch []byte
}

var works = sync.Pool{New: func() any { return new(work) }}

// Decode turns a webhook body into what it says: entries, changes and the items
// of one list in the order of the body. The body is only borrowed: nothing in
// the result points into it.
//
// It fails, with KindInvalid, only for a body that is not JSON or passes the
// limits on depth, entries and values. An item that cannot be understood comes
// out with a Problem and leaves the others alone.
func Decode(app chat.AppID, body []byte) ([]chat.Inbound, error) {
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
	d := decoder{app: app, body: body, scratch: w.scratch}
	d.root(root)
	if len(body) <= pooledBodyMax {
		w.scratch = d.scratch[:0]
		works.Put(w)
	}
	if d.entries > entryMax {
		return nil, chat.E(opDecode, chat.KindInvalid, "the body has too many entries", nil)
	}
	return d.out, nil
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
	app     chat.AppID
	body    []byte
	out     []chat.Inbound
	scratch []byte
	entries int
}

// scope is what the items of one entry and one change have in common.
type scope struct {
	kind  chat.ChannelKind
	entry string
	// account is phone_number_id or the Instagram account; waba is set on WhatsApp.
	account, waba string
	field         string
	time          time.Time
	// people are the contacts[] beside the items, and oneSender tells that all
	// items beside them have the same sender.
	people    []*fastjson.Value
	oneSender bool
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
		if in.Problem == "" && fastjson.ValidateBytes(raw) != nil {
			in.Kind, in.Problem = chat.InboundUpdate, "not strict JSON"
		}
	}
	if failpoint.Planted(failpoint.BugBodyAliased) && in.Text != "" {
		if i := bytes.Index(d.body, []byte(in.Text)); i >= 0 {
			in.Text = unsafe.String(&d.body[i], len(in.Text))
		}
	}
	d.out = append(d.out, in)
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
	for _, e := range list {
		d.entry(kind, object, e)
	}
	d.leftovers(&scope{kind: kind}, v, knownEnvelopeKey)
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
	s := scope{kind: kind}
	if kind == 0 && !empty(object) {
		s.account = idOf(e.Get("id"))
		s.field = word(object)
		d.problem(&s, e, "unsupported object")
		return
	}
	if kind == 0 {
		s.kind = guessKind(e)
	}
	d.guard(&s, e, (*decoder).entryItems)
}

// entryItems takes each of the shapes an entry can have: messaging[],
// standby[], changes[], and field with value on the entry itself.
func (d *decoder) entryItems(s *scope, e *fastjson.Value) {
	// The raw form of an entry is not kept, so it may be read at once.
	s.entry = idOf(e.Get("id"))
	s.time = timeOf(e.Get("time"))
	change := (*decoder).whatsappChange
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
	if e.Exists("field") || e.Exists("value") {
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
