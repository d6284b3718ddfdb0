package replica

import "testing"

// seldom are mistakes that the simulator would be lucky to notice, each with a test
// of its own that always does. The power must go between two writes of one member,
// in the middle of two changes of members, which one seed in some thousand does:
// TestCore_KnowsAfterAPowerCutThatAChangeIsCommitted.
var seldom = map[fault]bool{faultCommitUnwritten: true}

// Each other mistake, made on purpose, is noticed within a bounded number of seeds;
// the same seeds are green without it, the first of them in the test of a cluster's
// bad days.
func TestSimulator_NoticesPlantedFaults(t *testing.T) {
	bound := number(t, "CHUMI_PLANTED_SEEDS", 120)
	caught, hunted, most := 0, 0, uint64(0)
	for f := fault(1); f < faults; f++ {
		if seldom[f] {
			continue
		}
		hunted++
		found := false
		for seed := uint64(1); seed <= bound && !found; seed++ {
			s := simulate(t, seed, f)
			if found = len(s.broken) > 0; found {
				caught++
				most = max(most, seed)
				what := s.broken[0]
				t.Logf("fault %d, seed %d: %.160s", f, seed, what)
			}
		}
		if !found {
			t.Errorf("fault %d is not noticed in %d seeds", f, bound)
		}
	}
	t.Logf("planted faults caught %d/%d, after %d seeds at most", caught, hunted, most)
	for seed := uint64(simSeeds + 1); seed <= most; seed++ {
		if s := simulate(t, seed, 0); len(s.broken) > 0 {
			t.Errorf("without a fault: %s", s.report())
		}
	}
}
