package chat

import "time"

// Lane tells which of a channel's limits a send counts against besides the one for
// all. Stored; values never change.
type Lane uint8

// The lanes.
const (
	LanePlain    Lane = 0
	LaneMedia    Lane = 1 // Instagram: audio and video
	LanePrivate  Lane = 2 // Instagram: the private reply to a comment
	LaneTemplate Lane = 3 // WhatsApp: a template; outside the window it takes of the portfolio's limit
)

// LaneOf is the lane of a message to a customer.
func LaneOf(m *Message) Lane {
	switch {
	case m.Content != nil && m.Content.Offer != nil && m.Content.Offer.Comment != "":
		return LanePrivate
	case m.Type == "audio" || m.Type == "video":
		return LaneMedia
	case m.Type == "template":
		return LaneTemplate
	}
	return LanePlain
}

// Hold is what a refusal for now is about: how much waits beside the send.
type Hold uint8

// The holds.
const (
	HoldSend    Hold = 0 // the send, and with it those behind it in its conversation
	HoldPair    Hold = 1 // all that goes to this person on this channel
	HoldChannel Hold = 2 // the channel: its throughput is used up
	HoldAccount Hold = 3 // every channel of the WABA
	HoldApp     Hold = 4 // every channel of the app
	// HoldPortfolio is what takes of the portfolio's messaging limit, on each of its
	// numbers.
	HoldPortfolio Hold = 5
)

// Channels reports whether all that goes through a channel waits, or more.
func (h Hold) Channels() bool { return h >= HoldChannel && h <= HoldApp }

const (
	// channelPauseMax is the longest a channel waits when its throughput was used
	// up, which is counted by the second.
	channelPauseMax = 4 * time.Second
	// HoldMax bounds what Meta may ask of an account or an app.
	HoldMax = time.Hour
)

// pause is how long a send waits before its next attempt, after the try-th was
// refused for now.
func pause(try int, o SendOutcome) time.Duration {
	switch o.Hold {
	case HoldPair:
		return pairPause(try, o.RetryAfter)
	case HoldChannel:
		return min(max(min(backoff(try, 0), channelPauseMax), o.RetryAfter), RetryBackoffMax)
	case HoldAccount, HoldApp, HoldPortfolio:
		return max(backoff(try, 0), min(o.RetryAfter, HoldMax))
	case HoldSend:
	}
	return backoff(try, o.RetryAfter)
}

// pairPause is what Meta asks for after too many messages to one person: 4^n
// seconds, n counting from 0.
func pairPause(try int, asked time.Duration) time.Duration {
	d := RetryBackoffMax
	if try >= 1 && try <= 5 {
		d = time.Second << (2 * (try - 1))
	}
	return min(max(d, asked), RetryBackoffMax)
}

// wakeOf asks the sender for an entry.
func (p *step) wakeOf(e *OutboxEntry, at time.Time) WakeSender { return p.c.Wake(e, at) }

// counted reports whether an attempt now takes of the portfolio's messaging limit:
// inside the window a template is as free as any message.
func (p *step) counted(e *OutboxEntry) bool {
	return e.Lane == LaneTemplate && !p.c.Window().Open(p.now)
}

// Wake asks the sender for one of the conversation's entries, at the earliest at a
// time.
func (c *Conversation) Wake(e *OutboxEntry, at time.Time) WakeSender {
	w := WakeSender{Message: e.Message, NotBefore: at, Lane: e.Lane, Begun: c.Started.Time()}
	if e.Lane == LaneTemplate {
		w.Free, w.Contact = c.Window().End(), c.Contact
	}
	return w
}
