package replica

import (
	"testing"
	"time"
)

func TestPassPause_GrowsWithWhatIsOnItsWay(t *testing.T) {
	for commits, want := range map[int]time.Duration{
		0: passPauseMin, 20: passPauseMin, 60: 3 * time.Millisecond, 100: passPauseMax, 1 << 20: passPauseMax,
	} {
		if got := passPause(commits); got != want {
			t.Errorf("%d commits on their way: a pause of %v, want %v", commits, got, want)
		}
	}
}
