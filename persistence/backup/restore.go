package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/blob"
)

// RestoreOptions say where a backup is restored to.
type RestoreOptions struct {
	// Store are the options of the new store. Its Dir is absent or empty. A directory
	// beside it, named like it and ending in ".parts", is used meanwhile.
	Store persistence.Options
	// Media takes files of messages; nil leaves them out.
	Media blob.Place
	// Now is when the restored store is held from.
	Now time.Time
	// Progress may be nil.
	Progress func(Progress)
}

// Restore makes a new store of a backup, and proves it: every file is what its manifest
// says, the state of every group adds up to what it did when the backup was made, and
// the new store breaks no invariant. The store is held, see persistence.Hold. After an
// error it is not usable.
func (t *Target) Restore(ctx context.Context, m *Manifest, o RestoreOptions) (persistence.CheckReport, error) {
	var report persistence.CheckReport
	o.Store.EnsureDefaults()
	if have := o.Store.KEK.Fingerprint(); have != m.KEK {
		return report, chat.E("backup.Restore", chat.KindInvalid, "what backup "+m.ID+" holds is sealed with key-encryption key "+m.KEK+
			", the key given is "+have+"; name the file of the first with keys.file (CHUMI_KEYS__FILE)", nil)
	}
	r := restore{target: t, opt: o, dir: o.Store.Dir + ".parts"}
	err := o.Store.FS.RemoveAll(r.dir)
	if err == nil {
		err = r.rebuild(ctx, m)
	}
	if err == nil {
		report, err = r.prove(ctx, m)
	}
	if err == nil {
		err = r.media(ctx, m)
	}
	return report, errors.Join(err, o.Store.FS.RemoveAll(r.dir))
}

// restore is one under way.
type restore struct {
	target *Target
	opt    RestoreOptions
	// dir holds the files of the parts.
	dir string
	at  Progress
}

func (r *restore) say(doing string, total int) {
	r.at = Progress{Doing: doing, Total: int64(total), Bytes: r.at.Bytes}
	r.moved(0)
}

func (r *restore) moved(files int64) {
	r.at.Done += files
	if r.opt.Progress != nil {
		r.opt.Progress(r.at)
	}
}

// rebuild fetches the parts and makes the new store of them.
func (r *restore) rebuild(ctx context.Context, m *Manifest) (err error) {
	var from []persistence.Source
	defer func() {
		for _, f := range from {
			err = errors.Join(err, f.Store.Close())
		}
	}()
	for i := range m.Parts {
		p := &m.Parts[i]
		if len(p.Groups) == 0 {
			continue // files of messages only
		}
		dir := r.opt.Store.FS.PathJoin(r.dir, fmt.Sprintf("%d", i))
		if err := r.fetch(ctx, p, dir); err != nil {
			return err
		}
		s, err := r.open(dir)
		if err != nil {
			return fmt.Errorf("the files of backup %s are whole, but are no store: %w", m.ID, err)
		}
		source := persistence.Source{Store: s}
		for _, g := range p.Groups {
			source.Groups = append(source.Groups, g.Group)
		}
		from = append(from, source)
	}
	r.say("writing the new store", 0)
	return persistence.Rebuild(ctx, r.opt.Store, from, persistence.Hold{Since: r.opt.Now, Backup: m.ID})
}

// open opens a store for reading.
func (r *restore) open(dir string) (*persistence.Store, error) {
	o := r.opt.Store
	o.Dir, o.ReadOnly, o.Files, o.Groups = dir, true, nil, 0
	return persistence.Open(o)
}

// fetch brings the files of a part's store into dir.
func (r *restore) fetch(ctx context.Context, p *Part, dir string) error {
	fs := r.opt.Store.FS
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r.say("fetching the store", len(p.Files))
	for _, f := range p.Files {
		name, ok := strings.CutPrefix(f.Name, "store/")
		if !ok || name == "" || strings.ContainsAny(name, `/\`) {
			return corrupt(f, "the manifest names a file outside the store")
		}
		dst, err := fs.Create(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		err = r.copy(ctx, f, dst)
		if err = errors.Join(err, dst.Close()); err != nil {
			return err
		}
		r.moved(1)
	}
	return nil
}

// copy writes the content of a file and proves it. Errors name the file.
func (r *restore) copy(ctx context.Context, f File, dst io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	src, err := r.target.get(ctx, f.Object)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	sum := sha256.New()
	// The sum comes first: a vfs.File may change the bytes that it is given.
	n, err := io.Copy(io.MultiWriter(sum, dst), src)
	r.at.Bytes += n
	if err == nil && (n != f.Size || hex.EncodeToString(sum.Sum(nil)) != f.SHA256) {
		err = corrupt(f, "its content is not what the manifest says")
	} else if err != nil {
		err = fmt.Errorf("%s: %w", f.Name, err)
	}
	return errors.Join(err, src.Close())
}

func corrupt(f File, detail string) error {
	return fmt.Errorf("%s: %w", f.Name, chat.E("backup", chat.KindCorrupt, detail, nil))
}

// prove holds the new store against the manifest and its invariants.
func (r *restore) prove(ctx context.Context, m *Manifest) (report persistence.CheckReport, err error) {
	s, err := r.open(r.opt.Store.Dir)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r.say("comparing the state", 0)
	want, err := m.sums()
	if err != nil {
		return report, err
	}
	have, err := s.StateSums(ctx, s.GroupIDs())
	if err != nil {
		return report, err
	}
	for _, g := range s.GroupIDs() {
		if have[g] != want[g] {
			return report, chat.E("backup.Restore", chat.KindCorrupt, fmt.Sprintf("group %d of backup %s is not what it was when the backup was made", g, m.ID), nil)
		}
	}
	if persistence.SumOf(have).String() != m.State {
		return report, chat.E("backup.Restore", chat.KindCorrupt, "the state of backup "+m.ID+" is not what its manifest says", nil)
	}
	r.say("checking every row", 0)
	report, err = s.Check(ctx, func(c persistence.CheckReport) {
		r.at.Done = c.Rows
		r.moved(0)
	})
	if err == nil && report.Broken > 0 {
		err = chat.E("backup.Restore", chat.KindCorrupt, fmt.Sprintf("%d violations; the first is %s", report.Broken, report.Violations[0]), nil)
	}
	return report, err
}

// media brings files of messages to their place. A file that several nodes have is
// the same in each.
func (r *restore) media(ctx context.Context, m *Manifest) error {
	if r.opt.Media == nil {
		return nil
	}
	files := map[string]File{}
	for _, p := range m.Parts {
		for _, f := range p.Media {
			files[f.Name] = f
		}
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	r.say("fetching media", len(names))
	for _, name := range names {
		f := files[name]
		rest, ok := strings.CutPrefix(name, "media/")
		if !ok || rest != path.Clean(rest) || strings.HasPrefix(rest, "../") || strings.HasPrefix(rest, "/") {
			return corrupt(f, "the manifest names a file outside the media")
		}
		if err := r.opt.Media.Put(ctx, rest, func(w io.Writer) error { return r.copy(ctx, f, w) }); err != nil {
			return err
		}
		r.moved(1)
	}
	return nil
}
