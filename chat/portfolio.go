package chat

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// TierLowest is the messaging limit of a portfolio whose tier nobody has named: the
// one that every portfolio begins with.
const TierLowest = 250

// TierLimit reads a tier, TIER_250 to TIER_UNLIMITED: how many persons outside the
// window a portfolio may write to in any 24 hours. limited is false for any number.
func TierLimit(tier string) (n int, limited bool) {
	word := strings.TrimPrefix(tier, "TIER_")
	if word == "UNLIMITED" {
		return 0, false
	}
	digits, unit := word, 1
	if d, ok := strings.CutSuffix(word, "K"); ok {
		digits, unit = d, 1000
	}
	if n, err := strconv.Atoi(digits); err == nil && n > 0 && n <= 1_000_000 {
		return n * unit, true
	}
	return TierLowest, true
}

// PortfolioOf names what shares a channel's messaging limit: its portfolio, and
// while nobody has named that, its WABA or the channel alone.
func PortfolioOf(ch *Channel, st *ChannelState) string {
	switch {
	case st.Portfolio != "":
		return st.Portfolio
	case ch.WABA != "":
		return "waba/" + ch.WABA
	}
	return "channel/" + string(ch.ID)
}

// Identity is the address a portfolio's limit knows the person by: the id that is
// scoped to it, else the number. ok is false without either.
func (c *Contact) Identity() (a Address, ok bool) {
	for _, kind := range [...]AddressKind{BSUID, WaID, Phone} {
		for _, a := range c.Addresses {
			if a.Kind != kind || a.Value == "" {
				continue
			}
			if kind == Phone { // one person, however we came by the number
				a = Address{Kind: WaID, Value: strings.TrimPrefix(a.Value, "+")}
			}
			return a, true
		}
	}
	return Address{}, false
}

// Quarter numbers the quarters of an hour since 1970.
type Quarter uint32

const (
	// QuarterSpan is how exact persons are counted: one is counted up to this much
	// longer than 24 hours.
	QuarterSpan = 15 * time.Minute
	// TierSpan is the span that a messaging limit is about.
	TierSpan = 24 * time.Hour
	// ReserveSpan bounds the time from a reservation until a message that rests on it
	// is at Meta, with the difference of the clocks of two nodes.
	ReserveSpan = 3 * time.Minute
	// ReserveValid is how long after a reservation an attempt may begin. With the two
	// seconds until its request, and the minute that may take, it is within
	// ReserveSpan, and leaves most of a minute for clocks.
	ReserveValid = time.Minute
)

// QuarterAt is the quarter that a person is counted in who is reserved at now: the
// message may take until its end.
func QuarterAt(now time.Time) Quarter {
	return Quarter(now.Add(ReserveSpan).Unix() / int64(QuarterSpan/time.Second))
}

// Frees is when persons counted in the quarter count no more: the last message to
// one of them left before its end.
func (q Quarter) Frees() time.Time {
	return time.Unix((int64(q)+1)*int64(QuarterSpan/time.Second), 0).UTC().Add(TierSpan)
}

// Reach is whom a portfolio has written to outside the window, in numbers: the
// persons of each quarter that still counts, earliest first. A person is counted
// once, in the quarter of the latest reservation.
//
// Invariant: with every message sent within ReserveSpan of its reservation, the
// persons written to in any TierSpan are at most the Persons of the Reach as it was
// at the last reservation among them.
type Reach []ReachQuarter

// ReachQuarter is the persons counted in a quarter.
type ReachQuarter struct {
	Quarter Quarter
	Persons int
}

// Expire forgets the quarters that count no more.
func (r *Reach) Expire(now time.Time) {
	gone := 0
	for gone < len(*r) && !now.Before((*r)[gone].Quarter.Frees()) {
		gone++
	}
	*r = (*r)[gone:]
}

// Persons is how many persons count.
func (r Reach) Persons() (n int) {
	for _, q := range r {
		n += q.Persons
	}
	return n
}

// Reserve counts a person who is counted in quarter was, 0 for none, at now. in is
// where the person is counted then. ok is false when that would be more than limit:
// nothing has changed. REQUIRES: Expire was called with now.
func (r *Reach) Reserve(now time.Time, limit int, was Quarter) (in Quarter, ok bool) {
	in = QuarterAt(now)
	counts := was != 0 && now.Before(was.Frees())
	switch {
	case counts && was >= in: // another node's clock is ahead
		return was, true
	case counts:
		r.add(was, -1)
	case r.Persons() >= limit:
		return was, false
	}
	r.add(in, 1)
	return in, true
}

func (r *Reach) add(q Quarter, n int) {
	i, found := slices.BinarySearchFunc(*r, q, func(a ReachQuarter, q Quarter) int { return int(a.Quarter) - int(q) })
	if !found {
		*r = slices.Insert(*r, i, ReachQuarter{Quarter: q})
	}
	if (*r)[i].Persons += n; (*r)[i].Persons == 0 {
		*r = slices.Delete(*r, i, i+1)
	}
}

// Frees is when a place of limit frees next, when nobody is written to meanwhile;
// zero when there is one.
func (r Reach) Frees(limit int) (at time.Time) {
	left := r.Persons()
	for i := 0; left >= limit && i < len(r); i++ {
		left -= r[i].Persons
		at = r[i].Quarter.Frees()
	}
	return at
}
