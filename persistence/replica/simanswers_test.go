package replica

import (
	"math/rand/v2"
	"testing"
	"time"
)

// townOf is what a seed makes of a cluster that serves a town.
func townOf(seed uint64) plan {
	p := planOf(seed)
	rng := rand.New(rand.NewPCG(seed, 4))
	p.clients, p.people, p.jumps = 0, 3+rng.IntN(6), rng.IntN(3) == 0
	return p
}

// inhabit runs one seed of a cluster that serves a town.
func inhabit(t *testing.T, seed uint64, l lapse) *simulator {
	p := townOf(seed)
	simTemplate(t, p.groups)
	s := newSimulator(t, seed, p)
	s.town = newTown(s, p.people, l)
	s.run()
	return s
}

// townSeeds is how many seeds are run by default.
const townSeeds = 8

// A town whose cluster has bad days is answered: every message that was
// acknowledged is stored once and in order, and gets one reply, apology or person;
// every reply gets to Graph or is known not to, and none that may go only once goes
// twice. CHUMI_SEEDS says how many days, CHUMI_SEED_FROM which is the first.
func TestSimulator_AnswersOnce(t *testing.T) {
	from, count := number(t, "CHUMI_SEED_FROM", 1), number(t, "CHUMI_SEEDS", townSeeds)
	var total totals
	var town townTotals
	began := time.Now()
	for i := range count {
		s := inhabit(t, from+i, 0)
		total.add(s.total)
		town.add(s.town.total)
		if len(s.broken) > 0 {
			if town.violations++; town.violations > 5 {
				break
			}
			t.Errorf("%s", s.report())
		}
		if n := i + 1; n%100 == 0 || n == count {
			t.Logf("after %v: %v", time.Since(began).Round(time.Second), town)
			t.Logf("after %v: %v", time.Since(began).Round(time.Second), total)
		}
	}
	if count >= townSeeds && !t.Failed() && (town.stale == 0 || town.unknown == 0 || town.duplicates == 0 || town.unsent == 0 ||
		town.doubled == 0 || town.unknownSends == 0 || town.handoffs == 0 || town.jumps == 0) {
		t.Errorf("the days were too quiet: %v", town)
	}
}

// A seed of a town is a run, too.
func TestSimulator_AnswersOnceSameSeedSameTrace(t *testing.T) {
	count := min(number(t, "CHUMI_SEEDS", 3), 100)
	for i := range count {
		seed := 1000 + i
		a, b := inhabit(t, seed, 0), inhabit(t, seed, 0)
		if a.trace.Sum64() != b.trace.Sum64() || a.total != b.total || a.town.total != b.town.total {
			t.Errorf("seed %d: %v\nand then %v", seed, a.town.total, b.town.total)
			for i := range min(len(a.tail), len(b.tail)) {
				if a.tail[i] != b.tail[i] {
					t.Errorf("the kept ends differ first here:\n%s\n%s", a.tail[i], b.tail[i])
					break
				}
			}
		}
	}
}

// Each mistake of an engine, made on purpose, is noticed within a bounded number of
// seeds; the same seeds are green without it.
func TestSimulator_NoticesPlantedLapses(t *testing.T) {
	bound := number(t, "CHUMI_PLANTED_SEEDS", 60)
	most := uint64(0)
	for l := lapse(1); l < lapses; l++ {
		found := false
		for seed := uint64(1); seed <= bound && !found; seed++ {
			s := inhabit(t, seed, l)
			if found = len(s.broken) > 0; found {
				most = max(most, seed)
				t.Logf("lapse %d, seed %d: %.200s", l, seed, s.broken[0])
			}
		}
		if !found {
			t.Errorf("lapse %d is not noticed in %d seeds", l, bound)
		}
	}
	for seed := uint64(townSeeds + 1); seed <= most; seed++ {
		if s := inhabit(t, seed, 0); len(s.broken) > 0 {
			t.Errorf("without a lapse: %s", s.report())
		}
	}
}
