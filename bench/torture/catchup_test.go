package torture

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/metrics/failpoint"
)

func TestCatchPlan_MeetsEveryStepAndLaterGroups(t *testing.T) {
	p := newCatchPlan(rand.New(rand.NewPCG(1, 2)))
	kills, most := map[failpoint.Point]int{}, map[failpoint.Point]int64{}
	for range 200 {
		at, n := p.next(12, 500)
		if n < 1 || n > 6 && at != failpoint.SnapshotReceiving || n > 6*500 {
			t.Fatalf("%s at hit %d", at, n)
		}
		kills[at]++
		most[at] = max(most[at], n)
		p.told(at, true)
	}
	for _, at := range failpoint.ClusterPoints() {
		if kills[at] != 50 || most[at] < 3 {
			t.Errorf("%s: %d kills, the latest at hit %d", at, kills[at], most[at])
		}
	}
}

func TestCatchPlan_TriesAStepAgainThatWasNotReached(t *testing.T) {
	p := newCatchPlan(rand.New(rand.NewPCG(1, 2)))
	at, _ := p.next(12, 500)
	p.told(at, false)
	if again, n := p.next(12, 500); again != at || n != 1 {
		t.Errorf("%s at hit %d after %s was not reached", again, n, at)
	}
	p.told(at, true)
	if next, _ := p.next(1, 0); next == at {
		t.Errorf("%s twice in a row", next)
	}
}

func TestGroupsBehind_AsksLeadersOnly(t *testing.T) {
	group := func(g, leader int, behind uint64) child.Group {
		return child.Group{Group: g, Leader: leader, Behind: map[int]uint64{3: behind}}
	}
	one := &child.Cluster{Node: 1, Groups: []child.Group{group(4, 1, missedDeep+1), group(5, 2, 9999), group(6, 1, 3), group(7, 1, 9999)}}
	two := &child.Cluster{Node: 2, Groups: []child.Group{group(4, 1, 0), group(5, 2, missedDeep), group(6, 0, 0)}}
	seen := []*child.Cluster{one, two}
	if n, ok := groupsBehind(seen, []int{4, 5, 6}, 3, missedDeep); n != 1 || !ok {
		t.Errorf("%d groups behind, %v", n, ok)
	}
	if _, ok := groupsBehind(seen[1:], []int{4}, 3, missedDeep); ok {
		t.Error("a group whose leader was not asked counts")
	}
}

func TestMemory_TakesTheHighestOfAPhase(t *testing.T) {
	const status = "Name:\tchumi\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\nRssAnon:\t     512 kB\n"
	if hwm, anon := statusOf(status, "VmHWM:"), statusOf(status, "RssAnon:"); hwm != 2<<20 || anon != 512<<10 || statusOf(status, "VmSwap:") != 0 {
		t.Errorf("%d and %d", hwm, anon)
	}
	var list []Peak
	for _, p := range []Peak{{phaseMore, sideOthers, 5, 1}, {phaseMore, sideOthers, 3, 2}, {phaseCatchUp, sideOthers, 4, 4}} {
		list = highest(list, p)
	}
	if want := []Peak{{phaseMore, sideOthers, 5, 2}, {phaseCatchUp, sideOthers, 4, 4}}; !slices.Equal(list, want) {
		t.Errorf("%+v", list)
	}
}

// caughtUp is the report of a run in which a node was killed at every step and
// caught up at last.
func caughtUp() *Report {
	seg := &Segment{Tally: newTally(), Cluster: newClusterTotals()}
	c := newCatchUp()
	c.missed(250)
	c.missed(50)
	for _, p := range failpoint.ClusterPoints() {
		c.Kills[string(p)] = 2
	}
	c.Unreached[string(failpoint.SnapshotReceived)] = 1
	c.Snapshots, c.SnapshotBytes = 20, 40*mib
	c.Last = LastCatchUp{Took: 2 * time.Second, Snapshots: 9, Bytes: 30 * mib, Commits: 400, Acked: 300}
	c.Memory = []Peak{{phaseCatchUp, sideBehind, 200 * mib, 100 * mib}}
	seg.Cluster.CatchUp = c
	r := newReport(Build{})
	r.add(seg)
	return r
}

func TestReport_OfACatchUpSaysWhatHappened(t *testing.T) {
	r := caughtUp()
	if lacks := r.lackingCatchUp(Options{CatchUp: 8, Missed: 250}); len(lacks) > 0 || r.Red() {
		t.Errorf("lacks %v, red %v", lacks, r.Red())
	}
	text := r.Text()
	for _, want := range []string{"missed 300 commits in 2 times, 250 at once, and was killed 8 times", "snapshot-received        2  (1 times not reached)",
		"20 snapshots installed and answered for, 40 MiB sent", "took 2s: 9 snapshots, 30 MiB, while 200 commits a second",
		"resident at most  200 MiB, anonymous  100 MiB", "GREEN\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestReport_OfACatchUpIsRedWhenNothingWasTested(t *testing.T) {
	for lack, spoil := range map[string]func(*CatchUp){
		"snapshot-installed": func(c *CatchUp) {
			delete(c.Kills, string(failpoint.SnapshotInstalled))
			c.Kills["snapshot-received"] += 2
		},
		"8 kills":                          func(c *CatchUp) { c.Kills[string(failpoint.SnapshotReceived)]-- },
		"250 missed commits":               func(c *CatchUp) { c.MissedMost-- },
		"1 snapshots":                      func(c *CatchUp) { c.Snapshots = 0 },
		"1 snapshots of the last catch-up": func(c *CatchUp) { c.Last.Snapshots = 0 },
	} {
		r := caughtUp()
		spoil(r.Cluster.CatchUp)
		r.Skipped = r.lackingCatchUp(Options{CatchUp: 8, Missed: 250})
		if !slices.Equal(r.Skipped, []string{lack}) || !r.Red() || !strings.Contains(r.Text(), "never happened: "+lack) {
			t.Errorf("%s: skipped %v, red %v", lack, r.Skipped, r.Red())
		}
	}
	if r := newReport(Build{}); true {
		r.Cluster = newClusterTotals()
		if len(r.lackingCatchUp(Options{CatchUp: 1})) == 0 {
			t.Error("a run without a segment lacks nothing")
		}
	}
}

func TestReport_OfACatchUpAddsUpAndSurvivesJSON(t *testing.T) {
	b, err := json.Marshal(caughtUp())
	if err != nil {
		t.Fatal(err)
	}
	again := newReport(Build{})
	if err := json.Unmarshal(b, again); err != nil {
		t.Fatal(err)
	}
	again.Cluster.add(caughtUp().Cluster)
	if c := again.Cluster.CatchUp; c.Missed != 600 || c.MissedMost != 250 || c.killed() != 16 || c.Snapshots != 40 || len(c.Memory) != 1 || c.Last.Snapshots != 9 {
		t.Errorf("%+v", c)
	}
}

func TestOptions_OfACatchUpAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"without nodes":      {CatchUp: 1},
		"beside leaders":     {Nodes: 3, CatchUp: 1, LeaderKills: 1},
		"missed for nothing": {Nodes: 3, Missed: 5},
		"fewer than none":    {Nodes: 3, CatchUp: -1},
	} {
		o.EnsureDefaults()
		if o.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o := Options{Nodes: 3, CatchUp: 5}
	o.EnsureDefaults()
	if err := o.Validate(); err != nil || o.Rate != DefaultCatchUpRate || o.Missed != DefaultMissed {
		t.Errorf("%v %+v", err, o)
	}
}

func TestSteps_LeaveOutWhatOnlyAClusterMeets(t *testing.T) {
	for _, p := range failpoint.ClusterPoints() {
		if slices.Contains(failpoint.Points(), p) || len(stepsNamed([]string{string(p)})) > 0 {
			t.Errorf("%s is asked of a single engine", p)
		}
	}
}
