package chat_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/chumiai/chumi/chat"
)

func TestSettings_Open(t *testing.T) {
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	span := func(day time.Weekday, from, to int) chat.OpenSpan { return chat.OpenSpan{Day: day, From: from, To: to} }
	shop := []chat.OpenSpan{span(time.Monday, 9*60, 13*60), span(time.Monday, 14*60, 18*60), span(time.Saturday, 22*60, 26*60), span(time.Sunday, 2*60+15, 2*60+45)}
	for _, c := range []struct {
		name string
		zone string
		at   string
		want bool
	}{
		{"just opened", "Europe/Berlin", "2026-11-23T08:00:00Z", true},
		{"a second before", "Europe/Berlin", "2026-11-23T07:59:59Z", false},
		{"lunch begins", "Europe/Berlin", "2026-11-23T12:00:00Z", false},
		{"in summer an hour earlier", "Europe/Berlin", "2026-07-06T07:00:00Z", true},
		{"in summer, a second before", "Europe/Berlin", "2026-07-06T06:59:59Z", false},
		{"past midnight of Saturday", "Europe/Berlin", "2026-11-22T00:59:59Z", true},
		{"two hours past midnight", "Europe/Berlin", "2026-11-22T01:00:00Z", false},
		{"another zone has Monday already", "Pacific/Auckland", "2026-11-22T20:00:00Z", true},
		// 2026-03-29 clocks go from 2 to 3, 2026-10-25 from 3 to 2.
		{"the hour that is left out: before", "Europe/Berlin", "2026-03-29T00:59:00Z", true}, // 01:59, still Saturday's
		{"the hour that is left out: after", "Europe/Berlin", "2026-03-29T01:00:00Z", false}, // 03:00
		{"the hour that comes twice: first", "Europe/Berlin", "2026-10-25T00:30:00Z", true},
		{"the hour that comes twice: between", "Europe/Berlin", "2026-10-25T00:50:00Z", false},
		{"the hour that comes twice: second", "Europe/Berlin", "2026-10-25T01:30:00Z", true},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		s := chat.Settings{Profile: &chat.Assistant{Hours: &chat.Hours{Zone: c.zone, Open: shop}}, Zone: zone(c.zone)}
		if got := s.Open(at); got != c.want {
			t.Errorf("%s: open %t at %s", c.name, got, at.In(s.Zone))
		}
	}
	if always := (&chat.Settings{Profile: &chat.Assistant{}}); !always.Open(time.Time{}) || !(&chat.Settings{}).Open(time.Time{}) {
		t.Error("an assistant without hours is closed")
	}
}
