package persistence

import (
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
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
