package metrics

import (
	"maps"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Words is a CounterVec with one label of few values. A message counts several of
// them, and to find a counter costs the vector ten times what to count does: those
// found once are kept.
type Words struct {
	*prometheus.CounterVec
	// known is replaced, never changed.
	known atomic.Pointer[map[string]prometheus.Counter]
}

func words(reg prometheus.Registerer, name, help, label string) *Words {
	w := &Words{CounterVec: counters(reg, name, help, label)}
	w.known.Store(&map[string]prometheus.Counter{})
	return w
}

// WithLabelValues returns the counter of a word.
func (w *Words) WithLabelValues(word string) prometheus.Counter {
	known := w.known.Load()
	if c, ok := (*known)[word]; ok {
		return c
	}
	c := w.CounterVec.WithLabelValues(word)
	more := maps.Clone(*known)
	more[word] = c
	// Whoever loses the race finds it in the vector again next time.
	w.known.CompareAndSwap(known, &more)
	return c
}
