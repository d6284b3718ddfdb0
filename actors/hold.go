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
	s.core.RestTemplates(s.sys.holds.until(holdKey{portfolio: s.portfolio}))
	s.hearings = s.heard.take(s.hearings[:0])
	for _, h := range s.hearings {
		at := h.at
		if at.After(now) {
			at = now
		}
		s.core.Heard(at, h.n)
		s.gate.hear(at, h.n)
	}
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

// ear notes what customers wrote to each channel since its sender last asked. It
// listens on the node that leads the channel's tenant, where the sender is. Safe for
// concurrent use.
type ear struct {
	channels atomic.Pointer[map[chat.ChannelID]*earshot]
	mu       sync.Mutex // of whoever replaces the map
}

// hearing is n messages of customers to a channel, none of them later than at.
type hearing struct {
	at time.Time
	n  int
}

// hearingsMax bounds what is kept of a channel: a sender that does not ask has nothing
// to send.
const hearingsMax = 32

// earshot is what customers wrote to one channel. It says when: a sender that took it all
// for written when it asks would find its pace used up by what was over long before.
type earshot struct {
	mu   sync.Mutex // guards list
	list []hearing
}

// note adds a message. One more than there is room for counts as late as it came.
func (h *earshot) note(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.list); n == hearingsMax {
		last := &h.list[n-1]
		last.n++
		if at.After(last.at) {
			last.at = at
		}
		return
	}
	h.list = append(h.list, hearing{at, 1})
}

// take moves what was heard into a list.
func (h *earshot) take(into []hearing) []hearing {
	h.mu.Lock()
	defer h.mu.Unlock()
	into = append(into, h.list...)
	h.list = h.list[:0]
	return into
}

// listen is what is heard of a channel from now on.
func (e *ear) listen(ch chat.ChannelID) *earshot {
	if h := e.find(ch); h != nil {
		h.take(nil)
		return h
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.find(ch); h != nil {
		return h
	}
	next := map[chat.ChannelID]*earshot{}
	if old := e.channels.Load(); old != nil {
		next = maps.Clone(*old)
	}
	h := new(earshot)
	next[ch] = h
	e.channels.Store(&next)
	return h
}

func (e *ear) find(ch chat.ChannelID) *earshot {
	if channels := e.channels.Load(); channels != nil {
		return (*channels)[ch]
	}
	return nil
}

// note adds a message of a customer. A channel without a sender is not listened to:
// it sends nothing.
func (e *ear) note(ch chat.ChannelID, at time.Time) {
	if h := e.find(ch); h != nil {
		h.note(at)
	}
}
