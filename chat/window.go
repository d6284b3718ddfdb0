package chat

import "time"

// WindowSpan is how long after a customer's message free-form replies are
// allowed, and WindowMargin what the engine keeps from it: a reply decided at
// the last moment must still arrive inside.
const (
	WindowSpan   = 24 * time.Hour
	WindowMargin = 5 * time.Minute
)

// Window is the customer service window of a conversation.
type Window struct {
	// From is the time it counts from: min(event, received) of the latest
	// customer message; zero when the customer never wrote.
	From time.Time
}

// Open reports whether a free-form reply may be sent now.
func (w Window) Open(now time.Time) bool {
	return now.Before(w.End())
}

// End is when the window closes, as the engine counts; zero for one that never was
// open.
func (w Window) End() time.Time {
	if w.From.IsZero() {
		return time.Time{}
	}
	return w.From.Add(WindowSpan - WindowMargin)
}

// HumanSpan is how long after a customer's message a person may write on Instagram,
// with the tag HUMAN_AGENT. The assistant never may.
const HumanSpan = 7 * 24 * time.Hour

// OpenHuman reports whether a person may write now.
func (w Window) OpenHuman(now time.Time) bool {
	return !w.From.IsZero() && now.Before(w.From.Add(HumanSpan-WindowMargin))
}

// Window returns the conversation's window.
func (c *Conversation) Window() Window { return Window{From: c.WindowFrom} }

// occurred is the time a customer's message counts from: Meta's clock may be
// ahead of ours, and a late delivery must not reopen a window.
func occurred(provider, received time.Time) time.Time {
	if provider.IsZero() || provider.After(received) {
		return received
	}
	return provider
}

// Millis is a time in Unix milliseconds, zero for none: a third of the room of a
// time.Time, for what is kept of a million conversations and seldom looked at.
type Millis int64

// MillisOf returns t as Millis.
func MillisOf(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Time returns m as a time.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}
