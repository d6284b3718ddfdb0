package persistence

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/chumiai/chumi/chat"
)

// wire builds records in protobuf's wire format. The records of a message are
// written on every commit: building a tree of generated structs for each and
// walking it costs more than the encryption. Fields are written in the order of
// their numbers, and unset ones not at all, so the bytes are those that the
// generated code of recordpb makes.
type wire []byte

func (w *wire) uint(num protowire.Number, v uint64) {
	if v != 0 {
		*w = protowire.AppendVarint(protowire.AppendTag(*w, num, protowire.VarintType), v)
	}
}

func (w *wire) int(num protowire.Number, v int64) { w.uint(num, uint64(v)) }

func (w *wire) bool(num protowire.Number, v bool) {
	if v {
		w.uint(num, 1)
	}
}

func (w *wire) fixed(num protowire.Number, v uint64) {
	if v != 0 {
		*w = protowire.AppendFixed64(protowire.AppendTag(*w, num, protowire.Fixed64Type), v)
	}
}

func (w *wire) bytes(num protowire.Number, v []byte) {
	if len(v) > 0 {
		*w = protowire.AppendBytes(protowire.AppendTag(*w, num, protowire.BytesType), v)
	}
}

func (w *wire) text(num protowire.Number, v string) {
	if v != "" {
		*w = protowire.AppendString(protowire.AppendTag(*w, num, protowire.BytesType), v)
	}
}

// stamp writes a time, absent when zero, so that every millisecond, the first
// of 1970 included, stays itself.
func (w *wire) stamp(num protowire.Number, t time.Time) {
	if !t.IsZero() {
		*w = protowire.AppendVarint(protowire.AppendTag(*w, num, protowire.VarintType), uint64(t.UnixMilli()))
	}
}

// open begins a nested record; close ends it. Records of less than 128 bytes,
// nearly all, are not moved by close.
func (w *wire) open(num protowire.Number) (start int) {
	*w = append(protowire.AppendTag(*w, num, protowire.BytesType), 0)
	return len(*w)
}

func (w *wire) close(start int) {
	size := len(*w) - start
	more := protowire.SizeVarint(uint64(size)) - 1
	for range more {
		*w = append(*w, 0)
	}
	b := *w
	copy(b[start+more:], b[start:start+size])
	protowire.AppendVarint(b[:start-1], uint64(size))
}

// ref writes an id of the form prefix, conversation, seq as the seq when it is
// of conversation c, and as it is otherwise.
func (w *wire) ref(num protowire.Number, prefix string, c chat.ConversationID, id string) {
	if id == "" {
		return
	}
	at := w.open(num)
	if seq, ok := seqWithin(id, prefix, c); ok {
		w.uint(1, seq)
	} else {
		w.text(2, id)
	}
	w.close(at)
}

func (w *wire) message(num protowire.Number, c chat.ConversationID, id chat.MessageID) {
	w.ref(num, "msg_", c, string(id))
}

func (w *wire) turn(num protowire.Number, c chat.ConversationID, id chat.TurnID) {
	w.ref(num, "turn_", c, string(id))
}

// seqWithin returns the seq of an id of conversation c. ok is false for any
// other spelling than the one that names the seq.
func seqWithin(id, prefix string, c chat.ConversationID) (seq uint64, ok bool) {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok {
		return 0, false
	}
	rest, ok = strings.CutPrefix(rest, c.Body())
	if !ok || len(rest) < 2 || rest[0] != '_' || rest[1] == '0' || rest[1] == '+' {
		return 0, false
	}
	seq, err := strconv.ParseUint(rest[1:], 10, 64)
	return seq, err == nil
}

func (w *wire) addresses(num protowire.Number, list []chat.Address) {
	for i := range list {
		at := w.open(num)
		w.uint(1, uint64(list[i].Kind))
		w.text(2, list[i].Value)
		w.close(at)
	}
}

// scratch is space to build a record in: its public and its private part.
type scratch struct{ public, private wire }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// scratchMax bounds what a scratch keeps between uses.
const scratchMax = 64 << 10

func takeScratch() *scratch {
	s := scratches.Get().(*scratch)
	s.public, s.private = s.public[:0], s.private[:0]
	return s
}

func (s *scratch) release() {
	if cap(s.public)+cap(s.private) <= scratchMax {
		scratches.Put(s)
	}
}

// sealed encrypts the private part; nil when there is nothing private.
func (s *scratch) sealed(box sealer, ad []byte) ([]byte, error) {
	if len(s.private) == 0 {
		return nil, nil
	}
	return box.Seal(s.private, ad)
}

// record is a copy of the public part, in a.
func (s *scratch) record(a *arena) []byte { return a.keep(s.public) }

// arena is memory for records that are needed as long as each other.
type arena []byte

// keep returns a copy of b.
func (a *arena) keep(b []byte) []byte {
	from := len(*a)
	*a = append(*a, b...)
	return (*a)[from:len(*a):len(*a)]
}
