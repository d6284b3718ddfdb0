package metasim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// How long Meta keeps things.
const (
	linkLife     = 5 * time.Minute
	webhookLife  = 7 * 24 * time.Hour
	uploadLife   = 30 * 24 * time.Hour
	uploadMax    = 100 << 20
	fileRequests = 4096
)

// FileFault is what goes wrong with one request about a file.
type FileFault string

// The faults.
const (
	FileFaultNone      FileFault = ""
	FileFaultMissing   FileFault = "missing"    // 404, as for a link that has expired
	FileFaultWrongHash FileFault = "wrong_hash" // another file of the same length
	FileFaultTruncated FileFault = "truncated"  // the connection ends in the middle
	FileFaultSlow      FileFault = "slow"       // SlowBy passes before the first byte
	FileFaultRedirect  FileFault = "redirect"   // 302 to Plan.FileRedirect
	FileFaultPage      FileFault = "page"       // an HTML page in place of the file
	FileFaultHuge      FileFault = "huge"       // as many bytes as the client takes
)

// FileRequest is one request about a file: to Graph for its link, or for the file.
type FileRequest struct {
	Time time.Time `json:"time"`
	// Sort is link, file, picture, profile, upload or delete.
	Sort string `json:"sort"`
	// ID is of the media, or of the customer whose profile or picture it is.
	ID string `json:"id"`
	// Attempt counts requests of this sort about it, from 1.
	Attempt int `json:"attempt"`
	// Token tells whether it came with a bearer token.
	Token bool      `json:"token"`
	Fault FileFault `json:"fault,omitempty"`
}

// FileContents is the file of a customer's message: a few KB that depend on the
// message's id alone, begin as a file of the type does, and hold the id in clear.
func FileContents(remote, mimeType string) []byte {
	d := digest(2, "file", remote)
	r := rand.New(rand.NewPCG(uint64(d[0])<<8|uint64(d[1]), uint64(d[2])<<8|uint64(d[3])))
	body := make([]byte, 2000+r.IntN(6000))
	for i := range body {
		body[i] = byte(r.Uint32())
	}
	head := map[string]string{"image/jpeg": "\xff\xd8\xff\xe0\x00\x10JFIF", "image/webp": "RIFF\x00\x00\x00\x00WEBP",
		"video/mp4": "\x00\x00\x00\x18ftypmp42", "audio/mpeg": "ID3\x03", "audio/ogg; codecs=opus": "OggS", "application/pdf": "%PDF-1.7\n"}[mimeType]
	return append(append([]byte(head), "file of "+remote+"\n"...), body...)
}

// storedFile is a file that Meta has.
type storedFile struct {
	id, account, mime string
	body              []byte
	until             time.Time
}

// fileStore is what Meta has, and who asked for it.
type fileStore struct {
	mu sync.Mutex
	// files holds those with an id, links those that a link leads to.
	files map[string]*storedFile
	links map[string]fileLink
	// base is where this server is reached; empty before Start.
	base     string
	attempts map[string]int
	requests []FileRequest
	uploads  int
}

// fileLink is where a link leads, and until when.
type fileLink struct {
	file  *storedFile
	until time.Time
}

func newFileStore() *fileStore {
	return &fileStore{files: map[string]*storedFile{}, links: map[string]fileLink{}, attempts: map[string]int{}}
}

// reached tells where this server is.
func (f *fileStore) reached(base string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.base = base
}

// add makes the files of an update available, and its links lead here.
func (f *fileStore) add(u *Update) {
	mimeType, ok := fileTypes[u.Kind]
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u.files = f.base
	if u.Account.Kind == WhatsApp {
		id := mediaID(u.RemoteID)
		f.files[id] = &storedFile{id: id, account: u.Account.ID, mime: mimeType, body: FileContents(u.RemoteID, mimeType), until: u.At.Add(webhookLife)}
		return
	}
	f.links[linkName(u.RemoteID)] = fileLink{file: &storedFile{id: u.RemoteID, account: u.Account.ID, mime: mimeType, body: FileContents(u.RemoteID, mimeType)}, until: u.At.Add(webhookLife)}
}

// fileTypes are the kinds of updates that come with a file.
var fileTypes = map[UpdateKind]string{
	UpdateImage: "image/jpeg", UpdateVideo: "video/mp4", UpdateAudio: "audio/mpeg", UpdateVoice: "audio/ogg; codecs=opus",
	UpdateDocument: "application/pdf", UpdateSticker: "image/webp",
}

// note counts a request and keeps it.
func (f *fileStore) note(r FileRequest) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := r.Sort + " " + r.ID
	f.attempts[key]++
	r.Attempt = f.attempts[key]
	if f.requests = append(f.requests, r); len(f.requests) > 2*fileRequests {
		f.requests = append([]FileRequest(nil), f.requests[fileRequests:]...)
	}
	return r.Attempt
}

func (f *fileStore) fault(sort, id string, attempt int, fault FileFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.requests {
		if r := &f.requests[i]; r.Sort == sort && r.ID == id && r.Attempt == attempt {
			r.Fault = fault
		}
	}
}

// FileRequests are the latest requests about files, oldest first.
func (s *Server) FileRequests() []FileRequest {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	return append([]FileRequest(nil), s.files.requests...)
}

// Upload is the file behind an id that a client uploaded.
func (s *Server) Upload(id string) (body []byte, mimeType string, found bool) {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	m := s.files.files[id]
	if m == nil {
		return nil, "", false
	}
	return bytes.Clone(m.body), m.mime, true
}

// has reports whether an id ever was one of a file.
func (f *fileStore) has(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files[id] != nil
}

// find returns what an id leads to now.
func (f *fileStore) find(id string, now time.Time) *storedFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.files[id]; m != nil && now.Before(m.until) {
		return m
	}
	return nil
}

// issue makes a link to a file.
func (f *fileStore) issue(m *storedFile, now time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := digest(3, m.id, strconv.Itoa(len(f.links)))
	name := hex.EncodeToString(d[:12])
	f.links[name] = fileLink{m, now.Add(linkLife)}
	return name
}

func (f *fileStore) follow(name string, now time.Time) *storedFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l, ok := f.links[name]; ok && now.Before(l.until) {
		return l.file
	}
	return nil
}

// keep stores an upload and returns its id.
func (f *fileStore) keep(account, mimeType string, body []byte, until time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploads++
	d := digest(4, account, strconv.Itoa(f.uploads))
	id := strconv.Itoa(1_000_000_000_000 + int(d[0])<<24 + int(d[1])<<16 + f.uploads)
	f.files[id] = &storedFile{id: id, account: account, mime: mimeType, body: body, until: until}
	return id
}

func (f *fileStore) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.files, id)
}

// linkName is the path of an Instagram file: mids are not safe in one.
func linkName(remote string) string {
	d := digest(5, "link", remote)
	return hex.EncodeToString(d[:16])
}

// hashOf spells a SHA-256 as webhooks do.
func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}
