package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

const (
	// DefaultUploadMax is the largest file that is taken, in bytes: it is in memory
	// while it arrives. WhatsApp takes documents of up to 100 MB.
	DefaultUploadMax = 25 << 20
	// uploadTimeout is how long a file may take to arrive.
	uploadTimeout = 5 * time.Minute
	// formMax is what a form may be longer than the file in it.
	formMax = 64 << 10
	// relayedLen is how much of a file is sent with its length through another node,
	// which then holds it in memory; more is passed on as it comes.
	relayedLen = 1 << 20
	// filenameMax bounds a file's name, in bytes.
	filenameMax = 240
)

var errNoMedia = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "media_not_found",
	message: "There is no such file: the message has none, or it was not fetched yet, or it is gone."}

// BodyMax says how large the body of a request may be and how long it may take,
// from its header alone; zero values mean as large and as long as others. Only who
// may upload gets more than others: such a body is held in memory.
func (a *API) BodyMax(h *fasthttp.RequestHeader) (size int, d time.Duration) {
	needs := a.uploads(h)
	if needs == "" {
		return 0, 0
	}
	scheme, secret, _ := strings.Cut(string(h.Peek("Authorization")), " ")
	p, ok := a.opt.Keys.Authenticate(strings.TrimSpace(secret))
	if !ok || !strings.EqualFold(scheme, "bearer") || !allows(p, needs) {
		return 0, 0
	}
	if string(path(h)) == importPath {
		return importMax, uploadTimeout
	}
	return a.opt.UploadMax + formMax, uploadTimeout
}

const mediaPath = "/v1/media"

// uploads is the scope of a request that may carry a file, "" for others.
func (a *API) uploads(h *fasthttp.RequestHeader) string {
	switch at := string(path(h)); {
	case h.IsPost() && a.opt.Tooling != nil && at == importPath:
		return scopeWrite
	case a.opt.Library == nil:
	case h.IsPost() && at == mediaPath:
		return scopeWrite
	case h.IsPost() && at == knowledgePath, h.IsPut() && strings.HasPrefix(at, knowledgePath+"/"):
		return scopeManage
	}
	return ""
}

// path is a request's, without its query.
func path(h *fasthttp.RequestHeader) []byte {
	p, _, _ := bytes.Cut(h.RequestURI(), []byte("?"))
	return p
}

// showMedia is GET /v1/media/{id}: the file itself. Whatever a customer sent, a
// browser must not run it: it is an attachment of a type from a list, in a sandbox.
func (r *call) showMedia() *failure {
	index, fail := r.number("index", 0)
	if fail != nil {
		return fail
	}
	if r.opt.Library == nil {
		return &errNoMedia
	}
	at := int(min(index, 1<<16)) // #nosec G115
	part, fail := r.part(at)
	if fail != nil {
		return fail
	}
	// The body is read after this returns: its context ends with it.
	ctx, cancel := context.WithCancel(context.Background())
	body, info, err := r.opt.Library.File(ctx, r.principal.Tenant, r.object, at, part.from)
	if err != nil {
		cancel()
		return r.mediaFailed(err)
	}
	h := &r.ctx.Response.Header
	h.Set("Content-Type", safeType(info.MIME))
	h.Set("Content-Disposition", disposition(info))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "private, no-store")
	h.Set("ETag", tagOf(info))
	size := info.Size
	if size > 0 {
		h.Set("Accept-Ranges", "bytes")
	}
	if part.size > 0 {
		r.ctx.SetStatusCode(fasthttp.StatusPartialContent)
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.from, part.from+part.size-1, info.Size))
		size, body = part.size, &limited{io.LimitReader(body, part.size), body}
	}
	if r.ctx.IsHead() {
		defer cancel()
		_ = body.Close() // nothing was read
		r.ctx.Response.SkipBody = true
		if size > 0 {
			h.SetContentLength(int(size))
		}
		return nil
	}
	if size == 0 || size > relayedLen && r.ctx.UserValue(relayed) != nil {
		size = -1
	}
	r.streaming = true
	r.ctx.SetBodyStream(&servedFile{ReadCloser: body, cancel: cancel, conn: r.ctx.Conn(), each: r.opt.FlushTimeout}, int(size))
	return nil
}

// servedFile moves the connection's deadline while the client takes the file.
type servedFile struct {
	io.ReadCloser
	cancel context.CancelFunc
	conn   net.Conn
	each   time.Duration
}

// Read implements io.Reader.
func (b *servedFile) Read(p []byte) (int, error) {
	if b.conn != nil {
		_ = b.conn.SetWriteDeadline(time.Now().Add(b.each)) // a closed one fails at the write
	}
	return b.ReadCloser.Read(p)
}

// Close implements io.Closer.
func (b *servedFile) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

func (r *call) mediaFailed(err error) *failure {
	switch chat.KindOf(err) {
	case chat.KindNotFound:
		if strings.Contains(err.Error(), "media_elsewhere") {
			return &failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "media_elsewhere",
				message: "The file is not on this node: another node fetched it into its own directory. Nodes of a cluster need a bucket, media.s3."}
		}
		return &errNoMedia
	case chat.KindInvalid:
		return invalid("media_invalid", "", "The file cannot be taken as it is.")
	}
	return r.failed(err)
}

// safeTypes are shown as what they are; everything else is bytes.
var safeTypes = []string{"image/jpeg", "image/png", "image/gif", "image/webp", "audio/", "video/", "application/pdf"}

func safeType(mimeType string) string {
	t, _, err := mime.ParseMediaType(mimeType)
	if err == nil {
		for _, safe := range safeTypes {
			if t == safe || strings.HasSuffix(safe, "/") && strings.HasPrefix(t, safe) {
				return t
			}
		}
	}
	return "application/octet-stream"
}

// disposition is RFC 6266: always an attachment, with a name that cannot leave the
// header or a directory.
func disposition(info chat.FileInfo) string {
	name := plainFilename(info.Filename)
	if name == "" {
		name = string(info.Blob)
		if ext := extensions[safeType(info.MIME)]; ext != "" {
			name += ext
		}
	}
	ascii := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '%' {
			return '_'
		}
		return c
	}, name)
	out := `attachment; filename="` + ascii + `"`
	if ascii != name {
		out += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return out
}

var extensions = map[string]string{"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp",
	"audio/ogg": ".ogg", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "video/mp4": ".mp4", "application/pdf": ".pdf"}

// plainFilename keeps of a name what is no path, no control and no disguise.
func plainFilename(name string) string {
	if !utf8.ValidString(name) {
		return ""
	}
	name = strings.Map(func(c rune) rune {
		switch {
		case c < ' ', c == 0x7f, c >= 0x80 && c < 0xa0, strings.ContainsRune(`/\:*?"<>|`, c):
			return '_'
		case c >= 0x202a && c <= 0x202e, c >= 0x2066 && c <= 0x2069, c == 0x200e, c == 0x200f:
			return -1 // turns the direction: "gpj.exe" read backwards
		}
		return c
	}, name)
	for len(name) > filenameMax {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	return strings.Trim(name, ". ")
}

// uploadMedia is POST /v1/media: a file to send, as a form with the part "file" or
// as the body itself.
func (r *call) uploadMedia() *failure {
	key, fail := r.idempotencyKey()
	if fail != nil {
		return fail
	}
	if r.opt.Library == nil {
		return &errNoMedia
	}
	info, body, fail := r.uploaded()
	if fail != nil {
		return fail
	}
	r.ctx.Response.Header.Set("Idempotency-Key", key)
	ctx, cancel := r.writing()
	defer cancel()
	u, replayed, err := r.opt.Library.Upload(ctx, r.principal.Tenant, key, info, bytes.NewReader(body))
	if err != nil {
		return r.mediaFailed(err)
	}
	if replayed {
		r.ctx.Response.Header.Set("Idempotent-Replayed", "true")
	}
	r.ctx.SetStatusCode(fasthttp.StatusCreated)
	b := append(make([]byte, 0, 256), `{"id":`...)
	b = appendString(b, string(u.Blob))
	b = appendMember(b, "mime_type", u.MIME)
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, u.Size, 10)
	b = appendMember(b, "sha256", u.SHA256)
	b = appendOptional(b, "filename", u.Filename)
	r.json(append(b, '}'))
	return nil
}

// uploaded is the file of a request.
func (r *call) uploaded() (info chat.FileInfo, body []byte, fail *failure) {
	header := string(r.ctx.Request.Header.ContentType())
	t, params, err := mime.ParseMediaType(header)
	if err != nil {
		return info, nil, invalid("parameter_missing", "Content-Type", "Content-Type must be the type of the file, or multipart/form-data.")
	}
	info.MIME, info.Filename, body = mime.FormatMediaType(t, params), string(r.ctx.QueryArgs().Peek("filename")), r.ctx.PostBody()
	if t == "multipart/form-data" {
		if info, body, fail = formFile(body, params["boundary"]); fail != nil {
			return info, nil, fail
		}
	}
	info.Filename = plainFilename(info.Filename)
	switch {
	case len(body) == 0:
		return info, nil, invalid("media_empty", "file", "The file is empty.")
	case len(body) > r.opt.UploadMax:
		return info, nil, &failure{status: fasthttp.StatusRequestEntityTooLarge, kind: kindInvalid, code: "media_too_large", param: "file",
			message: "The file is larger than " + strconv.Itoa(r.opt.UploadMax) + " bytes, the limit media.upload_bytes_max of this engine."}
	}
	return info, body, nil
}

// formFile is the part "file" of a form.
func formFile(form []byte, boundary string) (info chat.FileInfo, body []byte, fail *failure) {
	broken := func() (chat.FileInfo, []byte, *failure) {
		return info, nil, invalid("body_invalid", "", "The form cannot be read.")
	}
	parts := multipart.NewReader(bytes.NewReader(form), boundary)
	for {
		p, err := parts.NextPart()
		if err == io.EOF { //nolint:errorlint // NextPart says io.EOF itself
			return info, nil, invalid("parameter_missing", "file", `The form needs a part named "file".`)
		}
		if err != nil {
			return broken()
		}
		if p.FormName() != "file" {
			continue
		}
		t, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			return info, nil, invalid("parameter_missing", "file", `The part "file" needs the Content-Type of the file.`)
		}
		info.MIME, info.Filename = mime.FormatMediaType(t, params), p.FileName()
		if body, err = io.ReadAll(p); err != nil {
			return broken()
		}
		return info, body, nil
	}
}
