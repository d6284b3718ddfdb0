package actors

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/chumiai/chumi/chat"
)

// Library gives and takes files for those who may: API clients and senders. Safe
// for concurrent use. Errors are *chat.Error; the reason of a KindNotFound is
// "media_not_found", or "media_elsewhere" for a file whose bytes are not here.
type Library struct {
	sys *System

	mu sync.Mutex // guards lending
	// lending holds the uploads to Meta that are under way, so that a hundred
	// messages with one picture upload it once.
	lending map[lendKey]*lend
}

type lendKey struct {
	channel chat.ChannelID
	blob    chat.BlobID
}

// lend is an upload under way; id and err are set when done is closed.
type lend struct {
	done chan struct{}
	id   string
	err  error
}

// Library returns the files of the node. REQUIRES: Options.Files is set.
func (s *System) Library() *Library { return s.library }

var (
	errNoFile    = chat.E("library", chat.KindNotFound, "media_not_found", nil)
	errFileGone  = chat.E("library", chat.KindNotFound, "media_elsewhere", nil)
	uploadWords  = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	errReusedKey = chat.E("library", chat.KindConflict, "idempotency_key_reused", nil)
)

// Info describes a file of a tenant, without a look at its bytes. id is that of a
// message, whose file index is meant, or of the file itself.
func (l *Library) Info(t chat.TenantID, id string, index int) (chat.FileInfo, error) {
	info, _, err := l.find(t, id, index)
	return info, err
}

// File opens a file, see Info, at an offset within it. The caller closes the body; it
// proves itself while it is read.
func (l *Library) File(ctx context.Context, t chat.TenantID, id string, index int, from int64) (io.ReadCloser, chat.FileInfo, error) {
	info, key, err := l.find(t, id, index)
	if err != nil {
		return nil, info, err
	}
	body, err := l.sys.opt.Opener.Open(ctx, t, info.Blob, key, from)
	if chat.KindOf(err) == chat.KindNotFound {
		err = errFileGone
	}
	return body, info, err
}

// find is what the tenant stores of a file, with the key that opens it.
func (l *Library) find(t chat.TenantID, id string, index int) (chat.FileInfo, []byte, error) {
	if _, _, ok := chat.MessageID(id).Parse(); ok {
		return l.ofMessage(t, chat.MessageID(id), func(f chat.FileAt) bool { return f.Index == index })
	}
	b := chat.BlobID(id)
	if m, _, ok := b.Message(); ok {
		return l.ofMessage(t, m, func(f chat.FileAt) bool { return f.Blob == b })
	}
	owner, ok := b.Owner()
	if !ok {
		return chat.FileInfo{}, nil, errNoFile
	}
	u, found, err := l.upload(t, owner)
	switch {
	case err != nil:
		return chat.FileInfo{}, nil, err
	case found && u.Blob == b:
		return chat.FileInfo{Blob: b, MIME: u.MIME, Filename: u.Filename, Size: u.Size, SHA256: u.SHA256}, u.Key, nil
	}
	return l.picture(t, chat.ContactIDFrom(owner), b)
}

// ofMessage is one of a message's files.
func (l *Library) ofMessage(t chat.TenantID, m chat.MessageID, which func(chat.FileAt) bool) (info chat.FileInfo, key []byte, err error) {
	value, found, err := l.sys.opt.Documents.Doc(t, chat.DocFiles, string(m))
	if err != nil {
		return info, nil, err
	}
	var files chat.MessageFiles
	if !found || json.Unmarshal(value, &files) != nil {
		return info, nil, errNoFile
	}
	c, _, _ := m.Parse()
	for _, f := range files.Files {
		if !which(f) {
			continue
		}
		events, err := l.sys.opt.Journal.Events(t, c, f.Seq-1, 1)
		if err != nil {
			return info, nil, err
		}
		if len(events) == 0 || events[0].Media == nil || events[0].Media.Key == nil {
			return info, nil, errNoFile
		}
		r := events[0].Media
		return chat.FileInfo{Blob: f.Blob, MIME: r.MIME, Filename: r.Filename, Size: r.Size, SHA256: r.SHA256}, r.Key, nil
	}
	return info, nil, errNoFile
}

// picture is the profile picture of a contact.
func (l *Library) picture(t chat.TenantID, id chat.ContactID, b chat.BlobID) (chat.FileInfo, []byte, error) {
	c, err := l.sys.opt.Contacts.Contact(t, id)
	switch {
	case chat.KindOf(err) == chat.KindNotFound:
		return chat.FileInfo{}, nil, errNoFile
	case err != nil:
		return chat.FileInfo{}, nil, err
	case c.Profile == nil || c.Profile.Picture != string(b):
		return chat.FileInfo{}, nil, errNoFile
	}
	return chat.FileInfo{Blob: b, MIME: c.Profile.PictureType}, c.Profile.PictureKey, nil
}

func (l *Library) upload(t chat.TenantID, owner string) (u chat.Upload, found bool, err error) {
	value, found, err := l.sys.opt.Documents.Doc(t, chat.DocUpload, owner)
	if err != nil || !found {
		return u, false, err
	}
	if json.Unmarshal(value, &u) != nil {
		return u, false, chat.E("library", chat.KindCorrupt, "an upload is unreadable", nil)
	}
	return u, true, nil
}

// Upload stores a file that a client wants to send, sealed with the tenant's key.
// The same key with the same file gives the first one again, with replayed true;
// with another file it is KindConflict.
func (l *Library) Upload(ctx context.Context, t chat.TenantID, key string, info chat.FileInfo, body io.Reader) (u chat.Upload, replayed bool, err error) {
	if !l.sys.asking.enter() {
		return u, false, errDraining
	}
	defer l.sys.asking.leave()
	sum := sha256.Sum256([]byte("upload\x00" + string(t) + "\x00" + key))
	return l.store(ctx, t, uploadWords.EncodeToString(sum[:16]), info, body)
}

// store keeps a file under an owner, whose first file counts.
func (l *Library) store(ctx context.Context, t chat.TenantID, owner string, info chat.FileInfo, body io.Reader) (u chat.Upload, replayed bool, err error) {
	kept, err := l.sys.opt.Files.Keep(ctx, t, chat.UploadStem(chat.UploadIDFrom(owner)), body)
	if err != nil {
		return u, false, err
	}
	group := l.sys.opt.Leadership.Group(t)
	u = chat.Upload{Blob: kept.Blob, Key: kept.Key, Size: kept.Size, SHA256: kept.SHA256, MIME: info.MIME, Filename: info.Filename,
		At: l.sys.core.now(group)}
	a := l.sys.ask(ctx, &mail{tenant: t, group: group, items: []item{{fact: chat.FileUploaded{Upload: u}}}})
	if a.err != nil {
		// It may be stored all the same: the sweep finds out.
		return u, false, a.err
	}
	if a.verdicts[0].Kind != chat.VerdictDuplicate {
		return u, false, nil
	}
	l.sys.files.drop(t, string(kept.Blob))
	first, found, err := l.upload(t, owner)
	switch {
	case err != nil:
		return u, false, err
	case !found || !first.Same(&u):
		return u, false, errReusedKey
	}
	return first, true, nil
}

// MediaID implements Uploads.
func (l *Library) MediaID(ctx context.Context, ch chat.Channel, blob string) (string, error) {
	b := chat.BlobID(blob)
	owner, ok := b.Owner()
	if !ok {
		return "", errNoFile
	}
	key := lendKey{ch.ID, b}
	l.mu.Lock()
	one, under := l.lending[key]
	if !under {
		one = &lend{done: make(chan struct{})}
		l.lending[key] = one
	}
	l.mu.Unlock()
	if under {
		select {
		case <-one.done:
			return one.id, one.err
		case <-ctx.Done():
			return "", chat.E("library", chat.KindUnavailable, "the upload is under way", context.Cause(ctx))
		}
	}
	one.id, one.err = l.lend(ctx, ch, b, owner)
	l.mu.Lock()
	delete(l.lending, key)
	l.mu.Unlock()
	close(one.done)
	return one.id, one.err
}

// lend returns the id Meta has a file under for a channel, or gives it the file.
func (l *Library) lend(ctx context.Context, ch chat.Channel, b chat.BlobID, owner string) (string, error) {
	u, found, err := l.upload(ch.Tenant, owner)
	switch {
	case err != nil:
		return "", err
	case !found || u.Blob != b:
		return "", errNoFile
	}
	group := l.sys.opt.Leadership.Group(ch.Tenant)
	if id := u.Usable(ch.ID, l.sys.core.now(group)); id != "" {
		return id, nil
	}
	body, err := l.sys.opt.Opener.Open(ctx, ch.Tenant, b, u.Key, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	id, err := l.sys.opt.Media.UploadMedia(ctx, ch, u.MIME, u.Filename, u.Size, body)
	if err != nil {
		kind := chat.KindUnavailable
		var told *chat.MediaError
		if errors.As(err, &told) && told.Permanent {
			kind = chat.KindInvalid
		}
		return "", chat.E("library", kind, "the file was not given to Meta", err)
	}
	lent := chat.FileLent{Blob: b, Channel: ch.ID, Remote: chat.RemoteFile{ID: id, Until: l.sys.core.now(group).Add(chat.UploadLife)}}
	// The id is good whether or not it is remembered.
	if a := l.sys.ask(ctx, &mail{tenant: ch.Tenant, group: group, items: []item{{fact: lent}}}); a.err != nil {
		l.sys.opt.Logger.Warn("an upload will be made again", "tenant", ch.Tenant, "channel", ch.ID, "err", a.err)
	}
	return id, nil
}
