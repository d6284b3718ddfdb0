//go:build torture

package failpoint

import (
	"testing"
	"time"
)

func TestSetWall_LeavesTheMonotonicReading(t *testing.T) {
	for _, by := range []time.Duration{2 * time.Hour, -2 * time.Hour, -9 * 24 * time.Hour, time.Second} {
		at := time.Now()
		moved := setWall(at, by)
		if got := moved.Round(0).Sub(at.Round(0)); got != by {
			t.Errorf("the wall moved by %v, want %v", got, by)
		}
		if got := moved.Sub(at); got != 0 {
			t.Errorf("moved by %v, the monotonic reading by %v too", by, got)
		}
	}
}

func TestStanding_CountsSyncsOfTheLogOrOfAll(t *testing.T) {
	log := &Standing{Order: Order{SyncError: 2}, noted: map[string]bool{}}
	if log.SyncFails("b", false, 0) || log.SyncFails("a", true, 0) || log.SyncFails("b", false, 0) || !log.SyncFails("a", true, 0) {
		t.Error("of the log alone, the second sync and no other must fail")
	}
	if !log.SyncFails("a", true, 0) {
		t.Error("a sync after the one that failed went well")
	}
	all := &Standing{Order: Order{SyncError: 2, AnyFile: true}, noted: map[string]bool{}}
	if all.SyncFails("b", false, 0) || !all.SyncFails("a", true, 0) {
		t.Error("of all files, the second sync must fail")
	}
}
