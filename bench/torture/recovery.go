package torture

import (
	"slices"
	"sync"
	"time"
)

// recovery measures how long no write is acknowledged after a leader was
// killed: from the kill to the answer of the first write that began after it,
// for each group the node led. Safe for concurrent use.
type recovery struct {
	// groupOf tells a tenant's group; a group without tenants is not waited for.
	groupOf map[string]int

	mu   sync.Mutex
	open []*outage
	gaps Gaps
}

// outage is one kill that some groups have not recovered from.
type outage struct {
	at   time.Time
	left map[int]bool
	// some is true once any of its groups has recovered.
	some bool
}

// Gaps are the times without an acknowledged write after kills of leaders.
type Gaps struct {
	// First is, for each kill, the gap of the group that was first to be written
	// to again; Last that of the last one.
	First []time.Duration `json:"first_ns"`
	Last  []time.Duration `json:"last_ns"`
}

func (g *Gaps) add(other Gaps) {
	g.First = append(g.First, other.First...)
	g.Last = append(g.Last, other.Last...)
}

// killed notes that the leader of groups died at a time. It returns false when
// no tenant is in them.
func (r *recovery) killed(at time.Time, groups []int) bool {
	o := &outage{at: at, left: map[int]bool{}}
	for _, g := range r.groupOf {
		if slices.Contains(groups, g) {
			o.left[g] = true
		}
	}
	if len(o.left) == 0 {
		return false
	}
	r.mu.Lock()
	r.open = append(r.open, o)
	r.mu.Unlock()
	return true
}

// answered takes note of an acknowledged write.
func (r *recovery) answered(x exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) == 0 {
		return
	}
	group, known := r.groupOf[x.tenant]
	if !known {
		return
	}
	for _, o := range r.open {
		if !o.left[group] || !x.began.After(o.at) {
			continue
		}
		delete(o.left, group)
		gap := x.ended.Sub(o.at)
		if !o.some {
			o.some = true
			r.gaps.First = append(r.gaps.First, gap)
		}
		if len(o.left) == 0 {
			r.gaps.Last = append(r.gaps.Last, gap)
		}
	}
	r.open = slices.DeleteFunc(r.open, func(o *outage) bool { return len(o.left) == 0 })
}

// waiting is the number of kills that were not recovered from.
func (r *recovery) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

func (r *recovery) result() Gaps {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gaps
}

// quantile is the smallest of the values that at least a share q of them do not
// exceed; 0 without values.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}
