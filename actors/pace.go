package actors

import (
	"time"

	"github.com/chumiai/chumi/chat"
	"golang.org/x/time/rate"
)

// The pace Meta allows. Going faster earns errors that count against the
// number's quality, so the sender waits instead.
const (
	// WhatsApp: messages per second and number, and per number and person one in
	// six seconds with a burst.
	numberPerSecond = 80
	pairEvery       = 6 * time.Second
	pairBurst       = 45
	// Instagram: text messages per second and account.
	instagramPerSecond = 100
	// pairsMax is how many persons are remembered before those at full burst are
	// forgotten.
	pairsMax = 4096
)

// pace is the token buckets of one channel.
type pace struct {
	number *rate.Limiter
	// pairs is nil for a kind without a limit per person.
	pairs map[chat.ConversationID]*rate.Limiter
}

func newPace(kind chat.ChannelKind) *pace {
	if kind == chat.Instagram {
		return &pace{number: rate.NewLimiter(instagramPerSecond, instagramPerSecond)}
	}
	return &pace{number: rate.NewLimiter(numberPerSecond, numberPerSecond),
		pairs: make(map[chat.ConversationID]*rate.Limiter)}
}

// channel tells when the channel may send next; now or earlier means now.
func (p *pace) channel(now time.Time) time.Time { return available(p.number, now) }

// pair tells when the channel may send to this person next.
func (p *pace) pair(now time.Time, id chat.ConversationID) time.Time {
	if l := p.pairs[id]; l != nil {
		return available(l, now)
	}
	return now
}

// take spends one message.
func (p *pace) take(now time.Time, id chat.ConversationID) {
	p.number.AllowN(now, 1)
	if p.pairs == nil {
		return
	}
	l := p.pairs[id]
	if l == nil {
		if len(p.pairs) >= pairsMax {
			p.forget(now)
		}
		l = rate.NewLimiter(rate.Every(pairEvery), pairBurst)
		p.pairs[id] = l
	}
	l.AllowN(now, 1)
}

// forget drops the persons whose bucket is full: a new one would be the same.
func (p *pace) forget(now time.Time) {
	for id, l := range p.pairs {
		if l.TokensAt(now) >= pairBurst {
			delete(p.pairs, id)
		}
	}
}

// available is when l has a token.
func available(l *rate.Limiter, now time.Time) time.Time {
	missing := 1 - l.TokensAt(now)
	if missing <= 0 {
		return now
	}
	// Rounded up: a token that is there in less than a nanosecond is not there.
	return now.Add(time.Duration(missing/float64(l.Limit())*float64(time.Second)) + time.Millisecond)
}
