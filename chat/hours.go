package chat

import (
	"strings"
	"time"
)

// reasonClosed is the reason of a handoff outside the hours of the assistant.
const reasonClosed = "closed"

// close tells the customer once that nobody answers now, and asks people. A turn that
// began within the hours is no business of it: it is brought to its end, with what the
// customer adds to it.
func (p *step) close() {
	if away := p.set.Profile.Away; strings.TrimSpace(away) != "" && p.c.Owing() < OutboxMax {
		p.queue(Message{Author: AuthorEngine, Text: away})
	}
	p.handoff(reasonClosed)
}

// IsOpen reports whether a moment is within the hours. local is that moment in the
// zone of the hours. What counts is what clocks there show: a span within the hour
// that a change of the clocks leaves out does not happen, one within the hour that
// comes twice does twice.
func (h *Hours) IsOpen(local time.Time) bool {
	minute := local.Hour()*60 + local.Minute()
	day := local.Weekday()
	before := (day + 6) % 7
	for _, s := range h.Open {
		if s.Day == day && s.From <= minute && minute < s.To || s.Day == before && minute < s.To-minutesPerDay {
			return true
		}
	}
	return false
}

// Open reports whether the assistant answers at a moment; one without hours always
// does.
func (s *Settings) Open(now time.Time) bool {
	if s.Profile == nil || s.Profile.Hours == nil {
		return true
	}
	zone := s.Zone
	if zone == nil {
		zone = time.UTC
	}
	return s.Profile.Hours.IsOpen(now.In(zone))
}
