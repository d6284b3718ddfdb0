package peer

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
)

// A frame of Raft messages:
//
//	version u8 = 1 | count u32 | count × ( group u16 | length u32 | raftpb.Message )
//
// Integers are big-endian. A change of the layout is a new version, sent only
// when all nodes read it.
const (
	frameVersion = 1
	frameHead    = 1 + 4
	messageHead  = 2 + 4
)

// GroupMessage is a Raft message of one group.
type GroupMessage struct {
	Group   uint16
	Message *raftpb.Message
}

// AppendFrame appends messages to dst as one frame.
func AppendFrame(dst []byte, messages []GroupMessage) ([]byte, error) {
	dst = append(dst, frameVersion)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(messages)))
	for _, m := range messages {
		dst = binary.BigEndian.AppendUint16(dst, m.Group)
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		var err error
		if dst, err = (proto.MarshalOptions{}).MarshalAppend(dst, m.Message); err != nil {
			return nil, chat.E("peer.AppendFrame", chat.KindInvalid, fmt.Sprintf("a message of group %d does not marshal", m.Group), err)
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst, nil
}

// DecodeFrame reads one frame. The messages do not share memory with b. The
// error is a Refusal.
func DecodeFrame(b []byte) ([]GroupMessage, error) {
	if len(b) < frameHead {
		return nil, refusal(ReasonMalformed, "a frame of %d bytes has no room for its head", len(b))
	}
	if b[0] != frameVersion {
		return nil, refusal(ReasonMalformed, "frame version %d, this node speaks %d", b[0], frameVersion)
	}
	count := binary.BigEndian.Uint32(b[1:])
	b = b[frameHead:]
	// Checked before anything is made for that many.
	if count == 0 || uint64(count)*messageHead > uint64(len(b)) {
		return nil, refusal(ReasonMalformed, "a frame says %d messages in %d bytes", count, len(b))
	}
	messages := make([]GroupMessage, count)
	for i := range messages {
		if len(b) < messageHead {
			return nil, refusal(ReasonMalformed, "message %d of %d is cut in its head", i+1, count)
		}
		group, length := binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])
		b = b[messageHead:]
		if uint64(length) > uint64(len(b)) {
			return nil, refusal(ReasonMalformed, "message %d of %d says %d bytes, %d are left", i+1, count, length, len(b))
		}
		m := &raftpb.Message{}
		if err := proto.Unmarshal(b[:length], m); err != nil {
			return nil, refusal(ReasonMalformed, "message %d of %d is no Raft message: %v", i+1, count, err)
		}
		messages[i] = GroupMessage{Group: group, Message: m}
		b = b[length:]
	}
	if len(b) > 0 {
		return nil, refusal(ReasonMalformed, "%d bytes stand after the last message", len(b))
	}
	return messages, nil
}

// sizeOf is what a message takes in a frame.
func sizeOf(m GroupMessage) int { return messageHead + proto.Size(m.Message) }
