package torture

import (
	"sync"

	"github.com/chumiai/chumi/bench"
)

// refusals counts how often nodes refused what an owner of an earlier epoch
// asked for, over every restart. Safe for concurrent use.
type refusals struct {
	mu sync.Mutex
	// last is what each series of each node showed last.
	last  map[seriesOf]float64
	total map[string]float64
}

type seriesOf struct {
	node   int
	series string
}

// The series that count refusals.
const (
	seriesAppends = `chumi_commits_total{answer="stale_epoch"}`
	seriesMail    = "chumi_mail_fenced_total"
)

func newRefusals() *refusals {
	return &refusals{last: map[seriesOf]float64{}, total: map[string]float64{}}
}

// scraped adds what a node counted since it was scraped last. A counter that
// went back belongs to a new process.
func (r *refusals) scraped(node int, m bench.Metrics) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, series := range []string{seriesAppends, seriesMail} {
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

// counted returns the refused appends and the refused mail.
func (r *refusals) counted() (appends, mail int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(r.total[seriesAppends]), int64(r.total[seriesMail])
}
