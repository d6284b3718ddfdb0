package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Quantiles is a latency distribution in milliseconds.
type Quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// newHistogram covers 1 µs to 10 minutes with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (10 * time.Minute).Microseconds(), 3)
}

// record clamps d into the histogram's range.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	us := min(max(d.Microseconds(), 1), h.HighestTrackableValue())
	_ = h.RecordValue(us)
}

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	q := Quantiles{Count: h.TotalCount()}
	if q.Count > 0 {
		q.P50, q.P90, q.P99, q.P999, q.Max = ms(50), ms(90), ms(99), ms(99.9), float64(h.Max())/1000
	}
	return q
}
