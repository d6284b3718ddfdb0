package persistence

import (
	"encoding/binary"

	"github.com/chumiai/chumi/chat"
)

// head is the fixed start of a state row: what stage must know of a
// conversation without decoding the rest.
//
//	seq64 active64 armed64 keyid32 flags8
type head struct {
	seq chat.Seq
	// active and armed are milliseconds; armed is 0 when nothing is due.
	active, armed int64
	// keyID names the contact key the conversation is sealed with; 0 after an
	// erase: the next commit must bring a new key.
	keyID uint32
	live  bool
	// sends is true while there are sends whose end is not known: the conversation
	// then has a row in the index of those.
	sends bool
}

const (
	headLen        = 8 + 8 + 8 + 4 + 1
	headLive  byte = 1
	headSends byte = 2
)

func appendHead(dst []byte, h head) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.seq))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.active))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.armed))
	dst = binary.BigEndian.AppendUint32(dst, h.keyID)
	var flags byte
	if h.live {
		flags |= headLive
	}
	if h.sends {
		flags |= headSends
	}
	return append(dst, flags)
}

// readHead returns the head of a state row and the record behind it.
func readHead(v []byte) (h head, record []byte, err error) {
	if len(v) < headLen {
		return h, nil, chat.E("persistence.head", chat.KindCorrupt, "a state row is too short", nil)
	}
	h.seq = chat.Seq(binary.BigEndian.Uint64(v))
	h.active = int64(binary.BigEndian.Uint64(v[8:]))
	h.armed = int64(binary.BigEndian.Uint64(v[16:]))
	h.keyID = binary.BigEndian.Uint32(v[24:])
	h.live, h.sends = v[28]&headLive != 0, v[28]&headSends != 0
	return h, v[headLen:], nil
}

// owed is the value of an agenda row: flags8 pos64. A row is durable when the
// tenant's durable position has reached pos.
const owedLen = 1 + 8

func appendOwed(dst []byte, live bool, pos chat.Pos) []byte {
	var flags byte
	if live {
		flags = headLive
	}
	return binary.BigEndian.AppendUint64(append(dst, flags), uint64(pos))
}

func readOwed(v []byte) (live bool, pos chat.Pos, ok bool) {
	if len(v) != owedLen {
		return false, 0, false
	}
	return v[0]&headLive != 0, chat.Pos(binary.BigEndian.Uint64(v[1:])), true
}
