package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Restart delays: the first restart waits up to restartMin, each further one
// within restartWindow twice as long, never longer than restartMax.
const (
	restartMin    = 50 * time.Millisecond
	restartMax    = 30 * time.Second
	restartWindow = 10 * time.Minute
)

// crash is the value actors panic with after their own recover has counted the
// panic and answered the mail: it carries nothing of the message.
type crash string

// backoff revives a failed child after a capped exponential delay with full
// jitter, as often as it takes: a child that fails for good refuses its mail
// with Busy once its queue is full, and that is the signal.
type backoff struct {
	sys *System
	// restart makes a new instance; otherwise the child goes on with the state it
	// has, which keeps its children and their mail alive.
	restart bool
}

// HandleFailure implements actor.SupervisorStrategy.
func (b *backoff) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, _, _ any) {
	rs.Fail()
	b.sys.met.Actors.Restarts.Inc()
	delay := jittered(restartDelay(rs.NumberOfFailures(restartWindow)), b.sys.opt.Rand)
	b.sys.opt.Clock.AfterFunc(delay, func() {
		if b.restart {
			sup.RestartChildren(child)
			return
		}
		sup.ResumeChildren(child)
	})
}

// restartDelay is the longest delay before the n-th restart, n from 1.
func restartDelay(n int) time.Duration {
	d := restartMin
	for ; n > 1 && d < restartMax; n-- {
		d *= 2
	}
	return min(d, restartMax)
}

// jittered draws a duration between 0 and d.
func jittered(d time.Duration, rand func() float64) time.Duration {
	return time.Duration(float64(d) * rand())
}
