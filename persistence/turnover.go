package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// turnoverFS is the file system below Pebble. Pebble writes new logs over old
// ones, which is fast and leaves old bytes behind the new ones. After an erase
// the old bytes must go, so while turning is above zero an old log is removed
// and a new file is made instead.
type turnoverFS struct {
	vfs.FS
	turning atomic.Int32
}

// ReuseForWrite implements vfs.FS.
func (f *turnoverFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if f.turning.Load() == 0 {
		return f.FS.ReuseForWrite(oldname, newname, category)
	}
	if err := f.FS.Remove(oldname); err != nil {
		return nil, err
	}
	return f.FS.Create(newname, category)
}

// Unwrap implements vfs.FS.
func (f *turnoverFS) Unwrap() vfs.FS { return f.FS }

// logs returns the numbers of the write-ahead logs in dir.
func (f *turnoverFS) logs(dir string) ([]uint64, error) {
	names, err := f.List(dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, name := range names {
		base, ok := strings.CutSuffix(name, ".log")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(base, 10, 64); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// How often and how long turnOver waits for Pebble to let go of files.
const (
	turnMax   = 64
	turnPause = 20 * time.Millisecond
)

// turnOver makes Pebble give up every file that was written before: it flushes,
// compacts ranges, and goes on to new logs until the old ones are gone. It returns
// what it could not wait for.
func (s *Store) turnOver(ctx context.Context, ranges ...[]byte) (left []string, err error) {
	const op = "privacy.turnOver"
	s.fs.turning.Add(1)
	defer s.fs.turning.Add(-1)
	before, err := s.fs.logs(s.opts.Dir)
	if err != nil || len(before) == 0 {
		return nil, err
	}
	newest := slices.Max(before)
	if err := errors.Join(s.db.Flush(), s.tables.drain(false)); err != nil {
		return nil, chat.E(op, chat.KindUnavailable, "cannot flush", err)
	}
	for _, r := range ranges {
		if err := s.db.Compact(ctx, r, prefixEnd(r), false); err != nil {
			return nil, chat.E(op, chat.KindUnavailable, "cannot compact", err)
		}
	}
	pause := time.NewTicker(turnPause)
	defer pause.Stop()
	for range turnMax {
		if left, err = s.remains(newest); err != nil || len(left) == 0 {
			return nil, err
		}
		if err := errors.Join(s.db.Flush(), s.tables.drain(false)); err != nil {
			return nil, chat.E(op, chat.KindUnavailable, "cannot flush", err)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return left, nil
		}
	}
	return left, nil
}

// remains names the files that an erase waits for: logs up to the newest at the
// time of the erase, and tables that a reader holds.
func (s *Store) remains(newest uint64) ([]string, error) {
	logs, err := s.fs.logs(s.opts.Dir)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, n := range logs {
		if n <= newest {
			left = append(left, fmt.Sprintf("log %06d, until the next restart", n))
		}
	}
	if s.imaging.Load() {
		left = append(left, "tables that a backup is being made of, until it has ended")
	}
	if m := s.db.Metrics(); m.Table.ZombieCount+m.Table.ObsoleteCount > 0 {
		left = append(left, "replaced tables, until the reads that began before have ended")
	}
	return left, nil
}
