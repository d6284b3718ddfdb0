package seal

import (
	"errors"
	"io"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"github.com/chumiai/chumi/chat"
)

// segmentLen is the length of one encrypted piece of a file. A reader holds one
// piece, and nothing of a piece comes out before all of it is proven. Stored:
// it is part of the format of files and never changes.
const segmentLen = 64 << 10

// File seals and opens one file with a key of its own. The file is AES-256-GCM
// in pieces whose order, number and last one are proven, bound to ad.
type File struct {
	aead *subtle.AESGCMHKDF
	key  []byte
	ad   []byte
}

// NewFile returns the file that key opens, at the place ad. Neither is kept by
// the caller's memory: both are copied.
func NewFile(key, ad []byte) (*File, error) {
	if len(key) != KeyLen {
		return nil, chat.E("seal.NewFile", chat.KindCorrupt, "a file's key has the wrong length", nil)
	}
	key = append([]byte(nil), key...)
	aead, err := subtle.NewAESGCMHKDF(key, "SHA256", KeyLen, segmentLen, 0)
	if err != nil {
		return nil, chat.E("seal.NewFile", chat.KindCorrupt, "a file's key is not usable", err)
	}
	return &File{aead: aead, key: key, ad: append([]byte(nil), ad...)}, nil
}

// Seal returns a writer that seals what is written to it into dst. Only Close
// makes the file whole; it does not close dst.
func (f *File) Seal(dst io.Writer) (io.WriteCloser, error) {
	w, err := f.aead.NewEncryptingWriter(dst, f.ad)
	if err != nil {
		return nil, chat.E("seal.File", chat.KindOther, "cannot begin a sealed file", err)
	}
	return w, nil
}

// Open returns a reader of the plain file. An error other than io.EOF is
// KindCorrupt when the bytes are not what was sealed, here and for this place:
// what was read before it is proven, but the file is not whole.
func (f *File) Open(src io.Reader) (io.Reader, error) {
	in := &source{r: src}
	r, err := f.aead.NewDecryptingReader(in, f.ad)
	if err != nil {
		return nil, in.blame(err)
	}
	return &plainReader{in: in, r: r}, nil
}

// plainReader gives errors of the source as they are and all others as corruption.
type plainReader struct {
	in *source
	r  io.Reader
}

// Read implements io.Reader.
func (p *plainReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = p.in.blame(err)
	}
	return n, err
}

// source remembers whether reading the sealed bytes failed.
type source struct {
	r      io.Reader
	failed error
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	return n, err
}

func (s *source) blame(err error) error {
	if s.failed != nil {
		return s.failed
	}
	return chat.E("seal.File", chat.KindCorrupt, "a sealed file does not open with this key and place", err)
}
