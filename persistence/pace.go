package persistence

import (
	"context"
	"time"
)

// pace spreads rows over time: at most so many in a second, however fast they are read.
type pace struct {
	each time.Duration
	// next is when what was taken so far is paid for.
	next time.Time
}

// newPace allows a number of rows a second; 0 for any.
func newPace(rows int) *pace {
	if rows == 0 {
		return &pace{}
	}
	return &pace{each: time.Second / time.Duration(rows)}
}

// wait returns when rows that were read may be followed by more, or ctx ends.
func (p *pace) wait(ctx context.Context, rows int) error {
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(rows) * p.each)
	return pauseFor(ctx, p.next.Sub(now))
}

func pauseFor(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
