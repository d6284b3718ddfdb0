package child

import "time"

// progressEvery is how often a long run says how far it is.
const progressEvery = 5 * time.Second

// EveryFew calls f every few seconds, on a goroutine of its own, until it is stopped.
func EveryFew(f func()) (stop func()) {
	t := time.NewTicker(progressEvery)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-t.C:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		t.Stop()
		close(done)
	}
}
