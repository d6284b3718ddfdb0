package chat

import (
	"encoding/json"
	"time"
)

// UploadLife is how long Meta keeps what was uploaded, UploadRenew how long before
// its end it is uploaded again: a message that waits must not outlive its file.
const (
	UploadLife  = 30 * 24 * time.Hour
	UploadRenew = 3 * 24 * time.Hour
)

// Upload is a file that a client gave the engine, to send. It is a document of the
// tenant, by the owner of its BlobID.
type Upload struct {
	Blob BlobID `json:"blob"`
	// Key opens the file; never shown.
	Key []byte `json:"key"`
	// Size is in bytes, SHA256 of the plain file in hex.
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256"`
	MIME     string    `json:"mime_type"`
	Filename string    `json:"filename,omitempty"`
	At       time.Time `json:"at"`
	// Remote are the ids Meta has it under, by channel.
	Remote map[ChannelID]RemoteFile `json:"remote,omitempty"`
}

// RemoteFile is a file that Meta has for one channel.
type RemoteFile struct {
	ID string `json:"id"`
	// Until is when Meta forgets it.
	Until time.Time `json:"until"`
}

// Usable is the id a channel may send the file by at now; empty when there is none
// that lives long enough.
func (u *Upload) Usable(ch ChannelID, now time.Time) string {
	if r := u.Remote[ch]; now.Add(UploadRenew).Before(r.Until) {
		return r.ID
	}
	return ""
}

// Same reports whether two uploads are of the same file, under the same name.
func (u *Upload) Same(other *Upload) bool {
	return u.SHA256 == other.SHA256 && u.MIME == other.MIME && u.Filename == other.Filename
}

// FileInfo describes a stored file to whoever reads it.
type FileInfo struct {
	Blob     BlobID
	MIME     string
	Filename string
	Size     int64
	SHA256   string
}

// FileUploaded is a file that a client gave the engine and that is stored. The first
// with its owner counts: another is a duplicate, and not kept.
type FileUploaded struct{ Upload Upload }

// FileLent is an upload that Meta has got for a channel.
type FileLent struct {
	Blob    BlobID
	Channel ChannelID
	Remote  RemoteFile
}

func (FileUploaded) fact() {}
func (FileLent) fact()     {}

func (p *step) fileUploaded(f FileUploaded) {
	if _, found := p.upload(); found {
		p.duplicate()
		return
	}
	p.keepUpload(f.Upload)
}

func (p *step) fileLent(f FileLent) {
	u, found := p.upload()
	if !found || u.Blob != f.Blob {
		p.refuse("no_such_file")
		return
	}
	if u.Remote == nil {
		u.Remote = make(map[ChannelID]RemoteFile, 1)
	}
	u.Remote[f.Channel] = f.Remote
	p.keepUpload(u)
}

// upload is the upload that the fact is about.
func (p *step) upload() (u Upload, found bool) {
	for _, d := range p.in.Known.Docs {
		if d.Noun == DocUpload && d.Value != nil {
			return u, json.Unmarshal(d.Value, &u) == nil
		}
	}
	return u, false
}

func (p *step) keepUpload(u Upload) {
	owner, ok := u.Blob.Owner()
	value, err := json.Marshal(u)
	if !ok || err != nil {
		p.refuse("no_such_file")
		return
	}
	p.d.Docs = append(p.d.Docs, Doc{Noun: DocUpload, ID: owner, Value: value})
}
