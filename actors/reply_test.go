package actors

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chumiai/chumi/metrics"
)

// TestSystem_MeasuresTheWaitForAnAnswer counts from the first message without an answer,
// the quiet period included, once for all that were answered together.
func TestSystem_MeasuresTheWaitForAnAnswer(t *testing.T) {
	reg := prometheus.NewRegistry()
	met := metrics.New(reg)
	inBubble(t, func(o *Options) { o.Metrics = met }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		time.Sleep(time.Second)
		deliver(t, s, textFrom("1555", "wamid.2", "are you open?"))
		settle(time.Minute)
		if len(graph.texts()) == 0 {
			t.Fatal("nobody answered")
		}
		count, sum := uint64(0), 0.0
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "chumi_reply_seconds" {
				h := f.Metric[0].Histogram
				count, sum = h.GetSampleCount(), h.GetSampleSum()
			}
		}
		quiet := store.set.QuietPeriod.Seconds()
		if count != 1 || sum < quiet+1 || sum > quiet+3 {
			t.Errorf("%d waits of %v s together, want one of about %v s", count, sum, quiet+1)
		}
	})
}
