package chat

import "math/bits"

// Status is a delivery status of a message of the business, as a bit so that a
// set of them is a mask. Stored; values never change.
type Status uint16

// The statuses Meta reports, plus the engine's own StatusUnknown for a send
// that is not known to have gone or failed. Rank is the bit order:
// accepted < sent < delivered < read < played. Failed wins only while the
// message was at most sent. Deleted and Warning are recorded and change nothing.
const (
	StatusAccepted  Status = 1 << 0
	StatusSent      Status = 1 << 1
	StatusDelivered Status = 1 << 2
	StatusRead      Status = 1 << 3
	StatusPlayed    Status = 1 << 4
	StatusFailed    Status = 1 << 5
	StatusDeleted   Status = 1 << 6
	StatusWarning   Status = 1 << 7
	StatusUnknown   Status = 1 << 8
)

var statusWords = [...]string{"accepted", "sent", "delivered", "read", "played", "failed", "deleted", "warning", "unknown"}

// String returns Meta's word. For a mask it returns the word of its highest bit.
func (s Status) String() string {
	if s == 0 {
		return ""
	}
	i := bits.Len16(uint16(s)) - 1
	if i >= len(statusWords) {
		return ""
	}
	return statusWords[i]
}

// ParseStatus maps Meta's word to a Status. ok is false for a word this version
// does not know; such a status is recorded under its own word.
func ParseStatus(word string) (s Status, ok bool) {
	for i, w := range statusWords {
		if w == word && w != "unknown" {
			return 1 << i, true
		}
	}
	return 0, false
}

// Effective is the one status a set of reported statuses amounts to. It does
// not depend on the order they came in.
func (s Status) Effective() Status {
	const progress = StatusDelivered | StatusRead | StatusPlayed
	if p := s & progress; p != 0 {
		return highest(p)
	}
	if s&StatusFailed != 0 {
		return StatusFailed
	}
	if p := s & (StatusSent | StatusAccepted); p != 0 {
		return highest(p)
	}
	return s & StatusUnknown
}

func highest(s Status) Status {
	if s == 0 {
		return 0
	}
	return 1 << (bits.Len16(uint16(s)) - 1)
}
