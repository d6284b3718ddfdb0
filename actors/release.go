package actors

import (
	"context"

	"github.com/chumiai/chumi/chat"
)

// A store that was restored must not act: what it owes may have been done since by the
// one it is a copy of. While it is held, what comes from outside is made durable as
// ever, and nothing leaves: no attempt is asked for, no model or tool is called, no row
// of the agenda fires, nothing is kept in step with Meta or with websites. Everything
// that is owed stands in the agenda, and is taken up from there on release.
//
// The same holds for a single tenant that came from an archive, until it is released.

// held reports whether the system must not act for a tenant.
func (s *System) held(t chat.TenantID) bool {
	if s.opt.Arrivals != nil && s.opt.Arrivals()[t] {
		return true
	}
	if s.opt.Released == nil {
		return false
	}
	select {
	case <-s.opt.Released:
		return false
	default:
		return true
	}
}

// released waits until the system may act; false when ctx ends before.
func (s *System) released(ctx context.Context) bool {
	if s.opt.Released == nil {
		return true
	}
	select {
	case <-s.opt.Released:
		return true
	case <-ctx.Done():
		return false
	}
}

// whenReleased runs f once the system may act.
func (s *System) whenReleased(f func()) func() {
	return func() {
		if s.released(s.walk) {
			f()
		}
	}
}
