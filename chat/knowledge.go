package chat

import (
	"strings"
	"time"
)

// Limits of a tenant's knowledge. Each is refused with its word, never cut.
const (
	// SourcesMax bounds the sources of a tenant.
	SourcesMax = 500
	// SourceChunksMax bounds the chunks of a source, some 2,000 printed pages.
	SourceChunksMax = 5_000
	// KnowledgeChunksMax bounds those of a tenant: a search looks at each, and its
	// index lies in memory.
	KnowledgeChunksMax = 20_000
	// SourceTextMax bounds the text of a source, in bytes, however large its file.
	SourceTextMax = 8 << 20
	// SourceTitleMax bounds a title, in bytes.
	SourceTitleMax = 200
	// SearchMax bounds the passages that one search returns, QueryMax the bytes of
	// what is searched for.
	SearchMax = 50
	QueryMax  = 4 << 10
	// ChunksPerCommit keeps a commit of chunks far below a frame of the cluster, and
	// VectorsPerBatch one of vectors: 3,072 dimensions are 16 KB each.
	ChunksPerCommit = 64
	VectorsPerBatch = 8
	// VectorDimsMax bounds the length of a vector.
	VectorDimsMax = 4096
)

// SourceID names a source of knowledge: src_ and 26 base32 characters.
type SourceID string

const sourcePrefix = "src_"

// SourceIDFrom builds a source id from its 26-character body.
func SourceIDFrom(body string) SourceID { return SourceID(sourcePrefix + body) }

// Body is the id without its prefix; ok is false for what is no SourceID.
func (s SourceID) Body() (body string, ok bool) {
	body, ok = strings.CutPrefix(string(s), sourcePrefix)
	return body, ok && len(body) == idBodyLen
}

// SourceKind tells where the text of a source comes from.
type SourceKind string

// The kinds of sources.
const (
	SourceText    SourceKind = "text"
	SourceFile    SourceKind = "file"
	SourceWebsite SourceKind = "website"
)

// SourceState tells what is being done with a source. What is not at rest is owed:
// whoever leads the tenant's group goes on with it.
type SourceState string

// The states of a source.
const (
	// SourceWaiting owes everything: extraction, chunks, then vectors.
	SourceWaiting SourceState = "waiting"
	// SourceEmbedding is searched by words already and owes vectors.
	SourceEmbedding SourceState = "embedding"
	SourceReady     SourceState = "ready"
	// SourceFailed could not be read; what it held before is searched on.
	SourceFailed SourceState = "failed"
)

// Source is something the business said about itself: a text, a file, a website. It
// is a document of the tenant, by its id.
type Source struct {
	ID    SourceID   `json:"id"`
	Kind  SourceKind `json:"kind"`
	Title string     `json:"title"`
	// URL is of a website, PagesMax how many of its pages are read.
	URL      string `json:"url,omitempty"`
	PagesMax int    `json:"pages_max,omitempty"`
	// Blob is the text or file as it was given, Key opens it; never shown.
	Blob     BlobID `json:"blob,omitempty"`
	Key      []byte `json:"key,omitempty"`
	MIME     string `json:"mime_type,omitempty"`
	Filename string `json:"filename,omitempty"`
	Size     int64  `json:"size,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	// Revision counts what was given, from 1; Live is the revision whose chunks are
	// searched, 0 for none.
	Revision int `json:"revision"`
	Live     int `json:"live"`
	// Next numbers the next chunk that is new; a number is used once.
	Next int `json:"next,omitempty"`
	// Turn counts the changes of this document: a change names the one it was made on.
	Turn  int64       `json:"turn"`
	State SourceState `json:"state"`
	// Reason is why it failed, or why it waits, in a word.
	Reason string `json:"reason,omitempty"`
	// Pages were read; Chunks are all of the revision under way or done, Stored those
	// written, Embedded those with a vector of Model.
	Pages    int    `json:"pages,omitempty"`
	Chunks   int    `json:"chunks"`
	Stored   int    `json:"stored"`
	Embedded int    `json:"embedded"`
	Model    string `json:"model,omitempty"`
	Dims     int    `json:"dims,omitempty"`
	// Created and Changed are when it was first given and last changed.
	Created time.Time `json:"created_at"`
	Changed time.Time `json:"changed_at"`
}

// Given is what a source is made of.
type Given struct {
	Kind  SourceKind
	Title string
	// URL and PagesMax are of a website.
	URL      string
	PagesMax int
	// Body is the text or file, MIME and Filename what the client says of it.
	Body           []byte
	MIME, Filename string
}

// Excerpt is a part of a source's text under one title, as extraction found it.
type Excerpt struct {
	// Title is the path of headings, joined by " > ".
	Title string
	// URL is of the page, for a website.
	URL  string
	Text string
}

// Chunk is a piece of a source's text. It is a document of the tenant, by Key, and
// never changes: other text is another version.
type Chunk struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	// Source it is of, and the revision it came with.
	Source   SourceID `json:"source"`
	Revision int      `json:"revision"`
	Title    string   `json:"title,omitempty"`
	URL      string   `json:"url,omitempty"`
	// Language is what it seems to be written in: "en", "de", "es", "pt" or "".
	Language string `json:"language,omitempty"`
	Text     string `json:"text"`
}

// Key is the id of the chunk's document.
func (c *Chunk) Key() string { return ChunkKey(c.ID, c.Version) }

// Content is what is embedded and searched: the text under its title.
func (c *Chunk) Content() string {
	if c.Title == "" {
		return c.Text
	}
	return c.Title + "\n" + c.Text
}

// VectorBatch are the vectors of some chunks of a source. It is a document of the
// tenant, by Key.
type VectorBatch struct {
	Source SourceID `json:"source"`
	// Model made them, each of Dims numbers.
	Model string `json:"model"`
	Dims  int    `json:"dims"`
	// Chunks are their keys; Data holds their numbers one after another, as
	// little-endian float32.
	Chunks []string `json:"chunks"`
	Data   []byte   `json:"data"`
}

// Key is the id of the batch's document.
func (b *VectorBatch) Key() string {
	if len(b.Chunks) == 0 {
		return ""
	}
	return b.Chunks[0]
}

// KnowledgeHead changes whenever what is searched changes. It is a document of the
// tenant, of the noun of sources, by the empty id.
type KnowledgeHead struct {
	Turn int64 `json:"turn"`
}
