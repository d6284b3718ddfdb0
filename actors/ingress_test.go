package actors

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

// A conversation may go on without its activation, as when its contact is linked with
// another. Whoever writes in that moment notices nothing: the activation ends, and the
// delivery is led to the next one.
func TestIngress_DeliversWhenTheActivationLostCount(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "a"))
		lost := 0
		store.setBefore(func(c chat.Commit) (chat.Receipt, bool) {
			if lost == 2 || len(c.Events) == 0 || c.Events[0].Kind != chat.MessageReceived {
				return chat.Receipt{}, false
			}
			lost++
			return chat.Receipt{Answer: chat.WrongSeq}, true
		})
		deliver(t, s, textFrom("1555", "wamid.2", "b"))
		store.setBefore(nil)
		if n := count(store.kinds(conversationOf("1555")), "message_received"); n != 2 || lost != 2 {
			t.Errorf("%d messages are kept after %d lost counts, want 2 after 2", n, lost)
		}
	})
}
