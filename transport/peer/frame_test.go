package peer_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/transport/peer"
)

func framed(t testing.TB, messages ...peer.GroupMessage) []byte {
	t.Helper()
	b, err := peer.AppendFrame(nil, messages)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFrame_ReturnsWhatWasPutIn(t *testing.T) {
	in := []peer.GroupMessage{{Group: 0, Message: message(1, 2, 3)}, {Group: 65535, Message: large(1, 2, 4, 1000)}, {Group: 7, Message: message(2, 1, 1<<60)}}
	out, err := peer.DecodeFrame(framed(t, in...))
	if err != nil || len(out) != len(in) {
		t.Fatalf("%d messages, %v", len(out), err)
	}
	for i := range in {
		if out[i].Group != in[i].Group || !proto.Equal(out[i].Message, in[i].Message) {
			t.Errorf("message %d: %v", i, out[i])
		}
	}
}

// The layout is spoken between versions.
func TestFrame_BytesAreFixed(t *testing.T) {
	want := []byte{1, 0, 0, 0, 1, 2, 1, 0, 0, 0, 8, 8, 3, 16, 2, 24, 1, 48, 5}
	if got := framed(t, peer.GroupMessage{Group: 513, Message: message(1, 2, 5)}); !bytes.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestFrame_DamageIsRefused(t *testing.T) {
	good := framed(t, peer.GroupMessage{Group: 1, Message: message(1, 2, 3)}, peer.GroupMessage{Group: 2, Message: message(1, 2, 4)})
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	huge := binary.BigEndian.AppendUint32([]byte{1}, 1<<32-1)
	bad := map[string][]byte{
		"empty": nil, "head only": good[:4], "another version": changed(0, 2), "too many": changed(4, 3), "too few": changed(4, 1),
		"none": changed(4, 0), "four billion": huge, "long": changed(7, 1), "trailing": append(bytes.Clone(good), 0), "no message": changed(11, 0xff),
	}
	for i := range good {
		bad["cut at "+string(rune('a'+i))] = good[:i]
	}
	for name, b := range bad {
		if _, err := peer.DecodeFrame(b); peer.ReasonOf(err) != peer.ReasonMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add(framed(f, peer.GroupMessage{Group: 1, Message: message(1, 2, 3)}))
	f.Add(framed(f, peer.GroupMessage{Group: 9, Message: large(1, 2, 3, 50)}, peer.GroupMessage{Group: 65535, Message: message(3, 1, 0)}))
	f.Add([]byte{1, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, err := peer.DecodeFrame(b)
		if err != nil {
			if peer.ReasonOf(err) != peer.ReasonMalformed || messages != nil {
				t.Fatalf("%v with %d messages", err, len(messages))
			}
			return
		}
		// What is read means the same when it is written and read again.
		again, err := peer.DecodeFrame(framed(t, messages...))
		if err != nil || len(again) != len(messages) {
			t.Fatalf("%d of %d messages again: %v", len(again), len(messages), err)
		}
		for i := range messages {
			if again[i].Group != messages[i].Group || !proto.Equal(again[i].Message, messages[i].Message) {
				t.Fatalf("message %d changed", i)
			}
		}
	})
}
