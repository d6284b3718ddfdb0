package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/persistence/blob"
	"github.com/chumiai/chumi/persistence/seal"
	"github.com/chumiai/chumi/transport/edge"
)

// archives makes archives of tenants of a node that serves, and takes them in. One at a
// time is under way, and no backup beside it.
type archives struct {
	*backups
	directory *persistence.Directory
}

// BeginArchive implements edge.Archives.
func (a archives) BeginArchive(r edge.ArchiveRequest) error {
	const op = "archive.Begin"
	if r.ID == "" {
		return chat.E(op, chat.KindInvalid, "the request has no id", nil)
	}
	f, err := openArchiveFile(a.config, r.File, r.KeyFile)
	if err != nil {
		return chat.E(op, chat.KindInvalid, err.Error(), nil)
	}
	return a.begin(edge.BackupState{ID: r.ID, To: f.name}, func() error { return a.work(r, f) }, "archive", f.name, "import", r.Import)
}

func (a archives) work(r edge.ArchiveRequest, f *archiveFile) error {
	held, err := a.current(a.life, nil)
	if err != nil {
		return err
	}
	var end backup.ArchiveEnd
	var notes []string
	switch {
	case r.Import:
		end, notes, err = f.take(a.life, a.config, a.directory, r.Erasures, a.tell)
	case !slices.Contains(held, a.store.Group(r.Tenant)):
		err = chat.E("archive.make", chat.KindInvalid, fmt.Sprintf("this node does not hold group %d, which tenant %s belongs to: name another node's --ops-addr",
			a.store.Group(r.Tenant), r.Tenant), nil)
	default:
		end, notes, err = f.make(a.life, a.config, a.store, r.Tenant, a.tell)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.State, a.state.Done, a.state.Stored, a.state.Notes = end.State, end.Rows, end.Files, notes
	return err
}

// Release implements edge.Archives.
func (a archives) Release(ctx context.Context, t chat.TenantID) error {
	return a.directory.ReleaseTenant(ctx, t)
}

// archiveFile is where an archive is, and the key of it.
type archiveFile struct {
	place blob.Place
	// base is its name in the place, name that for people.
	base, name string
	key        backup.Key
}

// openArchiveFile opens the place of an archive: a path, or s3://BUCKET/NAME. keyFile is
// its key; empty for the key of backups.
func openArchiveFile(c *Config, file, keyFile string) (*archiveFile, error) {
	f := &archiveFile{name: file}
	dir, base := filepath.Split(file)
	if strings.HasPrefix(file, bucketScheme) {
		dir, base = path.Split(file)
		dir = strings.TrimSuffix(dir, "/")
	} else if dir == "" {
		dir = "."
	}
	f.base = base
	if base == "" || base == "." || base == ".." {
		return nil, usageError(fmt.Errorf("%q names no file for an archive", clip(file)))
	}
	if keyFile == "" {
		keyFile = c.Backup.KeyFile
	}
	load := func() (*seal.KEK, error) { return loadKey(c) }
	if keyFile != "" {
		load = func() (*seal.KEK, error) { return seal.LoadKEK(keyFile) }
	}
	kek, err := load()
	if err != nil {
		return nil, err
	}
	f.key = backup.NewKey(kek)
	f.place, _, err = openPlace(c, dir)
	return f, err
}

// make writes a tenant to the archive. What was there under its name is replaced once
// the archive is whole.
func (f *archiveFile) make(ctx context.Context, c *Config, s *persistence.Store, t chat.TenantID, tell func(backup.Progress)) (end backup.ArchiveEnd, notes []string, err error) {
	media, err := filesPlace(c)
	if err != nil {
		return end, nil, err
	}
	err = f.place.Put(ctx, f.base, func(dst io.Writer) (err error) {
		end, err = backup.WriteArchive(ctx, dst, f.key, backup.ArchiveSource{Store: s, Tenant: t, Media: media, Made: time.Now(), Progress: tell})
		return err
	})
	if c.Cluster.On() && !c.Media.S3.On() {
		notes = append(notes, "only the files of messages that lie on this node are in the archive: set media.s3 to share a bucket")
	}
	return end, notes, err
}

// take puts the tenant of the archive in place, held. Whoever was erased here, or is in
// the file erasures, does not come back.
func (f *archiveFile) take(ctx context.Context, c *Config, d *persistence.Directory, erasures string, tell func(backup.Progress)) (end backup.ArchiveEnd, notes []string, err error) {
	media, err := filesPlace(c)
	if err != nil {
		return end, nil, err
	}
	erased, until, err := erasedSince(ctx, c, erasures)
	if err != nil {
		return end, nil, err
	}
	src, err := f.place.Get(ctx, f.base)
	if err != nil {
		return end, nil, fmt.Errorf("%s: %w", f.name, err)
	}
	a, err := backup.OpenArchive(ctx, src, f.name, f.key, tell)
	if err != nil {
		return end, nil, errors.Join(err, src.Close())
	}
	n, err := a.Import(ctx, backup.ImportOptions{Directory: d, Media: media, Erased: erased})
	if err = errors.Join(err, src.Close()); err != nil {
		return end, nil, err
	}
	known := "nothing is known of erasures since the archive was made"
	if !until.IsZero() {
		known = "erasures are known up to " + until.UTC().Format(time.RFC3339)
	}
	notes = []string{"tenant " + string(a.Manifest.Tenant) + " of " + a.Manifest.Made.Format(time.RFC3339) + ", archive " + a.Manifest.ID,
		fmt.Sprintf("erased again: %d persons; %s: erase here whoever was erased there later", n, known)}
	return a.End, notes, nil
}

// erasedSince is who must not come back: by the place of backups, if there is one, and a
// file that chumi erasures printed, if it is named.
func erasedSince(ctx context.Context, c *Config, file string) (list []persistence.Tombstone, until time.Time, err error) {
	if c.Backup.To != "" {
		kek, err := loadKey(c)
		if err != nil {
			return nil, until, err
		}
		target, err := openTarget(c, "", kek)
		if err != nil {
			return nil, until, err
		}
		if list, until, err = target.Erased(ctx); err != nil {
			return nil, until, err
		}
	}
	if file == "" {
		return list, until, nil
	}
	more, at, err := readErasures(file)
	if at.After(until) {
		until = at
	}
	return append(list, more...), until, err
}
