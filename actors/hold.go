package actors

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
)

// lookAtPace learns what has happened beside the sender: holds that others have
// met, and messages of customers.
func (s *senderActor) lookAtPace(now time.Time) {
	for _, key := range [...]holdKey{s.waba, s.app} {
		if until := s.sys.holds.until(key); until.After(now) {
			s.core.Rest(until)
		}
	}
	n := int(s.heard.Swap(0))
	s.core.RestTemplates(s.sys.holds.until(holdKey{portfolio: s.portfolio}))
	s.core.Heard(now, n)
	s.gate.hear(now, n)
}

// share makes a hold of more than the channel known to the senders of this node.
func (s *senderActor) share(now time.Time, r chat.ReleaseSend) {
	switch r.Hold {
	case chat.HoldAccount:
		s.sys.holds.hold(s.waba, now.Add(r.RetryAfter))
	case chat.HoldApp:
		s.sys.holds.hold(s.app, now.Add(r.RetryAfter))
	case chat.HoldPortfolio:
		s.sys.holds.hold(holdKey{portfolio: s.portfolio}, now.Add(r.RetryAfter))
	case chat.HoldSend, chat.HoldPair, chat.HoldChannel:
	}
}

// holdKey names what Meta holds beyond a channel; the zero key nothing.
type holdKey struct{ waba, app, portfolio string }

func wabaKey(ch chat.Channel) holdKey { return holdKey{waba: ch.WABA} }
func appKey(ch chat.Channel) holdKey  { return holdKey{app: string(ch.App)} }

// holds is what Meta holds beyond single channels, as the senders of this node
// have met it. The other nodes meet it themselves. Safe for concurrent use.
type holds struct{ ends sync.Map } // holdKey -> time.Time

// hold notes that a WABA, an app or a portfolio waits. It never shortens a hold.
func (h *holds) hold(key holdKey, until time.Time) {
	for key != (holdKey{}) {
		had, loaded := h.ends.LoadOrStore(key, until)
		if !loaded || !until.After(had.(time.Time)) || h.ends.CompareAndSwap(key, had, until) {
			return
		}
	}
}

// until is when a hold ends; zero for none.
func (h *holds) until(key holdKey) time.Time {
	if key == (holdKey{}) {
		return time.Time{}
	}
	if end, ok := h.ends.Load(key); ok {
		return end.(time.Time)
	}
	return time.Time{}
}

// ear counts what customers wrote to each channel since its sender last asked. It
// counts on the node that leads the channel's tenant, where the sender is. Safe for
// concurrent use.
type ear struct {
	counts atomic.Pointer[map[chat.ChannelID]*atomic.Int64]
	mu     sync.Mutex // of whoever replaces the map
}

// count is the counter of a channel.
func (e *ear) count(ch chat.ChannelID) *atomic.Int64 {
	if n := e.find(ch); n != nil {
		return n
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := e.find(ch); n != nil {
		return n
	}
	next := map[chat.ChannelID]*atomic.Int64{}
	if old := e.counts.Load(); old != nil {
		next = maps.Clone(*old)
	}
	n := new(atomic.Int64)
	next[ch] = n
	e.counts.Store(&next)
	return n
}

func (e *ear) find(ch chat.ChannelID) *atomic.Int64 {
	if counts := e.counts.Load(); counts != nil {
		return (*counts)[ch]
	}
	return nil
}

// heard notes a message of a customer. A channel without a sender is not counted:
// it sends nothing.
func (e *ear) heard(ch chat.ChannelID) {
	if n := e.find(ch); n != nil {
		n.Add(1)
	}
}
