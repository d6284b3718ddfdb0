package persistence

import (
	"time"

	"github.com/chumiai/chumi/chat"
)

// watchDisk looks at free space until the store closes, and lets go of tables
// that only idle readers hold.
func (s *Store) watchDisk() {
	tick := time.NewTicker(s.opts.DiskPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.pollDisk()
			if err := s.tables.drain(false); err != nil {
				s.opts.Logger.Error("a reader of tables did not close", "err", err)
			}
		case <-s.stop:
			return
		}
	}
}

// pollDisk notes whether the reserve is reached. A file system that cannot tell
// its free space, as one in memory, has no reserve.
func (s *Store) pollDisk() {
	free, err := s.opts.DiskFree()
	if err != nil {
		return
	}
	reserved := s.opts.DiskReserve > 0 && free < uint64(s.opts.DiskReserve)
	m := s.opts.Metrics
	m.DiskFree.Set(float64(free))
	m.DiskReserved.Set(0)
	if reserved {
		m.DiskReserved.Set(1)
	}
	if s.reserved.Swap(reserved) != reserved {
		s.opts.Logger.Warn("disk reserve", "reached", reserved, "free_bytes", free, "reserve_bytes", s.opts.DiskReserve)
	}
}

// writable refuses ordinary commits below the disk reserve, so that a full disk
// is met by an answer and not by a failed sync.
func (s *Store) writable() error {
	if s.reserved.Load() {
		return chat.E("journal.Append", chat.KindUnavailable, "the disk reserve is reached: free space in the data directory", nil)
	}
	return nil
}

// Reserved reports whether free disk space is below the reserve, so that
// ordinary commits are refused.
func (s *Store) Reserved() bool { return s.reserved.Load() }
