package bench

import (
	"runtime"
	"syscall"
	"time"
)

// sleeper waits for points in time more exactly than the runtime's timers,
// which an idle program rounds to milliseconds: it sleeps in the kernel on a
// thread of its own.
type sleeper struct{}

func newSleeper() sleeper {
	runtime.LockOSThread()
	return sleeper{}
}

func (sleeper) close() { runtime.UnlockOSThread() }

func (sleeper) until(at time.Time) {
	for {
		d := time.Until(at)
		if d <= 0 {
			return
		}
		ts := syscall.NsecToTimespec(int64(min(d, time.Second)))
		_ = syscall.Nanosleep(&ts, nil)
	}
}
