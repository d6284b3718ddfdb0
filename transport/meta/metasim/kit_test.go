package metasim

import (
	"sync/atomic"
	"time"
)

// hand is a clock that a test moves: the simulator reads it on goroutines of its own.
type hand struct{ at atomic.Int64 }

func handAt(t time.Time) *hand {
	h := new(hand)
	h.at.Store(t.UnixNano())
	return h
}

func (h *hand) now() time.Time { return time.Unix(0, h.at.Load()).UTC() }

func (h *hand) pass(d time.Duration) { h.at.Add(int64(d)) }
