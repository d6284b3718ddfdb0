package torture

import (
	"sync"

	"github.com/chumiai/chumi/bench"
)

// meter adds up counters of nodes over every restart. Safe for concurrent use,
// but the scrapes of one node must come in order.
type meter struct {
	mu sync.Mutex
	// last is what each series of each node showed last.
	last  map[seriesOf]float64
	total map[string]float64
}

type seriesOf struct {
	node   int
	series string
}

// The series it adds up. The first two count what an owner of an earlier epoch
// was refused; those of snapshots are the senders': a receiver that is killed
// takes its counters with it.
const (
	seriesAppends       = `chumi_commits_total{answer="stale_epoch"}`
	seriesMail          = "chumi_mail_fenced_total"
	seriesCommits       = `chumi_commits_total{answer="applied"}`
	seriesSnapshots     = `chumi_peer_snapshots_total{direction="out",result="ok"}`
	seriesSnapshotBytes = `chumi_peer_bytes_total{direction="out",kind="snapshot"}`
)

func newMeter() *meter {
	return &meter{last: map[seriesOf]float64{}, total: map[string]float64{}}
}

// scraped adds what a node counted since it was scraped last. A counter that
// went back belongs to a new process.
func (r *meter) scraped(node int, m bench.Metrics) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, series := range []string{seriesAppends, seriesMail, seriesCommits, seriesSnapshots, seriesSnapshotBytes} {
		now, shown := m[series]
		if !shown {
			continue
		}
		at := seriesOf{node, series}
		before := r.last[at]
		if now < before {
			before = 0
		}
		r.last[at] = now
		r.total[series] += now - before
	}
}

// counted returns what a series came to.
func (r *meter) counted(series string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(r.total[series])
}
