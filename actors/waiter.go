package actors

import "github.com/chumiai/chumi/chat"

// waiter is a mail whose answer has to wait until attempts under way have
// ended: a takeover is acknowledged only when nothing of the assistant can
// still leave.
type waiter struct {
	mail     *mail
	verdicts []chat.Verdict
	next     *waiter
}

// reply answers a mail, now or when the attempts it must outlive have ended.
func (a *activation) reply(m *mail, verdicts []chat.Verdict) {
	for i := range verdicts {
		if a.outlives(&verdicts[i]) {
			a.waiters = &waiter{mail: m, verdicts: verdicts, next: a.waiters}
			return
		}
	}
	m.answer(answer{verdicts: verdicts, armed: a.state.Armed})
}

// outlives reports whether v still has attempts to wait for, and drops from it
// those that have ended.
func (a *activation) outlives(v *chat.Verdict) bool {
	pending := v.Pending[:0]
	for _, id := range v.Pending {
		if e := a.state.Entry(id); e != nil && e.State == chat.SendAttempting {
			pending = append(pending, id)
		}
	}
	v.Pending = pending
	return len(pending) > 0
}

// settleWaiters answers those who need not wait any more and forgets those who
// do not wait any more.
func (a *activation) settleWaiters() {
	waiting := a.waiters
	a.waiters = nil
	for w := waiting; w != nil; w = w.next {
		if !w.mail.gone.Load() {
			a.reply(w.mail, w.verdicts)
		}
	}
}

// abandon answers everybody who waits with an error: the activation ends.
func (a *activation) abandon() {
	for w := a.waiters; w != nil; w = w.next {
		w.mail.refuse(errCrashed)
	}
	a.waiters = nil
}
