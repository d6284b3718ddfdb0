package replica

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// simDisk is a disk whose logs are synced when the simulator says so. Pebble is
// told at once that a sync is done, so that what a log file holds at a crash does
// not depend on Pebble's own goroutines; every other file is synced as asked.
type simDisk struct {
	vfs.FS
	mem *vfs.MemFS
	// honest makes syncs of logs what they say, as while a store is opened.
	honest bool
	logs   []*simLog
}

func newSimDisk(mem *vfs.MemFS) *simDisk {
	if mem == nil {
		mem = vfs.NewCrashableMem()
	}
	return &simDisk{FS: mem, mem: mem, honest: true}
}

type simLog struct {
	vfs.File
	disk *simDisk
}

func (d *simDisk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	l := &simLog{f, d}
	d.logs = append(d.logs, l)
	return l, nil
}

func (d *simDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return d.wrap(name, f, err)
}

// ReuseForWrite makes a new file: whether there is an old one to reuse depends on
// how far Pebble's own goroutines are.
func (d *simDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Remove(from); err != nil {
		return nil, err
	}
	return d.Create(to, c)
}

func (l *simLog) Sync() error {
	if l.disk.honest {
		return l.File.Sync()
	}
	return nil
}

func (l *simLog) SyncData() error                   { return l.Sync() }
func (l *simLog) SyncTo(int64) (full bool, e error) { return true, l.Sync() }

// Close syncs, as Pebble does before it goes on to the next log.
func (l *simLog) Close() error {
	l.disk.logs = slices.DeleteFunc(l.disk.logs, func(o *simLog) bool { return o == l })
	if err := l.File.Sync(); err != nil {
		return err
	}
	return l.File.Close()
}

// sync makes all that was written to the logs durable.
func (d *simDisk) sync() error {
	for _, l := range d.logs {
		if err := l.File.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// crash is the disk after the power went: what was synced, and of each log some
// of what was not, from its beginning on: Pebble, which believes that all is
// synced, would take a hole before the end for a broken disk. How much is the same
// draw for every file: only the newest has anything, since Close syncs, and neither
// its name nor which old ones are still about is the simulation's affair.
func (d *simDisk) crash(seed uint64, percent int) (*simDisk, error) {
	after := d.mem.CrashClone(vfs.CrashCloneCfg{})
	names, err := after.List("data")
	if err != nil {
		return newSimDisk(after), nil // nothing was ever synced
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") || percent == 0 {
			continue
		}
		path := after.PathJoin("data", name)
		kept, err := content(after, path)
		if err != nil {
			return nil, err
		}
		written, err := content(d.mem, path)
		if err != nil || string(written) == string(kept) {
			continue
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		same := 0
		for same < min(len(kept), len(written)) && kept[same] == written[same] {
			same++
		}
		stays := same + rng.IntN(len(written)-same+1)*percent/100
		if grow := stays - len(kept); grow > 0 {
			kept = append(kept, make([]byte, grow)...)
		}
		copy(kept, written[:stays])
		if err := overwrite(after, path, kept); err != nil {
			return nil, err
		}
	}
	return newSimDisk(after), nil
}

func content(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func overwrite(fs vfs.FS, path string, data []byte) error {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return err
	}
	return f.Close()
}
