package chat_test

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

// What nobody can see is no message.
func TestReadResponse_NothingToSee(t *testing.T) {
	for _, text := range []string{"", " \n", "\u200b\u200b\ufeff", "\u3164", "\u2800", "\u202e\u202c", "\ufe0f", "\x00\x01",
		`{"messages":["\u200b"," "],"intent":"","sentiment":"","language":"","confidence":0,"handoff":"","note":"","sources":[]}`} {
		if r, bad := chat.ReadResponse(text); bad != "" || len(r.Messages) != 0 {
			t.Errorf("%q: %q, %q", text, r.Messages, bad)
		}
	}
	for _, text := range []string{"a", "👍", "?", "好", "٣", "€", "👍🏽\u200d"} {
		if r, bad := chat.ReadResponse(text); bad != "" || len(r.Messages) != 1 || r.Messages[0] != text {
			t.Errorf("%q: %q, %q", text, r.Messages, bad)
		}
	}
}
