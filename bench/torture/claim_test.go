package torture

import (
	"math"
	"strings"
	"testing"
)

func TestUpperBound_IsThatOfClopperAndPearson(t *testing.T) {
	// The quantile of 95 % of a beta distribution, k+1 and n-k, summed exactly.
	for _, c := range []struct {
		broken, chances int64
		want            float64
	}{
		{0, 0, 1}, {0, 1, 0.95}, {0, 10, 0.258866}, {0, 100, 0.0295130}, {0, 1_000_000, 2.99573e-6},
		{1, 10, 0.394163}, {1, 1000, 0.00473499}, {5, 10, 0.777559}, {3, 100, 0.0757108}, {10, 10, 1}, {9, 10, 0.994884}, {40, 2000, 0.0259559},
	} {
		got := upperBound(c.broken, c.chances)
		if math.Abs(got-c.want) > 1e-4*c.want {
			t.Errorf("%d of %d: at most %v, want %v", c.broken, c.chances, got, c.want)
		}
	}
}

func TestUpperBound_GrowsWithWhatIsBrokenAndShrinksWithChances(t *testing.T) {
	last := 0.0
	for broken := range int64(50) {
		now := upperBound(broken, 1000)
		if now <= last || now <= float64(broken)/1000 {
			t.Fatalf("%d of 1000: at most %v after %v", broken, now, last)
		}
		if more := upperBound(broken, 10_000); more >= now {
			t.Fatalf("%d of 10000: at most %v, of 1000 %v", broken, more, now)
		}
		last = now
	}
	if three := upperBound(0, 3000); math.Abs(three-0.001) > 1e-5 {
		t.Errorf("the rule of three gives 0.001 for 0 of 3000, got %v", three)
	}
}

func TestTally_ClaimsWhatHadAChanceOrWasBroken(t *testing.T) {
	tally := newTally()
	tally.Chances[ChanceMessages] = 3000
	tally.breach(StatusLost, "planted")
	var text strings.Builder
	for _, c := range tally.Claims() {
		c.line(&text)
	}
	for _, want := range []string{"lost                                        0 of 3000 acknowledged messages; at most 998 per million\n",
		"statuses lost                               1 of 0 acknowledged statuses; too few to bound\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "unanswered") || strings.Contains(text.String(), "minority") {
		t.Errorf("claims what had no chance:\n%s", text.String())
	}
}
