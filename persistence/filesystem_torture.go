//go:build torture

package persistence

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// systemFS is the operating system's file system, spoiled as the order that
// stands says.
func systemFS() vfs.FS { return spoiledFS{vfs.Default} }

// spoiledFS is a disk that fails, stalls, is full or lies.
type spoiledFS struct{ vfs.FS }

// full is ENOSPC while the disk is said to be full.
func full(op, name string) error {
	if o := failpoint.Orders(); o != nil && o.Full {
		return &os.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
	}
	return nil
}

func spoiled(f vfs.File, name string, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &spoiledFile{File: f, name: name, log: strings.HasSuffix(name, ".log")}, nil
}

// Create implements vfs.FS.
func (s spoiledFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := full("create", name); err != nil {
		return nil, err
	}
	f, err := s.FS.Create(name, c)
	return spoiled(f, name, err)
}

// OpenReadWrite implements vfs.FS.
func (s spoiledFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.FS.OpenReadWrite(name, c, o...)
	return spoiled(f, name, err)
}

// OpenDir implements vfs.FS.
func (s spoiledFS) OpenDir(name string) (vfs.File, error) {
	f, err := s.FS.OpenDir(name)
	return spoiled(f, name, err)
}

// ReuseForWrite implements vfs.FS.
func (s spoiledFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.ReuseForWrite(from, to, c)
	return spoiled(f, to, err)
}

// GetDiskUsage implements vfs.FS.
func (s spoiledFS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	u, err := s.FS.GetDiskUsage(path)
	if o := failpoint.Orders(); o != nil && o.Scarce {
		u.AvailBytes = 0
	}
	return u, err
}

// Unwrap implements vfs.FS.
func (s spoiledFS) Unwrap() vfs.FS { return s.FS }

// spoiledFile is written from its beginning to its end, as Pebble writes files.
type spoiledFile struct {
	vfs.File
	name string
	log  bool
	// written counts bytes, synced those that a sync has answered for.
	written, synced atomic.Int64
}

// Write implements vfs.File.
func (f *spoiledFile) Write(p []byte) (int, error) {
	if err := full("write", f.name); err != nil {
		return 0, err
	}
	n, err := f.File.Write(p)
	f.written.Add(int64(n))
	return n, err
}

// Preallocate implements vfs.File.
func (f *spoiledFile) Preallocate(at, length int64) error {
	if err := full("fallocate", f.name); err != nil {
		return err
	}
	return f.File.Preallocate(at, length)
}

// Sync implements vfs.File.
func (f *spoiledFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *spoiledFile) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *spoiledFile) SyncTo(length int64) (whole bool, err error) {
	if o := failpoint.Orders(); o != nil && o.SyncError > 0 {
		return false, nil // it only makes a beginning
	}
	return f.File.SyncTo(length)
}

func (f *spoiledFile) sync(real func() error) error {
	written := f.written.Load()
	if o := failpoint.Orders(); o != nil {
		o.AwaitDisk()
		if o.SyncFails(f.name, f.log, f.synced.Load()) {
			if o.Lie {
				return nil
			}
			return f.fail()
		}
	}
	if err := real(); err != nil {
		return err
	}
	f.synced.Store(written)
	return nil
}

// fail throws away what was not synced: the kernel marks such pages clean, and
// nobody can tell which of them the disk has.
func (f *spoiledFile) fail() error {
	if info, err := f.Stat(); err == nil && !info.IsDir() {
		if err := os.Truncate(f.name, f.synced.Load()); err != nil {
			return fmt.Errorf("persistence: spoil %s: %w", f.name, err)
		}
	}
	return &os.PathError{Op: "sync", Path: f.name, Err: syscall.EIO}
}
