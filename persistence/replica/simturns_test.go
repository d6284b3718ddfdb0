package replica

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// turnsOf is what a seed makes of a cluster whose assistants use tools. Nothing goes
// wrong but what the traps do: one seed in four is a process alone.
func turnsOf(seed uint64) plan {
	rng := rand.New(rand.NewPCG(seed, 5))
	p := plan{nodes: 3, groups: 2, first: []chat.NodeID{1, 2, 3}, people: 4 + rng.IntN(4), logLen: uint64(20 + rng.IntN(40)),
		chaos: 30 * time.Second, calm: true}
	if seed%4 == 0 {
		p.nodes, p.first = 1, []chat.NodeID{1}
	}
	return p
}

// trapped runs one seed of them; springs counts on.
func trapped(t *testing.T, seed uint64, l lapse, springs map[named]*[acts]int) *simulator {
	p := turnsOf(seed)
	simTemplate(t, p.groups)
	s := newSimulator(t, seed, p)
	s.town = newTown(s, p.people, l)
	newTurns(s.town)
	s.town.trap.springs = springs
	s.run()
	return s
}

// turnSpringsMin is how often each named step of a turn must be met by a kill and by a
// transfer by default; the campaign says CHUMI_TURN_KILLS=200.
const turnSpringsMin = 1

// Turns that call tools end well, whichever named step their process dies at or their
// group gets another leader at: each customer message is answered once, each recorded
// answer is billed once, what is recorded is not asked for again, and a tool that
// must not be called twice is not. CHUMI_TURN_KILLS says how often each step is met,
// CHUMI_SEED_FROM which seed is the first.
func TestSimulator_TurnsSurviveEveryStep(t *testing.T) {
	want, seed := int(number(t, "CHUMI_TURN_KILLS", turnSpringsMin)), number(t, "CHUMI_SEED_FROM", 1) // #nosec G115 -- small
	all := &trap{springs: map[named]*[acts]int{}}
	var total totals
	var town townTotals
	var tally turnTally
	began, failed := time.Now(), 0
	for n := 0; min(all.least()[actKill], all.least()[actTransfer]) < want; n++ {
		if n > 40*(want+2) {
			t.Errorf("some steps are not met often enough in %d seeds", n)
			break
		}
		s := trapped(t, seed, 0, all.springs)
		seed++
		total.add(s.total)
		town.add(s.town.total)
		tally.add(s.town.turns.tally)
		if len(s.broken) > 0 {
			t.Errorf("%s", s.report())
			if failed++; failed > 2 {
				break
			}
		}
	}
	least := all.least()
	t.Logf("after %v: %d named steps, each met by at least %d kills and %d transfers: %s", time.Since(began).Round(time.Second),
		len(steps), least[actKill], least[actTransfer], all.tallied())
	t.Logf("%v", tally)
	t.Logf("%v", town)
	t.Logf("%v", total)
	if !t.Failed() && (tally.again == 0 || tally.unknown == 0 || tally.asked == tally.recorded) {
		t.Errorf("the steps were not in the way of anything: %v", tally)
	}
}
