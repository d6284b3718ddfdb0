package main

import (
	"math"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

func TestStrain_QuantileOfWhatIsNew(t *testing.T) {
	h := &metrics.Float64Histogram{Counts: []uint64{100, 5, 90, 10}, Buckets: []float64{math.Inf(-1), 0.001, 0.01, 0.1, math.Inf(1)}}
	for _, c := range []struct {
		name   string
		before []uint64
		want   time.Duration
	}{
		{"all", []uint64{0, 0, 0, 0}, 10 * time.Millisecond},
		{"nothing new", h.Counts, 0},
		{"only the fast", []uint64{0, 5, 90, 10}, 0},
		{"only the slow", []uint64{100, 5, 90, 0}, 100 * time.Millisecond},
		{"one in ten is slow", []uint64{10, 5, 90, 0}, 100 * time.Millisecond},
		{"one in eleven is slow", []uint64{0, 5, 90, 0}, 0},
	} {
		if got := quantileSince(h, c.before, longQuantile); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestStrain_SeesWaiting: goroutines that keep every processor busy make others wait.
func TestStrain_SeesWaiting(t *testing.T) {
	s := newStrain()
	s.since()
	stop := make(chan struct{})
	busy := func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
				for began := time.Now(); time.Since(began) < 5*time.Millisecond; {
				}
			}
		}
	}
	for range 8 * runtime.GOMAXPROCS(0) {
		go busy()
	}
	defer close(stop)
	for range 100 {
		time.Sleep(20 * time.Millisecond)
		if now := s.since(); now.Long >= 10*time.Millisecond && now.Usual > 0 {
			return
		}
	}
	t.Error("nobody waited for a processor in two seconds of eight busy goroutines for each")
}
