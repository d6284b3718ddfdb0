package webhook

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
)

// sightingsMax bounds the accounts that are remembered: a signed body may name any.
const sightingsMax = 1 << 17

// Sightings remembers when webhooks last came in on this node, in memory: a restart
// forgets it, and a neighbour has its own. Safe for concurrent use; noting costs a
// map lookup and a store.
type Sightings struct{ accounts, wabas, signed, refused book }

// NewSightings returns Sightings that have seen nothing.
func NewSightings() *Sightings {
	s := new(Sightings)
	for _, b := range [...]*book{&s.accounts, &s.wabas, &s.signed, &s.refused} {
		b.seen.Store(&map[string]*atomic.Int64{})
	}
	return s
}

// book is when each of some words was last seen, in Unix seconds.
type book struct {
	mu sync.Mutex // serializes additions
	// seen is replaced, never changed: its values are.
	seen atomic.Pointer[map[string]*atomic.Int64]
}

// note remembers that key was seen at now.
func (b *book) note(key string, now int64) {
	at := (*b.seen.Load())[key]
	if at == nil {
		if at = b.add(key); at == nil {
			return
		}
	}
	if at.Load() < now {
		at.Store(now)
	}
}

func (b *book) add(key string) *atomic.Int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := *b.seen.Load()
	if at := old[key]; at != nil || len(old) >= sightingsMax {
		return at
	}
	next := maps.Clone(old)
	at := new(atomic.Int64)
	next[key] = at
	b.seen.Store(&next)
	return at
}

// at is when key was last seen, zero for never.
func (b *book) at(key string) time.Time {
	if v := (*b.seen.Load())[key]; v != nil && v.Load() != 0 {
		return time.Unix(v.Load(), 0).UTC()
	}
	return time.Time{}
}

// updates notes the accounts of a body. Neighbours mostly share one.
func (s *Sightings) updates(list []chat.Inbound, now int64) {
	for i := range list {
		in := &list[i]
		if i > 0 && in.Account == list[i-1].Account && in.WABA == list[i-1].WABA {
			continue
		}
		switch {
		case in.Account != "":
			s.accounts.note(in.Account, now)
		case in.WABA != "":
			s.wabas.note(in.WABA, now)
		}
	}
}

// Sighting returns what was seen of a channel.
func (s *Sightings) Sighting(ch chat.Channel) chat.Sighting {
	out := chat.Sighting{Account: s.accounts.at(ch.Account), App: s.signed.at(string(ch.App)), Refused: s.refused.at(string(ch.App))}
	if ch.WABA != "" {
		if waba := s.wabas.at(ch.WABA); waba.After(out.Account) {
			out.Account = waba
		}
	}
	return out
}
