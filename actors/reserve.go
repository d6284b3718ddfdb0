package actors

import (
	"container/heap"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// reserveLost is when a reservation that was asked for counts as lost.
	reserveLost = 30 * time.Second
	// reserveRound is how long about a round of reservations takes: those behind the
	// ones under way look again after it.
	reserveRound = 200 * time.Millisecond
	// reserveLead is how much of a reservation must be left for an attempt to be
	// asked for: its commit takes time.
	reserveLead = askLost
)

// Want is a conversation whose next message takes of the portfolio's messaging
// limit, and the person it goes to.
type Want struct {
	Conversation chat.ConversationID
	Contact      chat.ContactID
}

// Reservation is what became of a Want. One that was granted is good until Until;
// who was refused may ask again then.
type Reservation struct {
	Conversation chat.ConversationID
	Granted      bool
	Until        time.Time
}

// reservations is what a SenderCore knows of places in the portfolio's limit. A
// conversation whose first message needs one asks for it when the message could
// leave otherwise, and the others go on.
type reservations struct {
	// limit is the portfolio's as last heard; needed is false where there is none.
	limit  int
	needed bool
	// rest holds all that would take of the limit.
	rest time.Time
	// wants is what is to be asked for; asked says until when an answer is waited
	// for. asked and granted together are at most the sender's window.
	wants []Want
	asked map[chat.ConversationID]time.Time
	// granted says until when a place is reserved, refused when to ask again.
	granted, refused map[chat.ConversationID]time.Time
	// behind counts the conversations of a poll that found no room to ask.
	behind int
}

func newReservations() reservations {
	return reservations{asked: make(map[chat.ConversationID]time.Time), granted: make(map[chat.ConversationID]time.Time),
		refused: make(map[chat.ConversationID]time.Time)}
}

// Places tells the portfolio's messaging limit; needed is false for none. When it
// changes, those who were refused ask again.
func (c *SenderCore) Places(now time.Time, limit int, needed bool) {
	r := &c.places
	if r.limit == limit && r.needed == needed {
		return
	}
	r.limit, r.needed = limit, needed
	if len(r.refused) == 0 {
		return
	}
	clear(r.refused)
	for _, q := range c.ready {
		q.at = later(now, q.waiting[0].notBefore)
	}
	heap.Init(&c.ready)
}

// RestTemplates lets nothing that takes of the portfolio's limit be asked for before
// the given time. It never shortens a rest.
func (c *SenderCore) RestTemplates(until time.Time) { c.places.rest = later(c.places.rest, until) }

// Wants returns the reservations to be asked for since the last time.
func (c *SenderCore) Wants() []Want {
	wants := c.places.wants
	c.places.wants = nil
	return wants
}

// Reserved tells what became of reservations.
func (c *SenderCore) Reserved(now time.Time, list []Reservation) {
	r := &c.places
	for _, one := range list {
		delete(r.asked, one.Conversation)
		delete(r.refused, one.Conversation)
		q := c.queues[one.Conversation]
		switch {
		case one.Granted:
			r.granted[one.Conversation] = one.Until
		case q != nil:
			r.refused[one.Conversation] = one.Until
		}
		if q != nil && q.index >= 0 {
			q.at = later(now, q.waiting[0].notBefore)
			heap.Fix(&c.ready, q.index)
		}
	}
}

// Covered reports whether an attempt that takes of the portfolio's limit may begin,
// and uses up what covers it.
func (c *SenderCore) Covered(now time.Time, id chat.ConversationID) bool {
	until, ok := c.places.granted[id]
	delete(c.places.granted, id)
	return ok && !now.After(until) || !c.places.needed
}

// Crowded counts the conversations that wait for a place in the portfolio's limit.
func (c *SenderCore) Crowded() int { return len(c.places.refused) }

// place tells when the first message of a queue may go as far as the portfolio's
// limit is concerned; now or earlier means now.
func (c *SenderCore) place(now time.Time, q *queue) time.Time {
	r, w := &c.places, &q.waiting[0]
	if w.lane != chat.LaneTemplate || now.Before(w.free) {
		delete(r.refused, q.id)
		return now
	}
	if now.Before(r.rest) {
		return r.rest
	}
	if !r.needed || r.granted[q.id].After(now.Add(reserveLead)) {
		return now
	}
	if until := r.refused[q.id]; until.After(now) {
		return until
	}
	if until := r.asked[q.id]; until.After(now) {
		return until
	}
	if delete(r.granted, q.id); !r.room(now, c.window) {
		r.behind++
		return now.Add(reserveRound * time.Duration(1+r.behind/c.window))
	}
	r.asked[q.id] = now.Add(reserveLost)
	r.wants = append(r.wants, Want{q.id, w.contact})
	return r.asked[q.id]
}

// room reports whether one more may be asked for. It forgets what has lapsed.
func (r *reservations) room(now time.Time, window int) bool {
	if len(r.asked)+len(r.granted) < window {
		return true
	}
	for _, m := range [...]map[chat.ConversationID]time.Time{r.asked, r.granted} {
		for id, until := range m {
			if !until.After(now) {
				delete(m, id)
			}
		}
	}
	return len(r.asked)+len(r.granted) < window
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
