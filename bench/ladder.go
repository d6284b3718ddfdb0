package bench

import "math"

// Meta's bar for a webhook server: the median answer within 250 ms, fewer than
// one in a hundred after more than 1 s.
const (
	barMedian = 250.0  // ms
	barP99    = 1000.0 // ms
)

// backlogMax is how long after its last request was due an open loop may still be
// answered, as a share of the time it was measured. A server that cannot keep up
// meets Meta's bar for as long as its backlog is short, so a load of seconds would
// flatter it; this way it can by no more than this share, half of what rungs are
// apart. Less would take one slow flush near the end for a backlog.
const backlogMax = 0.1

// meetsBar reports whether an open loop's round was answered as Meta wants, with no
// request refused and no backlog left.
func meetsBar(r *Round) bool {
	return r.Acks > 0 && r.Broken == 0 && len(r.Refused) == 0 &&
		r.Ack.P50 <= barMedian && r.Ack.P99 <= barP99 && r.Backlog <= backlogMax
}

// The rungs that rates are tried at: a fifth apart, which is nearer than what two
// runs of the same build differ by.
const (
	rungFirst = 100.0 // requests per second
	rungStep  = 1.2
	rungLast  = 50 // 100 x 1.2^50 is 910,000 a second
)

// strideMax is how many rungs a search goes at once: twice the rate, so that it does
// not bury a server that it is about to ask less of.
const strideMax = 4

// rungRate is the rate of rung k, to three digits.
func rungRate(k int) float64 {
	rate := rungFirst * math.Pow(rungStep, float64(k))
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	return math.Round(rate/unit) * unit
}

// rungAt is the highest rung that is not above rate.
func rungAt(rate float64) int {
	k := 0
	for k < rungLast && rungRate(k+1) <= rate {
		k++
	}
	return k
}

// ladder searches the highest rung that passes, with few tries: from where it
// begins it goes up or down in growing strides until it has a rung that passes
// below one that fails, and then halves what lies between.
//
// Invariant: low passed or is -1, high failed or is rungLast+1, low < high.
type ladder struct {
	at, low, high int
	stride, tries int
}

// newLadder begins at rung k and has so many tries.
func newLadder(k, tries int) *ladder {
	return &ladder{at: min(max(k, 0), rungLast), low: -1, high: rungLast + 1, stride: 1, tries: tries}
}

// next is the rate to try; more is false when nothing is left to find out, or no
// try.
func (l *ladder) next() (rate float64, more bool) {
	return rungRate(l.at), l.tries > 0 && l.high-l.low > 1
}

// tell says whether the rate that next gave passed.
func (l *ladder) tell(passed bool) {
	l.tries--
	if passed {
		l.low = l.at
	} else {
		l.high = l.at
	}
	switch {
	case l.low >= 0 && l.high <= rungLast:
		l.at = (l.low + l.high) / 2
	case passed:
		l.at = min(l.at+l.stride, rungLast)
	default:
		l.at = max(l.at-l.stride, 0)
	}
	l.stride = min(2*l.stride, strideMax)
}

// found is the highest rate that passed, 0 when none did. exact is false when the
// tries ran out before the rung above had failed, so that it may be more.
func (l *ladder) found() (rate float64, exact bool) {
	if l.low < 0 {
		return 0, l.high == 0
	}
	return rungRate(l.low), l.high == l.low+1
}
