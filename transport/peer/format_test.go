package peer_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

// formats are those of a build from oldest to newest that writes what active holds.
func formats(oldest, newest uint32, active *atomic.Uint32, beyond func(chat.NodeID, uint32)) peer.Formats {
	return peer.Formats{Oldest: oldest, Newest: newest, Active: active.Load, Beyond: beyond}
}

// TestPort_WhatIsWrittenMustBeKnownToBoth: two builds speak to each other as long as
// what is written is known to both, and are down to each other from when it is not, by
// any way there is and in both directions. The one that is left behind is told.
func TestPort_WhatIsWrittenMustBeKnownToBoth(t *testing.T) {
	ca := authority(t, "shop")
	var olds, news atomic.Uint32
	olds.Store(6)
	news.Store(6)
	told := make(chan uint32, 16)
	one := start(t, ca, 1, peer.Options{Calls: echo, OpenPaths: []string{"/peer/join"},
		Formats: formats(5, 6, &olds, func(_ chat.NodeID, active uint32) { told <- active })})
	two := start(t, ca, 2, peer.Options{Calls: echo,
		Formats: formats(6, 7, &news, func(node chat.NodeID, _ uint32) { t.Errorf("node 2 believes to be behind node %d", node) })})
	meet(one, two)
	for _, from := range []*node{one, two} {
		if resp := calls(t, from, map[chat.NodeID]chat.NodeID{1: 2, 2: 1}[from.id], request("POST", "/peer/join", "")); resp.StatusCode() != 200 {
			t.Errorf("before, node %d is answered\n%s", from.id, resp)
		}
	}
	news.Store(7)
	for _, from := range []*node{one, two} {
		to := map[chat.NodeID]*node{1: two, 2: one}[from.id]
		from.Send(to.id, []peer.GroupMessage{{Group: 3, Message: message(from.id, to.id, 7)}})
		if lost := within(t, from.lost); lost != to.id {
			t.Errorf("node %d lost what it sent to %d", from.id, lost)
		}
		isRefused(t, to, peer.ReasonFormat)
		resp := calls(t, from, to.id, request("POST", "/peer/join", ""))
		if resp.StatusCode() != 409 || string(resp.Header.Peek(peer.RefusedHeader)) != "format" || !strings.Contains(string(resp.Body()), "up to 6") {
			t.Errorf("node %d is answered\n%s", from.id, resp)
		}
		if active := within(t, told); active != 7 {
			t.Errorf("node 1 is told of format %d", active)
		}
	}
	select {
	case f := <-two.frames:
		t.Errorf("node 2 took %v", f)
	default:
	}
}

// TestPort_RangesMustMeet: who can write only what is newer than what the other knows
// of is refused, and so is who does not say.
func TestPort_RangesMustMeet(t *testing.T) {
	ca := authority(t, "shop")
	for name, c := range map[string]struct {
		one, two peer.Formats
		status   int
	}{
		"same":             {fixed(6, 6, 6), fixed(6, 6, 6), 200},
		"overlap":          {fixed(5, 7, 6), fixed(6, 9, 6), 200},
		"one is ahead":     {fixed(5, 7, 7), fixed(6, 9, 6), 200},
		"apart":            {fixed(5, 6, 6), fixed(7, 8, 7), 409},
		"skipped":          {fixed(6, 8, 6), fixed(7, 8, 6), 409},
		"does not say":     {peer.Formats{}, fixed(6, 6, 6), 409},
		"nothing is asked": {fixed(6, 6, 6), peer.Formats{}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			one := start(t, ca, 1, peer.Options{Calls: echo, Formats: c.one})
			two := start(t, ca, 2, peer.Options{Calls: echo, Formats: c.two})
			meet(one, two)
			if resp := calls(t, one, 2, request("GET", "/", "")); resp.StatusCode() != c.status {
				t.Errorf("answered\n%s", resp)
			}
		})
	}
}

func fixed(oldest, newest, active uint32) peer.Formats {
	return peer.Formats{Oldest: oldest, Newest: newest, Active: func() uint32 { return active }}
}
