package backup

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/blob"
)

// ArchiveSource is what an archive is made of.
type ArchiveSource struct {
	Store  *persistence.Store
	Tenant chat.TenantID
	// Media is where files of messages lie; nil leaves them out.
	Media blob.Place
	Made  time.Time
	// Progress may be nil.
	Progress func(Progress)
}

// WriteArchive writes a tenant, as of one moment, to dst. What it wrote is an archive
// only when it returns without error.
func WriteArchive(ctx context.Context, dst io.Writer, k Key, s ArchiveSource) (end ArchiveEnd, err error) {
	line := fmt.Sprintf("%s%d %s\n", archiveMagic, archiveFormat, k.fingerprint)
	file, err := k.archiveFile(line)
	if err != nil {
		return end, err
	}
	if _, err := io.WriteString(dst, line); err != nil {
		return end, err
	}
	sealed, err := file.Seal(dst)
	if err != nil {
		return end, err
	}
	w := archiveWriter{out: bufio.NewWriterSize(sealed, contentLen), tell: s.Progress}
	m := ArchiveManifest{ID: NewID(s.Made), Tenant: s.Tenant, Made: s.Made.UTC(), Store: s.Store.Format()}
	w.json(partManifest, m)
	sum := persistence.NewPieceSum()
	err = s.Store.TenantPieces(ctx, s.Tenant, func(p persistence.Piece) error {
		sum.Add(p)
		w.part(byte(p.Kind), p.Key, p.Value)
		if p.Kind == persistence.PieceRow {
			w.end.Rows++
			w.say(w.end.Rows%tellEvery == 0, "reading the tenant: %d rows", w.end.Rows)
		}
		return w.err
	})
	if err == nil && s.Store.Format() != m.Store {
		err = chat.E("backup.WriteArchive", chat.KindConflict, "the format was finalized meanwhile: export again", nil)
	}
	if err == nil && s.Media != nil {
		err = w.media(ctx, s.Media, s.Tenant)
	}
	if err != nil {
		return end, err
	}
	w.end.State = sum.Sum().String()
	w.json(partEnd, w.end)
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err != nil {
		return end, w.err
	}
	return w.end, sealed.Close()
}

// archiveWriter writes parts. Its first error stays.
type archiveWriter struct {
	out  *bufio.Writer
	tell func(Progress)
	end  ArchiveEnd
	err  error
}

func (w *archiveWriter) say(when bool, doing string, args ...any) {
	if when && w.tell != nil {
		w.tell(Progress{Doing: fmt.Sprintf(doing, args...)})
	}
}

func (w *archiveWriter) part(kind byte, key, value []byte) {
	head := binary.AppendUvarint([]byte{kind}, uint64(len(key)))
	head = binary.AppendUvarint(head, uint64(len(value)))
	for _, b := range [][]byte{head, key, value} {
		if w.err == nil {
			_, w.err = w.out.Write(b)
		}
	}
}

func (w *archiveWriter) json(kind byte, v any) {
	b, err := json.Marshal(v)
	if w.err == nil {
		w.err = err
	}
	w.part(kind, nil, b)
}

// media writes the files of a tenant.
func (w *archiveWriter) media(ctx context.Context, from blob.Place, t chat.TenantID) error {
	prefix := blob.Prefix(t)
	var names []string
	err := from.List(ctx, prefix, func(name string, _ time.Time) error {
		rest := strings.TrimPrefix(name, prefix)
		if _, ok := blob.Named(t, rest); ok {
			names = append(names, rest)
		}
		return nil
	})
	if err != nil {
		return err
	}
	buf := make([]byte, contentLen)
	for n, name := range names {
		w.say(n%100 == 0, "reading files: %d of %d", n, len(names))
		r, err := from.Get(ctx, prefix+name)
		if chat.KindOf(err) == chat.KindNotFound {
			continue // deleted meanwhile, with what it belonged to
		}
		if err != nil {
			return err
		}
		w.part(partFile, []byte(name), nil)
		w.end.Files++
		for err == nil && w.err == nil {
			var got int
			if got, err = io.ReadFull(r, buf); got > 0 {
				w.part(partContent, nil, buf[:got])
			}
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.Join(fmt.Errorf("file %s cannot be read: %w", name, errors.Join(err, w.err)), r.Close())
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return w.err
}
