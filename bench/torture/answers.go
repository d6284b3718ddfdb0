package torture

import (
	"sync"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// answers remembers what came of posted webhooks. Safe for concurrent use.
type answers struct {
	mu   sync.Mutex
	list []exchange
	// acked are the deliveries that were acknowledged.
	acked map[*metasim.Delivery]bool
	// kept are deliveries that were acknowledged, to be posted again.
	kept []*metasim.Delivery
}

// keptMax bounds the deliveries that are kept.
const keptMax = 100

func (a *answers) posted(d *metasim.Delivery, x exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x.again = a.acked[d]
	a.list = append(a.list, x)
	if x.status != 200 {
		return
	}
	if a.acked == nil {
		a.acked = map[*metasim.Delivery]bool{}
	}
	a.acked[d] = true
	if len(a.kept) < keptMax {
		a.kept = append(a.kept, d)
	}
}

// begun lists what was posted from a moment on, as far as it has ended, until
// another moment; the zero time means until now.
func (a *answers) begun(from, until time.Time) []exchange {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []exchange
	for _, x := range a.list {
		if x.began.After(from) && (until.IsZero() || x.began.Before(until)) {
			out = append(out, x)
		}
	}
	return out
}

// old takes the kept deliveries; the next that are acknowledged are kept then.
func (a *answers) old() []*metasim.Delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.kept
	a.kept = nil
	return out
}
