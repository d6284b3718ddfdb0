package webhook

import (
	"strconv"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

func TestSightings(t *testing.T) {
	s := NewSightings()
	ch := chat.Channel{App: "main", Account: "7001", WABA: "9001"}
	if got := s.Sighting(ch); got != (chat.Sighting{}) {
		t.Errorf("nothing was seen: %+v", got)
	}
	s.signed.note("main", 100)
	s.updates([]chat.Inbound{{Account: "7001"}, {Account: "7001"}, {Account: "7002"}, {WABA: "9001"}}, 100)
	at := time.Unix(100, 0).UTC()
	if got := s.Sighting(ch); got != (chat.Sighting{Account: at, App: at}) {
		t.Errorf("%+v", got)
	}
	s.updates([]chat.Inbound{{WABA: "9001"}}, 200)
	s.refused.note("main", 300)
	s.updates([]chat.Inbound{{Account: "7001"}}, 50)
	if got := s.Sighting(ch); got.Account.Unix() != 200 || got.Refused.Unix() != 300 {
		t.Errorf("%+v", got)
	}
	if got := s.Sighting(chat.Channel{App: "other", Account: "7002"}); got != (chat.Sighting{Account: at}) {
		t.Errorf("%+v", got)
	}
	list := []chat.Inbound{{Account: "7001"}}
	if n := testing.AllocsPerRun(100, func() { s.updates(list, 400); s.signed.note(string(ch.App), 400) }); n != 0 {
		t.Errorf("noting what is known costs %v allocations", n)
	}
}

func BenchmarkSightings_Known(b *testing.B) {
	s := NewSightings()
	for n := range 1000 {
		s.accounts.note(strconv.Itoa(n), 1)
	}
	list := []chat.Inbound{{Account: "777"}}
	for n := range b.N {
		s.updates(list, int64(n))
	}
}
