package backup

import (
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
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

// archiveFile seals and opens an archive with this first line.
func (k Key) archiveFile(line string) (*seal.File, error) { return k.file("archive\x00" + line) }
