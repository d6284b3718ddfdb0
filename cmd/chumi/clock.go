package main

import (
	"time"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// wallClock is the clock of a running engine. Its times carry the monotonic
// reading, which pauses are measured by.
type wallClock struct{}

// Now returns the time of day.
func (wallClock) Now() time.Time { return failpoint.Now() }

// AfterFunc calls f on a goroutine of its own after d.
func (wallClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, f).Stop
}
