package persistence

import (
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// observeEvery is how often the instruments of the store engine and of the agenda are
	// set: less than the usual time between two scrapes.
	observeEvery = 5 * time.Second
	// overdueMax bounds the due rows that are counted in each group: where there are as
	// many the number does not matter any more.
	overdueMax = 1000
)

// observe sets the gauges that follow from no single commit, until the store closes.
func (s *Store) observe() {
	tick := time.NewTicker(observeEvery)
	defer tick.Stop()
	for {
		s.observeEngine()
		s.observeAgenda()
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
	}
}

func (s *Store) observeEngine() {
	e, m := s.db.Metrics(), &s.opts.Metrics.Pebble
	m.L0Files.Set(float64(e.Levels[0].TablesCount))
	m.L0Sublevels.Set(float64(e.Levels[0].Sublevels))
	m.ReadAmp.Set(float64(e.ReadAmp()))
	m.Debt.Set(float64(e.Compact.EstimatedDebt))
	m.Compactions.Set(float64(e.Compact.NumInProgress))
	m.Disk.Set(float64(e.DiskSpaceUsage()))
	m.Log.Set(float64(e.WAL.PhysicalSize))
	m.MemTables.Set(float64(e.MemTable.Size))
	m.Cache.Set(float64(e.BlockCache.Size))
}

// observeAgenda looks how much is overdue in the groups that this node leads. Rows that
// are not durable yet are left out: they were written just now.
func (s *Store) observeAgenda() {
	now := s.opts.Clock().UnixMilli()
	overdue, oldest := 0, int64(0)
	for _, g := range s.groups {
		if g.epoch.Load() == 0 {
			continue
		}
		n := 0
		floor, _, _ := g.agenda.start()
		due := appendDuePrefix(nil, g.id)
		_, err := s.walkAgenda(appendTime(slices.Clone(due), floor), appendTime(due, now), func(_ []byte, at int64, _ chat.Owed, _ bool) bool {
			if n == overdueMax {
				return false
			}
			n++
			oldest = max(oldest, now-at)
			return true
		})
		if err != nil {
			s.opts.Logger.Error("the agenda could not be looked at", "err", err)
		}
		overdue += n
	}
	m := &s.opts.Metrics.SelfCheck
	m.Overdue.Set(float64(overdue))
	m.Oldest.Set(time.Duration(oldest * int64(time.Millisecond)).Seconds())
}
