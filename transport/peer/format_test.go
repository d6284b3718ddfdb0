package peer_test

import (
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

// TestPort_NodesOfTwoFormatsAreDownToEachOther: what one writes must not reach the
// other, by no way there is, in neither direction, until both run one version.
func TestPort_NodesOfTwoFormatsAreDownToEachOther(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{Format: 5, Calls: echo, OpenPaths: []string{"/peer/join"}})
	two := start(t, ca, 2, peer.Options{Format: 6, Calls: echo})
	three := start(t, ca, 3, peer.Options{Format: 5})
	meet(one, two, three)
	for _, from := range []*node{one, two} {
		to := map[chat.NodeID]*node{1: two, 2: one}[from.id]
		from.Send(to.id, []peer.GroupMessage{{Group: 3, Message: message(from.id, to.id, 7)}})
		if lost := within(t, from.lost); lost != to.id {
			t.Errorf("node %d lost what it sent to %d", from.id, lost)
		}
		isRefused(t, to, peer.ReasonFormat)
		resp := calls(t, from, to.id, request("POST", "/peer/join", ""))
		if resp.StatusCode() != 409 || string(resp.Header.Peek(peer.RefusedHeader)) != "format" || !strings.Contains(string(resp.Body()), "run the same version on both") {
			t.Errorf("node %d is answered\n%s", from.id, resp)
		}
	}
	reaches(t, three, one)
	select {
	case f := <-two.frames:
		t.Errorf("node 2 took %v", f)
	default:
	}
}
