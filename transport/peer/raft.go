package peer

import (
	"errors"
	"io"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
)

// Send queues messages to one node and returns at once. They are owned by the
// Transport from then on and must not be changed. They arrive in order, or not
// at all: what has no place in the queue, and what waits for a node that cannot
// be reached, is dropped, counted, and reported through Options.Unreachable.
func (t *Transport) Send(to chat.NodeID, messages []GroupMessage) {
	r := t.roadTo(to)
	if r == nil {
		t.o.Metrics.Dropped.WithLabelValues("raft", "unknown").Add(float64(len(messages)))
		return
	}
	for _, m := range messages {
		size := sizeOf(m)
		switch {
		case size > t.o.MessageMax:
			t.o.Metrics.Dropped.WithLabelValues("raft", "oversized").Inc()
			if _, ok := t.limit.allow("oversized " + Address(to)); ok {
				t.o.Log.Error("a Raft message is too large to send", "node", to, "group", m.Group, "bytes", size, "bytes_max", t.o.MessageMax)
			}
			t.unreachable(to)
		case !r.raft.put(m, size):
			t.unreachable(to)
		}
	}
}

func (t *Transport) raftLink(node chat.NodeID, addr string) *link[GroupMessage] {
	l := &link[GroupMessage]{t: t, node: node, addr: addr, kind: "raft", method: methodRaft, max: t.o.FrameMax}
	l.encode = func(batch []GroupMessage, size int) (*packet, error) {
		room := outgoing(size + frameHead)
		frame, err := AppendFrame(*room, batch)
		if err != nil {
			buffers.Put(room)
			return nil, err
		}
		return seal(room, frame), nil
	}
	return l.start()
}

// serveRaft hands the frames of one peer to Receive.
func (t *Transport) serveRaft(s *session) error {
	in, bytes := t.o.Metrics.Messages.WithLabelValues("raft", "in"), t.o.Metrics.Bytes.WithLabelValues("raft", "in")
	frameMax := t.o.MessageMax + frameHead
	if err := s.hello(); err != nil {
		return err
	}
	for {
		p, err := s.receive(frameMax)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n := p.len()
		messages, err := DecodeFrame(p.bytes())
		p.free()
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := t.checkRaft(s.node, m.Message); err != nil {
				return err
			}
		}
		in.Add(float64(len(messages)))
		bytes.Add(float64(n))
		t.o.Receive(s.node, messages)
	}
}

// checkRaft holds a message against the certificate it came with.
func (t *Transport) checkRaft(node chat.NodeID, m *raftpb.Message) error {
	if from := chat.NodeID(m.GetFrom()); from != node {
		return refusal(ReasonSpoofed, "node %d sends a Raft message that says it is from node %d", node, from)
	}
	if to := chat.NodeID(m.GetTo()); to != t.self {
		return refusal(ReasonMalformed, "a Raft message for node %d came to node %d", to, t.self)
	}
	return nil
}
