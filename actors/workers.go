package actors

import (
	"context"
	"sync"
	"time"
)

// workers runs functions on goroutines of a crew and waits for them: calls of a model
// and of Graph are as deep as commits.
type workers struct {
	crew *crew

	mu     sync.Mutex // guards closed, so that nothing starts once wait began
	closed bool
	wg     sync.WaitGroup
}

// run starts f unless wait was called; it reports whether it did.
func (w *workers) run(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.wg.Add(1)
	w.crew.Schedule(func() {
		defer w.wg.Done()
		f()
	})
	return true
}

func (w *workers) wait() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wg.Wait()
}

// turnstile counts who is inside and tells when the last has left.
type turnstile struct {
	mu     sync.Mutex // guards the fields below
	inside int
	closed bool
	empty  chan struct{}
}

// enter reports whether the caller may go on; it then must call leave.
func (t *turnstile) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.inside++
	return true
}

// open reports whether enter would let somebody in.
func (t *turnstile) open() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.closed
}

func (t *turnstile) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside--; t.inside == 0 && t.closed {
		close(t.empty)
	}
}

// close lets nobody in any more. The channel is closed when nobody is inside.
func (t *turnstile) close() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed, t.empty = true, make(chan struct{})
		if t.inside == 0 {
			close(t.empty)
		}
	}
	return t.empty
}

// pause waits for d or the end of ctx, and reports whether it was d.
func pause(ctx context.Context, clock Clock, d time.Duration) bool {
	passed := make(chan struct{})
	stop := clock.AfterFunc(d, func() { close(passed) })
	select {
	case <-passed:
		return true
	case <-ctx.Done():
		stop()
		return false
	}
}
