package torture

import (
	"fmt"
	"math"
	"strings"
)

// Claim is a promise and what a run says about it: how often it was broken, out
// of how many chances.
type Claim struct {
	Name string `json:"claim"`
	// Broken of Chances; Of names what a chance is.
	Broken  int64  `json:"broken"`
	Chances int64  `json:"chances"`
	Of      string `json:"of"`
	// Upper bounds the share that is broken, see upperBound.
	Upper float64 `json:"upper_95"`
	// Allowed is true of what a policy allows: it is counted, and breaks nothing.
	Allowed bool `json:"allowed,omitempty"`
}

// promise is a Claim without its numbers.
type promise struct {
	name   string
	rules  []Rule
	chance string
	of     string
}

// promises are claimed of every run that gave them a chance.
var promises = []promise{
	{"lost", []Rule{Lost}, ChanceMessages, "acknowledged messages"},
	{"duplicated", []Rule{Duplicated}, ChanceMessages, "acknowledged messages"},
	{"reordered", []Rule{Reordered}, ChanceMessages, "acknowledged messages"},
	{"unanswered", []Rule{Unanswered}, ChanceMessages, "acknowledged messages"},
	{"answered twice", []Rule{AnsweredTwice}, ChanceMessages, "acknowledged messages"},
	{"altered, strayed or invented", []Rule{Altered, Foreign, Invented, Split}, ChanceEvents, "stored events"},
	{"statuses lost", []Rule{StatusLost}, ChanceStatuses, "acknowledged statuses"},
	{"API sends lost", []Rule{RequestLost}, ChanceRequests, "acknowledged requests"},
	{"sends missing", []Rule{MissingSend}, ChanceQueued, "queued sends"},
	{"double sends, at most once", []Rule{DoubleSend}, ChanceAtMost, "sends at most once"},
	{"sent after takeover", []Rule{AfterTakeover}, ChanceTakeover, "takeovers"},
	{"tools called after a result", []Rule{ToolAgain}, ChanceTimed, "calls of tools"},
	{"tools called twice (once)", []Rule{ToolTwice}, ChanceOnce, "calls that must not be"},
	{"200s of a minority", []Rule{MinorityAcked}, ChanceMinority, "posts to nodes that could not commit"},
	{"histories not linear", []Rule{NotLinear, Undecided}, ChanceHistories, "histories of clients"},
	{"copies that differ", []Rule{Diverged, Forgotten}, ChanceCopies, "events read from stopped nodes"},

	{"ran on after a failed sync", []Rule{Outlived}, ChanceSyncErrors, "failed syncs"},
	{"200s after a failed sync", []Rule{AckedAfterError}, ChanceAfterError, "posts after a failed sync"},
	{"200s below the reserve", []Rule{AckedFull}, ChanceFull, "posts while the disk was full"},
	{"refused below the reserve", []Rule{RefusedFull}, ChanceFullReads, "reads, exports and erases then"},
	{"persons not erased then", []Rule{NotErased}, ChanceErased, "persons erased"},
	{"not resumed when space came back", []Rule{NotResumed}, ChanceFreed, "times"},
	{"acks late after a stall", []Rule{LateAfterStall}, ChanceStalls, "stalls"},
	{"memory grown in a stall", []Rule{Swelled}, ChanceStalls, "stalls"},
	{"leaders that stalled and stayed", []Rule{NotHandedOver}, ChanceHandovers, "stalls of a leader"},
	{"wrong data served", []Rule{WrongServed}, ChanceServed, "events read of flipped stores"},
	{"flips unnoticed, data missing", []Rule{Unnoticed}, ChanceFlips, "flipped bits"},
	{"starts or stops that failed", []Rule{NotReady, UncleanExit, CheckFailed}, ChanceOOM, "kills for memory"},
	{"steps of the clock unnoticed", []Rule{StepUnnoticed}, ChanceSteps, "steps"},
	{"work left when it was set back", []Rule{StoodStill}, ChanceBacks, "processes whose clock was set back"},
	{"repeated across a step, applied again", []Rule{Duplicated}, ChanceReposted, "posts repeated"},
}

// Claims lists what the tally says about every promise that had a chance, or was
// broken without one.
func (t *Tally) Claims() []Claim {
	var out []Claim
	add := func(c Claim) {
		if c.Broken == 0 && c.Chances == 0 {
			return
		}
		c.Upper = upperBound(c.Broken, c.Chances)
		out = append(out, c)
	}
	for _, p := range promises {
		if (p.rules[0] == Unanswered || p.rules[0] == AnsweredTwice) && t.Chances[ChanceQueued] == 0 {
			continue // nothing is answered in this run
		}
		c := Claim{Name: p.name, Chances: t.Chances[p.chance], Of: p.of}
		for _, r := range p.rules {
			c.Broken += t.Breaches[r]
		}
		add(c)
	}
	add(Claim{Name: "double sends, at least once", Broken: t.Doubled, Chances: t.Chances[ChanceAtLeast], Of: "sends at least once", Allowed: true})
	add(Claim{Name: "sends unknown", Broken: t.Unknown, Chances: t.Chances[ChanceQueued], Of: "queued sends", Allowed: true})
	add(Claim{Name: "tools called again", Broken: t.Repeated, Chances: t.Chances[ChanceTools], Of: "calls of tools", Allowed: true})
	return out
}

// line is the claim for people.
func (c *Claim) line(b *strings.Builder) {
	name := c.Name
	if c.Allowed {
		name += " (allowed)"
	}
	fmt.Fprintf(b, "  %-38s %6d of %d %s; %s\n", name, c.Broken, c.Chances, c.Of, c.bound())
}

// bound says what the numbers bound.
func (c *Claim) bound() string {
	if c.Upper >= 1 {
		return "too few to bound"
	}
	most := 1e6 * c.Upper
	if most < 100 {
		return fmt.Sprintf("at most %.3g per million", most)
	}
	return fmt.Sprintf("at most %.0f per million", most)
}

// confidence is that of every bound.
const confidence = 0.95

// upperBound is the one-sided 95 % upper limit of Clopper and Pearson for the
// share of chances that break a promise, when so many did: a greater share would
// show so few with a probability below 5 %. Without any broken it is close to
// 3/chances, the rule of three. It takes chances for independent of one another.
// Without chances it is 1: nothing is known.
func upperBound(broken, chances int64) float64 {
	if chances <= 0 || broken >= chances {
		return 1
	}
	if broken == 0 {
		return -math.Expm1(math.Log(1-confidence) / float64(chances))
	}
	low, high := float64(broken)/float64(chances), 1.0
	for range 100 { // each halves what is left, far beyond what a float tells apart
		mid := low + (high-low)/2
		if atMost(broken, chances, mid) > 1-confidence {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// atMost is the probability that so many of n, or fewer, come true when each does
// with probability p, 0 < p < 1. The terms are added from the greatest down,
// until they do not count.
func atMost(k, n int64, p float64) float64 {
	if p >= 1 {
		return 0
	}
	choose := func(i int64) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		return a - b - c
	}
	term := func(i int64) float64 {
		return math.Exp(choose(i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	// Below its mean the distribution rises: the last term is the greatest.
	sum := 0.0
	for i := min(k, int64(float64(n)*p)); i >= 0; i-- {
		t := term(i)
		if sum += t; t < sum*1e-16 {
			break
		}
	}
	for i := int64(float64(n)*p) + 1; i <= k; i++ {
		t := term(i)
		if sum += t; t < sum*1e-16 {
			break
		}
	}
	return min(sum, 1)
}
