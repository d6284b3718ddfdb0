package api

import (
	"math"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
	"golang.org/x/time/rate"
)

// limiter is a token bucket per API key. Only keys that authenticated have one,
// so there are at most as many as keys.
type limiter struct {
	perSecond float64
	burst     int
	buckets   sync.Map
}

type keyOf struct {
	tenant chat.TenantID
	key    string
}

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{perSecond: perSecond, burst: burst}
}

// take asks for one request of p. remaining is what may follow at once, reset
// the seconds until the bucket is full, or until a refused request may come.
func (l *limiter) take(p chat.Principal) (ok bool, limit, remaining, reset int) {
	k := keyOf{p.Tenant, p.Key}
	b, found := l.buckets.Load(k)
	if !found {
		b, _ = l.buckets.LoadOrStore(k, rate.NewLimiter(rate.Limit(l.perSecond), l.burst))
	}
	bucket := b.(*rate.Limiter)
	now := time.Now()
	ok = bucket.AllowN(now, 1)
	tokens := bucket.TokensAt(now)
	missing := float64(l.burst) - tokens
	if !ok {
		missing = 1 - tokens
	}
	return ok, l.burst, max(int(tokens), 0), int(math.Ceil(missing / l.perSecond))
}

// streamCount bounds open streams, in all and per key.
type streamCount struct {
	most, keyMost int

	// mu guards the counts.
	mu    sync.Mutex
	all   int
	byKey map[keyOf]int
}

func newStreamCount(most, keyMost int) *streamCount {
	return &streamCount{most: most, keyMost: keyMost, byKey: map[keyOf]int{}}
}

// open takes a place, or reports that there is none.
func (c *streamCount) open(p chat.Principal) bool {
	k := keyOf{p.Tenant, p.Key}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most || c.byKey[k] >= c.keyMost {
		return false
	}
	c.all++
	c.byKey[k]++
	return true
}

func (c *streamCount) close(p chat.Principal) {
	k := keyOf{p.Tenant, p.Key}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.byKey[k]--; c.byKey[k] == 0 {
		delete(c.byKey, k)
	}
}
