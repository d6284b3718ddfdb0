package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle/noncebased"

	"github.com/chumiai/chumi/chat"
)

// plainLen is what a whole piece holds.
const plainLen = segmentLen - subtle.AESGCMHKDFTagSizeInBytes

// OpenAt is Open for a reader that begins at an offset: it reads the head of the file
// and goes on at the piece in which the offset lies. What comes out is proven piece by
// piece, and at the end of the file that this is its end. An offset behind that end is
// corruption.
func (f *File) OpenAt(src io.ReadSeeker, offset int64) (io.Reader, error) {
	if offset <= 0 {
		return f.Open(src)
	}
	in := &source{r: src}
	head := make([]byte, f.aead.HeaderLength())
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, in.blame(err)
	}
	if head[0] != byte(len(head)) {
		return nil, in.blame(nil)
	}
	salt, prefix := head[1:1+KeyLen], head[1+KeyLen:]
	key, err := hkdf.Key(sha256.New, f.key, salt, string(f.ad), KeyLen)
	if err != nil {
		return nil, in.blame(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, in.blame(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, in.blame(err)
	}
	// The head takes room from the first piece.
	piece, skip := (offset+int64(len(head)))/plainLen, (offset+int64(len(head)))%plainLen
	first := 0
	if piece == 0 {
		first, skip = len(head), offset
	} else if _, err := src.Seek(piece*segmentLen, io.SeekStart); errors.Is(err, io.EOF) {
		return nil, in.blame(err)
	} else if err != nil {
		return nil, err
	}
	r, err := noncebased.NewReader(noncebased.ReaderParams{R: in, SegmentDecrypter: later{gcm, uint32(piece)}, // #nosec G115 -- 2^32 pieces are 256 TB
		NonceSize: subtle.AESGCMHKDFNonceSizeInBytes, NoncePrefix: prefix, CiphertextSegmentSize: segmentLen, FirstCiphertextSegmentOffset: first})
	if err != nil {
		return nil, in.blame(err)
	}
	plain := &plainReader{in: in, r: r}
	if _, err := io.CopyN(io.Discard, plain, skip); err != nil {
		if chat.KindOf(err) == chat.KindCorrupt || in.failed != nil {
			return nil, err
		}
		return nil, in.blame(err)
	}
	return plain, nil
}

// later opens pieces for a reader that believes to begin with the first.
type later struct {
	aead cipher.AEAD
	// piece is the number of the one it begins with.
	piece uint32
}

// DecryptSegment opens one piece. A nonce is prefix, number, and whether it is the last.
func (l later) DecryptSegment(piece, nonce []byte) ([]byte, error) {
	number := nonce[subtle.AESGCMHKDFNoncePrefixSizeInBytes:]
	binary.BigEndian.PutUint32(number, binary.BigEndian.Uint32(number)+l.piece)
	return l.aead.Open(nil, nonce, piece, nil)
}
