package chat

import (
	"testing"
	"time"
)

func TestInbound_TooLate(t *testing.T) {
	erased := time.Date(2026, 11, 20, 9, 0, 5, 700e6, time.UTC)
	before, same, after := erased.Add(-time.Minute), erased.Truncate(time.Second), erased.Add(time.Minute)
	for name, c := range map[string]struct {
		in   Inbound
		p    Place
		want bool
	}{
		"nobody was erased":                      {Inbound{Kind: InboundMessage, Time: before}, Place{}, false},
		"a message of before":                    {Inbound{Kind: InboundMessage, Time: before}, Place{Erased: erased}, true},
		"a message of before, written since":     {Inbound{Kind: InboundMessage, Time: before}, Place{Erased: erased, Found: true}, true},
		"a message of the same second":           {Inbound{Kind: InboundMessage, Time: same}, Place{Erased: erased}, false},
		"a message of later":                     {Inbound{Kind: InboundMessage, Time: after}, Place{Erased: erased}, false},
		"without a time":                         {Inbound{Kind: InboundMessage}, Place{Erased: erased}, false},
		"a status, nobody has written since":     {Inbound{Kind: InboundStatus, Time: after}, Place{Erased: erased}, true},
		"a status of who has written since":      {Inbound{Kind: InboundStatus, Time: after}, Place{Erased: erased, Found: true}, false},
		"an address book":                        {Inbound{Kind: InboundUpdate, Type: typeAddressBook, Time: after}, Place{Erased: erased}, true},
		"an address book, they have come back":   {Inbound{Kind: InboundUpdate, Type: typeAddressBook, Time: after}, Place{Erased: erased, Found: true}, false},
		"history of a channel that is connected": {Inbound{Kind: InboundImport, Time: before}, Place{Erased: erased}, true},
	} {
		if got := c.in.TooLate(c.p); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
