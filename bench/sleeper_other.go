//go:build !linux

package bench

import "time"

// sleeper waits with the runtime's timers.
type sleeper struct{}

func newSleeper() sleeper { return sleeper{} }

func (sleeper) close() {}

func (sleeper) until(at time.Time) { time.Sleep(time.Until(at)) }
