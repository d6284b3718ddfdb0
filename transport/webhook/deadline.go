package webhook

import (
	"context"
	"sync"
	"time"
)

// deadlines gives contexts that end a while after they were asked for. Those
// asked for within one grain share one, so that a webhook costs no timer; none
// ends earlier than it should.
type deadlines struct {
	timeout time.Duration

	mu sync.Mutex // guards the fields below
	// current serves until the given time.
	current context.Context
	until   time.Time
}

// deadlineGrain is how much longer than asked for a context may live.
const deadlineGrain = 100 * time.Millisecond

// next returns a context that ends after the timeout. Nobody has to cancel it.
func (d *deadlines) next(now time.Time) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil || !now.Before(d.until) {
		ctx, cancel := context.WithTimeout(context.Background(), d.timeout+deadlineGrain)
		// The timer ends it; ending it earlier would cut those who share it.
		context.AfterFunc(ctx, cancel)
		d.current, d.until = ctx, now.Add(deadlineGrain)
	}
	return d.current
}
