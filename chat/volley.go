package chat

import "time"

// Volley tells a person from another assistant, and ends a chat of two: each
// answers the other at once, for ever, and both pay. It counts what a customer
// wrote in answer to the assistant beyond what a person types. People paste a text,
// or are quick now and then, and what they spent is earned back while they read;
// a machine keeps spending. It is a pure function of the events.
type Volley struct {
	// Spent is in characters, see volleyEarned and volleyTextMax.
	Spent uint16
	// Length is of the customer's latest text, in characters.
	Length uint16
	// Answered is true when the latest message is the assistant's.
	Answered bool
}

const (
	// volleyEarned is what a person types in a second, reading the answer included:
	// on a phone half of it is quick.
	volleyEarned = 4
	// volleyTextMax is the most that one message costs: a pasted page is one act.
	volleyTextMax = 200
	// volleySame is what a text of the same length as the one before costs, which is
	// how simple responders betray themselves; a short word, such as yes, costs its
	// own length. What it says is not kept: the state holds nothing of it.
	volleySame     = 250
	volleySameFrom = 12
	// volleyPause is a silence after which it is another chat.
	volleyPause = 2 * time.Minute
)

// received is the volley after a customer's message that comes so long after the
// customer's latest.
func (v Volley) received(m *Message, passed time.Duration) Volley {
	length := m.Length
	next := Volley{Length: uint16(min(max(length, 0), 1<<16-1))} // #nosec G115 -- bounded
	if passed >= volleyPause {
		return next
	}
	spent := int64(v.Spent) - max(int64(passed/time.Second), 0)*volleyEarned
	switch {
	case !v.Answered || m.Type != TypeText:
		// Several in a row are one thought, and a tap is not typed.
	case next.Length == v.Length && length >= volleySameFrom:
		spent = max(spent, 0) + volleySame
	default:
		spent = max(spent, 0) + int64(min(length, volleyTextMax))
	}
	next.Spent = uint16(min(max(spent, 0), 1<<16-1)) // #nosec G115 -- bounded
	return next
}
