package replica

import "testing"

// Each mistake, made on purpose, is noticed within a bounded number of seeds; the
// same seeds are green without it, the first of them in the test of a cluster's bad
// days.
func TestSimulator_NoticesPlantedFaults(t *testing.T) {
	bound := number(t, "CHUMI_PLANTED_SEEDS", 120)
	// One seed in some thousand loses power between the two writes that matter: the
	// one that showed the mistake.
	first := map[fault]uint64{faultCommitUnwritten: 201186}
	caught, most := 0, uint64(0)
	for f := fault(1); f < faults; f++ {
		found := false
		from := max(first[f], 1)
		for seed := from; seed < from+bound && !found; seed++ {
			s := simulate(t, seed, f)
			if found = len(s.broken) > 0; found {
				caught++
				if from == 1 {
					most = max(most, seed)
				}
				what := s.broken[0]
				t.Logf("fault %d, seed %d: %.160s", f, seed, what)
			}
		}
		if !found {
			t.Errorf("fault %d is not noticed in %d seeds", f, bound)
		}
	}
	t.Logf("planted faults caught %d/%d, after %d seeds at most", caught, faults-1, most)
	for seed := uint64(simSeeds + 1); seed <= most; seed++ {
		if s := simulate(t, seed, 0); len(s.broken) > 0 {
			t.Errorf("without a fault: %s", s.report())
		}
	}
}
