package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"math"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// Dir is a Place in a directory of this node. Each node of a cluster has its own:
// a file is where it was fetched and nowhere else.
type Dir struct {
	fs   vfs.FS
	root string
	// reserve is free space, in bytes, that files must leave.
	reserve uint64

	mu sync.Mutex // guards made
	// made holds directories that are known to be durable.
	made map[string]bool
}

// diskCategory labels the writes for file systems that count them.
const diskCategory vfs.DiskWriteCategory = "media"

// partSuffix ends the name of a file that is being written.
const partSuffix = ".part"

// partLife is after how long an unfinished file is a crash's and not a writer's.
const partLife = 24 * time.Hour

// OpenDir returns the place in a directory, made if absent. A nil fsys is the
// operating system's.
func OpenDir(fsys vfs.FS, root string, reserve uint64) (*Dir, error) {
	if fsys == nil {
		fsys = vfs.Default
	}
	d := &Dir{fs: fsys, root: root, reserve: reserve, made: map[string]bool{}}
	if err := fsys.MkdirAll(root, 0o700); err != nil {
		return nil, chat.E("blob.OpenDir", chat.KindOther, "the media directory cannot be made", err)
	}
	return d, nil
}

// Put implements Place: it writes beside the name, syncs, renames, and syncs the
// directory.
func (d *Dir) Put(_ context.Context, name string, fill func(io.Writer) error) error {
	const op = "blob.Put"
	if usage, err := d.fs.GetDiskUsage(d.root); err == nil && usage.AvailBytes < d.reserve {
		return chat.E(op, chat.KindUnavailable, "free space is below the reserve", nil)
	}
	at := d.path(name)
	if err := d.makeDir(path.Dir(name)); err != nil {
		return chat.E(op, chat.KindUnavailable, "a directory cannot be made", bare(err))
	}
	part := at + "." + rand.Text() + partSuffix
	f, err := d.fs.Create(part, diskCategory)
	if err != nil {
		return chat.E(op, chat.KindUnavailable, "a file cannot be made", bare(err))
	}
	var broken bool
	err = fill(writer{f, &broken})
	if err == nil {
		if err = f.Sync(); err != nil {
			broken = true
		}
	}
	if closed := f.Close(); err == nil && closed != nil {
		err, broken = closed, true
	}
	if err == nil {
		if err = d.fs.Rename(part, at); err == nil {
			err = d.syncDir(path.Dir(name))
		}
		broken = err != nil
	}
	if err == nil {
		return nil
	}
	_ = d.fs.Remove(part) // what stays is found by List once it is old
	if broken {
		return chat.E(op, chat.KindUnavailable, "a file cannot be written", bare(err))
	}
	return err
}

// writer tells a disk's failure from that of whoever fills the file.
type writer struct {
	w      io.Writer
	broken *bool
}

// Write implements io.Writer.
func (w writer) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if err != nil {
		*w.broken = true
	}
	return n, err
}

// Get implements Place.
func (d *Dir) Get(_ context.Context, name string) (io.ReadSeekCloser, error) {
	f, err := d.fs.Open(d.path(name), vfs.SequentialReadsOption)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, chat.E("blob.Get", chat.KindNotFound, "the file is not here", nil)
	case err != nil:
		return nil, chat.E("blob.Get", chat.KindUnavailable, "the file cannot be opened", bare(err))
	}
	return &seeking{io.NewSectionReader(f, 0, math.MaxInt64), f}, nil
}

// seeking is an open file at a position.
type seeking struct {
	*io.SectionReader
	io.Closer
}

// Delete implements Place.
func (d *Dir) Delete(_ context.Context, name string) error {
	err := d.fs.Remove(d.path(name))
	if err == nil {
		err = d.syncDir(path.Dir(name))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return chat.E("blob.Delete", chat.KindUnavailable, "a file cannot be removed", bare(err))
	}
	return nil
}

// List implements Place. Unfinished files that are old are removed on the way.
func (d *Dir) List(ctx context.Context, prefix string, visit func(string, time.Time) error) error {
	parts := strings.Split(prefix, "/")
	return d.walk(ctx, "", parts, visit)
}

// levels is the depth of a file: tenant, two characters, name.
const levels = 3

// walk visits what is below a directory whose names begin as parts say.
func (d *Dir) walk(ctx context.Context, dir string, parts []string, visit func(string, time.Time) error) error {
	const op = "blob.List"
	names, err := d.fs.List(d.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return chat.E(op, chat.KindUnavailable, "a directory cannot be read", bare(err))
	}
	depth := 1
	if dir != "" {
		depth = strings.Count(dir, "/") + 2
	}
	for _, base := range names {
		if ctx.Err() != nil {
			return chat.E(op, chat.KindUnavailable, "the caller gave up", context.Cause(ctx))
		}
		if len(parts) > 0 && (len(parts) == 1 && !strings.HasPrefix(base, parts[0]) || len(parts) > 1 && base != parts[0]) {
			continue
		}
		name := path.Join(dir, base)
		if depth < levels {
			if err := d.walk(ctx, name, rest(parts), visit); err != nil {
				return err
			}
			continue
		}
		info, err := d.fs.Stat(d.path(name))
		if err != nil {
			continue // removed meanwhile
		}
		if strings.HasSuffix(base, partSuffix) {
			if time.Since(info.ModTime()) > partLife {
				_ = d.fs.Remove(d.path(name))
			}
			continue
		}
		if err := visit(name, info.ModTime()); err != nil {
			return err
		}
	}
	return nil
}

func rest(parts []string) []string {
	if len(parts) == 0 {
		return nil
	}
	return parts[1:]
}

func (d *Dir) path(name string) string { return d.fs.PathJoin(d.root, name) }

// makeDir makes a directory below the root, durably, once.
func (d *Dir) makeDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.made[name] {
		return nil
	}
	if err := d.fs.MkdirAll(d.path(name), 0o700); err != nil {
		return err
	}
	for p := name; p != "."; p = path.Dir(p) {
		if err := d.syncDir(path.Dir(p)); err != nil {
			return err
		}
	}
	d.made[name] = true
	return nil
}

func (d *Dir) syncDir(name string) error {
	f, err := d.fs.OpenDir(d.path(name))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// bare is an error without the path it names.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
