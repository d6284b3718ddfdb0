package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/blob"
)

// ImportOptions say where an archive goes.
type ImportOptions struct {
	Directory *persistence.Directory
	// Media takes files of messages; nil leaves them out.
	Media blob.Place
	// Erased are who must not come back, besides those whom the archive says.
	Erased []persistence.Tombstone
}

// Import puts the tenant of a proven archive in place, held: see persistence.Import. It
// may be repeated until it has returned without error. It returns how many persons were
// erased again.
func (a *Archive) Import(ctx context.Context, o ImportOptions) (erased int, err error) {
	state, err := persistence.ParseStateSum(a.End.State)
	if err != nil {
		return 0, a.damaged("the end", err)
	}
	if writes := o.Directory.Format(); a.Manifest.Store > writes {
		return 0, chat.E("backup.Import", chat.KindConflict, fmt.Sprintf("archive %s is of a store of format %d, %d is written here: run chumi cluster finalize, or a node alone without engine.keep_format, first",
			a.name, a.Manifest.Store, writes), nil)
	}
	i, err := o.Directory.Import(ctx, a.Manifest.ID, a.records, a.keys)
	if err != nil {
		return 0, err
	}
	f := arrivingFile{place: o.Media, tenant: a.Manifest.Tenant}
	rows := int64(0)
	err = a.each(ctx, func(p archivePart) error {
		switch p.kind {
		case byte(persistence.PieceRow):
			if rows++; rows%tellEvery == 1 {
				a.say(fmt.Sprintf("writing rows: %d of %d", rows-1, a.End.Rows))
			}
			if i.Whole() {
				return nil
			}
			return i.Put(ctx, p.piece(false))
		case partFile:
			if f.n%100 == 0 {
				a.say(fmt.Sprintf("writing files: %d of %d", f.n, a.End.Files))
			}
			return errors.Join(f.end(), f.begin(ctx, string(p.key)))
		case partContent:
			return f.write(p.value)
		}
		return nil
	})
	if err = errors.Join(err, f.finish(err)); err != nil {
		return 0, err
	}
	a.say("proving what was written")
	return i.Finish(ctx, state, o.Erased)
}

// arrivingFile is the file of messages that comes at the moment.
type arrivingFile struct {
	place  blob.Place
	tenant chat.TenantID
	n      int64
	// in takes the content, done tells what became of it; nil without a file.
	in   *io.PipeWriter
	done chan error
}

func (f *arrivingFile) begin(ctx context.Context, rest string) error {
	f.n++
	name, ok := blob.Named(f.tenant, rest)
	if !ok {
		return chat.E("backup.Import", chat.KindCorrupt, "the archive names a file that is none of a tenant", nil)
	}
	if f.place == nil {
		return nil
	}
	r, w := io.Pipe()
	f.in, f.done = w, make(chan error, 1)
	go func() {
		err := f.place.Put(ctx, name, func(dst io.Writer) error { _, err := io.Copy(dst, r); return err })
		_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		f.done <- err
	}()
	return nil
}

func (f *arrivingFile) write(b []byte) error {
	if f.in == nil {
		return nil
	}
	_, err := f.in.Write(b)
	if err != nil {
		err = chat.E("backup.Import", chat.KindUnavailable, "a file of messages cannot be stored", err)
	}
	return err
}

// end makes the file durable.
func (f *arrivingFile) end() error { return f.finish(nil) }

// finish ends the file: durable, or not at all when there was an error.
func (f *arrivingFile) finish(failed error) error {
	if f.in == nil {
		return nil
	}
	_ = f.in.CloseWithError(failed) // nil is the end
	f.in = nil
	err := <-f.done
	if failed != nil {
		return nil
	}
	return err
}
