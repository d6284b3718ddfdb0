package main

import (
	"runtime/metrics"
	"sync"
	"time"

	"github.com/chumiai/chumi/actors"
)

// Which of the waits for a processor are told: three of four are no longer than usual
// where there is room, and one in ten may be longer than long without anything being
// wrong, as while garbage is collected.
const (
	usualQuantile = 0.75
	longQuantile  = 0.9
)

// strain tells how long goroutines that could run waited for a processor.
// Safe for concurrent use.
type strain struct {
	mu     sync.Mutex // guards the fields below
	sample [1]metrics.Sample
	// before holds the counts of the call before.
	before []uint64
}

func newStrain() *strain {
	return &strain{sample: [1]metrics.Sample{{Name: "/sched/latencies:seconds"}}}
}

// since returns the strain since the last call; the first call counts from the start of
// the process.
func (s *strain) since() (now actors.Strain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	metrics.Read(s.sample[:])
	if s.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return now
	}
	h := s.sample[0].Value.Float64Histogram()
	if len(s.before) != len(h.Counts) {
		s.before = make([]uint64, len(h.Counts))
	}
	now = actors.Strain{Usual: quantileSince(h, s.before, usualQuantile), Long: quantileSince(h, s.before, longQuantile)}
	copy(s.before, h.Counts)
	return now
}

// quantileSince is the lower bound of the bucket that holds quantile q of what was
// counted beyond before.
func quantileSince(h *metrics.Float64Histogram, before []uint64, q float64) time.Duration {
	var all uint64
	for i, n := range h.Counts {
		all += n - before[i]
	}
	left := uint64(float64(all) * q)
	for i, n := range h.Counts {
		if n -= before[i]; n <= left {
			left -= n
			continue
		}
		return time.Duration(max(0, h.Buckets[i]) * float64(time.Second))
	}
	return 0
}
