package main

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// wallClock is the clock of a running engine. It does not go back: what was dated
// is due at times of the clock as it was then, and would wait for hours if hours
// came twice. A clock on the wall that is set back is followed no further than
// time passes, until the next start or until it has caught up.
//
// Its times carry the monotonic reading, which pauses are measured by, but while
// the wall is behind: then the difference of two of them is what passed, too.
type wallClock struct{}

// Now returns the time of day, never a second earlier than before.
func (wallClock) Now() time.Time { return engineTime.since(failpoint.Now()) }

// AfterFunc calls f on a goroutine of its own after d.
func (wallClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, f).Stop
}

// engineTime is the time of this process.
var engineTime = newSteadyTime(failpoint.Now())

// steadyTime makes a time that does not go back of a clock that may. Safe for
// concurrent use.
type steadyTime struct {
	began time.Time
	// ahead is the most that the wall went further than time since then.
	ahead atomic.Int64
}

func newSteadyTime(began time.Time) *steadyTime {
	s := &steadyTime{began: began}
	s.ahead.Store(math.MinInt64)
	return s
}

// since turns a reading of the clock into the time.
func (s *steadyTime) since(t time.Time) time.Time {
	passed := t.Sub(s.began) // by the monotonic clock
	// Both readings of a clock are not taken at once: nothing less than a second is a step.
	if behind := s.behind(t.Round(0).Sub(s.began.Round(0)), passed); behind > clockStepMin {
		return t.Round(0).Add(behind)
	}
	return t
}

// behind is how much the wall is behind where it would be had it never been set
// back, when it went so far while so much time passed.
func (s *steadyTime) behind(wall, passed time.Duration) time.Duration {
	ahead := int64(wall - passed)
	for {
		most := s.ahead.Load()
		if ahead <= most {
			return time.Duration(most - ahead)
		}
		if s.ahead.CompareAndSwap(most, ahead) {
			return 0
		}
	}
}
