package persistence

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestStore_ShowsWhatIsOverdue moves the clock past what two conversations owe.
func TestStore_ShowsWhatIsOverdue(t *testing.T) {
	var ahead atomic.Int64
	o := testOptions(t, vfs.NewMem())
	o.Clock = func() time.Time { return epoch0.Add(time.Duration(ahead.Load())) }
	s := openTest(t, o)
	t.Cleanup(func() { _ = s.Close() })
	ensure(t, s, "acme")
	for n := range 2 {
		newTalker(t, s, "acme", n).say(t, "one")
	}
	m := &s.opts.Metrics.SelfCheck
	for _, step := range []struct {
		after           time.Duration
		overdue, oldest float64
	}{{0, 0, 0}, {24 * time.Hour, 2, 0}} {
		ahead.Store(int64(step.after))
		s.observeAgenda()
		if got := testutil.ToFloat64(m.Overdue); got != step.overdue {
			t.Errorf("after %v %v conversations are overdue, want %v", step.after, got, step.overdue)
		}
		if got := testutil.ToFloat64(m.Oldest); (got > 0) != (step.overdue > 0) || got > step.after.Seconds() {
			t.Errorf("after %v the oldest is overdue for %v s", step.after, got)
		}
	}
	s.observeEngine()
	if got := testutil.ToFloat64(s.opts.Metrics.Pebble.MemTables); got == 0 {
		t.Error("the store engine has no memtable")
	}
}
