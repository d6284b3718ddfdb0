package chat

import (
	"strconv"
	"strings"
)

// BlobID names a stored file of a tenant. It says what the file is kept for, so
// that a file nobody refers to any more can be recognised by its name alone:
//
//	blob_ conv26 _ seq _ index _ random     a file of the message at seq
//	blob_ contact26 _ random                the picture of a contact
//	blob_ upload26 _ random                 a file a client uploaded, to send
//
// conv26, contact26 and upload26 are the 26 characters of an id without its
// prefix. A name never depends on the content: equal files have different names.
type BlobID string

const (
	blobPrefix   = "blob_"
	uploadPrefix = "upload_"
	// contactPrefix is the form of a ContactID.
	contactPrefix = "ct_"
)

// BlobRandomLen is the length of the random end of a BlobID.
const BlobRandomLen = 13

// UploadID names what a client uploaded: upload_ and 26 base32 characters.
type UploadID string

// BlobStem is the part of a BlobID before its random end: what the file is for.
// All files of one purpose share it.
type BlobStem string

// MediaStem is the stem of one file of a message. ok is false for an id that
// this engine did not make.
func MediaStem(m MessageID, index int) (stem BlobStem, ok bool) {
	c, seq, ok := m.Parse()
	if !ok || index < 0 {
		return "", false
	}
	return BlobStem(blobPrefix + c.Body() + "_" + strconv.FormatUint(uint64(seq), 10) + "_" + strconv.Itoa(index)), true
}

// PictureStem is the stem of a contact's picture.
func PictureStem(c ContactID) BlobStem {
	return BlobStem(blobPrefix + strings.TrimPrefix(string(c), contactPrefix))
}

// UploadStem is the stem of an uploaded file.
func UploadStem(u UploadID) BlobStem {
	return BlobStem(blobPrefix + strings.TrimPrefix(string(u), uploadPrefix))
}

// UploadIDFrom builds the id of an upload from its 26-character body.
func UploadIDFrom(body string) UploadID { return UploadID(uploadPrefix + body) }

// Named is a BlobID of the stem. REQUIRES: random has BlobRandomLen characters.
func (s BlobStem) Named(random string) BlobID { return BlobID(string(s) + "_" + random) }

// Prefix begins the name of every file of the stem and of no other.
func (s BlobStem) Prefix() string { return string(s) + "_" }

// MessagePrefix begins the name of every file of a message.
func MessagePrefix(m MessageID) (prefix string, ok bool) {
	stem, ok := MediaStem(m, 0)
	return strings.TrimSuffix(string(stem), "0"), ok
}

// OwnerPrefix begins the name of every file of a conversation, or of a contact.
func OwnerPrefix[T ConversationID | ContactID](id T) string {
	_, body, _ := strings.Cut(string(id), "_")
	return blobPrefix + body + "_"
}

// Stem is the id without its random end; ok is false for what is no BlobID.
func (b BlobID) Stem() (stem BlobStem, ok bool) {
	at := strings.LastIndexByte(string(b), '_')
	if at < len(blobPrefix)+idBodyLen || len(b)-at-1 != BlobRandomLen || !strings.HasPrefix(string(b), blobPrefix) {
		return "", false
	}
	for _, r := range b[len(blobPrefix):] {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return "", false
		}
	}
	return BlobStem(b[:at]), true
}

// Message is the message a file belongs to, and its number among that message's
// files; ok is false for files of other purposes.
func (b BlobID) Message() (m MessageID, index int, ok bool) {
	stem, ok := b.Stem()
	if !ok {
		return "", 0, false
	}
	rest := string(stem[len(blobPrefix):])
	at := strings.LastIndexByte(rest, '_')
	if at < idBodyLen {
		return "", 0, false
	}
	index, err := strconv.Atoi(rest[at+1:])
	m = MessageID(messagePrefix + rest[:at])
	_, _, made := m.Parse()
	if again, same := MediaStem(m, index); err != nil || !made || !same || again != stem {
		return "", 0, false
	}
	return m, index, true
}

// Owner is the 26 characters of the contact or upload that a file belongs to;
// ok is false for files of messages.
func (b BlobID) Owner() (body string, ok bool) {
	stem, ok := b.Stem()
	if !ok || len(stem) != len(blobPrefix)+idBodyLen {
		return "", false
	}
	return string(stem[len(blobPrefix):]), true
}

// ContactIDFrom builds a contact id from its 26-character body.
func ContactIDFrom(body string) ContactID { return ContactID(contactPrefix + body) }

// Kept is a file that was stored.
type Kept struct {
	Blob BlobID
	// Key opens it, and is stored nowhere else.
	Key []byte
	// Size is in bytes, SHA256 of the plain file in hex.
	Size   int64
	SHA256 string
}
