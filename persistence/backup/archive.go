package backup

import (
	"bufio"
	"bytes"
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
	"github.com/chumiai/chumi/persistence/seal"
)

// An archive is one tenant as one file:
//
//	chumi-archive 1 KEY\n        format, and the fingerprint of the backup key that opens it
//	the rest, sealed             AES-256-GCM in pieces, bound to the line
//
// What is sealed are parts, each of its kind, the lengths of its key and its value as
// varints, and these. In order: one 'm', the manifest as JSON; the tenant's
// persistence.Pieces 'd', 'k' and 'r'; for each file of messages one 'b' with its name
// as key, and its bytes, sealed as they lie in the store, as values of 'c'; one 'e', the
// end as JSON. Nothing follows: a file that is cut has no end.

// archiveFormat numbers what an archive means. A newer one is refused.
const archiveFormat = 1

// archiveMagic begins the first line of an archive.
const archiveMagic = "chumi-archive "

const (
	partManifest = 'm'
	partFile     = 'b'
	partContent  = 'c'
	partEnd      = 'e'

	// archiveLineMax bounds the first line, partMax a key and a value: rows are smaller.
	archiveLineMax = 128
	partMax        = 256 << 20
	contentLen     = 256 << 10
	// tellEvery is how many rows lie between two reports of progress.
	tellEvery = 10_000
)

// ArchiveManifest is what an archive says of itself.
type ArchiveManifest struct {
	ID     string        `json:"id"`
	Tenant chat.TenantID `json:"tenant"`
	Made   time.Time     `json:"made"`
	// Store is the format of the store that its rows are of.
	Store persistence.FormatVersion `json:"store_format"`
}

// ArchiveEnd is what an archive comes to.
type ArchiveEnd struct {
	Rows  int64 `json:"rows"`
	Files int64 `json:"files"`
	// State is the sum of the tenant's pieces.
	State string `json:"state"`
}

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

// archiveFile seals and opens an archive with this first line.
func (k Key) archiveFile(line string) (*seal.File, error) { return k.file("archive\x00" + line) }

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

// Archive is an archive that is open for reading.
type Archive struct {
	Manifest ArchiveManifest
	End      ArchiveEnd
	name     string
	key      Key
	src      io.ReadSeeker
	records  []persistence.Piece
	keys     []byte
	tell     func(Progress)
}

// OpenArchive reads an archive to its end and proves all of it. Errors name it, and the
// part that is not what it was. progress may be nil.
func OpenArchive(ctx context.Context, src io.ReadSeeker, name string, k Key, progress func(Progress)) (*Archive, error) {
	a := &Archive{name: name, key: k, src: src, tell: progress}
	sum := persistence.NewPieceSum()
	var rows, files int64
	a.say("proving the archive")
	err := a.each(ctx, func(p archivePart) error {
		switch p.kind {
		case partManifest:
			return a.manifest(p.value)
		case partFile:
			files++
		case partEnd:
			return json.Unmarshal(p.value, &a.End)
		case byte(persistence.PieceRecord):
			a.records = append(a.records, p.piece(true))
		case byte(persistence.PieceKeys):
			a.keys = bytes.Clone(p.value)
		case byte(persistence.PieceRow):
			if rows++; rows%tellEvery == 0 {
				a.say(fmt.Sprintf("proving the archive: %d rows", rows))
			}
		}
		if p.kind != partFile && p.kind != partContent {
			sum.Add(p.piece(false))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if have := (ArchiveEnd{rows, files, sum.Sum().String()}); have != a.End {
		return nil, a.damaged("the end", fmt.Errorf("%d rows, %d files and state %s were read, its end says %d, %d and %s",
			have.Rows, have.Files, have.State, a.End.Rows, a.End.Files, a.End.State))
	}
	return a, nil
}

func (a *Archive) say(doing string) {
	if a.tell != nil {
		a.tell(Progress{Doing: doing})
	}
}

func (a *Archive) manifest(b []byte) error {
	if err := json.Unmarshal(b, &a.Manifest); err != nil {
		return err
	}
	if a.Manifest.Store > persistence.FormatNewest {
		return chat.E("backup.OpenArchive", chat.KindInvalid, fmt.Sprintf("archive %s is of a store of format %d, this binary knows up to %d: import it with the newer binary that made it",
			a.name, a.Manifest.Store, persistence.FormatNewest), nil)
	}
	return nil
}

// damaged says that a part of the archive is not what was written.
func (a *Archive) damaged(part string, err error) error {
	return chat.E("backup.OpenArchive", chat.KindCorrupt, "archive "+a.name+" is damaged or cut at "+part+"; nothing was written", err)
}

// archivePart is a part of an archive. Key and value are valid until the next.
type archivePart struct {
	kind       byte
	key, value []byte
}

func (p *archivePart) piece(kept bool) persistence.Piece {
	piece := persistence.Piece{Kind: persistence.PieceKind(p.kind), Key: p.key, Value: p.value}
	if kept {
		piece.Key, piece.Value = bytes.Clone(p.key), bytes.Clone(p.value)
	}
	return piece
}

// each reads the archive from its begin to its end, whose parts must be in order.
func (a *Archive) each(ctx context.Context, yield func(archivePart) error) error {
	if _, err := a.src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in, err := a.open()
	if err != nil {
		return err
	}
	r := archiveReader{in: in}
	for n := int64(0); ; n++ {
		if n%tellEvery == 0 && ctx.Err() != nil {
			return chat.E("backup.Archive", chat.KindUnavailable, "the caller gave up", context.Cause(ctx))
		}
		p, err := r.next()
		if errors.Is(err, io.EOF) && r.last == partEnd {
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return a.damaged(r.where(), err)
		}
		switch err := yield(p); {
		case err == nil:
		case chat.KindOf(err) == chat.KindOther:
			return a.damaged(r.where(), err)
		default:
			return err
		}
	}
}

// open reads the first line and opens what follows it.
func (a *Archive) open() (*bufio.Reader, error) {
	const op = "backup.OpenArchive"
	raw := bufio.NewReaderSize(a.src, archiveLineMax)
	line, err := raw.ReadSlice('\n')
	var format int
	var key string
	if n, scanned := fmt.Sscanf(string(line), archiveMagic+"%d %s\n", &format, &key); err != nil || scanned != nil || n != 2 {
		return nil, chat.E(op, chat.KindCorrupt, a.name+" is not an archive of a tenant, or its first line is damaged; nothing was written", nil)
	}
	if format > archiveFormat {
		return nil, chat.E(op, chat.KindInvalid, fmt.Sprintf("archive %s has format %d, this binary knows up to %d", a.name, format, archiveFormat), nil)
	}
	if key != a.key.fingerprint {
		return nil, chat.E(op, chat.KindInvalid, "archive "+a.name+" is sealed with key "+key+", the key given leads to "+a.key.fingerprint+
			": name the file that it was made with (--key-file)", nil)
	}
	file, err := a.key.archiveFile(string(line))
	if err != nil {
		return nil, err
	}
	plain, err := file.Open(raw)
	if err != nil {
		return nil, a.damaged("the first line", err)
	}
	return bufio.NewReaderSize(plain, contentLen), nil
}

// archiveReader reads parts.
type archiveReader struct {
	in   *bufio.Reader
	last byte
	rows int64
	file string
	buf  []byte
}

// where names what is being read.
func (r *archiveReader) where() string {
	switch r.last {
	case 0, partManifest:
		return "the manifest"
	case byte(persistence.PieceRecord):
		return "the directory records"
	case byte(persistence.PieceKeys):
		return "the keys"
	case byte(persistence.PieceRow):
		return fmt.Sprintf("row %d", r.rows)
	case partEnd:
		return "the end"
	}
	return "file " + r.file
}

// follows are the kinds that may come after one.
var follows = map[byte]string{0: "m", 'm': "d", 'd': "dk", 'k': "rbe", 'r': "rbe", 'b': "bce", 'c': "bce"}

// next reads a part; io.EOF only between two.
func (r *archiveReader) next() (p archivePart, err error) {
	kind, err := r.in.ReadByte()
	if err != nil {
		return p, err
	}
	if !strings.ContainsRune(follows[r.last], rune(kind)) {
		return p, errors.New("a part is not where it belongs")
	}
	r.last = kind
	if kind == byte(persistence.PieceRow) {
		r.rows++
	}
	var lengths [2]uint64
	for i := range lengths {
		if lengths[i], err = binary.ReadUvarint(r.in); err == nil && lengths[i] > partMax {
			err = errors.New("a part is too long")
		}
		if err != nil {
			return p, unexpected(err)
		}
	}
	if need := int(lengths[0] + lengths[1]); need > cap(r.buf) {
		r.buf = make([]byte, need)
	}
	b := r.buf[:lengths[0]+lengths[1]]
	if _, err := io.ReadFull(r.in, b); err != nil {
		return p, unexpected(err)
	}
	p = archivePart{kind, b[:lengths[0]], b[lengths[0]:]}
	if kind == partFile {
		r.file = string(p.key)
	}
	return p, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

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
