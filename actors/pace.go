package actors

import (
	"math"
	"time"

	"github.com/chumiai/chumi/chat"
)

// The limits Meta states. Going faster earns errors that count against the number's
// quality, so the sender waits instead.
const (
	// WhatsApp: messages a second and number, in and out together, unless the
	// channel's standing names another rate; per number and person one in six
	// seconds, with a burst of 45.
	numberPerSecond = 80
	pairEvery       = 6 * time.Second
	pairBurstMeta   = 45
	// Instagram: a second and account, of all and of audio and video; an hour of
	// private replies.
	instagramPerSecond = 100
	mediaPerSecond     = 10
	privatePerHour     = 750
)

// What a sender makes of them. Nobody documents whether a limit is counted in
// fixed seconds, sliding ones, or with a bucket of its own. A bucket that fills at
// 94 % of a limit and holds 4 % of it never lets more than 98 % of the limit pass in
// any second, however it is counted; the other 2 % are for requests that catch up
// with one another on their way.
const (
	fillShare, burstShare = 0.94, 0.04
	// pairBurst leaves of Meta's burst what a fresh sender may grant: see freshPair.
	pairBurst = 40
	// freshPair is what a sender grants to a person it does not know while this node
	// has sent for less time than a bucket takes to fill: another may have emptied it
	// a moment ago. pairBurst+freshPair stays below Meta's.
	freshPair = 4
	// heardShare is how much of a number's rate messages of customers may take: at
	// the least a tenth is left for answers, and when that was too much Meta says so.
	heardShare = 0.9
	// pairsMin is how many persons are remembered before those at full burst are
	// looked for, to be forgotten.
	pairsMin = 4096
)

// bucket is a token bucket on a clock from outside.
type bucket struct {
	// fill is in tokens per second, size the most it holds.
	fill, size float64
	level      float64
	at         time.Time
}

// limited is a bucket that stays below a limit of n in a span of time, with one
// token in it.
func limited(now time.Time, n float64, span time.Duration) bucket {
	return bucket{fill: n * fillShare / span.Seconds(), size: max(1, n*burstShare), level: 1, at: now}
}

// advance fills the bucket up to now. A clock that goes back fills nothing.
func (b *bucket) advance(now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.level = min(b.size, b.level+passed.Seconds()*b.fill)
		b.at = now
	}
}

// next is when there is a token; now or earlier means now.
func (b *bucket) next(now time.Time) time.Time {
	b.advance(now)
	// A token that lacks less than a nanosecond's filling is there.
	missing := 1 - b.level
	if missing <= b.fill/float64(time.Second) {
		return now
	}
	return now.Add(time.Duration(math.Ceil(missing / b.fill * float64(time.Second))))
}

func (b *bucket) take(now time.Time, n float64) {
	b.advance(now)
	b.level -= n
}

// personBucket is the bucket of one person, and when the conversation began.
type personBucket struct {
	bucket
	begun time.Time
}

// flow is the token buckets of a channel as a whole.
type flow struct {
	kind      chat.ChannelKind
	perSecond int
	number    bucket
	// heard bounds what customers' messages may take of number.
	heard bucket
	// lanes are the limits of some kinds of messages; nil for a kind without any.
	lanes map[chat.Lane]*bucket
}

func newFlow(kind chat.ChannelKind, now time.Time) flow {
	f := flow{kind: kind}
	if kind == chat.Instagram {
		f.rate(now, instagramPerSecond)
		media, private := limited(now, mediaPerSecond, time.Second), limited(now, privatePerHour, time.Hour)
		f.lanes = map[chat.Lane]*bucket{chat.LaneMedia: &media, chat.LanePrivate: &private}
		return f
	}
	f.rate(now, numberPerSecond)
	return f
}

// pace is the token buckets of one channel.
type pace struct {
	flow
	// born is when this node began to send: before, others may have.
	born time.Time
	// pairs is nil for a kind without a limit per person.
	pairs map[chat.ConversationID]*personBucket
	// pairsMax is how many there may be before the next look; it doubles with what
	// had to stay, so that looking costs each message a constant.
	pairsMax int
}

func newPace(kind chat.ChannelKind, now, born time.Time) *pace {
	p := &pace{flow: newFlow(kind, now), born: born, pairsMax: pairsMin}
	if kind != chat.Instagram {
		p.pairs = make(map[chat.ConversationID]*personBucket)
	}
	return p
}

// rate sets the messages a second that Meta allows the channel.
func (f *flow) rate(now time.Time, perSecond int) {
	if perSecond == f.perSecond {
		return
	}
	f.perSecond = perSecond
	f.number.advance(now)
	fresh := limited(now, float64(perSecond), time.Second)
	fresh.level = min(fresh.size, max(f.number.level, fresh.level))
	f.number = fresh
	most := fresh.fill * heardShare
	f.heard = bucket{fill: most, size: most / 4, level: most / 4, at: now}
}

// hear takes for messages that customers wrote: a number's throughput counts both
// directions.
func (f *flow) hear(now time.Time, n int) {
	if f.kind == chat.Instagram || n <= 0 {
		return
	}
	f.heard.advance(now)
	taken := min(float64(n), max(f.heard.level, 0))
	f.heard.level -= taken
	f.number.take(now, taken)
}

// drain empties the channel's bucket: Meta said that its own is.
func (f *flow) drain(now time.Time) {
	f.number.advance(now)
	f.number.level = min(f.number.level, 0)
}

// channel tells when the channel may send next; now or earlier means now.
func (f *flow) channel(now time.Time) time.Time { return f.number.next(now) }

// pair tells when the channel may send to this person next.
func (p *pace) pair(now time.Time, id chat.ConversationID) time.Time {
	if b := p.pairs[id]; b != nil {
		return b.next(now)
	}
	return now
}

// lane tells when the channel may send a message of this lane, behind others of it
// that wait too.
func (f *flow) lane(now time.Time, lane chat.Lane, others int) time.Time {
	b := f.lanes[lane]
	if b == nil {
		return now
	}
	at := b.next(now)
	if at.After(now) {
		at = at.Add(time.Duration(float64(others) / b.fill * float64(time.Second)))
	}
	return at
}

// next tells when a message of this lane may go, as far as the channel is concerned.
func (f *flow) next(now time.Time, lane chat.Lane) time.Time {
	at := f.channel(now)
	if other := f.lane(now, lane, 0); other.After(at) {
		return other
	}
	return at
}

// spend takes one message of a lane.
func (f *flow) spend(now time.Time, lane chat.Lane) {
	f.number.take(now, 1)
	if b := f.lanes[lane]; b != nil {
		b.take(now, 1)
	}
}

// take spends one message of a conversation.
func (p *pace) take(now time.Time, q *queue, lane chat.Lane) {
	p.spend(now, lane)
	if p.pairs == nil {
		return
	}
	b := p.pairs[q.id]
	if b == nil {
		if len(p.pairs) >= p.pairsMax {
			p.forget(now)
			p.pairsMax = max(pairsMin, 2*len(p.pairs))
		}
		b = &personBucket{begun: q.begun}
		b.bucket = bucket{fill: 1 / pairEvery.Seconds(), size: pairBurst, level: p.granted(now, q.begun), at: now}
		p.pairs[q.id] = b
	}
	b.take(now, 1)
}

// granted is the level of a person this sender has not sent to. With who came when
// this node sent already, nobody else has talked.
func (p *pace) granted(now, begun time.Time) float64 {
	if !begun.Before(p.born) {
		return pairBurst
	}
	return min(pairBurst, freshPair+now.Sub(p.born).Seconds()/pairEvery.Seconds())
}

// forget drops the persons whose bucket is as full as a new one would be.
func (p *pace) forget(now time.Time) {
	for id, b := range p.pairs {
		if b.advance(now); b.level >= p.granted(now, b.begun) {
			delete(p.pairs, id)
		}
	}
}

// spent reports whether a successor would grant more than is left: it knows
// nothing of this sender.
func (p *pace) spent(now time.Time) bool {
	for _, b := range p.pairs {
		if b.advance(now); b.level < p.granted(now, b.begun) {
			return true
		}
	}
	return false
}
