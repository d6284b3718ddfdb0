package torture

import (
	"testing"

	"github.com/chumiai/chumi/bench"
)

func TestMeter_AddsUpOverRestarts(t *testing.T) {
	r := newMeter()
	for _, s := range []struct {
		node          int
		appends, mail float64
	}{{1, 2, 0}, {1, 5, 1}, {2, 3, 0}, {1, 1, 1}, {1, 1, 4}} { // node 1 restarts before its third scrape
		r.scraped(s.node, bench.Metrics{seriesAppends: s.appends, seriesMail: s.mail, "chumi_commits_total{answer=\"committed\"}": 99})
	}
	appends, mail := r.counted(seriesAppends), r.counted(seriesMail)
	if appends != 9 || mail != 4 {
		t.Errorf("%d appends and %d mail were refused, want 9 and 4", appends, mail)
	}
	r.scraped(3, bench.Metrics{})
	if r.counted(seriesAppends) != appends {
		t.Error("a node without the series was counted")
	}
}
