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

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

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
