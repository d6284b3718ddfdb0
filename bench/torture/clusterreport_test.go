package torture

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// finished is the report of a run in which everything happened and nothing was
// broken.
func finished() *Report {
	seg := &Segment{Tally: newTally(), Cluster: newClusterTotals()}
	for _, k := range FaultKinds() {
		seg.Cluster.Faults[k] = 1
	}
	seg.Cluster.Kills, seg.Cluster.Appends = 3, 2
	seg.Cluster.Gaps = Gaps{First: []time.Duration{time.Second}, Last: []time.Duration{2 * time.Second}}
	seg.Tally.Chances = map[string]int64{ChanceMessages: 10, ChanceMinority: 5, ChanceHistories: 1, ChanceOperations: 40}
	r := newReport(Build{})
	r.add(seg)
	return r
}

func TestReport_OfAClusterLacksNothingWhenAllHappened(t *testing.T) {
	r := finished()
	if lacks := r.lacking(false); len(lacks) > 0 || r.Red() {
		t.Errorf("lacks %v, red %v", lacks, r.Red())
	}
	if text := r.Text(); !strings.Contains(text, "p50 1s") || !strings.HasSuffix(text, "GREEN\n") {
		t.Error(text)
	}
}

func TestReport_OfAClusterIsRedWhenSomethingNeverHappened(t *testing.T) {
	for lack, spoil := range map[string]func(*Report){
		string(Deaf):           func(r *Report) { delete(r.Cluster.Faults, Deaf) },
		"stale-append-refused": func(r *Report) { r.Cluster.Appends = 0 },
		"post-to-minority":     func(r *Report) { r.Tally.Chances[ChanceMinority] = 0 },
		"history":              func(r *Report) { r.Tally.Chances[ChanceOperations] = 0 },
	} {
		r := finished()
		spoil(r)
		r.Skipped = r.lacking(false)
		if !slices.Equal(r.Skipped, []string{lack}) || !r.Red() || !strings.Contains(r.Text(), "never happened: "+lack) {
			t.Errorf("%s: skipped %v, red %v", lack, r.Skipped, r.Red())
		}
		if only := r.lacking(true); len(only) > 0 {
			t.Errorf("%s: a run that kills leaders only lacks %v", lack, only)
		}
	}
}

func TestReport_OfAClusterAddsUpAndSurvivesJSON(t *testing.T) {
	b, err := json.Marshal(finished())
	if err != nil {
		t.Fatal(err)
	}
	again := newReport(Build{})
	if err := json.Unmarshal(b, again); err != nil {
		t.Fatal(err)
	}
	more := finished()
	again.add(&Segment{Tally: more.Tally, Cluster: more.Cluster})
	if c := again.Cluster; c.Faults[Deaf] != 2 || c.Kills != 6 || c.Appends != 4 || len(c.Gaps.First) != 2 || again.Segments != 2 {
		t.Errorf("totals %+v", c)
	}
}

func TestOptions_OfAClusterAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"two nodes":             {Nodes: 2},
		"leaders without nodes": {LeaderKills: 1},
		"a rate without nodes":  {Rate: 10},
		"fewer kills than none": {Nodes: 3, LeaderKills: -1},
	} {
		o.EnsureDefaults()
		if o.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o := Options{Nodes: 3, LeaderKills: 5}
	o.EnsureDefaults()
	if err := o.Validate(); err != nil || o.Rate != DefaultRate || o.Traffic != ClusterTraffic {
		t.Errorf("%v %+v", err, o)
	}
}
