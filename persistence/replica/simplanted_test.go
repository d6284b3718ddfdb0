//go:build planted

package replica

import (
	"testing"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// Each mistake with tools or money, made on purpose, is noticed within a bounded number
// of seeds; the same seeds are green without it.
func TestSimulator_NoticesPlantedToolBugs(t *testing.T) {
	defer failpoint.Plant("")
	bound, most := number(t, "CHUMI_PLANTED_SEEDS", 60), uint64(0)
	for _, bug := range append(failpoint.ToolBugs(), failpoint.BugAnswerTwice, failpoint.BugEffectsFirst) {
		failpoint.Plant(bug)
		found := false
		for seed := uint64(1); seed <= bound && !found; seed++ {
			s := trapped(t, seed, 0, map[named]*[acts]int{})
			if found = len(s.broken) > 0; found {
				most = max(most, seed)
				t.Logf("%s, seed %d: %.200s", bug, seed, s.broken[0])
			}
		}
		if !found {
			t.Errorf("%s is not noticed in %d seeds", bug, bound)
		}
	}
	failpoint.Plant("")
	for seed := uint64(1); seed <= most; seed++ {
		if s := trapped(t, seed, 0, map[named]*[acts]int{}); len(s.broken) > 0 {
			t.Errorf("without a bug: %s", s.report())
		}
	}
}
