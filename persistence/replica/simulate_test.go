package replica

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// planOf is what a seed makes of the cluster.
func planOf(seed uint64) plan {
	rng := rand.New(rand.NewPCG(seed, 2))
	p := plan{nodes: 3, groups: 2, first: []chat.NodeID{1, 2, 3}, clients: 4 + rng.IntN(5),
		logLen: uint64(4 + rng.IntN(40)), chaos: time.Duration(8+rng.IntN(20)) * time.Second}
	switch rng.IntN(10) {
	case 0:
		p.nodes, p.first = 5, []chat.NodeID{1, 2, 3, 4, 5}
	case 1, 2, 3, 4:
		p.first, p.grow = []chat.NodeID{1}, true
	case 5, 6:
		p.grow = true
	case 7:
		p.nodes, p.first = 1, []chat.NodeID{1}
	case 8:
		p.nodes, p.grow = 4+rng.IntN(2), true
	}
	return p
}

// simulate runs one seed and returns what happened and the hash of its trace.
func simulate(t *testing.T, seed uint64, f fault) (s *simulator) {
	p := planOf(seed)
	p.fault = f
	simTemplate(t, p.groups)
	s = newSimulator(t, seed, p)
	s.run()
	return s
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is not a number: %s", name, text)
	}
	return n
}

// simSeeds is how many seeds are run by default.
const simSeeds = 40

// Clusters live through bad days: nothing acknowledged is lost or changed,
// replicas agree, reads are confirmed, and a healed cluster works. CHUMI_SEEDS
// says how many days, CHUMI_SEED_FROM which is the first; CHUMI_SEED_FILE names a
// file that remembers how far a campaign got.
func TestSimulator_KeepsWhatItAcknowledged(t *testing.T) {
	from, count := number(t, "CHUMI_SEED_FROM", 1), number(t, "CHUMI_SEEDS", simSeeds)
	file := os.Getenv("CHUMI_SEED_FILE")
	if text, err := os.ReadFile(file); err == nil && file != "" {
		if last, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && last >= from {
			count -= min(count, last+1-from)
			from = last + 1
		}
	}
	var total totals
	began := time.Now()
	for i := range count {
		seed := from + i
		s := simulate(t, seed, 0)
		total.add(s.total)
		if len(s.broken) > 0 {
			t.Errorf("%s", s.report())
			if total.violations > 20 {
				break
			}
		}
		if n := i + 1; n%500 == 0 || n == count {
			t.Logf("after %v: %v", time.Since(began).Round(time.Second), total)
			if file != "" && !t.Failed() {
				if err := os.WriteFile(file, []byte(strconv.FormatUint(seed, 10)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if count >= simSeeds && !t.Failed() && (total.stale == 0 || total.snapshots == 0 || total.duplicates == 0 || total.changes == 0) {
		t.Errorf("the days were too quiet: %v", total)
	}
}

// A seed is a run: the same events in the same order, whatever Pebble's own
// goroutines do meanwhile.
func TestSimulator_SameSeedSameTrace(t *testing.T) {
	count := number(t, "CHUMI_SEEDS", 10)
	if testing.Short() {
		count = min(count, 3)
	}
	count = min(count, 100)
	for i := range count {
		seed := 1000 + i
		a, b := simulate(t, seed, 0), simulate(t, seed, 0)
		if a.trace.Sum64() != b.trace.Sum64() || a.total != b.total {
			t.Errorf("seed %d: %v\nand then %v", seed, a.total, b.total)
			for i := range min(len(a.tail), len(b.tail)) {
				if a.tail[i] != b.tail[i] {
					t.Errorf("the kept ends differ first here:\n%s\n%s", a.tail[i], b.tail[i])
					break
				}
			}
		}
	}
}
