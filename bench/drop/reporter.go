package drop

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// earlyIn is when a report comes that comes at once.
const earlyIn = 100 * time.Millisecond

// reporter posts what Meta says of the messages whose answer it dropped: half of
// it soon, half only when it is told to. Safe for concurrent use.
type reporter struct {
	graph *metasim.Server
	life  context.Context
	end   context.CancelFunc
	soon  sync.WaitGroup
	open  atomic.Int64

	mu   sync.Mutex
	late []report
	// told holds the texts of messages that a report was made of at once.
	told map[string]bool
}

// report is one message of which nothing was said yet.
type report struct {
	update metasim.Update
	text   string
}

// add takes the report of a message.
func (r *reporter) add(u metasim.Update, text string, early bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !early {
		r.late = append(r.late, report{u, text})
		return
	}
	if r.told == nil {
		r.told = map[string]bool{}
	}
	r.told[text] = true
	r.open.Add(1)
	r.soon.Go(func() {
		defer r.open.Add(-1)
		if pause(r.life, earlyIn) {
			_ = post(r.life, r.graph, u) // ends only with life
		}
	})
}

// idle reports whether every report that comes at once is acknowledged.
func (r *reporter) idle() bool { return r.open.Load() == 0 }

func (r *reporter) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.late)
}

// lateOnes returns the reports that were kept back.
func (r *reporter) lateOnes() []report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.late
}
