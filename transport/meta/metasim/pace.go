package metasim

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Pace is how fast a business may send. The zero Pace enforces nothing; StrictPace
// is what Meta documents. A message that comes too fast is refused, and the ledger
// names the limit.
type Pace struct {
	// PerSecond is the throughput of a WhatsApp number, both directions together,
	// in any second. 0 means no limit.
	PerSecond int
	// PairBurst is how many messages one number may send to one person at once,
	// and PairEvery how long each of them takes to be earned again. 0 means no limit.
	PairBurst int
	PairEvery time.Duration
	// Tier is how many persons who have not written within 24 hours all numbers of
	// a portfolio may write to in any 24 hours. 0 means no limit.
	Tier int
	// Instagram accounts: messages in any second, of them audio and video, and
	// private replies in any hour. 0 means no limit.
	InstagramPerSecond, InstagramMedia, InstagramPrivate int
}

// StrictPace is Meta's documented pace of a new number and of an account.
var StrictPace = Pace{PerSecond: 80, PairBurst: 45, PairEvery: 6 * time.Second, Tier: 250,
	InstagramPerSecond: 100, InstagramMedia: 10, InstagramPrivate: 750}

// tier is how Meta names the tier: TIER_2K when there is none to keep.
func (p Pace) tier() string {
	switch {
	case p.Tier <= 0:
		return "TIER_2K"
	case p.Tier%1000 == 0:
		return "TIER_" + strconv.Itoa(p.Tier/1000) + "K"
	}
	return "TIER_" + strconv.Itoa(p.Tier)
}

// Limit names what a message that came too fast was over.
type Limit string

// The limits.
const (
	LimitNone      Limit = ""
	LimitNumber    Limit = "number"    // the throughput of a number or an account
	LimitMedia     Limit = "media"     // of audio and video on Instagram
	LimitPrivate   Limit = "private"   // of private replies on Instagram
	LimitPair      Limit = "pair"      // of one number to one person
	LimitPortfolio Limit = "portfolio" // of persons outside the window
)

// Pacer keeps a Pace. Times must not go back. Safe for concurrent use.
type Pacer struct {
	pace Pace

	mu sync.Mutex
	// recent holds when messages went in the span that counts, by what counts them.
	recent map[string]*recent
	// debts says for each pair when all that was sent will have been earned.
	debts map[windowKey]time.Time
	// reached holds for each portfolio when each person was last written to.
	reached map[string]map[windowKey]time.Time
	over    map[Limit]int64
}

// recent is the times of the last span, oldest first.
type recent struct{ at []time.Time }

// NewPacer returns the keeper of a pace.
func NewPacer(p Pace) *Pacer {
	return &Pacer{pace: p, recent: map[string]*recent{}, debts: map[windowKey]time.Time{},
		reached: map[string]map[windowKey]time.Time{}, over: map[Limit]int64{}}
}

// Over counts violations so far, by limit.
func (p *Pacer) Over() map[Limit]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[Limit]int64, len(p.over))
	for l, n := range p.over {
		out[l] = n
	}
	return out
}

// Message is what a Pacer must know of one message to a customer.
type Message struct {
	Account Account
	To      string
	// Type is the message's type; Private is set for a private reply.
	Type    string
	Private bool
	// Outside is true when the customer has not written within the window.
	Outside bool
}

// Send judges a message at its arrival: LimitNone when it may go. Every request
// counts against the throughput, only those that may go against the rest.
func (p *Pacer) Send(m Message, at time.Time) Limit {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.judge(m, at)
	if l != LimitNone {
		p.over[l]++
	}
	return l
}

// Heard counts a customer's message: a number's throughput has both directions.
func (p *Pacer) Heard(a Account, at time.Time) {
	if a.Kind != WhatsApp || p.pace.PerSecond == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crowded(a.ID, p.pace.PerSecond, time.Second, at)
}

func (p *Pacer) judge(m Message, at time.Time) Limit {
	if m.Account.Kind == Instagram {
		switch {
		case p.crowded(m.Account.ID, p.pace.InstagramPerSecond, time.Second, at):
			return LimitNumber
		case (m.Type == "audio" || m.Type == "video") && p.crowded(m.Account.ID+"/media", p.pace.InstagramMedia, time.Second, at):
			return LimitMedia
		case m.Private && p.crowded(m.Account.ID+"/private", p.pace.InstagramPrivate, time.Hour, at):
			return LimitPrivate
		}
		return LimitNone
	}
	switch {
	case p.crowded(m.Account.ID, p.pace.PerSecond, time.Second, at):
		return LimitNumber
	case p.owes(m, at):
		return LimitPair
	case m.Outside && p.full(m, at):
		return LimitPortfolio
	}
	if p.pace.PairEvery > 0 {
		key := windowKey{m.Account.ID, m.To}
		p.debts[key] = later(p.debts[key], at).Add(p.pace.PairEvery)
	}
	return LimitNone
}

// crowded counts one message more in what counts it, and reports whether that makes
// more than the limit within a span.
func (p *Pacer) crowded(counter string, limit int, span time.Duration, at time.Time) bool {
	if limit <= 0 {
		return false
	}
	r := p.recent[counter]
	if r == nil {
		r = &recent{}
		p.recent[counter] = r
	}
	gone := 0
	for gone < len(r.at) && at.Sub(r.at[gone]) >= span {
		gone++
	}
	r.at = append(r.at[:copy(r.at, r.at[gone:])], at)
	return len(r.at) > limit
}

// owes reports whether a pair's burst is used up: what it sent is earned back one
// by one, and the debt may not exceed the burst.
func (p *Pacer) owes(m Message, at time.Time) bool {
	if p.pace.PairBurst <= 0 || p.pace.PairEvery <= 0 {
		return false
	}
	if len(p.debts) >= windowsMax {
		for k, paid := range p.debts {
			if !paid.After(at) {
				delete(p.debts, k)
			}
		}
	}
	debt := later(p.debts[windowKey{m.Account.ID, m.To}], at).Sub(at)
	return debt+p.pace.PairEvery > time.Duration(p.pace.PairBurst)*p.pace.PairEvery
}

// full reports whether the portfolio has reached all the persons it may, and notes
// this one otherwise.
func (p *Pacer) full(m Message, at time.Time) bool {
	if p.pace.Tier <= 0 {
		return false
	}
	portfolio := m.Account.Portfolio
	if portfolio == "" {
		portfolio = "waba/" + m.Account.waba()
	}
	persons := p.reached[portfolio]
	if persons == nil {
		persons = map[windowKey]time.Time{}
		p.reached[portfolio] = persons
	}
	// The same person through two numbers is one person.
	who := windowKey{customer: m.To}
	if last, known := persons[who]; !known || at.Sub(last) >= serviceWindow {
		for k, last := range persons {
			if at.Sub(last) >= serviceWindow {
				delete(persons, k)
			}
		}
		if len(persons) >= p.pace.Tier {
			return true
		}
	}
	persons[who] = at
	return false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// refusal is how Meta words a limit.
func (l Limit) refusal(k Kind) *graphError {
	switch l {
	case LimitPair:
		return pairLimited(k)
	case LimitPortfolio:
		return &graphError{status: http.StatusBadRequest, code: 131064, message: "(#131064) Messaging limit reached",
			details: "Message failed to send because this business has reached its limit of new customers for now."}
	case LimitNumber, LimitMedia, LimitPrivate:
		return throttled(k)
	case LimitNone:
	}
	return nil
}
